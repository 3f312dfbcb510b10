"""Into which pieces is a text cut that are judged one by one? A message may ask twice, a document may ask anywhere.

Each question of a short message is judged by itself, so that what the first asks does not speak against the second. One
that names nothing itself ("At which hospital does she work?") takes along the names of those before it.
"""

from __future__ import annotations

import re

from scr.scope.features import Words, read

LONG_QUERY = 48
"""Words above which a text is judged by its sentences."""
_ALWAYS_WHOLE = 2 * LONG_QUERY  # characters: fewer than that many words
_LONG_TEXT = 20_000
_WH = r"(?:(?:at|in|on|by|from|to|of|for|with|since|until|under) )?(?:what|who|whom|whose|which|where|when|why|how)"
_VERB = "is|are|was|were|does|do|did|has|have|had|can|could|will|would|should"
# "the firm that has offices in Rome and is owned by Globex" asks one thing: before a verb a comma is wanted.
_AND = re.compile(rf",? and (?:also )?(?=(?:{_WH})\b)|, and (?:also )?(?=(?:{_VERB})\b)", re.IGNORECASE)
_ASKS = re.compile(rf"(?:{_WH}|{_VERB}|what's|who's|where's|when's|how's)\b", re.IGNORECASE)
_END = re.compile(r"(?<![?])[?]++[\"'”’)]*+\s++")
_BETWEEN = re.compile(r"^(?:and|also|but|plus|or|then|so|oh)\b[\s,:]*", re.IGNORECASE)
_EXAMPLES = re.compile(r"(?:^|\s)(?:A|Answer)\s*:")
"""Questions with their answers, of which the last alone is asked."""
_REFERRING = re.compile(
    r"\b(?:(?<!time is )it|its|he|his|him|she|her|they|their|them|(?<!is )(?<!are )(?<!was )(?<!were )there)\b",
    re.IGNORECASE,
)
_ELLIPTIC = 3
"""Words of a question that says too little to be asked by itself: "And who won?"."""
_JOINING = frozenset("of the and de la le du von van der den at in on for".split())


def questions(text: str) -> list[str]:
    """Return the questions of a short message, each ready to be judged; the text itself where they are fewer than two.

    >>> questions("How many children has Dr. Vos? At which hospital does she work?")
    ['How many children has Dr. Vos?', 'This is about Dr. Vos. At which hospital does she work?']
    >>> questions("Hello! Who wrote Hamlet?")
    ['Hello! Who wrote Hamlet?']
    """
    if "?" not in text or _EXAMPLES.search(text):
        return [text]
    cuts = [m.end() for m in _END.finditer(text)]
    pieces = [text[a:b].strip() for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    asked = [half for piece in pieces for half in _halves(piece) if half]
    if len(asked) < 2 or sum("?" in piece for piece in asked) < 2:
        return [text]
    found: list[str] = []
    before = named = ""
    for piece in asked:
        if "?" not in piece:
            found[-1:] = [f"{found[-1]} {piece}"] if found else [piece]  # what follows a question belongs to it
            continue
        piece = _BETWEEN.sub("", piece) if found else piece
        piece = piece[:1].upper() + piece[1:]
        if not read(piece).words:
            continue
        own, refers = _named(piece), _REFERRING.search(piece)
        if before and named and (refers or not own and len(piece.split()) <= _ELLIPTIC):
            found.append(f"This is about {named}. {piece}")
        elif before and refers:
            found.append(f"I asked {before[0].lower()}{before[1:].rstrip('?')}. {piece}")
        else:
            found.append(piece)
        before, named = piece, own or named
    return found if len(found) > 1 else [text]


def _halves(piece: str) -> list[str]:
    """A question of the form "Who …, and where …?" as two."""
    m = _AND.search(piece)
    if m is None or "?" not in piece or not any(_ASKS.match(s) for s in _openings(piece[: m.start()])):
        return [piece]
    return [f"{piece[: m.start()].rstrip(' ,')}?", *_halves(piece[m.end() :])]


def _openings(text: str) -> list[str]:
    """Where a question may begin: the text's own beginning, or behind a colon, comma or full stop."""
    return [text.lstrip(), *(text[m.end() :] for m in re.finditer(r"[:,.!] ", text))]


def _named(question: str) -> str:
    """The names in a question: its capitalised words beside the first, those between them included."""
    words = read(question)
    names: list[str] = []
    start = -1
    for i, capital in enumerate((*words.capital, False)):
        # A capital at a sentence's beginning says something only before another one.
        inside = capital and words.words[i] != "i" and (not words.first[i] or _goes_on(words, i))
        if inside and start < 0:
            start = i
        elif not inside and start >= 0:
            if i < len(words.words) - 1 and words.words[i] in _JOINING and words.capital[i + 1]:
                continue
            names.append(question[words.starts[start] : words.ends[i - 1]])
            start = -1
    return " and ".join(dict.fromkeys(names))


def _goes_on(words: Words, i: int) -> bool:
    return i + 1 < len(words.words) and words.capital[i + 1] and not _ASKS.match(words.words[i])


def parts(text: str) -> list[str]:
    """Return the pieces of ``text`` that are judged one by one: up to 48 words its questions, or the text itself where
    it asks one or none; else its sentences.

    A sentence of more than 48 words is cut into windows that overlap by a quarter. Of a very long text the first 16
    and the last 48 pieces are judged, out of its first and last 20,000 characters.
    """
    if len(text) <= _ALWAYS_WHOLE or len(text) <= 4 * _LONG_TEXT and len(read(text).words) <= LONG_QUERY:
        return questions(text)
    pieces: list[str] = []
    sections = [text] if len(text) <= 2 * _LONG_TEXT else [text[:_LONG_TEXT], text[-_LONG_TEXT:]]
    for section in sections:
        words = read(section)
        low = 0
        while low < len(words.words):
            high = low
            while high < len(words.words) and words.sentence[high] == words.sentence[low]:
                high += 1
            # A sentence of one or two words belongs to what follows it.
            while high - low < 3 and high < len(words.words):
                number = words.sentence[high]
                while high < len(words.words) and words.sentence[high] == number:
                    high += 1
            for start in range(low, max(high - LONG_QUERY // 4, low + 1), LONG_QUERY - LONG_QUERY // 4):
                end = min(start + LONG_QUERY, high)
                finish = len(section) if end == len(words.words) else words.starts[end]
                pieces.append(section[words.starts[start] : finish].strip())
            low = high
    if len(pieces) > 64:
        pieces = pieces[:16] + pieces[-48:]
    return list(dict.fromkeys(pieces)) or [text[:_LONG_TEXT]]


__all__ = ["LONG_QUERY", "parts", "questions"]
