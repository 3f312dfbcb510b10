"""NSE: values from the unedited model, only the neurons that fire most, and a second look at what did not take.

    U[:, S] = R K_Sᵀ (λ C[S, S] + C_p[S, S] + K_S K_Sᵀ)⁻¹

All values are optimised with the *original* weights ("rewinding"). A round keeps the edits with ``alpha`` < ‖z − h‖ <
``upper_bound`` (absolute norms), S are the neurons with the largest Σ|k| up to ``neuron_threshold`` of the total, and
C_p sums k kᵀ of former batches. As in the published code the last of ``max_iterations`` rounds only measures. Source:
Jiang et al., arXiv:2410.04045.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from eval.editors.errors import ConfigError
from eval.editors.keys import KeyTape
from eval.editors.locate import LocateEditor
from eval.editors.memit import MemitConfig
from eval.editors.published import published_for
from eval.editors.solvers import cholesky
from eval.editors.subjects import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class NseConfig(MemitConfig):
    """Published settings by model: ``NseConfig.published(model)``."""

    alpha: float = 2.5
    """An edit nearer to its value than this is done; unit of the hidden state."""
    upper_bound: float = 50.0
    """An edit farther from its value than this is given up."""
    max_iterations: int = 3
    """Rounds; the last one does not write."""
    neuron_threshold: float = 1.0
    """Share of Σ|k| that the chosen neurons make up; 1 takes all."""

    @classmethod
    def published(cls, model: Any) -> Self:
        row = published_for(model)
        alpha, upper, share = {"gpt2": (35.0, 150.0, 1.0), "gptj": (15.0, 100.0, 0.8)}.get(
            model.config.model_type, (2.5, 50.0, 1.0)
        )
        return cls(
            layers=row.layers,
            **row.values,
            mom2_update_weight=10_000.0 if model.config.model_type == "gpt2" else row.mom2_update_weight,
            alpha=alpha,
            upper_bound=upper,
            neuron_threshold=share,
        )

    def __post_init__(self) -> None:
        MemitConfig.__post_init__(self)
        if not 0 <= self.alpha < self.upper_bound:
            raise ConfigError(f"alpha must be in [0, upper_bound), got {self.alpha} and {self.upper_bound}")
        if self.max_iterations < 2:
            raise ConfigError(f"max_iterations below 2 never writes, got {self.max_iterations}")
        if not 0 < self.neuron_threshold <= 1:
            raise ConfigError(f"neuron_threshold must be in (0, 1], got {self.neuron_threshold}")


class Nse(LocateEditor):
    """See the module."""

    def __init__(self, model: Any, tokenizer: Any, config: NseConfig, moments: Any, **options: Any) -> None:
        super().__init__(model, tokenizer, config, moments, **options)
        self.config = config
        self._former = {
            la: torch.zeros_like(self.moments[la], dtype=torch.float64) for la in self.layers
        }  # Σ k kᵀ of former batches
        self._fresh = self._state()

    def values(self, batch: Sequence[Request]) -> Tensor:
        with self.weights.original_in_place():
            return super().values(batch)

    def write(self, batch: Sequence[Request], targets: Tensor) -> None:
        last = self.layers[-1]
        for _ in range(self.config.max_iterations - 1):
            tape = KeyTape(self.anatomy, batch, self.templates, self.layers[0])
            missing = (targets - tape.values(last)).norm(dim=1)
            kept = ((missing > self.config.alpha) & (missing < self.config.upper_bound)).nonzero()[:, 0].tolist()
            if not kept:
                break
            super().write([batch[i] for i in kept], targets[kept])
        tape = KeyTape(self.anatomy, batch, self.templates, self.layers[0])
        for layer in self.layers:
            keys = tape.keys(layer).double()  # (edits, d_key)
            self._former[layer] = self._former[layer] + keys.T @ keys

    def solve(self, layer: int, keys: Tensor, residuals: Tensor) -> Tensor:
        keys, residuals = keys.double(), residuals.double()
        chosen = strongest_neurons(keys, self.config.neuron_threshold)
        own = keys[chosen]  # (neurons, n)
        system = self.config.mom2_update_weight * self.moments[layer].double() + self._former[layer]
        factor = cholesky(system[chosen][:, chosen] + own @ own.T, "λ C + C_p + K Kᵀ")
        update = residuals.new_zeros(residuals.shape[0], keys.shape[0])
        update[:, chosen] = residuals @ torch.cholesky_solve(own, factor).T
        return update

    def _state(self) -> Mapping[str, Tensor]:
        return {f"former.{layer}": former for layer, former in getattr(self, "_former", {}).items()}

    def _set_state(self, state: Mapping[str, Tensor]) -> None:
        self._former = {layer: state[f"former.{layer}"] for layer in self.layers}


def strongest_neurons(keys: Tensor, share: float) -> Tensor:
    """Indices of the neurons with the largest Σ|k| whose sum stays within ``share`` of the total; keys (d_key, n)."""
    scores, order = keys.abs().sum(1).sort(descending=True)
    if share >= 1:
        return order
    chosen = order[scores.cumsum(0) <= share * scores.sum()]
    return chosen if len(chosen) else order[:1]
