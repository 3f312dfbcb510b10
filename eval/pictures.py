"""How is a comparison drawn? SVG by hand: labelled axes, intervals, lines that are told apart without colour too.

Colours are from palettes made for colour-blind readers (Okabe and Ito; Paul Tol); every method also has a marker and
its name beside its line. Nothing is drawn that was not measured: a gap is a gap.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from memory_store.errors import ConfigError

INK, FAINT, GRID = "#1a1a1a", "#5f6368", "#e3e5e8"
_FIXED = {
    "scr": ("#0072B2", "circle"),
    "copy": ("#56B4E9", "square"),
    "cosine": ("#009E73", "triangle"),
    "oracle-context": ("#3c4043", "diamond"),
    "base": ("#8a8d91", "cross"),
}
_COLOURS = ("#D55E00", "#882255", "#B58900", "#CC79A7", "#332288", "#7A5230", "#44AA99", "#AA4499", "#999933")
_MARKERS = ("triangle", "square", "diamond", "down", "circle", "plus", "cross")
_FONT = "system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif"
_WIDE = 6.4
"""Pixels a character of 12 px takes, about."""

Marker = Literal["circle", "square", "triangle", "down", "diamond", "cross", "plus"]


@dataclass(frozen=True, slots=True)
class Style:
    """How one method looks in every picture."""

    colour: str
    marker: str
    strong: bool = False
    dashed: bool = False


def styles(labels: Sequence[str]) -> dict[str, Style]:
    """A style for each label; those of the product and the controls are the same in every report."""
    found, number = {}, 0
    for label in labels:
        if label in _FIXED:
            colour, marker = _FIXED[label]
            found[label] = Style(colour, marker, strong=label == "scr", dashed=label in ("base", "oracle-context"))
        else:
            turn = number // len(_COLOURS)
            found[label] = Style(_COLOURS[number % len(_COLOURS)], _MARKERS[(number + turn) % len(_MARKERS)])
            number += 1
    return found


@dataclass(frozen=True, slots=True)
class Value:
    """A value, with its interval where it has one."""

    value: float
    low: float | None = None
    high: float | None = None

    def shown(self) -> str:
        """For the hint over a mark."""
        told = "" if self.low is None or self.high is None else f" [{self.low:.3f}, {self.high:.3f}]"
        return f"{self.value:.4g}{told}"


@dataclass(frozen=True, slots=True)
class Point:
    """A value along a line."""

    x: float
    y: Value


@dataclass(frozen=True, slots=True)
class Axis:
    """Between which values, and how they are written."""

    label: str
    low: float
    high: float
    ticks: tuple[float, ...]
    log: bool = False

    def __post_init__(self) -> None:
        if not self.high > self.low or (self.log and self.low <= 0):
            raise ConfigError(f"the axis {self.label!r} runs from {self.low} to {self.high}")

    def at(self, value: float, start: float, end: float) -> float:
        """Where a value stands between two pixels; values beyond the ends stand at the ends."""
        value = min(max(value, self.low), self.high)
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return start + share * (end - start)


def share_axis(label: str) -> Axis:
    """From nothing to all."""
    return Axis(label, 0.0, 1.0, (0.0, 0.2, 0.4, 0.6, 0.8, 1.0))


def log_axis(label: str, values: Iterable[float], *, ticks: Sequence[float] | None = None) -> Axis:
    """Powers of ten around positive values, with those powers as ticks unless others are given.

    Raises:
        ConfigError: no positive value.
    """
    found = [value for value in values if value > 0 and math.isfinite(value)]
    if not found:
        raise ConfigError(f"nothing to draw along {label!r}")
    if ticks is not None:
        return Axis(label, min(ticks) / 1.35, max(ticks) * 1.35, tuple(ticks), log=True)
    first, last = math.floor(math.log10(min(found))), math.ceil(math.log10(max(found)))
    last += first == last
    step = max(1, (last - first) // 6)
    return Axis(label, 10.0**first, 10.0**last, tuple(10.0**e for e in range(first, last + 1, step)), log=True)


def tick_text(value: float) -> str:
    """
    >>> [tick_text(v) for v in (0.0, 0.5, 1.0, 1000.0, 1e6, 0.001)]
    ['0', '0.5', '1', '1,000', '10⁶', '0.001']
    """
    if value >= 1e5 and math.log10(value).is_integer():
        return "10" + str(int(math.log10(value))).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{value:,g}"


def svg(width: float, height: float, body: Iterable[str], title: str) -> str:
    """A picture with a title that screen readers say."""
    inner = "\n".join(body)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" font-family="{_FONT}">'
        f"<title>{escape(title)}</title>\n"
        f'<rect width="{width:g}" height="{height:g}" fill="#ffffff"/>\n{inner}\n</svg>'
    )


def text(
    x: float, y: float, content: str, *, size: int = 12, anchor: str = "start", colour: str = INK, bold: bool = False
) -> str:
    weight = ' font-weight="600"' if bold else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{colour}"{weight}>'
        f"{escape(content)}</text>"
    )


def line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1.0, dash: str = "") -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
        f'stroke-width="{width:g}"{dashed}/>'
    )


def mark(x: float, y: float, style: Style, *, size: float = 4.5, hollow: bool = False) -> str:
    """A method's marker."""
    r, kind = size, style.marker
    paint = f'fill="#ffffff" stroke="{style.colour}" stroke-width="1.6"' if hollow else f'fill="{style.colour}"'
    if kind == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:g}" {paint}/>'
    if kind in ("cross", "plus"):
        a = r if kind == "plus" else r * 0.8
        ends = ((-a, 0, a, 0), (0, -a, 0, a)) if kind == "plus" else ((-a, -a, a, a), (-a, a, a, -a))
        return "".join(line(x + p, y + q, x + s, y + t, style.colour, 2.2) for p, q, s, t in ends)
    corners = {
        "square": ((-1, -1), (1, -1), (1, 1), (-1, 1)),
        "triangle": ((0, -1.2), (1.1, 0.9), (-1.1, 0.9)),
        "down": ((0, 1.2), (1.1, -0.9), (-1.1, -0.9)),
        "diamond": ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
    }[kind]
    scale = r * (0.88 if kind == "square" else 1.0)
    points = " ".join(f"{x + scale * p:.1f},{y + scale * q:.1f}" for p, q in corners)
    return f'<polygon points="{points}" {paint}/>'


