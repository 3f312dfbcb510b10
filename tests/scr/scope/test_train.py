"""Claims about the training of the pair classifier, on corpora one can read."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from memory_store.edit import Edit
from scr.encoder import HashEncoder
from scr.scope.features import COLUMN, NAMES
from scr.scope.train import LESS, MORE, RememberingEncoder, Table, boosted, calibration, figures, folds_of, tabulate
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
    (kept,) = tmp_path.iterdir()
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
    )


def test_figures_count_the_top_decided_edit_and_silence_outside() -> None:
    table = hand_made([True, True, False, False], ["paraphrase", "paraphrase", "neighbor", "neighbor"])
    scored = figures(table, np.array([0.9, 0.4, 0.6, 0.1]), 0.5, np.ones(4, bool))
    assert scored.kinds == {"paraphrase": 0.5, "neighbor": 0.5}
    assert scored.hm == 0.5


def test_calibration_is_perfect_when_shares_match_and_off_by_the_difference_when_not() -> None:
    table = hand_made([True, True, False, False], ["paraphrase", "paraphrase", "neighbor", "neighbor"])
    everything = np.ones(4, bool)
    assert calibration(table, np.array([1.0, 1.0, 0.0, 0.0]), everything) == {"adaptive_error": 0.0, "brier": 0.0}
    # One bin for all: mean probability 0.7, share right 0.5.
    off = calibration(table, np.full(4, 0.7), everything, bins=1)
    assert off["adaptive_error"] == pytest.approx(0.2)
    assert off["brier"] == pytest.approx(0.5 * 0.09 + 0.5 * 0.49)


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
