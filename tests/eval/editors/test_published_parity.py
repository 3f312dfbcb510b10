"""Deltas against what the published implementations computed (float32, CPU, one thread)."""

from typing import Any

import pytest
import torch

from eval.editors.alphaedit import AlphaEdit, AlphaEditConfig
from eval.editors.come import Come, ComeConfig
from eval.editors.emmet import Emmet, EmmetConfig
from eval.editors.fine_tune import FineTune, FineTuneConfig
from eval.editors.keys import KeyTape
from eval.editors.memit import Memit, MemitConfig
from eval.editors.nse import Nse, NseConfig
from eval.editors.prune import reduced
from eval.editors.rect import Rect, largest_relative
from eval.editors.rome import Rome, RomeConfig
from eval.editors.subjects import requests

VALUES: dict[str, Any] = {"v_lr": 1.0, "v_num_grad_steps": 20, "v_weight_decay": 0.5, "clamp_norm_factor": 1.5}
MEMIT = MemitConfig(layers=(1, 2, 3), mom2_update_weight=100.0, **VALUES)
ALPHA = AlphaEditConfig(layers=(1, 2, 3), nullspace_threshold=0.02, L2=1.0, **VALUES)


def delta(editor: Any, layer: int) -> torch.Tensor:
    """As the golden files store it: (d_key, d_model)."""
    found: torch.Tensor = editor.weights.deltas[f"transformer.h.{layer}.mlp.c_proj.weight"]
    return found


def editor_of(golden: Any, kind: Any, config: Any, **options: Any) -> Any:
    return kind(golden.model, golden.tokenizer, config, golden.moments, templates=golden.templates, **options)


def test_keys_are_the_published_ones(golden: Any) -> None:
    tape = KeyTape(golden.anatomy, requests(golden.tokenizer, golden.edits[:50], golden.templates), golden.templates, 1)
    wanted = golden.tensor("memit_batch50", "ks_L1")[0]
    assert float((tape.keys(1) - wanted).abs().max()) < 1e-4


def test_memit_first_batch_of_20(golden: Any, relative: Any) -> None:
    with editor_of(golden, Memit, MEMIT) as editor:
        editor.edit(golden.edits[:20])
        for layer in (1, 2, 3):
            assert relative(delta(editor, layer), golden.tensor("memit_seq5x20", f"delta_after1_L{layer}")) < 1e-3


@pytest.mark.slow
def test_memit_batch_of_50(golden: Any, relative: Any) -> None:
    with editor_of(golden, Memit, MEMIT) as editor:
        editor.edit(golden.edits[:50])
        for layer in (1, 2, 3):
            assert relative(delta(editor, layer), golden.tensor("memit_batch50", f"delta_L{layer}")) < 1e-3
        assert right(golden, editor, 50) == pytest.approx(0.88, abs=0.021)


def right(golden: Any, editor: Any, n: int) -> float:
    """Share of edits all of whose target tokens are greedy, teacher-forced."""
    pairs = [(edit.prompt, " " + edit.target_new) for edit in golden.edits[:n]]
    return sum(greedy for _, _, greedy in editor.log_likelihood(pairs)) / n


def test_alphaedit_first_batch(golden: Any, relative: Any) -> None:
    with editor_of(golden, AlphaEdit, ALPHA) as editor:
        assert list(editor.ranks.values()) == [478, 462, 505]
        editor.edit(golden.edits[:20])
        for layer in (1, 2, 3):
            assert relative(delta(editor, layer), golden.tensor("alphaedit_seq5x20", f"delta_after1_L{layer}")) < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "config", "name"), [(Memit, MEMIT, "memit_seq5x20"), (AlphaEdit, ALPHA, "alphaedit_seq5x20")]
)
def test_five_batches_of_20(kind: Any, config: Any, name: str, golden: Any, relative: Any) -> None:
    with editor_of(golden, kind, config) as editor:
        for start in range(0, 100, 20):
            editor.edit(golden.edits[start : start + 20])
            if start == 0:
                for layer in (1, 2, 3):
                    assert relative(delta(editor, layer), golden.tensor(name, f"delta_after1_L{layer}")) < 1e-3
        for layer in (1, 2, 3):
            assert relative(delta(editor, layer), golden.tensor(name, f"delta_L{layer}")) < 1e-2
        assert right(golden, editor, 100) == pytest.approx({"m": 0.68, "a": 0.76}[name[0]], abs=0.021)


def test_rome_single_edits(golden: Any, relative: Any) -> None:
    config = RomeConfig(layer=2, original=True, **{**VALUES, "clamp_norm_factor": 8.0})
    editor = editor_of(golden, Rome, config)
    for number in (0, 3):
        with editor:
            editor.edit([golden.edits[number]])
            assert relative(delta(editor, 2), golden.tensor("rome_single10", f"delta_{number}_L2")) < 1e-3


