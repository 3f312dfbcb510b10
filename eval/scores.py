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


def _right(row: Row) -> float | None:
    return None if row["right"] is None else float(row["right"])


def _unchanged(row: Row) -> float | None:
    return float(row["unchanged"])


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
    Metric("yes/no", "generated", ("yes_no",), _right, "the new fact is affirmed, the old one denied; chance is 0.5"),
    Metric("alias", "generated", ("alias",), _right, "the subject by another name, of which nobody was told"),
    Metric("reversed", "generated", ("reversed",), _right, "asked for the subject, given the new answer"),
    Metric("two hops", "generated", ("two_hop",), _right, "a question through the edited fact and one more"),
    Metric("chains", "generated", ("multi_hop",), _right, "a question through two to four facts, some of them edited"),
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
        for row in self.rows:
            if row["point"] == point and row["kind"] in chosen.kinds:
                value = chosen.value(row)
                if value is not None:
                    unit = f"{row['order']}/{row['case']}"
                    values.append((unit, value))
                    subject[unit] = row["subject"]
        return (by_unit(values) if values else {}), subject

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

    @property
    def edit_seconds(self) -> float | None:
        """Seconds an edit, over the longest sequence, or the single edits where there is none."""
        found = [row for row in self.events if row.get("edit_s") is not None]
        last = max(found, key=lambda row: row["point"], default=None)
        return None if last is None else float(last["edit_s"])

    @property
    def query_ms(self) -> float | None:
        found = [row["query_ms"] for row in self.events if row.get("query_ms") is not None]
        return found[-1] if found else None

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

    def against(self, label: str, metric: str, point: int) -> dict[str, tuple[Difference, float]]:
        """Every other method against one: the difference (one minus other) and its p by Holm over these comparisons."""
        one = self.methods[label]
        found = {
            other.label: difference
            for other in self.methods.values()
            if other is not one and (difference := one.compared(other, metric, point)) is not None
        }
        adjusted = holm({name: d.p for name, d in found.items()}) if found else {}
        return {name: (difference, adjusted[name]) for name, difference in found.items()}


def read_result(out: Path) -> Result:
    """Read a run's folder; nothing in it is changed.

    Raises:
        ConfigError: no run, or no rows yet.
    """
    manifest = read_manifest(out)
    methods: dict[str, MethodResult] = {}
    for label, told in manifest["methods"].items():
        rows = Journal.read(out / METHODS_FOLDER / file_of(label))
        events = [row for row in rows if "event" in row]
        if any(row["event"] == "point" for row in events) or any(row["event"] == "failed" for row in events):
            answers = [row for row in rows if "answer" in row]
            methods[label] = MethodResult(label, told["name"], told["settings"], answers, events)
    if not methods:
        raise ConfigError(f"{out} holds no finished point yet; go on with: {' '.join(manifest['command'])}")
    return Result(manifest, methods)


# --- the shapes that published work lets one expect ------------------------------------------------------------

Verdict = Literal["shown", "not shown", "not testable here"]


@dataclass(frozen=True, slots=True)
class Shape:
    """A published finding, and whether this run shows it."""

    claim: str
    verdict: Verdict
    evidence: str


def shapes(result: Result) -> list[Shape]:
    """What reproductions of the field's findings should show, and what this run shows."""
    return [shape for check in _CHECKS for shape in check(result)]


def _untestable(claim: str, why: str) -> list[Shape]:
    return [Shape(claim, "not testable here", why)]


def _told(method: MethodResult, metric: str, point: int, figure: Figure) -> str:
    return f"{method.label} {metric} {figure.interval.shown()} at {point}"


