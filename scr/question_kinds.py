"""What kind of thing does a question ask for? A person, a city, a language: read from its words, where they say it.

Two questions that ask for things of different kinds are not one question in other words. ``somewhere`` and ``someone``
are the kinds of "where" and "who". An empty kind means that the words do not say it.
"""

from __future__ import annotations

import re
from functools import lru_cache

from memory_store.edit import Edit
from memory_store.identity import fold

_NOUNS = {
    "someone": "person individual man woman author writer founder creator director composer performer singer actor "
    "president king queen monarch leader chairman chairperson chairwoman mayor governor coach minister officer mother "
    "father spouse wife husband child son daughter sibling brother sister inventor painter architect secretary",
    "organisation": "company firm organization organisation institution corporation business employer developer "
    "manufacturer publisher broadcaster university school college team club",
    "somewhere": "place location site venue area birthplace headquarters headquarter hometown seat",
    "city": "city town village municipality capital",
    "country": "country nation homeland nationality citizenship citizen",
    "continent": "continent",
    "language": "language tongue",
    "sport": "sport",
    "position": "position profession occupation",
    "religion": "religion faith denomination",
    "time": "year date month century",
}
_KIND_OF = {noun: kind for kind, nouns in _NOUNS.items() for noun in nouns.split()}
_ASKING = {"who": "someone", "whom": "someone", "where": "somewhere", "when": "time"}
_MEET = {
    frozenset(pair.split())
    for pair in (
        "someone organisation",
        "somewhere organisation",
        "somewhere city",
        "somewhere country",
        "somewhere continent",
        "somewhere position",
        "religion organisation",
    )
}
"""Kinds one thing of which may be of the other, too: where one works is whom one works for."""
_LARGER = ("city", "country", "continent")
"""Each lies in one of the next."""

_DETERMINERS = frozenset("the a an".split())
_COPULAS = frozenset("is are was were s".split())
_EMPTY = frozenset("name names full title identity type kind".split())
"""Before "of" they leave it to what follows."""
_NAME = "xnamex"
"""Stands for the name in a text."""
_LEADING = re.compile(
    r"^\s*(?:when|where|if|as)\s+(?!(?:is|are|was|were|do|does|did|has|have|had|can|could|will|would|should|in|on|at)\b)"
    r"[^,?]*,\s+(?=\w)",
    re.IGNORECASE,
)
"""A clause before the question: "when it comes to Ada, the country is"."""
_ENDS = (
    {_NAME}
    | (_COPULAS - {"s"})
    | frozenset(
        "of by in for from with on at to into as where which who whom whose that when did does do has have had can "
        "could will would should may might must".split()
    )
)
_BEFORE = frozenset("of by in for from with on at to as me know and say tell wonder guess".split())
"""Words before a question word that asks, and is no relative pronoun."""


@lru_cache(maxsize=4096)
def kind_asked(question: str, name: str = "") -> str:
    """Return the kind of thing that a question, or a sentence up to its answer, asks for.

    Args:
        name: of what is asked about; its words say nothing.

    >>> kind_asked("Who founded Acme?"), kind_asked("Which South American country is Ada from?")
    ('someone', 'country')
    >>> kind_asked("The name of the city where Ada was born is"), kind_asked("Ada is a citizen of")
    ('city', 'country')
    >>> kind_asked("What is Ada famous for?")
    ''
    """
    text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", _NAME, question) if name else question
    words = fold(_LEADING.sub("", text)).split()
    if words[:1] and words[0] in _DETERMINERS and words[1:2] != [_NAME]:
        return _head(words)
    for at, word in enumerate(words):
        if word in _ASKING and (not at or words[at - 1] in _BEFORE):
            return _ASKING[word]
        if word in ("what", "which"):
            rest = words[at + 1 :]
            if rest[:1] and rest[0] in _COPULAS:
                return _head(rest[1:])
            noun = _head(rest)
            return noun or (_KIND_OF.get(rest[0], "") if rest else "")
    while words and words[-1] in _COPULAS:
        words.pop()
    return _KIND_OF.get(words[-2], "") if len(words) > 2 and words[-1] in ("of", "in") else ""


def _head(words: list[str]) -> str:
    """The kind of the noun phrase with which words begin."""
    found = ""
    for at, word in enumerate(words):
        if word == "of" and found in _EMPTY:
            found = ""
        elif word in _ENDS:
            return "someone" if found == "head" and word == "of" else _KIND_OF.get(found, "")
        elif word not in _DETERMINERS:
            found = word
        if at > 7:
            break
    return _KIND_OF.get(found, "")


def kind_told(edit: Edit) -> str:
    """Return the kind of thing that an edit's prompt asks for."""
    return kind_asked(edit.prompt, edit.subject) if edit.prompt else ""


def differ(one: str, other: str) -> bool:
    """Whether nothing is of both kinds, as far as they are known.

    >>> differ("someone", "city"), differ("somewhere", "city"), differ("", "city")
    (True, False, False)
    """
    return bool(one and other) and one != other and frozenset((one, other)) not in _MEET


def lies_in(smaller: str, larger: str) -> bool:
    """Whether every thing of one kind lies in one of the other.

    >>> lies_in("country", "continent"), lies_in("continent", "country"), lies_in("language", "country")
    (True, False, False)
    """
    return smaller in _LARGER and larger in _LARGER and _LARGER.index(smaller) < _LARGER.index(larger)


__all__ = ["differ", "kind_asked", "kind_told", "lies_in"]
