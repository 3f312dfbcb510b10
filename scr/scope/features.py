"""What speaks for and against "this edit governs this query"? Evidence as numbers, from texts and vectors alone.

Pure functions. A *word* is a run of letters and digits, its accents and case taken away; ``'s`` is not a word. The
*relation* of a text is what remains when the subject's words are taken out. Rows of the evidence matrix are candidates
of one query, columns are ``NAMES``; what cannot be known (no subject, no prompt) is NaN.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from memory_store.edit import Edit
from scr.scope.thesaurus import DESIGNATORS, exclude_each_other, same_given_name, same_meaning, stem

Matrix = NDArray[np.float64]

PLACEHOLDER = "X"
"""Stands where a subject was taken out, before the text is encoded."""

_WORD = re.compile(r"[^\W_]+")
# "J. K. Rowling", "Dr. Weber": a full stop behind an initial or a title ends no sentence.
_SENTENCE_END = re.compile(
    r"(?<![.!?])(?:(?<![\s.][A-Z])(?<!^[A-Z])(?<!\b[DMS]r)(?<!\bSt)(?<!\bJr)(?<!\bMrs)(?<!\bInc)(?<!\bLtd)[.]|[!?])[.!?]*+[\"'”’)]*+\s++|\n++"
)
_UNKNOWN_WEIGHT = 9.0
_SLIP_FROM = 5
"""Letters of a word in which one of them is not the word."""
_FUNCTION_WORDS = frozenset(
    "a an and are as at be been being but by can could did do does doing for from had has have having he her here him "
    "his how i if in into is it its itself just me my no nor not of off on or our out over own she should so some such "
    "than that the their them then there these they this those to too up was we were what when where which while who "
    "whom whose why will with would you your s t d ll m re ve please tell know name called known".split()
)
_NEGATIONS = frozenset(
    "not no never nor neither nobody nothing without isn wasn aren weren doesn didn don hasn besides except excluding "
    "aside".split()
)
_AUXILIARIES = frozenset(
    "is are was were do does did has have had can could will would should am may might must isn wasn aren didn".split()
)
_WH = {"who": 1, "whom": 1, "whose": 2, "what": 3, "which": 4, "where": 5, "when": 6, "how": 7, "why": 8}
_WH_YES_NO, _WH_MANY = 9, 10
_ASKS_FOR = {1: 1, 5: 2, 6: 3, 10: 4}  # person, place, time, amount
_NUMBER_WORDS = frozenset(
    "one two three four five six seven eight nine ten eleven twelve twenty thirty hundred thousand million billion "
    "half double first second third century noon midnight morning evening night today tomorrow yesterday monday "
    "tuesday wednesday thursday friday saturday sunday january february march april may june july august september "
    "october november december spring summer autumn winter daily weekly monthly yearly age era always never free "
    "period bc ad".split()
)
_PERSON_WORDS = frozenset(
    "founder author writer ceo cfo director producer president king queen wife husband spouse father mother child son "
    "daughter brother sister owner coach manager architect designer inventor discoverer painter composer singer leader "
    "head mayor governor chairman actor creator developer publisher editor winner captain performer".split()
)
_TIME_WORDS = frozenset("year date day month century time age".split())
_THEN = frozenset(
    "ago previous previously former formerly originally original initially before until till prior earlier past once "
    "then during century centuries decade decades nineties eighties seventies sixties historically ancient medieval "
    "first last next future soon ever era olden wartime prewar bygone yesteryear predecessor".split()
)
"""Words that move a question to another time than the present."""
_NOW = frozenset("now today nowadays currently current presently present these moment still latest".split())
_PAST = frozenset("was were did had used wasn weren didn hadn".split())
_PRESENT = frozenset("is are does do has have isn aren doesn don hasn haven".split())
_SUPPOSING = frozenset(
    "if suppose supposing imagine imagining assume assuming pretend hypothetically would might wouldn could should "
    "unless whether".split()
)
_CHANGING = frozenset(
    stem(word)
    for word in (
        "change move replace dismiss fire double halve close cancel rename sell buy lose burn raise lower reduce "
        "increase abolish remove add drop resign retire leave quit die merge split become switch extend shorten expire "
        "vanish disappear stop collapse end delete destroy rebuild shut abandon ban vote decide choose pick follow "
        "happen"
    ).split()
)
_THEN_TOGETHER = re.compile(
    r"\bused? to\b|\b(?:old|early|earliest|pioneer) (?:days?|times?|years?)\b|\b(?:age|days|times) of\b"
)
_DECADE = re.compile(r"(?:1[0-9]|20)?\d0s")
_ROMAN = {
    ten + one: 10 * tens + ones
    for tens, ten in enumerate(("", "x", "xx", "xxx", "xl", "l", "lx", "lxx", "lxxx", "xc"))
    for ones, one in enumerate(("", "i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix"))
    if ten + one not in ("", "i")
}
_COUNTED = {
    word: number
    for number, words in enumerate(
        (
            "two second",
            "three third",
            "four fourth",
            "five fifth",
            "six sixth",
            "seven seventh",
            "eight eighth",
            "nine ninth",
            "ten tenth",
            "eleven eleventh",
            "twelve twelfth",
            "thirteen thirteenth",
            "fourteen fourteenth",
            "fifteen fifteenth",
            "sixteen sixteenth",
            "seventeen seventeenth",
            "eighteen eighteenth",
            "nineteen nineteenth",
            "twenty twentieth",
        ),
        start=2,
    )
    for word in words.split()
}
"""Numbers in words; "one" and "first" are left out, which say more than a number."""
_ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th)")
_REFERRING = {word: "" for word in "it he she they him them her there".split()} | dict.fromkeys(
    "its his their".split(), "'s"
)
"""Pronouns that may stand for a subject of an earlier sentence, and what belongs behind its name then."""
_REQUESTS = frozenset(
    "tell name give say list show find explain remind state complete answer write describe please".split()
)
_REQUESTING = re.compile(
    r"\b(?:(?:want|need|like|love) to (?:know|learn|hear|find out)|wonder|wondering|looking for"
    r"|need (?:the|a|an|your|our)|tell me|let me know|do you know|any idea)\b"
)
"""How a sentence asks without a question mark: by its first verb, or by a phrase within."""
_PLACE_WORDS = frozenset("city country place location continent town nation state region area".split())


@dataclass(frozen=True, slots=True)
class Words:
    """A text cut into words; the tuples run in parallel."""

    text: str
    words: tuple[str, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    capital: tuple[bool, ...]
    """Begins with an upper-case letter or digit."""
    sentence: tuple[int, ...]
    """Number of the sentence a word stands in."""
    first: tuple[bool, ...]
    """First word of its sentence, where a capital says nothing."""


@lru_cache(maxsize=65536)
def fold(word: str) -> str:
    """Return ``word`` without accents and case.

    >>> fold("Köstermeyer")
    'kostermeyer'
    """
    if word.isascii():
        return word.lower()
    return "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c)).casefold()


@lru_cache(maxsize=65536)
def read(text: str) -> Words:
    """Cut ``text`` into words.

    >>> read("What's France's capital? Tell me.").words
    ('what', 'france', 'capital', 'tell', 'me')
    """
    breaks = [m.end() for m in _SENTENCE_END.finditer(text)]
    words, starts, ends, capital, sentence, first = [], [], [], [], [], []
    at, last = 0, -1
    for m in _WORD.finditer(text):
        raw, start = m.group(), m.start()
        if raw in ("s", "S") and start and text[start - 1] in "'’":
            continue
        while at < len(breaks) and breaks[at] <= start:
            at += 1
        folded = fold(raw)
        if not folded:
            continue  # nothing but marks that stand on no letter
        words.append(folded)
        starts.append(start)
        ends.append(m.end())
        capital.append(raw[0].isupper() or raw[0].isdigit())
        sentence.append(at)
        first.append(at != last)
        last = at
    return Words(text, tuple(words), tuple(starts), tuple(ends), tuple(capital), tuple(sentence), tuple(first))


def number_of(word: str) -> str:
    """Return the number a word writes, in digits; a word with digits in it is its own; "" where there is none.

    >>> [number_of(word) for word in ("liv", "seventh", "13th", "r200", "north")]
    ['54', '7', '13', 'r200', '']
    """
    if word in _ROMAN:
        return str(_ROMAN[word])
    if word in _COUNTED:
        return str(_COUNTED[word])
    if not any(c.isdigit() for c in word):
        return ""
    ordinal = _ORDINAL.fullmatch(word)
    return ordinal[1] if ordinal else word


class WordWeights:
    """What is known of words: how much one says (inverse document frequency of running English, in nats; an unknown
    word says most), and how near two are in meaning (cosine of their vectors)."""

    def __init__(
        self, weights: Mapping[str, float] | None = None, vectors: Mapping[str, NDArray[np.float32]] | None = None
    ) -> None:
        self._weights = dict(weights or {})
        self._vectors = vectors or {}
        self._near: dict[tuple[str, str], float] = {}
        self._strange: tuple[Words | None, tuple[int, ...]] = (None, ())

    def __call__(self, word: str) -> float:
        if word in _FUNCTION_WORDS:
            return 0.3
        return self._weights.get(word, _UNKNOWN_WEIGHT)

    def total(self, words: Sequence[str]) -> float:
        return sum(map(self, words))

    def strange(self, text: Words) -> tuple[int, ...]:
        """Return which longer words are no names and none that running English has: they may hold a slip."""
        if not self._weights:
            return ()
        known, found = self._strange
        if known is not text:
            found = tuple(
                i
                for i, word in enumerate(text.words)
                if len(word) >= _SLIP_FROM
                and word.isalpha()
                and (text.first[i] or not text.capital[i])
                and word not in _FUNCTION_WORDS
                and word not in self._weights
            )
            self._strange = (text, found)
        return found

    def near(self, one: str, other: str) -> float:
        """In [0, 1]: 1 for forms of one word, 0 where a vector is unknown or says nothing."""
        if stem(one) == stem(other):
            return 1.0
        known = self._near.get((one, other))
        if known is None:
            a, b = self._vectors.get(one), self._vectors.get(other)
            known = 0.0 if a is None or b is None else max(0.0, float(a @ b))
            if len(self._near) > 500_000:
                self._near.clear()
            self._near[one, other] = known
        return known


@dataclass(frozen=True, slots=True)
class Match:
    """Where a subject stands in a query, as word numbers [start, end); end == start when nowhere."""

    start: int = 0
    end: int = 0
    exact: bool = False
    coverage: float = 0.0
    """Weight of the subject's words found, over the weight of all of them."""
    precision: float = 0.0
    """Weight of the found words, over that of the whole name that stands there."""
    ordered: bool = False
    """The found words stand in the subject's order."""
    head: bool = False
    """The subject's first content word was found."""
    tail: bool = False
    """Its last one was."""
    loose: int = 0
    """Found words that are another form of the subject's: a slip, a short given name, an initial."""
    extra_capitals: int = 0
    """Capitalised words that touch the found ones and belong to no subject word: "Whitney" before "Houston"."""


