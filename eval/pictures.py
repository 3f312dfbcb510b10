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
_DARK = {
    "#ffffff": "#17191c",
    INK: "#e8eaed",
    FAINT: "#a2a7ad",
    GRID: "#303439",
    "#c4c7cb": "#4a4f55",
    "#0072B2": "#4aa8e8",
    "#3c4043": "#cdd0d4",
    "#D55E00": "#f08a3c",
    "#882255": "#f2557d",
    "#B58900": "#e3b838",
    "#332288": "#9d93f0",
    "#7A5230": "#c99c72",
    "#AA4499": "#d987ca",
    "#999933": "#c6c660",
}
"""What a colour becomes where the reader's screen is dark."""
_FONT = "system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif"
_BANDS = 4
"""Lines of a chart that have their intervals as areas; where there are more, only the product's has, for areas that lie
over each other say nothing, and the others have bars."""
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
    """A style for each label and for each method's bare name; rows of one method with other settings look alike.

    Those of the product and the controls are the same in every report.
    """
    found: dict[str, Style] = {}
    number = 0
    for label in labels:
        name = label.partition("+")[0]
        if name not in found:
            if name in _FIXED:
                colour, marker = _FIXED[name]
                found[name] = Style(colour, marker, strong=name == "scr", dashed=name in ("base", "oracle-context"))
            else:
                turn = number // len(_COLOURS)
                found[name] = Style(_COLOURS[number % len(_COLOURS)], _MARKERS[(number + turn) % len(_MARKERS)])
                number += 1
        found[label] = found[name]
    return found


@dataclass(frozen=True, slots=True)
class Value:
    """A value, with its interval where it has one."""

    value: float
    low: float | None = None
    high: float | None = None
    span: tuple[float, float] | None = None
    """Lowest and highest over several orders of the edits."""

    def shown(self) -> str:
        """For the hint over a mark."""
        told = "" if self.low is None or self.high is None else f" [{self.low:.3f}, {self.high:.3f}]"
        span = "" if self.span is None else f", orders {self.span[0]:.3f} to {self.span[1]:.3f}"
        return f"{self.value:.4g}{told}{span}"


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
    alarm: float | None = None
    """A value beyond which something is wrong; drawn as a dashed line where it lies on the axis."""

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


def log_axis(
    label: str, values: Iterable[float], *, ticks: Sequence[float] | None = None, alarm: float | None = None
) -> Axis:
    """Powers of ten around positive values, with those powers, at most seven, as ticks unless others are given.

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
    step = -(-(last - first) // 6)
    powers = tuple(10.0**e for e in range(first, last + 1, step))
    return Axis(label, 10.0**first, 10.0**last, powers, log=True, alarm=alarm)


def tick_text(value: float) -> str:
    """
    >>> [tick_text(v) for v in (0.0, 0.5, 1.0, 1000.0, 1e6, 0.001, 1e-6)]
    ['0', '0.5', '1', '1,000', '10⁶', '0.001', '10⁻⁶']
    """
    if value > 0 and not 1e-4 < value < 1e5 and math.isclose(power := math.log10(value), round(power)):
        return "10" + str(round(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{value:,g}"


def svg(width: float, height: float, body: Iterable[str], title: str) -> str:
    """A picture with a title that screen readers say."""
    inner = "\n".join(body)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
        f'height="{height:g}" role="img" font-family="{_FONT}">'
        f"<title>{escape(title)}</title>\n<style>{_dark()}</style>\n"
        f'<rect width="{width:g}" height="{height:g}" fill="#ffffff"/>\n{inner}\n</svg>'
    )


def _dark() -> str:
    rules = "".join(f'[fill="{a}"]{{fill:{b}}}[stroke="{a}"]{{stroke:{b}}}' for a, b in _DARK.items())
    return "@media (prefers-color-scheme:dark){" + rules + "}"


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


@dataclass(frozen=True, slots=True)
class Chart:
    """Lines over one axis; one of several charts that stand in a grid."""

    title: str
    x: Axis
    y: Axis
    lines: dict[str, list[Point]]


@dataclass(frozen=True, slots=True)
class Cross:
    """A point with an interval in both directions."""

    x: Value
    y: Value


@dataclass(frozen=True, slots=True)
class Cloud:
    """Two measures against each other, a method a point; one of several that stand in a grid."""

    title: str
    x: Axis
    y: Axis
    points: dict[str, Cross]


@dataclass(frozen=True, slots=True)
class _Box:
    """Where a chart's axes stand, in pixels."""

    left: float
    top: float
    right: float
    bottom: float


