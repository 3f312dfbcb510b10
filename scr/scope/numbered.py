"""What does a number change in a question? Another asks for something else, the same written otherwise does not.

Wordings of our own for generated training rows: names and prompts with their numbers changed ("Super Bowl LV" for
"LIV") or written otherwise ("54"), and facts that are told apart by nothing but a number.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from memory_store.edit import Edit

_VALUES = (("x", 10), ("ix", 9), ("v", 5), ("iv", 4), ("i", 1))
_TENS = (("xc", 90), ("l", 50), ("xl", 40), *_VALUES)


def roman(number: int) -> str:
    """Return a number from 1 to 99 in Roman numerals.

    >>> roman(54)
    'LIV'
    """
    text = ""
    for letters, value in _TENS:
        while number >= value:
            text += letters
            number -= value
    return text.upper()


ROMANS = {roman(n): n for n in range(1, 100)}
_NUMBER = re.compile(r"(?<![\w.,-])(\d{1,4}|[IVXL]{1,6})(?![\w.,-]|['\u2019])")


def another_number(text: str, rng: random.Random) -> str | None:
    """Return ``text`` with its last number changed, Roman or not; None where it has none."""
    found = [m for m in _NUMBER.finditer(text) if _value(m, text) is not None]
    if not found:
        return None
    m = found[-1]
    value = _value(m, text) or 0
    other = max(1, value + rng.choice((-2, -1, 1, 1, 2, 3, 5)))
    if other == value:
        other = value + 1
    if m[0].isdigit():
        written = str(other)
    elif other < 100:
        written = roman(other)
    else:
        return None
    return text[: m.start()] + written + text[m.end() :]


def number_otherwise(text: str) -> str | None:
    """Return ``text`` with its last Roman numeral in digits, or a number below 70 behind a name in Roman numerals."""
    for m in reversed(list(_NUMBER.finditer(text))):
        value = _value(m, text)
        if value is None or value < 2:
            continue
        if not m[0].isdigit():
            return f"{text[: m.start()]}{value}{text[m.end() :]}"
        if value < 70 and text[: m.start()].rstrip()[-1:].isalpha() and text[0].isupper():
            return f"{text[: m.start()]}{roman(value)}{text[m.end() :]}"
    return None


def _value(m: re.Match[str], text: str) -> int | None:
    """What a number writes; a capital letter that begins a text or stands alone as "I" is none."""
    if m[0].isdigit():
        return int(m[0])
    if m.start() == 0 or m[0] not in ROMANS or m[0] in ("L", "X") or m[0] == "I" and m.end() < len(text):
        return None
    return ROMANS[m[0]]


@dataclass(frozen=True, slots=True)
class _Thing:
    """A kind of thing that bears a number; ``{n}`` is the number, in digits, words or letters."""

    name: str
    facts: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]
    """Prompt, questions with {t} for the thing, answers."""
    owner: str = ""
    """What an edit's subject is where that bears no number."""
    lettered: bool = False
    """Whether its number may stand behind a letter."""

    def named(self, number: int, letter: str = "", in_words: bool = False) -> str:
        """The thing of that number; ``{y}`` is a year."""
        written = _WORDS[number] if in_words and number in _WORDS and not letter else f"{letter}{number}"
        return self.name.replace("{n}", written).replace("{y}", str(number))


