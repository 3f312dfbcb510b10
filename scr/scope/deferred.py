"""Which decider will be asked, perhaps? One that is loaded with the first question, so that none costs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from scr.protocols import Candidate, Decision, Encoder, ScopeClassifier
from scr.scope import DECIDERS, load_scope


class Deferred:
    """The decider ``name`` for a command without a language model; where that is ``llm``, which asks one, ``pair``."""

    def __init__(self, name: str, encoder: Encoder) -> None:
        self._given = "pair" if name == "llm" else name
        self._encoder = encoder

    @property
    def name(self) -> str:
        """As given; of a folder, what its classifier calls itself."""
        return self._given if self._given in DECIDERS else self._inner.name

    @cached_property
    def _inner(self) -> ScopeClassifier:
        return load_scope(self._given, encoder=self._encoder)

    def decide(self, queries: Sequence[str], candidates: Sequence[Sequence[Candidate]]) -> list[Decision]:
        """Decide as the decider does; nothing is loaded for no query."""
        return self._inner.decide(queries, candidates) if queries else []


__all__ = ["Deferred"]
