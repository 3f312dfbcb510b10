"""``scr store``: the file that holds the memory."""

import os
from typing import TYPE_CHECKING, Any

import click

from scr.cli.opening import NothingFoundError, existing_store, open_store
from scr.cli.options import Group, Session, pass_session
from scr.cli.output import fields, one_line, table

if TYPE_CHECKING:
    from memory_store.store import EditStore

CHECK_FAILED = 5


@click.group(
    cls=Group,
    short_help="Where the memory is, what is in it, whether it is sound.",
    examples="""
        scr store path
        scr store stats
        scr store doctor
    """,
)
def store() -> None:
    """The file that holds the memory: where it is, what is in it, whether it is sound."""


@store.command(
    examples="""
        scr store init
        scr store init -s team.scr
    """
)
@pass_session
def init(session: Session) -> None:
    """Make an empty store; one that is there already is left as it is."""
    path = session.settings.store
    there = os.path.lexists(path)
    open_store(path, create=True).close()
    session.print(
        "scr.store.init/1",
        {"path": str(path), "created": not there},
        lambda: f"{'already there' if there else 'made'}  {path}",
    )


@store.command(
    examples="""
        scr store path
        scr store path --json
    """
)
@pass_session
def path(session: Session) -> None:
    """Print where the store is."""
    place = session.settings.store.absolute()
    session.print("scr.store.path/1", {"path": str(place), "exists": place.is_file()}, lambda: str(place))


@store.command(
    examples="""
        scr store stats
        scr store stats --json
    """
)
@pass_session
def stats(session: Session) -> None:
    """Count facts, namespaces and events; show sizes and the encoder."""
    figures = _opened(session).stats()

    def text() -> str:
        size = sum(figures["files"].values())
        head = fields(
            [
                ("store", str(figures["path"])),
                ("facts", f"{figures['live']} in use, {figures['closed']} superseded, removed or not valid now"),
                ("events", str(figures["events"])),
                ("encoder", figures["encoder"] or "none yet: the first fact decides"),
                ("size", f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB"),
                ("head", figures["head"]),
            ]
        )
        rows = [(name, str(n["live"]), str(n["closed"])) for name, n in figures["namespaces"].items()]
        return head + ("\n\n" + table(rows, ("NAMESPACE", "IN USE", "CLOSED"), flexible=0) if rows else "")

    session.print("scr.store.stats/1", figures, text)


@store.command(
    examples="""
        scr store doctor
        scr store doctor --repair
    """
)
@click.option("--repair", is_flag=True, help="Mend what can be derived again.")
@pass_session
def doctor(session: Session, repair: bool) -> None:
    """Look for damage in the store. Ends with 5 where something is left that is not sound."""
    findings = _opened(session).doctor(repair=repair)
    left = [f for f in findings if not f.repaired]
    data: list[dict[str, Any]] = [{"what": f.what, "fix": f.fix, "repaired": f.repaired} for f in findings]

    def text() -> str:
        if not findings:
            return "sound: the file, the log, and what is derived from them"
        return "\n".join(
            f"{'repaired' if f.repaired else 'found'}: {one_line(f.what)}" + ("" if f.repaired else f"; {f.fix}")
            for f in findings
        )

    session.print("scr.store.doctor/1", {"sound": not left, "findings": data}, text)
    if left:
        click.get_current_context().exit(CHECK_FAILED)


def _opened(session: Session) -> "EditStore":
    opened = existing_store(session)
    if opened is None:
        raise NothingFoundError(f"no store at {session.settings.store} yet; make it: scr store init")
    return opened
