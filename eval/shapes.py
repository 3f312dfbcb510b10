"""Which findings of the field does a run show, and does it keep the lines that no sound run crosses?

A *line* holds of any model if the machinery is right. A *target* is what this project set itself. A *finding* was
published for models of billions of parameters; that a smaller run does not show it is no fault, and the verdict says
which it is. Verdicts follow the means and, where two methods are compared, the interval of their paired difference;
every mean stands with its interval.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from eval.scores import HEADLINE, Figure, MethodResult, Result, worst

Verdict = Literal["shown", "not shown", "not testable at this size"]
Kind = Literal["line", "target", "finding"]
BOUND = 10.0
"""A condition number or a perplexity so many times the unedited model's is out of bounds."""
_NEARLY_NOTHING, _MANY = 0.1, 1000
_SIDE = ("grace", "wise")
"""Parametric methods that keep their edits beside the weights."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A claim, and whether this run shows it."""

    kind: Kind
    claim: str
    verdict: Verdict
    evidence: str
    """Means with their intervals, or why there are none."""
    pieces: tuple[tuple[bool, str], ...] = ()
    """The evidence one by one, and whether each agrees with the claim."""


def shapes(result: Result) -> list[Shape]:
    """The lines first, then the findings in the order in which a reader meets them."""
    return [check(result) for check in _CHECKS]


def _judged(kind: Kind, claim: str, found: Sequence[tuple[bool, str]], why_not: str) -> Shape:
    """Shown where every piece of evidence agrees; not testable where there is none."""
    if not found:
        return Shape(kind, claim, "not testable at this size", why_not)
    told = "; ".join(text for _, text in found)
    return Shape(kind, claim, "shown" if all(good for good, _ in found) else "not shown", told, tuple(found))


def _named(result: Result, *names: str) -> list[MethodResult]:
    return [method for method in result.methods.values() if method.name in names]


def is_published(method: MethodResult) -> bool:
    """Whether it ran with published settings, or has none."""
    return method.settings.get("from", "published") == "published"


def _told(method: MethodResult, metric: str, point: int, figure: Figure) -> str:
    return f"{method.label} {metric} {figure.interval.shown()} at {point}"


def _means(
    methods: Iterable[MethodResult], metric: str, points: Iterable[int], good: Callable[[float], bool]
) -> list[tuple[bool, str]]:
    """Of each method at each point: whether its mean is good, and the mean with its interval."""
    wanted = list(points)
    return [
        (good(figure.interval.value), _told(method, metric, point, figure))
        for method in methods
        for point in wanted
        if (figure := method.figure(metric, point)) is not None
    ]


def _compared(
    ours: MethodResult,
    theirs: Iterable[MethodResult],
    metric: str,
    good: Callable[[float, float], bool],
    least: int = 1,
) -> list[tuple[bool, str]]:
    """Of each other method at the largest common point: whether the difference's interval is good."""
    found = []
    for other in theirs:
        point = max((p for p in set(ours.points) & set(other.points) if p >= least), default=0)
        difference = ours.compared(other, metric, point) if point and other is not ours else None
        if difference is not None:
            text = (
                f"{metric}, {ours.label} minus {other.label}: {difference.value:+.3f} "
                f"[{difference.low:+.3f}, {difference.high:+.3f}] at {point}"
            )
            found.append((good(difference.low, difference.high), text))
    return found


def _above(low: float, high: float) -> bool:
    return low > 0


def _along(methods: Iterable[MethodResult]) -> list[tuple[MethodResult, int, int]]:
    """Methods with two numbers of edits in sequence: the first and the last."""
    found = [(method, [p for p in method.points if p > 1]) for method in methods]
    return [(method, points[0], points[-1]) for method, points in found if len(points) > 1]


# --- lines -----------------------------------------------------------------------------------------------------


def _scr_is_flat(result: Result) -> Shape:
    found = []
    for scr, first, last in _along(_named(result, "scr")):
        for metric in HEADLINE[:3]:
            one, two = scr.figure(metric, first), scr.figure(metric, last)
            if one is not None and two is not None:
                flat = one.interval.low <= two.interval.high and two.interval.low <= one.interval.high
                found.append((flat, f"{_told(scr, metric, first, one)}, {two.interval.shown()} at {last}"))
    claim = "scr is flat over the number of edits: its intervals at the first and the last point overlap"
    return _judged("line", claim, found, "scr was not run at two numbers of edits")


