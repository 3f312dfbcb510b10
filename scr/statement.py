"""What is a sentence about, and which of its words are the new answer? The parser behind ``scr add "sentence"``.

A statement is either a question and its answer ("Where is Acme based? Porto") or a sentence that ends in the answer
("Acme is based in Porto."). Every split that the words allow is scored by two small log-linear models, first where the
answer starts, then which span is the subject; the weights stand in ``statement_weights.json`` and are fitted by
``python -m scr.statement_train``. They see closed-class words, frequent lower-case words, capitals and punctuation,
never a name. What is no plain assertion (negated, conditional, hedged, an order) is left as a *free fact*.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from memory_store.errors import InvalidEditError

MIN_CONFIDENCE = 0.6
"""Below it ``scr add`` stores a free fact and says so; unit: probability that subject and target are both right."""

SEVERAL_SENTENCES_CONFIDENCE = 0.9
"""A text of several sentences is parsed only where its first one is this clear; probability."""

MAX_TOKENS = 60
"""Longer statements are stored as free facts; unit: words and punctuation marks."""
MAX_ASSERTION_TOKENS = 30
"""A longer sentence says more than one thing; unit: words and punctuation marks."""
MAX_SUBJECT_TOKENS = 14
WEIGHTS = Path(__file__).with_name("statement_weights.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A statement taken apart. A free fact has an empty subject, prompt and target, and confidence 0."""

    statement: str
    """The statement, trimmed, white space runs made one space."""
    subject: str
    """What the fact is about, as written in the statement."""
    prompt: str
    """The statement up to the target, or the question."""
    target_new: str
    """The new answer alone."""
    confidence: float
    """Probability that subject and target are both right, in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word or a punctuation mark and where it stands."""

    text: str
    start: int
    """Offset of the first character."""
    end: int
    """Offset behind the last one."""


def parse(statement: str) -> Parsed:
    """Take a statement apart, or return it as a free fact.

    Raises:
        InvalidEditError: there is no letter and no digit in it.

    >>> fact = parse("The capital of France is Lyon.")
    >>> fact.subject, fact.prompt, fact.target_new
    ('France', 'The capital of France is', 'Lyon')
    >>> parse("Never share the password.").target_new
    ''
    """
    text = " ".join(statement.split())
    if not any(c.isalnum() for c in text):
        raise InvalidEditError(
            f"got {statement[:40]!r}, wanted a sentence with at least one letter or digit; "
            'try: scr add "The capital of France is Lyon."'
        )
    if len(text) > 40 * MAX_TOKENS or len(tokens := tokenize(text)) > MAX_TOKENS:
        return _free(text)
    question = question_end(tokens)
    if question:
        return _split(text, tokens, question)
    first = _first_sentence(tokens)
    if tokens[-1].text == "?" or not is_assertion(tokens[:first]):
        return _free(text)
    parsed = _split(text, tokens[:first], 0)
    if first < len(tokens) and parsed.confidence < SEVERAL_SENTENCES_CONFIDENCE:
        return _free(text)
    return parsed


def from_question(question: str, answer: str, subject: str | None = None) -> Parsed:
    """Build the fact of a question and its answer; the subject is worked out unless it is given, empty where unsure.

    >>> from_question("Who is the CEO of Acme?", "Jane Roe").statement
    'Who is the CEO of Acme? Jane Roe'
    """
    question, answer = " ".join(question.split()), " ".join(answer.split())
    for name, value in (("question", question), ("answer", answer)):
        if not any(c.isalnum() for c in value):
            raise InvalidEditError(
                f"got {value!r} as {name}, wanted at least one letter or digit; "
                'try: scr add -q "Who is the CEO of Acme?" -a "Jane Roe"'
            )
    confidence = 1.0
    if subject is None:
        asked = parse(f"{question.rstrip('? ')}? {answer}")
        confidence = asked.confidence
        subject = asked.subject if confidence >= MIN_CONFIDENCE else ""
    return Parsed(
        statement=f"{question} {answer}",
        subject=" ".join(subject.split()),
        prompt=question,
        target_new=answer,
        confidence=confidence,
    )


