"""SERAC among the methods, its soft mixture, what it may learn from, and the test that says why the route is there."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from eval.atlas import load_atlas
from eval.benchmarks.main_job import says
from eval.benchmarks.second_route import Governed, cases_of, held_out, measure
from eval.datasets.serac import measured_subjects, rows, scope_dev
from eval.methods import Bench, make_editor, read_spec
from eval.serac import Serac, SeracSettings
from memory_store.errors import ConfigError
from memory_store.identity import fold
from scr.counterfactual import HFCounterfactual
from scr.edited_model import EditedModel
from scr.encoder import load_encoder
from scr.language_model import load_model
from scr.protocols import Candidate, Decision, Judged
from scr.scope import load_scope
from scr.scope.training_data import key_of, rows_of

SHARED = Path(__file__).resolve().parents[3] / "shared"
needs_data = pytest.mark.skipif(not (SHARED / "data").is_dir(), reason="needs the benchmark files beside the checkout")


class Sure:
    """A decider that gives every candidate one probability."""

    name = "sure"

    def __init__(self, probability: float) -> None:
        self.probability = probability

    def decide(self, queries: Sequence[str], candidates: Sequence[Sequence[Candidate]]) -> list[Decision]:
        judged = [tuple(Judged(c.edit, self.probability) for c in found[:1]) for found in candidates]
        return [Decision(j, ()) if self.probability >= 0.5 else Decision((), j) for j in judged]


@pytest.fixture(scope="module")
def bench() -> Bench:
    return Bench(*load_model(None), encoder="hash", max_new_tokens=12)


@pytest.mark.parametrize("name", ["serac", "scr-auto", "scr-candidates"])
def test_each_edits_answers_scores_and_forgets(bench: Bench, name: str) -> None:
    case = load_atlas(1).cases[0]
    asked = [case.edit.prompt]
    with make_editor(read_spec(name), bench, {}) as editor:
        assert [a.text for a in editor.answer(asked)] == bench.say(asked)
        editor.edit([case.edit])
        (answer,) = editor.answer(asked)
        assert says(answer.text, case.edit.target_new)
        # Which of the two auto takes for one edit is for the benchmark to say.
        routes = {"serac": {"counterfactual"}, "scr-candidates": {"context"}}
        assert answer.route in routes.get(name, {"context", "counterfactual"})
        ((total, tokens, _),) = editor.forced([(asked[0], case.edit.target_new)])
        assert total < 0 < tokens
        editor.forget([case.edit.edit_id])
        assert [a.text for a in editor.answer(asked)] == bench.say(asked)


def test_a_soft_mixture_runs_from_the_model_alone_to_the_counterfactual_one(bench: Bench) -> None:
    case = load_atlas(1).cases[0]
    prompt = case.edit.prompt

    def said(probability: float) -> Any:
        edited = EditedModel(
            bench.model, bench.tokenizer, encoder=bench.encoder, scope=Sure(probability), route="counterfactual"
        )
        with Serac(bench, edited, soft=True) as editor:
            editor.edit([case.edit])
            return editor.answer([prompt])[0]

    none, half, full = said(0.0), said(0.5), said(1.0)
    assert (none.text, none.route) == (bench.say([prompt])[0], "base")
    (alone,) = HFCounterfactual.from_pretrained().answer([(case.edit, prompt)], max_new_tokens=12)
    assert (full.text, full.route) == (alone, "counterfactual") and says(alone, case.edit.target_new)
    assert half.text


def test_settings_of_serac_are_read_and_others_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.json").write_text('{"soft": true}')
    assert SeracSettings.read(read_spec(f"serac:{tmp_path / 'mine.json'}").settings).soft
    with pytest.raises(ConfigError, match="serac takes scope, counterfactual and soft"):
        SeracSettings.read('{"radius": 1}')


@needs_data
def test_nothing_that_is_measured_is_learnt() -> None:
    data = SHARED / "data"
    forbidden = measured_subjects(data)
    some = [row for _, row in zip(range(400), rows(data), strict=False)]
    assert len(some) == 400 and all(row["in_scope"] for row in some)
    assert not {key_of(row["subject"]) for row in some if "subject" in row} & forbidden
    assert key_of("Danielle Darrieux") in forbidden
    assert json.dumps(some[0]) == json.dumps(next(iter(rows(data))))


@needs_data
def test_of_the_scope_benchmark_no_subject_is_learnt_and_measured() -> None:
    data = SHARED / "data"
    learnt, held = scope_dev(data, 0.6)
    edits = {row["edit_id"]: row for row in rows_of(data / "scope_dev_memory.jsonl")}
    subjects = {key_of(row["subject"]) for row in learnt}
    assert 0.5 < len(learnt) / len(edits) < 0.7
    assert not subjects & {key_of(edits[edit_id]["subject"]) for row in held for edit_id in row["edit_ids"]}
    taught = {query for row in learnt for query in (*row["in_scope"], *row["out_of_scope"])}
    assert not taught & {row["query"] for row in held}
    assert {"prompt", "paraphrase", "alias_surface", "yes_no", "same_subject", "neighbor", "unrelated"} <= {
        row["kind"] for row in held
    }


@needs_data
def test_a_neighbour_that_asks_what_an_edit_says_is_told_from_the_others() -> None:
    data = SHARED / "data"
    cases = cases_of(data, "golden", 1000)
    asks = Governed(data)([edit for edit, _, _ in cases])
    assert fold("What sport does Hank Aaron play? They play") in asks  # edited: he plays basketball
    assert fold("The twin city of Warsaw is") in asks  # edited from the other end
    assert fold("Nissan Primera P12 is produced by") not in asks
    questions = held_out(data, cases, 500)
    assert len(set(questions)) == 500 and not {fold(q) for q in questions} & asks
    assert not set(questions) & {neighbour for _, _, neighbour in cases}


@needs_data
def test_a_model_that_cannot_read_is_edited_by_the_second_route_alone() -> None:
    """The golden GPT-2 continues what it learnt; sixteen edits, generated answers."""
    encoder = load_encoder(offline=True)
    model, tokenizer = load_model(SHARED / "golden" / "model", offline=True)
    scope = load_scope("pair", encoder=encoder)
    cases = cases_of(SHARED / "data", "golden", 16)
    questions = held_out(SHARED / "data", cases, 60)
    found = measure(
        cases,
        model,
        tokenizer,
        encoder,
        scope,
        HFCounterfactual.from_pretrained(),
        budget=0.05,
        calibrated_on=questions,
    )
    assert 0 < found["threshold"] < 1
    context, other = found["routes"]["context"], found["routes"]["counterfactual"]
    assert found["says_it_unedited"] == 0 and context["reliability"] <= 0.1
    assert other["reliability_fired"] >= 0.9 and other["paraphrase_fired"] >= 0.8
    assert found["auto_right"] >= 0.9 and found["auto_counterfactual"] >= 0.9
    # Where no edit fires the answer is the model's own, whatever the route.
    assert all(row["locality"] >= 1 - found["fired"]["neighbours"] for row in found["routes"].values())