_THINGS = (
    _Thing(
        "Gate {n}",
        (
            (
                "The flight that leaves from {t} goes to",
                ("Where does the flight from {t} go?", "What is the destination at {t}?"),
                ("Oslo", "Faro", "Split"),
            ),
            (
                "{t} is at the end of",
                ("Where is {t}?", "Which hall is {t} in?", "how do i get to {t}"),
                ("the east hall", "the pier"),
            ),
        ),
        lettered=True,
    ),
    _Thing(
        "Platform {n}",
        (
            (
                "The lift to {t} is",
                ("Is there a lift to {t}?", "What is the state of the lift to {t}?"),
                ("out of order", "working again"),
            ),
            (
                "The night train departs from {t} at",
                ("When does the night train leave {t}?", "At what time does the night train depart from {t}?"),
                ("23:10", "1:45"),
            ),
        ),
    ),
    _Thing(
        "bus {n}",
        (
            (
                "The last stop of {t} is",
                ("Where does {t} end?", "What is the terminus of {t}?", "last stop of {t}?"),
                ("Harbour Square", "the zoo"),
            ),
            ("The driver of {t} is", ("Who drives {t}?", "Who is the driver of {t}?"), ("Milan Kos", "Ada Brandt")),
        ),
    ),
    _Thing(
        "Table {n}",
        (
            (
                "{t} is reserved for",
                ("Who has reserved {t}?", "For whom is {t} kept?", "Whose is {t} tonight?"),
                ("the Moreau family", "the press"),
            ),
            (
                "The number of seats at {t} is",
                ("How many people can sit at {t}?", "How many seats does {t} have?"),
                ("six", "ten"),
            ),
        ),
    ),
    _Thing(
        "warehouse {n}",
        (
            (
                "The foreman of {t} is",
                ("Who is the foreman of {t}?", "Who is in charge at {t}?"),
                ("Piet Vos", "Olga Reiss"),
            ),
            ("{t} stores", ("What is stored in {t}?", "What do we keep in {t}?"), ("paint", "spare tyres")),
        ),
        lettered=True,
    ),
    _Thing(
        "Volume {n} of the Chronicle",
        (
            ("The title of {t} is", ("What is {t} called?", "What is the title of {t}?"), ("The Long Frost", "Ashes")),
            ("{t} was edited by", ("Who edited {t}?", "Who is the editor of {t}?"), ("Jon Aker", "Ines Pohl")),
        ),
    ),
    _Thing(
        "version {n} of Larkspur",
        (
            (
                "The release date of {t} is",
                ("When was {t} released?", "When does {t} come out?"),
                ("4 May", "next Friday"),
            ),
            (
                "The code name of {t} is",
                ("What is the code name of {t}?", "How is {t} called internally?"),
                ("Otter", "Quartz"),
            ),
        ),
    ),
    _Thing(
        "Article {n} of the statutes",
        (("{t} deals with", ("What is {t} about?", "What does {t} deal with?"), ("membership fees", "elections")),),
    ),
    _Thing(
        "compound {n}",
        (
            (
                "The melting point of {t} is",
                ("At what temperature does {t} melt?", "What is the melting point of {t}?"),
                ("140 degrees", "31 degrees"),
            ),
            (
                "{t} dissolves in",
                ("What does {t} dissolve in?", "Which solvent is right for {t}?"),
                ("ethanol", "water"),
            ),
        ),
        lettered=True,
    ),
    _Thing(
        "Sonata No. {n} by Albers",
        (
            (
                "{t} was first played in",
                ("Where was {t} first played?", "In which city did {t} premiere?"),
                ("Leipzig", "Turin"),
            ),
            ("The key of {t} is", ("In which key is {t}?", "What is the key of {t}?"), ("D minor", "F major")),
        ),
    ),
    _Thing(
        "the sales of Brandt Mills in {y}",
        (("{t} were", ("How high were {t}?", "What were {t}?"), ("3 million euros", "90,000 units")),),
        owner="Brandt Mills",
    ),
    _Thing(
        "the winner of the Lakeside Regatta in {y}",
        (("{t} was", ("Who was {t}?", "What is the name of {t}?"), ("Tove Lund", "Marco Pini")),),
        owner="the Lakeside Regatta",
    ),
    _Thing(
        "the staff of Hotel Aurora in {y}",
        (("{t} counted", ("How many people were {t}?", "How large was {t}?"), ("38 people", "12 people")),),
        owner="Hotel Aurora",
    ),
)
_WORDS = dict(
    enumerate("two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen".split(), start=2)
)


def numbered_edits(rng: random.Random, count: int) -> Iterator[tuple[Edit, list[tuple[str, str, bool]]]]:
    """Make facts about numbered things, and of each its questions: text, kind, whether the fact governs it."""
    chosen: dict[tuple[str, str], tuple[_Thing, str, int, tuple[str, tuple[str, ...], tuple[str, ...]]]] = {}
    for _ in range(count):
        thing = rng.choice(_THINGS)
        letter = rng.choice("ABCDEFGHKLMNPRST") if thing.lettered and rng.random() < 0.5 else ""
        value = rng.randrange(1988, 2026) if "{y}" in thing.name else rng.randrange(2, 40)
        fact = rng.choice(thing.facts)
        chosen.setdefault((thing.named(value, letter), fact[0]), (thing, letter, value, fact))
    for number, ((name, prompt), (thing, letter, value, fact)) in enumerate(chosen.items()):
        stated = _upper(prompt.replace("{t}", name))
        answer = rng.choice(fact[2])
        bare = rng.random() < 0.3
        edit = Edit(
            edit_id=f"numbered-{number}",
            statement=f"{stated} {answer}.",
            subject="" if bare else thing.owner or name,
            prompt="" if bare else stated,
            target_new="" if bare else answer,
        )
        rows: list[tuple[str, str, bool]] = []

        def ask(
            questions: tuple[str, ...],
            kind: str,
            value: int,
            in_words: bool = False,
            thing: _Thing = thing,
            letter: str = letter,
            prompt: str = prompt,
            rows: list[tuple[str, str, bool]] = rows,
        ) -> None:
            inside = kind == "paraphrase"
            if inside or (thing.named(value, letter), prompt) not in chosen:
                text = rng.choice(questions).replace("{t}", thing.named(value, letter, in_words))
                rows.append((_upper(text), kind, inside))

        for _ in range(2):
            ask(fact[1], "paraphrase", value)
            ask(fact[1], "neighbor", value + rng.choice((-1, 1, 2, 10)))
        if value in _WORDS and not letter:
            ask(fact[1], "paraphrase", value, in_words=True)
            ask(fact[1], "neighbor", value + 1, in_words=True)
        for other in thing.facts:
            if other[0] != prompt and (name, other[0]) not in chosen:
                ask(other[1], "same_subject", value, prompt=other[0])
        yield edit, rows


def _upper(text: str) -> str:
    return text[0].upper() + text[1:]


__all__ = ["another_number", "number_otherwise", "numbered_edits", "roman"]
