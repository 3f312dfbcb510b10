"""Claims about attribution: each module is switched by itself, by hand-made answers and by the built-in model."""

import json
from typing import Any

import pytest
from click.testing import CliRunner

from eval.atlas import load_atlas
from eval.attribution import Asked, Setting, ask, attribute, every_setting, ladder
from eval.cases import Probe
from eval.cli import eval_group
from eval.forced import token_hits
from eval.methods import Bench, Spec, load_bench, make_editor
from memory_store.errors import ConfigError

LEARNED = Spec("ft-m", '{"lr": 0.005, "num_steps": 50}', "here")


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def bench() -> Bench:
    return load_bench(None, encoder="hash", max_new_tokens=8, written="raw")


def test_the_ladder_goes_from_synthetic_to_wild_one_module_at_a_time() -> None:
    assert [setting.name for setting in ladder()] == [
        "bare, forced, target, ratio",
        "instruction, forced, target, ratio",
        "instruction, greedy, target, ratio",
        "instruction, greedy, natural, ratio",
        "instruction, greedy, natural, exact",
    ]
    only = ladder((), {"prompt": "bare", "decoding": "greedy", "truncation": "natural", "metric": "exact"})
    assert [setting.name for setting in only] == ["bare, greedy, natural, exact"]
    assert len(every_setting()) == 12 and set(ladder()) <= set(every_setting())


@pytest.mark.parametrize(
    ("order", "fixed", "told"),
    [
        (("truncation", "decoding", "prompt", "metric"), {}, "put decoding before truncation"),
        (("prompt", "decoding"), {}, "each of prompt, decoding, truncation, metric once"),
        (("prompt", "prompt", "decoding", "truncation", "metric"), {}, "once"),
        (("prompt", "decoding", "metric"), {"truncation": "none"}, "target or natural"),
        (("prompt", "truncation", "metric"), {"decoding": "forced"}, "put decoding before truncation"),
    ],
)
def test_a_ladder_that_makes_no_sense_is_refused(order: tuple[str, ...], fixed: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        ladder(order, fixed)


def asked(**more: Any) -> Asked:
    """Wanted are the tokens 5, 6, "Lyon Town"; said were 5, 6, 7, "Lyon Town, yes"."""
    probe = Probe(kind="prompt", prompt="Where?", accepted=("Lyon Town",))
    values: dict[str, Any] = {"hits": (True, False), "target": (5, 6), "said": (5, 6, 7, 8)}
    values |= {"cut": "Lyon Town", "answer": "Lyon Town, yes", "answer_ids": (5, 6, 7, 8)}
    return Asked(probe, **{**values, **more})


@pytest.mark.parametrize(
    ("setting", "score"),
    [
        (Setting(), 0.5),  # one of two tokens is the likeliest
        (Setting(metric="exact"), 0.0),
        (Setting(decoding="greedy"), 1.0),  # cut where the right answer ends
        (Setting(decoding="greedy", metric="exact"), 1.0),
        (Setting(decoding="greedy", truncation="natural"), 0.5),  # two of four tokens
        (Setting(decoding="greedy", truncation="natural", metric="exact"), 0.0),  # it went on
    ],
)
def test_a_score_follows_from_its_setting(setting: Setting, score: float) -> None:
    assert asked().score(setting) == score


def test_an_answer_that_was_empty_scores_nothing() -> None:
    empty = asked(said=(), cut="", answer="", answer_ids=())
    assert {empty.score(setting) for setting in every_setting() if setting.decoding == "greedy"} == {0.0}


def test_hits_are_those_of_the_forced_score_and_greedy_answers_those_of_the_run(bench: Bench) -> None:
    case = load_atlas(4).cases[0]
    own = case.probes[0]
    with make_editor(LEARNED, bench, {}) as editor:
        editor.edit([case.edit])
        bare, instructed = (ask(editor, bench, own, prompt) for prompt in ("bare", "instruction"))
        ((_, tokens, greedy),) = editor.forced([(own.prompt, own.accepted[0])])
        (answer,) = editor.answer([own.prompt])
    assert len(bare.hits) == tokens and all(bare.hits) == greedy
    # Learned as a text that goes on: forced it is there, asked and left to itself it is not.
    assert greedy and instructed.answer == answer.text != own.accepted[0]
    with pytest.raises(ConfigError, match="cannot be read"):
        token_hits(bench.model, [1], [])


def test_a_figure_falls_from_setting_to_setting_and_the_model_is_given_back(bench: Bench) -> None:
    before, cases = bench.digest(), load_atlas(4).cases
    found = attribute(cases, [Spec("scr"), LEARNED], bench, ladder())
    assert [(row.method, row.kind) for row in found] == [
        (label, kind) for label in ("scr", "ft-m+here") for kind in ("prompt", "paraphrase")
    ]
    memory, learned = ([score.value for score in row.scores] for row in (found[0], found[2]))
    assert learned[0] > 0.9 and learned[-1] <= learned[0] - 0.5  # what a teacher-forced table would not show
    assert memory[0] > 0.9 and memory[-1] > 0.7
    assert all(row.scores[0].units == 4 for row in found)
    assert bench.digest() == before
    with pytest.raises(ConfigError, match="no attribution of Copied"):
        attribute(cases, [Spec("copy")], bench, ladder())
    with pytest.raises(ConfigError, match="at least one case"):
        attribute((), [Spec("base")], bench, ladder())


def test_the_command_prints_one_decoding_a_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCR_ENCODER", "hash")
    words = ["attribution", "--methods", "base", "--n", "2", "--max-new-tokens", "4"]
    shown = CliRunner().invoke(eval_group, words)
    assert shown.exit_code == 0, shown.output
    header = [line.split() for line in shown.stdout.splitlines()]
    assert header[0][1:] == ["prompt", "bare", *["instruction"] * 4]
    assert header[1] == ["decoding", "forced", "forced", "greedy", "greedy", "greedy"]
    told = json.loads(CliRunner().invoke(eval_group, [*words, "--prompt", "bare", "--json"]).stdout)
    assert told["schema"] == "scr.eval.attribution/1" and told["edits"] == 2 and told["written"] == "raw"
    scores = told["rows"][0]["scores"]
    assert [score["prompt"] for score in scores] == ["bare"] * 4
    wrong = CliRunner().invoke(eval_group, [*words, "--order", "metric,truncation,decoding,prompt"])
    assert wrong.exit_code != 0 and "put decoding before truncation" in str(wrong.exception)
