"""What is an edit called when the caller does not say? A few words and a few letters, easy to type."""

import hashlib
import re
import unicodedata
from collections.abc import Iterator

from memory_store.edit import Edit

_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"  # none that looks like another
_LONGEST = 24


def proposed_ids(edit: Edit, identity: str) -> Iterator[str]:
    """Yield candidates without end; the same edit gets the same ones, longer as they go.

    >>> next(proposed_ids(Edit(statement="Mount Doom is in Oslo.", subject="Mount Doom"), "")).rsplit("-", 1)[0]
    'mount-doom'
    """
    words = _slug(edit.subject) or _slug(edit.statement) or "fact"
    attempt = 0
    while True:
        text = "\x1f".join((identity, edit.target_new, edit.statement, str(attempt)))
        digest = int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
        letters = ""
        for _ in range(4 + attempt // 8):
            digest, rest = divmod(digest, len(_LETTERS))
            letters += _LETTERS[rest]
        yield f"{words}-{letters}"
        attempt += 1


def _slug(text: str) -> str:
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    slug = ""
    for word in re.findall(r"[a-z0-9]+", ascii_text)[:4]:
        if slug and len(slug) + len(word) >= _LONGEST:
            break
        slug = f"{slug}-{word}" if slug else word[:_LONGEST]
    return slug
