"""MEMIT: many edits spread over several layers by least squares against the keys the model uses.

    U = R Kᵀ (λ C + K Kᵀ)⁻¹,   λ = mom2_update_weight

C is the second moment of the *unedited* model; sequential batches do not protect one another.
Source: Meng et al., arXiv:2210.07229, equation 14.
"""

from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor

from eval.editors.errors import ConfigError
from eval.editors.locate import LocateConfig, LocateEditor
from eval.editors.published import published_for
from eval.editors.solvers import Preserved, least_squares_update


@dataclass(frozen=True, slots=True, kw_only=True)
class MemitConfig(LocateConfig):
    """Published settings by model: ``MemitConfig.published(model)``."""

    mom2_update_weight: float = 15_000.0
    """λ: how much the preserved keys weigh."""

    @classmethod
    def published(cls, model: Any) -> Self:
        row = published_for(model)
        return cls(layers=row.layers, mom2_update_weight=row.mom2_update_weight, **row.values)

    def __post_init__(self) -> None:
        LocateConfig.__post_init__(self)
        if self.mom2_update_weight <= 0:
            raise ConfigError(f"mom2_update_weight must be positive, got {self.mom2_update_weight}")


class Memit(LocateEditor):
    """See the module."""

    def __init__(self, model: Any, tokenizer: Any, config: MemitConfig, moments: Any, **options: Any) -> None:
        super().__init__(model, tokenizer, config, moments, **options)
        self.config = config
        self._preserved = {la: Preserved(self.moments[la], config.mom2_update_weight) for la in self.layers}

    def solve(self, layer: int, keys: Tensor, residuals: Tensor) -> Tensor:
        return least_squares_update(self._preserved[layer], keys, residuals)
