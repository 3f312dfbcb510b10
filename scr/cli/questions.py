"""Which questions does a file hold? One a line, or JSON Lines with ``query``; "-" is standard input."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from memory_store.errors import ConfigError, InvalidEditError
from scr.cli.text import checked, stdin_text


def numbered_lines(file: str, option: str) -> Iterator[tuple[int, str]]:
    """The lines that say something, with their numbers from 1.

    Args:
        option: as it was typed, for messages.

    Raises:
        ConfigError: the file cannot be read, or holds nothing.
    """
    checked(file, option, empty=f"{option} is empty; name a file with one question a line")
    if file == "-":
        text = stdin_text("one question a line")
    else:
        try:
            text = Path(file).read_text(encoding="utf-8-sig")
        except OSError as error:
            raise ConfigError(f"cannot read {file}: {error.strerror}; name a file with questions") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{file} is not UTF-8 text; save it as UTF-8") from error
    if not text.strip():
        raise ConfigError(f"{file} holds no question; wanted one a line")
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, line.strip()


def record_in(line: str, number: int) -> dict[str, Any]:
    """The JSON object on a line.

    Raises:
        InvalidEditError: there is none.
    """
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidEditError(f"line {number}: not JSON ({error}); write one object a line") from error
    if not isinstance(record, dict):
        raise InvalidEditError(f"line {number}: got {line!r:.40}, wanted an object")
    return record


def query_of(record: dict[str, Any], number: int) -> str:
    query = record.get("query")
    if not isinstance(query, str) or not query.strip():
        raise InvalidEditError(f'line {number}: there is no "query" in it; write {{"query": "…"}}')
    return checked(query, f"line {number}")


def questions_in(file: str, option: str) -> list[str]:
    """The questions of a file, labels left aside."""
    return [
        query_of(record_in(line, number) if line.startswith("{") else {"query": line}, number)
        for number, line in numbered_lines(file, option)
    ]
