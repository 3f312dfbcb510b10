"""What happened to the memory: ``scr undo``, ``redo``, ``revert``, ``diff`` and ``log``."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from memory_store.edit import Diff
from memory_store.timeline import instant
from scr.cli.opening import NothingFoundError, existing_store, user
from scr.cli.options import Command, Session, pass_session
from scr.cli.output import edit_data, moment, one_line, table, validity
from scr.cli.text import checked

if TYPE_CHECKING:
    from memory_store.corrections import Correction
    from memory_store.edit import Edit
    from memory_store.events import Event
    from memory_store.reverting import Reverted
    from memory_store.store import EditStore

CHECK_FAILED = 5
DEFAULT_LIMIT = 50


@click.command(
    cls=Command,
    short_help="Take back the last change.",
    examples="""
        scr undo
        scr undo 2 --json
    """,
)
@click.argument("count", type=click.IntRange(1, 10_000), default=1, metavar="[N]")
@pass_session
def undo(session: Session, count: int) -> None:
    """Take back the last change of the memory, or the last N: whole batches, the newest first."""
    _revert(session, "undo", count)


@click.command(
    cls=Command,
    short_help="Take back the last undo.",
    examples="""
        scr redo
    """,
)
@click.argument("count", type=click.IntRange(1, 10_000), default=1, metavar="[N]")
@pass_session
def redo(session: Session, count: int) -> None:
    """Take back the last undo, or the last N, as long as nothing was written since."""
    _revert(session, "redo", count)


@click.command(
    cls=Command,
    short_help="Take back one batch of the log.",
    examples="""
        scr revert 1
        scr revert 1 --json
    """,
)
@click.argument("batch", type=click.IntRange(1), metavar="BATCH")
@pass_session
def revert(session: Session, batch: int) -> None:
    """Take back one batch, by the number that "scr log" shows, wherever it stands in the history.

    What it had superseded or removed holds again; what came later stays. Where a later change is about the same fact,
    nothing is done and that change is named. "scr redo" brings the batch back.
    """
    store, namespace = existing_store(session), session.settings.namespace
    if store is None:
        raise NothingFoundError(f"no batch {batch}: nothing has happened yet")
    _print_reverted(session, "revert", store, [store.revert(batch, namespace=namespace, actor=user())])


@click.command(
    cls=Command,
    short_help="What changed between two times.",
    examples="""
        scr diff 2026-01-01
        scr diff 2026-01-01 2100-01-01 --json
        scr diff @1 @5
    """,
)
@click.argument("a", metavar="A")
@click.argument("b", metavar="B", required=False)
@pass_session
def diff(session: Session, a: str, b: str | None) -> None:
    """What answered at B and not at A, and the reverse. B is now where it is left out.

    Each is a time (UTC unless it says otherwise), or @ and the number of a batch of "scr log": right after that batch.
    """
    store, namespace = existing_store(session), session.settings.namespace
    start, end = _when(a, "A"), None if b is None else _when(b, "B")
    found = Diff((), (), ()) if store is None else store.diff(start, end, namespace)

    def text() -> str:
        lines = [f"{click.style('+', fg='green')} {_fact(edit)}" for edit in found.added]
        lines += [f"{click.style('-', fg='red')} {_fact(edit)}" for edit in found.removed]
        for old, new in found.changed:
            lines += [f"{click.style('-', fg='red')} {_fact(old)}", f"{click.style('+', fg='green')} {_fact(new)}"]
        return "\n".join(lines)

    session.print(
        "scr.diff/1",
        {
            "namespace": namespace,
            "added": [edit_data(edit) for edit in found.added],
            "changed": [{"before": edit_data(old), "after": edit_data(new)} for old, new in found.changed],
            "removed": [edit_data(edit) for edit in found.removed],
        },
        text,
    )
    if not session.json and not (found.added or found.changed or found.removed):
        session.say(f"scr: nothing differs in namespace {namespace!r}")


def _when(text: str, what: str) -> str | int:
    """A time as typed, checked; or the number of a batch."""
    checked(text, what, empty=f"{what} is empty; give a time such as 2026-01-01, or a batch such as @3")
    if text.startswith("@"):
        if not (text[1:].isascii() and text[1:].isdigit() and len(text) < 19):
            raise click.UsageError(f"{what} is {one_line(text, 60)!r}; write a batch as @ and its number, such as @3")
        return int(text[1:])
    return instant(text, what)


def _fact(edit: "Edit") -> str:
    valid = validity(edit)
    return f"{edit.edit_id}  {one_line(edit.statement, 8000)}" + (f"  ({valid})" if valid else "")


def _revert(session: Session, what: str, count: int) -> None:
    store, namespace = existing_store(session), session.settings.namespace
    reverted: Sequence[Reverted] = []
    if store is not None:
        reverted = (store.undo if what == "undo" else store.redo)(count, namespace=namespace, actor=user())
    _print_reverted(session, what, store, reverted)
    if len(reverted) < count and not session.json:
        more = "nothing" if not reverted else f"{len(reverted)} of {count}; nothing more"
        session.say(f"scr: {more} to {what} in namespace {namespace!r}; scr log shows what happened")


def _print_reverted(session: Session, what: str, store: "EditStore | None", reverted: Sequence["Reverted"]) -> None:
    namespace = session.settings.namespace
    batches = [
        {
            "batch": r.batch,
            "kind": r.kind,
            "closed": list(r.closed),
            "reopened": list(r.reopened),
            "unsaid": [_said(c) for c in r.unsaid],
            "said_again": [_said(c) for c in r.said_again],
        }
        for r in reverted
    ]
    session.print(
        f"scr.{what}/1",
        {"namespace": namespace, "batches": batches},
        lambda: reverted_text(store, reverted, namespace),
    )


def _said(correction: "Correction") -> dict[str, Any]:
    return {"kind": correction.kind, "edit_id": correction.edit_id, "text": correction.text, "value": correction.value}


def reverted_text(store: "EditStore | None", reverted: Sequence["Reverted"], namespace: str) -> str:
    """One line for each edit that no longer holds, or holds again, and for each correction."""
    assert store is not None or not reverted
    lines = []
    for batch in reverted:
        for word, ids in (("out of use", batch.closed), ("in use again", batch.reopened)):
            for edit_id in ids:
                assert store is not None
                statement = store.get(edit_id, namespace=namespace).statement
                lines.append(f"{word}  {edit_id}  {one_line(statement, 8000)}")
        for word, said in (("taken back", batch.unsaid), ("said again", batch.said_again)):
            for one in said:
                what = one.text if one.value is None else f"{one.value:.4f} of {one.text}"
                lines.append(f"{word}  {one.kind} {one.edit_id or namespace}  {one_line(what, 8000)}")
    return "\n".join(lines)


@click.command(
    cls=Command,
    short_help="What happened, the newest first.",
    examples="""
        scr log
        scr log --limit 5 --json
        scr log --kind put
        scr log --used "What is the capital of France?"
        scr log --verify
        scr log --head
    """,
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help=f"The newest N (default {DEFAULT_LIMIT}).")
@click.option("--all", "everything", is_flag=True, help="From the first event on.")
@click.option("--kind", metavar="KIND", help="Only events of one kind, such as put, forget, import or apply.")
@click.option("--used", metavar="QUERY", help="Only the facts used for a question, where uses were recorded.")
@click.option("--verify", is_flag=True, help="Check the chain of hashes; ends with 5 where it does not hold.")
@click.option("--expect", metavar="HASH", help="With --verify: a head noted earlier, which must occur in the chain.")
@click.option("--head", is_flag=True, help="Print the hash of the last event, to be noted elsewhere.")
@pass_session
def log(
    session: Session,
    limit: int | None,
    everything: bool,
    kind: str | None,
    used: str | None,
    verify: bool,
    expect: str | None,
    head: bool,
) -> None:
    """What happened to the memory, the newest first: who, when, what. With -n, one namespace only."""
    if expect is not None and not verify:
        raise click.UsageError("--expect goes with --verify")
    if verify and head:
        raise click.UsageError("--verify and --head are two questions; ask one")
    if used is not None and kind is not None:
        raise click.UsageError("--used shows events of kind apply already; leave out --kind")
    store = existing_store(session)
    if verify:
        _verify(session, store, expect)
        return
    if head:
        last = store.head() if store is not None else ""
        session.print("scr.log.head/1", {"head": last}, lambda: last)
        return
    namespace = session.settings.namespace if session.chose("namespace") else None
    events = _events(store, namespace, kind, used, None if everything else limit or DEFAULT_LIMIT)
    session.print(
        "scr.log/1",
        {"namespace": namespace, "events": [_data(e) for e in events]},
        lambda: _table(events, namespace is None),
    )
    if session.json:
        return
    if not events:
        asked = {"--used": used, "--kind": kind}
        only = next((f"no event for {name} {one_line(value, 60)!r}" for name, value in asked.items() if value), "")
        session.say(f"scr: {only or 'nothing has happened yet'}")
    elif not everything and limit is None and len(events) == DEFAULT_LIMIT:
        session.say(f"scr: the newest {DEFAULT_LIMIT}; --all shows every event")


def _events(
    store: "EditStore | None", namespace: str | None, kind: str | None, used: str | None, limit: int | None
) -> "Sequence[Event]":
    if kind is not None:
        checked(kind, "--kind", empty="--kind is empty; give one such as put")
    if used is not None:
        checked(used, "--used", empty="--used is empty; give the question as it was asked")
    if store is None:
        return []
    if used is not None:
        return store.uses_of(used, namespace=namespace, limit=limit)
    return store.log(limit=limit, namespace=namespace, kind=kind)


def _verify(session: Session, store: "EditStore | None", expect: str | None) -> None:
    if expect is not None:
        checked(expect, "--expect", empty="--expect is empty; give a hash as scr log --head prints it")
    if store is None:
        session.print("scr.log.verify/1", {"ok": True, "events": 0, "head": "", "why": ""}, lambda: "ok: no events yet")
        return
    report = store.verify(expect=expect)
    session.print(
        "scr.log.verify/1",
        {"ok": report.ok, "events": report.events, "head": report.head, "bad_seq": report.bad_seq, "why": report.why},
        lambda: f"ok: {report.events} events, head {report.head}" if report.ok else "",
    )
    if not report.ok:
        if not session.json:
            session.warn(f"the log does not hold: {one_line(report.why)}; restore a backup, see: scr store doctor")
        click.get_current_context().exit(CHECK_FAILED)


def _data(event: "Event") -> dict[str, Any]:
    return {
        "seq": event.seq,
        "time": event.time,
        "actor": event.actor,
        "kind": event.kind,
        "batch": event.batch,
        "namespace": event.namespace,
        "edit_id": event.edit_id,
        "target": event.target,
        "hash": event.hash,
        "payload": event.payload,
    }


def _table(events: Sequence["Event"], with_namespace: bool) -> str:
    rows = []
    for event in events:
        about = f"batch {event.target}" if event.target is not None else event.edit_id or ""
        edit = (event.payload or {}).get("edit") or {}
        space = [event.namespace] if with_namespace else []
        request = (event.payload or {}).get("request")
        told = edit.get("statement") or (event.payload or {}).get("text") or (f"for {request}" if request else "")
        statement = str(told) if event.payload is not None else "(purged)"
        rows.append([str(event.batch), moment(event.time), event.actor or "", *space, event.kind, about, statement])
    header = ["BATCH", "TIME (UTC)", "BY", *(["NAMESPACE"] if with_namespace else []), "WHAT", "ID", "FACT"]
    return table(rows, header) if rows else ""
