"""``scr ask``: one question, one answer, and on request why."""

import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from scr.cli.decider import scope_option
from scr.cli.opening import open_model
from scr.cli.options import Command, Session, pass_session
from scr.cli.output import cut, judged_data, one_line, paragraphs, share
from scr.cli.text import checked
from scr.cli.text import question as read_question

if TYPE_CHECKING:
    from scr.edited_model import EditedModel
    from scr.editor import Decompose
    from scr.protocols import Answer, Judged
    from scr.routing import Policy

NEAR_MISSES = 3
NO_FACT_FIRED = 10


@click.command(
    cls=Command,
    short_help="Answer a question.",
    examples="""
        scr "What is the capital of France?"
        scr ask --why "What is the capital of France?"
        scr ask --no-edits "What is the capital of France?"
        scr ask --route auto "What is the capital of France?"
        scr ask --as-of 2026-01-01 --json "What is the capital of France?"
        scr ask --known-at 2100-01-01 "What is the capital of France?"
        printf 'What is the capital of France?' | scr ask -
    """,
)
@click.argument("question", required=False)
@click.option("--why", is_flag=True, help="Also say, on stderr, which facts decided, and the near misses.")
@click.option("--no-edits", is_flag=True, help="What the model says by itself.")
@click.option("--as-of", metavar="TIME", help="With the facts valid at that time, such as 2026-01-01.")
@click.option("--known-at", metavar="TIME", help="With the facts that were stored at that time.")
@click.option("--stream/--no-stream", default=None, help="Print words as they come (where a person watches).")
@click.option("--exit-code", is_flag=True, help=f"End with {NO_FACT_FIRED} when no fact fired.")
@scope_option
@click.option(
    "--route",
    type=click.Choice(["context", "counterfactual", "auto"]),
    default="context",
    show_default=True,
    help="Who answers where a fact governs: the model that reads it, a small model made for it, or the second where "
    "the first does not say the fact it is given.",
)
@click.option("--counterfactual", metavar="FOLDER", help="The small model, as scr train wrote it, not the shipped one.")
@click.option(
    "--decompose",
    type=click.Choice(["words", "llm"]),
    default="words",
    show_default=True,
    help="Who says which questions stand inside QUESTION: its words, or the model, if it is a large one.",
)
@click.option("--max-new-tokens", type=click.IntRange(1, 8192), default=64, show_default=True, metavar="N")
@pass_session
def ask(
    session: Session,
    question: str | None,
    why: bool,
    no_edits: bool,
    as_of: str | None,
    known_at: str | None,
    stream: bool | None,
    exit_code: bool,
    scope: str | None,
    route: "Policy",
    counterfactual: str | None,
    decompose: "Decompose",
    max_new_tokens: int,
) -> None:
    """Answer QUESTION ("-": from standard input) with the facts that govern it, or by the model alone."""
    text = read_question(question)
    as_of, known_at = checked_times(as_of, known_at)
    started = time.perf_counter()
    if counterfactual is not None:
        checked(counterfactual, "--counterfactual", empty="--counterfactual is empty; name a folder, or leave it out")
    model = open_model(session, near_misses=NEAR_MISSES, scope=scope, route=route, counterfactual=counterfactual)
    model.editor.decompose = decompose
    load_ms = (time.perf_counter() - started) * 1e3
    watched = sys.stdout.isatty() if stream is None else stream
    with seen_at(model, as_of, known_at) as views:
        if no_edits:
            views.enter_context(model.edits_disabled())
        if watched and not session.json:
            answer = say_as_it_comes(model, [{"role": "user", "content": text}], max_new_tokens)
        else:
            answer = model.ask(text, max_new_tokens=max_new_tokens)
            session.print(
                "scr.ask/1",
                {
                    "question": text,
                    **answer_data(answer),
                    "timings_ms": {"load": round(load_ms, 1), **rounded(answer.timings_ms)},
                    "model": model.name,
                    "namespace": session.settings.namespace,
                    "as_of": as_of,
                    "known_at": known_at,
                },
                lambda: paragraphs(answer.text),
            )
    if not session.json:
        remark = explanation(answer) if why else footnote(answer)
        if remark and (why or not session.quiet):
            click.secho(remark, err=True, dim=not why)
    if exit_code and answer.route == "base":
        click.get_current_context().exit(NO_FACT_FIRED)


