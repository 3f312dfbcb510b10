"""Which settings did the papers use? By model family, for the editors' default configurations.

Rows are (layers, clamp_norm_factor, v_lr, v_num_grad_steps, v_weight_decay, mom2_update_weight). Sources: the
configurations published with MEMIT (arXiv:2210.07229), AlphaEdit (arXiv:2410.02355) and, for Qwen2.5 and Llama 2,
EasyEdit (arXiv:2308.07269). A model of another family or depth gets its family's nearest row with the layers scaled
to its depth.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Published:
    """One row of the published configurations."""

    layers: tuple[int, ...]
    depth: int
    """Blocks of the model that the row was published for."""
    clamp_norm_factor: float
    v_lr: float
    v_num_grad_steps: int
    v_weight_decay: float
    mom2_update_weight: float
    single_layer: int
    """What the one-layer editors (ROME, EMMET) use."""

    @property
    def values(self) -> dict[str, Any]:
        """The fields of ``ValueSettings`` that the row fixes."""
        return {
            "v_lr": self.v_lr,
            "v_num_grad_steps": self.v_num_grad_steps,
            "v_weight_decay": self.v_weight_decay,
            "clamp_norm_factor": self.clamp_norm_factor,
        }


GPT2_XL = Published((13, 14, 15, 16, 17), 48, 0.75, 0.5, 20, 0.5, 20_000, 17)
GPT_J = Published((3, 4, 5, 6, 7, 8), 28, 0.75, 0.5, 25, 0.5, 15_000, 5)
LLAMA3_8B = Published((4, 5, 6, 7, 8), 32, 0.75, 0.1, 25, 0.5, 15_000, 5)
LLAMA2_7B = Published((4, 5, 6, 7, 8), 32, 4.0, 0.5, 25, 1e-3, 15_000, 5)
QWEN25_7B = Published((4, 5, 6, 7, 8), 28, 4.0, 0.5, 25, 1e-3, 15_000, 5)


def published_for(model: Any) -> Published:
    """The row for a model, its layers scaled to the model's depth."""
    config = model.config
    kind = config.model_type
    depth = config.num_hidden_layers
    if kind == "gpt2":
        row = GPT2_XL
    elif kind in ("gptj", "gpt_neox", "phi", "opt"):
        row = GPT_J
    elif kind.startswith("qwen"):
        row = QWEN25_7B
    elif kind == "llama" and getattr(config, "vocab_size", 0) <= 32_768:
        row = LLAMA2_7B
    else:
        row = LLAMA3_8B
    if depth == row.depth:
        return row

    def scaled(layer: int) -> int:
        return min(depth - 1, round(layer * depth / row.depth))

    return Published(
        layers=tuple(sorted({scaled(layer) for layer in row.layers})),
        depth=depth,
        clamp_norm_factor=row.clamp_norm_factor,
        v_lr=row.v_lr,
        v_num_grad_steps=row.v_num_grad_steps,
        v_weight_decay=row.v_weight_decay,
        mom2_update_weight=row.mom2_update_weight,
        single_layer=scaled(row.single_layer),
    )
