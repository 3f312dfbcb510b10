"""AlphaEdit: updates that live in the null space of the keys the model uses, and leave former edits alone.

    U = R Kᵀ P (K Kᵀ P + K_p K_pᵀ P + L2 I)⁻¹

P projects onto the directions of the second moment below ``nullspace_threshold`` (absolute); K_p are the keys of all
former batches. The published code accumulates keys measured again after a batch was written; they are those of the
solve, since a layer's keys depend on lower layers only, and those were written before. Its L2 is 10 for GPT models and
Llama 3, the paper has 1. Source: Fang et al., arXiv:2410.02355.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor

from eval.editors.errors import ConfigError
from eval.editors.locate import LocateConfig, LocateEditor
from eval.editors.published import published_for
from eval.editors.solvers import NullSpaceSolver, null_space_basis


@dataclass(frozen=True, slots=True, kw_only=True)
class AlphaEditConfig(LocateConfig):
    """Published settings by model: ``AlphaEditConfig.published(model)``."""

    nullspace_threshold: float = 2e-2
    """Eigenvalues of the second moment below this are free to use; absolute."""
    L2: float = 10.0
    """Weight of the update's own size."""

    @classmethod
    def published(cls, model: Any) -> Self:
        row = published_for(model)
        return cls(
            layers=row.layers,
            **row.values,
            L2=1.0 if model.config.model_type.startswith("qwen") else 10.0,
        )

    def __post_init__(self) -> None:
        LocateConfig.__post_init__(self)
        for name in ("nullspace_threshold", "L2"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be positive, got {getattr(self, name)}")


class AlphaEdit(LocateEditor):
    """See the module."""

    def __init__(self, model: Any, tokenizer: Any, config: AlphaEditConfig, moments: Any, **options: Any) -> None:
        super().__init__(model, tokenizer, config, moments, **options)
        self.config = config
        bases = {la: null_space_basis(self.moments[la], config.nullspace_threshold) for la in self.layers}
        self._solvers = {la: NullSpaceSolver(basis, config.L2) for la, basis in bases.items()}
        self._fresh = self._state()

    @property
    def ranks(self) -> dict[int, int]:
        """Dimension of the null space, by layer."""
        return {layer: solver.basis.shape[1] for layer, solver in self._solvers.items()}

    def solve(self, layer: int, keys: Tensor, residuals: Tensor) -> Tensor:
        return self._solvers[layer].update(keys, residuals)

    def written(self, layer: int, keys: Tensor) -> None:
        self._solvers[layer].remember(keys.T)

    def _state(self) -> Mapping[str, Tensor]:
        kept = {}
        for layer, solver in getattr(self, "_solvers", {}).items():
            kept[f"keys.{layer}"] = solver.before
            if solver.gram is not None:
                kept[f"gram.{layer}"] = solver.gram
        return kept

    def _set_state(self, state: Mapping[str, Tensor]) -> None:
        for layer, solver in self._solvers.items():
            solver.before, solver.gram = state[f"keys.{layer}"], state.get(f"gram.{layer}")