_NOWHERE = Match()


def find_subject(
    query: Words, subject: tuple[str, ...], weigh: WordWeights, stated: Collection[str] = frozenset()
) -> Match:
    """Find the name of ``subject`` in ``query``: exactly, or the window whose words cover it best.

    Args:
        stated: words that the edit itself puts beside its subject; they make no other name of it.
    """
    if not subject or not query.words:
        return _NOWHERE
    n = len(subject)
    for start in range(len(query.words) - n, -1, -1):  # the last one: a lead-in comes before the question
        if query.words[start] == subject[0] and query.words[start : start + n] == subject:
            left, right = _touching_capitals(query, start, start + n, stated)
            extra = left + right
            own = weigh.total(subject)
            beside = (*query.words[start - left : start], *query.words[start + n : start + n + right])
            around = sum(_foreign_weight(word, weigh) for word in beside)
            return Match(start, start + n, True, 1.0, own / (own + around), True, True, True, 0, extra)
    partner = [_partner(word, subject) for word in query.words]  # which subject word, or -1
    hits = [i for i, p in enumerate(partner) if p >= 0 and weigh(subject[p]) > 0.5]
    if not hits:
        joined = _written_together(query, subject)
        return Match(*joined, False, 1.0, 1.0, True, True, True, n) if joined else _NOWHERE
    total = weigh.total(subject)
    best, best_value = (0, 0), -1.0
    for a, start in enumerate(hits):
        found: set[int] = set()
        value = 0.0
        for end in hits[a:]:
            if end - start > n + 3 or query.sentence[end] != query.sentence[start]:
                break
            p = partner[end]
            if p not in found:
                found.add(p)
                value += weigh(subject[p])
            score = value - 0.05 * (end - start)
            if score >= best_value:
                best, best_value = (start, end + 1), score
    start, end = best
    found_words = list(dict.fromkeys(p for p in partner[start:end] if p >= 0))
    content = [i for i, word in enumerate(subject) if weigh(word) > 0.5] or list(range(n))
    left, right = _touching_capitals(query, start, end, stated)
    inside = sum(1 for i in range(start, end) if partner[i] < 0 and query.words[i] not in _FUNCTION_WORDS)
    weight_found = sum(weigh(subject[p]) for p in found_words)
    whole = weight_found + sum(
        _foreign_weight(query.words[i], weigh) for i in range(start - left, end + right) if partner[i] < 0
    )
    coverage, precision = weight_found / total, weight_found / whole
    if coverage < 1:
        joined = _written_otherwise(query, subject, start, end)
        if joined is not None:
            return Match(*joined, False, 1.0, 1.0, True, True, True, len(found_words))
    return Match(
        start - left,
        end + right,
        False,
        coverage,
        precision,
        found_words == sorted(found_words),
        content[0] in found_words,
        content[-1] in found_words,
        sum(1 for i in range(start, end) if partner[i] >= 0 and query.words[i] != subject[partner[i]]),
        left + right + inside,
    )


