"""What would the memory find if these edits were stored? The reading half of a store with a few edits laid over it.

Nothing is written: the store below is asked as ever, the new edits are compared with the query directly, and the edits
whose place they would take are left out. ``recall`` takes it in a store's place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np

from memory_store.corrections import WORDS_SHARED, Correction, words_shared
from memory_store.edit import DEFAULT_NAMESPACE, Edit, Hit
from memory_store.identity import identity_of, names_of, normal, spans_of
from memory_store.store import LONGEST_MENTION, EditStore
from scr.protocols import Keys


class Overlaid:
    """A store as it would answer with some more edits, all of one namespace."""

    def __init__(
        self, store: EditStore, edits: Sequence[Edit], keys: Mapping[str, Keys], replaced: Sequence[str] = ()
    ) -> None:
        """Lay edits over a store.

        Args:
            edits: each with an edit_id of its own.
            keys: kind to unit rows, shape (len(edits), d_key), as ``put`` takes them.
            replaced: edit_ids of stored edits whose place they would take.
        """
        self._store = store
        self._edits = {edit.edit_id: edit for edit in edits}
        self._keys = keys
        self._replaced = frozenset(replaced) | self._edits.keys()

    def mentioned(
        self,
        texts: Sequence[str],
        *,
        namespace: str = DEFAULT_NAMESPACE,
        as_of: str | datetime | None = None,
        known_at: str | datetime | None = None,
    ) -> list[list[str]]:
        below = self._store.mentioned(texts, namespace=namespace, as_of=as_of, known_at=known_at)
        names = {edit_id: set(names_of(edit)) for edit_id, edit in self._edits.items()}
        return [
            [edit_id for edit_id, own in names.items() if own.intersection(spans_of(text, LONGEST_MENTION))]
            + self._left(ids)
            for text, ids in zip(texts, below, strict=True)
        ]

    def allowed(
        self,
        texts: Sequence[str],
        *,
        namespace: str = DEFAULT_NAMESPACE,
        as_of: str | datetime | None = None,
        known_at: str | datetime | None = None,
    ) -> list[list[str]]:
        below = self._store.allowed(texts, namespace=namespace, as_of=as_of, known_at=known_at)
        said = self.corrections_of(list(self._edits), namespace=namespace)
        about = {edit_id: [c.about for c in said[edit_id] if c.kind == "allow"] for edit_id in said}
        return [
            [i for i, ones in about.items() if any(words_shared(normal(text), one) >= WORDS_SHARED for one in ones)]
            + self._left(ids)
            for text, ids in zip(texts, below, strict=True)
        ]

    def nearest(
        self,
        queries: Keys,
        k: int,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        kind: str = "statement",
        as_of: str | datetime | None = None,
        known_at: str | datetime | None = None,
    ) -> list[list[Hit]]:
        below = self._store.nearest(
            queries, k + len(self._replaced), namespace=namespace, kind=kind, as_of=as_of, known_at=known_at
        )
        found = []
        for scores, hits in zip(queries @ self._keys[kind].T, below, strict=True):
            own = [Hit(edit_id, float(score)) for edit_id, score in zip(self._edits, scores, strict=True)]
            left = [hit for hit in hits if hit.edit_id not in self._replaced]
            found.append(sorted([*left, *own], key=lambda hit: -hit.score)[:k])
        return found

    def similarities(
        self,
        queries: Keys,
        edit_ids: Sequence[Sequence[str]],
        *,
        namespace: str = DEFAULT_NAMESPACE,
        kind: str = "statement",
    ) -> list[list[float]]:
        stored = [[edit_id for edit_id in ids if edit_id not in self._edits] for ids in edit_ids]
        below = self._store.similarities(queries, stored, namespace=namespace, kind=kind)
        own = np.atleast_2d(queries) @ self._keys[kind].T
        at = {edit_id: column for column, edit_id in enumerate(self._edits)}
        scores = []
        for row, (ids, known) in enumerate(zip(edit_ids, below, strict=True)):
            left = iter(known)
            scores.append([float(own[row, at[i]]) if i in at else next(left) for i in ids])
        return scores

    def get_many(self, edit_ids: Sequence[str], *, namespace: str = DEFAULT_NAMESPACE) -> list[Edit]:
        stored = [edit_id for edit_id in edit_ids if edit_id not in self._edits]
        below = dict(zip(stored, self._store.get_many(stored, namespace=namespace), strict=True))
        return [self._edits[edit_id] if edit_id in self._edits else below[edit_id] for edit_id in edit_ids]

    def corrections_of(
        self, edit_ids: Sequence[str], *, namespace: str = DEFAULT_NAMESPACE
    ) -> dict[str, list[Correction]]:
        stored = [edit_id for edit_id in edit_ids if edit_id not in self._edits]
        own = {
            edit_id: self._store.corrections(namespace, identities=[identity_of(self._edits[edit_id])])
            for edit_id in edit_ids
            if edit_id in self._edits
        }
        return self._store.corrections_of(stored, namespace=namespace) | own

    def _left(self, edit_ids: Sequence[str]) -> list[str]:
        return [edit_id for edit_id in edit_ids if edit_id not in self._replaced]


__all__ = ["Overlaid"]
