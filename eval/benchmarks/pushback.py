"""Does an edited answer stand when the user doubts it, and does an unedited one stay what it was?

``python -m eval.benchmarks.pushback [--edits 40] [--turns 10] [--json]``: the pocket model, all edits in one memory,
talked to through ``EditedModel.chat``. A conversation asks about a subject, then proposes an answer turn after turn,
the right one as often as a wrong one, in words that the model was not trained on; its own replies stand in the
conversation. After the first proposal and after the last the question is asked again, in a copy of the conversation.

- *edited, kept k*: of the conversations whose first answer was right, those in which the k-th reply is, too.
- *edited, turn k*: the reply to the k-th proposal is the right Yes or No and says the fact's object.
- *edited, asked again after k*: the question's answer is still the new one.
- *first*: the edited answer before any doubt; *turns*: of all proposals; *whole*: conversations without a slip.
- *unedited*: conversations about other subjects, with the memory and without: *same* are those of which every reply is
  the same to the letter, *turn k* and *asked again after k* the shares right with it and without it.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from eval.benchmarks.main_job import share
from memory_store.edit import Edit
from memory_store.errors import ConfigError
from scr.edited_model import EditedModel
from scr.pocket.data import Asked, Generator, no, yes
from scr.pocket.evaluate import Measures, is_right

Line = tuple[str, str]
"""What the user says, and what is the right reply."""


class Talk:
    """One conversation: the question, then proposals."""

    def __init__(self, asked: Asked, lines: Sequence[Line]) -> None:
        self.asked = asked
        self.lines = lines

    def held(self, model: EditedModel, again_after: Sequence[int]) -> tuple[list[str], dict[int, str]]:
        """The replies to all lines, and to the question when it is asked again after so many proposals."""
        messages: list[dict[str, str]] = []
        replies, again = [], {}
        for number, (text, _) in enumerate(self.lines):
            messages.append({"role": "user", "content": text})
            replies.append(model.chat(messages, max_new_tokens=32).text)
            messages.append({"role": "assistant", "content": replies[-1]})
            if number in again_after:
                question = {"role": "user", "content": self.asked.question}
                again[number] = model.chat([*messages, question], max_new_tokens=32).text
        return replies, again


def talks_of(measures: Measures, count: int, turns: int, *, edited: bool) -> list[Talk]:
    """Conversations about as many subjects: edited ones about a new object, or an invented subject; else known facts.

    Raises:
        ConfigError: the turns are odd, and cannot be balanced.
    """
    if turns < 2 or turns % 2:
        raise ConfigError(f"{turns} turns cannot be half right and half wrong; give an even number")
    g, rng = measures.generator, measures.rng(f"pushback benchmark {edited}")
    talks: list[Talk] = []
    subjects: set[str] = set()
    while len(talks) < count:
        if not edited:
            asked = g.known(rng)
        else:
            asked = measures.changed(rng.choice(g.facts), rng) if len(talks) % 3 else g.ask_anything(rng)
        if asked.subject not in subjects:
            subjects.add(asked.subject)
            rights = [n % 2 == 0 for n in range(turns)]
            rng.shuffle(rights)
            talks.append(Talk(asked, [(asked.question, asked.object), *(_line(g, asked, r, rng) for r in rights)]))
    return talks


def _line(g: Generator, asked: Asked, right: bool, rng: Any) -> Line:
    proposed = asked.object if right else g.wrong_object(asked, rng)
    text = rng.choice(g.pushback).replace("{x}", proposed)
    return text, yes(asked.object) if right else no(asked.object)


def measure(model: EditedModel, edits: int, turns: int, seed: int = 1) -> dict[str, Any]:
    """The figures; shares in [0, 1]."""
    measures = Measures(seed)
    rng = measures.rng("pushback statements")
    talks = talks_of(measures, edits, turns, edited=True)
    model.edit(
        [
            Edit(
                subject=talk.asked.subject,
                prompt=talk.asked.question,
                target_new=talk.asked.object,
                statement=talk.asked.shown(rng),
            )
            for talk in talks
        ]
    )
    subjects = {talk.asked.subject for talk in talks}
    others = [t for t in talks_of(measures, 3 * edits, turns, edited=False) if t.asked.subject not in subjects][:edits]
    after = (1, turns)
    with_memory = _figures(talks, _said(model, talks, after, "edited"), after)
    said = _said(model, others, after, "unedited")
    with model.edits_disabled():
        bare = _said(model, others, after, "without memory")
    return {
        "edits": len(talks),
        "turns": turns,
        "edited": with_memory,
        "unedited": {
            "conversations": len(others),
            "same": share(a == b for a, b in zip(said, bare, strict=True)),
            "with_memory": _figures(others, said, after),
            "without_memory": _figures(others, bare, after),
        },
    }


Said = tuple[list[str], dict[int, str]]


def _said(model: EditedModel, talks: Sequence[Talk], after: Sequence[int], what: str) -> list[Said]:
    found = []
    for number, talk in enumerate(talks, 1):
        found.append(talk.held(model, after))
        if number % 10 == 0:
            print(f"{what}: {number} of {len(talks)}", file=sys.stderr)
    return found


def _figures(talks: Sequence[Talk], said: Sequence[Said], after: Sequence[int]) -> dict[str, float]:
    right = [
        [is_right(wanted, reply) for (_, wanted), reply in zip(talk.lines, replies, strict=True)]
        for talk, (replies, _) in zip(talks, said, strict=True)
    ]
    found = {
        "first": share(row[0] for row in right),
        "turns": share(one for row in right for one in row[1:]),
        "whole": share(all(row) for row in right),
    }
    begun = [row for row in right if row[0]]
    for turn in after:
        if begun:
            found[f"kept_{turn}"] = share(row[turn] for row in begun)
        found[f"turn_{turn}"] = share(row[turn] for row in right)
        found[f"asked_again_after_{turn}"] = share(
            is_right(talk.asked.object, again[turn]) for talk, (_, again) in zip(talks, said, strict=True)
        )
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--edits", type=int, default=40, help="and as many conversations about other subjects")
    parser.add_argument("--turns", type=int, default=10, help="proposals in a conversation, an even number")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    with EditedModel.from_pretrained(offline=True) as model:
        found = measure(model, given.edits, given.turns, given.seed)
    if given.json:
        print(json.dumps({"schema": "scr.pushback/1", **found}, indent=1))
        return
    unedited = found["unedited"]
    print(f"{'':24}edited  unedited  without memory")
    for name in found["edited"]:
        cells = [found["edited"][name], unedited["with_memory"][name], unedited["without_memory"][name]]
        print(f"{name:24}{cells[0]:6.3f}  {cells[1]:8.3f}  {cells[2]:14.3f}")
    print(f"unedited conversations that are the same to the letter: {unedited['same']:.3f}")


if __name__ == "__main__":
    main()
