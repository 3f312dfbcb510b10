"""Which texts does a pair decision compare, and whose keys are at hand?

Whether an edit governs a query is read off texts beside the query itself: what each asks and states with the subject
taken out, the clause, the names. ``recall`` knows most of them before anything is encoded, for it knows whom the query
names; so it has their keys made together with the query's, and the decision finds them here. A key is a unit float32
vector.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from scr.protocols import Encoder, Keys
from scr.scope.features import Pair

MOST_AT_HAND = 32_768
"""Texts whose keys are kept: about 60 MB of the default encoder's."""


def compared(pairs: Iterable[Pair]) -> dict[str, None]:
    """Return the texts whose keys the decision on these pairs compares, without the queries themselves."""
    texts: dict[str, None] = {}
    for pair in pairs:
        if pair.match.end > pair.match.start:
            texts[pair.relation] = texts[pair.crop] = texts[pair.edit.relation] = None
            if pair.name_asked:
                texts[pair.name_asked] = texts[pair.name_stated] = None
        if pair.clause != pair.query.text and (pair.edit.edit.prompt or not pair.edit.subjects):
            texts[pair.clause] = None
            texts[pair.edit.prompt.text if pair.edit.edit.prompt else pair.edit.relation] = None
    return texts


class KeysAtHand:
    """Keys of the texts that were compared lately. Texts recur: an edit's with every query that comes near it,
    "Who founded X?" with every X."""

    def __init__(self, most: int = MOST_AT_HAND) -> None:
        self._most = most
        self._keys: OrderedDict[str, NDArray[np.float32]] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._keys)

    def encoded(
        self, encoder: Encoder, texts: Collection[str], beside: Sequence[str] = ()
    ) -> tuple[dict[str, NDArray[np.float32]], Keys]:
        """Return the keys of ``texts`` by text, and rows for the texts ``beside`` them, which are not kept.

        What is not at hand is encoded in one call.
        """
        with self._lock:
            known = {text: self._keys[text] for text in texts if text in self._keys}
            for text in known:
                self._keys.move_to_end(text)
        new = [text for text in texts if text not in known]
        keys = encoder.encode([*beside, *new]) if new or beside else np.zeros((0, encoder.d_key), np.float32)
        # A copy of each row, or one of them would keep the whole batch alive.
        fresh = {text: key.copy() for text, key in zip(new, keys[len(beside) :], strict=True)}
        self.keep(fresh)
        return known | fresh, keys[: len(beside)]

    def keep(self, keys: dict[str, NDArray[np.float32]]) -> None:
        """Have these at hand; those not compared for longest are let go of."""
        with self._lock:
            self._keys |= keys
            while len(self._keys) > self._most:
                self._keys.popitem(last=False)


_AT_HAND: WeakKeyDictionary[Encoder, KeysAtHand] = WeakKeyDictionary()


def at_hand(encoder: Encoder) -> KeysAtHand:
    """Return the keys at hand of an encoder, shared by all who ask for the same one."""
    return _AT_HAND.setdefault(encoder, KeysAtHand())


def looked_at(encoder: Encoder) -> KeysAtHand | None:
    """Return them where a decider compares keys of this encoder; None where none does."""
    return _AT_HAND.get(encoder)


__all__ = ["MOST_AT_HAND", "KeysAtHand", "at_hand", "compared", "looked_at"]