def _partner(word: str, subject: tuple[str, ...]) -> int:
    if word in subject:
        return subject.index(word)
    if word in _FUNCTION_WORDS:
        return -1
    number = number_of(word)
    if number:
        same = [i for i, other in enumerate(subject) if number_of(other) == number]
        if same or len(word) > 1 or word.isdigit():  # else "L." may be an initial
            return same[0] if same else -1
    if len(word) == 1:
        # An initial, where the name holds no other word that begins so.
        begin = [i for i, other in enumerate(subject) if other[0] == word and len(other) > 1]
        return begin[0] if len(begin) == 1 and len(subject) > 1 and word.isalpha() else -1
    for i, other in enumerate(subject):
        if len(word) >= 4 and len(other) >= 4 and _nearly(word, other) or same_given_name(word, other):
            return i
        if len(other) == 1 and other.isalpha() and word[0] == other and len(subject) > 1 and i < len(subject) - 1:
            return i
    return -1


def _foreign_weight(word: str, weigh: WordWeights) -> float:
    """How much a word beside a name says that it is another name: an initial or "Republic of" next to nothing."""
    return 0.5 if len(word) == 1 or word in DESIGNATORS else weigh(word)


def _written_otherwise(query: Words, subject: tuple[str, ...], start: int, end: int) -> tuple[int, int] | None:
    """Words of the query that spell the subject when joined: "di Caprio" for "DiCaprio"."""
    name = "".join(subject)
    if len(name) < 6:
        return None
    for low in range(max(0, start - 2), start + 1):
        for high in range(end, min(len(query.words), end + 2) + 1):
            there = "".join(query.words[low:high])
            if abs(len(there) - len(name)) <= 1 and _trigram_share(there, name) >= 0.8:
                return low, high
    return None


def _written_together(query: Words, subject: tuple[str, ...]) -> tuple[int, int] | None:
    """Words of the query that spell the subject letter by letter when joined: "End SARS" for "EndSARS"."""
    name = "".join(subject)
    if len(name) < 6:
        return None
    for low, word in enumerate(query.words):
        high = low
        while name.startswith(word) and len(word) < len(name) and high + 1 < len(query.words):
            high += 1
            word += query.words[high]
        if word == name:
            return low, high + 1
    return None


@lru_cache(maxsize=262144)
def _nearly(a: str, b: str) -> bool:
    """One slip apart (a letter changed, missing, added, or two swapped), or the same but for an ending."""
    if abs(len(a) - len(b)) > 3 or a[0] != b[0]:
        return False
    if a.isdigit() or b.isdigit():
        return False
    same = 0
    for x, y in zip(a, b, strict=False):
        if x != y:
            break
        same += 1
    if same >= 4 and same >= max(len(a), len(b)) - 2:
        return True
    if min(len(a), len(b)) < _SLIP_FROM or abs(len(a) - len(b)) > 1:
        return False
    if len(a) == len(b):
        return sum(x != y for x, y in zip(a, b, strict=True)) == 1 or _swapped(a, b)
    short, long = sorted((a, b), key=len)
    return any(long[:i] + long[i + 1 :] == short for i in range(len(long)))


