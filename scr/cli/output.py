"""How is it shown?

Text for people: aligned, cut to the terminal, coloured only where somebody looks. JSON for programs.
"""

import json
import os
import shutil
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from memory_store.edit import Edit
    from scr.protocols import Judged

ELLIPSIS = "…"


def print_json(data: Mapping[str, Any]) -> None:
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


def plain_terminal() -> bool:
    """Whether the surroundings ask for no colours."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb" or bool(os.environ.get("CI"))


def one_line(text: str, longest: int = 400) -> str:
    """``text`` without line breaks and control characters, cut in the middle where it is too long.

    >>> one_line("a\\nb\\x1b[31m")
    'a b [31m'
    """
    text = " ".join(printable(text).split())
    if len(text) > longest:
        text = f"{text[: longest // 2]} {ELLIPSIS} {text[-longest // 2 :]}"
    return text


def printable(text: str) -> str:
    """``text`` without what would steer a terminal: control characters, and marks that turn the direction of others."""
    return "".join(
        " " if unicodedata.category(c) == "Cc" or "\u202a" <= c <= "\u202e" or "\u2066" <= c <= "\u2069" else c
        for c in text
    )


def paragraphs(text: str) -> str:
    """``printable`` that keeps line breaks: for what a model said."""
    return "\n".join(printable(line) for line in text.splitlines())


def width_of(text: str) -> int:
    """Columns that ``text`` takes in a terminal.

    >>> width_of("abc"), width_of("東京")
    (3, 4)
    """
    if text.isascii():
        return len(text)
    width = 0
    for char in text:
        if unicodedata.category(char) in ("Mn", "Me", "Cf"):
            continue
        width += 2 if unicodedata.east_asian_width(char) in "WF" else 1
    return width


def cut(text: str, columns: int) -> str:
    """``text`` in at most ``columns`` columns.

    >>> cut("The capital", 6), cut("short", 6)
    ('The c…', 'short')
    """
    if width_of(text) <= columns:
        return text
    kept, used = [], 1
    for char in text:
        used += width_of(char)
        if used > columns:
            break
        kept.append(char)
    return "".join(kept).rstrip() + ELLIPSIS


def columns_of_terminal() -> int | None:
    """The terminal's width; None where nobody looks, and nothing is to be cut."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def table(
    rows: Sequence[Sequence[str]],
    header: Sequence[str] = (),
    flexible: int = -1,
    colours: Mapping[str, str] | None = None,
) -> str:
    """Columns two spaces apart; the ``flexible`` one gives way where the terminal is too narrow.

    ``colours`` names the colour of cells that hold exactly that text.
    """
    cells = [[one_line(cell, 8000) for cell in row] for row in rows]
    shown = ([list(header)] if header else []) + cells
    if not shown:
        return ""
    count = len(shown[0])
    flexible %= count
    widths = [max(width_of(row[i]) for row in shown) for i in range(count)]
    available = columns_of_terminal()
    if available is not None:
        others = sum(w for i, w in enumerate(widths) if i != flexible) + 2 * (count - 1)
        widths[flexible] = min(widths[flexible], max(available - others, 16))
    lines = []
    for number, row in enumerate(shown):
        fitted = [cut(cell, width) for cell, width in zip(row, widths, strict=True)]
        padded = [
            click.style(cell, fg=(colours or {}).get(cell)) + " " * (width - width_of(cell))
            if cell in (colours or {})
            else cell + " " * (width - width_of(cell))
            for cell, width in zip(fitted, widths, strict=True)
        ]
        line = "  ".join(padded).rstrip()
        lines.append(click.style(line, bold=True) if header and number == 0 else line)
    return "\n".join(lines)


def fields(pairs: Sequence[tuple[str, str]], indent: int = 0) -> str:
    """Labelled lines, the empty ones left out."""
    kept = [(label, one_line(value, 8000)) for label, value in pairs if value]
    widest = max((len(label) for label, _ in kept), default=0)
    return "\n".join(f"{' ' * indent}{click.style(label.ljust(widest), dim=True)}  {value}" for label, value in kept)


def share(probability: float) -> str:
    """A probability as people read it; never rounded to certainty.

    >>> share(0.98123), share(0.99999), share(0.00001)
    ('0.98', '>0.99', '<0.01')
    """
    if 0.995 <= probability < 1:
        return ">0.99"
    if 0 < probability < 0.005:
        return "<0.01"
    return f"{probability:.2f}"


def moment(instant: str | None) -> str:
    """An instant for people: to the minute, UTC; midnight is the day alone.

    >>> moment("2024-07-01T00:00:00.000000+00:00"), moment("2024-07-01T12:34:56.000000+00:00"), moment(None)
    ('2024-07-01', '2024-07-01 12:34', '')
    """
    if not instant:
        return ""
    day, _, clock = instant.partition("T")
    return day if clock.startswith("00:00:00") else f"{day} {clock[:5]}"


def validity(edit: "Edit") -> str:
    if edit.valid_from and edit.valid_until:
        return f"{moment(edit.valid_from)} to {moment(edit.valid_until)}"
    if edit.valid_from:
        return f"from {moment(edit.valid_from)}"
    return f"until {moment(edit.valid_until)}" if edit.valid_until else ""


def edit_data(edit: "Edit") -> dict[str, Any]:
    """An edit for JSON: every field, under the name it has everywhere."""
    return {
        "edit_id": edit.edit_id,
        "namespace": edit.namespace,
        "statement": edit.statement,
        "subject": edit.subject,
        "prompt": edit.prompt,
        "target_new": edit.target_new,
        "aliases": list(edit.aliases),
        "relation": edit.relation,
        "verbatim": edit.verbatim,
        "source": edit.source,
        "actor": edit.actor,
        "valid_from": edit.valid_from,
        "valid_until": edit.valid_until,
        "recorded_at": edit.recorded_at,
        "tags": list(edit.tags),
    }


def judged_data(judged: "Judged") -> dict[str, Any]:
    return {
        "edit_id": judged.edit.edit_id,
        "statement": judged.edit.statement,
        "probability": round(judged.probability, 6),
        "evidence": {name: round(float(value), 6) for name, value in judged.evidence.items()},
    }
