"""Which phrase of a question stands for another thing? "The country where Ada was born", found from words alone.

Pure functions over one question. A *phrase* holds a name and words that relate it to the thing meant; the rest of the
question asks something of that thing. A *word* is a run of letters and digits, or ``'s``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from memory_store.identity import fold

MOST_WORDS = 48
"""A longer text is no single question."""
MOST_PHRASES = 4
"""Phrases looked at around one name."""

_TOKEN = re.compile(r"['’][sS]\b|(?<=[sSzZ])['’](?=\s)|[^\W_]+(?:['’](?![sS]\b)[^\W_]+)*")
_DETERMINERS = frozenset("the a an".split())
_RELATIVE = frozenset("who whom whose which that where when".split())
_PREPOSITIONS = frozenset(
    "of by in for from with on at to into over under about as against between through after before since".split()
)
_AUXILIARIES = frozenset(
    "is are was were be been being has have had does do did can could will would should may might must".split()
)
_QUESTION_WORDS = frozenset("what which who whom whose where when how why".split())
_PARTICIPLES = frozenset(
    "located situated based headquartered found born called named known spoken used lie lies stand stands belong "
    "belongs come comes originate originates speak speaks work works worked live lives lived die died play plays "
    "played hold holds held serve serves and or".split()
)
"""Words with which the question goes on after a clause."""
_ANYWHERE = frozenset("place location area site spot".split())
_NO_THINGS = frozenset(
    "creation formation production founding foundation establishment release publication invention birth death "
    "citizens people inhabitants residents natives".split()
)
"""What happens to a thing, or who lives there, stands for no other thing."""
_OFFICES = frozenset(
    "minister president secretary governor mayor general chancellor king queen emperor pope bishop archbishop chairman "
    "chairwoman director speaker ambassador commissioner coach manager principal".split()
)
_QUOTED = re.compile(r"[\"“«]([^\"“”«»]{2,80})[\"”»]")
_PLACES = frozenset("city town village island river kingdom republic".split())
"""Before "of" and a name they say what the name is of."""
_OPENING = frozenset('"“«')
_COPULAS = frozenset("is are was were".split())
_DO = frozenset("do does did".split())
_SENTENCE_END = re.compile(r"(?<=[a-z0-9)\"][.!?])(?<!\b[DMJS]r\.)(?<!\bMrs\.)(?<!\bSt\.)[\"”’)]*\s+|\n+")
_PARTICLES = frozenset("da das de del della den der di do dos du la le van von y".split())
_NO_NOUNS = {"not"} | _AUXILIARIES | _PREPOSITIONS | _RELATIVE | _DETERMINERS | _PARTICIPLES | {"'s"}
_POSSESSIVES = frozenset({"'s", "’s", "'", "’"})
_GENERIC = frozenset(
    "name names full called named known title identity current currently present now today please tell me give "
    "say whether person individual man woman people someone one something thing exactly really actually just so "
    "think know find answer question located situated based found lie lies stand stands serve serves served "
    "serving act acts acted considered regarded recognized recognised credited deemed hold holds held occupy "
    "occupies occupied officially used need needs want wants like write down state states get got list mention "
    "provide show look up i you we they he she us my your our his her their specify wonder ask asks asked says "
    "said hear heard learn correct true false".split()
)
"""Words that ask for nothing by themselves."""
_TYPES: tuple[tuple[frozenset[str], frozenset[str]], ...] = (
    (
        frozenset("city town village place location municipality site venue area".split()),
        frozenset("capital birthplace headquarters headquarter hometown seat origin".split()),
    ),
    (frozenset("country nation state land".split()), frozenset("homeland nationality citizenship origin".split())),
    (frozenset({"continent"}), frozenset()),
    (frozenset("language tongue".split()), frozenset()),
    (
        frozenset("company firm organization organisation institution corporation business".split()),
        frozenset("employer developer manufacturer publisher owner".split()),
    ),
    (frozenset("sport game discipline".split()), frozenset()),
    (frozenset("religion faith belief denomination".split()), frozenset()),
    (frozenset("university school college institution".split()), frozenset({"alma"})),
    (frozenset("genre style movement kind type".split()), frozenset()),
    (frozenset("profession occupation job career".split()), frozenset()),
    (frozenset("year date day time month".split()), frozenset()),
    (frozenset("team club side".split()), frozenset()),
)
"""Nouns for one type of thing, and nouns for a thing of that type in a role: "in which city is the capital of X" asks
for the capital and nothing more, "the capital of the city of X" for both."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """A part of a question that stands for one thing."""

    start: int
    end: int
    """Characters of the question, end exclusive."""
    text: str

    @property
    def clause(self) -> bool:
        """Whether a relative pronoun says what the thing is: "the country where Ada was born"."""
        return any(word in _RELATIVE or word == "whose" for word in _read(self.text).words)

    def replaced(self, question: str, thing: str) -> str:
        """The question with ``thing`` in the phrase's place.

        >>> Phrase(23, 40, "the mother of Ada").replaced("What is the capital of the mother of Ada?", "Bo")
        'What is the capital of Bo?'
        """
        text = question[: self.start] + thing + question[self.end :]
        return text[:1].upper() + text[1:]


@dataclass(frozen=True, slots=True)
class _Words:
    text: str
    words: tuple[str, ...]
    """Folded; a possessive is ``'s``."""
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.words)


