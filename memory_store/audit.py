"""Is the store what its events say, and is the file sound? Slow, careful reading for ``verify`` and ``doctor``."""

import contextlib
import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from memory_store.cache_files import caches_of, reached
from memory_store.corrections import EVERY_EDIT, KINDS
from memory_store.errors import StoreFormatError
from memory_store.events import UNFOLLOWED, EventLog, VerifyReport, canonical
from memory_store.identity import names_of, normal
from memory_store.records import COLUMNS, as_edit, as_json
from memory_store.sqlite import IN_MEMORY, Database


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing ``doctor`` noticed."""

    what: str
    fix: str
    """What to do about it."""
    repaired: bool = False


def verified(db: Database, log: EventLog, expect: str | None) -> VerifyReport:
    """Check the chain, then replay it and compare the edits and windows it leads to with those stored."""
    report = log.verify(expect)
    if not report.ok:
        return report
    seq, why = _disagreement(db)
    return replace(report, ok=not why, bad_seq=seq, why=why)


def _disagreement(db: Database) -> tuple[int | None, str]:
    """Return the last event about the first edit that is not what the events say, and what is wrong."""
    windows: dict[int, Any] = {}
    about: dict[int, int] = {}
    said: dict[int, str] = {}
    corrections: dict[int, int | None] = {}
    corrected: dict[int, tuple[Any, ...]] = {}
    for seq, row, kind, payload in db.each(
        "SELECT e.seq, e.edit, e.kind, p.payload FROM events e JOIN payloads p ON p.seq = e.seq ORDER BY e.seq"
    ):
        content = json.loads(payload)
        if kind == "put":
            said[row] = canonical(content["edit"])
        if "correction" in content and kind in KINDS:
            corrected[content["correction"]] = (
                seq,
                kind,
                content["text"],
                content["value"],
                row,
                content.get("encoder"),
            )
        corrections |= {int(number): stands for number, stands in content.get("corrections", {}).items()}
        for edit, spans in content.get("windows", {}).items():
            windows[int(edit)] = spans
            about[int(edit)] = seq
    stored: dict[int, list[list[str | None]]] = {}
    for row, start, end in db.each("SELECT edit, valid_from, valid_until FROM windows WHERE known_until IS NULL"):
        stored.setdefault(row, []).append([start, end])
    rows = set()
    for columns in db.each(f"SELECT {', '.join(COLUMNS)} FROM edits"):
        row = columns[0]
        rows.add(row)
        if said.get(row) != canonical(as_json(as_edit(columns))):
            return about.get(row), f"edit {columns[2]!r} is not what its event says"
        if sorted(map(str, windows.get(row, []))) != sorted(map(str, stored.get(row, []))):
            return about.get(row), f"the validity of edit {columns[2]!r} is not what its events say"
    gone = sorted(row for row in said if row not in rows)
    if gone:
        return about.get(gone[0]), f"an edit that event {about.get(gone[0])} is about is missing"
    return _corrections_disagree(db, corrections, corrected)


def _corrections_disagree(
    db: Database, stands: dict[int, int | None], said: dict[int, tuple[Any, ...]]
) -> tuple[int | None, str]:
    """The same for corrections.

    Args:
        stands: whether each stands, as the events say; None for one that is erased.
        said: of each, the event that made it, and its kind, text, value, edit and encoder; events of stores from
            before name no encoder.
    """
    there = set()
    for number, kind, text, value, edit, encoder, standing, about, identity, of_edit in db.rows(
        "SELECT c.id, c.kind, c.text, c.value, c.edit, c.encoder, c.standing, c.about, c.identity, e.identity"
        " FROM corrections c LEFT JOIN edits e ON e.row = c.edit ORDER BY c.id"
    ):
        there.add(number)
        seq = said[number][0] if number in said else None
        same = seq is not None and said[number][1:5] == (kind, text, value, edit) and stands.get(number) == standing
        same = same and said[number][5] in (encoder, None)
        if not same or about != normal(text) or identity != (of_edit or EVERY_EDIT):
            return seq, f"correction {number} is not what its events say"
    gone = sorted(number for number, standing in stands.items() if standing is not None and number not in there)
    if gone:
        return said.get(gone[0], (None,))[0], f"correction {gone[0]} is missing"
    return None, ""


def examined(db: Database, log: EventLog, now: str, *, repair: bool) -> list[Finding]:
    """Return what is wrong; on ``repair`` the derived table of names is rebuilt, and caches of no use are deleted.

    Args:
        now: the present, an instant.
    """
    restore = "restore a backup, or export what can be read into a new store"
    try:
        damage = [line for (line,) in db.rows("PRAGMA integrity_check(20)") if line != "ok"]
        if damage:
            return [Finding(f"the file is damaged: {line}", restore) for line in damage]
        findings = [
            Finding(f"row {row} of {table} belongs to no edit or event", restore)
            for table, row, *_ in db.rows("PRAGMA foreign_key_check")
        ]
        with db.snapshot():
            report = verified(db, log, None)
        if not report.ok:
            findings.append(Finding(f"the event log does not verify: {report.why}", restore))
        derived = _missing_names(db, repair) + _missing_vectors(db) + _stale_caches(db, log, repair)
        return findings + _wrong_clock(log, now) + derived
    except StoreFormatError as error:
        return [Finding(str(error), restore)]


def _wrong_clock(log: EventLog, now: str) -> list[Finding]:
    """A clock that ran ahead moves the store's present, which never lies before the last event."""
    last = log.last()[1]
    ahead = datetime.fromisoformat(last) - datetime.fromisoformat(now) if last else timedelta()
    if ahead <= timedelta(days=1):
        return []
    what = (
        f"the last event is dated {last}, after this machine's clock ({now}); facts that end before it count as ended"
    )
    return [Finding(what, "set the clock right; if it was another's that was wrong, export the facts into a new store")]


