"""How does EREN edit? It reads in two steps: does any of the notes help, and only then what do they say.

1. The model is shown the five stored statements nearest to the question and is asked whether any helps to answer it.
   Only an answer that begins with "yes" counts.
2. With a yes it answers from the notes, all of them; otherwise it gets the bare question, word for word.

Published, that first step is what keeps questions out of scope as they were: 97 % of them, against 25 % when reading is
one step. What differs: its prompts are those of reading-comprehension data sets, on which flan-t5 was trained (whether
a question is "unanswerable"); here the question is put in words that chat models know. The retriever is our encoder.

Source: Chen et al., arXiv:2403.17431.
"""

from __future__ import annotations

from collections.abc import Sequence

from eval.benchmarks.main_job import normalised
from eval.recalled import Asks, Recalled, Shown


class Eren(Recalled):
    """``eren``; see the module."""

    def __init__(self, bench: Asks, *, k: int = 5) -> None:
        super().__init__(bench, k=k)

    def shown(self, questions: Sequence[str]) -> list[Shown]:
        found = self.retrieved(questions)
        notes = [[edit.statement for edit in edits] for edits in found]
        asked = [i for i, some in enumerate(notes) if some]
        verdicts = dict(
            zip(asked, self.bench.say([relevance(questions[i], notes[i]) for i in asked]), strict=True) if asked else ()
        )
        return [
            (reading(question, notes[i]), found[i]) if says_yes(verdicts.get(i, "")) else (question, [])
            for i, question in enumerate(questions)
        ]


def relevance(question: str, notes: Sequence[str]) -> str:
    """The first step's prompt."""
    return (
        f"{_listed(notes)}\n\nQuestion: {question}\n\nDoes any of these notes help to answer the question? "
        "Say yes or no.\nAnswer:"
    )


def reading(question: str, notes: Sequence[str]) -> str:
    """The second step's prompt."""
    return f"{_listed(notes)}\n\nAnswer the question from these notes.\nQuestion: {question}\nAnswer:"


def says_yes(verdict: str) -> bool:
    """
    >>> says_yes("Yes, the second."), says_yes("No."), says_yes("Yesterday"), says_yes("")
    (True, False, False, False)
    """
    return normalised(verdict).split(" ")[0] == "yes"


def _listed(notes: Sequence[str]) -> str:
    return "Notes:\n" + "\n".join(f"- {note}" for note in notes)


__all__ = ["Eren", "reading", "relevance", "says_yes"]
