"""The same answers as ``ExactIndex``, faster: a flat FAISS index with ids. The only module that imports faiss.

faiss needs care: a wrong width is an AssertionError without text, a repeated id is kept twice, short answers are padded
with id -1; so keys and ids are checked before it sees them.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from memory_store.errors import StoreError
from memory_store.index import Found, Ids, Keys, checked_keys, last_of_each, search_exactly

_SearchParameters: Any = faiss.SearchParameters  # its stub forgets the keywords it takes


class FaissIndex:
    """IndexIDMap2 over IndexFlatIP; searches run on one thread, which is faster and steadier."""

    def __init__(self, d_key: int) -> None:
        self._d_key = d_key
        self._index: Any = faiss.IndexIDMap2(faiss.IndexFlatIP(d_key))
        self._known: set[int] = set()

    @property
    def d_key(self) -> int:
        return self._d_key

    def __len__(self) -> int:
        return len(self._known)

    def add(self, ids: Iterable[int], keys: Keys) -> None:
        new, keys = last_of_each(ids, keys, self._d_key)
        if not len(new):
            return
        self.remove(new.tolist())
        with _translated():
            self._index.add_with_ids(keys, new)
        self._known.update(new.tolist())

    def remove(self, ids: Iterable[int]) -> int:
        there = self._known.intersection(ids)
        if there:
            with _translated():
                self._index.remove_ids(faiss.IDSelectorBatch(np.fromiter(there, np.int64)))
            self._known -= there
        return len(there)

    def search(self, queries: Keys, k: int, *, among: Ids | None = None, without: Ids | None = None) -> list[Found]:
        queries = checked_keys(queries, len(queries), self._d_key, "queries")
        stored, selector = self._selected(among, without)
        parameters = _SearchParameters(sel=selector) if selector is not None else None

        def nearest(queries: Keys, count: int) -> tuple[Ids, Keys]:
            with _translated(), _one_thread():
                scores, ids = self._index.search(queries, count, params=parameters)
            return ids, scores

        def keys_of(wanted: Ids) -> Keys:
            with _translated():
                keys: Keys = self._index.reconstruct_batch(wanted)
            return keys

        return search_exactly(queries, k, stored, nearest, keys_of)

    def _selected(self, among: Ids | None, without: Ids | None) -> tuple[int, Any]:
        """Return how many ids count, and the faiss selector that admits just those."""
        if among is not None:
            allowed = self._known.intersection(among.tolist())
            if without is not None:
                allowed.difference_update(without.tolist())
            return len(allowed), faiss.IDSelectorBatch(np.fromiter(allowed, np.int64))
        if without is not None:
            refused = self._known.intersection(without.tolist())
            if refused:
                batch = faiss.IDSelectorBatch(np.fromiter(refused, np.int64))
                return len(self._known) - len(refused), faiss.IDSelectorNot(batch)
        return len(self._known), None


def nearest_codes(queries: NDArray[np.uint8], codes: NDArray[np.uint8], count: int) -> tuple[Ids, NDArray[np.int32]]:
    """Return the rows of ``codes`` that differ in the fewest bits from each query, and in how many bits.

    Both of shape (len(queries), count). Codes of 4, 8, 16, 32 or 64 bytes are compared much faster than others.
    """
    with _translated(), _one_thread():
        differing, rows = faiss.knn_hamming(queries, codes, count, variant="mc")
    return rows.astype(np.int64, copy=False), differing


@contextmanager
def _one_thread() -> Iterator[None]:
    before = faiss.omp_get_max_threads()
    if before == 1:
        yield
        return
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (AssertionError, RuntimeError) as error:
        raise StoreError(
            f"the vector index failed: {error or 'faiss gave no reason'}; run: scr store doctor"
        ) from error
