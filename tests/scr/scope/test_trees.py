"""Claims about the predictor that replaces the library."""

from dataclasses import replace

import numpy as np

from scr.scope.trees import Trees


def stump() -> Trees:
    """Column 0 at most 1 → 2.0, else 3.0; missing goes right. Baseline 0.5."""
    return Trees(
        baseline=0.5,
        roots=np.array([0], np.int32),
        column=np.array([0, 0, 0], np.int16),
        threshold=np.array([1.0, np.inf, np.inf]),
        left=np.array([1, 1, 2], np.int32),
        right=np.array([2, 1, 2], np.int32),
        missing_left=np.array([False, False, False]),
        value=np.array([0.0, 2.0, 3.0]),
        depth=1,
    )


def test_a_stump_sends_rows_by_its_threshold() -> None:
    np.testing.assert_array_equal(stump().margins(np.array([[1.0], [1.5], [np.nan]])), [2.5, 3.5, 3.5])


def test_the_mean_of_two_ensembles_gives_the_mean_of_their_margins() -> None:
    other = replace(stump(), baseline=1.5, value=np.array([0.0, 4.0, -1.0]))
    both = Trees.mean([stump(), other])
    np.testing.assert_array_equal(both.margins(np.array([[1.0], [1.5]])), [(2.5 + 5.5) / 2, (3.5 + 0.5) / 2])


def test_no_rows_give_no_margins() -> None:
    assert stump().margins(np.zeros((0, 1))).shape == (0,)


def test_margins_equal_scikit_learns() -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier

    rng = np.random.default_rng(0)
    rows = rng.normal(size=(600, 5)).astype(np.float32).astype(np.float64)
    rows[rng.random(rows.shape) < 0.2] = np.nan
    label = np.nan_to_num(rows[:, 0]) + np.nan_to_num(rows[:, 1], nan=1.0) > 0.3
    model = HistGradientBoostingClassifier(max_iter=20, random_state=0).fit(rows, label)
    trees = Trees.from_sklearn(model)
    np.testing.assert_allclose(trees.margins(rows), model.decision_function(rows), atol=1e-6, rtol=0)
    again = Trees.from_arrays(trees.arrays())
    np.testing.assert_array_equal(again.margins(rows), trees.margins(rows))


def test_a_row_is_judged_alike_alone_and_in_company() -> None:
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(50, 1))
    together = stump().margins(rows)
    np.testing.assert_array_equal(together, [stump().margins(r[None])[0] for r in rows])
