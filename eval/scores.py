"""What do the rows of a run come to? Every figure of a report, with its interval, from the JSON Lines alone.

A figure belongs to a method, a point (number of edits) and a metric. Its unit is an edit in an order: the mean over
that edit's questions of the kind. Metrics of the two families, generated and teacher-forced, are listed apart and
never mixed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from eval.cases import DIRECT, OUTSIDE, Kind
from eval.judge import key_of, verdicts
from eval.metrics import Scope, Scored, by_unit, mean, memit_score, scope_of, wins
from eval.runner import METHODS_FOLDER, Journal, file_of, read_manifest
from eval.statistics import Difference, Interval, bootstrap, holm, paired_difference
from memory_store.errors import ConfigError

Row = Mapping[str, Any]
Decoding = Literal["generated", "teacher_forced"]


@dataclass(frozen=True, slots=True)
class Metric:
    """One column."""

    name: str
    decoding: Decoding
    kinds: tuple[Kind, ...]
    value: Callable[[Row], float | None]
    """Of one row; None where the row has nothing to say."""
    about: str
    needs: tuple[Kind, ...] = ()
    """Questions of the same edit that must all be right, too, for a value to count."""


def _right(row: Row) -> float | None:
    return None if row["right"] is None else float(row["right"])


def _unchanged(row: Row) -> float | None:
    return float(row["unchanged"])


def _silent(row: Row) -> float | None:
    """Only of questions whose edit is missing."""
    return None if row["governed_by"] is not None else float(row["unchanged"])


def _judged(row: Row) -> float | None:
    """Only where a judge was asked (``eval.judge``)."""
    return None if row.get("judged") is None else float(row["judged"])


def _wins(row: Row) -> float | None:
    if "wanted" not in row or "rival" not in row:
        return None
    wanted, rival = _scored(row["wanted"]), _scored(row["rival"])
    return float(wanted is not None and rival is not None and wins(wanted, rival))


def _greedy(row: Row) -> float | None:
    return float(bool(row["wanted"][2])) if "wanted" in row else None


def _scored(found: Sequence[Any]) -> Scored | None:
    """None where the likelihood was no number: a collapsed model prefers nothing."""
    return None if found[0] is None else Scored(found[0], found[1], found[2])


GENERATED: tuple[Metric, ...] = (
    Metric("reliability", "generated", ("prompt",), _right, "the edit's own prompt gets the new answer"),
    Metric("generalization", "generated", ("paraphrase",), _right, "so do other words for it"),
    Metric(
        "locality", "generated", ("neighbor", "unrelated"), _unchanged, "other facts: as the unedited model answers"
    ),
    Metric(
        "same-subject locality",
        "generated",
        ("same_subject",),
        _unchanged,
        "other facts of the edited subject: as the unedited model answers",
    ),
    Metric(
        "silence",
        "generated",
        DIRECT,
        _silent,
        "the right edit is missing, others are there: as the unedited model answers",
    ),
    Metric("yes/no", "generated", ("yes_no",), _right, "the new fact is affirmed, the old one denied; chance is 0.5"),
    Metric("alias", "generated", ("alias",), _right, "the subject by another name, of which nobody was told"),
    Metric("reversed", "generated", ("reversed",), _right, "asked for the subject, given the new answer"),
    Metric("two hops", "generated", ("two_hop",), _right, "a question through the edited fact and one more"),
    Metric(
        "reliability, judged", "generated", ("prompt",), _judged, "the edit's own prompt, by a language model's verdict"
    ),
    Metric("generalization, judged", "generated", ("paraphrase",), _judged, "other words for it, by the same"),
    Metric("chains", "generated", ("multi_hop",), _right, "a question through two to four facts, some of them edited"),
    Metric("hops", "generated", ("hop",), _right, "the facts of those questions, each asked by itself"),
    Metric(
        "two hops by their hops",
        "generated",
        ("two_hop",),
        _right,
        "two hops, right only where the edited fact and every other one, asked by itself, is right, too",
        ("prompt", "hop"),
    ),
    Metric("chains by their hops", "generated", ("multi_hop",), _right, "chains, likewise", ("prompt", "hop")),
)
FORCED: tuple[Metric, ...] = (
    Metric("ES", "teacher_forced", ("prompt",), _wins, "own prompt: the new answer is more probable than the old"),
    Metric("PS", "teacher_forced", ("paraphrase",), _wins, "paraphrases: the same"),
    Metric(
        "NS", "teacher_forced", ("neighbor",), _wins, "neighbors: the true answer is more probable than the new one"
    ),
    Metric(
        "accuracy", "teacher_forced", ("prompt",), _greedy, "own prompt: each token of the new answer is the likeliest"
    ),
    Metric("para. accuracy", "teacher_forced", ("paraphrase",), _greedy, "paraphrases: the same"),
)
METRICS: dict[str, Metric] = {metric.name: metric for metric in (*GENERATED, *FORCED)}
HEADLINE = ("reliability", "generalization", "locality", "same-subject locality")


@dataclass(frozen=True, slots=True)
class Figure:
    """One cell: a metric of a method at a point."""

    interval: Interval
    orders: tuple[float, ...]
    """The mean of each order of the edits."""

    @property
    def span(self) -> tuple[float, float] | None:
        """Lowest and highest mean over the orders; None where there was one order."""
        return (min(self.orders), max(self.orders)) if len(self.orders) > 1 else None


@dataclass(slots=True)
class MethodResult:
    """One method's rows."""

    label: str
    name: str
    settings: Mapping[str, Any]
    rows: Sequence[Row]
    events: Sequence[Row]
    _figures: dict[tuple[int, str], Figure | None] = field(default_factory=dict)

    @property
    def points(self) -> list[int]:
        """Points that were asked in full."""
        return sorted({row["point"] for row in self.events if row["event"] == "point"})

    def units(self, metric: str, point: int) -> tuple[dict[str, float], dict[str, str]]:
        """Unit → value, and unit → subject; empty where the method has nothing there."""
        chosen = METRICS[metric]
        values: list[tuple[str, float]] = []
        subject: dict[str, str] = {}
        whole = self._whole(chosen.needs, point)
        for row in self.rows:
            if row["point"] == point and row["kind"] in chosen.kinds:
                value = chosen.value(row)
                if value is not None:
                    unit = f"{row['order']}/{row['case']}"
                    if chosen.needs and unit not in whole:
                        continue
                    values.append((unit, value * whole.get(unit, 1.0)))
                    subject[unit] = row["subject"]
        return (by_unit(values) if values else {}), subject

    def _whole(self, kinds: tuple[Kind, ...], point: int) -> dict[str, float]:
        """Unit → whether all its questions of these kinds are right; only units that were asked each of the kinds."""
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            if row["point"] == point and row["kind"] in kinds:
                found.setdefault(f"{row['order']}/{row['case']}", []).append(row)
        return {
            unit: float(all(row["right"] for row in rows))
            for unit, rows in found.items()
            if {row["kind"] for row in rows} == set(kinds)
        }

    def figure(self, metric: str, point: int) -> Figure | None:
        """The cell; None where nothing was asked."""
        key = (point, metric)
        if key not in self._figures:
            self._figures[key] = self._made(metric, point) if point in self.points else None
        return self._figures[key]

    def _made(self, metric: str, point: int) -> Figure | None:
        values, subject = self.units(metric, point)
        if not values:
            return None
        orders: dict[str, list[float]] = {}
        for unit, value in values.items():
            orders.setdefault(unit.split("/", 1)[0], []).append(value)
        return Figure(bootstrap(values, subject), tuple(mean(some) for _, some in sorted(orders.items())))

    def score(self, point: int) -> float | None:
        """MEMIT's Score: harmonic mean of ES, PS and NS."""
        names = (("prompt", "ES"), ("paraphrase", "PS"), ("neighbor", "NS"))
        found = {kind: f.interval.value for kind, name in names if (f := self.figure(name, point)) is not None}
        return memit_score(found) if len(found) == len(names) else None

    def scope(self, point: int) -> Scope | None:
        """How the scope decision fell; None for methods that make none."""
        rows = [r for r in self.rows if r["point"] == point and r["kind"] in (*DIRECT, *OUTSIDE)]
        if not rows or not any(row["used"] for row in self.rows):
            return None
        governed = [row["governed_by"] if row["kind"] in DIRECT else None for row in rows]
        return scope_of([row["used"] for row in rows], governed)

    def event(self, point: int) -> Row | None:
        """Cost and weights at a point, of the first order."""
        found = [row for row in self.events if row["event"] == "point" and row["point"] == point]
        return min(found, key=lambda row: row["order"]) if found else None

    def _last(self, name: str) -> float | None:
        """What the longest sequence says, or the single edits where there is none."""
        found = [row for row in self.events if row.get(name) is not None]
        last = max(found, key=lambda row: row["point"], default=None)
        return None if last is None else float(last[name])

    @property
    def edit_seconds(self) -> float | None:
        """Seconds an edit, on the clock."""
        return self._last("edit_s")

    @property
    def edit_cpu_seconds(self) -> float | None:
        """Seconds of processor time an edit."""
        return self._last("edit_cpu_s")

    @property
    def query_ms(self) -> float | None:
        """Milliseconds a question that is asked alone, on the clock."""
        return self._last("query_ms")

    @property
    def query_cpu_ms(self) -> float | None:
        """Milliseconds of processor time."""
        return self._last("query_cpu_ms")

    @property
    def cpu_seconds(self) -> float | None:
        """Processor time of all points, writing and asking."""
        found = [row["cpu_s"] for row in self.events if row.get("cpu_s") is not None]
        return sum(found) if found else None

    @property
    def peak_mib(self) -> float | None:
        """Most memory resident while it wrote and was asked, MiB, model and libraries included."""
        found = [row["peak_mib"] for row in self.events if row.get("peak_mib") is not None]
        return max(found, default=None)

    @property
    def undo_seconds(self) -> float | None:
        """Seconds to take back one edit that stood alone."""
        found = [row["undo_s"] for row in self.events if row.get("undo_s") is not None]
        return found[-1] if found else None

    @property
    def failures(self) -> list[str]:
        return [row["why"] for row in self.events if row["event"] == "failed"]

    @property
    def left_out(self) -> list[tuple[int, str]]:
        return sorted({(row["point"], row["why"]) for row in self.events if row["event"] == "left_out"})

    @property
    def verified(self) -> bool:
        """Whether the weights were the base's, byte for byte, after the method."""
        return any(row["event"] == "verified" and row["same"] for row in self.events)

    @property
    def finished(self) -> bool:
        return any(row["event"] == "done" for row in self.events)

    def compared(self, other: MethodResult, metric: str, point: int) -> Difference | None:
        """How much better this method is than another; None without a common edit."""
        ours, subject = self.units(metric, point)
        theirs, _ = other.units(metric, point)
        return paired_difference(ours, theirs, subject) if set(ours) & set(theirs) else None