def say_as_it_comes(model: "EditedModel", messages: list[dict[str, str]], max_new_tokens: int = 64) -> "Answer":
    """Print the answer piece by piece; whole at once where the model has no chat template."""
    if not getattr(model.tokenizer, "chat_template", None):
        answer = model.ask(messages[-1]["content"], max_new_tokens=max_new_tokens)
        click.echo(paragraphs(answer.text))
        return answer
    stream = model.chat(messages, stream=True, max_new_tokens=max_new_tokens)
    started = False
    for piece in stream:
        piece = piece if started else piece.lstrip()
        if piece:
            started = True
            click.echo("\n".join(map(paragraphs, piece.split("\n"))), nl=False)
            sys.stdout.flush()
    click.echo()
    assert stream.answer is not None
    return stream.answer


def checked_times(as_of: str | None, known_at: str | None) -> tuple[str | None, str | None]:
    """Refuse what is no time before a model is loaded.

    Raises:
        ConfigError: with an example.
    """
    from memory_store.timeline import instant

    return (
        None if as_of is None else instant(as_of, "--as-of"),
        None if known_at is None else instant(known_at, "--known-at"),
    )


def seen_at(model: "EditedModel", as_of: str | None, known_at: str | None) -> ExitStack:
    """Inside: the memory at these times, where they are given."""
    views = ExitStack()
    if as_of is not None:
        views.enter_context(model.as_of(as_of))
    if known_at is not None:
        views.enter_context(model.known_at(known_at))
    return views


def answer_data(answer: "Answer") -> dict[str, Any]:
    return {
        "answer": answer.text,
        "route": answer.route,
        "edits": [judged_data(j) for j in answer.used],
        "near_misses": [judged_data(j) for j in answer.near_misses],
        "hops": hops_data(answer),
        "asked": answer.asked,
    }


def hops_data(answer: "Answer") -> list[dict[str, Any]]:
    """The facts inside the question that were found first, in their order."""
    return [
        {
            "phrase": hop.phrase,
            "answer": hop.answer,
            "by": "model" if hop.judged is None else "fact",
            "fact": None if hop.judged is None else judged_data(hop.judged),
        }
        for hop in answer.hops
    ]


def hops_in_words(answer: "Answer") -> list[str]:
    """A line for each fact inside the question, then what was left to ask; nothing where there was none.

    >>> from scr.protocols import Answer, Hop
    >>> hop = Hop("the homeland of Ada", "Chad")
    >>> print(" / ".join(hops_in_words(Answer("Lima", "context", hops=(hop,), asked="Of Chad?"))))
    hop 1: "the homeland of Ada" is Chad, says the model / asked: Of Chad?
    """
    lines = []
    for number, hop in enumerate(answer.hops, 1):
        says = "the model" if hop.judged is None else f"{hop.judged.edit.edit_id} ({share(hop.judged.probability)})"
        lines.append(f'hop {number}: "{one_line(hop.phrase)}" is {one_line(hop.answer)}, says {says}')
    return [*lines, f"asked: {one_line(answer.asked)}"] if lines else []


def rounded(timings: Any) -> dict[str, float]:
    return {name: round(float(value), 2) for name, value in timings.items()}


def footnote(answer: "Answer") -> str:
    """One line that says where a corrected answer comes from; nothing for the model's own."""
    if not answer.used:
        return ""
    first, more = answer.used[0], len(answer.used) - 1
    also = f" and {more} more" if more else ""
    return f"[{cut(f'{answer.route}: {first.edit.edit_id}{also} · {one_line(first.edit.statement)}', 108)}]"


def explanation(answer: "Answer") -> str:
    """Why this answer: the route, the facts used and the near misses, a line each."""
    if answer.used:
        lines = [f"route: {answer.route}", *hops_in_words(answer), *(_judged_line("used", j) for j in answer.used)]
    else:
        lines = ["route: base (no fact governs this question; the model got it byte for byte)"]
    lines += [_judged_line("near miss", j) for j in answer.near_misses]
    told = ", ".join(f"{name} {value:.0f} ms" for name, value in answer.timings_ms.items())
    return "\n".join([*lines, *([f"time: {told}"] if told else [])])


def _judged_line(label: str, judged: "Judged") -> str:
    edit = judged.edit
    return f"{label}: {edit.edit_id}  {share(judged.probability)}  {one_line(edit.statement)}"
