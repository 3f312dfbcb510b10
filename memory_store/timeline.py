"""When is a version valid, and what does a newer claim about the same thing do to it? Pure functions.

An instant is UTC text of fixed width (``2026-11-20T15:50:00.000000+00:00``), so that text order is time order, here and
in SQL. A window is [start, end) and ``None`` is an open end. The rules:

* The last word wins from its start on: what overlapped it ends there and does not come back by itself.
* A claim that has already ended (history added late) leaves alone what is valid after it.
* An open end lasts until the next change that is already scheduled for the future; the schedule stays.
* A claim without a start begins now where something was known before, else it has always been so.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from memory_store.errors import ConfigError

Window = tuple[str | None, str | None]

_YEAR_OR_MONTH = re.compile(r"\d{4}(-\d{2})?")


def instant(value: str | datetime, what: str = "a time", error: type[ConfigError] = ConfigError) -> str:
    """Return an instant in its normal form; a time without offset is UTC, a date is its first moment.

    >>> instant("2024-07-01T02:00+02:00"), instant("2024")
    ('2024-07-01T00:00:00.000000+00:00', '2024-01-01T00:00:00.000000+00:00')
    """
    try:
        if isinstance(value, str):
            text = value.strip()
            if _YEAR_OR_MONTH.fullmatch(text):
                text += "-01" if len(text) == 7 else "-01-01"
            value = datetime.fromisoformat(text)
        if value.tzinfo is None:
            value = value.replace(tzinfo=UTC)
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    except (ValueError, TypeError, OverflowError, AttributeError) as cause:
        message = f"{what} is not a time: {value!r:.60}; write it like 2024-07-01 or 2024-07-01T12:00:00+02:00"
        raise error(message) from cause


def _start(window: Window) -> str:
    return window[0] or ""


def _end(window: Window) -> str:
    return window[1] or "~"  # sorts after every digit


def contains(window: Window, moment: str) -> bool:
    return _start(window) <= moment < _end(window)


def effective(asked: Window, others: Iterable[Window], now: str) -> Window:
    """Return the window a new claim gets, beside the windows already known for the same thing."""
    start, end = asked
    others = list(others)
    if start is None and _end(asked) > now and any(_start(window) <= now for window in others):
        start = now
    if end is None:
        scheduled = [_start(window) for window in others if _start(window) > max(now, start or "")]
        end = min(scheduled, default=None)
    return start, end


def make_room(windows: Sequence[Window], new: Window, now: str) -> tuple[list[Window], bool]:
    """Return what stays of a version's windows beside a new claim, and whether the claim ended one of them."""
    kept: list[Window] = []
    ended = False
    for window in windows:
        if _end(window) <= _start(new) or _end(new) <= _start(window):
            kept.append(window)
            continue
        if _start(window) < _start(new):
            kept.append((window[0], new[0]))
        started_later = _start(window) >= _start(new)
        if _end(new) < _end(window) and (started_later or _end(new) <= now):
            kept.append((new[1], window[1]))
        else:
            ended = True
    return kept, ended


def merged(windows: Iterable[Window]) -> list[Window]:
    """Return the windows in order, those that touch joined.

    >>> merged([("2021", None), (None, "2020"), ("2020", "2021")])
    [(None, None)]
    """
    joined: list[Window] = []
    for window in sorted(windows, key=_start):
        if joined and _start(window) <= _end(joined[-1]):
            joined[-1] = (joined[-1][0], max(joined[-1], window, key=_end)[1])
        else:
            joined.append(window)
    return joined


def last_end(windows: Sequence[Window]) -> str:
    """Return when the last window ends, for comparing; nothing ends before everything."""
    return max(map(_end, windows), default="")


def shown(windows: Sequence[Window], moment: str) -> Window | None:
    """Return the one window to show for a version: that of the moment, else the next, else the last."""
    ordered = sorted(windows, key=_start)
    for window in ordered:
        if moment < _end(window):
            return window
    return ordered[-1] if ordered else None
