"""Weights change reversibly."""

from pathlib import Path
from typing import Any

import pytest
import torch

from eval.editors.weights import EditedWeights, read_deltas
from memory_store.errors import ConfigError

NAME = "transformer.h.1.mlp.c_proj.weight"


def change(model: Any, seed: int = 0) -> dict[str, torch.Tensor]:
    shape = dict(model.named_parameters())[NAME].shape
    return {NAME: torch.randn(shape, generator=torch.Generator().manual_seed(seed))}


def same(model: Any, kept: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(p, kept[name]) for name, p in model.named_parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_leaving_restores_every_bit(dtype: torch.dtype, make_model: Any, bits: Any) -> None:
    model = make_model().to(dtype)
    kept = bits(model)
    with EditedWeights(model) as weights:
        weights.add(change(model))
        weights.add(change(model, 1))
        assert not same(model, kept)
    assert same(model, kept)


def test_an_exception_restores_every_bit(make_model: Any, bits: Any) -> None:
    model = make_model()
    kept = bits(model)
    with pytest.raises(RuntimeError, match="on purpose"), EditedWeights(model) as weights:
        weights.add(change(model))
        raise RuntimeError("on purpose")
    assert same(model, kept)


def test_small_edits_of_a_sixteen_bit_model_add_up(make_model: Any) -> None:
    model = make_model().to(torch.bfloat16)
    weights = EditedWeights(model)
    before = weights.original(NAME).float().clone()
    step = {NAME: torch.full_like(before, 1e-5)}
    for _ in range(1000):
        weights.add(step)
    moved = dict(model.named_parameters())[NAME].detach().float() - before
    assert float(moved.mean()) == pytest.approx(1e-2, rel=0.05)


def test_a_rollback_undoes_what_came_after(make_model: Any, bits: Any) -> None:
    model = make_model()
    weights = EditedWeights(model)
    empty = weights.snapshot()
    untouched = bits(model)
    weights.add(change(model))
    kept, snapshot = bits(model), weights.snapshot()
    weights.add(change(model, 1))
    weights.rollback(snapshot)
    assert same(model, kept)
    weights.rollback(empty)
    assert same(model, untouched)
    assert not weights.deltas


def test_deltas_come_back_from_a_file_under_the_parameters_name(make_model: Any, bits: Any, tmp_path: Path) -> None:
    model = make_model()
    weights = EditedWeights(model)
    weights.add(change(model))
    edited = bits(model)
    weights.save(tmp_path / "d.safetensors")
    weights.restore()
    assert set(read_deltas(tmp_path / "d.safetensors")) == {NAME}
    weights.load(tmp_path / "d.safetensors")
    assert same(model, edited)


def test_deltas_that_do_not_fit_change_nothing(make_model: Any, bits: Any, tmp_path: Path) -> None:
    model = make_model()
    kept = bits(model)
    weights = EditedWeights(model)
    good = change(model)[NAME]
    for bad, message in [
        ({NAME: good, "nobody": good}, "no parameter 'nobody'"),
        ({NAME: good[:1]}, "shape"),
        ({NAME: good * float("nan")}, "not finite"),
    ]:
        with pytest.raises(ConfigError, match=message):
            weights.add(bad)
    (tmp_path / "d.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ConfigError, match="cannot read deltas"):
        weights.load(tmp_path / "d.safetensors")
    assert same(model, kept)
