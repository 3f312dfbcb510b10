"""Which single questions does a question fall into, as a language model says? For models large enough to keep a format.

The model is shown three examples and writes a numbered list, ``#1`` for the answer to the first question. That is
believed only as far as it can be checked: two to five questions, each of which but the first takes up an earlier
answer, and no name that the question does not hold. Otherwise the question is read by its words (``scr.chain``).

Each single question then passes the scope decision; those that no edit governs are asked of the model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from memory_store.identity import fold
from scr.phrases import proper_names
from scr.protocols import Decision, Hop

MOST_STEPS = 5
MOST_TOKENS = 160
"""New tokens of a list."""
_LONGEST_THING = 8
"""Words of an answer that can stand in the next question."""

PROMPT = """Split each question into single questions that are answered one after the other. Write a numbered list. \
Put #1 for the answer to question 1, #2 for the answer to question 2. A question that asks for one thing stays as it is.

Question: Who is the mayor of the city where the inventor of the Sorley engine was born?
1. Who is the inventor of the Sorley engine?
2. In which city was #1 born?
3. Who is the mayor of #2?

Question: What is the height of the Ardent Tower?
1. What is the height of the Ardent Tower?

Question: Which language is spoken in Mara Quill's home country?
1. What is the home country of Mara Quill?
2. Which language is spoken in #1?

Question: {question}
"""

_LINE = re.compile(r"^\s*(\d{1,2})\s*[.):]\s*(\S.*?)\s*$")
_EARLIER = re.compile(r"#(\d{1,2})\b")

Tell = Callable[[Sequence[str]], list[str]]
"""The model's texts for prompts, at most ``MOST_TOKENS`` long."""


def split(questions: Sequence[str], tell: Tell) -> list[tuple[str, ...]]:
    """Return each question's single questions, ``#1`` for the answer to the first; none where it is to stay whole."""
    texts = tell([PROMPT.format(question=" ".join(question.split())) for question in questions])
    return [read(question, text) for question, text in zip(questions, texts, strict=True)]


def read(question: str, text: str) -> tuple[str, ...]:
    """Return the single questions of a model's list, if it can be believed.

    >>> read("Who leads Ada's homeland?", "1. What is Ada's homeland?\\n2. Who leads #1?\\n\\nQuestion: And")
    ("What is Ada's homeland?", 'Who leads #1?')
    >>> read("Who leads Ada's homeland?", "1. What is Bo's homeland?\\n2. Who leads #1?")
    ()
    """
    steps: list[str] = []
    for line in text.splitlines():
        found = _LINE.match(line)
        if found is not None and int(found.group(1)) == len(steps) + 1:
            steps.append(found.group(2))
        elif steps or found is not None:
            break
    if not 2 <= len(steps) <= MOST_STEPS:
        return ()
    there = f" {fold(question)} "
    for number, step in enumerate(steps):
        earlier = [int(n) for n in _EARLIER.findall(step)]
        if (number > 0) != bool(earlier) or any(not 1 <= n <= number for n in earlier):
            return ()
        if any(f" {fold(name)} " not in there for name in proper_names(_EARLIER.sub("it", step))):
            return ()
    return tuple(steps)


def through(
    questions: Sequence[str],
    steps: Sequence[Sequence[str]],
    decide: Callable[[Sequence[str]], list[Decision]],
    ask: Callable[[Sequence[str]], list[str]],
) -> list[Decision | None]:
    """Return the decision about each question's last single question, with what was found before it as its hops.

    None where the memory had no part in it, or an answer on the way was no name of a thing: such a question is better
    asked as it came.
    """
    hops: list[list[Hop]] = [[] for _ in questions]
    done: dict[int, Decision | None] = {i: None for i, some in enumerate(steps) if not some}
    for number in range(max(map(len, steps), default=0)):
        active = [i for i in range(len(questions)) if i not in done]
        asked = [_filled(steps[i][number], hops[i]) for i in active]
        decisions = decide(asked) if asked else []
        unknown: list[tuple[int, str]] = []
        for i, question, decision in zip(active, asked, decisions, strict=True):
            last = number == len(steps[i]) - 1
            edit = decision.in_scope[0].edit if decision.in_scope else None
            if last:
                part = bool(decision.in_scope) or any(hop.judged is not None for hop in hops[i])
                done[i] = _with(decision, hops[i], question) if part else None
            elif edit is not None and edit.target_new and not edit.verbatim:
                hops[i].append(Hop(question, edit.target_new, decision.in_scope[0]))
            else:
                unknown.append((i, question))
        said = ask([question for _, question in unknown]) if unknown else []
        for (i, question), text in zip(unknown, said, strict=True):
            thing = (text.strip().splitlines() or [""])[0].strip().rstrip(".")
            hops[i].append(Hop(question, thing))
            if not thing or len(thing.split()) > _LONGEST_THING:
                done[i] = None
    return [done[i] for i in range(len(questions))]


def _filled(step: str, hops: Sequence[Hop]) -> str:
    return _EARLIER.sub(lambda found: hops[int(found.group(1)) - 1].answer, step)


def _with(decision: Decision, hops: Sequence[Hop], asked: str) -> Decision:
    inside = {hop.judged.edit.edit_id for hop in hops if hop.judged is not None}
    missed = tuple(j for j in decision.near_misses if j.edit.edit_id not in inside)
    return Decision(
        decision.in_scope, missed, decision.threshold, failed=decision.failed, hops=tuple(hops), asked=asked
    )


__all__ = ["MOST_STEPS", "MOST_TOKENS", "PROMPT", "Tell", "read", "split", "through"]