def from_triple(subject: str, relation: str, object: str) -> Parsed:  # noqa: A002 - the triple's own word
    """Build the fact of a triple; a relation that reads as a verb stands between subject and object.

    >>> from_triple("Acme", "CEO", "Jane Roe").statement
    'The CEO of Acme is Jane Roe.'
    >>> from_triple("Acme", "is located in", "Porto").prompt
    'Acme is located in'
    """
    subject, relation, target = (" ".join(part.split()) for part in (subject, relation.replace("_", " "), object))
    for name, value in (("subject", subject), ("relation", relation), ("object", target)):
        if not any(c.isalnum() for c in value):
            raise InvalidEditError(
                f"got {value!r} as {name}, wanted at least one letter or digit; "
                'try: scr add --triple Acme "is located in" Porto'
            )
    if predicate := _as_predicate(relation):
        prompt = f"{subject} {predicate}"
    else:
        noun = re.sub(r"^the\s+|\s+of$", "", relation, flags=re.IGNORECASE)
        prompt = f"The {noun} of {subject} is"
    dot = "" if target.endswith((".", "!", "?")) else "."
    return Parsed(
        statement=f"{prompt} {target}{dot}", subject=subject, prompt=prompt, target_new=target, confidence=1.0
    )


# --- words ---------------------------------------------------------------------------------------------------------

COPULAS = frozenset("is are was were".split())
AUXILIARIES = COPULAS | frozenset(
    "be been being am has have had do does did will would can could shall should may might must".split()
)
PREPOSITIONS = frozenset(
    "of in on at by for from to with about after as into onto over under within between during before since until per "
    "via near inside outside through against among across upon than off up every".split()
)
DETERMINERS = frozenset("the a an this that these those our my your their his her its".split())
CONJUNCTIONS = frozenset("and or but nor".split())
QUESTION_WORDS = frozenset("what which who whom whose where when why how".split())
CLOSED = AUXILIARIES | PREPOSITIONS | DETERMINERS | CONJUNCTIONS | QUESTION_WORDS | frozenset("not it they".split())
PUNCTUATION = frozenset(".,;:!?()[]\"'“”‘’«»…–—-/|")
_OPENING = "\"'“‘«(["
_CLOSING = "\"'”’»,;:!?…"
_BRACKETS = {")": "(", "]": "["}
_POSSESSIVE = re.compile(r"(?<=\w)['’]s$", re.IGNORECASE)
_INITIALS = re.compile(r"^(?:[^\W\d_]\.)+[^\W\d_]?\.?$")
_ABBREVIATION = re.compile(
    r"^(?:dr|mr|mrs|ms|st|mt|ft|jr|sr|inc|ltd|co|corp|bros|no|vs|v|prof|gen|col|sgt|capt|etc|feat)\.$", re.IGNORECASE
)
_NUMBER_WORDS = frozenset(
    "zero one two three four five six seven eight nine ten eleven twelve fifteen twenty thirty forty fifty sixty "
    "ninety hundred thousand million billion half".split()
)
_NUMBER = re.compile(r"^[+#$€£¥]?\d[\d.,:/%°-]*$")


def tokenize(text: str) -> list[Token]:
    """Split at white space, then take punctuation and possessives off the words; inner dots and hyphens stay.

    >>> [t.text for t in tokenize("Acme's VPN is vpn.example.com.")]
    ['Acme', "'s", 'VPN', 'is', 'vpn.example.com', '.']
    """
    tokens: list[Token] = []
    for match in re.finditer(r"\S+", text):
        start, end = match.span()
        while start < end - 1 and text[start] in _OPENING:
            tokens.append(Token(text[start], start, start + 1))
            start += 1
        tail: list[Token] = []
        last_word = not any(c.isalnum() for c in text[end:])
        while end - start > 1:
            chunk, last = text[start:end], text[end - 1]
            loose = last in _CLOSING or (last in _BRACKETS and _BRACKETS[last] not in chunk)
            if last == ".":
                ends = text[match.end() : match.end() + 2].strip().isupper() and not chunk.endswith("..")
                loose = last_word or (ends and not (_INITIALS.match(chunk) or _ABBREVIATION.match(chunk)))
                last_word = False  # one full stop only: "Warner Bros.."
            if loose:
                tail.append(Token(last, end - 1, end))
                end -= 1
            elif possessive := _POSSESSIVE.search(chunk):
                tail.append(Token(possessive.group(), start + possessive.start(), end))
                end = start + possessive.start()
            else:
                break
        tokens.append(Token(text[start:end], start, end))
        tokens.extend(reversed(tail))
    return tokens