@lru_cache(maxsize=4096)
def _read(text: str) -> _Words:
    found = list(_TOKEN.finditer(text))
    words = tuple(_word(m.group()) for m in found)
    return _Words(text, words, tuple(m.start() for m in found), tuple(m.end() for m in found))


def _word(raw: str) -> str:
    if raw.lower() in _POSSESSIVES:
        return "'s"
    folded = fold(raw)
    return "not" if folded.endswith("n t") else folded  # "doesn't"


def phrases(question: str, name: str, *, itself: bool = False) -> list[Phrase]:
    """Return the phrases around ``name`` of which something more is asked, the innermost first; none in long texts.

    >>> [p.text for p in phrases("What is the capital of the country where Ada was born?", "Ada")]
    ['the country where Ada was born']
    >>> [p.text for p in phrases("Where was Ada's mother's employer founded?", "Ada")]
    ["Ada's mother"]
    >>> phrases("What is the capital of France?", "France")
    []

    ``itself``: the name may be such a phrase, as "the Home Secretary" is.
    """
    found = every_phrase(question, name, itself=itself)
    return [p for p in found if asks_more(question, p) and not _is_no_thing(p, name)][:MOST_PHRASES]


def every_phrase(question: str, name: str, *, itself: bool = False) -> list[Phrase]:
    """Return the phrases around ``name``, also those that are all that is asked."""
    words = _read(question)
    if len(words) > MOST_WORDS:
        return []
    found: dict[tuple[int, int], None] = {}
    for start, end in _places(words, name):
        for low, high in _around(words, start, end):
            if (low, high) != (start, end):
                found.setdefault((low, high))
        low = start
        while itself and low and words.words[low - 1] in _GENERIC:
            low -= 1  # "the current Home Secretary"
        if itself and low and words.words[low - 1] in _DETERMINERS:
            found.setdefault((low - 1, end))
    return [_phrase(words, low, high) for low, high in found]


def says_who(prompt: str, name: str) -> bool:
    """Whether a fact's question asks no more than who or what a name stands for.

    >>> says_who("Who is the Home Secretary?", "Home Secretary"), says_who("The capital of France is", "France")
    (True, False)
    """
    idle = _QUESTION_WORDS | _GENERIC | _AUXILIARIES | _DETERMINERS
    return all(word in idle for word in _outside(prompt, name))


def is_office(name: str) -> bool:
    """Whether a name is that of an office, which somebody holds.

    >>> is_office("Governor of Avalon"), is_office("Avalon")
    (True, False)
    """
    return not _OFFICES.isdisjoint(_read(name).words)


def _is_no_thing(phrase: Phrase, name: str) -> bool:
    """Whether a phrase stands for no other thing: "the death of Ada", "the place where Ada's office is located"."""
    words = _outside(phrase.text, name)
    if not _NO_THINGS.isdisjoint(_heads(" ".join(words))):
        return True
    if words[-2:-1] and words[-2] in _RELATIVE and words[-1] in _COPULAS:
        return True  # "the country that is Avalon"
    idle = _ANYWHERE | _GENERIC | _AUXILIARIES | _DETERMINERS | _RELATIVE | _PREPOSITIONS
    return not _ANYWHERE.isdisjoint(words) and all(word in idle for word in words)


def _outside(text: str, name: str) -> list[str]:
    words = _read(text)
    for start, end in _places(words, name):
        return [*words.words[:start], *words.words[end:]]
    return list(words.words)


