"""How does BalancEdit decide, put into text? Every edit has a radius of its own, set between one text in and one out.

The key of an edit is its prompt's. From the prompt two kinds of texts are made: *positive* ones that ask the same in
other words, *negative* ones that lack either the subject or what is asked of it. With distances d = 1 − cosine from the
key, to the farthest positive and to the nearest negative,

    ε = (1 − a) · d(positive) + a · d(negative)

and a question is in scope when its nearest key lies within that edit's ε. This is the paper's form, the cautious one;
in its code the two weights stand the other way round (``swapped``).

What differs: BalancEdit edits models that see. Its positive is the question asked otherwise about the same image, its
negative the same question about a black one, its key a layer's mean activation, and within the radius a fine-tuned copy
of the layer answers. Here texts are compared by our encoder, and the fact is shown to the frozen model as scr shows it.

Source: arXiv:2505.01343.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from eval.recalled import Asks, Recalled, Shown
from memory_store.edit import Edit, PutResult
from memory_store.errors import ConfigError
from scr.prompting import facts_block

BLANK = "something"


class Radius(Recalled):
    """``radius``; see the module."""

    def __init__(self, bench: Asks, *, a: float = 0.2, swapped: bool = False) -> None:
        """
        Args:
            a: how far from the positive towards the negative the radius ends; the paper uses 0.1 to 0.3.

        Raises:
            ConfigError: ``a`` is no share.
        """
        if not 0 <= a <= 1:
            raise ConfigError(f"a is a share, got {a}")
        super().__init__(bench, k=1)
        self.a, self.swapped = a, swapped
        self.radii: dict[str, float] = {}
        """edit_id → ε, a distance."""

    def key_text(self, edit: Edit) -> str:
        return edit.prompt or edit.statement

    def edit(self, edits: Sequence[Edit]) -> list[PutResult]:
        results = super().edit(edits)
        for edit in edits:
            key = self._keys[edit.edit_id]
            within, without = (
                1 - self.bench.encoder.encode(texts) @ key for texts in (positives(edit), negatives(edit))
            )
            self.radii[edit.edit_id] = radius(float(np.max(within)), float(np.min(without)), self._share)
        return results

    @property
    def _share(self) -> float:
        return 1 - self.a if self.swapped else self.a

    def forget(self, edit_ids: Sequence[str]) -> None:
        super().forget(edit_ids)
        for edit_id in edit_ids:
            del self.radii[edit_id]

    def shown(self, questions: Sequence[str]) -> list[Shown]:
        told: list[Shown] = []
        for question, near in zip(questions, self.nearest(questions), strict=True):
            inside = [edit for edit, cosine in near if 1 - cosine <= self.radii[edit.edit_id]]
            told.append((facts_block([edit.statement for edit in inside]) + question, inside))
        return told

    def __exit__(self, *exc: object) -> None:
        super().__exit__(*exc)
        self.radii.clear()


def radius(positive: float, negative: float, a: float) -> float:
    """
    >>> round(radius(0.1, 0.5, 0.2), 3)
    0.18
    """
    return (1 - a) * positive + a * negative


def positives(edit: Edit) -> list[str]:
    """Texts that ask what the edit's prompt asks.

    >>> positives(Edit(statement="France has the capital Lyon.", prompt="The capital of France is", subject="France"))
    ['Please answer: The capital of France is', 'About France: The capital of is', 'France has the capital Lyon.']
    """
    asked = edit.prompt or edit.statement
    return [f"Please answer: {asked}", f"About {edit.subject}: {_without(asked, edit.subject)}", edit.statement]


def negatives(edit: Edit) -> list[str]:
    """The question about nothing in particular, and the subject of which nothing is asked.

    >>> negatives(Edit(statement="", prompt="The capital of France is", subject="France"))
    ['The capital of something is', 'France']
    """
    asked = edit.prompt or edit.statement
    found = [asked.replace(edit.subject, BLANK) if edit.subject else BLANK, edit.subject or BLANK]
    return [text for text in found if text != asked]


def _without(text: str, subject: str) -> str:
    return " ".join(text.replace(subject, " ").split()) if subject else text


__all__ = ["Radius", "negatives", "positives", "radius"]
