"""Claims about the training of the pair classifier, on corpora one can read."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from memory_store.edit import Edit
from scr.encoder import HashEncoder
from scr.protocols import Keys
from scr.scope.features import COLUMN, NAMES, WordWeights, evidence, pair_up
from scr.scope.train import (
    LESS,
    MORE,
    RememberingEncoder,
    Table,
    boosted,
    budgeted,
    calibration,
    figures,
    folds_of,
    tabulate,
    with_nearness,
)
from scr.scope.training_data import Corpus, Query
from scr.scope.weights import Weights

needs_sklearn = pytest.mark.skipif(importlib.util.find_spec("sklearn") is None, reason="scikit-learn is missing")


def corpora() -> list[Corpus]:
    edits = [
        Edit(edit_id=name, statement=f"The capital of {name} is X.", prompt=f"The capital of {name} is", subject=name)
        for name in ("France", "Peru", "Ghana")
    ]
    queries = [
        Query("What is the capital of France?", "paraphrase", "ours", frozenset(["France"])),
        Query("What is the capital of Spain?", "neighbor", "ours", frozenset()),
        Query("Who rules Peru?", "same_subject", "ours", frozenset(), about="Peru"),
    ]
    return [Corpus("large", edits, queries), Corpus("small-1", edits[:1], queries[1:2], "large")]


def table_of(cache: Path | None = None) -> Table:
    encoder = RememberingEncoder(HashEncoder())
    return tabulate(corpora(), encoder, Weights({}, {}, encoder.fingerprint), cache)


def test_a_row_is_right_when_its_candidate_governs_the_query() -> None:
    table = table_of()
    assert table.evidence.shape == (len(table.label), len(NAMES))
    right = [(table.queries[q].text, c) for q, c, y in zip(table.query, table.candidate, table.label, strict=True) if y]
    assert right == [("What is the capital of France?", "France")]
    assert table.recalled.all()


def test_evidence_read_from_the_cache_is_the_evidence_gathered(tmp_path: Path) -> None:
    plain, first = table_of(), table_of(tmp_path)
    (kept,) = tmp_path.glob("evidence-*")
    written = kept.stat().st_mtime_ns
    second = table_of(tmp_path)
    assert kept.stat().st_mtime_ns == written
    for table in (first, second):
        np.testing.assert_array_equal(table.evidence, plain.evidence)
        assert table.candidate == plain.candidate
        np.testing.assert_array_equal(table.label, plain.label)
        np.testing.assert_array_equal(table.group, plain.group)


def test_what_concerns_one_subject_is_in_one_fold() -> None:
    group = np.array([0, 1, 2, 3, 4, 5, 6, 0, 1, 2, 3, 3, 3], np.int32)
    fold = folds_of(group, seed=0)
    assert all(len(set(fold[group == g].tolist())) == 1 for g in set(group.tolist()))
    assert set(fold.tolist()) == {0, 1, 2, 3, 4}


def hand_made(label: list[bool], kinds: list[str]) -> Table:
    n = len(label)
    queries = [
        Query(f"q{i}", k, "ours", frozenset(["a"]) if k == "paraphrase" else frozenset()) for i, k in enumerate(kinds)
    ]
    return Table(
        np.zeros((n, len(NAMES)), np.float32),
        np.array(label),
        np.arange(n, dtype=np.int32),
        ["a" if y else "b" for y in label],
        np.zeros(n, bool),
        queries,
        ["large"] * n,
        np.zeros(n, np.int32),
        np.ones(n, bool),
        np.full(n, -1, np.int32),
        np.full(n, -1, np.int32),
        np.zeros((0, 2), np.float32),
        np.zeros(n, np.int32),
    )


def test_figures_count_the_top_decided_edit_and_silence_outside() -> None:
    table = hand_made([True, True, False, False], ["paraphrase", "paraphrase", "neighbor", "neighbor"])
    scored = figures(table, np.array([0.9, 0.4, 0.6, 0.1]), 0.5, np.ones(4, bool))
    assert scored.kinds == {"paraphrase": 0.5, "neighbor": 0.5}
    assert scored.hm == 0.5


def test_calibration_is_perfect_when_shares_match() -> None:
    table = hand_made([True, True, False, False], ["paraphrase", "paraphrase", "neighbor", "neighbor"])
    everything = np.ones(4, bool)
    assert calibration(table, np.array([1.0, 1.0, 0.0, 0.0]), everything) == {"adaptive_error": 0.0, "brier": 0.0}


def test_a_family_with_a_threshold_of_its_own_keeps_to_the_budget() -> None:
    n = 4000
    table = hand_made([False] * n, ["neighbor"] * n)
    family = [{"zsre"} if i % 2 else {"qaedit"} for i in range(n)]
    p = np.random.default_rng(0).random(n)
    p[1::2] = 0.5 + p[1::2] / 2  # zsRE's lie higher: the others' threshold is too low for them
    p[::2] /= 2
    found = budgeted(table, p, family, np.ones(n, bool), seed=0)
    assert set(found) == {"zsre", "qaedit"} and found["zsre"]["out_of_scope"] == 2000
    assert found["zsre"]["others_threshold"] > 0.9
    assert found["qaedit"]["others_threshold"] == 0
    assert found["zsre"]["own_threshold"] <= 0.015 and found["qaedit"]["own_threshold"] <= 0.015


def test_nearness_in_training_is_compared_with_rivals_as_in_a_decision() -> None:
    table = hand_made([True, False, False, True, False], ["paraphrase"] * 5)
    table.query[:] = [0, 0, 0, 1, 2]
    near = np.array([0.9, 0.4, np.nan, 0.5, np.nan])
    found = with_nearness(table, near)
    np.testing.assert_array_equal(found[:, COLUMN["near_relation"]], near)
    np.testing.assert_allclose(found[:, COLUMN["rival_near_relation"]], [0.5, -0.5, -1.9, np.nan, np.nan])
    pairs = [pair_up("What is the capital of France?", edit, WordWeights()) for edit in corpora()[0].edits]
    cosines = np.full((3, 7), np.nan)
    cosines[:, 6] = near[:3]
    decided = evidence(pairs, cosines, WordWeights())
    np.testing.assert_allclose(decided[:, COLUMN["rival_near_relation"]], [0.5, -0.5, -1.9])


def test_rivals_are_candidates_of_one_part_of_a_long_text() -> None:
    table = hand_made([True, False, True, False], ["paraphrase"] * 4)
    table.query[:] = 0
    table.part[:] = [0, 0, 1, 1]
    found = with_nearness(table, np.array([0.9, 0.4, 0.2, 0.5]))
    np.testing.assert_allclose(found[:, COLUMN["rival_near_relation"]], [0.5, -0.5, -0.3, 0.3])


def test_keys_are_read_back_as_they_were_made(tmp_path: Path) -> None:
    first = RememberingEncoder(HashEncoder(), tmp_path)
    keys = first.encode(["a b", "c", "a b", "é \udcff"])
    first.save()

    class Broken(HashEncoder):
        def encode(self, texts: Sequence[str]) -> Keys:
            raise AssertionError(f"asked for {texts}")

    np.testing.assert_array_equal(RememberingEncoder(Broken(), tmp_path).encode(["a b", "c", "a b", "é \udcff"]), keys)


@needs_sklearn
def test_the_bound_ensemble_never_holds_more_of_what_speaks_for_an_edit_against_it() -> None:
    rng = np.random.default_rng(0)
    n = 600
    evidence = rng.random((n, len(NAMES)))
    # Noise that a free ensemble would learn by heart.
    label = evidence[:, COLUMN["cos_prompt"]] - evidence[:, COLUMN["excluding"]] + rng.normal(0, 0.5, n) > 0
    trees = boosted(evidence, label, np.ones(n), bound=True, seed=0)
    rows = rng.random((50, len(NAMES)))
    for names, sign in ((MORE, 1), (LESS, -1)):
        for name in names:
            higher = rows.copy()
            higher[:, COLUMN[name]] += 0.5
            assert (sign * (trees.margins(higher) - trees.margins(rows)) >= -1e-9).all(), name
