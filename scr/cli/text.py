"""Is what was typed text at all? Arguments and standard input are checked here, before anything is loaded."""

import sys
from collections.abc import Iterator

import click

from memory_store.errors import ConfigError, InvalidEditError

LONGEST_QUESTION = 100_000
"""Characters; more than any model here reads."""


def checked(text: str, what: str, *, empty: str | None = None) -> str:
    """Return ``text``; refuse what is empty (where ``empty`` says so) and bytes that are not UTF-8.

    Raises:
        InvalidEditError: one line with the place of the first bad byte.
    """
    for at, char in enumerate(text):
        if "\ud800" <= char <= "\udfff":
            raise InvalidEditError(
                f"{what} is not UTF-8 text (byte 0x{ord(char) & 0xFF:02x} at character {at + 1}); "
                "set your terminal to UTF-8, or pass the text through iconv"
            )
    if "\0" in text:
        raise InvalidEditError(f"{what} holds a NUL character at character {text.index(chr(0)) + 1}; remove it")
    if empty is not None and not text.strip():
        raise InvalidEditError(empty)
    return text


def question(argument: str | None) -> str:
    """The question from the line, or from standard input where it is ``-``.

    Raises:
        InvalidEditError: it is empty, too long, or no text.
    """
    example = 'try: scr ask "What is the capital of France?"'
    if argument is None:
        # Not read from a pipe unasked: who inherits an open one would wait for ever.
        raise click.UsageError(f"no question given; {example}")
    if argument == "-":
        text = stdin_text(f"a question; {example}").strip()
        what = "the question on standard input"
    else:
        text, what = argument.strip(), "the question"
    checked(text, what, empty=f"{what} is empty; {example}")
    if len(text) > LONGEST_QUESTION:
        raise InvalidEditError(f"{what} has {len(text):,} characters, at most {LONGEST_QUESTION:,} fit; shorten it")
    return text


def stdin_text(wanted: str) -> str:
    """All of standard input, as UTF-8.

    Args:
        wanted: what should have come, and an example, for the message.

    Raises:
        ConfigError: there is no standard input, or nothing on it.
        InvalidEditError: it is not UTF-8.
    """
    if sys.stdin is None or sys.stdin.closed:
        raise ConfigError(f"standard input is closed, wanted {wanted}")
    if sys.stdin.isatty():
        click.echo("scr: reading from the terminal; end with Ctrl-D", err=True)
    data = sys.stdin.buffer.read()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise InvalidEditError(
            f"standard input is not UTF-8 text (byte 0x{data[error.start]:02x} on line {line}); "
            "pass it through iconv -t utf-8"
        ) from error
    if not text.strip():
        raise ConfigError(f"standard input is empty, wanted {wanted}")
    return text


def stdin_lines(wanted: str) -> Iterator[tuple[int, str]]:
    """The lines of standard input that say something, with their numbers from 1."""
    for number, line in enumerate(stdin_text(wanted).split("\n"), start=1):
        line = line.rstrip("\r")
        if line.strip():
            yield number, checked(line, f"line {number}")
