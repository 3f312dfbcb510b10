"""Can two answers be answers to one question? A number and a name cannot, nor a length and a price.

Pure text. Where the kind of an answer is not plain, it is no reason to keep two apart.
"""

import re
from typing import Literal

from memory_store.edit import Edit
from memory_store.identity import claim_of

Kind = Literal["number", "name", "noun", ""]
"""A count, date or amount; capitalised words; lower-case words; not plain."""

_TOKEN = re.compile(r"[$€£¥%+]|\d[\d.,:]*|[^\W\d_]+")
_CARDINALS = frozenset(
    "zero one two three four five six seven eight nine ten eleven twelve twenty thirty forty fifty sixty hundred "
    "thousand million billion half".split()
)
_NUMBER_WORDS = _CARDINALS | frozenset(
    "noon midnight daily weekly monthly yearly never always unlimited none free today tomorrow monday tuesday "
    "wednesday thursday friday saturday sunday mondays tuesdays wednesdays thursdays fridays saturdays sundays "
    "january february march april may june july august september october november december".split()
)
_BEFORE_A_NUMBER = frozenset(
    "a about an around at by every from in most on number part port roughly the to until up within".split()
)
_SMALL = frozenset("a an and at by de in of on the to von".split())
_DIMENSIONS = {
    "clock": "am pm noon midnight",
    "time": "second seconds minute minutes min hour hours day days week weeks month months year years",
    "length": "mm cm m km metre metres meter meters kilometre kilometres kilometer kilometers mile miles inch inches "
    "foot feet ft high tall long wide deep",
    "weight": "mg g kg gram grams kilogram kilograms kilo kilos pound pounds lb lbs ounce ounces ton tons tonne tonnes",
    "money": "$ € £ ¥ dollar dollars euro euros eur usd cent cents pence yen franc francs",
    "volume": "ml l litre litres liter liters gallon gallons",
    "data": "kb mb gb tb",
    "power": "hp horsepower watt watts kw",
    "temperature": "degree degrees celsius fahrenheit",
    "share": "% percent",
    "people": "people persons employees staff inhabitants members students guests",
}
_UNITS = {word: dimension for dimension, words in _DIMENSIONS.items() for word in words.split()}


def could_answer_one_question(one: Edit, other: Edit) -> bool:
    """Whether the kinds of the two targets, as far as they are plain, agree.

    >>> born = Edit(statement="", subject="Ada Wren", target_new="Paris")
    >>> could_answer_one_question(born, Edit(statement="", subject="Ada Wren", target_new="4 May 1971"))
    False
    >>> could_answer_one_question(born, Edit(statement="", subject="Ada Wren", target_new="London"))
    True
    """
    a, b = kind_of(claim_of(one)), kind_of(claim_of(other))
    if not a or not b:
        return True
    if a == b == "number":
        units = dimension_of(claim_of(one)), dimension_of(claim_of(other))
        return units[0] == units[1] or "" in units
    if "number" in (a, b):
        return False
    # A lower-case noun beside a name; not where the writer spares himself capitals altogether.
    return a == b or not (one if a == "noun" else other).subject[:1].isupper()


def kind_of(answer: str) -> Kind:
    """Return what an answer is.

    >>> kind_of("up to 120 kg"), kind_of("two acts"), kind_of("June Avery"), kind_of("a surgeon")
    ('number', 'number', 'name', 'noun')
    """
    tokens = _TOKEN.findall(answer)
    words = [token for token in tokens if token[0].isalpha()]
    rest = [token for token in tokens if token.casefold() not in _BEFORE_A_NUMBER] or tokens
    plainly = all(word.casefold() in _NUMBER_WORDS | _BEFORE_A_NUMBER | _UNITS.keys() for word in words)
    if rest and (
        not rest[0][0].isalpha() or rest[0] in _CARDINALS or (plainly and rest[0].casefold() in _NUMBER_WORDS)
    ):
        return "number"
    if not words or len(words) < len(tokens):
        return ""
    telling = [word for word in words if word.casefold() not in _SMALL]
    if telling and all(word[0].isupper() for word in telling):
        return "name"
    return "noun" if all(word[0].islower() for word in telling) else ""


def dimension_of(answer: str) -> str:
    """Return what an amount measures; empty where no unit, or more than one, is named.

    >>> dimension_of("1.7 litres"), dimension_of("9:15"), dimension_of("1987")
    ('volume', 'clock', '')
    """
    found = {_UNITS[token.casefold()] for token in _TOKEN.findall(answer) if token.casefold() in _UNITS}
    if re.search(r"\d:\d\d", answer):
        found.add("clock")
    return found.pop() if len(found) == 1 else ""


__all__ = ["Kind", "could_answer_one_question", "dimension_of", "kind_of"]