def _grace_does_not_generalise(result: Result) -> Shape:
    graces = [m for m in _named(result, "grace") if is_published(m)]
    found = _means(graces, "generalization", result.points, lambda mean: mean < _NEARLY_NOTHING)
    claim = "GRACE with its published radius generalises to less than 0.1 of its edits"
    return _judged("line", claim, found, "GRACE was not run with its published settings")


def _forcing_flatters(result: Result) -> Shape:
    found = []
    for method in result.parametric:
        for point in method.points:
            free, forced = method.figure("reliability", point), method.figure("accuracy", point)
            if free is not None and forced is not None:
                good = free.interval.value <= forced.interval.value + 1e-9
                found.append((good, f"{_told(method, 'reliability', point, free)}, accuracy {forced.interval.shown()}"))
    claim = "Teacher forcing flatters: no weight editor's generated reliability exceeds its teacher-forced accuracy"
    return _judged("line", claim, found, "no weight editor was run")


def _prune_is_bounded(result: Result) -> Shape:
    found = []
    for prune in _named(result, "prune", "prune-memit"):
        memit = next((m for m in _named(result, "memit") if is_published(m) == is_published(prune)), None)
        for point in [p for p in prune.points if p > 1]:
            ours, unedited = worst(prune, point), worst(prune, point, "condition_before")
            theirs = worst(memit, point) if memit is not None and point in memit.points else None
            if ours is not None and unedited is not None:
                good = ours <= BOUND * unedited and (theirs is None or ours <= theirs)
                beside = "" if theirs is None else f", {memit.label if memit else ''} {theirs:.4g}"
                found.append((good, f"{prune.label} {ours:.4g} at {point}, unedited {unedited:.4g}{beside}"))
    claim = f"PRUNE's condition numbers are bounded: within {BOUND:g} times the unedited ones, and at most MEMIT's"
    return _judged("line", claim, found, "PRUNE was not run in sequence, or changed no matrix")


# --- targets ---------------------------------------------------------------------------------------------------

TARGETS = {"reliability": 0.95, "generalization": 0.90, "locality": 0.99, "same-subject locality": 0.97}
"""What scr is to reach at 1,000 edits, generated."""


def _scr_reaches(metric: str) -> Callable[[Result], Shape]:
    def check(result: Result) -> Shape:
        points = [p for p in result.points if p >= _MANY]
        found = _means(_named(result, "scr"), metric, points, lambda mean: mean >= TARGETS[metric])
        claim = f"scr at {_MANY:,} edits: {metric} at least {TARGETS[metric]:.2f}, generated"
        return _judged("target", claim, found, f"scr was not run to {_MANY:,} edits")

    return check


# --- findings --------------------------------------------------------------------------------------------------


def _forced_looks_good(result: Result) -> Shape:
    found = _means(result.parametric, "accuracy", [1], lambda mean: mean > 0.9)
    claim = "Teacher-forced, every editor looks good on a single edit: accuracy above 0.9"
    return _judged("finding", claim, found, "no weight editor was asked about single edits")


def _generated_falls(result: Result) -> Shape:
    weights = [m for m in result.parametric if m.name not in _SIDE]
    found = _means(weights, "reliability", [1], lambda mean: 0.4 <= mean <= 0.9)
    found += _means(_named(result, "grace"), "reliability", [1], lambda mean: mean < 0.05)
    claim = "Generated, weight editors fall to 0.4 to 0.9 on a single edit, and GRACE below 0.05"
    return _judged("finding", claim, found, "no weight editor was asked about single edits")


def _lost_at_a_thousand(result: Result) -> Shape:
    kept = ("ft-m", "alphaedit", "locft-bf")
    points = [p for p in result.points if p >= _MANY]
    weights = [m for m in result.parametric if m.name not in kept]
    found = _means(weights, "reliability", points, lambda mean: mean < _NEARLY_NOTHING)
    claim = "At 1,000 edits all weight editors but FT-M, AlphaEdit and LocFT-BF are below 0.1, generated"
    return _judged("finding", claim, found, f"no weight editor was run to {_MANY:,} edits")


def _editors_fall(result: Result) -> Shape:
    names = ("rome", "memit", "rect", "rect-memit")
    points = [p for p in result.points if p >= 100][-1:]
    found = _means(_named(result, *names), "reliability", points, lambda mean: mean < _NEARLY_NOTHING)
    claim = "Within 100 edits in sequence ROME, MEMIT and RECT lose nearly all of them (reliability below 0.1)"
    return _judged("finding", claim, found, "none of them was run to 100 edits")


