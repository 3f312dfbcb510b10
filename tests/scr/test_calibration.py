"""Claims about a threshold that keeps false fires within a budget."""

import json
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from memory_store.errors import ConfigError
from scr.calibration import Row, calibrate, interval, of_traffic, reliability, upper_bound

Run = Callable[..., Result]


def rows(out: list[float], inside: list[float] = ()) -> list[tuple[Row, float, bool]]:  # type: ignore[assignment]
    return [(Row("q", False), p, False) for p in out] + [(Row("q", True), p, True) for p in inside]


def test_59_questions_without_a_false_fire_show_5_per_cent_and_58_do_not() -> None:
    scores = [n / 100 for n in range(59)]
    found = calibrate(rows(scores, [0.9, 0.57]), 0.05)
    assert (found.false_fires, found.out_rows, found.hits, found.in_rows) == (0, 59, 1, 2)
    assert 0.58 < found.threshold < 0.59 and found.false_upper <= 0.05
    with pytest.raises(ConfigError, match="58 questions .* give at least 59"):
        calibrate(rows(scores[:58]), 0.05)


def test_more_questions_allow_a_few_false_fires_and_so_a_lower_threshold() -> None:
    scores = [n / 1000 for n in range(1000)]
    found = calibrate(rows(scores), 0.05)
    assert found.false_upper <= 0.05 < upper_bound(found.false_fires + 1, 1000, 0.05)
    assert found.false_fires == sum(score >= found.threshold for score in scores) > 30
    assert found.hit_interval is None


def test_equal_probabilities_fire_together_or_not_at_all() -> None:
    found = calibrate(rows([0.5] * 200 + [0.1] * 100), 0.05)
    assert found.false_fires == 0 and 0.5 < found.threshold < 0.51


def test_a_budget_that_everything_may_use_leaves_the_lowest_threshold() -> None:
    assert calibrate(rows([0.9, 0.8]), 0.99).threshold > 0.01 - 1e-9


def test_the_bound_holds_on_questions_it_was_not_chosen_on() -> None:
    """Of 300 thresholds, each chosen on 100 questions, at most about 5 % let too many of all others fire."""
    rng = random.Random(7)
    broken = 0
    for _ in range(300):
        found = calibrate(rows([rng.random() for _ in range(100)]), 0.1)
        broken += 1 - found.threshold > 0.1  # uniform: the true share of false fires
    assert 0 < broken / 300 < 0.08


@pytest.mark.parametrize("budget", [0, 1, -0.1, 2])
def test_a_budget_that_is_no_share_is_refused(budget: float) -> None:
    with pytest.raises(ConfigError, match="wanted one between 0 and 1"):
        calibrate(rows([0.1] * 99), budget)


def test_intervals_are_those_of_the_tables() -> None:
    assert interval(0, 10) == (0.0, pytest.approx(0.3085, abs=1e-4))
    assert interval(5, 10) == (pytest.approx(0.1871, abs=1e-4), pytest.approx(0.8129, abs=1e-4))
    assert upper_bound(10, 10, 0.05) == 1.0


def test_of_traffic_the_most_probable_share_is_taken_for_in_scope() -> None:
    scores = rows([0.1, 0.9, 0.5, 0.8])
    assert [p for _, p, _ in of_traffic(scores, 0.5)] == [0.5, 0.1]
    assert len(of_traffic(scores, 0.0)) == 4
    with pytest.raises(ConfigError, match="wanted one from 0 to below 1"):
        of_traffic(scores, 1.0)