def spaced(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places moved apart to at least ``gap``, in their order, as near to where they were as it goes.

    >>> spaced([10, 11, 50], 10, 0, 100)
    [5.5, 15.5, 50.0]
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    groups: list[list[float]] = []  # centre, members
    for i in order:
        groups.append([float(places[i]), 1])
        while len(groups) > 1 and groups[-1][0] - groups[-2][0] < gap * (groups[-1][1] + groups[-2][1]) / 2:
            (a, m), (b, n) = groups[-2], groups[-1]
            groups[-2:] = [[(a * m + b * n) / (m + n), m + n]]
    found = [0.0] * len(places)
    at = 0
    for centre, members in groups:
        span = gap * (members - 1)
        first = min(max(centre - span / 2, low), max(high - span, low))
        for k in range(int(members)):
            found[order[at]] = first + gap * k
            at += 1
    for before, here in zip(order, order[1:], strict=False):
        found[here] = max(found[here], found[before] + gap)
    return found


def curves(title: str, x: Axis, y: Axis, lines: dict[str, list[Point]], look: dict[str, Style]) -> str:
    """Lines over the number of edits with intervals, each method's name at its end.

    Raises:
        ConfigError: no line has a point.
    """
    drawn = {label: points for label, points in lines.items() if points}
    if not drawn:
        raise ConfigError(f"nothing to draw in {title!r}")
    left, top, right = 64.0, 40.0, 640.0
    bottom = top + max(250.0, 17.0 * len(drawn))
    names = 14 + _WIDE * max(map(len, drawn)) + 34
    body = [text(left, 20, title, size=14, bold=True), *_frame(x, y, left, top, right, bottom)]
    labels = list(drawn)
    for place, label in enumerate(labels):
        style, shift = look[label], (place - (len(labels) - 1) / 2) * min(2.4, 26 / len(labels))
        spots = [(x.at(p.x, left, right) + shift, y.at(p.y.value, bottom, top), p) for p in drawn[label]]
        width, dash = (2.6 if style.strong else 1.5), ("5 3" if style.dashed else "")
        body += [
            line(a[0], a[1], b[0], b[1], style.colour, width, dash) for a, b in zip(spots, spots[1:], strict=False)
        ]
        for sx, sy, p in spots:
            if p.y.low is not None and p.y.high is not None:
                low, high = y.at(p.y.low, bottom, top), y.at(p.y.high, bottom, top)
                body.append(line(sx, low, sx, high, style.colour, 1.2))
            hint = f"{label}, {tick_text(p.x)}: {p.y.shown()}"
            body.append(f"<g><title>{escape(hint)}</title>{mark(sx, sy, style)}</g>")
    ends = [(x.at(drawn[label][-1].x, left, right), y.at(drawn[label][-1].y.value, bottom, top)) for label in labels]
    for label, (ex, ey), at in zip(labels, ends, spaced([e[1] for e in ends], 15, top + 4, bottom), strict=True):
        style = look[label]
        body.append(line(ex + 18, ey, right + 18, at, style.colour, 0.7, "1 2"))
        body += [mark(right + 26, at, style), text(right + 36, at + 4, label, bold=style.strong)]
    return svg(right + 22 + names, bottom + 52, body, title)


def _frame(x: Axis, y: Axis, left: float, top: float, right: float, bottom: float) -> list[str]:
    """Grid, ticks and the axes' labels."""
    body = []
    for value in y.ticks:
        at = y.at(value, bottom, top)
        body += [
            line(left, at, right, at, GRID),
            text(left - 8, at + 4, tick_text(value), anchor="end", size=11, colour=FAINT),
        ]
    for value in x.ticks:
        at = x.at(value, left, right)
        body += [
            line(at, top, at, bottom, GRID, 0.7),
            line(at, bottom, at, bottom + 5, FAINT),
            text(at, bottom + 19, tick_text(value), anchor="middle", size=11, colour=FAINT),
        ]
    middle = (top + bottom) / 2
    body += [
        line(left, bottom, right, bottom, FAINT),
        line(left, top, left, bottom, FAINT),
        text((left + right) / 2, bottom + 40, x.label, anchor="middle"),
        f'<g transform="rotate(-90 16 {middle:.1f})">{text(16, middle, y.label, anchor="middle")}</g>',
    ]
    return body


@dataclass(frozen=True, slots=True)
class Panel:
    """One column of a dot plot."""

    title: str
    axis: Axis
    values: dict[str, Value]
    open_values: dict[str, Value] | None = None
    """A second value to set beside the first, drawn hollow and joined to it."""


def dots(title: str, rows: Sequence[tuple[str, str]], panels: Sequence[Panel], look: dict[str, Style]) -> str:
    """Methods down the side, one column a measure: a dot and its interval each.

    Args:
        rows: (label, group) in order; a line parts the groups.

    Raises:
        ConfigError: no rows or no panels.
    """
    if not rows or not panels:
        raise ConfigError(f"nothing to draw in {title!r}")
    step, gap = 22.0, 30.0
    left = 28 + _WIDE * max(len(label) for label, _ in rows) * 1.05
    wide = max(150.0, min(230.0, 760 / len(panels)))
    top = 64.0
    places, at, group = {}, top + 12, rows[0][1]
    body = [text(12, 22, title, size=14, bold=True)]
    width = left + len(panels) * wide + (len(panels) - 1) * gap + 26
    for label, own in rows:
        if own != group:
            body.append(line(12, at - step / 2 + 3, width - 16, at - step / 2 + 3, "#c4c7cb"))
            at, group = at + 7, own
        places[label] = at
        at += step
    bottom = at - step / 2 + 4
    for label, place in places.items():
        body.append(text(left - 12, place + 4, label, anchor="end", bold=look[label].strong))
    for number, panel in enumerate(panels):
        start = left + number * (wide + gap)
        end = start + wide
        body.append(text((start + end) / 2, 48, panel.title, anchor="middle", bold=True))
        for value in panel.axis.ticks:
            tick = panel.axis.at(value, start, end)
            body += [
                line(tick, top - 6, tick, bottom, GRID),
                text(tick, bottom + 16, tick_text(value), anchor="middle", size=10, colour=FAINT),
            ]
        body += [
            line(start, bottom, end, bottom, FAINT),
            text((start + end) / 2, bottom + 34, panel.axis.label, anchor="middle", size=11, colour=FAINT),
        ]
        for label, place in places.items():
            body += _dot(panel, label, place, start, end, look[label])
    return svg(width, bottom + 46, body, title)


def _dot(panel: Panel, label: str, place: float, start: float, end: float, style: Style) -> list[str]:
    point = panel.values.get(label)
    if point is None:
        return [text((start + end) / 2, place + 4, "not measured", anchor="middle", size=10, colour="#9aa0a6")]
    body = []
    at = panel.axis.at(point.value, start, end)
    other = (panel.open_values or {}).get(label)
    if other is not None:
        there = panel.axis.at(other.value, start, end)
        body += [line(at, place, there, place, style.colour, 1.0, "2 2"), mark(there, place, style, hollow=True)]
    if point.low is not None and point.high is not None:
        a, b = panel.axis.at(point.low, start, end), panel.axis.at(point.high, start, end)
        body.append(line(a, place, b, place, style.colour, 2.0))
    hint = f"{label}, {panel.title}: {point.shown()}"
    body.append(f"<g><title>{escape(hint)}</title>{mark(at, place, style)}</g>")
    return body


@dataclass(frozen=True, slots=True)
class Cross:
    """A point with an interval in both directions."""

    x: Value
    y: Value


def scatter(title: str, x: Axis, y: Axis, points: dict[str, Cross], look: dict[str, Style]) -> str:
    """Two measures against each other, a method a point, its name beside it.

    Raises:
        ConfigError: no points.
    """
    if not points:
        raise ConfigError(f"nothing to draw in {title!r}")
    left, top, right, bottom = 64.0, 40.0, 520.0, 400.0
    names = 14 + _WIDE * max(map(len, points)) + 40
    body = [text(left, 20, title, size=14, bold=True), *_frame(x, y, left, top, right, bottom)]
    spots = {}
    for label, cross in points.items():
        style = look[label]
        at = x.at(cross.x.value, left, right), y.at(cross.y.value, bottom, top)
        spots[label] = at
        if cross.x.low is not None and cross.x.high is not None:
            ends = x.at(cross.x.low, left, right), x.at(cross.x.high, left, right)
            body.append(line(ends[0], at[1], ends[1], at[1], style.colour, 1.0))
        if cross.y.low is not None and cross.y.high is not None:
            ends = y.at(cross.y.low, bottom, top), y.at(cross.y.high, bottom, top)
            body.append(line(at[0], ends[0], at[0], ends[1], style.colour, 1.0))
        hint = f"{label}: {x.label} {cross.x.shown()}, {y.label} {cross.y.shown()}"
        body.append(f"<g><title>{escape(hint)}</title>{mark(*at, style, size=5.5)}</g>")
    labels = list(points)
    heights = spaced([spots[label][1] for label in labels], 16, top + 4, bottom)
    for label, height in zip(labels, heights, strict=True):
        style, (sx, sy) = look[label], spots[label]
        body.append(line(sx + 7, sy, right + 18, height, style.colour, 0.6, "1 2"))
        body += [mark(right + 27, height, style), text(right + 38, height + 4, label, bold=style.strong)]
    return svg(right + 24 + names, bottom + 52, body, title)


__all__ = [
    "Axis",
    "Cross",
    "Panel",
    "Point",
    "Style",
    "Value",
    "curves",
    "dots",
    "log_axis",
    "scatter",
    "share_axis",
    "spaced",
    "styles",
]