def _scope_matters(result: Result) -> Shape:
    scr = next(iter(_named(result, "scr")), None)
    claim = "Without a scope decision hard negatives are lost by tens of points: scr keeps 0.1 more than IKE"
    metrics = ("same-subject locality", "locality")
    found = [
        text
        for metric in metrics
        if scr is not None
        for text in _compared(scr, _named(result, "ike"), metric, lambda low, high: low > 0.1)
    ]
    return _judged("finding", claim, found, "scr and ike were not both run")


def _threshold_is_not_enough(result: Result) -> Shape:
    scr = next(iter(_named(result, "scr")), None)
    found = _compared(scr, _named(result, "cosine"), "same-subject locality", _above) if scr is not None else []
    claim = "A similarity threshold alone loses hard negatives: cosine keeps less of the same subject than scr"
    return _judged("finding", claim, found, "scr and cosine were not both asked about the edited subjects")


def _context_ports(result: Result) -> Shape:
    ike = next(iter(_named(result, "ike")), None)
    found: list[tuple[bool, str]] = []
    if ike is not None:
        for metric in ("alias", "reversed", "two hops"):
            found += _compared(ike, result.parametric, metric, _above)
        if found:
            found += _compared(ike, result.parametric, "locality", lambda low, high: not low > 0)
    claim = "Facts in context (IKE) beat weight editors on aliases, reversal and second hops, not on locality"
    return _judged("finding", claim, found, "IKE and a weight editor were not both run")


def _chains(result: Result) -> Shape:
    base = next(iter(_named(result, "base")), None)
    found = _compared(base, result.parametric, "chains", _above) if base is not None else []
    claim = "On chains of facts weight editing does worse than no editing"
    return _judged("finding", claim, found, "no chain was asked of a weight editor (atlas-chains and MQuAKE have them)")


def _decomposed(result: Result) -> Shape:
    scr = next(iter(_named(result, "scr")), None)
    others = [m for m in result.methods.values() if m.name not in ("scr", "scr-auto", "scr-candidates", "serac")]
    found = [one for metric in ("two hops", "chains") if scr for one in _compared(scr, others, metric, _above)]
    claim = "A question that is taken apart is answered best: scr is above every method that asks it whole, and MeLLo"
    return _judged("finding", claim, found, "scr and another method were not both asked about chains")


def _two_hops(result: Result) -> Shape:
    found = []
    for method in result.parametric:
        for point in method.points[:1]:
            two, own = method.figure("two hops", point), method.figure("reliability", point)
            if two is not None and own is not None and own.interval.value > 0:
                text = f"{_told(method, 'two hops', point, two)}, reliability {own.interval.shown()}"
                found.append((two.interval.value < own.interval.value / 2, text))
    claim = "Weight editors do not reason on from an edit: two hops below half of their reliability"
    return _judged("finding", claim, found, "no two-hop question was asked of a weight editor that wrote something")


def _alphaedit_over_memit(result: Result) -> Shape:
    alpha = next(iter(_named(result, "alphaedit")), None)
    claim = "AlphaEdit is ahead of MEMIT at 2,000 edits in batches of 100 (models differ: it collapses on some)"
    if alpha is None or not _named(result, "memit"):
        return _judged("finding", claim, [], "memit and alphaedit were not both run")
    found = _compared(alpha, _named(result, "memit"), "reliability", _above, least=2 * _MANY)
    so_far = "; ".join(text for _, text in _compared(alpha, _named(result, "memit"), "reliability", _above))
    return _judged("finding", claim, found, f"no point of 2,000 edits; {so_far or 'no common edit'}")


def _grace_keeps_locality(result: Result) -> Shape:
    points = [p for p in result.points if p > 1]
    graces = _named(result, "grace")
    found = _means(graces, "locality", points, lambda mean: mean > 0.99)
    found += _means(graces, "generalization", points, lambda mean: mean < _NEARLY_NOTHING) if found else []
    claim = "GRACE keeps locality and does not generalise: locality 1, generalization about 0"
    return _judged("finding", claim, found, "GRACE was not run in sequence")