def _swapped(a: str, b: str) -> bool:
    """Two words of one length that differ in two neighbouring letters, which change places."""
    differ = [i for i in range(len(a)) if a[i] != b[i]]
    return (
        len(differ) == 2
        and differ[1] == differ[0] + 1
        and a[differ[0]] == b[differ[1]]
        and a[differ[1]] == b[differ[0]]
    )


def _touching_capitals(query: Words, start: int, end: int, stated: Collection[str] = frozenset()) -> tuple[int, int]:
    """How many capitalised words touch [start, end) on the left and on the right, in the same sentence, that the edit
    does not state."""
    left = right = 0
    while (
        start - left - 1 >= 0
        and query.capital[start - left - 1]
        and query.sentence[start - left - 1] == query.sentence[start]
        and query.starts[start - left] - query.ends[start - left - 1] <= 2
        and not _parts(query, start - left - 1)
        and query.words[start - left - 1] not in _FUNCTION_WORDS
        and query.words[start - left - 1] not in stated
    ):
        left += 1
    while (
        end + right < len(query.words)
        and (query.capital[end + right] or query.words[end + right] in _COUNTED and right == 0)
        and query.sentence[end + right] == query.sentence[end - 1]
        and query.starts[end + right] - query.ends[end + right - 1] <= 2
        and not _parts(query, end + right - 1)
        and query.words[end + right] not in _FUNCTION_WORDS
        and query.words[end + right] not in stated
    ):
        right += 1
    return left, right


def _parts(query: Words, i: int) -> bool:
    """A comma, colon or semicolon stands after word i."""
    return query.text[query.ends[i] : query.ends[i] + 1] in (",", ":", ";", ")", "(")


@dataclass(frozen=True, slots=True)
class EditText:
    """An edit made ready for comparison; see ``read_edit``."""

    edit: Edit
    prompt: Words
    """The prompt, or the statement when there is none."""
    subjects: tuple[tuple[str, ...], ...]
    """The subject's words, then each alias's; empty for a free fact."""
    relation: str
    """Prompt (or statement) with the subject taken out: the text to encode."""
    relation_words: tuple[str, ...]
    statement_words: frozenset[str]
    target: tuple[str, ...]
    before_subject: int
    """Words of the prompt before its subject; -1 when it does not stand there."""
    wh: int


@lru_cache(maxsize=32768)
def _read_edit(statement: str, prompt: str, subject: str, target: str, aliases: tuple[str, ...]) -> tuple[object, ...]:
    words = read(prompt or statement)
    subjects = tuple(s for s in dict.fromkeys(read(name).words for name in (subject, *aliases)) if s)
    before = -1
    relation, relation_words = words.text, words.words
    for name in subjects:
        at = _exactly(words.words, name)
        if at >= 0:
            before = at
            relation = without(words, at, at + len(name))
            relation_words = words.words[:at] + words.words[at + len(name) :]
            break
    statement_words = frozenset(stem(w) for w in read(statement).words)
    return words, subjects, relation, relation_words, statement_words, read(target).words, before, _wh(words, 0)


def read_edit(edit: Edit) -> EditText:
    """Return ``edit`` with its texts cut, its subject found in its prompt and taken out."""
    parts = _read_edit(edit.statement, edit.prompt, edit.subject, edit.target_new, edit.aliases)
    return EditText(edit, *parts)  # type: ignore[arg-type]


def _exactly(words: tuple[str, ...], name: tuple[str, ...]) -> int:
    n = len(name)
    for start in range(len(words) - n, -1, -1):
        if words[start] == name[0] and words[start : start + n] == name:
            return start
    return -1


def without(words: Words, start: int, end: int, low: int = 0, high: int | None = None, name: str = PLACEHOLDER) -> str:
    """Return the text of words [low, high) with words [start, end) replaced by the placeholder, or by ``name``.

    >>> without(read("Who founded Acme Corp?"), 2, 4)
    'Who founded X?'
    """
    text = words.text
    begin = words.starts[low] if low > 0 else 0
    finish = len(text) if high is None or high >= len(words.words) else words.starts[high]
    return f"{text[begin : words.starts[start]]}{name}{text[words.ends[end - 1] : finish]}".strip()


def _wh(words: Words, low: int) -> int:
    """Which question word leads: its number in ``_WH``, 9 for a yes/no question, 10 for how many, 0 for none."""
    tokens = words.words[low : low + 60]
    if not tokens:
        return 0
    if tokens[0] in _AUXILIARIES:
        return _WH_YES_NO
    asked = words.text.rstrip().endswith("?")
    for i, token in enumerate(tokens):
        if token in _WH and (i <= 3 or asked):
            if (
                token == "how"
                and i + 1 < len(tokens)
                and tokens[i + 1] in ("many", "much", "long", "old", "far", "tall")
            ):
                return _WH_MANY
            return _WH[token]
    return 0


def _asks_for(wh: int, relation: Sequence[str], last: str, answer: str = "") -> int:
    """What kind of answer is wanted: 1 person, 2 place, 3 time, 4 amount, 0 not said.

    Args:
        wh: the question word, see ``_wh``.
        relation: the words without the subject's.
        last: the last word; an unfinished sentence that ends in "by" or "in" wants what comes there.
        answer: what came there, where it is known.
    """
    if wh in _ASKS_FOR:
        return _ASKS_FOR[wh]
    words = set(relation)
    if words & _TIME_WORDS:
        return 3
    if words & _PLACE_WORDS:
        return 2
    if wh == 0 and last == "by" or wh in (0, 3, 4) and words & _PERSON_WORDS:
        return 1
    if wh == 0 and last in ("in", "at", "near") and answer:
        return 3 if any(c.isdigit() for c in answer) else 2
    return 0


