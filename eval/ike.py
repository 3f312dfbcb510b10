"""How does IKE edit? The new fact stands behind demonstrations of copying, updating and retaining; none are trained on.

1. The demonstrations nearest to the edit, 32 of them: 4 copy a new fact, 12 use it in other words, 16 leave another
   fact alone. Which does what is shuffled, by a seed; the nearest stands last.
2. The edit itself as one more demonstration, and then the question, once more behind the new fact.

Whether the fact has to do with the question is never asked. Of the published code three things differ. It is told which
edit a question belongs to, neighbors included; here that is the stored one nearest to the question, so that this is an
editor and no oracle. Demonstrations are facts about subjects that Atlas neither edits nor asks about, in the pocket
model's training wordings, where it takes CounterFact's rows from 2,000 on. And what does not fit the model's window is
left out, the farthest demonstration first.

Source: Zheng et al., arXiv:2305.12740, and its published code.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from eval.atlas import filled, spare_facts
from eval.recalled import Asks, Recalled, Shown
from memory_store.edit import Edit
from scr.pocket.facts import Fact
from scr.pocket.wordings import wordings

Use = Literal["copy", "update", "retain"]
SLOTS: tuple[Use, ...] = ("copy",) * 4 + ("update",) * 12 + ("retain",) * 16


@dataclass(frozen=True, slots=True)
class Demonstration:
    """One fact that was changed, and what may be asked beside it."""

    fact: str
    """The new fact as one sentence without its full stop."""
    prompt: str
    answer: str
    paraphrase: str
    neighbor: str
    """A question about another subject, and its true answer, which stays."""
    neighbor_answer: str

    def shown(self, use: Use) -> str:
        """
        >>> one = Demonstration("Rome is in Gaul", "Rome is in", "Gaul", "Where is Rome?", "Where is Oslo?", "Norway")
        >>> print(one.shown("retain"))
        New Fact: Rome is in Gaul
        Prompt: Where is Oslo? Norway
        """
        asked, said = {
            "copy": (self.prompt, self.answer),
            "update": (self.paraphrase, self.answer),
            "retain": (self.neighbor, self.neighbor_answer),
        }[use]
        return f"New Fact: {self.fact}\nPrompt: {asked} {said}"


class Ike(Recalled):
    """``ike``; see the module."""

    def __init__(
        self,
        bench: Asks,
        demonstrations: Sequence[Demonstration] | None = None,
        *,
        seed: int = 0,
        fits: Callable[[str], bool] = lambda _text: True,
    ) -> None:
        """
        Args:
            demonstrations: what is chosen from; None makes them of spare facts.
            seed: of what each demonstration does.
            fits: whether a text leaves the model room for an answer.
        """
        super().__init__(bench, k=1)
        self._given, self._seed, self._fits = demonstrations, seed, fits

    @cached_property
    def corpus(self) -> tuple[Sequence[Demonstration], np.ndarray]:
        """All demonstrations and the keys of their facts, shape (demonstrations, d_key)."""
        found = made_demonstrations(self._seed) if self._given is None else list(self._given)
        return found, self.bench.encoder.encode([one.fact for one in found])

    def demonstrated(self, edit: Edit) -> list[str]:
        """Demonstrations for an edit, the nearest last, and the edit's own behind them."""
        found, keys = self.corpus
        scores = keys @ self._keys[edit.edit_id]
        nearest = np.argsort(-scores, kind="stable")[: len(SLOTS)]
        uses = list(SLOTS)
        random.Random(f"{self._seed}-{edit.edit_id}").shuffle(uses)
        texts = [found[i].shown(use) for i, use in zip(nearest, uses, strict=False)]
        own = Demonstration(stated(edit), edit.prompt, edit.target_new, "", "", "")
        return [*reversed(texts), own.shown("copy")]

    def shown(self, questions: Sequence[str]) -> list[Shown]:
        told: list[Shown] = []
        for question, near in zip(questions, self.retrieved(questions), strict=True):
            if not near:
                told.append((question, []))
                continue
            texts = [*self.demonstrated(near[0]), f"New Fact: {stated(near[0])}\nPrompt: {question}"]
            while len(texts) > 1 and not self._fits("\n\n".join(texts)):
                texts.pop(0)
            told.append(("\n\n".join(texts), near))
        return told


def stated(edit: Edit) -> str:
    """The edit as a fact: prompt and answer, or the statement of an edit that has none."""
    return f"{edit.prompt} {edit.target_new}" if edit.prompt else edit.statement


def made_demonstrations(seed: int = 0) -> list[Demonstration]:
    """One of each spare fact whose relation has another fact to leave alone and another object to change to."""
    facts = spare_facts()
    by_relation: dict[str, list[Fact]] = {}
    for fact in facts:
        by_relation.setdefault(fact.relation, []).append(fact)
    rng = random.Random(f"{seed}-ike")
    made = []
    for fact in facts:
        alike = by_relation[fact.relation]
        objects = sorted({f.object for f in alike} - {fact.object})
        others = [f for f in alike if f.subject != fact.subject]
        if not objects or not others:
            continue
        new, other = rng.choice(objects), rng.choice(others)
        prompt = filled(rng.choice(wordings(fact.relation, "statement", "train")), fact.subject)
        questions = wordings(fact.relation, "question", "train")
        made.append(
            Demonstration(
                f"{prompt} {new}",
                prompt,
                new,
                filled(rng.choice(questions), fact.subject),
                filled(rng.choice(questions), other.subject),
                other.object,
            )
        )
    return made


__all__ = ["SLOTS", "Demonstration", "Ike", "made_demonstrations", "stated"]