@pytest.mark.slow
def test_emmet_batch_of_50(golden: Any, relative: Any) -> None:
    config = EmmetConfig(layers=(2,), mom2_update_weight=100.0, emmet_lambda=0.1, **VALUES)
    with editor_of(golden, Emmet, config) as editor:
        editor.edit(golden.edits[:50])
        assert relative(delta(editor, 2), golden.tensor("emmet_batch50", "delta_L2")) < 1e-3


@pytest.mark.slow
def test_nse_five_batches_of_20(golden: Any, relative: Any) -> None:
    config = NseConfig(
        layers=(1, 2, 3), mom2_update_weight=100.0, alpha=10.0, upper_bound=200.0, neuron_threshold=0.9, **VALUES
    )
    with editor_of(golden, Nse, config) as editor:
        for start in range(0, 100, 20):
            editor.edit(golden.edits[start : start + 20])
            if start == 0:
                for layer in (1, 2, 3):
                    assert relative(delta(editor, layer), golden.tensor("nse_seq5x20", f"delta_after1_L{layer}")) < 1e-3
        for layer in (1, 2, 3):
            assert relative(delta(editor, layer), golden.tensor("nse_seq5x20", f"delta_L{layer}")) < 1e-2


@pytest.mark.slow
def test_come_batch_of_20(golden: Any, relative: Any) -> None:
    old = {edit.edit_id: row["ground_truth"] for edit, row in zip(golden.edits, golden.rows, strict=True)}
    config = ComeConfig(layers=(1, 2, 3), mom2_update_weight=100.0, a=0.1, p=0.2, **VALUES)
    with editor_of(golden, Come, config, old_answers=old) as editor:
        batch = requests(golden.tokenizer, golden.edits[:20], golden.templates)
        assert relative(editor.values(batch), golden.tensor("come_batch20", "z")) < 1e-3
        editor.edit(golden.edits[:20])
        for layer in (1, 2, 3):
            assert relative(delta(editor, layer), golden.tensor("come_batch20", f"delta_L{layer}")) < 1e-3


@pytest.mark.slow
def test_rect_over_memit_five_batches_of_20(golden: Any, relative: Any) -> None:
    """Two entries of the last mask stand at its border and may fall either way: 5e-4 of that matrix."""
    name = "memit_rect_alphaedit_repo_seq5x20"
    sizes = [batch["fro"] for batch in golden.json(name)["per_batch"]]
    with Rect(editor_of(golden, Memit, MEMIT), keep=0.4) as editor:
        for number, wanted in enumerate(sizes):
            editor.edit(golden.edits[20 * number : 20 * number + 20])
            for layer in (1, 2, 3):
                got = delta(editor, layer)
                assert float(got.norm()) == pytest.approx(wanted[str(layer)], rel=1e-4)
                if number == 0:
                    assert relative(got, golden.tensor(name, f"delta_after1_L{layer}")) < 1e-3
        for layer in (1, 2, 3):
            assert relative(delta(editor, layer), golden.tensor(name, f"delta_L{layer}")) < 1e-2
        assert right(golden, editor, 100) == pytest.approx(0.66, abs=0.021)


@pytest.mark.parametrize("layer", [1, 2, 3])
@pytest.mark.parametrize(("reduce", "tag"), [("log", "prune_log_x1"), ("log1_2", "prune_log1_2_x1")])
def test_prune_of_the_stored_change(layer: int, reduce: Any, tag: str, golden: Any, relative: Any) -> None:
    change = golden.tensor("memit_seq5x20", f"delta_L{layer}")
    weight = golden.anatomy.projections[layer].weight.detach()
    wanted = golden.tensor("prune_rect_on_memit_seq", f"{tag}_L{layer}")
    assert relative(reduced(change, weight, reduce), wanted) < 1e-4


@pytest.mark.parametrize("layer", [1, 2, 3])
@pytest.mark.parametrize(("keep", "tag"), [(0.2, "rect_zero80"), (0.4, "rect_alphaedit_keep40")])
def test_rect_of_the_stored_change(layer: int, keep: float, tag: str, golden: Any, relative: Any) -> None:
    change = golden.tensor("memit_seq5x20", f"delta_L{layer}")
    weight = golden.anatomy.projections[layer].weight.detach()
    wanted = golden.tensor("prune_rect_on_memit_seq", f"{tag}_L{layer}")
    assert relative(largest_relative(change, weight, keep, keep_border=keep == 0.4), wanted) < 1e-4


def test_ft_l_batch_of_20(golden: Any, relative: Any) -> None:
    config = FineTuneConfig(layer=2, objective="prompt_last", lr=5e-3, num_steps=25, norm_constraint=0.05)
    with FineTune(golden.model, golden.tokenizer, config) as editor:
        editor.edit(golden.edits[:20])
        bias = editor.weights.deltas["transformer.h.2.mlp.c_proj.bias"]
        assert relative(delta(editor, 2), golden.tensor("ft_l_batch20", "delta_L2")) < 1e-3
        assert relative(bias, golden.tensor("ft_l_batch20", "delta_bias_L2")) < 1e-3
