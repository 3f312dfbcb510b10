"""How do edits leave and enter as text? JSON Lines: one edit a line, under the names that ``Edit`` has.

A bad line is reported with its number and costs no other line.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any

from memory_store.edit import Edit
from memory_store.errors import InvalidEditError
from memory_store.validation import validated

LONGEST_LINE = 1_000_000
"""Characters; a longer line cannot be one edit."""

_DEFAULTS = {field.name: field.default for field in fields(Edit)}
_LISTS = ("aliases", "tags")


@dataclass(frozen=True, slots=True)
class Line:
    """What one line holds: an edit, or why it holds none."""

    number: int
    """The first line of a file is 1."""
    edit: Edit | None = None
    error: str = ""


def to_lines(edits: Iterable[Edit]) -> Iterator[str]:
    """Yield one line for each edit, without its end; what has its default value is left out.

    >>> list(to_lines([Edit(statement="The capital of France is Lyon.", subject="France", edit_id="a")]))
    ['{"statement": "The capital of France is Lyon.", "subject": "France", "edit_id": "a"}']
    """
    for edit in edits:
        record = {name: getattr(edit, name) for name in _DEFAULTS}
        kept = {name: value for name, value in record.items() if value != _default(name)}
        yield json.dumps(kept, ensure_ascii=False)


def from_lines(lines: Iterable[str | bytes]) -> Iterator[Line]:
    """Yield what each line holds; empty lines are passed over, a byte order mark is ignored."""
    for number, raw in enumerate(lines, start=1):
        try:
            text = _decoded(raw).strip().removeprefix("\ufeff")
            if text:
                yield Line(number, _edit(text))
        except InvalidEditError as error:
            yield Line(number, error=f"line {number}: {error}")


def edit_from(record: Mapping[str, Any]) -> Edit:
    """Return the edit that a record under our names describes.

    Raises:
        InvalidEditError: a name is not ours, or a value is not fit to be stored.
    """
    unknown = [name for name in record if name not in _DEFAULTS]
    if unknown:
        raise InvalidEditError(f"{unknown[0]!r:.60} is no field of an edit; the fields are {', '.join(_DEFAULTS)}")
    if "statement" not in record:
        raise InvalidEditError("there is no statement; write the fact as one sentence under 'statement'")
    values = {name: value for name, value in record.items() if value is not None}
    for name in _LISTS:
        if not isinstance(values.get(name, []), list):
            raise InvalidEditError(f"{name} must be a list, got {values[name]!r:.60}")
        values[name] = tuple(values.get(name, ()))
    if not isinstance(values.get("verbatim", False), bool):
        raise InvalidEditError(f"verbatim must be true or false, got {values['verbatim']!r:.60}")
    return validated(Edit(**values))


def _default(name: str) -> Any:
    return () if name in _LISTS else None if _DEFAULTS[name] is MISSING else _DEFAULTS[name]


def _decoded(raw: str | bytes) -> str:
    if len(raw) > LONGEST_LINE:
        raise InvalidEditError(f"{len(raw):,} characters, at most {LONGEST_LINE:,} fit; is it one JSON object a line?")
    try:
        return raw if isinstance(raw, str) else raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidEditError(f"byte {error.start + 1} is not UTF-8; save the file as UTF-8") from error


def _edit(text: str) -> Edit:
    try:
        record = json.loads(text)
    except ValueError as error:
        raise InvalidEditError(f"not JSON ({error}); write one object a line") from error
    except RecursionError as error:
        raise InvalidEditError("brackets nested too deep; write one flat object a line") from error
    if not isinstance(record, dict):
        raise InvalidEditError(f"got {text!r:.40}, wanted one JSON object a line")
    return edit_from(record)
