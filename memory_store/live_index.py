"""What is in memory of one namespace's keys, and how does it follow the database?

Derived and never needed for correctness: it is built from the database at the first search and then reads only what
events changed since, whoever wrote them. It holds the versions that are valid now or later; what is not valid at the
moment of a search is excluded inside that search.
"""

from bisect import bisect_right
from collections.abc import Callable
from itertools import islice
from typing import Any

import numpy as np

from memory_store.cache_files import cache_path
from memory_store.codes_index import CodesIndex
from memory_store.events import UNFOLLOWED, EventLog
from memory_store.index import Found, Ids, Keys, VectorIndex
from memory_store.index_cache import Cached, read_cache, write_cache
from memory_store.sqlite import IN_MEMORY, Database
from memory_store.timeline import Window, contains

FLOAT32 = np.dtype("<f4")
EXACT_UP_TO = 50_000
"""Rows of a namespace that are searched exactly when the index is chosen by size."""
_AT_ONCE = 20_000
"""Rows read from the database at once."""
_UNKNOWN = ("~", "", np.empty(0, np.int64))

_CURRENT = (
    "SELECT v.edit, w.valid_from, w.valid_until, v.data FROM vectors v"
    " JOIN edits e ON e.row = v.edit JOIN windows w ON w.edit = v.edit"
    " WHERE e.namespace = ? AND v.kind = ? AND w.known_until IS NULL"
    " AND (w.valid_until IS NULL OR w.valid_until > ?)"
)
_COUNT = _CURRENT.replace("v.edit, w.valid_from, w.valid_until, v.data", "count(*)")
_TOUCHED = "SELECT edit FROM windows WHERE known_from > ? UNION SELECT edit FROM windows WHERE known_until > ?"