def is_punctuation(text: str) -> bool:
    return not any(c.isalnum() for c in text)


def is_capital(text: str) -> bool:
    """Has an upper-case or uncased letter first, or is a name-like mix such as "iPhone"; digits count as well."""
    return text[0].isupper() or text[0].isdigit() or any(c.isupper() for c in text[1:])


# --- what is a plain assertion -------------------------------------------------------------------------------------

_NEGATIONS = frozenset("not never no nobody nothing none neither cannot without hardly".split())
_HEDGES = frozenset("maybe perhaps possibly probably allegedly supposedly reportedly might if unless whether".split())
_ORDERS = frozenset(
    "please never always do don't make keep use ask send call remember note ensure check avoid try let be go stop "
    "start share add remove delete contact write read tell give take open close click press visit see follow "
    "submit".split()
)
_NO_SUBJECTS = frozenset("it they he she i we you this that these those there here so and but or yes no".split())
_COMPARISONS = frozenset("than whereas although though because but".split())


def is_number(words: Sequence[str], k: int) -> bool:
    return k < len(words) and (words[k] in _NUMBER_WORDS or _NUMBER.match(words[k]) is not None)


def is_assertion(tokens: Sequence[Token]) -> bool:
    """Whether the words state one thing plainly: nothing negated, conditional, hedged, compared or ordered.

    Only lower-case words and the first word count, so that titles keep theirs ("Never Let Me Go").
    """
    words = [t.text for t in tokens if not is_punctuation(t.text)]
    if len(words) < 3 or len(tokens) > MAX_ASSERTION_TOKENS:
        return False
    if words[0].casefold() in _NO_SUBJECTS and not is_capital(words[1]):
        return False
    first, second, third = words[0].casefold(), words[1], words[2]
    if not is_capital(second) and (
        first in _HEDGES | {"when", "while", "unlike"}
        or (first in _ORDERS and second != "of" and third not in COPULAS)  # "Contact person is Jane"
    ):
        return False
    for k, word in enumerate(words):
        lower = word.casefold()
        if (word.islower() or k == 0) and lower.endswith(("n't", "n’t")):
            return False
        if word == "than" and words[k - 1] in ("more", "less", "fewer", "later", "earlier") and is_number(words, k + 1):
            continue  # an amount: "more than 20 people"
        if word.islower() and lower in _NEGATIONS | _HEDGES | _COMPARISONS:
            return False
        if word == "and" and COPULAS & set(words[:k]) and COPULAS & set(words[k:]):
            return False  # two clauses
    return True


def question_end(tokens: Sequence[Token]) -> int:
    """Index behind the question mark that an answer follows; 0 where there is none."""
    for k in range(len(tokens) - 2, 0, -1):
        if tokens[k].text == "?" and any(not is_punctuation(t.text) for t in tokens[k + 1 :]):
            gap = tokens[k + 1].start > tokens[k].end
            if gap and tokens[k - 1].text not in _OPENING:
                return k + 1
    return 0


def _first_sentence(tokens: Sequence[Token]) -> int:
    """Number of tokens in the first sentence, its full stop included."""
    for k in range(2, len(tokens) - 1):
        if tokens[k].text in (".", "!") and is_capital(tokens[k + 1].text) and tokens[k + 1].start > tokens[k].end:
            return k + 1
    return len(tokens)


# --- candidates and their features ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Weights:
    """The fitted numbers."""

    vocabulary: frozenset[str]
    """Frequent lower-case words; all others are seen by their shape only."""
    target: Mapping[str, float]
    subject: Mapping[str, float]
    confidence: Mapping[str, Sequence[float]]
    """Kind of statement to the slopes of ``confidence_features`` and the intercept."""


@cache
def weights() -> Weights:
    data: dict[str, Any] = json.loads(WEIGHTS.read_text(encoding="utf-8"))
    return Weights(
        vocabulary=frozenset(data["vocabulary"]),
        target=data["target"],
        subject=data["subject"],
        confidence=data["confidence"],
    )


