"""``scr alias``: other names of what facts are about; given, read from a table, or learnt from allowed questions."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from memory_store.errors import ConfigError, EditNotFoundError
from scr.cli.conflicts import open_judging_editor
from scr.cli.opening import existing_store, nothing_in, readable, user
from scr.cli.options import Command, Session, pass_session
from scr.cli.output import one_line
from scr.cli.text import checked

if TYPE_CHECKING:
    from memory_store.edit import Edit
    from scr.aliases import Named


@click.command(
    cls=Command,
    short_help="Give a subject other names.",
    examples="""
        scr alias France "the Hexagon" Gaul
        scr alias France --json
        scr alias --learn --json
    """,
)
@click.argument("subject", required=False)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option(
    "--from",
    "table",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help='JSON Lines: {"subject": …, "aliases": […]}.',
)
@click.option("--learn", is_flag=True, help="Take the names that people used in questions given to scr allow.")
@pass_session
def alias(session: Session, subject: str | None, names: tuple[str, ...], table: Path | None, learn: bool) -> None:
    """Say that NAMEs mean SUBJECT: all facts about it fire on them, too, from now on; "scr undo" takes it back.

    A name that facts are stored about, or that a table gives to several subjects of which it is like another, is not
    given. Without NAME, show the names there are.
    """
    if sum((bool(names), table is not None, learn)) > 1 or (subject and not names and (table or learn)):
        raise ConfigError("give names, or --from a table, or --learn; one at a time")
    if subject is not None:
        subject = checked(subject, "the subject", empty="the subject is empty; name what the facts are about")
    if not names and table is None and not learn:
        _show(session, subject)
        return
    from scr.aliases import give_names, learnt, read_table

    namespace = session.settings.namespace
    editor = open_judging_editor(session, readable(session, session.settings))
    wanted: dict[str, list[str]]
    if learn:
        wanted = learnt(editor, namespace=namespace)
    elif table is not None:
        wanted = read_table(table)
    else:
        wanted = {str(subject): [checked(name, "a name", empty="a name is empty") for name in names]}
    named = give_names(editor, wanted, namespace=namespace, actor=user())
    if subject is not None and named.unknown:
        raise EditNotFoundError(f"no fact about {subject!r} in namespace {namespace!r}; see: scr alias")
    session.print("scr.alias/1", {"namespace": namespace, **_data(named)}, lambda: _text(named))
    for refused in [] if session.json else named.refused:
        session.warn(f"{one_line(refused.name)} is not given to {one_line(refused.subject)}: {refused.reason}")
    if not session.json and not named.results and not named.refused:
        session.say("scr: already so, or nothing to learn; nothing changed")


def _show(session: Session, subject: str | None) -> None:
    from memory_store.identity import fold

    store = existing_store(session)
    namespace = session.settings.namespace
    live = store.edits(namespace) if store is not None else []
    if subject is not None:
        live = [edit for edit in live if fold(edit.subject) == fold(subject)]
    found = _names(live)
    session.print(
        "scr.aliases/1",
        {"namespace": namespace, "subjects": [{"subject": s, "aliases": names} for s, names in found.items()]},
        lambda: "\n".join(f"{one_line(s)}: {', '.join(map(one_line, names))}" for s, names in found.items()),
    )
    if not found and not session.json:
        session.say('scr: no subject has another name here; give one: scr alias SUBJECT "NAME"')
        if not live and subject is None:
            session.say(f"scr: {nothing_in(namespace, store)}")


def _names(edits: "list[Edit]") -> dict[str, list[str]]:
    """Subjects that have other names, with all of them."""
    found: dict[str, list[str]] = {}
    for edit in edits:
        for name in edit.aliases:
            if name not in found.setdefault(edit.subject, []):
                found[edit.subject].append(name)
    return found


def _data(named: "Named") -> dict[str, Any]:
    return {
        "changed": [
            {"edit_id": r.edit.edit_id, "subject": r.edit.subject, "aliases": list(r.edit.aliases)}
            for r in named.results
        ],
        "refused": [{"subject": r.subject, "name": r.name, "reason": r.reason} for r in named.refused],
        "unknown": list(named.unknown),
        "batch": max((r.batch for r in named.results), default=0),
    }


def _text(named: "Named") -> str:
    return "\n".join(
        f"named  {r.edit.edit_id}  {one_line(r.edit.subject)}: {', '.join(map(one_line, r.edit.aliases))}"
        for r in named.results
    )
