"""Parts of a model are found by structure."""

from typing import Any

import pytest
import torch

from eval.editors.anatomy import dissect
from memory_store.errors import ConfigError

ENDS = {
    "gpt2": "mlp.c_proj",
    "gptj": "mlp.fc_out",
    "gpt_neox": "mlp.dense_4h_to_h",
    "llama": "mlp.down_proj",
    "mistral": "mlp.down_proj",
    "qwen2": "mlp.down_proj",
    "gemma": "mlp.down_proj",
    "gemma2": "mlp.down_proj",
    "phi": "mlp.fc2",
    "opt": "fc2",
}


@pytest.mark.parametrize("arch", ENDS)
def test_the_output_projection_is_found_in_every_architecture(arch: str, make_model: Any) -> None:
    anatomy = dissect(make_model(arch))
    assert len(anatomy.projections) == 3
    for projection in anatomy.projections:
        assert projection.name.endswith(ENDS[arch])
        assert (projection.d_model, projection.d_key) == (32, 128 if arch in ("gpt2", "gptj") else 64)
        assert projection.oriented(projection.weight).shape == (projection.d_model, projection.d_key)


def test_an_explicit_name_overrides_structure(make_model: Any) -> None:
    anatomy = dissect(make_model("llama"), projection="model.layers.{}.mlp.down_proj")
    assert anatomy.projections[1].parameter_name == "model.layers.1.mlp.down_proj.weight"


def test_a_wrong_name_is_refused(make_model: Any) -> None:
    with pytest.raises(ConfigError, match=r"no module is named 'h.0.mlp'"):
        dissect(make_model("llama"), projection="h.{}.mlp")


def test_layers_out_of_range_are_refused(make_model: Any) -> None:
    anatomy = dissect(make_model("gpt2"))
    assert anatomy.checked_layers([2, 0]) == (0, 2)
    for layers, message in [([3], "layers 0 to 2"), ([-1], "out of range"), ([], "no layer"), ([1, 1], "twice")]:
        with pytest.raises(ConfigError, match=message):
            anatomy.checked_layers(layers)


def test_looking_leaves_no_trace(make_model: Any) -> None:
    model = make_model("gptj")
    ids = torch.arange(5)[None]
    before = model(input_ids=ids).logits
    dissect(model)
    assert torch.equal(model(input_ids=ids).logits, before)
    assert not any(module._forward_hooks for module in model.modules())