def asks_more(question: str, phrase: Phrase) -> bool:
    """Whether the words outside a phrase ask something of the thing it stands for.

    >>> question = "In which city is the capital of France?"
    >>> asks_more(question, every_phrase(question, "France")[0])
    False
    """
    if only_compares(question, phrase) or _cut_short(question, phrase):
        return False
    heads = _heads(phrase.text)
    return any(not _same_type(word, heads) for word in rest_words(question, phrase))


def _cut_short(question: str, phrase: Phrase) -> bool:
    """Whether the noun phrase goes on behind the phrase: "the son of Ada" in "the son of Ada, Queen of Avalon"."""
    after = question[phrase.end :]
    following = _read(after).words[:1]
    if following and following[0] in _QUESTION_WORDS:
        return False  # "about the spouse of Ada, what is said"
    if after.lstrip(" \"”»’'")[:1] in (",", "(", "-") or question[phrase.start - 1 : phrase.start] == "-":
        return True
    if not following or following[0] in _NO_NOUNS or following[0].endswith("ed") or not after[:1].isspace():
        return False
    before = _read(_sentence(question, phrase)[0]).words
    # "where did the author of Ulysses live"
    return not (before and before[-1] in _AUXILIARIES or _DO & {*before})


def rest_words(question: str, phrase: Phrase) -> list[str]:
    """Words outside a phrase, in its sentence, that ask for something; in order."""
    before, after = _sentence(question, phrase)
    idle = (
        _QUESTION_WORDS | _GENERIC | _AUXILIARIES | _PREPOSITIONS | _DETERMINERS | {"'s", "not", "that", "it", "there"}
    )
    return [word for word in (*_read(before).words, *_read(after).words) if word not in idle]


def only_compares(question: str, phrase: Phrase) -> bool:
    """Whether a phrase is held against a value and nothing is asked of the thing: "Is the capital of France Lyon?"

    >>> question = "Is the mother of Ada Anna Byron?"
    >>> only_compares(question, Phrase(3, 20, "the mother of Ada"))
    True
    """
    before, after = (_read(part).words for part in _sentence(question, phrase))
    if before and before[0] in _COPULAS:
        held_against = bool(after) and after[0] in _DETERMINERS
        return held_against or before[-1] not in _PREPOSITIONS and after[:1] != ("'s",)
    goes_on = _DETERMINERS | _PREPOSITIONS | _PARTICIPLES | _QUESTION_WORDS | _AUXILIARIES
    follows = after[1:2] if not before and after and after[0] in _COPULAS else ()
    return bool(follows) and follows[0] not in goes_on and not follows[0].endswith("ed")


def proper_names(question: str) -> list[str]:
    """Return what is written like a name in a question: in quotation marks, or with capitals; the last first.

    >>> proper_names('Which country is the author of "Billy Liar" from?'), proper_names("Where was Ada Byron born?")
    (['Billy Liar'], ['Ada Byron'])
    """
    words = _read(question)
    quoted = [m.group(1).strip() for m in _QUOTED.finditer(question)]
    runs: list[tuple[int, int]] = []
    for at, start in enumerate(words.starts):
        large = question[start].isupper() or question[start].isdigit()
        if not large or at == 0 and words.words[0] in _NO_NOUNS | _QUESTION_WORDS | _GENERIC:
            continue
        joined = runs and (
            runs[-1][1] == at
            or runs[-1][1] == at - 1
            and words.words[at - 1] in _PREPOSITIONS | _DETERMINERS | {"and", "de", "von", "van"}
        )
        gap = runs and question[words.ends[runs[-1][1] - 1] : start]
        if joined and not set(gap or "") & set(",;:\"“”'’"):
            runs[-1] = (runs[-1][0], at + 1)
        else:
            runs.append((at, at + 1))
    written = [question[words.starts[low] : words.ends[high - 1]] for low, high in reversed(runs)]
    found = quoted + [name for name in written if not any(name in other for other in quoted)]
    return list(dict.fromkeys(found))


def _sentence(question: str, phrase: Phrase) -> tuple[str, str]:
    """What stands before and after a phrase in its sentence."""
    new = phrase.text.startswith(("The ", "A ", "An "))  # a sentence begins, whatever the one before ended with
    before = "" if new else _SENTENCE_END.split(question[: phrase.start])[-1]
    return before, _SENTENCE_END.split(question[phrase.end :])[0]


