"""EMMET: a batch as one equality-constrained update, the batch form of ROME.

    U = R (Kᵀ C_b⁻¹ K + ε I)⁻¹ Kᵀ C_b⁻¹,   C_b = λ C + μ I

ε = ``emmet_lambda`` for more than one edit, else 0; with ε = 0 every key maps exactly and λ cancels out.
Source: Gupta et al., arXiv:2403.14236.
"""

from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor

from eval.editors.errors import ConfigError
from eval.editors.locate import LocateEditor
from eval.editors.memit import MemitConfig
from eval.editors.published import published_for
from eval.editors.solvers import Preserved, equality_update


@dataclass(frozen=True, slots=True, kw_only=True)
class EmmetConfig(MemitConfig):
    """Published settings by model: ``EmmetConfig.published(model)``."""

    emmet_lambda: float = 0.1
    """ε: how far the equality may be missed in a batch."""
    update_norm_lambda: float = 0.0
    """μ: a ridge on the preserved keys."""

    @classmethod
    def published(cls, model: Any) -> Self:
        row = published_for(model)
        weight = {"gpt2": 1_000.0, "gptj": 1.0}.get(model.config.model_type, 10_000.0)
        return cls(layers=(row.single_layer,), mom2_update_weight=weight, **{**row.values, "clamp_norm_factor": 4.0})

    def __post_init__(self) -> None:
        MemitConfig.__post_init__(self)
        for name in ("emmet_lambda", "update_norm_lambda"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must not be negative, got {getattr(self, name)}")


class Emmet(LocateEditor):
    """See the module."""

    def __init__(self, model: Any, tokenizer: Any, config: EmmetConfig, moments: Any, **options: Any) -> None:
        super().__init__(model, tokenizer, config, moments, **options)
        self.config = config
        self._preserved = {
            la: Preserved(self.moments[la], config.mom2_update_weight, config.update_norm_lambda) for la in self.layers
        }

    def solve(self, layer: int, keys: Tensor, residuals: Tensor) -> Tensor:
        ridge = self.config.emmet_lambda if keys.shape[1] > 1 else 0.0
        return equality_update(self._preserved[layer], keys, residuals, ridge)
