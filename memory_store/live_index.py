"""What is in memory of one namespace's keys, and how does it follow the database?

Derived and never needed for correctness: it is built from the database at the first search and then reads only what
events changed since, whoever wrote them. It holds the versions that are valid now or later; what is not valid at the
moment of a search is excluded inside that search.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from memory_store.events import EventLog
from memory_store.index import Found, Keys, VectorIndex
from memory_store.sqlite import Database
from memory_store.timeline import Window, contains

FLOAT32 = np.dtype("<f4")

_CURRENT = (
    "SELECT v.edit, w.valid_from, w.valid_until, v.data FROM vectors v"
    " JOIN edits e ON e.row = v.edit JOIN windows w ON w.edit = v.edit"
    " WHERE e.namespace = ? AND v.kind = ? AND w.known_until IS NULL"
    " AND (w.valid_until IS NULL OR w.valid_until > ?)"
)
_TOUCHED = "SELECT edit FROM windows WHERE known_from > ? UNION SELECT edit FROM windows WHERE known_until > ?"


class LiveIndex:
    """One index for one namespace and one kind of key, so that no search can reach another namespace."""

    def __init__(
        self, db: Database, log: EventLog, namespace: str, kind: str, empty_index: Callable[[], VectorIndex]
    ) -> None:
        self._db, self._log = db, log
        self._namespace, self._kind = namespace, kind
        self._empty_index = empty_index
        self._index = empty_index()
        self._seq = -1
        self._dated: dict[int, Window] = {}
        """Windows of those rows that are not simply valid from the past on without end."""

    def search(self, queries: Keys, k: int, moment: str) -> list[Found]:
        """Return the nearest rows valid at ``moment``, which must not lie before the last event."""
        self._follow(moment)
        refused = [row for row, window in self._dated.items() if not contains(window, moment)]
        return self._index.search(queries, k, without=np.array(refused, np.int64) if refused else None)

    def _follow(self, moment: str) -> None:
        last = self._log.last_seq()
        if last == self._seq:
            return
        if self._seq >= 0 and self._log.has_since(self._seq, ("purge", "reindex")):  # these leave no windows to follow
            self._index, self._dated, self._seq = self._empty_index(), {}, -1
        if self._seq < 0:
            rows = self._db.rows(_CURRENT, (self._namespace, self._kind, moment))
        else:
            touched = [row for (row,) in self._db.rows(_TOUCHED, (self._seq, self._seq))]
            self._drop(touched)
            rows = self._db.rows_in(f"{_CURRENT} AND v.edit IN (?)", touched, (self._namespace, self._kind, moment))
        self._take(rows, moment)
        self._seq = last

    def _drop(self, rows: list[int]) -> None:
        self._index.remove(rows)
        for row in rows:
            self._dated.pop(row, None)

    def _take(self, rows: list[tuple[Any, ...]], moment: str) -> None:
        for row, start, end, _ in rows:
            if end is not None or (start is not None and start > moment):
                self._dated[row] = (start, end)
        ids = [row for row, *_ in rows]
        self._index.add(ids, keys_from([data for *_, data in rows], self._index.d_key))


def keys_from(blobs: list[bytes], d_key: int) -> Keys:
    """Return stored blobs as keys, shape (len(blobs), d_key)."""
    return np.frombuffer(b"".join(blobs), FLOAT32).reshape(len(blobs), d_key).astype(np.float32, copy=False)


def width_of(blob: bytes) -> int:
    return len(blob) // FLOAT32.itemsize


def to_blob(key: Keys) -> bytes:
    return bytes(np.ascontiguousarray(key, FLOAT32).tobytes())


def make_index(kind: str, d_key: int) -> VectorIndex:
    """Return an empty index: ``exact``, ``faiss``, or ``auto``, which is faiss."""
    makers: dict[str, Callable[[int], VectorIndex]] = {"exact": _exact, "faiss": _faiss, "auto": _faiss}
    return makers[kind](d_key)


def _exact(d_key: int) -> VectorIndex:
    from memory_store.index import ExactIndex

    return ExactIndex(d_key)


def _faiss(d_key: int) -> VectorIndex:
    from memory_store.faiss_index import FaissIndex

    return FaissIndex(d_key)