def _heads(text: str) -> frozenset[str]:
    """The words that say what a phrase stands for: those before its first "of" or clause, or behind a possessive."""
    words = _read(text).words
    if "'s" in words:
        words = words[len(words) - words[::-1].index("'s") :]
    content: list[str] = []
    for word in words:
        if content and word in _PREPOSITIONS | _RELATIVE:
            break
        if word not in _DETERMINERS | _GENERIC | _PREPOSITIONS:
            content.append(word)
    return frozenset(content)


def _same_type(word: str, heads: frozenset[str]) -> bool:
    return any(word in types and heads & (types | roles) for types, roles in _TYPES)


def asked_of(question: str, phrase: Phrase) -> bool:
    """Whether a noun is asked of a phrase: "the nationality of the head coach of Acme".

    >>> question = "What is the nationality of the head coach of Acme?"
    >>> asked_of(question, phrases(question, "Acme")[0])
    True
    """
    before = _read(_sentence(question, phrase)[0]).words
    idle = _NO_NOUNS | _GENERIC | _QUESTION_WORDS
    return (
        len(before) > 1
        and before[-1] == "of"
        and before[-2] not in idle
        and not _same_type(before[-2], _heads(phrase.text))
    )


def _places(words: _Words, name: str) -> Iterator[tuple[int, int]]:
    """Word numbers [start, end) at which a name stands, the last first."""
    wanted = _read(name).words
    for start in range(len(words) - len(wanted), -1, -1):
        end = start + len(wanted)
        if wanted and words.words[start:end] == wanted and not _goes_on(words, start, end):
            yield start, end


def _goes_on(words: _Words, start: int, end: int) -> bool:
    """Whether a name is a part of the one that stands there: "Christian Science" in "Christian Science Monitor"."""
    if end < len(words):
        gap = words.text[words.ends[end - 1] : words.starts[end]]
        at = end + 1 if words.words[end] in _PARTICLES | _DETERMINERS | {"of"} and end + 1 < len(words) else end
        if set(gap) <= set(" -+&'’") and ("-" in gap or _large(words, at)):
            return True
    if start:
        gap = words.text[words.ends[start - 1] : words.starts[start]]
        return set(gap) <= set(" -&'’") and ("-" in gap or _large(words, start - 1))
    return False


def _large(words: _Words, at: int) -> bool:
    """Whether a word is written like part of a name."""
    small = _NO_NOUNS | _QUESTION_WORDS | _GENERIC
    return words.text[words.starts[at]].isupper() and words.words[at] not in small


