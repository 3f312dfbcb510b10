"""``scr store``: the file that holds the memory."""

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from memory_store.errors import ConfigError
from scr.cli.facts import complete_id, found
from scr.cli.opening import (
    NothingFoundError,
    confirmed,
    existing_store,
    open_store,
    progress_bar,
    quiet_libraries,
    user,
    within_reach,
)
from scr.cli.options import Group, Session, pass_session
from scr.cli.output import fields, one_line, table
from scr.cli.text import checked

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
                ("said", ", ".join(f"{count} {kind}" for kind, count in figures["corrections"].items())),
                ("calibrated", _calibrated(figures["calibrated"])),
                ("events", str(figures["events"])),
                ("encoder", figures["encoder"] or "none yet: the first fact decides"),
                ("size", f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.0f} kB"),
                ("head", figures["head"]),
            ]
        )
        rows = [(name, str(n["live"]), str(n["closed"])) for name, n in figures["namespaces"].items()]
        return head + ("\n\n" + table(rows, ("NAMESPACE", "IN USE", "CLOSED"), flexible=0) if rows else "")

    session.print("scr.store.stats/1", figures, text)


def _calibrated(found: dict[str, dict[str, float]]) -> str:
    """From which probability on facts fire, where "scr calibrate" said so."""
    return "; ".join(
        f"{namespace}: {decider} from {value:.4f} on"
        for namespace, of in found.items()
        for decider, value in of.items()
    )


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


@store.command(
    examples="""
        scr store backup facts-copy.scr
    """
)
@click.argument("file")
@pass_session
def backup(session: Session, file: str) -> None:
    """Write a consistent copy to FILE, while others read and write."""
    checked(file, "the file's name", empty="the file's name is empty; try: scr store backup facts-copy.scr")
    if os.path.lexists(file):
        raise ConfigError(f"{file} is already there; name a new file")
    _opened(session).backup(file)
    session.print("scr.store.backup/1", {"path": file}, lambda: f"copied  {file}")


@store.command(
    examples="""
        scr store reindex
        scr store reindex --encoder hash
    """
)
@click.option("--encoder", metavar="NAME", help="The encoder to go over to (else SCR_ENCODER, else the default).")
@pass_session
def reindex(session: Session, encoder: str | None) -> None:
    """Give every fact new keys: after a change of encoder, or where keys are missing.

    Thresholds that "scr calibrate" or "scr add" measured with one encoder say nothing with another.
    """
    from scr.editor import keys_of
    from scr.encoder import load_encoder

    if encoder is not None:
        checked(encoder, "--encoder", empty="--encoder is empty; give a name, or leave it out")
    opened = _opened(session)
    settings = within_reach(session, session.settings)
    quiet_libraries(session)
    used = load_encoder(settings.encoder, offline=settings.offline, device=settings.device)
    if encoder not in (None, used.fingerprint):
        settings = within_reach(session, replace(settings, encoder=encoder))
        used = load_encoder(encoder, offline=settings.offline, device=settings.device)
    before, head, said = opened.encoder, opened.head(), opened.stats()["corrections"]

    with progress_bar(session, "encode", "fact") as show:
        count = opened.reindex(used.fingerprint, lambda edits: keys_of(used, edits), actor=user(), progress=show)
    set_aside = _fewer(said, opened.stats()["corrections"])
    session.print(
        "scr.store.reindex/1",
        {
            "versions": count,
            "from": before,
            "to": used.fingerprint,
            "head_before": head,
            "thresholds_set_aside": set_aside,
        },
        lambda: f"reindexed  {count} versions of facts with {used.fingerprint}",
    )
    if set_aside and not session.json:
        session.say(
            f"scr: {set_aside} thresholds were measured with {before} and say nothing now; "
            "measure again: scr calibrate --help"
        )


def _fewer(before: Mapping[str, int], after: Mapping[str, int]) -> int:
    """How many thresholds no longer apply."""
    return sum(max(0, before.get(kind, 0) - after.get(kind, 0)) for kind in ("calibrate", "threshold"))


@store.command(
    examples="""
        scr store purge france -y
    """
)
@click.argument("edit_ids", metavar="ID...", nargs=-1, required=True, shell_complete=complete_id)
@click.option("--dry-run", is_flag=True, help="Show what would be erased, erase nothing.")
@pass_session
def purge(session: Session, edit_ids: tuple[str, ...], dry_run: bool) -> None:
    """Erase versions of facts for good, from the log too. This cannot be undone; "scr rm" can."""
    opened = _opened(session)
    edits = [found(session, opened, edit_id) for edit_id in dict.fromkeys(edit_ids)]
    complete = True
    if not dry_run:
        listed = "\n".join(f"  {e.edit_id}  {one_line(e.statement, 100)}" for e in edits)
        if not confirmed(session, f"{listed}\nErase for good? This cannot be undone."):
            session.say("scr: nothing was erased")
            return
        ids = [e.edit_id for e in edits]
        complete = opened.purge(ids, namespace=session.settings.namespace, actor=user()).complete
    session.print(
        "scr.store.purge/1",
        {"dry_run": dry_run, "edit_ids": [e.edit_id for e in edits], "complete": complete},
        lambda: "\n".join(f"{'would be erased' if dry_run else 'erased'}  {e.edit_id}" for e in edits),
    )
    if not complete:
        session.warn("another process still holds old pages of the file; they go when it has ended")


def _opened(session: Session) -> "EditStore":
    opened = existing_store(session)
    if opened is None:
        raise NothingFoundError(f"no store at {session.settings.store} yet; make it: scr store init")
    return opened
