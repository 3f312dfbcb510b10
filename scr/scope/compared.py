"""Which texts does a pair decision compare, and whose keys are at hand?

Whether an edit governs a query is read off texts beside the query itself: what each asks and states with the subject
taken out, the clause, the names. ``recall`` knows most of them before anything is encoded, for it knows whom the query
names; so it has their keys made together with the query's, and the decision finds them here. A key is a unit float32
vector.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from scr.protocols import Encoder, Keys
from scr.scope.features import Pair

MOST_AT_HAND = 32_768
"""Texts of edits whose keys are kept: about 60 MB of the default encoder's."""
MOST_ASKED = 4_096
"""Texts of queries whose keys are kept until the decision, and for a query that asks the same of another subject."""


@dataclass(frozen=True, slots=True)
class Compared:
    """Texts whose keys a decision compares, each once, in their order; the queries themselves are not among them."""

    asked: dict[str, None] = field(default_factory=dict)
    of_edits: dict[str, None] = field(default_factory=dict)


def compared(pairs: Iterable[Pair]) -> Compared:
    """Return the texts whose keys the decision on these pairs compares."""
    found = Compared()
    for pair in pairs:
        if pair.match.end > pair.match.start:
            found.asked[pair.relation] = found.asked[pair.crop] = None
            found.of_edits[pair.edit.relation] = None
            if pair.name_asked:
                found.asked[pair.name_asked] = None
                found.of_edits[pair.name_stated] = None
        if pair.clause != pair.query.text and (pair.edit.edit.prompt or not pair.edit.subjects):
            found.asked[pair.clause] = None
            found.of_edits[pair.edit.prompt.text if pair.edit.edit.prompt else pair.edit.relation] = None
    return found


class KeysAtHand:
    """Keys of the texts that were compared lately."""

    def __init__(self, most: int = MOST_AT_HAND, most_asked: int = MOST_ASKED) -> None:
        self._of_edits, self._asked = _Latest(most), _Latest(most_asked)
        self._lock = threading.Lock()

    def encoded(
        self, encoder: Encoder, texts: Compared, beside: Sequence[str] = ()
    ) -> tuple[dict[str, NDArray[np.float32]], Keys]:
        """Return the keys of ``texts`` by text, and rows for the texts ``beside`` them, which are not kept.

        What is not at hand is encoded in one call.
        """
        with self._lock:
            known = self._asked.of(texts.asked) | self._of_edits.of(texts.of_edits)
        new = [text for text in texts.asked | texts.of_edits if text not in known]
        keys = encoder.encode([*beside, *new]) if new or beside else np.zeros((0, encoder.d_key), np.float32)
        # A copy of each row, or one of them would keep the whole batch alive.
        known |= {text: key.copy() for text, key in zip(new, keys[len(beside) :], strict=True)}
        with self._lock:
            self._asked.keep({text: known[text] for text in texts.asked})
            self._of_edits.keep({text: known[text] for text in texts.of_edits})
        return known, keys[: len(beside)]

    def keep_asked(self, keys: dict[str, NDArray[np.float32]]) -> None:
        """Have these keys of queries' texts at hand."""
        with self._lock:
            self._asked.keep(keys)


class _Latest(OrderedDict[str, NDArray[np.float32]]):
    """The texts kept last."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def of(self, texts: Iterable[str]) -> dict[str, NDArray[np.float32]]:
        return {text: self[text] for text in texts if text in self}

    def keep(self, keys: dict[str, NDArray[np.float32]]) -> None:
        for text, key in keys.items():
            self[text] = key
            self.move_to_end(text)
        while len(self) > self._most:
            self.popitem(last=False)


_AT_HAND: WeakKeyDictionary[Encoder, KeysAtHand] = WeakKeyDictionary()


def at_hand(encoder: Encoder) -> KeysAtHand:
    """Return the keys at hand of an encoder, shared by all who ask for the same one."""
    try:
        return _AT_HAND.setdefault(encoder, KeysAtHand())
    except TypeError:  # an encoder that cannot be a key; nothing is shared then
        return KeysAtHand()


def looked_at(encoder: Encoder) -> KeysAtHand | None:
    """Return them where a decider compares keys of this encoder; None where none does."""
    try:
        return _AT_HAND.get(encoder)
    except TypeError:
        return None


__all__ = ["MOST_ASKED", "MOST_AT_HAND", "Compared", "KeysAtHand", "at_hand", "compared", "looked_at"]
