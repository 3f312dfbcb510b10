"""Where in a row of tokens does the question stand? In the last user turn where the row follows the tokenizer's chat
template, else in the whole row.

Works on token ids, so that text which merely looks like a control token is never taken for one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

_FIRST, _REPLY, _SECOND = "scrfirstquestion", "scrreply", "scrsecondquestion"


@dataclass(frozen=True, slots=True)
class Turn:
    """The question of one row."""

    query: str
    """Its text, without template tokens."""
    insert_at: int
    """Index of the token before which facts are put."""


class TurnFinder:
    """Recognises the user turns of one tokenizer's chat template."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    @cached_property
    def special_tokens(self) -> tuple[str, ...]:
        """The text of every token that the tokenizer treats as one indivisible control token."""
        added = getattr(self.tokenizer, "added_tokens_decoder", {})
        texts = {str(token) for token in added.values()} | set(self.tokenizer.all_special_tokens)
        return tuple(sorted(t for t in texts if t.strip()))

    @cached_property
    def special_ids(self) -> frozenset[int]:
        return frozenset(self.tokenizer.convert_tokens_to_ids(list(self.special_tokens)))

    @cached_property
    def _marks(self) -> tuple[str, str] | None:
        """What opens a user turn and what closes it, read off two rendered conversations; None without a template."""
        if not getattr(self.tokenizer, "chat_template", None):
            return None
        user, again = {"role": "user", "content": _FIRST}, {"role": "user", "content": _SECOND}
        try:
            one = self.tokenizer.apply_chat_template([user], tokenize=False)
            two = self.tokenizer.apply_chat_template(
                [user, {"role": "assistant", "content": _REPLY}, again], tokenize=False
            )
            before, after = one.split(_FIRST)
            between = two[two.index(_REPLY) + len(_REPLY) : two.index(_SECOND)]
            close = two[two.index(_FIRST) + len(_FIRST) : two.index(_REPLY)]
        except Exception:  # a template may raise anything; then rows are read as plain text
            return None
        header = _common_suffix(before, between)
        starts = [at for t in self.special_tokens if (at := header.find(t)) >= 0]
        header = header[min(starts) :] if starts else header
        return (header, _common_prefix(after, close) or close) if header.strip() else None

    def find(self, ids: Sequence[int]) -> Turn:
        """Return the question of ``ids`` (one row, without padding)."""
        ids = list(ids)
        span = self._last_user_span(ids)
        if span is None:
            start = next((at for at, token in enumerate(ids) if token not in self.special_ids), len(ids))
            return Turn(self.tokenizer.decode(ids, skip_special_tokens=True).strip(), start)
        start, end = span
        return Turn(self.tokenizer.decode(ids[start:end], skip_special_tokens=True).strip(), start)

    def _last_user_span(self, ids: list[int]) -> tuple[int, int] | None:
        if self._marks is None:
            return None
        header, close = self._marks
        start = self._after_last(ids, header)
        if start is None:
            return None
        first = min(
            (at for at in range(start, len(ids)) if ids[at] in self.special_ids),
            default=len(ids),
        )
        if any(t in close for t in self.special_tokens):
            return start, first
        text = self._text(ids[start:])
        at = text.find(close) if close else -1
        return start, (start + self._tokens_before(ids[start:], at) if at >= 0 else first)

    def _after_last(self, ids: list[int], header: str) -> int | None:
        """Index after the last occurrence of ``header``; a control token in it must be one in ``ids`` too."""
        opening = next((t for t in self.special_tokens if header.startswith(t)), None)
        if opening is None:
            text = self._text(ids)
            at = text.rfind(header)
            return self._tokens_before(ids, at + len(header)) if at >= 0 else None
        opening_id = self.tokenizer.convert_tokens_to_ids(opening)
        for at in range(len(ids) - 1, -1, -1):
            if ids[at] == opening_id:
                # A header is a few tokens; look no further than its characters reach.
                for end in range(at + 1, min(len(ids), at + len(header)) + 1):
                    text = self._text(ids[at:end])
                    if text.startswith(header):
                        return end if text == header else end - 1
                    if not header.startswith(text):
                        break
        return None

    def _tokens_before(self, ids: list[int], characters: int) -> int:
        """The most tokens whose text is no longer than ``characters``."""
        low, high = 0, len(ids)
        while low < high:
            middle = (low + high + 1) // 2
            if len(self._text(ids[:middle])) <= characters:
                low = middle
            else:
                high = middle - 1
        return low

    def _text(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False))


def _common_suffix(a: str, b: str) -> str:
    return _common_prefix(a[::-1], b[::-1])[::-1]


def _common_prefix(a: str, b: str) -> str:
    at = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return a[:at]