def words_of(tokens: Sequence[Token], vocabulary: frozenset[str]) -> list[str]:
    """What the models see of each token: a known word as it is, everything else by its shape."""
    words = []
    for k, token in enumerate(tokens):
        text = token.text
        lower = text.casefold().replace("’", "'")
        if is_punctuation(text) or lower == "'s":
            words.append(lower)
        elif text[0].isdigit() or _NUMBER.match(text) or text in _NUMBER_WORDS:
            words.append("<num>")
        elif text[0].isupper():
            if k == 0 and (lower in CLOSED or lower in vocabulary):
                words.append(lower)
            elif k == 0:
                words.append("<First>")
            elif lower in CLOSED:
                words.append("<Cap-" + lower + ">")
            else:
                words.append("<CAPS>" if len(text) > 1 and text.isupper() else "<Cap>")
        elif any(c.isupper() for c in text):
            words.append("<miX>")
        elif lower in CLOSED or lower in vocabulary:
            words.append(lower)
        else:
            suffix = next((s for s in ("ing", "ed", "ly", "ion", "s") if lower.endswith(s) and len(lower) > 4), "")
            words.append(f"<{suffix or 'low'}>")
    return words


def _capital(word: str) -> bool:
    return word.startswith("<") and word[1] in "CFm" or word == "<num>"


def subject_spans(words: Sequence[str], tokens: Sequence[Token], end: int) -> list[tuple[int, int]]:
    """Every (first, last) that may be a subject among the tokens before ``end``, both inclusive."""
    spans = []
    for i in range(end):
        first = words[i]
        if i == 0 and first not in ("the", "a", "an") and any(_capital(w) for w in words[1:3]):
            pass  # "In Flames", "My Favorite Highway"
        elif first in CLOSED or first == "'s" or is_punctuation(tokens[i].text) or first == "<Cap-the>":
            # "The Pentagon" is found as "Pentagon", then its article is given back.
            continue
        for j in range(i, min(end, i + MAX_SUBJECT_TOKENS)):
            last, text = words[j], tokens[j].text
            if last in CLOSED and j > i or last == "'s" or (is_punctuation(text) and text not in ")!?."):
                continue
            inner = [t.text for t in tokens[i : j + 1]]
            if inner.count("(") == inner.count(")") and inner.count("[") == inner.count("]"):
                spans.append((i, j))
    return spans


def subject_features(words: Sequence[str], i: int, j: int, end: int, kind: str) -> list[str]:
    """Feature names of the span i..j (inclusive) in a prompt of ``end`` tokens."""

    def at(k: int) -> str:
        return words[k] if 0 <= k < end else ("<start>" if k < 0 else "<end>")

    left, right = i - 1, j + 1
    article = ""
    if at(left) in ("the", "a", "an", "<Cap-the>") or at(left) in DETERMINERS:
        article, left = at(left), left - 1
    l1, l2, r1, r2 = at(left), at(left - 1), at(right), at(right + 1)
    span = words[i : j + 1]
    caps = [_capital(w) for w in span]
    low = [
        w for w in span if not _capital(w) and w not in CLOSED and not is_punctuation(w) and not w.startswith("<Cap-")
    ]
    capless = not any(_capital(w) for w in words[1:end])
    nocaps = "~" if capless else ""
    shape = ("allcap" if not low and caps[0] and caps[-1] else "somecap" if any(caps) else "nocap") + nocaps
    outside_caps = sum(_capital(w) for k, w in enumerate(words[:end]) if not i <= k <= j)
    features = [
        f"l1={l1}",
        f"r1={r1}",
        f"l2={l2}_{l1}",
        f"r2={r1}_{r2}",
        f"lr={l1}_{r1}",
        f"{kind}:l1={l1}",
        f"{kind}:r1={r1}",
        f"{kind}:lr={l1}_{r1}",
        f"article={article}",
        f"article={article}:{shape}",
        f"shape={shape}",
        f"{kind}:shape={shape}",
        f"shape={shape}:l1={l1}",
        f"shape={shape}:r1={r1}",
        f"shape={shape}:outside={min(outside_caps, 3)}",
        f"low={min(len(low), 4)}{nocaps}",
        f"len={min(j - i + 1, 8)}{nocaps}",
        f"first={span[0]}",
        f"last={span[-1]}",
        f"first={span[0]}:second={span[1] if len(span) > 1 else r1}",
        f"whole={i == 0}:{right == end}:{shape}",
        f"words-left={min(left + 1, 4)}:{shape}",
        f"words-right={min(end - right, 4)}:{shape}",
    ]
    # A run of capitals is seldom cut.
    features += [
        f"cutl={_capital(words[left]) if left >= 0 else None}:{caps[0]}:{left == 0}",
        f"cutr={_capital(words[right]) if right < end else None}:{caps[-1]}",
    ]
    if left >= 1 and _capital(words[left - 1]) and caps[0]:
        features.append(f"bridgel={l1}")
        features.append(f"bridgel={l1}:{article}:{left == 1}")
    if right + 1 < end and caps[-1]:
        nxt = right + 1
        if words[nxt] in DETERMINERS or words[nxt] == "<Cap-the>":
            nxt += 1
        if nxt < end and _capital(words[nxt]):
            features.append(f"bridger={r1}")
            features.append(f"bridger={r1}:{words[right + 1] if nxt != right + 1 else ''}")
    for k in range(1, len(span) - 1):
        if span[k] in CLOSED or is_punctuation(span[k]) or span[k] == "'s":
            sides = f"{'C' if caps[k - 1] else 'l'}{'C' if caps[k + 1] else 'l'}"
            features.append(f"in={span[k]}")
            features.append(f"in={span[k]}:{sides}")
    features += [f"in-low={w}" for w in dict.fromkeys(low) if not w.startswith("<")]
    if l1 in _OPENING and r1 in _CLOSING:
        features.append("quoted")
    return features


