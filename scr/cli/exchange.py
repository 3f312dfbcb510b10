"""Facts by the file: ``scr import`` and ``scr export``."""

import io
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from memory_store.corrections import EVERY_EDIT
from memory_store.errors import ConfigError, ConflictError, InvalidEditError
from memory_store.transfer import CALIBRATED, KINDS, records_to_csv, records_to_lines, said_to_record, to_record
from scr.cli.conflicts import on_conflict_option, open_judging_editor
from scr.cli.opening import existing_store, namespaces, nothing_in, open_store, progress_bar, user
from scr.cli.options import Command, Session, pass_session
from scr.cli.output import edit_data, one_line
from scr.cli.text import checked

if TYPE_CHECKING:
    from memory_store.corrections import Correction
    from memory_store.edit import Edit, PutResult, Version
    from memory_store.importing import Imported
    from memory_store.store import EditStore
    from scr.config import Settings
    from scr.contradiction import OnConflict
    from scr.editor import RetrievalEditor

ERRORS_SHOWN = 20
SECONDS_BETWEEN_REMARKS = 5.0


@click.command(
    "import",
    cls=Command,
    short_help="Add the facts of a file.",
    examples="""
        scr import new-facts.jsonl
        scr import new-facts.csv --dry-run
        scr import new-facts.csv --on-conflict supersede
        scr import counterfact.json --from counterfact --on-error stop
        printf '{"statement": "The capital of Peru is Cusco."}\\n' | scr import -
    """,
)
@click.argument("file")
@click.option("--from", "kind", type=click.Choice(KINDS), default="auto", help="What the file holds (default: look).")
@click.option(
    "--on-error",
    type=click.Choice(["skip", "stop"]),
    default="skip",
    help="After a bad row: go on with the next (default), or end with what came before it.",
)
@on_conflict_option
@click.option("--dry-run", is_flag=True, help="Check every row and show what would happen; store nothing.")
@pass_session
def import_(session: Session, file: str, kind: str, on_error: str, on_conflict: "OnConflict", dry_run: bool) -> None:
    """Add the facts of FILE ("-" is standard input): JSON Lines, a JSON array or CSV with a header.

    Columns and fields have the names that "scr export" gives them; a statement, or a prompt and target_new, is enough.
    Records of CounterFact, zsRE, KnowEdit, MQuAKE and EasyEdit are understood. Rows are stored in batches of 256; what
    was stored stays when the import is interrupted, and running it again goes on where it ended. Where two rows speak
    of the same thing, the later one holds. Where one contradicts a fact in other words ("the capital of France",
    "France's capital city"), --on-conflict decides. With -n, everything goes into that namespace.
    """
    from memory_store.importing import import_file

    checked(file, "the file's name", empty="the file's name is empty; try: scr import facts.jsonl")
    settings = session.settings
    namespace = settings.namespace if session.chose("namespace") else None
    is_new = not os.path.lexists(settings.store)
    with _opened(file) as (source, size):
        if dry_run:
            store = open_store(Path(":memory:") if is_new else settings.store)
            write = _dry(session, store, replace(settings, store=Path(":memory:")) if is_new else settings, on_conflict)
        else:
            _check_start(source, kind)
            editor = open_judging_editor(session, settings)
            store, write = editor.store, partial(editor.edit, on_conflict=on_conflict)
        with _progress(session, size) as show:
            try:
                done = import_file(
                    store,
                    source,
                    kind=kind,
                    namespace=namespace,
                    write=write,
                    on_conflict=on_conflict,
                    skip_errors=on_error == "skip",
                    dry_run=dry_run,
                    actor=user(),
                    progress=show,
                )
            finally:
                if is_new and not dry_run:
                    session.say(f"scr: new store {settings.store}")
    _report(session, done, dry_run, on_conflict)