def _answer_kind_differs(asks: int, edit: EditText) -> float:
    """Whether a number is asked for and the answer holds none, or a person or place and the answer is a number."""
    if asks == 0:
        return 0.0
    answer = edit.edit.target_new or edit.edit.statement
    digits = any(c.isdigit() for c in answer)
    if asks >= 3:
        words = set(edit.target) if edit.target else set(read(answer).words)
        return float(not digits and not words & _NUMBER_WORDS)
    return float(bool(edit.edit.target_new) and digits and not any(c.isupper() for c in answer))


NAMES: tuple[str, ...] = (
    # the whole texts
    "cos_statement",
    "cos_prompt",
    "cos_clause_prompt",
    # the relation, subject taken out
    "cos_relation",
    "cos_relation_crop",
    "cos_relation_best",
    "near_relation",
    "relation_overlap",
    "relation_missing",
    "relation_missing_max",
    "query_extra",
    "query_extra_max",
    "query_extra_count",
    "statement_cover",
    # the relation's words, one by one
    "words_near",
    "words_near_worst",
    "words_near_edit",
    "words_near_edit_worst",
    "same_meaning",
    "excluding",
    # the subject
    "has_subject",
    "has_prompt",
    "subject_exact",
    "subject_coverage",
    "subject_precision",
    "subject_ordered",
    "subject_head",
    "subject_tail",
    "subject_loose",
    "subject_extra_capitals",
    "subject_trigrams",
    "name_asked_only",
    "name_stated_only",
    "name_numbers_differ",
    "name_alike",
    "cos_subject",
    "subject_words",
    "subject_weight",
    # what else is said
    "foreign_capitals",
    "foreign_numbers",
    "numbers_missing",
    "numbers_differ",
    "negation_differs",
    "other_time",
    "present_time",
    "past_for_present",
    "supposing",
    "changing",
    "by_reference",
    "target_in_query",
    "yes_no",
    "asks_same",
    "asks_other",
    "answer_kind_differs",
    "ends_with_question",
    "lower_case",
    # against the rivals
    "rival_cos_statement",
    "rival_cos_prompt",
    "rival_cos_relation",
    "rival_near_relation",
    "rival_coverage",
    "rival_blend",
    "rival_trigrams",
    "same_subject_rivals",
    "name_shared",
)
COLUMN = {name: i for i, name in enumerate(NAMES)}
DENSE = tuple(n for n in NAMES if "cos_" in n or "near_relation" in n) + ("rival_blend",)
"""Columns that need the encoder the weights were trained with."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A query and one candidate, its subject found; what must still be encoded is named here."""

    query: Words
    edit: EditText
    match: Match
    start: int
    end: int
    """Words [start, end) are the name that stands there: the match and the capitalised words that touch it; or the
    word that refers to it."""
    low: int
    high: int
    """Words [low, high) are the clause that holds the subject, or that asks about it in a later sentence."""
    clause: str
    relation: str
    """The clause with the subject taken out."""
    crop: str
    """The same, cut to as many words before the subject as the prompt has."""
    by_reference: bool = False
    """Another sentence than the subject's asks; in ``clause`` the subject's name stands for the pronoun."""
    name: tuple[str, ...] = ()
    """The words of the name that stands there, whether or not a later sentence asks."""
    likened: tuple[str, ...] = ()
    """The words of the subject or alias that it is likened to."""
    name_asked: str = ""
    """What stands in the subject's place, where it is not the subject word for word."""
    name_stated: str = ""
    """The name it is likened to."""


def pair_up(query_text: str, edit: Edit, weigh: WordWeights) -> Pair:
    """Find the edit's subject in the query and name the texts whose vectors are compared.

    A word that English does not know, with two letters swapped or one doubled against a word of the edit's relation, is
    read as that word.
    """
    ready = read_edit(edit)
    query = read(_without_slips(query_text, ready.relation_words, weigh))
    match = _NOWHERE
    likened: tuple[str, ...] = ()
    for name in ready.subjects:
        found = find_subject(query, name, weigh, ready.prompt.words)
        if (found.exact, found.coverage * found.precision) > (match.exact, match.coverage * match.precision):
            match, likened = found, name
    low, high = _clause(query, match)
    clause = _between(query, low, high)
    if match.end == match.start:
        return Pair(query, ready, match, 0, 0, low, high, clause, clause, clause)
    start, end = match.start, match.end
    if match.exact and match.extra_capitals:
        left, right = _touching_capitals(query, start, end, ready.prompt.words)
        start, end = start - left, end + right
    there = query.words[start:end]
    asked = stated = ""
    if not match.exact or match.extra_capitals:
        asked = query.text[query.starts[start] : query.ends[end - 1]]
        stated = " ".join(likened).title()
    later = None if _asks(query, low, high) else _asked_later(query, high)
    if later is not None:
        low, high, at = later
        written = query.text[query.starts[start] : query.ends[end - 1]]
        if at < 0:
            clause = _between(query, low, high)
            relation, clause = f"{PLACEHOLDER}: {clause}", f"{written}: {clause}"
            at_end = at = low
        else:
            at_end, behind = at + 1, _behind(query, at, high)
            relation = without(query, at, at_end, low, high, PLACEHOLDER + behind)
            clause = without(query, at, at_end, low, high, written + behind)
        return Pair(
            query, ready, match, at, at_end, low, high, clause, relation, relation, True, there, likened, asked, stated
        )
    relation = without(query, start, end, low, high)
    crop_from = low
    if ready.before_subject >= 0 and start - low > ready.before_subject + 4:
        crop_from = start - ready.before_subject
    crop = relation if crop_from == low else without(query, start, end, crop_from, high)
    return Pair(
        query, ready, match, start, end, low, high, clause, relation, crop, False, there, likened, asked, stated
    )


