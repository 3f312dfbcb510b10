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
from collections.abc import Sequence

from eval.recalled import Asks, Recalled, Shown
from memory_store.edit import Edit

_NONE = ("no relevant information", "no relevant fact", "false")
_PREAMBLE = re.compile(r"^.*?\bfact that best matches[^:.\n]*?\b(?:is|:)\s*:?\s*", re.IGNORECASE | re.DOTALL)


class ScrPaper(Recalled):
    """``scr-paper`` (k = 5) and ``scr-paper-k1``; an ``scr.protocols.Editor``."""

    def __init__(self, bench: Asks, *, k: int = 5) -> None:
        super().__init__(bench, k=k)

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

    def shown(self, questions: Sequence[str]) -> list[Shown]:
        return [
            (reasoning(question, fact), told_by(fact, edits)) if fact else (question, [])
            for question, (fact, edits) in zip(questions, self.confirmed(questions), strict=True)
        ]


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
