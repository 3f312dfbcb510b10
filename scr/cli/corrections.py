"""What people say about when a fact fires: ``scr allow``, ``deny``, and ``scr test``, which holds it against the
decision."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from memory_store.errors import ConfigError, EditNotFoundError
from scr.cli.decider import scope_option
from scr.cli.facts import complete_id, found
from scr.cli.opening import (
    existing_store,
    nothing_in,
    open_model,
    progress_bar,
    quiet_libraries,
    readable,
    user,
    within_reach,
    without_collecting,
)
from scr.cli.options import Command, Session, pass_session
from scr.cli.output import one_line, share
from scr.cli.text import checked, stdin_lines
from scr.cli.why import quoted

if TYPE_CHECKING:
    from memory_store.corrections import Correction
    from memory_store.edit import Edit
    from memory_store.store import EditStore
    from scr.editor import RetrievalEditor
    from scr.regression import Outcome

CHECK_FAILED = 5
DONE = {"allow": "allowed", "deny": "denied"}


@click.command(
    cls=Command,
    short_help="Let a question fire a fact, from now on.",
    examples="""
        scr allow france "Which city governs the French?"
        printf 'Where does France govern from?\\n' | scr allow france -
    """,
)
@click.argument("edit", metavar="EDIT", shell_complete=complete_id)
@click.argument("queries", metavar="[QUERY]...", nargs=-1)
@pass_session
def allow(session: Session, edit: str, queries: tuple[str, ...]) -> None:
    """Say that QUERY is for the fact EDIT (its id, or how it begins): it fires at once, whatever the decider thinks.

    A question that is nearly the same follows. It holds for later versions of the fact too, "scr test" checks it, and
    "scr undo" takes it back. Without QUERY, show what was said about the fact; "-" reads one a line.
    """
    _correct(session, "allow", edit, queries)


@click.command(
    cls=Command,
    short_help="Keep a question from firing a fact, from now on.",
    examples="""
        scr deny france "What is the capital of French Guiana?"
        scr deny france --json "Is France a capital idea?"
    """,
)
@click.argument("edit", metavar="EDIT", shell_complete=complete_id)
@click.argument("queries", metavar="[QUERY]...", nargs=-1)
@pass_session
def deny(session: Session, edit: str, queries: tuple[str, ...]) -> None:
    """Say that QUERY is not for the fact EDIT (its id, or how it begins): it never fires it.

    A question that is nearly the same follows. Otherwise as "scr allow".
    """
    _correct(session, "deny", edit, queries)


def _correct(session: Session, kind: str, given: str, queries: Sequence[str]) -> None:
    texts = [checked(q, "the question", empty="the question is empty; write it as people ask it") for q in queries]
    if "-" in texts:
        read = [text.strip() for _, text in stdin_lines("one question a line")]
        texts = [text for query in texts for text in (read if query == "-" else [query])]
    store = existing_store(session)
    edit = chosen(session, store, given)
    assert store is not None
    namespace = session.settings.namespace
    if not texts:
        _show(session, edit, store.corrections(namespace, edit_id=edit.edit_id))
        return
    write = store.allow if kind == "allow" else store.deny
    said = write(edit.edit_id, texts, namespace=namespace, actor=user())
    listed = [{"query": c.text, "changed": bool(c.batch)} for c in said]
    batch = max(c.batch for c in said)
    session.print(
        f"scr.{kind}/1",
        {"namespace": namespace, "edit_id": edit.edit_id, "batch": batch, "queries": listed},
        lambda: "\n".join(f"{DONE[kind]}  {edit.edit_id}  {one_line(c.text, 8000)}" for c in said),
    )
    if not session.json and not all(c.batch for c in said):
        session.say("scr: already so; nothing changed" if not batch else "scr: some of it was so already")


def _show(session: Session, edit: "Edit", said: Sequence["Correction"]) -> None:
    def text() -> str:
        lines = []
        for c in said:
            about = one_line(c.text, 8000) if c.value is None else f"from {share(c.value)} on ({c.text})"
            lines.append(f"{DONE.get(c.kind, 'fires')}  {edit.edit_id}  {about}")
        return "\n".join(lines)

    listed = [{"kind": c.kind, "text": c.text, "value": c.value, "edit_id": c.edit_id} for c in said]
    data = {"namespace": session.settings.namespace, "edit_id": edit.edit_id, "corrections": listed}
    session.print("scr.corrections/1", data, text)
    if not said and not session.json:
        session.say(f'scr: nothing was said about {edit.edit_id}; say it: scr allow {edit.edit_id} "QUESTION?"')


def chosen(session: Session, store: "EditStore | None", given: str) -> "Edit":
    """The edit of that id, or the one live edit whose id begins so.

    Raises:
        EditNotFoundError: there is none.
        click.UsageError: several begin so.
    """
    try:
        return found(session, store, given)
    except EditNotFoundError:
        live = store.edits(session.settings.namespace) if store is not None and given.strip() else []
        ids = [edit.edit_id for edit in live if edit.edit_id.startswith(given)]
        if len(ids) > 1:
            shown = ", ".join(ids[:5]) + (" …" if len(ids) > 5 else "")
            raise click.UsageError(f"{given!r} is how {len(ids)} ids begin ({shown}); write more of it") from None
        if not ids:
            raise
        return next(edit for edit in live if edit.edit_id == ids[0])


def deciding_editor(session: Session, scope: str | None) -> "RetrievalEditor":
    """Store, encoder and decider, to judge and not to write; a language model only for the decider that asks one."""
    if scope == "llm":
        return open_model(session, near_misses=0, scope=scope).editor
    from scr.build import build_editor

    settings = within_reach(session, readable(session, session.resolve(scope=scope)))
    quiet_libraries(session)
    with without_collecting():
        return build_editor(settings)


@click.command(
    "test",
    cls=Command,
    short_help="Check that every fact fires where it should.",
    examples="""
        scr test
        scr test --json
        scr test --junit scope.xml
    """,
)
@click.option("--junit", metavar="FILE", help="Also write JUnit XML, for the test report of a CI.")
@scope_option
@pass_session
def test(session: Session, junit: str | None, scope: str | None) -> None:
    """Put every fact's own prompt, and the questions allowed and denied for it, to the real decision.

    The first two have to fire it, the last must not. Ends with 5 where one is not so; each failure comes with what
    fired instead and the command that sets it right.
    """
    from scr.regression import as_junit, checks_of, run

    if junit is not None:
        checked(junit, "--junit", empty="--junit is empty; name a file")
    namespace = session.settings.namespace
    store = existing_store(session)
    checks = checks_of(store, namespace) if store is not None else []
    outcomes: list[Outcome] = []
    if checks:
        editor = deciding_editor(session, scope)
        with progress_bar(session, "test", "question") as show:
            outcomes = run(editor, checks, namespace=namespace, progress=show)
    if junit is not None:
        _write(junit, as_junit(outcomes, told, namespace))
    failures = [one for one in outcomes if not one.passed]
    facts = len({one.check.edit.edit_id for one in outcomes})
    counts = {kind: sum(one.check.source == kind for one in outcomes) for kind in ("own", "allowed", "denied")}
    session.print(
        "scr.test/1",
        {
            "namespace": namespace,
            "facts": facts,
            "checks": len(outcomes),
            **counts,
            "failed": len(failures),
            "failures": [_data(one) for one in failures],
        },
        lambda: _text(outcomes, failures, facts, counts),
    )
    if not outcomes and not session.json:
        session.say(f"scr: {nothing_in(namespace, store)}")
    if failures:
        click.get_current_context().exit(CHECK_FAILED)


def told(one: "Outcome") -> str:
    """A failed check in one line: what it needs, what fired, and what to type."""
    edit_id = one.check.edit.edit_id
    if one.failed:
        return f"no decision could be made ({one.failed}), so no fact fired; scr env"
    others = ", ".join(f"{j.edit.edit_id} ({share(j.probability)})" for j in one.instead)
    if not one.check.must_fire:
        return f"fired with {share(one.probability or 0.0)}; {next_step(one)}"
    if one.probability is None:
        had = "was no candidate"
    elif one.probability < one.threshold:
        had = f"has {share(one.probability)} of the {share(one.threshold)} it needs"
    else:
        had = f"has {share(one.probability)} and was not used"
    return f"{edit_id} {had}; fired instead: {others or 'nothing'}; {next_step(one)}"


def next_step(one: "Outcome") -> str:
    """The command that makes a failed check pass."""
    asked = quoted(one.check.query)
    if one.failed:
        return "scr env"
    if not one.check.must_fire:
        return f"scr deny {one.check.edit.edit_id} {asked}"
    if one.instead and one.instead[0].edit.verbatim:
        return f"scr deny {one.instead[0].edit.edit_id} {asked}"
    return f"scr allow {one.check.edit.edit_id} {asked}"


def _data(one: "Outcome") -> dict[str, Any]:
    return {
        "edit_id": one.check.edit.edit_id,
        "query": one.check.query,
        "source": one.check.source,
        "expected": "fire" if one.check.must_fire else "not fire",
        "probability": None if one.probability is None else round(one.probability, 6),
        "threshold": one.threshold,
        "fired_instead": [{"edit_id": j.edit.edit_id, "probability": round(j.probability, 6)} for j in one.instead],
        "failed": one.failed,
        "next": next_step(one),
    }


def _text(outcomes: Sequence["Outcome"], failures: Sequence["Outcome"], facts: int, counts: dict[str, int]) -> str:
    if not outcomes:
        return ""
    lines = []
    for one in failures:
        must = "must fire" if one.check.must_fire else "must not fire"
        lines.append(
            f"{click.style('failed', fg='red')}  {one.check.edit.edit_id}  {must}: {one_line(one.check.query)}"
        )
        lines.append(f"        {one_line(told(one), 2000)}")
    verdict = "ok" if not failures else f"{len(failures)} failed"
    lines.append(
        f"{click.style(verdict, fg='red' if failures else 'green')}: {len(outcomes)} questions of {facts} facts"
        f" ({counts['own']} own, {counts['allowed']} allowed, {counts['denied']} denied)"
    )
    return "\n".join(lines)


def _write(file: str, content: bytes) -> None:
    try:
        Path(file).write_bytes(content)
    except OSError as error:
        raise ConfigError(f"cannot write {file}: {error.strerror}; name a file that can be written") from error