def _without_slips(text: str, stated: tuple[str, ...], weigh: WordWeights) -> str:
    """Return ``text`` with words of no meaning put right that are one slip of the hand away from a stated word."""
    words = read(text)
    strange = weigh.strange(words)
    if not strange:
        return text
    long = [w for w in stated if len(w) >= _SLIP_FROM]
    pieces, at = [], 0
    for i in strange:
        word = words.words[i]
        meant = next((w for w in long if w[0] == word[0] and _slipped(word, w)), None)
        if meant is not None and stem(meant) != stem(word):
            pieces += [text[at : words.starts[i]], meant]
            at = words.ends[i]
    return "".join(pieces) + text[at:]


def _slipped(word: str, meant: str) -> bool:
    """Two neighbours swapped, or a letter doubled or a double one single; a letter changed makes other words ("lender",
    "leader") too often."""
    if len(word) == len(meant):
        return _swapped(word, meant)
    short, long = sorted((word, meant), key=len)
    return len(long) - len(short) == 1 and any(
        long[i] == long[i + 1] and long[:i] + long[i + 1 :] == short for i in range(len(long) - 1)
    )


def _clause(query: Words, match: Match) -> tuple[int, int]:
    """The sentence of the match, with the next one if the match ends its own; without a match the last sentence."""
    if not query.words:
        return 0, 0
    if match.end == match.start:
        number_low = number_high = query.sentence[-1]
    else:
        number_low, number_high = query.sentence[match.start], query.sentence[match.end - 1]
    low = 0
    while low < len(query.words) and query.sentence[low] < number_low:
        low += 1
    high = len(query.words)
    while high > low and query.sentence[high - 1] > number_high:
        high -= 1
    if high - low <= 2 and number_low > 0 and match.end > match.start and high < len(query.words):
        high = len(query.words)
    # A sentence of one or two words ("Mr. X", "No. 5") is no clause of its own.
    while low > 0 and high - low < 3:
        number_low -= 1
        while low > 0 and query.sentence[low - 1] >= number_low:
            low -= 1
        if number_low < 0:
            break
    return low, high


def _asked_later(query: Words, high: int) -> tuple[int, int, int] | None:
    """Where a text that names the subject in a sentence that asks nothing goes on to ask, behind word ``high``.

    Returns:
        (low, high) of the asking sentence and the number of the word in it that refers back, or -1; None where no later
        sentence asks. One that asks without a question mark counts if a word in it refers back.
    """
    low = high
    while low < len(query.words):
        end = low
        while end < len(query.words) and query.sentence[end] == query.sentence[low]:
            end += 1
        at = next((i for i in range(low, end) if _refers(query, i, low)), -1)
        if _ends_in_question(query, end) or at >= 0 and _asks(query, low, end):
            return low, end, at
        low = end
    return None


def _asks(query: Words, low: int, high: int) -> bool:
    """Whether words [low, high) ask for something: by a question mark, a question word in front, or a request."""
    if _ends_in_question(query, high):
        return True
    first = [
        word for word in query.words[low:high] if word not in ("and", "so", "ok", "hey", "hi", "now", "then", "but")
    ]
    if first[:1] and (
        first[0] in _WH or first[0] in _AUXILIARIES or first[0] in _REQUESTS or first[0] in ("whats", "whos")
    ):
        return True
    return bool(_REQUESTING.search(" ".join(query.words[low:high])))


def _refers(query: Words, i: int, low: int) -> bool:
    """Whether word ``i`` stands for something named before; "is there", "what time is it" name nothing."""
    if query.words[i] not in _REFERRING:
        return False
    before = query.words[max(low, i - 2) : i]
    if query.words[i] == "there":
        return not before or before[-1] not in ("is", "are", "was", "were")
    return not (query.words[i] == "it" and before[:1] == ("time",))


def _behind(query: Words, i: int, high: int) -> str:
    """What belongs behind the name that is put for the pronoun at word ``i``."""
    if query.words[i] != "her":
        return _REFERRING[query.words[i]]
    return "'s" if i + 1 < high and query.words[i + 1] not in _FUNCTION_WORDS else ""


def _ends_in_question(query: Words, high: int) -> bool:
    """Whether a question mark stands behind word ``high - 1``, before the next."""
    if high < 1:
        return False
    finish = len(query.text) if high >= len(query.words) else query.starts[high]
    return "?" in query.text[query.ends[high - 1] : finish]


def _between(query: Words, low: int, high: int) -> str:
    if not query.words:
        return query.text.strip()
    begin = query.starts[low] if low > 0 else 0
    finish = len(query.text) if high >= len(query.words) else query.starts[high]
    return query.text[begin:finish].strip()


def evidence(
    pairs: Sequence[Pair],
    cosines: NDArray[np.float64],
    weigh: WordWeights,
) -> Matrix:
    """Return the evidence on all candidates of one query, shape (candidates, len(NAMES)), float64.

    Args:
        pairs: one for each candidate.
        cosines: shape (candidates, 7): query with statement, query with prompt, clause with prompt, relation with
            relation, crop with relation, name with subject, crop with relation in the learnt space; NaN where there
            is no such text, or no space.
        weigh: how much each word says.
    """
    rows = np.array([_alone(p, c, weigh) for p, c in zip(pairs, cosines, strict=True)], np.float64)
    rows = rows.reshape(len(pairs), len(NAMES))
    _against_rivals(rows, pairs)
    return np.round(rows, 5)