@dataclass(frozen=True, slots=True)
class Result:
    """A whole run."""

    manifest: Mapping[str, Any]
    methods: dict[str, MethodResult]

    @property
    def points(self) -> list[int]:
        return sorted({point for method in self.methods.values() for point in method.points})

    def family(self, label: str) -> str:
        """``control``, ``retrieval`` or ``parametric``."""
        return str(self.manifest["methods"][label]["family"])

    @property
    def parametric(self) -> list[MethodResult]:
        return [m for label, m in self.methods.items() if self.family(label) == "parametric"]

    def against(self, label: str, metric: str) -> dict[str, tuple[Difference, float, int]]:
        """Every other method against one, at the largest point that both reached.

        The difference (one minus other), its p by Holm over these comparisons, and the point.
        """
        one = self.methods[label]
        found: dict[str, tuple[Difference, int]] = {}
        for other in self.methods.values():
            point = max(set(one.points) & set(other.points), default=None)
            difference = one.compared(other, metric, point) if point is not None and other is not one else None
            if point is not None and difference is not None:
                found[other.label] = difference, point
        adjusted = holm({name: d.p for name, (d, _) in found.items()}) if found else {}
        return {name: (difference, adjusted[name], point) for name, (difference, point) in found.items()}


def read_result(out: Path) -> Result:
    """Read a run's folder; nothing in it is changed.

    Raises:
        ConfigError: no run, or no rows yet.
    """
    manifest, said = read_manifest(out), verdicts(out)
    methods: dict[str, MethodResult] = {}
    for label, told in manifest["methods"].items():
        rows = Journal.read(out / METHODS_FOLDER / file_of(label))
        events = [row for row in rows if "event" in row]
        if any(row["event"] == "point" for row in events) or any(row["event"] == "failed" for row in events):
            answers = [row for row in rows if "answer" in row]
            if said:
                answers = [{**row, "judged": said.get(key_of(row))} for row in answers]
            methods[label] = MethodResult(label, told["name"], told["settings"], answers, events)
    if not methods:
        raise ConfigError(f"{out} holds no finished point yet; go on with: {' '.join(manifest['command'])}")
    return Result(manifest, methods)


def worst(method: MethodResult, point: int, measure: str = "condition") -> float | None:
    """The largest of a measure over the matrices edited by a point; None where none changed.

    Args:
        measure: ``condition``, ``condition_before``, ``sigma_max`` or ``norm``, as ``eval.methods.spectra`` has them.
    """
    weights = (method.event(point) or {}).get("weights", {})
    return max((told[measure] for told in weights.values()), default=None)


__all__ = [
    "FORCED",
    "GENERATED",
    "HEADLINE",
    "METRICS",
    "Figure",
    "MethodResult",
    "Metric",
    "Result",
    "read_result",
    "worst",
]
