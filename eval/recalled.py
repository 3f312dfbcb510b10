"""What do memory-based methods share? Edits under the key of their statement, and what a question is shown as.

A method says for each question which text the model reads in its place and which edits that text comes from; answers
and likelihoods follow from it. Nearness is the dot product of unit keys; there is no threshold here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np

from memory_store.edit import Edit, PutResult
from memory_store.errors import ConfigError
from scr.protocols import Answer, Judged

if TYPE_CHECKING:
    from scr.protocols import Encoder, LanguageModel

Shown = tuple[str, Sequence[Edit]]
"""What the model reads instead of the question, and the edits in it in the order of blame; none: the bare question."""


class Asks(Protocol):
    """What of a bench is needed here."""

    @property
    def encoder(self) -> Encoder: ...

    @property
    def language_model(self) -> LanguageModel: ...

    def say(self, contents: Sequence[str]) -> list[str]: ...

    def forced(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, int, bool]]: ...


class Recalled(ABC):
    """A list of edits with their keys; an ``scr.protocols.Editor`` once ``shown`` is there."""

    def __init__(self, bench: Asks, *, k: int) -> None:
        """
        Raises:
            ConfigError: ``k`` is not positive.
        """
        if k < 1:
            raise ConfigError(f"k must be at least 1, got {k}")
        self.bench, self.k = bench, k
        self.live: dict[str, Edit] = {}
        self._keys: dict[str, np.ndarray] = {}

    @abstractmethod
    def shown(self, questions: Sequence[str]) -> list[Shown]:
        """What the model reads for each question."""

    def key_text(self, edit: Edit) -> str:
        """The text whose key stands for an edit."""
        return edit.statement

    def edit(self, edits: Sequence[Edit]) -> list[PutResult]:
        """Remember edits; one under an ``edit_id`` that is there already takes its place."""
        keys = self.bench.encoder.encode([self.key_text(edit) for edit in edits])
        for edit, key in zip(edits, keys, strict=True):
            self.live[edit.edit_id], self._keys[edit.edit_id] = edit, key
        return [PutResult(status="added", edit=edit) for edit in edits]

    def forget(self, edit_ids: Sequence[str]) -> None:
        for edit_id in edit_ids:
            del self.live[edit_id], self._keys[edit_id]

    def nearest(self, questions: Sequence[str]) -> list[list[tuple[Edit, float]]]:
        """The k nearest edits of each question and their cosines, best first; of equal ones the earlier."""
        if not self.live:
            return [[] for _ in questions]
        names = list(self.live)
        scores = self.bench.encoder.encode(questions) @ np.stack([self._keys[n] for n in names]).T  # (questions, edits)
        order = np.argsort(-scores, axis=1, kind="stable")[:, : self.k]
        return [[(self.live[names[i]], float(row[i])) for i in best] for row, best in zip(scores, order, strict=True)]

    def retrieved(self, questions: Sequence[str]) -> list[list[Edit]]:
        """The k nearest edits of each question, best first."""
        return [[edit for edit, _ in found] for found in self.nearest(questions)]

    def answer(self, prompts: Sequence[str]) -> list[Answer]:
        shown = self.shown(prompts)
        return [
            Answer(text, "context" if edits else "base", used=tuple(Judged(edit, 1.0) for edit in edits))
            for text, (_, edits) in zip(self.said(shown, prompts), shown, strict=True)
        ]

    def said(self, shown: Sequence[Shown], questions: Sequence[str]) -> list[str]:
        """The model's answers to what it reads."""
        return self.bench.say([text for text, _ in shown])

    def log_likelihood(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, int, bool]]:
        return self.bench.language_model.log_likelihood(self._read(pairs))

    def forced(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, int, bool]]:
        return self.bench.forced(self._read(pairs))

    def _read(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
        prompts = list(dict.fromkeys(prompt for prompt, _ in pairs))
        texts = {prompt: text for prompt, (text, _) in zip(prompts, self.shown(prompts), strict=True)}
        return [(texts[prompt], answer) for prompt, answer in pairs]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.live.clear()
        self._keys.clear()


__all__ = ["Asks", "Recalled", "Shown"]