def _ability(result: Result) -> Shape:
    claim = (
        "ROME ruins the model within 50 to 100 edits, MEMIT keeps it beyond (perplexity of true statements stands in "
        f"for abilities: {BOUND:g} times the unedited one's is ruin)"
    )
    base, found = next(iter(_named(result, "base")), None), []
    for name, ruined in (("rome", True), ("memit", False)):
        for method in _named(result, name):
            for point in [p for p in method.points if 50 <= p <= 100][-1:]:
                usual = (base.event(point) or {}).get("perplexity") if base is not None else None
                event = method.event(point) or {}
                if usual is not None and "perplexity" in event:
                    value = event["perplexity"]
                    broken = value is None or value > BOUND * usual
                    size = "no number" if value is None else f"{value:.4g}"
                    found.append((broken == ruined, f"{method.label} {size} at {point}, unedited {usual:.4g}"))
    both = {text.split(" ")[0] for _, text in found}
    return _judged(
        "finding", claim, found if len(both) > 1 else [], "ROME, MEMIT and base were not all run to 50 edits"
    )


def _lambda_trades(result: Result) -> Shape:
    by_weight = (
        sorted(
            (float(method.settings["mom2_update_weight"]), method)
            for method in _named(result, "memit")
            if "mom2_update_weight" in method.settings
        )
        if len({m.settings.get("mom2_update_weight") for m in _named(result, "memit")}) > 1
        else []
    )
    point = min((max(m.points, default=0) for _, m in by_weight), default=0)
    rows = [(w, m.figure("ES", point), m.figure("NS", point)) for w, m in by_weight] if point else []
    known = [(w, es.interval, ns.interval) for w, es, ns in rows if es is not None and ns is not None]
    found = [
        (
            two[1].value <= one[1].value and two[2].value >= one[2].value,
            f"λ {one[0]:g} to {two[0]:g}: ES {one[1].shown()} to {two[1].shown()}, "
            f"NS {one[2].shown()} to {two[2].shown()}",
        )
        for one, two in zip(known, known[1:], strict=False)
    ]
    claim = "MEMIT's λ trades efficacy (ES) for specificity (NS), monotonically"
    return _judged("finding", claim, found if len(known) > 2 else [], "fewer than three values of λ were run")


def _fine_tuning(result: Result) -> Shape:
    scr = next(iter(_named(result, "scr")), None)
    tuned = _named(result, "locft-bf")
    claim = "Fine-tuning done well (LocFT-BF) is a strong baseline, and scr beats it on generalization, alias, locality"
    found: list[tuple[bool, str]] = []
    if scr is not None:
        for metric in ("generalization", "alias", "locality"):
            found += _compared(scr, tuned, metric, _above)
        costs = [(m, m.edit_seconds) for m in tuned if m.edit_seconds is not None]
        if found and scr.edit_seconds is not None:
            found += [
                (scr.edit_seconds < cost, f"seconds an edit: scr {scr.edit_seconds:.3g}, {m.label} {cost:.3g}")
                for m, cost in costs
            ]
    shape = _judged("finding", claim, found, "scr and locft-bf were not both run")
    lost = [text.split(",")[0].split(":")[0] for good, text in found if not good]
    told = f"; scr does not beat it on {', '.join(dict.fromkeys(lost))}" if lost else ""
    return replace(shape, evidence=shape.evidence + told)


def _fine_tuning_lasts(result: Result) -> Shape:
    points = [p for p in result.points if p >= 3 * _MANY]
    found = _means(_named(result, "locft-bf"), "reliability", points, lambda mean: mean > 0.98)
    claim = "LocFT-BF is above 0.98 at 3,000 edits, generated"
    return _judged("finding", claim, found, "LocFT-BF was not run to 3,000 edits")


_CHECKS: tuple[Callable[[Result], Shape], ...] = (
    _scr_is_flat,
    _grace_does_not_generalise,
    _forcing_flatters,
    _prune_is_bounded,
    *map(_scr_reaches, TARGETS),
    _forced_looks_good,
    _generated_falls,
    _lost_at_a_thousand,
    _editors_fall,
    _scope_matters,
    _threshold_is_not_enough,
    _context_ports,
    _chains,
    _decomposed,
    _two_hops,
    _alphaedit_over_memit,
    _grace_keeps_locality,
    _ability,
    _lambda_trades,
    _fine_tuning,
    _fine_tuning_lasts,
)

__all__ = ["BOUND", "TARGETS", "Shape", "Verdict", "is_published", "shapes"]