def _alone(pair: Pair, cosines: NDArray[np.float64], weigh: WordWeights) -> list[float]:
    query, ready, match = pair.query, pair.edit, pair.match
    nan = float("nan")
    clause_words = query.words[pair.low : pair.high]
    inside = range(pair.start, pair.end)
    relation = [query.words[i] for i in range(pair.low, pair.high) if i not in inside]
    content_query = {stem(w): w for w in relation if w not in _FUNCTION_WORDS}
    content_edit = {stem(w): w for w in ready.relation_words if w not in _FUNCTION_WORDS}
    target = {stem(w) for w in ready.target}
    shared = content_query.keys() & content_edit.keys()
    w_shared = sum(weigh(content_edit[s]) for s in shared)
    missing = [weigh(w) for s, w in content_edit.items() if s not in shared and s not in target]
    extra = [weigh(w) for s, w in content_query.items() if s not in shared and s not in target]
    extra_far = [weigh(w) for s, w in content_query.items() if s not in ready.statement_words]
    cover = [weigh(w) for s, w in content_query.items() if s in ready.statement_words]
    subject = ready.subjects[0] if ready.subjects else ()
    edit_words = {w for name in ready.subjects for w in name} | set(ready.prompt.words) | set(ready.target)
    edit_words |= {w for w in read(ready.edit.statement).words}
    foreign = [
        i
        for i in range(pair.low, pair.high)
        if query.capital[i]
        and not query.first[i]
        and i not in inside
        and query.words[i] not in edit_words
        and not query.words[i].isdigit()
        and query.words[i] not in _FUNCTION_WORDS
    ]
    # "V" and "Li" write numbers in names alone.
    edit_numbers = {number_of(w) for w in edit_words}
    foreign_numbers = {number_of(w) for w in clause_words if w not in _ROMAN} - edit_numbers - {""}
    numbers_missing = set()
    if ready.edit.prompt:
        asked_numbers = {number_of(w) for w in (*ready.prompt.words, *subject) if w not in _ROMAN and w not in _COUNTED}
        numbers_missing = asked_numbers - {number_of(w) for w in query.words} - {""}
    name_there = "".join(query.words[match.start : match.end])
    trigrams = _trigram_share("".join(pair.likened or subject), name_there) if subject else nan
    target_words = [w for w in ready.target if w not in _FUNCTION_WORDS]
    in_query = set(query.words)
    target_share = (
        sum(weigh(w) for w in target_words if w in in_query) / max(weigh.total(target_words), 1e-9)
        if target_words
        else nan
    )
    wh = _wh(query, pair.low)
    asks = _asks_for(wh, relation, clause_words[-1] if clause_words else "")
    asked = _asks_for(
        ready.wh, ready.relation_words, ready.prompt.words[-1] if ready.prompt.words else "", ready.edit.target_new
    )
    total = w_shared + sum(missing) + sum(extra)
    return [
        float(cosines[0]),
        float(cosines[1]),
        float(cosines[2]),
        float(cosines[3]),
        float(cosines[4]),
        float(np.fmax(cosines[3], cosines[4])),
        float(cosines[6]),
        w_shared / total if total else 1.0,
        sum(missing),
        max(missing, default=0.0),
        sum(extra),
        max(extra, default=0.0),
        float(len(extra)),
        sum(cover) / max(sum(cover) + sum(extra_far), 1e-9) if content_query else 1.0,
        *_word_by_word(content_query, content_edit, target, weigh),
        float(bool(subject)),
        float(bool(ready.edit.prompt)),
        float(match.exact) if subject else nan,
        match.coverage if subject else nan,
        match.precision if subject else nan,
        float(match.ordered) if subject else nan,
        float(match.head) if subject else nan,
        float(match.tail) if subject else nan,
        float(match.loose) if subject else nan,
        float(match.extra_capitals) if subject else nan,
        trigrams,
        *(_names_apart(pair) if pair.likened else [nan] * 4),
        float(cosines[5]),
        float(len(subject)) if subject else nan,
        weigh.total(subject) if subject else nan,
        float(len(foreign)),
        float(len(foreign_numbers)),
        float(len(numbers_missing)),
        float(bool(foreign_numbers) and bool(numbers_missing)),
        float(bool(_NEGATIONS & set(clause_words)) != bool(_NEGATIONS & set(ready.prompt.words))),
        *_time_and_mood(query, pair, clause_words, inside, edit_words),
        target_share,
        float(wh == _WH_YES_NO),
        float(asks == asked != 0),
        float(asks != asked and asks != 0 and asked != 0),
        _answer_kind_differs(asks, ready),
        float(query.text.rstrip().endswith("?")),
        float(not any(c.isupper() for c in query.text)),
        *[nan] * 9,
    ]


def _names_apart(pair: Pair) -> tuple[float, float, float, float]:
    """How many words only the name in the query has, how many only the subject, whether their numbers differ, and how
    alike the words are that only the subject has to those that only the other name has: 1 where there are none."""
    asked, subject = pair.name, pair.likened
    partner = [_partner(word, subject) for word in asked]
    only_asked = [w for w, p in zip(asked, partner, strict=True) if p < 0 and w not in _FUNCTION_WORDS]
    only_stated = [w for i, w in enumerate(subject) if i not in partner and w not in _FUNCTION_WORDS]

    numbers_asked, numbers_stated = {number_of(w) for w in asked}, {number_of(w) for w in subject}
    for word, p in zip(asked, partner, strict=True):
        if p >= 0 and word != subject[p] and min(len(word), len(subject[p])) == 1:  # an initial is no number
            numbers_asked.discard(number_of(word))
            numbers_stated.discard(number_of(subject[p]))
    return (
        float(len(only_asked)),
        float(len(only_stated)),
        float(numbers_asked - {""} != numbers_stated - {""}),
        min((max((_trigram_share(a, b) for a in only_asked), default=0.0) for b in only_stated), default=1.0),
    )