def _dry(
    session: Session, store: "EditStore", settings: "Settings", on_conflict: "OnConflict"
) -> Callable[..., list["PutResult"]]:
    """A trial write that needs an encoder only for facts that could contradict others."""
    opened: list[RetrievalEditor] = []

    def write(edits: Sequence["Edit"], **options: Any) -> list["PutResult"]:
        if not any(edit.subject and edit.prompt for edit in edits):
            return store.put(edits, **options)
        if not opened:
            opened.append(open_judging_editor(session, settings))
        return opened[0].edit(edits, on_conflict=on_conflict, **options)

    return write


def _report(session: Session, done: "Imported", dry_run: bool, on_conflict: str) -> None:
    counts = {name: done.counts.get(name, 0) for name in ("added", "superseded", "duplicate", "conflict")}
    data = {
        "dry_run": dry_run,
        "records": done.rows,
        "resumed_after": done.resumed_after,
        "edits": counts,
        "on_conflict": on_conflict,
        "contradicting": done.contradicting,
    }

    def text() -> str:
        said = ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "no facts"
        return f"{'would be' if dry_run else 'imported'}  {said}"

    session.print("scr.import/1", {**data, "stopped": done.stopped, "errors": done.errors}, text)
    if done.resumed_after and not session.json:
        session.say(f"scr: went on after {done.resumed_after} records that were in from before")
    if done.contradicting and not session.json:
        what = "took the place of facts in other words" if on_conflict == "supersede" else "contradict a fact kept too"
        session.say(f"scr: {done.contradicting} of them {what}")
    if not done.errors:
        return
    if not session.json:
        for error in done.errors[:ERRORS_SHOWN]:
            session.warn(one_line(error))
        if len(done.errors) > ERRORS_SHOWN:
            session.warn(f"and {len(done.errors) - ERRORS_SHOWN} more bad rows; --json lists all")
        if done.stopped:
            session.warn("stopped at the first bad row; correct it and run again, or add --on-error skip")
    only_conflicts = len(done.errors) == done.counts.get("conflict", 0)
    click.get_current_context().exit((ConflictError if only_conflicts else InvalidEditError).exit_code)


def _check_start(source: BinaryIO, kind: str) -> None:
    """Refuse a file that makes no sense as a whole before an encoder is loaded or a store is made."""
    from memory_store.transfer import read_rows

    next(read_rows(source, kind), None)
    source.seek(0)


@contextmanager
def _opened(file: str) -> Iterator[tuple[BinaryIO, int]]:
    """The file, seekable, and its size in bytes."""
    if file == "-":
        if sys.stdin is None or sys.stdin.closed:
            raise ConfigError("standard input is closed, wanted facts; try: scr import facts.jsonl")
        data = sys.stdin.buffer.read()
        yield io.BytesIO(data), len(data)
        return
    try:
        with open(file, "rb") as source:
            if not source.seekable():
                data = source.read()
                yield io.BytesIO(data), len(data)
            else:
                yield source, os.fstat(source.fileno()).st_size
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}; name a file with facts") from error


@contextmanager
def _progress(session: Session, size: int) -> Iterator[Callable[["Imported", int], None]]:
    """Give a function that says how many facts are committed: as a bar, or now and then as a line."""
    spoken = time.monotonic()
    with progress_bar(session, "import", "fact") as bar:

        def show(done: "Imported", at: int) -> None:
            nonlocal spoken
            bar(done.committed, max(done.committed, int(done.committed * size / max(at, 1))))
            now = time.monotonic()
            if not sys.stderr.isatty() and now - spoken > SECONDS_BETWEEN_REMARKS:
                spoken = now
                session.say(
                    f"scr: {done.committed} facts committed, {min(100, 100 * at // max(size, 1))} % of the file"
                )

        yield show


