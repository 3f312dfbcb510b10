"""What did people say about when an edit fires? Allowed and denied queries, and thresholds, kept by the fact.

A correction belongs to a namespace and to the *identity* of an edit, so the version that supersedes it keeps it; where
no version of the fact is valid, it says nothing. Its text stands in the event that made it and in the table; every
other event names it by number, so that a purge of the version for which it was said erases it for good. A correction
stands or it does not: a later one about the same query takes its place, undo turns that round. A threshold was measured
with the keys of one encoder, and says nothing in a store that has another's.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from memory_store.batch import Batch
from memory_store.identity import identity_of, normal
from memory_store.sqlite import Database, Row
from memory_store.versions import Stored

CorrectionKind = Literal["allow", "deny", "threshold", "calibrate"]
KINDS: tuple[CorrectionKind, ...] = ("allow", "deny", "threshold", "calibrate")
"""Of corrections, and of the events that make them."""
_RIVALS: Mapping[str, tuple[str, ...]] = {"allow": ("allow", "deny"), "deny": ("allow", "deny")}
"""Kinds of which one at most stands about one thing; every other kind rivals itself alone."""
EVERY_EDIT = ""
"""The identity of what is said of a whole namespace (``calibrate``)."""
MOST_ALLOWED = 8
"""Edits that allowances bring up for one query, those of the same wording first."""
WORDS_SHARED = 0.5
"""Of two queries' words, how many both must have for an allowance of one to bring up its edit for the other."""

_COLUMNS = "c.id, c.namespace, c.identity, c.kind, c.text, c.about, c.value, c.encoder, e.edit_id"
_FROM = "FROM corrections c LEFT JOIN edits e ON e.row = c.edit"
APPLIES = "c.standing AND (c.encoder IS NULL OR c.encoder IS (SELECT m.value FROM meta m WHERE m.name = 'encoder'))"
"""For a query over corrections c: those that stand and do not belong to another encoder."""


@dataclass(frozen=True, slots=True)
class Said:
    """A correction to be made together with the edit that it is about."""

    kind: CorrectionKind
    text: str
    """The query; for ``threshold`` the decider's name."""
    value: float | None = None
    why: Mapping[str, Any] = field(default_factory=dict)
    """What else its event is to keep."""
    encoder: str | None = None
    """Of the threshold; None is the store's own."""


@dataclass(frozen=True, slots=True)
class Correction:
    """One thing that was said about when the versions of a fact fire."""

    id: int
    namespace: str
    identity: str
    """Of the fact, as ``identity_of`` gives it; ``EVERY_EDIT`` for a calibration."""
    kind: CorrectionKind
    text: str
    """The query, as it was given; for ``threshold`` and ``calibrate`` the decider's name."""
    about: str
    """``text`` in its normal form: what equal queries have in common."""
    value: float | None = None
    """The threshold, a probability; None for a query."""
    encoder: str | None = None
    """Whose keys the threshold was measured with; None where it was measured with none."""
    edit_id: str | None = None
    """The version for which it was said."""
    batch: int = 0
    """The write that made it, as ``revert`` numbers it; 0 where it stood already, and when it is read."""


def correct(
    batch: Batch,
    kind: CorrectionKind,
    text: str,
    *,
    namespace: str,
    stored: Stored | None = None,
    value: float | None = None,
    encoder: str | None = None,
    said: Mapping[str, Any] | None = None,
) -> Correction:
    """Let a correction stand, in place of what stood about the same; one that stands already is left as it is.

    Args:
        stored: the version for which it is said; None where it is said of every edit.
        encoder: whose keys a threshold was measured with; of other kinds of correction it is not kept.
        said: what else the event is to keep.
    """
    db, about = batch.db, normal(text)
    identity = EVERY_EDIT if stored is None else identity_of(stored.edit)
    encoder = None if value is None else encoder
    rivals = _RIVALS.get(kind, (kind,))
    rows = db.rows(
        f"SELECT {_COLUMNS} {_FROM} WHERE c.standing AND c.namespace = ? AND c.identity = ? AND c.about = ?"
        f" AND c.encoder IS ? AND c.kind IN ({','.join('?' * len(rivals))})",
        (namespace, identity, about, encoder, *rivals),
    )
    for row in rows:
        there = _read(row)
        if (there.kind, there.value) == (kind, value):
            return there
    edit = None if stored is None else stored.row
    number = db.execute(
        "INSERT INTO corrections (namespace, identity, kind, text, about, value, encoder, edit, standing)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)",
        (namespace, identity, kind, text, about, value, encoder, edit),
    )
    payload = {**(said or {}), "correction": number, "text": text, "value": value, "encoder": encoder}
    batch.event(kind, namespace, payload, row=edit, corrections={number: True, **{row[0]: False for row in rows}})
    edit_id = None if stored is None else stored.edit.edit_id
    return Correction(number, namespace, identity, kind, text, about, value, encoder, edit_id, batch.number)


