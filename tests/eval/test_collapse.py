"""Claim: a model that an edit ruins rings the alarm. Staged with ROME as first published, on first-token subjects."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from eval.cases import Dataset
from eval.datasets import load_dataset
from eval.methods import Bench, Spec
from eval.report import COLLAPSE, as_html
from eval.runner import RunConfig, run
from eval.scores import read_result
from scr.language_model import load_model

SHARED = Path(__file__).parents[3] / "shared"
SUBJECTS = ("Science", "Monomail", "Veracode")
"""Single tokens at the start of their prompts, whose bare keys are the furthest from their keys behind prefixes."""
# EasyEdit's settings for ROME: C = I. Early in the model, so that much lies above what is broken.
ROME = {"layer": 0, "mom2_adjustment": False, "v_lr": 1.0, "v_num_grad_steps": 20, "v_weight_decay": 0.5}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def rome(original: bool) -> Spec:
    settings: dict[str, Any] = {**ROME, "clamp_norm_factor": 8.0, "original": original}
    return Spec("rome", json.dumps(settings), "original" if original else "corrected")


def test_the_original_rome_ruins_a_model_and_rings_the_alarm_and_the_corrected_one_does_not(tmp_path: Path) -> None:
    """A first token has no context: its bare key is far from its key behind a prefix, which the update is along.

    Numerator and denominator of the original are of the bare key, so that the change along the other is out of scale.
    """
    golden = SHARED / "golden"
    if not golden.is_dir():
        pytest.skip("the golden values are not beside this checkout")
    model, tokenizer = load_model(golden / "model")
    bench = Bench(
        model,
        tokenizer,
        chat=False,
        max_new_tokens=4,
        moments={0: torch.eye(model.config.n_embd * 4)},
        templates=json.loads((golden / "context_templates.json").read_text(encoding="utf-8")),
    )
    # The first thousand rows are what the model was trained on.
    rows = load_dataset("counterfact", SHARED / "data/counterfact_edit_10000.jsonl", cases=980).cases
    first = [case for case in rows if case.edit.subject in SUBJECTS and case.edit.prompt.startswith(case.edit.subject)]
    assert [len(tokenizer(case.edit.subject)["input_ids"]) for case in first] == [1, 1, 1]
    dataset = Dataset(name="counterfact", cases=(*first, *(case for case in rows[:40] if case not in first)))
    config = RunConfig(points=(3,), protocol="sequential", probed=1, fixed=0, per_kind=1, max_new_tokens=4)
    run(dataset, [Spec("base"), rome(original=True), rome(original=False)], bench, config, tmp_path)
    result = read_result(tmp_path)
    found = {label: (method.event(3) or {})["perplexity"] for label, method in result.methods.items()}
    assert found["base"] < 10  # these statements it knows
    assert found["rome+original"] > COLLAPSE * found["base"]
    assert found["rome+corrected"] < COLLAPSE * found["base"]
    page = as_html(result)
    assert "Collapsed: rome+original at 3 edits" in page and "rome+corrected at 3 edits (perplexity" not in page
