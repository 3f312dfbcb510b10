"""What is in the memory: ``scr ls``, ``show``, ``search`` and ``rm``."""

import difflib
from typing import TYPE_CHECKING, Any

import click

from memory_store.errors import EditNotFoundError
from scr.cli.opening import (
    NO_FACTS,
    NothingFoundError,
    confirmed,
    existing_store,
    namespaces,
    nothing_in,
    open_editor,
    readable,
    user,
)
from scr.cli.options import Command, Session, pass_session
from scr.cli.output import edit_data, fields, moment, one_line, table, validity
from scr.cli.text import checked

if TYPE_CHECKING:
    from memory_store.edit import Edit
    from memory_store.store import EditStore


def complete_id(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Ids for the shell's completion; a store that cannot be read completes nothing."""
    from memory_store.errors import ScrError

    try:
        session = Session(ctx.meta.get("scr.cli.global_options", {}))
        store = existing_store(session)
        edits = store.edits(session.settings.namespace) if store is not None else []
        return [e.edit_id for e in edits if e.edit_id.startswith(incomplete)]
    except (ScrError, OSError):
        return []


@click.command(
    cls=Command,
    short_help="List the facts.",
    examples="""
        scr ls
        scr ls --all
        scr ls --as-of 2026-01-01 --json
        scr ls --known-at 2100-01-01
        scr ls -n team-a --tag buildings
    """,
)
@click.option("--all", "everything", is_flag=True, help="Superseded and removed versions too.")
@click.option("--as-of", metavar="TIME", help="What was valid at that time, such as 2026-01-01.")
@click.option(
    "--known-at", metavar="TIME", help="As the store stood then; with --as-of, what it held valid at that time."
)
@click.option("--tag", metavar="WORD", help="Only facts with this tag.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="The newest N.")
@pass_session
def ls(
    session: Session,
    everything: bool,
    as_of: str | None,
    known_at: str | None,
    tag: str | None,
    limit: int | None,
) -> None:
    """List the facts."""
    if everything and (as_of is not None or known_at is not None):
        raise click.UsageError("--all is every version of every time; leave out --as-of and --known-at")
    store = existing_store(session)
    namespace = session.settings.namespace
    edits = (
        store.edits(namespace, as_of=as_of, known_at=known_at, include_closed=everything) if store is not None else []
    )
    if not edits:
        _refuse_unknown_namespace(session, store)
    if tag is not None:
        edits = [e for e in edits if tag in e.tags]
    total = len(edits)
    if limit is not None:
        edits = edits[-limit:]

    def text() -> str:
        rows = [(e.edit_id, e.statement, *states.get(e.edit_id, ()), _remark(e)) for e in edits]
        header = ("ID", "FACT", *(("STATE",) if everything else ()), "REMARK")
        if not any(row[-1] for row in rows):
            rows, header = [row[:-1] for row in rows], header[:-1]
        return table(rows, header, flexible=1, colours={"live": "green"})

    states: dict[str, tuple[str]] = {}
    if everything and store is not None:
        states = {e.edit_id: (store.status(e.edit_id, namespace=namespace),) for e in edits}
    data = {"namespace": namespace, "store": str(session.settings.store), "total": total}
    listed = [{**edit_data(e), **({"status": states[e.edit_id][0]} if everything else {})} for e in edits]
    session.print("scr.ls/1", {**data, "edits": listed}, lambda: text() if edits else "")
    if not edits and not session.json:
        session.say(f"scr: no fact has the tag {tag!r}" if tag is not None else f"scr: {nothing_in(namespace, store)}")


def _remark(edit: "Edit") -> str:
    return ", ".join(filter(None, [validity(edit), "verbatim" if edit.verbatim else ""]))


@click.command(
    cls=Command,
    short_help="Show one fact and its history.",
    examples="""
        scr show france
        scr show france --json
    """,
)
@click.argument("edit_id", metavar="ID", shell_complete=complete_id)
@pass_session
def show(session: Session, edit_id: str) -> None:
    """Show one fact: every field, and what happened to it."""
    store = existing_store(session)
    edit = found(session, store, edit_id)
    assert store is not None
    events = [e for e in store.log(namespace=edit.namespace) if e.edit_id == edit.edit_id]
    history = [{"seq": e.seq, "time": e.time, "kind": e.kind, "actor": e.actor} for e in events]
    status = store.status(edit.edit_id, namespace=edit.namespace)
    versions = store.history(edit.edit_id, namespace=edit.namespace)

    def text() -> str:
        told = [f"{moment(e.time)} {e.kind}" + (f" by {e.actor}" if e.actor else "") for e in reversed(events)]
        return fields(
            [
                ("id", edit.edit_id),
                ("fact", edit.statement),
                ("subject", edit.subject),
                ("aliases", ", ".join(edit.aliases)),
                ("prompt", edit.prompt),
                ("answer", edit.target_new),
                ("relation", edit.relation or ""),
                ("verbatim", "yes: the stored text is the answer" if edit.verbatim else ""),
                ("state", status),
                ("valid", validity(edit) if status not in ("forgotten", "undone") else ""),
                ("source", edit.source or ""),
                ("tags", ", ".join(edit.tags)),
                ("namespace", edit.namespace),
                ("recorded", moment(edit.recorded_at) + (f" by {edit.actor}" if edit.actor else "")),
                ("history", "; ".join(told)),
                *(
                    ("version", f"{v.edit.edit_id} ({v.status}): {v.edit.target_new or v.edit.statement}")
                    for v in versions
                    if len(versions) > 1
                ),
            ]
        )

    listed = [{"edit_id": v.edit.edit_id, "status": v.status, "target_new": v.edit.target_new} for v in versions]
    data = {"edit": edit_data(edit), "status": status, "history": history, "versions": listed}
    session.print("scr.show/1", data, text)


@click.command(
    cls=Command,
    short_help="Find the facts nearest to a text.",
    examples="""
        scr search "capital of France"
        scr search "night shift" --limit 3 --json
    """,
)
@click.argument("text")
@click.option("--limit", type=click.IntRange(1, 1000), default=10, show_default=True, metavar="N")
@pass_session
def search(session: Session, text: str, limit: int) -> None:
    """List the facts nearest to TEXT, with their cosine; whether one would fire, "scr why" says."""
    checked(text, "the text", empty='the text is empty; try: scr search "capital of France"')
    store = existing_store(session)
    namespace = session.settings.namespace
    if store is None or not store.edits(namespace):
        _refuse_unknown_namespace(session, store)
        session.print("scr.search/1", {"namespace": namespace, "query": text, "hits": []}, lambda: "")
        if not session.json:
            session.say(f"scr: {nothing_in(namespace, store)}")
        return
    editor = open_editor(session, readable(session, session.settings))
    hits = _nearest(editor, text, limit, namespace)
    session.print(
        "scr.search/1",
        {
            "namespace": namespace,
            "query": text,
            "hits": [{"score": round(score, 6), **edit_data(edit)} for edit, score in hits],
        },
        lambda: table([(f"{s:.2f}", e.edit_id, e.statement) for e, s in hits], ("SCORE", "ID", "FACT")),
    )


def _nearest(editor: Any, text: str, limit: int, namespace: str) -> list[tuple["Edit", float]]:
    """The nearest edits by their better key, nearest first."""
    keys = editor.encoder.encode([text])
    best: dict[str, float] = {}
    for kind in ("statement", "prompt"):
        (hits,) = editor.store.nearest(keys, limit, kind=kind, namespace=namespace)
        for hit in hits:
            best[hit.edit_id] = max(best.get(hit.edit_id, -1.0), hit.score)
    ranked = sorted(best.items(), key=lambda pair: -pair[1])[:limit]
    return [(editor.store.get(edit_id, namespace=namespace), score) for edit_id, score in ranked]


@click.command(
    cls=Command,
    short_help="Remove facts from use.",
    examples="""
        scr rm france --dry-run
        scr rm france -y
        scr rm peru spain --yes --json
    """,
)
@click.argument("edit_ids", metavar="ID...", nargs=-1, required=True, shell_complete=complete_id)
@click.option("--dry-run", is_flag=True, help="Show what would be removed, remove nothing.")
@pass_session
def rm(session: Session, edit_ids: tuple[str, ...], dry_run: bool) -> None:
    """Remove facts from use. All or none; "scr undo" brings them back, and "scr ls --all" still shows them."""
    store = existing_store(session)
    edits = [found(session, store, edit_id) for edit_id in dict.fromkeys(edit_ids)]
    assert store is not None
    for edit in edits:
        status = store.status(edit.edit_id, namespace=edit.namespace)
        if status in ("forgotten", "undone", "superseded"):
            raise EditNotFoundError(f"{edit.edit_id!r} is already {status}; see: scr show {edit.edit_id}")
    if not dry_run:
        listed = "\n".join(f"  {e.edit_id}  {one_line(e.statement, 100)}" for e in edits)
        ask = f"{listed}\nRemove {'this fact' if len(edits) == 1 else f'these {len(edits)} facts'}?"
        if not confirmed(session, ask):
            session.say("scr: nothing was removed")
            return
        store.forget([e.edit_id for e in edits], namespace=session.settings.namespace, actor=user())
    word = "would be removed" if dry_run else "removed"
    session.print(
        "scr.rm/1",
        {"dry_run": dry_run, "namespace": session.settings.namespace, "edits": [edit_data(e) for e in edits]},
        lambda: "\n".join(f"{word}  {e.edit_id}  {one_line(e.statement, 8000)}" for e in edits),
    )


def found(session: Session, store: "EditStore | None", edit_id: str) -> "Edit":
    """The edit of that id.

    Raises:
        EditNotFoundError: there is none; the message names near ones, or the namespace that has it.
    """
    namespace = session.settings.namespace
    checked(edit_id, "the id", empty="the id is empty; scr ls lists them")
    if store is None:
        raise EditNotFoundError(f"no fact {edit_id!r}: {NO_FACTS}")
    try:
        return store.get(edit_id, namespace=namespace)
    except EditNotFoundError as error:
        raise EditNotFoundError(_unknown_id(store, edit_id, namespace)) from error


def _unknown_id(store: "EditStore", edit_id: str, namespace: str) -> str:
    known = [e.edit_id for e in store.edits(namespace)]
    if not known:
        return f"no fact {edit_id!r}; {nothing_in(namespace, store)}"
    for other in namespaces(store):
        if other != namespace and any(e.edit_id == edit_id for e in store.edits(other)):
            return f"no fact {edit_id!r} in namespace {namespace!r}; it is in {other!r}: add -n {other}"
    near = [k for k in known if k.startswith(edit_id)][:3] if len(edit_id) >= 3 else []
    near = near or difflib.get_close_matches(edit_id, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else "scr ls lists them"
    return f"no fact {one_line(edit_id, 60)!r} in namespace {namespace!r}; {hint}"


def _refuse_unknown_namespace(session: Session, store: "EditStore | None") -> None:
    """A namespace that was named and never held anything is a slip, where others exist.

    Raises:
        NothingFoundError: says which there are.
    """
    namespace = session.settings.namespace
    if store is not None and session.chose("namespace") and namespace not in (names := namespaces(store)) and names:
        raise NothingFoundError(nothing_in(namespace, store))
