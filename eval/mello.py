"""How does MeLLo answer through several edits? The model asks itself one question after the other, and memory replies.

1. Behind demonstrations of the format the model writes a sub-question and its own answer to it.
2. The stored statement nearest to the sub-question is put below, always; nothing asks whether it has to do with it.
3. The model says whether the two contradict, takes the one or the other as the answer, and goes on with the next
   sub-question or the final answer; at most four rounds, and no answer where the fourth brings none.

``told``: the sub-questions are given, so that only the reading of the facts is left to the model (gold decomposition).

What differs from the paper: demonstrations are ours, about people that there are not; the retriever is our encoder
(Contriever there); demonstrations that do not fit the model's window are left out, the first ones first. The model
continues raw text, as published, also where it has a chat template. It has to keep the format: the built-in model does
not, and gives no answer at all.

Source: Zhong et al., arXiv:2305.14795.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from eval.recalled import Asks, Recalled, Shown
from memory_store.edit import Edit
from memory_store.identity import fold
from scr.protocols import Answer, Hop, Judged, Route

ROUNDS = 4
MOST_TOKENS = 64
"""New tokens of one round."""

DEMONSTRATIONS = (
    """Question: What is the capital of the country in which the wife of Edo Marsh was born?
Sub-question: Who is the wife of Edo Marsh?
Own answer: The wife of Edo Marsh is Lina Vale.
Stored fact: The wife of Edo Marsh is Tess Orme.
The fact contradicts my answer, so the answer is: Tess Orme
Sub-question: In which country was Tess Orme born?
Own answer: Tess Orme was born in Norway.
Stored fact: Pim Hollis was born in Kenya.
The fact does not contradict my answer, so the answer is: Norway
Sub-question: What is the capital of Norway?
Own answer: The capital of Norway is Oslo.
Stored fact: The capital of Norway is Bergen.
The fact contradicts my answer, so the answer is: Bergen
Final answer: Bergen""",
    """Question: Who founded the company that makes the Vexo 3?
Sub-question: Which company makes the Vexo 3?
Own answer: The Vexo 3 is made by Altham Works.
Stored fact: The Vexo 9 is made by Brill and Sons.
The fact does not contradict my answer, so the answer is: Altham Works
Sub-question: Who founded Altham Works?
Own answer: Altham Works was founded by Ina Roth.
Stored fact: Altham Works was founded by Sol Petrie.
The fact contradicts my answer, so the answer is: Sol Petrie
Final answer: Sol Petrie""",
    """Question: Which language is spoken where the author of The Glass Ferry lives?
Sub-question: Who is the author of The Glass Ferry?
Own answer: The author of The Glass Ferry is Odo Lind.
Stored fact: The author of The Glass Ferry is Mara Quill.
The fact contradicts my answer, so the answer is: Mara Quill
Sub-question: Where does Mara Quill live?
Own answer: Mara Quill lives in Lisbon.
Stored fact: Odo Lind lives in Turin.
The fact does not contradict my answer, so the answer is: Lisbon
Sub-question: Which language is spoken in Lisbon?
Own answer: The language spoken in Lisbon is Portuguese.
Stored fact: The language spoken in Basel is German.
The fact does not contradict my answer, so the answer is: Portuguese
Final answer: Portuguese""",
)
_CUE, _ASKS, _ENDS = "Stored fact:", "Sub-question:", "Final answer:"
_SETTLED = re.compile(r"so the answer is:[ \t]*(.+)")


@dataclass(slots=True)
class Talk:
    """One question's transcript."""

    question: str
    steps: Sequence[str] = ()
    """Sub-questions that are given."""
    written: str = ""
    asked: list[tuple[str, Edit | None]] = field(default_factory=list)
    """Sub-questions and what memory replied."""
    settled: list[str] = field(default_factory=list)
    """The answers taken for them."""
    answer: str = ""
    done: bool = False

    @property
    def text(self) -> str:
        return f"Question: {self.question}\n{self.written}"

    def read(self, text: str) -> None:
        """Take in what the model wrote: what it settled for the last sub-question, and its final answer."""
        if len(self.settled) < len(self.asked):
            found = _SETTLED.search(text)
            if found is not None:
                self.settled.append(found.group(1).strip().rstrip("."))
        if _ENDS in text:
            self.answer = (text.partition(_ENDS)[2].strip().splitlines() or [""])[0].strip()
            self.done = True
        self.written += text

    def last_asked(self) -> str:
        """The sub-question that waits for a reply; where there is none, the talk is over."""
        _, found, rest = self.written.rpartition(_CUE)[2].rpartition(_ASKS)
        question = (rest.strip().splitlines() or [""])[0].strip() if found else ""
        self.done = not question or len(self.settled) < len(self.asked)
        return "" if self.done else question

    def hops(self) -> tuple[Hop, ...]:
        return tuple(
            Hop(asked, told, Judged(edit, 1.0) if edit is not None and fold(edit.target_new) == fold(told) else None)
            for (asked, edit), told in zip(self.asked, self.settled, strict=False)
        )