_NO_ANSWER_STARTS = frozenset("the a an in on at by of from with to".split())


def target_starts(words: Sequence[str], tokens: Sequence[Token], end: int) -> list[int]:
    """Where an answer may start in a sentence of ``end`` tokens, its full stop not counted."""
    starts = []
    for t in range(2, end):
        word = words[t]
        if word in _NO_ANSWER_STARTS and not (word == "at" and t + 1 < end and words[t + 1] in ("least", "most")):
            continue  # they belong to the prompt: "is based in" + "Porto"
        if word == "'s" or (is_punctuation(tokens[t].text) and tokens[t].text not in _OPENING):
            continue
        starts.append(t)
    return starts


def target_features(words: Sequence[str], t: int, end: int) -> list[str]:
    """Feature names of the answer t..end-1."""

    def at(k: int) -> str:
        return words[k] if 0 <= k < end else ("<start>" if k < 0 else "<end>")

    p1, p2, p3, n1 = at(t - 1), at(t - 2), at(t - 3), at(t)
    target = words[t:end]
    caps = [_capital(w) for w in target]
    low = sum(not c and w not in CLOSED for c, w in zip(caps, target, strict=True))
    shape = "allcap" if not low and caps[0] else "somecap" if any(caps) else "nocap"
    before = sum(w in COPULAS for w in words[:t])
    after = sum(w in COPULAS for w in target)
    opening = "_".join("C" if _capital(w) else w if w in CLOSED else "l" for w in words[:2])
    seen_capital = any(_capital(w) for w in words[:t])
    features = [
        f"p1={p1}",
        f"p2={p2}_{p1}",
        f"p3={p3}_{p2}_{p1}",
        f"n1={n1}",
        f"p1n1={p1}_{n1}",
        f"shape={shape}",
        f"p1={p1}:shape={shape}",
        f"cut={_capital(p1)}:{caps[0]}",
        f"copulas={min(before, 2)}:{min(after, 2)}",
        f"p1copula={p1 in COPULAS}:{min(before, 3)}:{min(after, 2)}",
        f"p1copula={p1 in COPULAS}:{opening}",
        f"opening={opening}:p1={p1}",
        f"len={min(end - t, 8)}",
        f"last={end - t == 1}:{caps[-1]}",
        f"capital-before={seen_capital}",
        f"capital-before={seen_capital}:p1={p1}",
        f"caps-in-target={min(sum(caps), 4)}:{min(low, 3)}",
    ]
    if p1 in PREPOSITIONS and t >= 2:
        features.append(f"prep-after={'C' if _capital(p2) else p2 if p2 in CLOSED else 'l'}")
        features.append(f"prep={p1}-after={'C' if _capital(p2) else p2 if p2 in CLOSED else 'l'}")
    if p1 in ("the", "a", "an"):
        features.append(f"article-after={p2}")
    for k, word in enumerate(target):
        if k and (word in CLOSED or is_punctuation(word) or word == "'s"):
            features.append(f"in={word}")
            features.append(f"in={word}:{_capital(target[k - 1])}:{k + 1 < len(target) and _capital(target[k + 1])}")
        elif not word.startswith("<"):
            features.append(f"low={word}" if k else f"n1low={word}")
    features += [f"before={w}" for w in dict.fromkeys(words[:t]) if w in CLOSED]
    return features


