"""Nearly the same answers as ``ExactIndex`` for very many keys: one bit for each direction, then exact scores.

A key is centred, rotated at random and kept as its signs, d_key bits, in two parts. A search narrows four times: the
codes whose first part differs least from the query's own; of these the ones that differ least as a whole; of these the
ones along which the query, in full precision, points furthest; of these the exact cosine of the stored float32 keys,
which stay where they are (on disk). So a score is always exact; a neighbour can be missed, rarely. There is no
training, and any id can be removed.
"""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from memory_store.faiss_index import nearest_codes
from memory_store.index import NOISE, Found, Ids, Keys, checked_keys, exact_top, last_of_each

FIRST_PART = 32
"""Bytes of a code that every search reads: the widest that is compared fast and small enough to be read fast."""
NEAREST_FIRST_PARTS = 6_000
"""Codes of which the second part is read too, for up to ten neighbours; more neighbours take more."""
NEAREST_CODES = 1_500
"""Of these, those looked at more closely."""
CANDIDATES = 250
"""Of these, those whose keys are fetched and ranked exactly; fetching is what takes time."""
AMONG = 1_000_000
"""Keys among which the counts above are wanted even for one neighbour; among a tenth of them, half for up to five."""
_FEWER, _LEAST = 0.3, 0.4
_SEED = 20_261_120
_BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[None], axis=0).astype(np.float32)
"""The bits of every byte, the highest first, shape (8, 256)."""

Codes = NDArray[np.uint8]
"""Packed signs, shape (n, bytes)."""
Parts = tuple[Codes, Codes]
"""The first ``FIRST_PART`` bytes of each code, and the others; each part in one piece."""