def grid(
    title: str, charts: Sequence[Chart | Cloud], look: dict[str, Style], *, columns: int = 3, wide: float = 212.0
) -> str:
    """Charts side by side, each method's name at the end of its line or beside its point.

    Args:
        wide: of a chart between its axes, in pixels.

    Raises:
        ConfigError: a chart has nothing in it, or there is none.
    """
    if not charts or not all(_labels(chart) for chart in charts):
        raise ConfigError(f"nothing to draw in {title!r}")
    columns = min(columns, len(charts))
    rows = [charts[i : i + columns] for i in range(0, len(charts), columns)]
    # Names stand right of their chart; the longest of a column makes it as wide as it is.
    names = [max(_WIDE * len(label) for row in rows for label in _labels(*row[c : c + 1])) + 46 for c in range(columns)]
    high = max(196.0, *(14.5 * len(_labels(chart)) for chart in charts))
    body, top = [text(12, 22, title, size=14, bold=True)], 66.0
    for row in rows:
        left = 62.0
        for chart, room in zip(row, names, strict=False):
            box = _Box(left, top, left + wide, top + high)
            body.append(text((box.left + box.right) / 2, top - 12, chart.title, anchor="middle", bold=True))
            body += _frame(chart.x, chart.y, box, label=left == 62.0)
            body += _lines(chart, box, look) if isinstance(chart, Chart) else _points(chart, box, look)
            left += wide + room + 44
        top += high + 92
    width = 62.0 + sum(wide + room + 44 for room in names) - 36
    return svg(max(width, 40 + 8 * len(title)), top - 32, body, title)


def _labels(*charts: Chart | Cloud) -> list[str]:
    return [
        label
        for chart in charts
        for label, drawn in (chart.lines if isinstance(chart, Chart) else chart.points).items()
        if drawn
    ]


def _lines(chart: Chart, box: _Box, look: dict[str, Style]) -> list[str]:
    labels = _labels(chart)
    bands, body, ends = [], [], []
    for place, label in enumerate(labels):
        style, shift = look[label], (place - (len(labels) - 1) / 2) * min(2.4, 20 / len(labels))
        spots = [(chart.x.at(p.x, box.left, box.right) + shift, p.y) for p in chart.lines[label]]
        at = [(sx, chart.y.at(value.value, box.bottom, box.top)) for sx, value in spots]
        if len(labels) <= _BANDS or style.strong:
            bands += _band(spots, chart.y, box, style, 0.16)
        else:
            bands += _whiskers(spots, chart.y, box, style)
        width, dash = (2.6 if style.strong else 1.5), ("5 3" if style.dashed else "")
        body += [line(a[0], a[1], b[0], b[1], style.colour, width, dash) for a, b in zip(at, at[1:], strict=False)]
        for (sx, sy), point in zip(at, chart.lines[label], strict=True):
            if point.y.span is not None:
                low, high = (chart.y.at(end, box.bottom, box.top) for end in point.y.span)
                body.append(line(sx, low, sx, high, style.colour, 3.0))
            hint = f"{label}, {tick_text(point.x)}: {point.y.shown()}"
            body.append(f"<g><title>{escape(hint)}</title>{mark(sx, sy, style, size=3.8)}</g>")
        ends.append(at[-1])
    return [*bands, *body, *_named(labels, ends, box, look)]


def _whiskers(spots: Sequence[tuple[float, Value]], y: Axis, box: _Box, style: Style) -> list[str]:
    """The intervals along a line, a thin bar each."""
    return [
        line(sx, y.at(value.low, box.bottom, box.top), sx, y.at(value.high, box.bottom, box.top), style.colour, 0.7)
        for sx, value in spots
        if value.low is not None and value.high is not None
    ]