# --- ranking -------------------------------------------------------------------------------------------------------


def _softmax(scores: Sequence[float]) -> list[float]:
    top = max(scores)
    powers = [math.exp(s - top) for s in scores]
    total = sum(powers)
    return [p / total for p in powers]


def _score(model: Mapping[str, float], features: Sequence[str]) -> float:
    return sum(model.get(f, 0.0) for f in features)


def rank_subjects(tokens: Sequence[Token], end: int, kind: str, known: Weights) -> list[tuple[tuple[int, int], float]]:
    """Subject spans among the first ``end`` tokens with their probabilities, likeliest first."""
    words = words_of(tokens, known.vocabulary)
    spans = subject_spans(words, tokens, end)
    if not spans:
        return []
    chances = _softmax([_score(known.subject, subject_features(words[:end], i, j, end, kind)) for i, j in spans])
    return sorted(zip(spans, chances, strict=True), key=lambda pair: -pair[1])


def rank_targets(tokens: Sequence[Token], begin: int, end: int, known: Weights) -> list[tuple[int, float]]:
    """Starts of the answer at or after ``begin`` with their probabilities, likeliest first."""
    words = words_of(tokens, known.vocabulary)
    starts = [t for t in target_starts(words, tokens, end) if t >= begin]
    if not starts:
        return []
    chances = _softmax([_score(known.target, target_features(words[:end], t, end)) for t in starts])
    return sorted(zip(starts, chances, strict=True), key=lambda pair: -pair[1])


def subject_text(text: str, tokens: Sequence[Token], i: int, j: int) -> str:
    """The span's words, with the article of a capitalised name ("The Pentagon")."""
    name = (
        is_capital(t.text) or t.text in CLOSED or is_punctuation(t.text) or t.text == "'s" for t in tokens[i : j + 1]
    )
    if i and tokens[i - 1].text == "The" and all(name):
        i -= 1
    return text[tokens[i].start : tokens[j].end]


def sentence_end(tokens: Sequence[Token]) -> int:
    """Number of tokens without the closing full stop or exclamation mark."""
    return len(tokens) - (bool(tokens) and tokens[-1].text in (".", "!", "…"))


_UNKNOWN = frozenset("<low> <s> <ed> <ing> <ly> <ion>".split())


def confidence_features(
    words: Sequence[str], end: int, span: tuple[int, int], p_subject: float, p_target: float
) -> list[float]:
    """What the confidence rests on: both logits and how much of the prompt is not understood.

    Returns:
        logit of the subject, logit of the target, log(1 + words outside the subject), unknown lower-case words and
        capitalised ones among them, and 1 where the prompt has no capital at all.
    """
    i, j = span
    outside = [w for k, w in enumerate(words[:end]) if not i <= k <= j and not is_punctuation(w.strip("<>"))]
    unknown = sum(w in _UNKNOWN for w in outside)
    capitals = sum(_capital(w) and w != "<First>" for w in outside)
    capless = not any(_capital(w) for w in words[1:end])
    return [
        _logit(p_subject),
        _logit(p_target),
        math.log1p(len(outside)),
        min(unknown, 5),
        min(capitals, 5),
        float(capless),
    ]


def _logit(p: float) -> float:
    p = min(max(p, 1e-4), 1 - 1e-4)
    return math.log(p / (1 - p))


def _confidence(kind: str, features: Sequence[float]) -> float:
    *slopes, intercept = weights().confidence[kind]
    return 1 / (1 + math.exp(-(sum(a * x for a, x in zip(slopes, features, strict=True)) + intercept)))