def _around(words: _Words, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Word numbers of the phrases around one place of a name, the innermost first."""
    low = start - 1 if start and words.words[start - 1] in _DETERMINERS else start
    last, opened = len(_without_copula(words)), 0
    for high in _nouns_after(words, low, end, last):
        yield low, high
    owner = end < len(words) and words.words[end] == "'s"
    for at in range(low - 1, -1, -1):
        if _broken(words, at):
            return
        if words.words[at] not in _DETERMINERS:
            continue
        between = words.words[at + 1 : low]
        if not between:
            continue
        before = words.words[at - 1] if at else ""
        relative = [i for i, word in enumerate(between) if word in _RELATIVE]
        if not relative and any(word in _AUXILIARIES for word in between):
            return  # the question's own verb: the phrase to its left is another one
        if relative:
            inside = between[relative[-1] + 1 :]
            whose = between[relative[-1]] == "whose" and not any(word in _AUXILIARIES for word in inside)
            of_clause = whose or all(word in _PREPOSITIONS for word in inside)
        else:
            of_clause = not any(word in _PREPOSITIONS for word in between) and between[-1] not in _PARTICIPLES
            if of_clause and before in _RELATIVE:
                # "which the country Ada is from is part of", its own verb behind the clause's
                for high in _clause_ends(words, end, last)[:1]:
                    if high < last and words.words[high] in _AUXILIARIES:
                        yield at, high
                low = at  # "where the band High on Fire": the name begins with what it is the name of
                continue
        opened += 1
        if owner and of_clause:
            return
        if of_clause:
            # "the country where Ada was born", "the country Ada was born in"
            for high in _clause_ends(words, end, last):
                yield at, high
            if not relative and before in _PREPOSITIONS and (end >= last or words.words[end] in _PARTICIPLES):
                low, opened = at, 0  # "the author of the song Hey Jude"
        elif _own_verb(before, between):
            continue
        elif not (between[-1:] == ("of",) and all(word in _PLACES for word in between[:-1])):
            yield at, end
        if opened >= 2:
            return


def _own_verb(before: str, between: Sequence[str]) -> bool:
    """Whether the question's own verb stands before a name: "do the people work in", "is the office located in"."""
    participle = between[-2:-1] != () and (between[-2] in _PARTICIPLES or between[-2].endswith("ed"))
    return before in _COPULAS and participle or before in _DO and between[-1] != "of" and not participle


def _nouns_after(words: _Words, low: int, end: int, last: int) -> list[int]:
    """Where nouns that follow a name end: "Ada's country of citizenship", "the Orange Box game developer"."""
    owned = end < len(words) and words.words[end] == "'s"
    at = end + 1 if owned else end
    verb_follows = not _DO.isdisjoint(words.words[:low])  # "where did Ada's mother pass away"
    if not owned and verb_follows:
        return []
    if not owned:
        marked = words.words[low] in _DETERMINERS or words.text[words.starts[low] - 1 : words.starts[low]] in _OPENING
        gap = words.text[words.ends[end - 1] : words.starts[end]] if end < len(words) else ""
        if gap not in (" ", '" ', "” ", "» ") or not marked and not (low and words.words[low - 1] in _PREPOSITIONS):
            return []
        if low and words.words[low - 1] in _AUXILIARIES | _RELATIVE:
            return []
    stop = at
    verbs = _NO_NOUNS if verb_follows else _NO_NOUNS - {"work", "play"}
    while stop < last and words.words[stop] not in verbs and not (stop > at and _broken(words, stop - 1)):
        stop += 1
    if stop == at or stop - at > (4 if owned else 2) or not owned and words.words[stop - 1].endswith("ed"):
        return []
    found = [at + 1, stop] if owned and verb_follows else [stop, at + 1] if owned else [stop]
    following = words.words[stop : stop + 2]
    if owned and len(following) == 2 and following[0] == "of" and following[1] not in _DETERMINERS:
        found.append(stop + 2)
    return list(dict.fromkeys(found))


def _clause_ends(words: _Words, end: int, last: int) -> list[int]:
    """Where a clause whose subject the name is may end, the nearest first."""
    found = [
        at
        for at in range(end + 1, last)
        if (
            words.words[at] in _AUXILIARIES | _PARTICIPLES
            or words.words[at].endswith("ed")
            and words.words[at - 1] in _PREPOSITIONS
        )
        and words.words[at - 1] not in _AUXILIARIES
    ]
    verb = words.words[end : end + 1]
    if end + 1 < last and _PARTICIPLES & {*verb} and words.words[end + 1] not in _PREPOSITIONS | _DETERMINERS | {"and"}:
        found.insert(0, end + 1)  # "to which Ada belongs conduct"
    found = [at for at in found if not any(_broken(words, i) for i in range(end, at - 1))]
    whole = next((i + 1 for i in range(end, last) if _broken(words, i)), last)
    if whole > end:
        found.append(whole)
    return list(dict.fromkeys(found))[:3]


def _without_copula(words: _Words) -> Sequence[str]:
    """The words without the "is" with which an unfinished sentence ends."""
    shown = words.words
    while shown and shown[-1] in _AUXILIARIES:
        shown = shown[:-1]
    return shown


def _broken(words: _Words, at: int) -> bool:
    """A comma, colon, semicolon or the end of a sentence stands between word ``at`` and the next."""
    if at + 1 >= len(words):
        return False
    gap = words.text[words.ends[at] : words.starts[at + 1]]
    ends = "." in gap and words.ends[at] - words.starts[at] > 1 or ")." in gap  # not behind an initial
    return bool(set(gap) & set(",;:?!\n")) or ends and words.text[words.starts[at + 1]].isupper()


def _phrase(words: _Words, low: int, high: int) -> Phrase:
    """From word numbers to characters; quotation marks that open or close inside are taken along."""
    start, end = words.starts[low], words.ends[high - 1]
    text = words.text
    if start and text[start - 1] in _OPENING:
        start -= 1
    if end < len(text) and text[end] in '"”»' and (text[start:end].count('"') % 2 or text[end] in "”»"):
        end += 1
    return Phrase(start, end, text[start:end])


__all__ = [
    "MOST_PHRASES",
    "MOST_WORDS",
    "Phrase",
    "asked_of",
    "asks_more",
    "every_phrase",
    "is_office",
    "only_compares",
    "phrases",
    "proper_names",
    "rest_words",
]
