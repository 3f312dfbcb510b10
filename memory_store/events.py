"""What happened, and can it be proved? An append-only log whose hashes form a chain.

``hash`` covers the hash before it and every column of the event; the payload enters through ``payload_hash``, which is
salted, so that a purge can drop payload and salt and the chain still verifies.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from memory_store.errors import ConfigError
from memory_store.sqlite import Database, Row

UNFOLLOWED = ("purge", "reindex")
"""Events that leave no windows for an index to follow: it is built again."""
GENESIS = "0" * 64
"""The hash before the first event."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened to the store."""

    seq: int
    time: str
    """UTC; strictly later than the batch before."""
    actor: str | None
    kind: str
    """One of the store's own (``put``, ``forget``, ``undo``, ``redo``, ``purge``, ``reindex``, ``import``, ``allow``,
    ``deny``, ``threshold``, ``calibrate``), or what a caller recorded, such as ``apply``."""
    batch: int
    """All events of one call share it."""
    namespace: str
    edit_id: str | None
    """``None`` when the event is about no single edit, or the edit was purged."""
    target: int | None
    """The batch that an undo or a redo is about."""
    hash: str
    payload: Mapping[str, Any] | None
    """``None`` after a purge."""


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """Whether the log is whole and the edits agree with it."""

    ok: bool
    events: int
    head: str
    """Hash of the last event; keep it elsewhere to notice a log cut short."""
    bad_seq: int | None = None
    """The first event that does not fit."""
    why: str = ""


def canonical(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


class EventLog:
    """Appends to and reads the log of one database. Appending is for use inside a transaction only."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def last(self) -> tuple[int, str, str, int]:
        """Return seq, time, hash and batch of the last event."""
        row = self._db.first("SELECT seq, time, hash, batch FROM events ORDER BY seq DESC LIMIT 1")
        return (row[0], row[1], row[2], row[3]) if row else (0, "", GENESIS, 0)

    def last_seq(self) -> int:
        return int(self._db.value("SELECT max(seq) FROM events") or 0)

    def seq_at(self, moment: str) -> int:
        """Return the last event at or before a moment."""
        return int(self._db.value("SELECT max(seq) FROM events WHERE time <= ?", [moment]) or 0)

    def hash_of(self, seq: int) -> str:
        """Return the hash of an event; empty where there is none."""
        return GENESIS if seq == 0 else str(self._db.value("SELECT hash FROM events WHERE seq = ?", [seq]) or "")

    def has_since(self, seq: int, kinds: tuple[str, ...]) -> bool:
        """Whether an event of one of these kinds came after ``seq``."""
        sql = f"SELECT 1 FROM events WHERE seq > ? AND kind IN ({','.join('?' * len(kinds))}) LIMIT 1"
        return self._db.value(sql, (seq, *kinds)) is not None

    def append(
        self,
        kind: str,
        payload: Mapping[str, Any],
        *,
        time: str,
        actor: str | None,
        batch: int,
        namespace: str,
        edit: int | None = None,
        target: int | None = None,
    ) -> int:
        """Append one event and return its seq."""
        seq, _, previous, _ = self.last()
        seq += 1
        try:
            salt, text = os.urandom(16), canonical(payload)
            columns = (seq, time, actor, kind, batch, namespace, edit, target, _payload_hash(salt, text))
            chained = _chained(previous, columns)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"an event {kind!r} cannot hold what it was given ({error}); give texts and numbers"
            ) from error
        self._db.execute(
            "INSERT INTO events (seq, time, actor, kind, batch, namespace, edit, target, payload_hash, hash)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*columns, chained),
        )
        self._db.execute("INSERT INTO payloads (seq, salt, payload) VALUES (?, ?, ?)", (seq, salt, text))
        return seq

    def each(
        self,
        *,
        limit: int | None = None,
        namespace: str | None = None,
        kind: str | None = None,
        edit: int | None = None,
        without: str | None = None,
    ) -> Iterator[Event]:
        """Yield events, the newest first; for use inside a snapshot.

        Args:
            edit: only those about that row.
            without: none of this kind.
        """
        conditions: list[tuple[str, Any]] = [
            ("e.namespace = ?", namespace),
            ("e.kind = ?", kind),
            ("e.edit = ?", edit),
            ("e.kind != ?", without),
        ]
        used = [(sql, value) for sql, value in conditions if value is not None]
        where = f"WHERE {' AND '.join(sql for sql, _ in used)}" if used else ""
        names = ("seq", "time", "actor", "kind", "batch", "namespace", "edit_id", "target", "hash", "payload")
        for row in self._db.each(
            "SELECT e.seq, e.time, e.actor, e.kind, e.batch, e.namespace, edits.edit_id, e.target, e.hash, p.payload"
            " FROM events e LEFT JOIN payloads p ON p.seq = e.seq LEFT JOIN edits ON edits.row = e.edit"
            f" {where} ORDER BY e.seq DESC LIMIT ?",
            [*(value for _, value in used), -1 if limit is None else limit],
        ):
            event = dict(zip(names, row, strict=True))
            yield Event(**{**event, "payload": event["payload"] and json.loads(event["payload"])})

    def verify(self, expect: str | None = None) -> VerifyReport:
        """Walk the chain; ``expect`` is a hash noted earlier that must occur in it."""
        count, previous, purged = 0, GENESIS, self._purged()
        expected = expect is None or expect == GENESIS
        for row in self._db.each(
            "SELECT e.seq, e.time, e.actor, e.kind, e.batch, e.namespace, e.edit, e.target, e.payload_hash, e.hash,"
            " p.salt, p.payload FROM events e LEFT JOIN payloads p ON p.seq = e.seq ORDER BY e.seq"
        ):
            why = _fault(row, count + 1, previous, purged)
            if why:
                return VerifyReport(False, count, previous, row[0], why)
            count, previous = count + 1, row[9]
            expected = expected or previous == expect
        if not expected:
            why = f"no event has the expected hash {expect}; the log was cut short or replaced"
            return VerifyReport(False, count, previous, None, why)
        return VerifyReport(True, count, previous)

    def _purged(self) -> set[int]:
        """seqs whose payload a purge dropped."""
        rows = self._db.rows("SELECT p.payload FROM events e JOIN payloads p ON p.seq = e.seq WHERE e.kind = 'purge'")
        return {seq for (payload,) in rows for seq in json.loads(payload)["dropped"]}


def _payload_hash(salt: bytes, text: str) -> str:
    return hashlib.sha256(salt + text.encode()).hexdigest()


def _chained(previous: str, columns: tuple[Any, ...]) -> str:
    return hashlib.sha256((previous + canonical(columns)).encode()).hexdigest()


def _fault(row: Row, seq: int, previous: str, purged: set[int]) -> str:
    """Say what is wrong with an event, or nothing."""
    columns, found, salt, payload = row[:9], row[9], row[10], row[11]
    if columns[0] != seq:
        return f"event {seq} is missing"
    if _chained(previous, columns) != found:
        return f"event {seq} was changed, or the one before it"
    if payload is None:
        return "" if seq in purged else f"the payload of event {seq} is missing and no purge dropped it"
    if _payload_hash(salt, payload) != columns[8]:
        return f"the payload of event {seq} was changed"
    return ""