def _band(spots: Sequence[tuple[float, Value]], y: Axis, box: _Box, style: Style, opacity: float) -> list[str]:
    """The intervals along a line, as an area; of a single point, as a bar."""
    known = [(sx, v.low, v.high) for sx, v in spots if v.low is not None and v.high is not None]
    if len(known) == 1:
        ((sx, low, high),) = known
        return [line(sx, y.at(low, box.bottom, box.top), sx, y.at(high, box.bottom, box.top), style.colour, 1.2)]
    outline = [(sx, high) for sx, _, high in known] + [(sx, low) for sx, low, _ in reversed(known)]
    corners = " ".join(f"{sx:.1f},{y.at(value, box.bottom, box.top):.1f}" for sx, value in outline)
    return [f'<polygon points="{corners}" fill="{style.colour}" fill-opacity="{opacity:.2f}"/>'] if known else []


def _points(cloud: Cloud, box: _Box, look: dict[str, Style]) -> list[str]:
    body, ends = [], []
    labels = _labels(cloud)
    for label in labels:
        style, cross = look[label], cloud.points[label]
        at = cloud.x.at(cross.x.value, box.left, box.right), cloud.y.at(cross.y.value, box.bottom, box.top)
        if cross.x.low is not None and cross.x.high is not None:
            a, b = (cloud.x.at(v, box.left, box.right) for v in (cross.x.low, cross.x.high))
            body.append(line(a, at[1], b, at[1], style.colour, 1.0))
        if cross.y.low is not None and cross.y.high is not None:
            a, b = (cloud.y.at(v, box.bottom, box.top) for v in (cross.y.low, cross.y.high))
            body.append(line(at[0], a, at[0], b, style.colour, 1.0))
        hint = f"{label}: {cloud.x.label} {cross.x.shown()}, {cloud.y.label} {cross.y.shown()}"
        body.append(f"<g><title>{escape(hint)}</title>{mark(*at, style, size=5)}</g>")
        ends.append(at)
    return [*body, *_named(labels, ends, box, look)]


def _named(labels: Sequence[str], ends: Sequence[tuple[float, float]], box: _Box, look: dict[str, Style]) -> list[str]:
    """Each name right of the chart, near where its line ends, none over another."""
    body = []
    for label, (ex, ey), at in zip(labels, ends, spaced([e[1] for e in ends], 14.5, box.top, box.bottom), strict=True):
        style = look[label]
        body.append(line(ex + 6, ey, box.right + 18, at, style.colour, 0.7, "1 2"))
        body += [mark(box.right + 25, at, style, size=3.8)]
        body.append(text(box.right + 34, at + 4, label, bold=style.strong))
    return body


def _frame(x: Axis, y: Axis, box: _Box, *, label: bool) -> list[str]:
    """Grid, ticks and the axes' labels; the upright one's only where ``label``."""
    body = []
    for value in y.ticks:
        at = y.at(value, box.bottom, box.top)
        body += [
            line(box.left, at, box.right, at, GRID),
            text(box.left - 7, at + 4, tick_text(value), anchor="end", size=11, colour=FAINT),
        ]
    for value in x.ticks:
        at = x.at(value, box.left, box.right)
        body += [
            line(at, box.top, at, box.bottom, GRID, 0.7),
            line(at, box.bottom, at, box.bottom + 4, FAINT),
            text(at, box.bottom + 17, tick_text(value), anchor="middle", size=11, colour=FAINT),
        ]
    if y.alarm is not None and y.low <= y.alarm <= y.high:
        at = y.at(y.alarm, box.bottom, box.top)
        body += [
            line(box.left, at, box.right, at, "#D55E00", 1.2, "6 4"),
            text(box.left + 4, at - 4, "alarm", size=10, colour="#D55E00"),
        ]
    middle, across = (box.top + box.bottom) / 2, (box.left + box.right) / 2
    body += [
        line(box.left, box.bottom, box.right, box.bottom, FAINT),
        line(box.left, box.top, box.left, box.bottom, FAINT),
        text(across, box.bottom + 36, x.label, anchor="middle", size=11, colour=FAINT),
    ]
    if label:
        side = box.left - 46
        body.append(
            f'<g transform="rotate(-90 {side:.1f} {middle:.1f})">'
            f"{text(side, middle, y.label, anchor='middle', size=11, colour=FAINT)}</g>"
        )
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
        return [text((start + end) / 2, place + 4, "not measured", anchor="middle", size=10, colour=FAINT)]
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


__all__ = [
    "Axis",
    "Chart",
    "Cloud",
    "Cross",
    "Panel",
    "Point",
    "Style",
    "Value",
    "dots",
    "grid",
    "log_axis",
    "share_axis",
    "spaced",
    "styles",
]
