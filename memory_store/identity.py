"""When do two texts mean the same name, and two edits the same fact? Pure text, no learned part.

``fold`` is the one normal form: names, prompts and queries are compared folded, and stored byte for byte.
"""

import re
import unicodedata
from functools import lru_cache

from memory_store.edit import Edit

_APOSTROPHES = str.maketrans(dict.fromkeys("\u2018\u2019\u02bc\u2032\u0060\u00b4", "'"))
# Accents of Latin, Greek and Cyrillic only: in other scripts a combining mark is part of the word.
_ACCENTS = dict.fromkeys([*range(0x0300, 0x0370), *range(0xFE00, 0xFE10)])
_POSSESSIVE = re.compile(r"'s(?!\w)")
_MINUS = re.compile(r"(?<!\S)-(?=\d)")
# Scripts written without spaces: each character counts as a word, so that a name is found inside a sentence.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)


@lru_cache(maxsize=4096)
def _folded_character(char: str) -> str:
    category = unicodedata.category(char)
    if category[0] in "LNM":
        return f" {char} " if _UNSPACED.match(char) else char
    if category == "Cf":  # joiners and direction marks
        return ""
    if category == "So":  # emoji and other pictures are words of their own
        return f" {char} "
    if char in "+#%@&" or category == "Sc" or (category == "Sm" and not char.isascii()):
        return char  # C, C# and C++ are three things
    return " "


def fold(text: str) -> str:
    """Return the normal form: case, accents, punctuation and a possessive 's are dropped, words are one space apart.

    >>> fold("Beyoncé’s  «Halo»?"), fold("C++"), fold("東京の")
    ('beyonce halo', 'c++', '東 京 の')
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text).translate(_ACCENTS).casefold()
        text = unicodedata.normalize("NFKC", text)
    text = _POSSESSIVE.sub(" ", text.casefold().translate(_APOSTROPHES))
    text = _MINUS.sub("\u2212", text)
    return " ".join("".join(map(_folded_character, text)).split())


def same_text(one: str, other: str) -> bool:
    """Whether two texts differ at most in white space and in how Unicode composes their characters."""
    return _plain(one) == _plain(other)


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def is_free(edit: Edit) -> bool:
    """Whether nothing says what question the edit answers; such a fact supersedes nothing."""
    return not edit.prompt and not (edit.subject and edit.relation)


def identity_of(edit: Edit) -> str:
    """Return what makes two edits claims about the same thing, within a namespace; lines, readable in the database.

    >>> from memory_store.edit import Edit
    >>> identity_of(Edit(statement="France's capital is Lyon.", subject="France", prompt="The capital of France is"))
    'france\\nprompt the capital of france is'
    """
    subject = normal(edit.subject)
    if edit.subject and edit.relation:
        return f"{subject}\nrelation {normal(edit.relation)}"
    if edit.prompt:
        return f"{subject}\nprompt {normal(edit.prompt)}"
    return f"\nstatement {normal(edit.statement)}"


def normal(text: str) -> str:
    """Return what equal texts have in common: ``fold``, or for punctuation alone the text itself.

    >>> normal("Who is the  CEO?") == normal("who is the ceo"), normal("?!")
    (True, '?!')
    """
    # A text of punctuation alone folds to nothing; it must not equal every other such text.
    return fold(text) or _plain(text).casefold()


def claim_of(edit: Edit) -> str:
    """Return what the edit says the answer is."""
    return edit.target_new or edit.statement


def names_of(edit: Edit) -> list[str]:
    """Return the folded subject and aliases, each once."""
    return [name for name in dict.fromkeys(fold(name) for name in (edit.subject, *edit.aliases)) if name]


def spans_of(text: str, longest: int) -> list[str]:
    """Return every run of at most ``longest`` words of the folded text, each once, longest first."""
    words = fold(text).split()
    return list(
        dict.fromkeys(
            " ".join(words[start : start + size])
            for size in range(min(longest, len(words)), 0, -1)
            for start in range(len(words) - size + 1)
        )
    )
