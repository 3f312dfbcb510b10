"""How sure is a figure, and is one method better than another? The unit is the edit; subjects are drawn whole.

Edits of one subject are not independent, so the bootstrap draws subjects with replacement and keeps a subject's edits
together. Two methods are compared on the edits that both answered, with the same draws. Holm's procedure bounds the
chance of any false claim over several comparisons. Everything follows from ``seed``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memory_store.errors import ConfigError

DRAWS = 2000
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and where it may lie."""

    value: float
    low: float
    high: float
    units: int
    """Edits."""
    clusters: int
    """Subjects."""

    def shown(self) -> str:
        """
        >>> Interval(0.953, 0.91, 0.98, 100, 90).shown()
        '0.953 [0.910, 0.980]'
        """
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


@dataclass(frozen=True, slots=True)
class Difference:
    """How much larger one method's mean is than another's, on the units that both have."""

    value: float
    low: float
    high: float
    p: float
    """Two-sided, of the null hypothesis that there is no difference; never below 1 / (draws + 1)."""
    units: int


def bootstrap(
    values: Mapping[str, float],
    cluster: Mapping[str, str],
    *,
    draws: int = DRAWS,
    level: float = LEVEL,
    seed: int = 0,
) -> Interval:
    """Mean of the units' values with a percentile interval from drawing clusters.

    Where all clusters agree the draws do too, and an interval of no width would claim certainty: then it is Wilson's,
    with one trial a cluster, if the common value is 0 or 1.

    Args:
        values: unit → value.
        cluster: unit → cluster.

    Raises:
        ConfigError: no values, or a unit without a cluster.
    """
    means, sums, counts = _clustered(values, cluster)
    low, high = np.quantile(_draws(sums, counts, draws, seed), [(1 - level) / 2, (1 + level) / 2])
    clusters = len(sums)
    if low == high and means in (0.0, 1.0):
        low, high = wilson(round(means * clusters), clusters, level=level)
    return Interval(means, float(low), float(high), len(values), clusters)


def paired_difference(
    ours: Mapping[str, float],
    theirs: Mapping[str, float],
    cluster: Mapping[str, str],
    *,
    draws: int = DRAWS,
    level: float = LEVEL,
    seed: int = 0,
) -> Difference:
    """Mean of ``ours`` minus mean of ``theirs`` on their common units, both from the same draws of clusters.

    Raises:
        ConfigError: no common unit, or a unit without a cluster.
    """
    common = {unit: ours[unit] - theirs[unit] for unit in ours if unit in theirs}
    if not common:
        raise ConfigError("the two methods have no unit in common, so there is nothing to compare")
    value, sums, counts = _clustered(common, cluster)
    drawn = _draws(sums, counts, draws, seed)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    tail = min(int((drawn <= 0).sum()), int((drawn >= 0).sum()))
    return Difference(value, float(low), float(high), min(1.0, 2 * (tail + 1) / (draws + 1)), len(common))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's adjusted p-values: the k-th smallest of m is multiplied by m - k + 1, and none is below an earlier one.

    >>> holm({"a": 0.01, "b": 0.04, "c": 0.03})
    {'a': 0.03, 'c': 0.06, 'b': 0.06}

    Raises:
        ConfigError: no p-values, or one outside [0, 1].
    """
    if not p_values or not all(0 <= p <= 1 for p in p_values.values()):
        raise ConfigError(f"p-values lie in [0, 1] and there is at least one, got {dict(p_values)}")
    adjusted: dict[str, float] = {}
    largest = 0.0
    for rank, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p))
        adjusted[name] = largest
    return adjusted


def wilson(right: int, n: int, *, level: float = LEVEL) -> tuple[float, float]:
    """Wilson's interval of a share.

    >>> [round(x, 4) for x in wilson(10, 10)]
    [0.7225, 1.0]

    Raises:
        ConfigError: no trials, or more right than there are.
    """
    if n < 1 or not 0 <= right <= n:
        raise ConfigError(f"{right} of {n} is no share")
    from statistics import NormalDist

    z = NormalDist().inv_cdf((1 + level) / 2)
    share = right / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
    return max(0.0, middle - half), min(1.0, middle + half)


def _clustered(
    values: Mapping[str, float], cluster: Mapping[str, str]
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """The mean; each cluster's sum and count, in the clusters' alphabetical order so that draws can be paired."""
    if not values:
        raise ConfigError("nothing was measured, so there is no interval")
    missing = [unit for unit in values if unit not in cluster]
    if missing:
        raise ConfigError(f"the unit {missing[0]!r} belongs to no cluster")
    names: Sequence[str] = sorted({cluster[unit] for unit in values})
    place = {name: i for i, name in enumerate(names)}
    sums, counts = np.zeros(len(names)), np.zeros(len(names))
    for unit, value in values.items():
        sums[place[cluster[unit]]] += value
        counts[place[cluster[unit]]] += 1
    return float(sums.sum() / counts.sum()), sums, counts


def _draws(sums: NDArray[np.float64], counts: NDArray[np.float64], draws: int, seed: int) -> NDArray[np.float64]:
    """Means over ``draws`` samples of clusters, shape (draws,)."""
    if draws < 1:
        raise ConfigError(f"at least one draw, got {draws}")
    size = len(sums)
    times = np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), size=draws)  # (draws, clusters)
    return np.asarray((times @ sums) / (times @ counts))