class Mello(Recalled):
    """``mello`` and, told the sub-questions, ``mello-told``; see the module."""

    def __init__(
        self,
        bench: Asks,
        *,
        steps: Callable[[], Mapping[str, Sequence[str]]] | None = None,
        fits: Callable[[str], bool] = lambda text: True,
        rounds: int = ROUNDS,
    ) -> None:
        """
        Args:
            steps: question → its sub-questions, ``{}`` for the answer to the one before; None lets the model ask.
            fits: whether a text leaves the model room for a round.
        """
        super().__init__(bench, k=1)
        self._steps, self._fits, self._rounds = steps, fits, rounds

    def answer(self, prompts: Sequence[str]) -> list[Answer]:
        found = []
        for talk in self.talks(prompts):
            hops = talk.hops()
            used = {hop.judged.edit.edit_id: hop.judged for hop in hops if hop.judged is not None}
            route: Route = "context" if any(edit is not None for _, edit in talk.asked) else "base"
            found.append(Answer(talk.answer, route, used=tuple(used.values()), hops=hops))
        return found

    def shown(self, questions: Sequence[str]) -> list[Shown]:
        return [
            (self._prompt(talk) + _ENDS, [edit for _, edit in talk.asked if edit is not None])
            for talk in self.talks(questions)
        ]

    def talks(self, questions: Sequence[str]) -> list[Talk]:
        """Every question's transcript, brought to its end."""
        if self._steps is not None:
            told = self._steps()
            talks = [Talk(question, steps=told.get(question) or (question,)) for question in questions]
            self._lead(talks)
            return talks
        talks = [Talk(question) for question in questions]
        for _ in range(self._rounds):
            active = [talk for talk in talks if not talk.done]
            for talk, text in zip(active, self._written(active, (_CUE, "Question:")), strict=True):
                talk.read(text)
            self._reply([(talk, talk.last_asked()) for talk in active if not talk.done])
        return talks

    def _lead(self, talks: Sequence[Talk]) -> None:
        """Through the given sub-questions."""
        while active := [talk for talk in talks if not talk.done and len(talk.asked) < len(talk.steps)]:
            asked = [talk.steps[len(talk.asked)].replace("{}", (talk.settled or [""])[-1]) for talk in active]
            for talk, question in zip(active, asked, strict=True):
                talk.written += f"{_ASKS} {question}\nOwn answer:"
            for talk, text in zip(active, self._written(active, (_CUE, _ASKS, "Question:")), strict=True):
                talk.written += text
            self._reply(list(zip(active, asked, strict=True)))
            for talk, text in zip(active, self._written(active, (_CUE, _ASKS, _ENDS, "Question:")), strict=True):
                talk.read(text)
                talk.done = len(talk.settled) < len(talk.asked)
        for talk in talks:
            talk.answer = talk.settled[-1] if talk.settled and len(talk.settled) == len(talk.steps) else ""

    def _written(self, talks: Sequence[Talk], stop: Sequence[str]) -> list[str]:
        """What the model writes next in each transcript; nothing where that does not fit its window."""
        prompts = [self._prompt(talk) for talk in talks]
        fitting = [i for i, prompt in enumerate(prompts) if self._fits(prompt)]
        model = self.bench.language_model
        said = model.generate([prompts[i] for i in fitting], max_new_tokens=MOST_TOKENS, stop=stop) if fitting else []
        texts = dict(zip(fitting, said, strict=True))
        return [texts.get(i, "") for i in range(len(talks))]

    def _prompt(self, talk: Talk) -> str:
        """As many demonstrations as fit, the last ones, and the transcript."""
        for first in range(len(DEMONSTRATIONS)):
            text = "\n\n".join((*DEMONSTRATIONS[first:], talk.text))
            if self._fits(text):
                return text
        return talk.text

    def _reply(self, asking: Sequence[tuple[Talk, str]]) -> None:
        """Put the nearest stored statement below each sub-question; without one, the talk is over."""
        asking = [(talk, question) for talk, question in asking if question]
        replies = self.retrieved([question for _, question in asking]) if asking else []
        for (talk, question), edits in zip(asking, replies, strict=True):
            edit = edits[0] if edits else None
            talk.asked.append((question, edit))
            talk.written = talk.written.rstrip() + f"\n{_CUE} {edit.statement if edit is not None else 'none'}\n"


__all__ = ["DEMONSTRATIONS", "MOST_TOKENS", "ROUNDS", "Mello", "Talk"]
