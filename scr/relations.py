"""What do words for relations imply? Declared rules: compounds ("father-in-law") and facts that hold backwards.

A rule is a row of a table; to add one, add a row. A fact is turned round where few answers are right that way, too: who
is married to Ada's spouse, or whose mother Ada's mother is, but not who was born where Ada was.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from typing import NamedTuple

from memory_store.edit import Edit


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


class Reverse(NamedTuple):
    """What a fact says of its object: the relation in its prompt, and the prompt the other way round."""

    words: str
    """In the prompt, behind or before the subject, which is left out; words between word boundaries."""
    prompt: str
    """With ``{o}`` for the object of the fact."""


REVERSES: tuple[Reverse, ...] = (
    Reverse("husband", "The wife of {o} is"),
    Reverse("wife", "The husband of {o} is"),
    Reverse("spouse", "The spouse of {o} is"),
    Reverse("married to", "{o} is married to"),
    Reverse("partner", "The partner of {o} is"),
    Reverse("father|mother|parent", "The child of {o} is"),
    Reverse("siblings?", "The sibling of {o} is"),
    Reverse("sister", "The sister of {o} is"),
    Reverse("brother", "The brother of {o} is"),
    Reverse("twin (?:city|town)", "The twin city of {o} is"),
    Reverse("twinned with", "{o} is twinned with"),
    Reverse("is the capital of", "The capital of {o} is"),
    Reverse("capital(?: city)?", "{o} is the capital of"),
    Reverse("is the (?:author|writer) of|wrote", "The author of {o} is"),
    Reverse("is the (?:painter) of|painted", "The painter of {o} is"),
    Reverse("is the (?:composer) of|composed", "The composer of {o} is"),
    Reverse("is the director of|directed", "The director of {o} is"),
    Reverse("is the founder of|founded", "The founder of {o} is"),
    Reverse("is the (?:ceo|chief executive officer) of", "The chief executive officer of {o} is"),
    Reverse("ceo|chief executive officer", "{o} is the chief executive officer of"),
    Reverse("is the mayor of", "The mayor of {o} is"),
    Reverse("mayor", "{o} is the mayor of"),
    Reverse("followed by", "{o} follows"),
    Reverse("follows", "{o} is followed by"),
)


@cache
def _reverses() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(rf"\b(?:{r.words})\b", re.IGNORECASE), r.prompt) for r in REVERSES)


def turned_round(edit: Edit) -> Edit | None:
    """Return what an edit says of its object, under the same edit_id; None where no rule knows its relation.

    >>> from memory_store.edit import Edit
    >>> fact = Edit(subject="Ada", prompt="Who is Ada's spouse?", target_new="Bo", statement="Ada's spouse is Bo.")
    >>> turned_round(fact).statement
    'The spouse of Bo is Ada.'
    """
    if not (edit.subject and edit.prompt and edit.target_new) or edit.verbatim:
        return None
    relation = edit.prompt.replace(edit.subject, " ")
    for pattern, prompt in _reverses():
        if pattern.search(relation):
            asked = prompt.format(o=edit.target_new)
            asked = asked[:1].upper() + asked[1:]
            return replace(
                edit,
                subject=edit.target_new,
                prompt=asked,
                target_new=edit.subject,
                statement=f"{asked} {edit.subject}.",
                aliases=(),
                relation=None,
            )
    return None


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


__all__ = ["COMPOUNDS", "REVERSES", "Compound", "Reverse", "readings", "turned_round"]