class LiveIndex:
    """One index for one namespace and one kind of key, so that no search can reach another namespace.

    Args:
        index_kind: ``exact``, ``faiss``, ``codes``, or ``auto``: exact search by faiss, codes beyond ``EXACT_UP_TO``.
        encoder: its fingerprint, which a cache has to name.
    """

    def __init__(
        self, db: Database, log: EventLog, namespace: str, kind: str, index_kind: str, d_key: int, encoder: str | None
    ) -> None:
        self._db, self._log = db, log
        self._namespace, self._kind, self._index_kind = namespace, kind, index_kind
        self._d_key = d_key
        self._about = {"encoder": encoder, "namespace": namespace, "kind": kind, "d_key": d_key}
        self._index: VectorIndex = _exact(d_key)
        self._seq = -1
        self._changed = 0
        """Rows that changed since the cache was written."""
        self._dated: dict[int, Window] = {}
        """Windows of those rows that are not simply valid from the past on without end."""
        self._refused: tuple[str, str, Ids] = _UNKNOWN
        """From when until when these rows, of those held, are not valid."""

    def search(self, queries: Keys, k: int, moment: str) -> list[Found]:
        """Return the nearest rows valid at ``moment``, which must not lie before the last event."""
        self._follow(moment)
        refused = self._refused_at(moment)
        return self._index.search(queries, k, without=refused if len(refused) else None)

    def _refused_at(self, moment: str) -> Ids:
        """Return the rows held that are not valid at a moment; they are looked for only where one begins or ends."""
        since, until, refused = self._refused
        if not since <= moment < until:
            bounds = sorted(bound for window in self._dated.values() for bound in window if bound is not None)
            after = bisect_right(bounds, moment)
            since, until = bounds[after - 1] if after else "", bounds[after] if after < len(bounds) else "~"
            rows = [row for row, window in self._dated.items() if not contains(window, moment)]
            self._refused = since, until, np.array(rows, np.int64)
        return self._refused[2]

    def _follow(self, moment: str) -> None:
        last = self._log.last_seq()
        if last == self._seq:
            return
        if self._seq >= 0 and self._log.has_since(self._seq, UNFOLLOWED):
            self._seq = -1
        if self._seq < 0 and not self._from_cache():
            self._rebuild(moment)
        else:
            self._take_later(moment)
            if self._index_kind == "auto" and self._outgrown():
                self._rebuild(moment)
        self._seq, self._refused = last, _UNKNOWN
        self._to_cache()

    def _outgrown(self) -> bool:
        """Whether the other kind of index fits the size; exact search is kept a little longer, so as not to flap."""
        if isinstance(self._index, CodesIndex):
            return len(self._index) <= EXACT_UP_TO
        return len(self._index) > EXACT_UP_TO * 6 // 5

    def _rebuild(self, moment: str) -> None:
        self._dated = {}
        values = (self._namespace, self._kind, moment)
        many = self._index_kind == "auto" and self._db.value(_COUNT, values) > EXACT_UP_TO
        self._index = make_index("codes" if many else self._index_kind, self._d_key, self._keys_of)
        current = self._db.each(_CURRENT, values)
        while rows := list(islice(current, _AT_ONCE)):
            self._take(rows, moment)
            self._changed += len(rows)

    def _take_later(self, moment: str) -> None:
        """Read again what events have changed since."""
        touched = [row for (row,) in self._db.rows(_TOUCHED, (self._seq, self._seq))]
        self._index.remove(touched)
        for row in touched:
            self._dated.pop(row, None)
        rows = self._db.rows_in(f"{_CURRENT} AND v.edit IN (?)", touched, (self._namespace, self._kind, moment))
        self._take(rows, moment)
        self._changed += len(touched)

    def _take(self, rows: list[tuple[Any, ...]], moment: str) -> None:
        for row, start, end, _ in rows:
            if end is not None or (start is not None and start > moment):
                self._dated[row] = (start, end)
        ids = [row for row, *_ in rows]
        self._index.add(ids, keys_from([data for *_, data in rows], self._d_key))

    def _keys_of(self, ids: Ids) -> Keys:
        blobs = self._db.vectors(ids.tolist(), self._kind)
        return keys_from([blobs[row] for row in ids.tolist()], self._d_key)

    def _from_cache(self) -> bool:
        """Take over a cache that is of this store and can be brought up to date."""
        if self._db.path == IN_MEMORY or self._index_kind not in ("auto", "codes"):
            return False
        cached = read_cache(cache_path(self._db.file, self._namespace, self._kind), self._about, self._d_key)
        if cached is None or self._log.hash_of(cached.seq) != cached.head:
            return False
        if self._log.has_since(cached.seq, UNFOLLOWED):
            return False
        self._index = CodesIndex(self._d_key, self._keys_of, centre=cached.centre, ids=cached.ids, codes=cached.codes)
        self._dated, self._seq, self._changed = cached.dated, cached.seq, 0
        return True

    def _to_cache(self) -> None:
        """Write the cache where there is none yet, or where following events has become long."""
        index = self._index
        if not isinstance(index, CodesIndex) or index.centre is None or self._db.path == IN_MEMORY:
            return
        if self._changed <= len(index) // 50:
            return
        head = self._log.hash_of(self._seq)
        cached = Cached(self._seq, head, self._dated, index.centre, index.ids, index.codes)
        write_cache(cache_path(self._db.file, self._namespace, self._kind), cached, self._about)
        self._changed = 0


def keys_from(blobs: list[bytes], d_key: int) -> Keys:
    """Return stored blobs as keys, shape (len(blobs), d_key)."""
    return np.frombuffer(b"".join(blobs), FLOAT32).reshape(len(blobs), d_key).astype(np.float32, copy=False)


def width_of(blob: bytes) -> int:
    return len(blob) // FLOAT32.itemsize


def to_blob(key: Keys) -> bytes:
    return bytes(np.ascontiguousarray(key, FLOAT32).tobytes())


def make_index(kind: str, d_key: int, keys_of: Callable[[Ids], Keys]) -> VectorIndex:
    """Return an empty index: ``exact``, ``faiss`` (as is ``auto``) or ``codes``, which asks ``keys_of`` for keys."""
    if kind == "exact":
        return _exact(d_key)
    if kind == "codes":
        return CodesIndex(d_key, keys_of)
    from memory_store.faiss_index import FaissIndex

    return FaissIndex(d_key)


def _exact(d_key: int) -> VectorIndex:
    from memory_store.index import ExactIndex

    return ExactIndex(d_key)