def _time_and_mood(
    query: Words, pair: Pair, clause: Sequence[str], inside: range, of_edit: set[str]
) -> tuple[float, float, float, float, float, float]:
    """Words that ask of another time, of the present, in the past of a present fact; that suppose; that change."""
    outside = [query.words[i] for i in range(pair.low, pair.high) if i not in inside]
    strange = [word for word in outside if word not in of_edit]
    years = sum(
        len(word) == 4 and word.isdigit() and word[0] in "12" or _DECADE.fullmatch(word) is not None for word in strange
    )
    together = len(_THEN_TOGETHER.findall(" ".join(outside))) if not _THEN_TOGETHER.search(pair.edit.relation) else 0
    later_when = sum(word in ("when", "while") for word in strange[1:]) * (_wh(query, pair.low) != _WH["when"])
    stated, asked = set(pair.edit.prompt.words), set(clause)
    return (
        float(sum(word in _THEN for word in strange) + years + together + later_when),
        float(sum(word in _NOW for word in outside)),
        float(bool(stated & _PRESENT) and not stated & _PAST and bool(asked & _PAST) and not asked & _PRESENT),
        float(sum(word in _SUPPOSING for word in query.words)),
        float(sum(stem(word) in _CHANGING for word in strange)),
        float(pair.by_reference),
    )


def _word_by_word(
    asked: Mapping[str, str], stated: Mapping[str, str], target: set[str], weigh: WordWeights
) -> list[float]:
    """How near the words of the two relations come, by stem → word; the answer's own words are left aside."""
    asked = {s: w for s, w in asked.items() if s not in target}
    own = {s: w for s, w in stated.items() if s not in target} or stated
    near = {(a, b): weigh.near(asked[a], own[b]) for a in asked for b in own}
    for a, b in near:
        if same_meaning(a, b):
            near[a, b] = max(near[a, b], 0.9)
    best = {a: max((near[a, b] for b in own), default=0.0) for a in asked}
    best_edit = {b: max((near[a, b] for a in asked), default=0.0) for b in own}
    only_asked = [a for a in asked if a not in stated]
    only_stated = [b for b in own if b not in asked]
    excluding = sum(
        any(exclude_each_other(a, b) for b in only_stated) and not any(same_meaning(a, b) for b in stated)
        for a in only_asked
    )
    same = sum(best[a] >= 0.9 for a in asked)

    def mean(values: Mapping[str, float], words: Mapping[str, str]) -> float:
        total = sum(weigh(words[s]) for s in values)
        return sum(v * weigh(words[s]) for s, v in values.items()) / total if total else float("nan")

    return [
        mean(best, asked),
        max(((1 - v) * weigh(asked[s]) for s, v in best.items()), default=0.0),
        mean(best_edit, own),
        max(((1 - v) * weigh(own[s]) for s, v in best_edit.items()), default=0.0),
        float(same),
        float(excluding),
    ]


def _against_rivals(rows: Matrix, pairs: Sequence[Pair]) -> None:
    """Fill the ``rival_…`` columns: own value less the best other candidate's; a lone candidate has no rival (NaN)."""

    def known(name: str, unknown: float) -> list[float]:
        return [unknown if v != v else v for v in rows[:, COLUMN[name]].tolist()]

    coverage = [a * b for a, b in zip(known("subject_coverage", 0.0), known("subject_precision", 1.0), strict=True)]
    blend = [a + b for a, b in zip(known("cos_relation_best", 0.0), coverage, strict=True)]
    compared = {
        "rival_cos_statement": known("cos_statement", -1.0),
        "rival_cos_prompt": known("cos_prompt", -1.0),
        "rival_cos_relation": known("cos_relation_best", -1.0),
        "rival_near_relation": known("near_relation", -1.0),
        "rival_coverage": coverage,
        "rival_blend": blend,
        "rival_trigrams": known("subject_trigrams", -1.0),
    }
    if len(pairs) > 1:
        for name, values in compared.items():
            *_, second, first = sorted(values)
            rows[:, COLUMN[name]] = [v - (second if v == first else first) for v in values]
    subjects = [p.edit.subjects[0] if p.edit.subjects else None for p in pairs]
    rows[:, COLUMN["same_subject_rivals"]] = [subjects.count(s) - 1.0 if s else 0.0 for s in subjects]
    rows[:, COLUMN["name_shared"]] = _shared_names(pairs, subjects)


def _shared_names(pairs: Sequence[Pair], subjects: Sequence[tuple[str, ...] | None]) -> list[float]:
    """Of each candidate, how many other subjects among the candidates hold all words by which its own was found."""
    others = {s: frozenset(s) for s in subjects if s}
    shared = []
    for pair, subject in zip(pairs, subjects, strict=True):
        found = {pair.likened[p] for p in (_partner(word, pair.likened) for word in pair.name) if p >= 0}
        held = [found <= words for other, words in others.items() if other != subject]
        shared.append(float(sum(held)) if found else float("nan"))
    return shared


@lru_cache(maxsize=65536)
def _trigrams(text: str) -> frozenset[str]:
    around = f"  {text} "
    return frozenset(around[i : i + 3] for i in range(len(around) - 2))


def _trigram_share(a: str, b: str) -> float:
    if not a or not b:
        return 0.0
    x, y = _trigrams(a), _trigrams(b)
    return len(x & y) / len(x | y)


__all__ = [
    "COLUMN",
    "DENSE",
    "NAMES",
    "EditText",
    "Match",
    "Pair",
    "WordWeights",
    "Words",
    "evidence",
    "find_subject",
    "fold",
    "pair_up",
    "read",
    "read_edit",
    "stem",
    "without",
]
