"""Claims about intervals and comparisons."""

import pytest

from eval.statistics import bootstrap, holm, paired_difference, wilson
from memory_store.errors import ConfigError

HALF = {f"u{i}": float(i % 2) for i in range(100)}
ALONE = {unit: unit for unit in HALF}


def test_the_value_is_the_mean_over_units_and_the_interval_holds_it() -> None:
    found = bootstrap(HALF, ALONE)
    assert found.value == 0.5
    assert (found.units, found.clusters) == (100, 100)
    # The standard error is sqrt(0.25 / 100) = 0.05, so 1.96 of it on either side.
    assert found.low == pytest.approx(0.402, abs=0.02)
    assert found.high == pytest.approx(0.598, abs=0.02)


def test_units_of_one_subject_are_not_independent_so_the_interval_widens() -> None:
    alone = bootstrap(HALF, ALONE)
    # Ten clusters of ten units that agree: as much is known as from ten units.
    grouped = {f"u{i}": float((i // 10) % 2) for i in range(100)}
    together = bootstrap(grouped, {f"u{i}": str(i // 10) for i in range(100)})
    assert together.clusters == 10
    assert together.high - together.low > 2.5 * (alone.high - alone.low)


def test_the_same_seed_draws_the_same_subjects() -> None:
    assert bootstrap(HALF, ALONE, seed=3) == bootstrap(dict(reversed(HALF.items())), ALONE, seed=3)
    assert bootstrap(HALF, ALONE, seed=3) != bootstrap(HALF, ALONE, seed=4)


def test_all_right_is_not_certainty() -> None:
    found = bootstrap(dict.fromkeys(HALF, 1.0), ALONE)
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(wilson(100, 100)[0]) == pytest.approx(0.963, abs=0.001)
    assert bootstrap({"a": 1.0}, {"a": "s"}).low < 0.25


def test_a_paired_difference_sees_what_two_intervals_hide() -> None:
    ours = {unit: value if unit != "u0" else 1.0 for unit, value in HALF.items()}
    ours |= {f"u{i}": 1.0 for i in range(0, 20, 2)}  # ten units better, ninety the same
    found = paired_difference(ours, HALF, ALONE)
    assert found.value == pytest.approx(0.1)
    assert found.low > 0.04  # though the methods' own intervals overlap
    assert found.p < 0.002
    assert bootstrap(ours, ALONE).low < bootstrap(HALF, ALONE).high


def test_a_comparison_is_over_the_units_that_both_have() -> None:
    found = paired_difference({"a": 1.0, "b": 1.0}, {"a": 0.0, "c": 1.0}, {"a": "s"})
    assert (found.value, found.units) == (1.0, 1)


def test_no_difference_is_no_evidence() -> None:
    found = paired_difference(HALF, HALF, ALONE)
    assert (found.value, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)


def test_holm_multiplies_by_what_is_left_and_keeps_the_order() -> None:
    # 0.01 x 4; 0.02 x 3; then 0.021 x 2 = 0.042 may not undercut 0.06; 0.9 x 1.
    assert holm({"a": 0.01, "b": 0.02, "c": 0.021, "d": 0.9}) == pytest.approx(
        {"a": 0.04, "b": 0.06, "c": 0.06, "d": 0.9}
    )
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}


def test_nothing_measured_has_no_interval() -> None:
    for nothing in (
        lambda: bootstrap({}, {}),
        lambda: bootstrap({"a": 1.0}, {}),
        lambda: paired_difference({"a": 1.0}, {"b": 1.0}, {"a": "s", "b": "s"}),
        lambda: holm({}),
        lambda: holm({"a": 1.5}),
        lambda: wilson(0, 0),
        lambda: wilson(3, 2),
    ):
        with pytest.raises(ConfigError):
            nothing()
