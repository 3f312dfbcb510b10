"""``scr preview``: what a fact would do, before it is stored."""

from typing import TYPE_CHECKING, Any

import click

from memory_store.errors import ConflictError
from scr.cli.add import FACT_OPTIONS, readings_of
from scr.cli.corrections import deciding_editor
from scr.cli.decider import scope_option
from scr.cli.opening import progress_bar
from scr.cli.options import Command, Session, pass_session
from scr.cli.output import edit_data, one_line, share, table
from scr.cli.questions import questions_in

if TYPE_CHECKING:
    from scr.preview import Preview, Question

SHOWN = 20
"""Questions listed for people; --json lists all."""


@click.command(
    cls=Command,
    params=FACT_OPTIONS,
    short_help="What a fact would fire on, before it is stored.",
    examples="""
        scr preview "The capital of France is Lyon."
        scr preview -q "Who runs the night shift?" -a "Dana Cole" --queries prompts.txt
        printf 'What is the capital of Italy?\\n' | scr preview "The capital of Italy is Turin." --queries - --json
    """,
)
@click.option(
    "--queries", metavar="FILE", help='Questions you expect: one a line, or JSON lines with "query"; "-" is stdin.'
)
@scope_option
@pass_session
def preview(session: Session, /, sentence: str | None, queries: str | None, scope: str | None, **options: Any) -> None:
    """Say what would change if the fact were stored; it takes what "scr add" takes, and stores nothing.

    The real decision is asked, over the memory as it would then be: for the fact's own prompt, those of the facts
    nearest to it, what was allowed and denied so far, and the questions of --queries. What was asked in the past is
    not among them: the log keeps no questions, only their hashes.
    """
    from dataclasses import replace

    from scr.preview import preview as previewed

    if sentence == "-":
        raise click.UsageError("one fact at a time; give it as an argument")
    (reading,) = readings_of(sentence, options)
    asked = questions_in(queries, "--queries") if queries is not None else []
    editor = deciding_editor(session, scope)
    edit = replace(reading.edit, namespace=session.settings.namespace)
    with progress_bar(session, "preview", "question") as show:
        found = previewed(editor, edit, asked, progress=show)
    planned = found.planned
    session.print(
        "scr.preview/1",
        {
            "namespace": session.settings.namespace,
            "status": planned.status,
            "edit": edit_data(planned.edit),
            "superseded": list(planned.superseded),
            "contradicts": list(planned.contradicts),
            "reason": planned.reason,
            "free_fact": not reading.committed,
            "threshold": found.threshold,
            "questions": len(found.questions),
            "fires": [_data(question) for question in found.fires],
            "silent_neighbours": [_data(question) for question in found.silent_neighbours],
        },
        lambda: _text(found),
    )
    if planned.status == "conflict":
        if not session.json:
            raise ConflictError(planned.reason)
        click.get_current_context().exit(ConflictError.exit_code)
    if not session.json:
        session.say("scr: a preview: nothing was stored" + (f"; {planned.reason}" if planned.reason else ""))


def _data(question: "Question") -> dict[str, Any]:
    return {
        "query": question.query,
        "source": question.source,
        "of": question.of.edit_id if question.of is not None else None,
        "probability": None if question.probability is None else round(question.probability, 6),
        "fires_now": [j.edit.edit_id for j in question.before],
        "would_fire": [j.edit.edit_id for j in question.after],
    }


def _text(found: "Preview") -> str:
    planned = found.planned
    if planned.status == "conflict":
        return ""
    status = {"superseded": "added"}.get(planned.status, planned.status)
    lines = [f"would be {status}  {planned.edit.edit_id}  {one_line(planned.edit.statement, 8000)}"]
    if planned.superseded:
        lines.append(f"  supersedes  {', '.join(planned.superseded)}")
    if planned.contradicts:
        lines.append(f"  contradicts  {', '.join(planned.contradicts)}: scr add will want --on-conflict")
    if not found.questions:
        return "\n".join(lines)
    fires, silent = found.fires, found.silent_neighbours
    lines += ["", f"would fire on {len(fires)} of {len(found.questions)} questions, from {share(found.threshold)} on:"]
    rows = [(f"  {share(q.probability or 0.0)}", one_line(q.query, 8000), _about(q)) for q in fires[:SHOWN]]
    lines += [table(rows, flexible=1)] if rows else ["  none"]
    if len(fires) > SHOWN:
        lines.append(f"  and {len(fires) - SHOWN} more; --json lists all")
    if silent:
        lines += ["", "would stay silent on the prompts of its neighbours:"]
        told = [(f"  {share(q.probability or 0.0)}", one_line(q.query, 8000), _about(q)) for q in silent]
        lines.append(table(told, flexible=1))
    return "\n".join(lines)


def _about(question: "Question") -> str:
    """Whose question it is, and what fires on it now."""
    told = {"own": "its own prompt", "said": "allowed or denied before", "given": ""}.get(question.source, "")
    if question.of is not None:
        told = question.of.edit_id
    if question.fires:
        others = ", ".join(j.edit.edit_id for j in question.before) or "nothing"
        told += f"{'; ' if told else ''}now: {others}"
    return told