@dataclass(frozen=True, slots=True)
class Split:
    """The best way to take the tokens apart."""

    kind: str
    """``question`` or ``cloze``: where the subject was looked for."""
    span: tuple[int, int]
    """First and last token of the subject."""
    target: int
    """First token of the answer."""
    features: list[float]
    """See ``confidence_features``."""


def best_split(tokens: Sequence[Token], question: int, known: Weights | None = None) -> Split | None:
    """Return the likeliest split; ``question`` is ``question_end(tokens)``."""
    known = known or weights()
    words = words_of(tokens, known.vocabulary)
    if question and not has_lead_in(tokens, question):
        spans = rank_subjects(tokens, question - 1, "question", known)
        if not spans:
            return None
        span, p = spans[0]
        return Split("question", span, question, confidence_features(words, question - 1, span, p, 0.5))
    best: tuple[float, Split] | None = None
    for t, p_target in rank_targets(tokens, question + 2, sentence_end(tokens), known)[:3]:
        end, kind = (question - 1, "question") if question else (t, "cloze")
        for span, p in rank_subjects(tokens, end, kind, known)[:1]:
            rest = [w for k, w in enumerate(words[:end]) if not span[0] <= k <= span[1] and w not in DETERMINERS]
            if not rest:
                continue  # "The office moved": nothing between subject and answer
            if best is None or p * p_target > best[0]:
                best = p * p_target, Split(kind, span, t, confidence_features(words, end, span, p, p_target))
    return best[1] if best else None


_LEAD_INS = frozenset("it they he she this that".split())


def has_lead_in(tokens: Sequence[Token], question: int) -> bool:
    """Whether the answer repeats the question's subject first ("Where is Acme? It is in Porto.")."""
    if tokens[question].text.casefold() not in _LEAD_INS or question + 2 >= sentence_end(tokens):
        return False
    return not is_capital(tokens[question + 1].text)  # "They Might Be Giants" is an answer


def _split(text: str, tokens: Sequence[Token], question: int) -> Parsed:
    split = best_split(tokens, question)
    if split is None:
        return _free(text)
    end = sentence_end(tokens)
    stop = tokens[end - 1].end
    if end < len(tokens) and _INITIALS.match(tokens[end - 1].text) and "." in tokens[end - 1].text:
        stop = tokens[end].end  # "U.S." keeps its last dot
    if question and split.target == question:
        prompt = text[: tokens[question - 1].end]
    else:
        prompt = text[: tokens[split.target].start].rstrip()
    return Parsed(
        statement=text,
        subject=subject_text(text, tokens, *split.span),
        prompt=prompt,
        target_new=text[tokens[split.target].start : stop],
        confidence=_confidence(split.kind, split.features),
    )


def _free(text: str) -> Parsed:
    return Parsed(statement=text, subject="", prompt="", target_new="", confidence=0.0)


_VERB_ENDINGS = PREPOSITIONS - {"of"}
_VERBS = frozenset(
    "speaks plays owns uses costs wrote founded directed created follows replaces employs covers leads runs makes "
    "produces contains includes supports requires sells serves lives works manages heads governs borders won married "
    "opens closes ends begins starts takes seats accepts offers provides weighs measures knows teaches studies".split()
)


def _as_predicate(relation: str) -> str:
    """A relation that reads as a verb, ready to stand behind its subject ("founded by" → "was founded by"), else "".

    >>> _as_predicate("located in"), _as_predicate("speaks"), _as_predicate("head of state")
    ('is located in', 'speaks', '')
    """
    words = relation.casefold().split()
    if words[0] in AUXILIARIES:
        return relation
    if len(words) > 1 and words[-1] in _VERB_ENDINGS:
        if words[0] in ("located", "based", "headquartered", "situated", "employed", "affiliated", "known", "part"):
            return f"is {relation}"
        if words[0].endswith("ed") or words[0] in ("born", "written", "built", "made", "sung", "led", "bought", "sold"):
            return f"was {relation}"
        if words[0].endswith("s") and not words[0].endswith("ss"):
            return relation
    return relation if words[0] in _VERBS else ""


__all__ = ["MIN_CONFIDENCE", "Parsed", "from_question", "from_triple", "parse"]
