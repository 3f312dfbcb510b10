"""Which edits may enter? Text is checked once, at the border; behind it nobody checks again.

A fact is one line: tabs and line breaks become a space, unless the text is to be given back verbatim. Everything else
that is allowed (right-to-left text, emoji, combining characters) is kept byte for byte.
"""

import re
import unicodedata
from dataclasses import replace

from memory_store.edit import Edit
from memory_store.errors import ConfigError, InvalidEditError
from memory_store.timeline import instant

LONGEST_TEXT = 8_000
LONGEST_NAME = 500
LONGEST_ID = 200
MOST_ALIASES = 200

_BREAKS = re.compile("[\t\n\r\u2028\u2029]+")
_NAMESPACE = re.compile(r"\w[\w.:/@+-]{0,127}")
_KIND = re.compile(r"[a-z][a-z0-9_]{0,31}")


def validated(edit: Edit, where: str = "") -> Edit:
    """Return the edit as it will be stored, its times as normal instants.

    Args:
        where: put before a message, such as "edit 3: ".

    Raises:
        InvalidEditError: one line that says what was got, what was wanted and what to do.
    """
    if not isinstance(edit, Edit):
        raise InvalidEditError(f"{where}got {type(edit).__name__}, wanted an Edit")
    statement = _text(edit.statement, f"{where}the statement", LONGEST_TEXT, keep_breaks=edit.verbatim)
    if not statement.strip():
        raise InvalidEditError(f"{where}the statement is empty; write the fact as one sentence")
    if isinstance(edit.aliases, str) or len(edit.aliases) > MOST_ALIASES:
        raise InvalidEditError(f"{where}aliases must be a list of at most {MOST_ALIASES} names")
    if isinstance(edit.tags, str):
        raise InvalidEditError(f"{where}tags must be a list of words, got the text {edit.tags!r:.60}")
    start = _optional_instant(edit.valid_from, f"{where}valid_from")
    end = _optional_instant(edit.valid_until, f"{where}valid_until")
    if start is not None and end is not None and end <= start:
        raise InvalidEditError(f"{where}valid_until {end} is not after valid_from {start}; swap them or drop one")
    aliases = (_text(alias, f"{where}an alias", LONGEST_NAME) for alias in edit.aliases)
    return replace(
        edit,
        statement=statement,
        target_new=_text(edit.target_new, f"{where}target_new", LONGEST_TEXT, keep_breaks=edit.verbatim),
        prompt=_text(edit.prompt, f"{where}the prompt", LONGEST_TEXT),
        subject=_text(edit.subject, f"{where}the subject", LONGEST_NAME),
        aliases=tuple(dict.fromkeys(alias for alias in aliases if alias)),
        relation=_text(edit.relation or "", f"{where}the relation", LONGEST_NAME) or None,
        edit_id=_text(edit.edit_id, f"{where}the edit_id", LONGEST_ID),
        namespace=validated_namespace(edit.namespace),
        verbatim=bool(edit.verbatim),
        source=_optional_text(edit.source, f"{where}the source"),
        actor=_optional_text(edit.actor, f"{where}the actor"),
        valid_from=start,
        valid_until=end,
        tags=tuple(dict.fromkeys(_text(tag, f"{where}a tag", LONGEST_NAME) for tag in edit.tags)),
    )


def validated_query(query: str) -> str:
    """Return a query as it will be kept.

    Raises:
        InvalidEditError: it is empty, too long, or holds what no text should.
    """
    text = _text(query, "the query", LONGEST_TEXT)
    if not text.strip():
        raise InvalidEditError("the query is empty; write the question as people ask it")
    return text


def validated_namespace(namespace: str) -> str:
    if not isinstance(namespace, str) or not _NAMESPACE.fullmatch(namespace):
        raise InvalidEditError(
            f"namespace {namespace!r:.60} is not a name; use up to 128 letters, digits and . : / @ + - _, "
            "starting with a letter or digit"
        )
    return namespace


def validated_kind(kind: str) -> str:
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        raise ConfigError(f"key kind {kind!r:.60} is not a name; use one such as 'statement' or 'prompt'")
    return kind


def _text(text: str, what: str, longest: int, *, keep_breaks: bool = False) -> str:
    if not isinstance(text, str):
        raise InvalidEditError(f"{what} is a {type(text).__name__}, wanted text")
    if len(text) > longest:
        raise InvalidEditError(f"{what} has {len(text):,} characters, at most {longest:,} fit; shorten or split it")
    if text.isascii() and text.isprintable():
        return text.strip()
    if not keep_breaks:
        text = _BREAKS.sub(" ", text).strip()
    for char in text:
        category = unicodedata.category(char)
        if category == "Cc" and char not in "\t\n\r":
            raise InvalidEditError(f"{what} holds the control character U+{ord(char):04X}; remove it")
        if category == "Cs":
            raise InvalidEditError(f"{what} holds half a character (surrogate U+{ord(char):04X}); decode it as UTF-8")
    return text


def _optional_text(text: str | None, what: str) -> str | None:
    return None if text is None else _text(text, what, LONGEST_TEXT)


def _optional_instant(value: str | None, what: str) -> str | None:
    return None if value is None else instant(value, what, InvalidEditError)