def standing(db: Database, namespace: str, identities: Sequence[str] | None = None) -> list[Correction]:
    """Return what stands and applies in a namespace, or of some facts there, in the order it was said."""
    where = f"SELECT {_COLUMNS} {_FROM} WHERE {APPLIES} AND c.namespace = ?"
    if identities is None:
        rows = db.rows(where, (namespace,))
    else:
        rows = db.rows_in(f"{where} AND c.identity IN (?)", list(dict.fromkeys(identities)), (namespace,))
    return [_read(row) for row in sorted(rows)]


def numbered(db: Database, numbers: Sequence[int]) -> list[Correction]:
    """Return corrections by their numbers, whether they stand or not."""
    return [_read(row) for row in sorted(db.rows_in(f"SELECT {_COLUMNS} {_FROM} WHERE c.id IN (?)", list(numbers)))]


def allowed(db: Database, namespace: str, texts: Sequence[str], counts: str, values: Sequence[Any]) -> list[list[str]]:
    """Return for each text the edit_ids that it or one much like it is allowed to fire.

    Args:
        counts, values: which windows w count.
    """
    rows = db.rows(
        "SELECT about, identity FROM corrections WHERE standing AND namespace = ? AND kind = 'allow' ORDER BY id",
        (namespace,),
    )
    if not rows:
        return [[] for _ in texts]
    near = [_nearest(normal(text), rows) for text in texts]
    ids: dict[str, list[str]] = {}
    for identity, edit_id in db.rows_in(
        "SELECT e.identity, e.edit_id FROM edits e JOIN windows w ON w.edit = e.row"
        f" WHERE e.namespace = ? AND {counts} AND e.identity IN (?)",
        list({identity for found in near for identity in found}),
        (namespace, *values),
    ):
        ids.setdefault(identity, []).append(edit_id)
    return [[edit_id for identity in found for edit_id in ids.get(identity, [])] for found in near]


def _nearest(text: str, rows: Sequence[Row]) -> list[str]:
    """The identities of allowances that share most words with a text; an equal one comes first, whatever the rest."""
    shares: dict[str, float] = {}
    for about, identity in rows:
        share = 2.0 if about == text else words_shared(text, about)
        if share >= WORDS_SHARED:
            shares[identity] = max(share, shares.get(identity, 0.0))
    return sorted(shares, key=lambda identity: -shares[identity])[:MOST_ALLOWED]


def words_shared(one: str, other: str) -> float:
    """Return how many of two normal forms' words both have, in [0, 1].

    >>> words_shared("who runs acme", "who runs acme now")
    0.75
    """
    words, others = set(one.split()), set(other.split())
    return len(words & others) / max(len(words | others), 1)


def said_of(db: Database, namespace: str, edit_ids: Sequence[str]) -> dict[str, list[Correction]]:
    """Return what applies to each edit, and to every edit; edits of which nothing was said are left out."""
    if db.value("SELECT 1 FROM corrections WHERE standing AND namespace = ? LIMIT 1", (namespace,)) is None:
        return {}
    of_every = standing(db, namespace, [EVERY_EDIT])
    found = {edit_id: list(of_every) for edit_id in edit_ids} if of_every else {}
    rows = db.rows_in(
        f"SELECT {_COLUMNS}, of.edit_id {_FROM} JOIN edits of ON of.namespace = c.namespace"
        f" AND of.identity = c.identity WHERE {APPLIES} AND of.namespace = ? AND of.edit_id IN (?)",
        list(edit_ids),
        (namespace,),
    )
    for *row, edit_id in sorted(rows):
        found.setdefault(edit_id, []).append(_read(tuple(row)))
    return found


def changed_by(db: Database, batch: int, namespace: str, target: int | None = None) -> dict[int, bool]:
    """Return which corrections a batch changed (of an undo or redo: its events about ``target``), and whether each
    stood before."""
    before: dict[int, bool] = {}
    for (payload,) in db.rows(
        "SELECT p.payload FROM events e JOIN payloads p ON p.seq = e.seq WHERE e.batch = ? AND e.namespace = ?"
        " AND (e.target IS NULL OR e.target = ?) ORDER BY e.seq",
        (batch, namespace, target),
    ):
        for number, stands in json.loads(payload).get("corrections", {}).items():
            before.setdefault(int(number), not stands)
    there = {number for (number,) in db.rows_in("SELECT id FROM corrections WHERE id IN (?)", list(before))}
    return {number: stood for number, stood in before.items() if number in there}


def erase_said_for(db: Database, rows: Sequence[int], dropped: Iterable[str]) -> dict[str, int | None]:
    """Delete what was said for versions; return what an event has to say of it, and of what it had replaced.

    Args:
        dropped: the payloads that go with the versions.
    """
    gone = [number for (number,) in db.rows_in("SELECT id FROM corrections WHERE edit IN (?)", rows)]
    db.execute_many("DELETE FROM corrections WHERE id = ?", [(number,) for number in gone])
    touched = {int(number) for payload in dropped for number in json.loads(payload).get("corrections", {})}
    left = db.rows_in("SELECT id, standing FROM corrections WHERE id IN (?)", sorted(touched - set(gone)))
    return {str(number): None for number in gone} | {str(number): stands for number, stands in left}


def _read(row: Row) -> Correction:
    return Correction(*row)


__all__ = ["APPLIES", "EVERY_EDIT", "KINDS", "Correction", "CorrectionKind", "Said"]
