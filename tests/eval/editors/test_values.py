"""Values of many edits at once are those of one edit at a time."""

from typing import Any

import pytest
import torch

from eval.benchmarks.reference import reference_value_optimisation
from eval.editors.anatomy import dissect
from eval.editors.subjects import requests
from eval.editors.values import ValueSettings, optimised_values
from memory_store.errors import ConfigError

GOLDEN = ValueSettings(v_lr=1.0, v_num_grad_steps=20, v_weight_decay=0.5, clamp_norm_factor=1.5)


@pytest.mark.parametrize(
    "arch", ["gpt2", "gptj", "gpt_neox", "llama", "mistral", "qwen2", "gemma", "gemma2", "phi", "opt"]
)
@pytest.mark.parametrize(("at", "layer"), [("block", 1), ("mlp", 1), ("block", 2)])
def test_a_batch_equals_one_by_one(
    arch: str, at: Any, layer: int, make_model: Any, tokenizer: Any, facts: Any, templates: Any, relative: Any
) -> None:
    anatomy = dissect(make_model(arch))
    # After the last block only the subject's own position changes: the answer must follow it at once.
    batch = requests(tokenizer, facts if layer == 1 else facts[2:], templates)
    settings = ValueSettings(v_lr=0.05, v_num_grad_steps=6, clamp_norm_factor=0.5)
    got = optimised_values(anatomy, batch, layer, settings, at=at)
    wanted = reference_value_optimisation(anatomy, batch, layer, settings, at=at)
    assert [len(losses) for losses in got.losses] == [len(losses) for losses in wanted.losses]
    assert relative(got.initial, wanted.initial) < 1e-5
    assert relative(got.targets, wanted.targets) < 1e-4


def test_values_do_not_depend_on_the_company(golden: Any, relative: Any) -> None:
    batch = requests(golden.tokenizer, golden.edits[20:23], golden.templates)
    together = optimised_values(golden.anatomy, batch, 3, GOLDEN)
    alone = optimised_values(golden.anatomy, batch, 3, GOLDEN, batch_size=1)
    assert relative(together.targets, alone.targets) < 1e-5
    assert [len(x) for x in together.losses] == [len(x) for x in alone.losses]


def test_values_and_losses_are_the_published_ones(golden: Any, relative: Any) -> None:
    chosen = [0, 1, 2, 3, 4, 23, 43]  # 23 and 43 have targets of several tokens
    batch = requests(golden.tokenizer, [golden.edits[i] for i in chosen], golden.templates)
    values = optimised_values(golden.anatomy, batch, 3, GOLDEN)
    wanted = golden.tensor("memit_batch50", "z")[chosen]
    for got, row in zip(values.targets, wanted, strict=True):
        assert relative(got, row) < 1e-4
    for losses, trace in zip(values.losses, golden.json("first5_trace"), strict=False):
        assert losses == pytest.approx(trace["loss_per_iteration"], abs=1e-4)


def test_sixteen_bit_weights_give_finite_values(make_model: Any, tokenizer: Any, facts: Any, templates: Any) -> None:
    anatomy = dissect(make_model("llama").to(torch.bfloat16))
    settings = ValueSettings(v_lr=0.05, v_num_grad_steps=4)
    values = optimised_values(anatomy, requests(tokenizer, facts, templates), 1, settings)
    assert values.targets.dtype == torch.float32
    assert bool(values.targets.isfinite().all())
    assert bool((values.deltas.norm(dim=1) > 0).all())


def test_optimising_leaves_the_model_as_it_was(make_model: Any, tokenizer: Any, facts: Any, templates: Any) -> None:
    model = make_model("gpt2").train()
    anatomy = dissect(model)
    optimised_values(anatomy, requests(tokenizer, facts, templates), 1, ValueSettings(v_num_grad_steps=2))
    assert model.training
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert not any("forward" in module.__dict__ for module in model.modules())


def test_a_loss_that_is_not_finite_is_an_error(make_model: Any, tokenizer: Any, facts: Any, templates: Any) -> None:
    model = make_model("gpt2")
    anatomy = dissect(model)
    with torch.no_grad():
        model.transformer.ln_f.weight.fill_(float("nan"))
    with pytest.raises(ConfigError, match="not finite"):
        optimised_values(anatomy, requests(tokenizer, facts, templates), 1, ValueSettings())


@pytest.mark.parametrize(
    "bad", [{"v_lr": 0.0}, {"v_num_grad_steps": 0}, {"kl_factor": -1.0}, {"clamp_norm_factor": 0.0}]
)
def test_settings_out_of_range_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(bad))):
        ValueSettings(**bad)
