"""Which stored keys are nearest to a query? The protocol, and the exact reference in numpy.

Rows are edits; a key is a unit float32 vector; a score is a cosine, larger is nearer. Every implementation returns the
same scores to the last bit, because the last step is always ``exact_top``, and breaks ties by the smaller id, which is
the older edit.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from memory_store.errors import ConfigError, DimensionMismatchError

Keys = NDArray[np.float32]
"""Unit rows, shape (n, d_key)."""
Ids = NDArray[np.int64]

Found = list[tuple[int, float]]
"""(id, score), the nearest first."""

UNIT_TOLERANCE = 1e-3
NOISE = 1e-5
"""Scores of one pair from two kernels differ by less than this."""
_AT_ONCE = 64
"""Queries searched together; bounds the memory of a large batch."""


class VectorIndex(Protocol):
    """Keys under ids that the caller chose; an id holds one key."""

    @property
    def d_key(self) -> int: ...

    def __len__(self) -> int: ...

    def add(self, ids: Iterable[int], keys: Keys) -> None:
        """Store keys, shape (len(ids), d_key). Of an id given twice, here or before, the last key stays.

        Raises:
            DimensionMismatchError: the keys have another width.
            ConfigError: a key is not a finite unit row, or there is not one id for each.
        """

    def remove(self, ids: Iterable[int]) -> int:
        """Drop ids, missing ones included, and return how many were there."""

    def search(self, queries: Keys, k: int, *, among: Ids | None = None, without: Ids | None = None) -> list[Found]:
        """Return for each query its ``k`` nearest, fewer only where fewer exist; the nearest first.

        Args:
            queries: shape (n, d_key).
            among: only these ids count; the rest is never looked at.
            without: these ids do not count.
        """


def checked_keys(keys: Keys, rows: int, d_key: int | None, what: str = "keys") -> Keys:
    """Return keys as contiguous float32.

    Raises:
        DimensionMismatchError: the width is not ``d_key``.
        ConfigError: the shape is not (rows, width), or a row is not a finite unit vector.
    """
    keys = np.ascontiguousarray(keys, dtype=np.float32)
    if keys.ndim != 2 or len(keys) != rows:
        raise ConfigError(f"{what} have shape {keys.shape}, wanted ({rows}, {d_key or 'd_key'}): one row for each")
    if d_key is not None and keys.shape[1] != d_key:
        raise DimensionMismatchError(f"{what} are {keys.shape[1]} wide, the stored ones {d_key}; use the same encoder")
    norms = np.linalg.norm(keys, axis=1)
    wrong = np.flatnonzero(~(np.abs(norms - 1) <= UNIT_TOLERANCE))  # NaN is wrong too
    if wrong.size:
        raise ConfigError(f"{what}: row {wrong[0]} has length {norms[wrong[0]]:g}, wanted 1; normalise the rows")
    return keys


def exact_scores(query: Keys, keys: Keys) -> Keys:
    """Return cosines rounded from double precision, so that they depend on nothing but the two vectors.

    Args:
        query: shape (d_key,).
        keys: shape (n, d_key).
    """
    products = keys.astype(np.float64) * query.astype(np.float64)
    scores: Keys = np.clip(products.sum(axis=1), -1.0, 1.0).astype(np.float32)
    return scores


def exact_top(query: Keys, ids: Ids, keys: Keys, k: int) -> Found:
    """Return the ``k`` best of a few candidates."""
    scores = exact_scores(query, keys)
    order = np.lexsort((ids, -scores))[:k]
    return [(int(ids[row]), float(scores[row])) for row in order]


class ExactIndex:
    """The reference: one matrix product for each query."""

    def __init__(self, d_key: int) -> None:
        self._d_key = d_key
        self._ids: Ids = np.empty(0, np.int64)
        self._keys: Keys = np.empty((0, d_key), np.float32)

    @property
    def d_key(self) -> int:
        return self._d_key

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, ids: Iterable[int], keys: Keys) -> None:
        new, keys = last_of_each(ids, keys, self._d_key)
        self.remove(new.tolist())
        self._ids = np.concatenate([self._ids, new])
        self._keys = np.concatenate([self._keys, keys])

    def remove(self, ids: Iterable[int]) -> int:
        stays = ~np.isin(self._ids, np.fromiter(ids, np.int64))
        before = len(self._ids)
        if not stays.all():
            self._ids, self._keys = self._ids[stays], self._keys[stays]
        return before - len(self._ids)

    def search(self, queries: Keys, k: int, *, among: Ids | None = None, without: Ids | None = None) -> list[Found]:
        queries = checked_keys(queries, len(queries), self._d_key, "queries")
        ids, keys = self._ids, self._keys
        if among is not None or without is not None:
            allowed = np.ones(len(ids), bool) if among is None else np.isin(ids, among)
            allowed &= True if without is None else ~np.isin(ids, without)
            ids, keys = ids[allowed], keys[allowed]

        def nearest(queries: Keys, count: int) -> tuple[Ids, Keys]:
            scores = queries @ keys.T  # (queries, stored)
            chosen = np.argpartition(-scores, count - 1, axis=1)[:, :count]
            chosen_scores = np.take_along_axis(scores, chosen, axis=1)
            order = np.argsort(-chosen_scores, axis=1, kind="stable")
            return ids[np.take_along_axis(chosen, order, axis=1)], np.take_along_axis(chosen_scores, order, axis=1)

        def keys_of(wanted: Ids) -> Keys:
            order = np.argsort(ids, kind="stable")
            return keys[order[np.searchsorted(ids, wanted, sorter=order)]]

        return search_exactly(queries, k, len(ids), nearest, keys_of)


def last_of_each(ids: Iterable[int], keys: Keys, d_key: int) -> tuple[Ids, Keys]:
    """Return checked ids and keys with each id once; of a repeated id the last key."""
    given = np.fromiter(ids, np.int64)
    keys = checked_keys(keys, len(given), d_key)
    last = {int(row_id): row for row, row_id in enumerate(given)}
    rows = np.fromiter(last.values(), np.int64)
    return given[rows], keys[rows]


def search_exactly(
    queries: Keys,
    k: int,
    stored: int,
    nearest: Callable[[Keys, int], tuple[Ids, Keys]],
    keys_of: Callable[[Ids], Keys],
) -> list[Found]:
    """Return the exact ``k`` nearest of each query from a search whose scores carry rounding noise.

    More candidates are asked for until the last one is clearly worse than the k-th, so that ties are broken by id
    and not by the kernel.

    Args:
        nearest: (queries, count) to ids and scores, each of shape (queries, count), the nearest first.
        keys_of: ids to their keys.
    """
    k = min(k, stored)
    if k <= 0:
        return [[] for _ in queries]
    found: list[Found] = []
    for start in range(0, len(queries), _AT_ONCE):
        part = queries[start : start + _AT_ONCE]
        for query, ids, scores in zip(part, *nearest(part, min(k + 8, stored)), strict=True):
            while len(ids) < stored and scores[-1] >= scores[k - 1] - NOISE:
                more_ids, more_scores = nearest(query[None], min(len(ids) * 4, stored))
                ids, scores = more_ids[0], more_scores[0]
            close = ids[scores >= scores[k - 1] - NOISE]
            found.append(exact_top(query, close, keys_of(close), k))
    return found