def _forcing_flatters(result: Result) -> list[Shape]:
    claim = "Teacher forcing flatters weight editors: generated reliability is at most teacher-forced accuracy"
    evidence, right = [], []
    for method in result.parametric:
        for point in method.points:
            free, forced = method.figure("reliability", point), method.figure("accuracy", point)
            if free is not None and forced is not None:
                right.append(free.interval.value <= forced.interval.high)
                evidence.append(
                    f"{method.label} at {point}: {free.interval.value:.3f} against {forced.interval.value:.3f}"
                )
    if not right:
        return _untestable(claim, "no weight editor was run")
    return [Shape(claim, "shown" if all(right) else "not shown", "; ".join(evidence))]


def _scr_is_flat(result: Result) -> list[Shape]:
    claim = "scr stays flat over the number of edits: its intervals at the first and the last point overlap"
    scr = result.methods.get("scr")
    points = [p for p in scr.points if p > 1] if scr is not None else []
    if scr is None or len(points) < 2:
        return _untestable(claim, "scr was not run at two numbers of edits")
    evidence, right = [], []
    for metric in HEADLINE[:3]:
        first, last = scr.figure(metric, points[0]), scr.figure(metric, points[-1])
        if first is not None and last is not None:
            right.append(first.interval.low <= last.interval.high and last.interval.low <= first.interval.high)
            evidence.append(f"{_told(scr, metric, points[0], first)}, {last.interval.shown()} at {points[-1]}")
    return [Shape(claim, "shown" if all(right) else "not shown", "; ".join(evidence))]


def _editors_fall(result: Result) -> list[Shape]:
    claim = "Weight editors lose reliability along a sequence: the last point lies below the first one's interval"
    found = []
    for method in result.parametric:
        points = [p for p in method.points if p > 1]
        if len(points) > 1:
            first, last = method.figure("reliability", points[0]), method.figure("reliability", points[-1])
            if first is not None and last is not None:
                fell = last.interval.high < first.interval.value
                text = f"{_told(method, 'reliability', points[0], first)}, {last.interval.shown()} at {points[-1]}"
                found.append((fell, text))
    if not found:
        return _untestable(claim, "no weight editor was run at two numbers of edits")
    return [Shape(claim, "shown" if all(fell for fell, _ in found) else "not shown", "; ".join(t for _, t in found))]


def _grace_does_not_generalise(result: Result) -> list[Shape]:
    claim = "GRACE keeps locality and does not generalise: locality 1, generalization below 0.1"
    grace = next((m for m in result.methods.values() if m.name == "grace"), None)
    points = [p for p in grace.points if p > 1] if grace is not None else []
    if grace is None or not points:
        return _untestable(claim, "GRACE was not run")
    evidence, right = [], []
    for point in points:
        general, local = grace.figure("generalization", point), grace.figure("locality", point)
        if general is not None and local is not None:
            right.append(general.interval.value < 0.1 and local.interval.high >= 1.0)
            evidence.append(f"{_told(grace, 'generalization', point, general)}, locality {local.interval.shown()}")
    return [Shape(claim, "shown" if right and all(right) else "not shown", "; ".join(evidence))]


def _confirmation_matters(result: Result) -> list[Shape]:
    claim = "A similarity threshold alone loses hard negatives: cosine keeps less of the same subject than scr"
    scr, cosine = result.methods.get("scr"), result.methods.get("cosine")
    if scr is None or cosine is None:
        return _untestable(claim, "scr and cosine were not both run")
    point = max(set(scr.points) & set(cosine.points), default=0)
    difference = scr.compared(cosine, "same-subject locality", point) if point else None
    if difference is None:
        return _untestable(claim, "no question about another relation of an edited subject")
    return [
        Shape(
            claim,
            "shown" if difference.low > 0 else "not shown",
            f"difference {difference.value:.3f} [{difference.low:.3f}, {difference.high:.3f}] at {point}",
        )
    ]


def _two_hops(result: Result) -> list[Shape]:
    claim = "Weight editors do not reason on from an edit: two hops below half of their reliability"
    found = []
    for method in result.parametric:
        for point in method.points[:1]:
            two, own = method.figure("two hops", point), method.figure("reliability", point)
            if two is not None and own is not None:
                text = f"{_told(method, 'two hops', point, two)}, reliability {own.interval.value:.3f}"
                found.append((two.interval.value < own.interval.value / 2, text))
    if not found:
        return _untestable(claim, "no two-hop question was asked of a weight editor")
    return [Shape(claim, "shown" if all(f for f, _ in found) else "not shown", "; ".join(t for _, t in found))]


