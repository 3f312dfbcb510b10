"""From which probability on may a fact fire, so that few enough questions fire that no fact governs?

The threshold is an order statistic of questions that no fact governs: of ``n`` such questions so many may fire that the
upper 95 % bound of their share (Clopper and Pearson, one-sided) stays within the budget. How many follows from ``n``
and the budget alone, so choosing on the same questions does not spoil the bound. It holds for questions like those.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memory_store.errors import ConfigError
from scr.editor import RetrievalEditor
from scr.protocols import Decision
from scr.scope.corrections import OWN_THRESHOLD

BATCH = 256
CONFIDENCE = 0.95
LOWEST = 0.01
"""No threshold is set lower: below it everything that is a candidate would fire."""
_ABOVE = 1e-6


@dataclass(frozen=True, slots=True)
class Row:
    """One question of which it is known whether a fact of the memory governs it."""

    query: str
    in_scope: bool
    edit_ids: frozenset[str] = frozenset()
    """Which facts; empty where that is not known."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A threshold and what it was measured to do. Rates are in [0, 1]."""

    threshold: float
    budget: float
    """The highest share of false fires that was asked for."""
    out_rows: int
    """Questions that no fact governs."""
    false_fires: int
    """Of those, how many fire."""
    false_upper: float
    """Upper 95 % bound of their share."""
    in_rows: int
    hits: int
    """Questions in scope on which a right fact is the most probable and fires."""
    hit_interval: tuple[float, float] | None
    """95 % interval of their share; None without questions in scope."""


def calibrate(scores: Sequence[tuple[Row, float, bool]], budget: float) -> Calibration:
    """Return the lowest threshold that keeps false fires within the budget.

    Args:
        scores: rows with the probability of their most probable fact, and whether that is a right one.
        budget: the highest share of questions out of scope that may fire, in (0, 1).

    Raises:
        ConfigError: the budget is no share, or there are too few questions out of scope to show it.
    """
    if not 0 < budget < 1:
        raise ConfigError(f"the share of false fires is {budget:g}, wanted one between 0 and 1, such as 0.01")
    out = sorted((score for row, score, _ in scores if not row.in_scope), reverse=True)
    may_fire = _most(len(out), budget)
    if may_fire is None:
        needed = math.ceil(math.log(1 - CONFIDENCE) / math.log(1 - budget))
        raise ConfigError(
            f"{len(out)} questions that no fact governs cannot show a share of {budget:g}; give at least {needed}, "
            "or a larger share"
        )
    threshold = LOWEST if may_fire >= len(out) else min(max(out[may_fire] + _ABOVE, LOWEST), 1.0)
    fires = sum(score >= threshold for score in out)
    inside = [(score, right) for row, score, right in scores if row.in_scope]
    hits = sum(right and score >= threshold for score, right in inside)
    return Calibration(
        threshold,
        budget,
        len(out),
        fires,
        upper_bound(fires, len(out), 1 - CONFIDENCE),
        len(inside),
        hits,
        interval(hits, len(inside)) if inside else None,
    )


def scored(
    editor: RetrievalEditor,
    rows: Sequence[Row],
    *,
    namespace: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[tuple[Row, float, bool]]:
    """Put questions to the real decision: each with its most probable fact's probability, and whether it is right."""
    found: list[tuple[Row, float, bool]] = []
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        for row, decision in zip(part, editor.decide([r.query for r in part], namespace=namespace), strict=True):
            if decision.failed:
                raise ConfigError(f"the decision failed on {row.query!r:.80}: {decision.failed}; see: scr env")
            edit_id, probability = _top(decision)
            found.append((row, probability, bool(edit_id) and (not row.edit_ids or edit_id in row.edit_ids)))
        if progress is not None:
            progress(len(found), len(rows))
    return found


def of_traffic(scores: Sequence[tuple[Row, float, bool]], in_scope_share: float) -> list[tuple[Row, float, bool]]:
    """Return scores of unlabelled questions as if none were in scope, but for a share of the most probable.

    Those are left out: it is taken for granted that what a fact governs comes before what none does.

    Raises:
        ConfigError: the share is not within [0, 1).
    """
    if not 0 <= in_scope_share < 1:
        raise ConfigError(f"the share in scope is {in_scope_share:g}, wanted one from 0 to below 1")
    ranked = sorted(scores, key=lambda score: -score[1])
    return ranked[math.floor(in_scope_share * len(ranked)) :]


def reliability(
    probability: NDArray[np.float64], right: NDArray[np.bool_], kinds: Sequence[str], bins: int = 15
) -> dict[str, float]:
    """How far probabilities are from the shares that come true, every kind of question weighing the same.

    Args:
        probability: of each question's most probable fact, shape (questions,), as are the others.
        right: whether that fact governs the question.

    Returns:
        ``adaptive_error``, over bins of nearly equal weight the sum of the weight times |mean probability - share
        right|, and ``brier``, the mean squared difference.
    """
    sizes = Counter(kinds)
    weight = np.array([1 / (len(sizes) * sizes[kind]) for kind in kinds])
    brier = float(np.sum(weight * (probability - right) ** 2))
    # Questions of one probability are one: their order says nothing.
    values, of_value = np.unique(probability, return_inverse=True)
    mass = np.bincount(of_value, weight)
    share = np.bincount(of_value, weight * right) / mass
    of_bin = np.minimum(((np.cumsum(mass) - mass / 2) * bins).astype(int), bins - 1)
    error = sum(abs(float(np.sum((mass * (values - share))[of_bin == b]))) for b in range(bins))
    return {"adaptive_error": error, "brier": brier}


def upper_bound(successes: int, trials: int, alpha: float) -> float:
    """Return Clopper and Pearson's upper bound of a share, which the truth exceeds with probability ``alpha`` at most.

    >>> round(upper_bound(0, 59, 0.05), 4), round(upper_bound(1, 10, 0.025), 4)
    (0.0495, 0.445)
    """
    if successes >= trials:
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(successes, trials, middle) > alpha else (low, middle)
    return high


def interval(successes: int, trials: int) -> tuple[float, float]:
    """Return Clopper and Pearson's two-sided 95 % interval of a share.

    >>> [round(bound, 4) for bound in interval(8, 10)]
    [0.4439, 0.9748]
    """
    alpha = (1 - CONFIDENCE) / 2
    return 1 - upper_bound(trials - successes, trials, alpha), upper_bound(successes, trials, alpha)


def _most(trials: int, budget: float) -> int | None:
    """How many may fire so that the upper bound stays within the budget; None where not even none shows it."""
    low, high = -1, trials
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if upper_bound(middle, trials, 1 - CONFIDENCE) <= budget else (low, middle)
    return None if low < 0 else low


def _at_most(successes: int, trials: int, share: float) -> float:
    """P(X <= successes) of a binomial."""
    if share <= 0:
        return 1.0
    log, log_not = math.log(share), math.log1p(-share)
    whole = math.lgamma(trials + 1)
    terms = (
        whole - math.lgamma(k + 1) - math.lgamma(trials - k + 1) + k * log + (trials - k) * log_not
        for k in range(successes + 1)
    )
    return math.fsum(map(math.exp, terms))


def _top(decision: Decision) -> tuple[str, float]:
    judged = [j for j in (*decision.in_scope, *decision.near_misses) if OWN_THRESHOLD not in j.evidence]
    best = max(judged, key=lambda j: j.probability, default=None)
    return ("", 0.0) if best is None else (best.edit.edit_id, best.probability)