def _missing_names(db: Database, repair: bool) -> list[Finding]:
    with db.transaction() if repair else db.snapshot():
        wanted = {
            (edit.namespace, name, columns[0], name.count(" ") + 1)
            for columns in db.each(f"SELECT {', '.join(COLUMNS)} FROM edits")
            for edit in [as_edit(columns)]
            for name in names_of(edit)
        }
        stored = set(db.rows("SELECT namespace, name, edit, words FROM names"))
        if wanted == stored:
            return []
        if repair:
            db.execute("DELETE FROM names")
            db.execute_many("INSERT INTO names (namespace, name, edit, words) VALUES (?, ?, ?, ?)", sorted(wanted))
    what = f"{len(wanted ^ stored)} entries of the table of names are out of date"
    return [Finding(what, "scr store doctor --repair", repaired=repair)]


def _missing_vectors(db: Database) -> list[Finding]:
    findings = []
    for (kind,) in db.rows("SELECT DISTINCT kind FROM vectors"):
        count = db.value(
            "SELECT count(DISTINCT w.edit) FROM windows w WHERE w.known_until IS NULL"
            " AND NOT EXISTS (SELECT 1 FROM vectors v WHERE v.edit = w.edit AND v.kind = ?)",
            (kind,),
        )
        if count:
            findings.append(
                Finding(f"{count} edits have no {kind} key, so search by meaning cannot find them", "scr store reindex")
            )
    return findings


def _stale_caches(db: Database, log: EventLog, repair: bool) -> list[Finding]:
    """Files that no search will use any more: damaged, of another history, or from before a purge."""
    if db.path == IN_MEMORY:
        return []
    findings = []
    for path in caches_of(db.file):
        with db.snapshot():
            at = None if path.suffix == ".tmp" else reached(path)
            if path.suffix == ".tmp" or (
                at is not None and log.hash_of(at[0]) == at[1] and not log.has_since(at[0], UNFOLLOWED)
            ):
                continue
        if repair:
            with contextlib.suppress(OSError):  # where it cannot be deleted, the finding stays
                path.unlink(missing_ok=True)
        what = f"the index cache {path.name} is damaged or from before a purge, and of no use"
        findings.append(Finding(what, "scr store doctor --repair", repaired=not path.exists()))
    return findings
