"""How is a write taken back? By an event that gives each version the windows it had before, and lets the corrections
stand that stood before.

``undo`` takes batches back from the last to the first, and a redo takes back the last undo, so what is restored is
always the state that followed. ``revert`` takes back one batch from the middle; it is allowed only where no later
write that still stands changed the same facts, so for those facts it is the last one. In the log it is an undo too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from memory_store.batch import Batch
from memory_store.corrections import KINDS, Correction, changed_by, numbered
from memory_store.errors import BatchNotFoundError, ConflictError
from memory_store.sqlite import Database
from memory_store.timeline import last_end
from memory_store.versions import Versions

WRITES = ("put", "forget", *KINDS)
"""Kinds of events that can be taken back."""
_WRITES = f"({', '.join(map(repr, WRITES))})"


@dataclass(frozen=True, slots=True)
class Reverted:
    """What ``undo``, ``redo`` or ``revert`` did with one batch."""

    batch: int
    kind: str
    """What the batch was: ``put``, ``forget``, or a correction (``allow``, ``deny``, ``threshold``, ``calibrate``)."""
    closed: tuple[str, ...]
    """edit_ids that no longer hold, or no longer as long."""
    reopened: tuple[str, ...]
    """edit_ids that hold again, or longer than before."""
    unsaid: tuple[Correction, ...] = ()
    """Corrections that no longer stand."""
    said_again: tuple[Correction, ...] = ()
    """Corrections that stand again."""


def undo(batch: Batch, versions: Versions, count: int, namespace: str | None) -> list[Reverted]:
    """Take back the last ``count`` batches that changed facts or corrections and still stand."""
    done: list[Reverted] = []
    before: int | None = None
    while len(done) < count and (found := _last_standing(batch.db, namespace, before)):
        before, spaces = found
        done.append(_revert(batch, versions, "undo", before, before, spaces))
    return done


def redo(batch: Batch, versions: Versions, count: int, namespace: str | None) -> list[Reverted]:
    """Take back the last ``count`` undos after which nothing was written."""
    done: list[Reverted] = []
    while len(done) < count and (found := _last_undone(batch.db, namespace)):
        target, undone_by, spaces = found
        done.append(_revert(batch, versions, "redo", target, undone_by, spaces))
    return done


def revert(batch: Batch, versions: Versions, target: int, namespace: str | None) -> Reverted:
    """Take back batch ``target``, wherever it stands in the history, as an undo of it would have done.

    Raises:
        BatchNotFoundError: no event of that batch is in the log (of the namespace).
        ConflictError: it is not a write, is taken back already, or a later write that stands touched the same facts.
    """
    db = batch.db
    where = "" if namespace is None else f" in namespace {namespace!r}"
    events = db.rows(
        "SELECT namespace, kind, max(seq) FROM events WHERE batch = ? AND (? IS NULL OR namespace = ?)"
        " GROUP BY namespace, kind ORDER BY min(seq)",
        (target, namespace, namespace),
    )
    if not events:
        raise BatchNotFoundError(f"no batch {target}{where}; see: scr log --all")
    writes = list(dict.fromkeys(space for space, kind, _ in events if kind in WRITES))
    if not writes:
        kind = events[0][1]
        step = {"undo": "scr redo", "redo": "scr undo"}.get(kind)
        what = f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
        raise ConflictError(
            f"batch {target} is {what}, and only puts, forgets and corrections can be taken back"
            + (f"; to turn it round: {step}" if step else "")
        )
    spaces = [space for space in writes if _stands(db, target, space)]
    if not spaces:
        raise ConflictError(f"batch {target} is taken back already{where}; scr redo would bring back the last one")
    for space in spaces:
        if later := _touched_later(db, target, space):
            number, kind, edit_id = later
            thing = "correction" if kind in KINDS else "fact"
            raise ConflictError(
                f"batch {number} ({kind} {edit_id!r}) changed the same {thing} after batch {target}; "
                f"first: scr revert {number}"
            )
    return _revert(batch, versions, "undo", target, target, spaces)


def _stands(db: Database, batch: int, namespace: str) -> bool:
    verdict = "SELECT kind FROM events WHERE target = ? AND namespace = ? ORDER BY seq DESC LIMIT 1"
    return bool(db.value(verdict, (batch, namespace)) != "undo")


def _touched_later(db: Database, target: int, namespace: str) -> tuple[int, str, str] | None:
    """Return the last standing write (batch, kind, edit_id) that came later and changed one of the same facts."""
    first, last = _span(db, target, namespace)
    rows = db.rows(
        "SELECT DISTINCT v.batch, v.kind, other.edit_id FROM windows w JOIN edits e ON e.row = w.edit"
        " JOIN edits other ON other.namespace = e.namespace AND other.identity = e.identity"
        " JOIN windows changed ON changed.edit = other.row"
        " JOIN events v ON v.seq IN (changed.known_from, changed.known_until)"
        " WHERE e.namespace = ? AND (w.known_from BETWEEN ? AND ? OR w.known_until BETWEEN ? AND ?)"
        " AND v.seq > ? AND v.batch > ? AND v.kind IN ('put', 'forget') ORDER BY v.seq DESC, v.edit = other.row DESC",
        (namespace, first, last, first, last, last, target),
    )
    found = ((number, kind, edit_id) for number, kind, edit_id in rows if _stands(db, number, namespace))
    return next(found, None) or _corrected_later(db, target, namespace)


def _corrected_later(db: Database, target: int, namespace: str) -> tuple[int, str, str] | None:
    """Return the last standing batch (number, kind, edit_id) that later changed one of the same corrections."""
    mine = changed_by(db, target, namespace)
    if not mine:
        return None
    rows = db.rows(
        "SELECT DISTINCT v.batch, v.kind, coalesce(e.edit_id, '') FROM events v LEFT JOIN edits e ON e.row = v.edit"
        f" WHERE v.namespace = ? AND v.batch > ? AND v.kind IN ({','.join('?' * len(KINDS))}) ORDER BY v.batch DESC",
        (namespace, target, *KINDS),
    )
    found = (row for row in rows if mine.keys() & changed_by(db, row[0], namespace).keys())
    return next(((n, kind, edit_id) for n, kind, edit_id in found if _stands(db, n, namespace)), None)


def _span(db: Database, batch: int, namespace: str, target: int | None = None) -> tuple[int, int]:
    """Return the first and the last event of a batch in a namespace; of an undo or redo, those about ``target``."""
    ((first, last),) = db.rows(
        "SELECT min(seq), max(seq) FROM events WHERE batch = ? AND namespace = ? AND (target IS NULL OR target = ?)",
        (batch, namespace, target),
    )
    return first, last


def _last_standing(db: Database, namespace: str | None, before: int | None) -> tuple[int, list[str]] | None:
    """Return the last batch, older than ``before``, that is not undone, and the namespaces where it is not."""
    while True:
        before = db.value(
            f"SELECT batch FROM events WHERE kind IN {_WRITES} AND batch < ?"
            " AND (? IS NULL OR namespace = ?) ORDER BY batch DESC LIMIT 1",
            (2**62 if before is None else before, namespace, namespace),
        )
        if before is None:
            return None
        rows = db.rows(
            "SELECT DISTINCT namespace FROM events WHERE batch = ? AND (? IS NULL OR namespace = ?)",
            (before, namespace, namespace),
        )
        spaces = [space for (space,) in rows if _stands(db, before, space)]
        if spaces:
            return before, spaces


def _last_undone(db: Database, namespace: str | None) -> tuple[int, int, list[str]] | None:
    """Return the batch undone last, the batch that undid it, and the namespaces where both still hold."""
    for batch, target in db.rows(
        "SELECT batch, target FROM events WHERE kind = 'undo' AND (? IS NULL OR namespace = ?)"
        " GROUP BY batch, target ORDER BY max(seq) DESC",
        (namespace, namespace),
    ):
        rows = db.rows(
            "SELECT namespace FROM events u WHERE kind = 'undo' AND batch = ? AND target = ?"
            " AND (? IS NULL OR namespace = ?) AND NOT EXISTS (SELECT 1 FROM events later"
            " WHERE later.namespace = u.namespace AND later.seq > u.seq"
            f" AND (later.kind IN {_WRITES} OR later.target = u.target))",
            (batch, target, namespace, namespace),
        )
        if rows:
            return target, batch, [space for (space,) in rows]
    return None


def _revert(batch: Batch, versions: Versions, kind: str, target: int, what: int, spaces: Sequence[str]) -> Reverted:
    """Give every version that batch ``what`` changed the windows it had before, and every correction its standing."""
    closed: list[str] = []
    reopened: list[str] = []
    stood: dict[int, bool] = {}
    for space in spaces:
        first, last = _span(batch.db, what, space, target)
        changed = batch.db.rows(
            "SELECT DISTINCT e.row, e.edit_id FROM windows w JOIN edits e ON e.row = w.edit"
            " WHERE e.namespace = ? AND (w.known_from BETWEEN ? AND ? OR w.known_until BETWEEN ? AND ?)"
            " ORDER BY e.row",
            (space, first, last, first, last),
        )
        before = {row: versions.windows_before(row, first) for row, _ in changed}
        for row, edit_id in changed:
            end, end_before = last_end(versions.windows(row)), last_end(before[row])
            if end_before < end:
                closed.append(edit_id)
            elif end_before > end:
                reopened.append(edit_id)
        said = changed_by(batch.db, what, space, target)
        stood |= said
        batch.event(kind, space, {}, target=target, windows=before, corrections=said)
    kind_of_target = batch.db.value("SELECT kind FROM events WHERE batch = ? LIMIT 1", (target,))
    unsaid, said_again = (
        tuple(numbered(batch.db, [number for number, stands in stood.items() if stands is now]))
        for now in (False, True)
    )
    return Reverted(target, kind_of_target, tuple(closed), tuple(reopened), unsaid, said_again)
