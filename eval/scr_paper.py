"""How does SCR work as published? Top-k facts without a threshold, the model's own confirmation, then reasoning.

1. The k stored sentences with the largest dot product with the question; no threshold anywhere.
2. The frozen model is shown them, best first, and the question, and is asked to give back the fact that answers it or
   to say that there is none. Its words are read as in the published code: "no relevant information", "no relevant fact"
   or "false" anywhere in them means none; otherwise the words themselves are the fact, and with k = 1 the stored
   sentence is. A fact that itself holds the word "false" is therefore lost; this is kept as it was.
3. With a fact: a prompt of an instruction, the fact and the question. Without: the bare question.

Of the published code two things differ: the encoder is the bench's, whose keys are unit vectors, where the authors take
unnormalised Contriever ones; and questions go through the model's chat template where everyone's do.

Source: He, Song and Sun, arXiv:2503.05212.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, Self

import numpy as np

from memory_store.edit import Edit, PutResult
from memory_store.errors import ConfigError
from scr.protocols import Answer, Judged

if TYPE_CHECKING:
    from scr.protocols import Encoder, LanguageModel

_NONE = ("no relevant information", "no relevant fact", "false")
_PREAMBLE = re.compile(r"^.*?\bfact that best matches[^:.\n]*?\b(?:is|:)\s*:?\s*", re.IGNORECASE | re.DOTALL)


class Asks(Protocol):
    """What of a bench is needed here."""

    @property
    def encoder(self) -> Encoder: ...

    @property
    def language_model(self) -> LanguageModel: ...

    def say(self, contents: Sequence[str]) -> list[str]: ...


class ScrPaper:
    """``scr-paper`` (k = 5) and ``scr-paper-k1``; an ``scr.protocols.Editor``."""

    def __init__(self, bench: Asks, *, k: int = 5) -> None:
        """
        Raises:
            ConfigError: ``k`` is not positive.
        """
        if k < 1:
            raise ConfigError(f"k must be at least 1, got {k}")
        self.bench, self.k = bench, k
        self.live: dict[str, Edit] = {}
        self._keys: dict[str, np.ndarray] = {}

    def edit(self, edits: Sequence[Edit]) -> list[PutResult]:
        keys = self.bench.encoder.encode([edit.statement for edit in edits])
        for edit, key in zip(edits, keys, strict=True):
            self.live[edit.edit_id], self._keys[edit.edit_id] = edit, key
        return [PutResult(status="added", edit=edit) for edit in edits]

    def forget(self, edit_ids: Sequence[str]) -> None:
        for edit_id in edit_ids:
            del self.live[edit_id], self._keys[edit_id]

    def retrieved(self, questions: Sequence[str]) -> list[list[Edit]]:
        """The k nearest edits of each question, best first; of equal ones the earlier."""
        if not self.live:
            return [[] for _ in questions]
        names = list(self.live)
        scores = self.bench.encoder.encode(questions) @ np.stack([self._keys[n] for n in names]).T  # (questions, edits)
        order = np.argsort(-scores, axis=1, kind="stable")[:, : self.k]
        return [[self.live[names[i]] for i in row] for row in order]

    def confirmed(self, questions: Sequence[str]) -> list[tuple[str, list[Edit]]]:
        """The fact that goes into the prompt, empty for none, and the edits it came from."""
        found = self.retrieved(questions)
        asked = [i for i, edits in enumerate(found) if edits]
        prompts = [confirmation(questions[i], [e.statement for e in found[i]]) for i in asked]
        facts: list[tuple[str, list[Edit]]] = [("", []) for _ in questions]
        for i, verdict in zip(asked, self.bench.say(prompts), strict=True):
            fact = read_verdict(verdict)
            if fact:
                facts[i] = (found[i][0].statement if self.k == 1 else fact, found[i])
        return facts

    def answer(self, prompts: Sequence[str]) -> list[Answer]:
        facts = self.confirmed(prompts)
        texts = self.bench.say([reasoning(p, fact) if fact else p for p, (fact, _) in zip(prompts, facts, strict=True)])
        return [
            Answer(text, "context" if fact else "base", used=tuple(Judged(e, 1.0) for e in told_by(fact, edits)))
            for text, (fact, edits) in zip(texts, facts, strict=True)
        ]

    def log_likelihood(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, int, bool]]:
        prompts = list(dict.fromkeys(prompt for prompt, _ in pairs))
        facts = dict(zip(prompts, (fact for fact, _ in self.confirmed(prompts)), strict=True))
        shown: Callable[[str], str] = lambda p: reasoning(p, facts[p]) if facts[p] else p  # noqa: E731
        return self.bench.language_model.log_likelihood([(shown(prompt), text) for prompt, text in pairs])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.live.clear()
        self._keys.clear()


def confirmation(question: str, facts: Sequence[str]) -> str:
    """What the model is asked before it answers."""
    listed = "\n".join(facts)
    return (
        f"Facts:\n{listed}\n\nQuestion: {question}\n\nGive the one fact above that best matches the core knowledge of "
        'the question, word for word. If none does, say "No relevant fact".\nFact:'
    )


def read_verdict(text: str) -> str:
    """The fact that the model gave back; empty for none.

    >>> read_verdict("There is no relevant fact here."), read_verdict("The fact that best matches is: Rome is big.")
    ('', 'Rome is big.')
    >>> read_verdict("The True or False show began in 1988.")  # as published: the word alone decides
    ''
    """
    if any(mark in text.lower() for mark in _NONE):
        return ""
    return _PREAMBLE.sub("", text).strip()


def reasoning(question: str, fact: str) -> str:
    """What the model is asked with a fact."""
    return f"Answer the question from this fact.\nFact: {fact}\nQuestion: {question}\nAnswer:"


def told_by(fact: str, edits: Sequence[Edit]) -> list[Edit]:
    """The retrieved edits in the order of blame: the one whose sentence the fact is, else the nearest one."""
    if not fact:
        return []
    same = [edit for edit in edits if edit.statement.strip().casefold() == fact.strip().casefold()]
    return (same or list(edits))[:1]


__all__ = ["ScrPaper", "confirmation", "read_verdict", "reasoning"]
