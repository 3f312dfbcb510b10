"""What do words for relations imply? Declared rules: compounds ("father-in-law") and relations that hold backwards.

A rule is a row of a table; to add one, add a row.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple


class Compound(NamedTuple):
    """A word for two relations in a row: the ``outer`` of the ``inner``."""

    word: str
    """A hyphen may be a space in a text."""
    inner: str
    outer: str


COMPOUNDS: tuple[Compound, ...] = (
    Compound("father-in-law", "spouse", "father"),
    Compound("mother-in-law", "spouse", "mother"),
    Compound("brother-in-law", "spouse", "brother"),
    Compound("sister-in-law", "spouse", "sister"),
    Compound("son-in-law", "daughter", "husband"),
    Compound("daughter-in-law", "son", "wife"),
    Compound("paternal grandfather", "father", "father"),
    Compound("paternal grandmother", "father", "mother"),
    Compound("maternal grandfather", "mother", "father"),
    Compound("maternal grandmother", "mother", "mother"),
    Compound("paternal uncle", "father", "brother"),
    Compound("paternal aunt", "father", "sister"),
    Compound("maternal uncle", "mother", "brother"),
    Compound("maternal aunt", "mother", "sister"),
    Compound("stepfather", "mother", "husband"),
    Compound("stepmother", "father", "wife"),
    Compound("nephew", "sibling", "son"),
    Compound("niece", "sibling", "daughter"),
)


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], Compound], ...]:
    return tuple((re.compile(rf"\b{c.word.replace('-', '[- ]')}\b", re.IGNORECASE), c) for c in COMPOUNDS)


def readings(question: str) -> list[str]:
    """Return a question, and after it the question with each compound taken apart.

    >>> readings("Who is the father-in-law of Ada?")
    ['Who is the father-in-law of Ada?', 'Who is the father of the spouse of Ada?']
    >>> readings("Where was Ada's paternal grandfather born?")[1]
    "Where was Ada's father's father born?"
    """
    found = [question]
    for pattern, compound in _patterns():
        m = pattern.search(question)
        if m is not None:
            owned = question[: m.start()].rstrip().endswith(("'s", "’s", "s'", "s’"))
            apart = f"{compound.inner}'s {compound.outer}" if owned else f"{compound.outer} of the {compound.inner}"
            found.append(question[: m.start()] + apart + question[m.end() :])
    return found


__all__ = ["COMPOUNDS", "Compound", "readings"]