def part_widths(d_key: int) -> tuple[int, int]:
    """Return the bytes of the two parts of a code; the second is read by eights.

    >>> part_widths(384), part_widths(300), part_widths(20)
    ((32, 16), (32, 8), (3, 0))
    """
    width = -(-d_key // 8)
    return min(width, FIRST_PART), max(0, -(-(width - FIRST_PART) // 8) * 8)


class CodesIndex:
    """A ``VectorIndex`` that holds codes and asks for keys.

    Args:
        keys_of: ids to their keys, in that order; called with the candidates of a search.
        centre: what is taken off a key before its signs count, shape (d_key,); else the mean of the first keys added.
        ids, codes: what it holds from the start, as ``ids`` and ``codes`` gave them.
    """

    def __init__(
        self,
        d_key: int,
        keys_of: Callable[[Ids], Keys],
        *,
        centre: Keys | None = None,
        ids: Ids | None = None,
        codes: Parts | None = None,
    ) -> None:
        self._d_key = d_key
        self._keys_of = keys_of
        self.centre = centre
        self._widths = part_widths(d_key)
        self._rotation = _rotation(d_key, sum(self._widths) * 8)
        self._ids = np.empty(0, np.int64) if ids is None else ids
        first, second = self._widths
        self._first, self._second = codes or (np.empty((0, first), np.uint8), np.empty((0, second), np.uint8))
        self._count = len(self._ids)

    @property
    def d_key(self) -> int:
        return self._d_key

    @property
    def ids(self) -> Ids:
        return self._ids[: self._count]

    @property
    def codes(self) -> Parts:
        return self._first[: self._count], self._second[: self._count]

    def __len__(self) -> int:
        return self._count

    def add(self, ids: Iterable[int], keys: Keys) -> None:
        new, keys = last_of_each(ids, keys, self._d_key)
        if not len(new):
            return
        self.remove(new.tolist())
        if self.centre is None:
            self.centre = keys.mean(axis=0)
        end = self._count + len(new)
        if end > len(self._ids):
            room = max(end, self._count * 5 // 4)
            self._ids, self._first, self._second = (
                np.concatenate([part[: self._count], np.empty((room - self._count, *part.shape[1:]), part.dtype)])
                for part in (self._ids, self._first, self._second)
            )
        codes = np.packbits(self._turned(keys) > 0, axis=1)
        self._ids[self._count : end] = new
        self._first[self._count : end], self._second[self._count : end] = np.split(codes, [self._widths[0]], axis=1)
        self._count = end

    def remove(self, ids: Iterable[int]) -> int:
        holes = np.flatnonzero(np.isin(self.ids, np.fromiter(ids, np.int64)))
        for hole in holes[::-1]:  # the last row moves into the hole
            self._count -= 1
            for part in (self._ids, self._first, self._second):
                part[hole] = part[self._count]
        return len(holes)

    def search(self, queries: Keys, k: int, *, among: Ids | None = None, without: Ids | None = None) -> list[Found]:
        queries = checked_keys(queries, len(queries), self._d_key, "queries")
        refused = np.empty(0, np.int64) if without is None else without
        if among is not None:
            allowed = np.setdiff1d(np.intersect1d(self.ids, among), refused)
            return [self._ranked(query, allowed, k) for query in queries]
        share = max(float(np.clip((self._count / AMONG) ** _FEWER, _LEAST, 1.0)), k / 10)
        if k <= 0 or not self._count or not len(queries):
            return [[] for _ in queries]
        turned = self._turned(queries)  # (queries, bits)
        codes = np.packbits(turned > 0, axis=1)
        count = int(share * (NEAREST_FIRST_PARTS if self._widths[1] else NEAREST_CODES)) + len(refused)
        places, differing = nearest_codes(
            np.ascontiguousarray(codes[:, : self._widths[0]]), self.codes[0], min(count, self._count)
        )  # (queries, count)
        found: list[Found] = []
        for query, direction, code, rows, bits in zip(queries, turned, codes, places, differing, strict=True):
            if len(refused):
                stays = ~np.isin(self._ids[rows], refused)
                rows, bits = rows[stays], bits[stays]
            rows = self._nearest(code, rows, bits, int(share * NEAREST_CODES))
            rows = self._furthest(direction, rows, int(share * CANDIDATES))
            found.append(self._ranked(query, self._ids[rows], k))
        return found

    def _nearest(self, code: Codes, rows: Ids, bits: NDArray[np.int32], count: int) -> Ids:
        """Return the rows that differ least from a code as a whole, where ``bits`` differ in the first part."""
        if len(rows) <= count:
            return rows
        second = self._second.view(np.uint64)[rows]
        for column in np.bitwise_count(second ^ code[self._widths[0] :].view(np.uint64)).T:
            bits = bits + column
        return rows[np.argpartition(bits, count - 1)[:count]]

    def _furthest(self, direction: Keys, rows: Ids, count: int) -> Ids:
        """Return the rows whose signs add up to the most along a query, shape (bits,)."""
        if len(rows) <= count:
            return rows
        codes = np.concatenate([self._first[rows], self._second[rows]], axis=1)
        sums = direction.reshape(-1, 8) @ _BITS  # (bytes, 256): what each byte adds
        places = codes + np.arange(0, sums.size, 256, dtype=np.int32)
        along = np.take(sums.ravel(), places).sum(axis=1)
        return rows[np.argpartition(-along, count - 1)[:count]]

    def _ranked(self, query: Keys, ids: Ids, k: int) -> Found:
        if not len(ids) or k <= 0:
            return []
        keys = self._keys_of(ids)
        scores = keys @ query
        last = np.partition(scores, -min(k, len(ids)))[-min(k, len(ids))]
        close = scores >= last - NOISE
        return exact_top(query, ids[close], keys[close], k)

    def _turned(self, keys: Keys) -> Keys:
        assert self.centre is not None
        turned: Keys = np.matmul(keys - self.centre, self._rotation, dtype=np.float32)
        return turned


def _rotation(d_key: int, bits: int) -> Keys:
    """Orthonormal rows, shape (d_key, bits); always the same."""
    square, _ = np.linalg.qr(np.random.default_rng(_SEED).normal(size=(bits, bits)))
    return square[:d_key].astype(np.float32)
