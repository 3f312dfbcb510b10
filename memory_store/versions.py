"""How does a version stand? Reading the edits and windows that the events have led to."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from memory_store import timeline
from memory_store.edit import Edit, Status
from memory_store.errors import EditNotFoundError
from memory_store.records import COLUMNS, as_edit
from memory_store.sqlite import Database
from memory_store.timeline import Window

EDIT_COLUMNS = ", ".join(f"e.{column}" for column in COLUMNS)
"""For a query over edits e; ``as_edit`` reads them."""
KNOWN_NOW = "w.known_until IS NULL"
"""For a query over windows w."""
VALID = "(w.valid_from IS NULL OR w.valid_from <= ?) AND (w.valid_until IS NULL OR w.valid_until > ?)"
"""For a query over windows w; its two values are the moment."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A version as the database has it: the edit as asked for, and the windows known now."""

    row: int
    edit: Edit
    windows: tuple[Window, ...]


class Versions:
    """All versions of all facts in one database."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def where(self, condition: str, *values: Any) -> list[Stored]:
        """Return versions in stored order."""
        rows = self._db.rows(f"SELECT {EDIT_COLUMNS} FROM edits e WHERE {condition} ORDER BY row", values)
        return [Stored(row[0], as_edit(row), self.windows(row[0])) for row in rows]

    def find(self, namespace: str, edit_id: str) -> Stored | None:
        found = self.where("namespace = ? AND edit_id = ?", namespace, edit_id)
        return found[0] if found else None

    def found(self, namespace: str, edit_id: str) -> Stored:
        """Return a version, or raise EditNotFoundError."""
        return self.all_of(namespace, [edit_id])[0]

    def all_of(self, namespace: str, edit_ids: Sequence[str], *, standing: bool = False) -> list[Stored]:
        """Return every version named, or raise EditNotFoundError for those that are not there, or do not stand."""
        wanted = list(dict.fromkeys(edit_ids))
        rows = self._db.rows_in(
            f"SELECT {EDIT_COLUMNS} FROM edits e WHERE namespace = ? AND edit_id IN (?)", wanted, (namespace,)
        )
        windows: dict[int, list[Window]] = {row[0]: [] for row in rows}
        for row, start, end in self._db.rows_in(
            f"SELECT edit, valid_from, valid_until FROM windows w WHERE {KNOWN_NOW} AND edit IN (?) ORDER BY id",
            list(windows),
        ):
            windows[row].append((start, end))
        edits = [(row[0], as_edit(row)) for row in rows]
        found = {edit.edit_id: Stored(row, edit, tuple(windows[row])) for row, edit in edits}
        there = [found[i] for i in wanted if i in found and (found[i].windows or not standing)]
        if len(there) < len(wanted):
            known = {stored.edit.edit_id for stored in there}
            raise not_found([edit_id for edit_id in wanted if edit_id not in known], namespace)
        return there

    def standing(self, namespace: str, identity: str) -> list[Stored]:
        """Return the versions of one fact that have a window, as known now."""
        has_window = f"EXISTS (SELECT 1 FROM windows w WHERE w.edit = e.row AND {KNOWN_NOW})"
        return self.where(f"namespace = ? AND identity = ? AND {has_window}", namespace, identity)

    def windows(self, row: int) -> tuple[Window, ...]:
        rows = self._db.rows(
            f"SELECT valid_from, valid_until FROM windows w WHERE edit = ? AND {KNOWN_NOW} ORDER BY id", (row,)
        )
        return tuple((start, end) for start, end in rows)

    def windows_before(self, row: int, seq: int) -> tuple[Window, ...]:
        """Return the windows that were known when event ``seq`` came."""
        rows = self._db.rows(
            "SELECT valid_from, valid_until FROM windows"
            " WHERE edit = ? AND known_from < ? AND (known_until IS NULL OR known_until >= ?) ORDER BY id",
            (row, seq, seq),
        )
        return tuple((start, end) for start, end in rows)

    def shown(self, stored: Stored, moment: str) -> Edit:
        """Return the edit with the window to show: that of the moment, the next, the last, or the last there was."""
        window = timeline.shown(stored.windows, moment)
        if window is None:
            rows = self._db.rows(
                "SELECT valid_from, valid_until FROM windows WHERE edit = ? ORDER BY known_until DESC LIMIT 1",
                (stored.row,),
            )
            window = rows[0] if rows else (stored.edit.valid_from, stored.edit.valid_until)
        return replace(stored.edit, valid_from=window[0], valid_until=window[1])

    def status(self, stored: Stored, moment: str) -> Status:
        window = timeline.shown(stored.windows, moment)
        if window is None:
            closed_by = self._db.value(
                "SELECT v.kind FROM windows w JOIN events v ON v.seq = w.known_until WHERE w.edit = ?"
                " ORDER BY w.known_until DESC LIMIT 1",
                (stored.row,),
            )
            by: dict[str, Status] = {"forget": "forgotten", "undo": "undone", "redo": "forgotten"}
            return by.get(closed_by, "superseded")
        if timeline.contains(window, moment):
            return "live"
        if moment < (window[0] or ""):
            return "scheduled"
        return "expired" if window[1] == stored.edit.valid_until else "superseded"


def not_found(edit_ids: Sequence[str], namespace: str) -> EditNotFoundError:
    listed = ", ".join(repr(edit_id) for edit_id in edit_ids[:5]) + (" …" if len(edit_ids) > 5 else "")
    what = "edit" if len(edit_ids) == 1 else "edits"
    return EditNotFoundError(f"no such {what} in namespace {namespace!r}: {listed}; see: scr ls -n {namespace}")