@click.command(
    cls=Command,
    short_help="Write the facts as text.",
    examples="""
        scr export
        scr export --format csv
        scr export --as-of 2100-01-01
        scr export --known-at 2100-01-01
        scr export --history
        scr export --all-namespaces
    """,
)
@click.option("--format", "form", type=click.Choice(["jsonl", "csv"]), default="jsonl", help="Default: jsonl, exact.")
@click.option("--as-of", metavar="TIME", help="What is valid then, rather than now and later.")
@click.option(
    "--known-at", metavar="TIME", help="As the store stood then; with --as-of, what it held valid at that time."
)
@click.option("--history", is_flag=True, help="Closed versions too, each with its status.")
@click.option("--all-namespaces", "everywhere", is_flag=True, help="The facts of every namespace.")
@pass_session
def export(
    session: Session, form: str, as_of: str | None, known_at: str | None, history: bool, everywhere: bool
) -> None:
    """Write the facts of a namespace to standard output, so that "scr import" reads them back.

    JSON Lines give back every field, under "allow", "deny" and "threshold" what was said about when a fact fires, and
    in a line of its own the thresholds of "scr calibrate". CSV leaves these out; in CSV an empty cell is an absent one.
    """
    for name, time_given in (("--as-of", as_of), ("--known-at", known_at)):
        if time_given is not None and history:
            raise click.UsageError(f"{name} is one time and --history is all of them; choose one")
        if time_given is not None:
            checked(time_given, name, empty=f"{name} is empty; give a time such as 2026-01-01")
    if everywhere and session.chose("namespace"):
        raise click.UsageError("-n is one namespace and --all-namespaces is every one; choose one")
    store, namespace = existing_store(session), session.settings.namespace
    spaces = [namespace] if not everywhere else namespaces(store) if store is not None else []
    found = {space: _records(store, space, as_of, known_at, history) for space in spaces}
    if session.json:
        every = (record for records, _ in found.values() for record in records)
        edits = [{**record["full"], "status": record["status"]} for record in every]
        session.print("scr.export/1", {"namespace": None if everywhere else namespace, "edits": edits}, lambda: "")
        return
    said = {space: _said(store, space) if store is not None and form == "jsonl" else {} for space in spaces}
    shown = (row for space, (records, _) in found.items() for row in _shown(space, records, said[space], history))
    lines = records_to_lines(shown) if form == "jsonl" else records_to_csv(shown, ["status"] if history else [])
    while part := list(islice(lines, 1000)):
        click.echo("\n".join(part))
    if not any(count for _, count in found.values()):
        session.say(f"scr: {nothing_in(namespace, store)}")


def _shown(
    namespace: str, records: Iterable[dict[str, Any]], said: dict[str, dict[str, list[Any]]], history: bool
) -> Iterator[dict[str, Any]]:
    """The records of a namespace as they are written, with what was said of each, and last what holds for every one."""
    for record in records:
        status = {"status": record["status"]} if history else {}
        of_fact = said.get(record["identity"], {}) if record["status"] in ("live", "scheduled") else {}
        yield {**record["edit"], **status, **of_fact}
    if CALIBRATED in (of_every := said.get(EVERY_EDIT, {})):
        yield {CALIBRATED: of_every[CALIBRATED], "namespace": namespace}


def _records(
    store: "EditStore | None", namespace: str, as_of: str | None, known_at: str | None, history: bool
) -> tuple[Iterable[dict[str, Any]], int]:
    """The versions to write, as records, and how many."""
    from memory_store.edit import Version

    versions: list[Version] = []
    if store is not None and (as_of is not None or known_at is not None):
        versions = [Version(edit, "live") for edit in store.edits(namespace, as_of=as_of, known_at=known_at)]
    elif store is not None:
        versions = [v for v in store.versions(namespace) if history or v.status in ("live", "scheduled")]
    return map(_record, versions), len(versions)


def _record(version: "Version") -> dict[str, Any]:
    from memory_store.identity import identity_of

    edit = replace(version.edit)
    return {
        "edit": to_record(edit),
        "full": edit_data(edit),
        "status": version.status,
        "identity": identity_of(edit),
    }


def _said(store: "EditStore", namespace: str) -> dict[str, dict[str, list[Any]]]:
    """What was said of each fact, by its identity, and of every fact, as fields of a record."""
    said: dict[str, list[Correction]] = {}
    for correction in store.corrections(namespace):
        said.setdefault(correction.identity, []).append(correction)
    return {identity: said_to_record(corrections) for identity, corrections in said.items()}
