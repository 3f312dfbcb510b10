"""Claims about general abilities: which part of a context is judged, what lm-evaluation-harness hears of an editor."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from eval.atlas import load_atlas
from eval.harness import BUILT_IN, question_of, said, scored, write_tasks
from eval.methods import Bench, make_editor, read_spec
from scr.language_model import load_model

needs_harness = pytest.mark.skipif(
    importlib.util.find_spec("lm_eval") is None, reason="lm-evaluation-harness is not installed (the extra eval)"
)


@pytest.fixture(scope="module")
def bench() -> Bench:
    torch.set_num_threads(1)
    model, tokenizer = load_model(None)
    return Bench(model, tokenizer, encoder="hash", max_new_tokens=12)


def test_the_question_is_what_stands_after_the_last_empty_line() -> None:
    assert question_of("just this") == "just this"
    assert question_of("Q: one\nA: 1\n\nQ: two\nA:\n") == "Q: two\nA:"
    assert question_of("") == ""


def test_an_example_in_the_context_puts_no_edit_in_scope(bench: Bench) -> None:
    """The edit's own prompt as a worked example, another fact as the question: the model gets the bare context."""
    dataset = load_atlas(5)
    case, free = dataset.cases[0], dataset.fixed[0]
    shots = f"{case.edit.prompt} {case.edit.target_new}.\n\n{free.prompt}"
    with make_editor(read_spec("scr"), bench, {}) as editor:
        editor.edit([case.edit])
        pairs = [(shots, f" {free.accepted[0]}"), (f"{free.prompt}\n\n{case.edit.prompt}", f" {case.edit.target_new}")]
        (outside, inside) = scored(editor, pairs)
        bare = bench.language_model.log_likelihood(pairs)
        assert outside == bare[0]  # bit for bit
        assert inside[0] > bare[1][0] + 1
        assert said(editor, bench, shots, {"max_gen_toks": 6}) == said(
            make_editor(read_spec("base"), bench, {}), bench, shots, {"max_gen_toks": 6}
        )


def test_a_memory_of_other_things_changes_no_score(bench: Bench) -> None:
    dataset = load_atlas(30)
    pairs = [(probe.prompt, f" {probe.accepted[0]}") for probe in dataset.fixed[:20]]
    with make_editor(read_spec("scr"), bench, {}) as editor:
        editor.edit([case.edit for case in dataset.cases])
        assert scored(editor, pairs) == bench.language_model.log_likelihood(pairs)


def test_built_in_tasks_ask_of_facts_that_no_case_touches(tmp_path: Path) -> None:
    folder = write_tasks(tmp_path)
    rows = [json.loads(line) for line in (folder / "atlas.jsonl").read_text(encoding="utf-8").splitlines()]
    subjects = {case.edit.subject for case in load_atlas(1000).cases}
    assert len(rows) == 200 and {row["known"] for row in rows} == {0, 1}
    assert not subjects & {row["subject"] for row in rows}
    assert all(row["other"] == row["choices"][1 - row["known"]] for row in rows)
    assert {path.stem for path in folder.glob("*.yaml")} == set(BUILT_IN)
    assert write_tasks(tmp_path / "again").joinpath("atlas.jsonl").read_bytes() == (folder / "atlas.jsonl").read_bytes()


@needs_harness
def test_the_harness_scores_base_and_a_full_memory_alike_and_offline() -> None:
    """Tasks of facts that no edit touches: bit-identical; the pocket model knows them and reads."""
    words = "--methods base,scr --edits 10 --limit 20 --json".split()
    environment = {**os.environ, "SCR_ENCODER": "hash", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "scr", "eval", "abilities", *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    told: dict[tuple[str, str], Any] = {
        (row["method"], row["task"]): row for row in json.loads(done.stdout)["rows"] if row["measure"] == "acc"
    }
    for task in BUILT_IN:
        base, scr = told["base", task], told["scr", task]
        assert base["n"] == 20 and base["value"] > 0.7, task
        assert {**scr, "method": "base"} == base


def test_without_the_harness_the_command_says_what_to_install(tmp_path: Path) -> None:
    if importlib.util.find_spec("lm_eval") is not None:
        pytest.skip("lm-evaluation-harness is installed")
    words = [sys.executable, "-m", "scr", "eval", "abilities", "--methods", "base", "--edits", "1"]
    done = subprocess.run(words, env={**os.environ, "SCR_ENCODER": "hash"}, capture_output=True, text=True, timeout=300)
    assert done.returncode != 0 and "pip install 'scr-editor[eval]'" in done.stderr
    assert "Traceback" not in done.stderr
