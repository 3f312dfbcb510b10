"""What does the pocket model know? The rows of ``facts.csv``: true facts about the real world.

One object per (subject, relation). Objects are subjects of other facts, so the facts chain.
"""

import csv
import functools
import zlib
from dataclasses import dataclass
from pathlib import Path

_FILE = Path(__file__).with_name("facts.csv")

_WITH_ARTICLE = frozenset(
    {
        "Bahamas",
        "Central African Republic",
        "Comoros",
        "Czech Republic",
        "Democratic Republic of the Congo",
        "Dominican Republic",
        "Gambia",
        "Ivory Coast",
        "Maldives",
        "Marshall Islands",
        "Netherlands",
        "Philippines",
        "Republic of the Congo",
        "Solomon Islands",
        "Seychelles",
        "United Arab Emirates",
        "United Kingdom",
        "United States",
    }
)


@dataclass(frozen=True, slots=True)
class Fact:
    """One row of ``facts.csv``."""

    subject: str
    relation: str
    """A key of ``scr.pocket.wordings.WORDINGS``."""
    object: str


@functools.cache
def load_facts() -> list[Fact]:
    """All known facts, in the file's order."""
    with _FILE.open(encoding="utf-8", newline="") as file:
        return [Fact(row["subject"], row["relation"], row["object"]) for row in csv.DictReader(file)]


def in_running_text(name: str) -> str:
    """``name`` as a sentence has it.

    >>> in_running_text("Netherlands"), in_running_text("France")
    ('the Netherlands', 'France')
    """
    return f"the {name}" if name in _WITH_ARTICLE else name


def is_held_out(name: str) -> bool:
    """Whether training never shows a counterfactual fact about ``name`` (a subject; about one in ten).

    What the model does with such a fact was then learned from other subjects.
    """
    return zlib.crc32(name.encode()) % 10 == 0


def chains(facts: list[Fact], hops: int) -> list[tuple[Fact, ...]]:
    """All runs of ``hops`` facts where each one's object is the next one's subject and no subject comes twice."""
    by_subject: dict[str, list[Fact]] = {}
    for fact in facts:
        by_subject.setdefault(fact.subject, []).append(fact)
    found: list[tuple[Fact, ...]] = [(fact,) for fact in facts]
    for _ in range(hops - 1):
        found = [
            (*run, fact)
            for run in found
            for fact in by_subject.get(run[-1].object, ())
            if fact.subject not in {f.subject for f in run}
        ]
    return found
