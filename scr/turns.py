"""Where in a row of tokens does the question stand? In the last user turn where the row follows the tokenizer's chat
template, else in the whole row.

What opens and closes a user turn is read off two conversations that the template renders and the tokenizer reads back.
Control tokens are compared as token ids, so text that merely looks like one is not taken for it; a template whose
turns are opened by plain text alone cannot be told from such text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from scr.prompting import defused

_FIRST, _REPLY, _SECOND = "scrfirstquestion", "scrreply", "scrsecondquestion"


@dataclass(frozen=True, slots=True)
class Turn:
    """The question of one row, and the row cut where facts are put in."""

    query: str
    """The question's text, without template tokens."""
    head: tuple[int, ...]
    """The tokens before the question."""
    tail: tuple[int, ...]
    """The question and what follows it."""
    recognised: bool = True
    """False: a row with control tokens that the template does not explain; facts have no place in it."""
    closing: tuple[int, ...] = ()
    """The tokens after the question, with which ``tail`` ends."""


@dataclass(frozen=True, slots=True)
class _Marks:
    header: str
    """What opens a user turn, from its first control token on."""
    close: str
    """What closes it: its first control token, or its text where it has none."""


class TurnFinder:
    """Recognises the user turns of one tokenizer's chat template."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer

    @cached_property
    def special_tokens(self) -> tuple[str, ...]:
        """The text of every control token: none of them may come out of a fact.

        Of a model's added tokens that it does not call special, those that have a control token's shape count.
        """
        added = getattr(self.tokenizer, "added_tokens_decoder", {}).values()
        texts = {str(t) for t in added if getattr(t, "special", False) or defused(str(t)) != str(t)}
        texts |= set(self.tokenizer.all_special_tokens)
        return tuple(sorted(t for t in texts if t.strip()))

    @cached_property
    def control_ids(self) -> frozenset[int]:
        """The ids of ``special_tokens``."""
        return frozenset(self.tokenizer.convert_tokens_to_ids(list(self.special_tokens)))

    @cached_property
    def _special_ids(self) -> frozenset[int]:
        """Only those that the tokenizer itself calls special; a model's markup words are not."""
        added = getattr(self.tokenizer, "added_tokens_decoder", {})
        marked = {index for index, token in added.items() if getattr(token, "special", False)}
        return frozenset(marked | set(self.tokenizer.all_special_ids))

    @cached_property
    def _marks(self) -> _Marks | None:
        """None without a template, or with one that cannot render a conversation of two questions."""
        if not getattr(self.tokenizer, "chat_template", None):
            return None
        user, again = {"role": "user", "content": _FIRST}, {"role": "user", "content": _SECOND}
        try:
            one = self._rendered([user])
            two = self._rendered([user, {"role": "assistant", "content": _REPLY}, again])
            before, after = one.split(_FIRST)
            between = two[two.index(_REPLY) + len(_REPLY) : two.index(_SECOND)]
            answered = two[two.index(_FIRST) + len(_FIRST) : two.index(_REPLY)]
        except Exception:  # a template may raise anything; then rows are read as plain text
            return None
        close = self._first_special(_common_prefix(after, answered).strip() or answered.strip())
        header = _common_suffix(before, between)
        if close and header.startswith(close) and header[len(close) :].strip():
            header = header[len(close) :]
        starts = [at for t in self.special_tokens if (at := header.find(t)) >= 0]
        header = header[min(starts) :] if starts else header.lstrip("\n")
        return _Marks(header, close) if header.strip() else None

    def _rendered(self, messages: list[dict[str, str]]) -> str:
        """A conversation as its tokens read, which some tokenizers space otherwise than the template wrote it."""
        text = self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        return self._text(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _first_special(self, text: str) -> str:
        found = [(at, -len(t), t) for t in self.special_tokens if (at := text.find(t)) >= 0]
        return min(found)[2] if found else text

    def find(self, ids: Sequence[int]) -> Turn:
        """Return the question of ``ids`` (one row, without padding)."""
        row = tuple(ids)
        cut = self._after_last_header(row)
        if cut is None:
            start = next((at for at, token in enumerate(row) if token not in self._special_ids), len(row))
            query = self.tokenizer.decode(row[start:], skip_special_tokens=True).strip()
            chat = bool(getattr(self.tokenizer, "chat_template", None))
            inside = any(token in self._special_ids for token in row[start:-1])
            return Turn(query, row[:start], row[start:], recognised=not (chat and inside))
        head, tail = cut
        end = self._end(tail)
        query = self.tokenizer.decode(tail[:end], skip_special_tokens=True).strip()
        return Turn(query, head, tail, closing=tail[end:])

    def _end(self, tail: tuple[int, ...]) -> int:
        """How many tokens of ``tail`` are the question."""
        assert self._marks is not None
        close = self._marks.close
        if close in self.special_tokens:
            closing = self.tokenizer.convert_tokens_to_ids(close)
            return next((at for at, token in enumerate(tail) if token == closing), len(tail))
        end = next((at for at, token in enumerate(tail) if token in self._special_ids), len(tail))
        at = self._text(tail).find(close) if close else -1
        return min(end, self._tokens_within(tail, at)) if at >= 0 else end

    def _after_last_header(self, row: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
        """Cut the row after the last header; a control token in the header must be one in the row too."""
        if self._marks is None:
            return None
        header = self._marks.header
        opening = next((t for t in self.special_tokens if header.startswith(t)), None)
        if opening is None:
            at = self._text(row).rfind(header)
            return self._cut(row, 0, at + len(header)) if at >= 0 else None
        opening_id = self.tokenizer.convert_tokens_to_ids(opening)
        for start in range(len(row) - 1, -1, -1):
            # A header is a few tokens; look no further than its characters reach.
            if row[start] == opening_id and self._text(row[start : start + len(header) + 1]).startswith(header):
                return self._cut(row, start, len(header))
        return None

    def _cut(self, row: tuple[int, ...], start: int, characters: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Cut ``row`` the given number of characters after the token ``start``; a token that straddles is split."""
        at = start + self._tokens_within(row[start:], characters)
        missing = characters - len(self._text(row[start:at]))
        if not missing or at == len(row):
            return row[:at], row[at:]
        piece = self._text(row[start : at + 1])[characters - missing :]
        return (*row[:at], *self._ids(piece[:missing])), (*self._ids(piece[missing:]), *row[at + 1 :])

    def _tokens_within(self, ids: tuple[int, ...], characters: int) -> int:
        """The most tokens whose text is no longer than ``characters``."""
        low, high = 0, len(ids)
        while low < high:
            middle = (low + high + 1) // 2
            if len(self._text(ids[:middle])) <= characters:
                low = middle
            else:
                high = middle - 1
        return low

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"]) if text else []

    def _text(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))


def _common_suffix(a: str, b: str) -> str:
    return _common_prefix(a[::-1], b[::-1])[::-1]


def _common_prefix(a: str, b: str) -> str:
    at = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    return a[:at]