@pytest.fixture
def scr(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Run:
    from scr.cli.app import cli

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SCR_STORE", "facts.scr")
    monkeypatch.setenv("SCR_ENCODER", "hash")

    def run(*args: str, **options: Any) -> Result:
        return CliRunner().invoke(cli, list(args), **options)

    assert run("add", "The capital of France is Lyon.", "--id", "france", "--no-check").exit_code == 0
    return run


ASKED = "The capital of France is"
DATA = "".join(
    json.dumps({"query": f"Who built house {n} of the street?", "in_scope": False}) + "\n" for n in range(60)
)
IN_SCOPE = json.dumps({"query": ASKED, "edit_ids": ["france"], "kind": "prompt"}) + "\n"


def test_a_calibration_is_stored_used_shown_and_undone(scr: Run) -> None:
    before = json.loads(scr("test", "--json").stdout)
    assert before["failed"] == 0
    found = json.loads(scr("calibrate", "--false-fire", "0.05", "--data", "-", "--json", input=DATA + IN_SCOPE).stdout)
    assert (found["out_of_scope"], found["in_scope"], found["hits"]) == (60, 1, 1)
    assert found["false_upper"] <= 0.05 and found["hit_interval"][1] == 1.0
    stats = scr("store", "stats")
    assert f"default: pair from {found['threshold']:.4f} on" in stats.stdout
    (event,) = [e for e in json.loads(scr("log", "--json").stdout)["events"] if e["kind"] == "calibrate"]
    assert event["payload"]["budget"] == 0.05 and event["actor"]
    # One question out of scope that reaches as much as the fact's own prompt: nothing may fire any more.
    scr("calibrate", "--false-fire", "0.05", "--data", "-", input=DATA + IN_SCOPE.replace("france", "gone"))
    failed = json.loads(scr("test", "--json").stdout)
    assert failed["failed"] == 1 and failed["failures"][0]["threshold"] > failed["failures"][0]["probability"]
    scr("undo")
    assert json.loads(scr("store", "stats", "--json").stdout)["calibrated"] == {"default": {"pair": found["threshold"]}}
    assert scr("test").exit_code == 0


def test_traffic_needs_no_labels_and_a_dry_run_stores_nothing(scr: Run) -> None:
    lines = "".join(json.loads(line)["query"] + "\n" for line in DATA.splitlines()) + ASKED + "\n"
    args = ["calibrate", "--false-fire", "0.05", "--traffic", "-", "--dry-run", "--json"]
    alone = json.loads(scr(*args, input=lines).stdout)
    shared = json.loads(scr(*args, "--in-scope-share", "0.02", input=lines).stdout)
    assert alone["threshold"] > shared["threshold"] and shared["out_of_scope"] == 60
    assert json.loads(scr("store", "stats", "--json").stdout)["calibrated"] == {}


@pytest.mark.parametrize(
    ("args", "given", "why"),
    [
        (["--data", "-"], "Who?\n", "line 1: not JSON"),
        (["--data", "-"], '{"query": "Who?"}\n', '"in_scope" must be true or false'),
        (["--data", "-"], '{"query": "Who?", "edit_ids": "a"}\n', "edit_ids must be a list"),
        (["--data", "-", "--traffic", "x"], "", "give either"),
        ([], "", "give either"),
        (["--data", "-", "--in-scope-share", "0.1"], "", "goes with --traffic"),
        (["--traffic", "-"], "Who?\n", "give at least"),
    ],
)
def test_what_cannot_be_calibrated_is_one_line(scr: Run, args: list[str], given: str, why: str) -> None:
    refused = scr("calibrate", "--false-fire", "0.05", *args, input=given)
    assert refused.exit_code == 2 and why in refused.stderr and len(refused.stderr.splitlines()) <= 2


def test_reliability_is_the_distance_from_the_shares_and_no_matter_of_order() -> None:
    kinds = ["a"] * 100
    half = np.array([True, False] * 50)
    assert reliability(np.full(100, 0.5), half, kinds)["adaptive_error"] == pytest.approx(0)
    assert reliability(np.full(100, 0.5), np.sort(half), kinds)["adaptive_error"] == pytest.approx(0)
    off = reliability(np.full(100, 0.7), half, kinds)
    assert off["adaptive_error"] == pytest.approx(0.2)
    assert off["brier"] == pytest.approx(0.5 * 0.09 + 0.5 * 0.49)


def test_every_kind_weighs_the_same_however_many_questions_it_has() -> None:
    probability = np.array([1.0] * 90 + [0.0] * 10)
    right = np.array([True] * 90 + [True] * 10)
    assert reliability(probability, right, ["a"] * 90 + ["b"] * 10)["brier"] == pytest.approx(0.5)