def _memit_and_alphaedit(result: Result) -> list[Shape]:
    claim = "AlphaEdit against MEMIT (no order is presumed: publications disagree)"
    memit, alpha = result.methods.get("memit"), result.methods.get("alphaedit")
    if memit is None or alpha is None:
        return _untestable(claim, "memit and alphaedit were not both run")
    point = max(set(memit.points) & set(alpha.points), default=0)
    difference = alpha.compared(memit, "reliability", point) if point else None
    if difference is None:
        return _untestable(claim, "no common edit")
    text = f"reliability differs by {difference.value:.3f} [{difference.low:.3f}, {difference.high:.3f}] at {point}"
    return [Shape(claim, "shown" if difference.low > 0 or difference.high < 0 else "not shown", text)]


def _prune_is_bounded(result: Result) -> list[Shape]:
    claim = "PRUNE bounds condition numbers: at the last point they are below MEMIT's"
    memit, prune = result.methods.get("memit"), result.methods.get("prune")
    if memit is None or prune is None:
        return _untestable(claim, "memit and prune were not both run")
    points = [p for p in sorted(set(memit.points) & set(prune.points)) if p > 1]
    if not points:
        return _untestable(claim, "no sequence was run")
    theirs, ours = worst_condition(memit, points[-1]), worst_condition(prune, points[-1])
    if theirs is None or ours is None:
        return _untestable(claim, "no matrix was changed")
    return [
        Shape(claim, "shown" if ours <= theirs else "not shown", f"{ours:.4g} against {theirs:.4g} at {points[-1]}")
    ]


def _fine_tuning(result: Result) -> list[Shape]:
    claim = "Breadth-first fine-tuning (LocFT-BF) is a strong baseline: scr beats it on generalization and locality"
    scr, tuned = result.methods.get("scr"), next((m for m in result.methods.values() if m.name == "locft-bf"), None)
    if scr is None or tuned is None:
        return _untestable(claim, "scr and locft-bf were not both run")
    point = max(set(scr.points) & set(tuned.points), default=0)
    evidence, right = [], []
    for metric in ("generalization", "locality"):
        difference = scr.compared(tuned, metric, point) if point else None
        if difference is not None:
            right.append(difference.low > 0)
            evidence.append(
                f"{metric} {difference.value:+.3f} [{difference.low:.3f}, {difference.high:.3f}] at {point}"
            )
    if not right:
        return _untestable(claim, "no common edit")
    return [Shape(claim, "shown" if all(right) else "not shown", "; ".join(evidence))]


def _elsewhere(result: Result) -> list[Shape]:
    return [
        *_untestable("IKE beats weight editors on portability, not on locality", "IKE is not among the methods"),
        *_untestable("MEMIT's λ trades efficacy for specificity", "no sweep over λ was run"),
    ]


def worst_condition(method: MethodResult, point: int) -> float | None:
    """Largest condition number of an edited matrix at a point; None where none was changed."""
    event = method.event(point)
    return max((told["condition"] for told in (event or {}).get("weights", {}).values()), default=None)


_CHECKS: tuple[Callable[[Result], list[Shape]], ...] = (
    _forcing_flatters,
    _scr_is_flat,
    _editors_fall,
    _confirmation_matters,
    _two_hops,
    _memit_and_alphaedit,
    _grace_does_not_generalise,
    _prune_is_bounded,
    _fine_tuning,
    _elsewhere,
)

__all__ = [
    "FORCED",
    "GENERATED",
    "HEADLINE",
    "METRICS",
    "Figure",
    "MethodResult",
    "Metric",
    "Result",
    "Shape",
    "read_result",
    "shapes",
    "worst_condition",
]
