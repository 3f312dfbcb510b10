"""PRUNE: after all edits, hold back the singular values of the change that exceed those of the weight.

    σ' = log_b σ − log_b σ₀ + σ₀   for σ ≥ σ₀ = σ_max(W₀),  else σ' = σ

on the SVD of Δ = W − W₀; ``reduce="linear"`` is (σ + σ₀)/2. The published code takes the natural logarithm by default,
the paper base 1.2. A reimplementation inside AlphaEdit's repository adds the reduced change to weights that hold the
full one already; this does not. Source: Ma et al., arXiv:2405.16821.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from eval.editors.base import WeightEditor
from eval.editors.errors import ConfigError, NumericalError
from eval.editors.wrapped import WrappedEditor
from memory_store.edit import Edit, PutResult

Reduce = Literal["log", "log2", "log1_5", "log1_2", "linear"]
BASES: dict[str, float] = {"log": math.e, "log2": 2.0, "log1_5": 1.5, "log1_2": 1.2}


def reduced(delta: Tensor, weight: Tensor, reduce: Reduce = "log") -> Tensor:
    """``delta`` with its large singular values held back; float32, the same shape.

    Args:
        delta: the whole change, shape (rows, columns).
        weight: the unedited weight, the same shape.

    Raises:
        ConfigError: ``reduce`` is unknown.
        NumericalError: the change has no SVD.
    """
    if reduce != "linear" and reduce not in BASES:
        raise ConfigError(f"reduce must be one of {[*BASES, 'linear']}, got {reduce!r}")
    border = torch.linalg.matrix_norm(weight.double(), ord=2)
    try:
        left, sigma, right = torch.linalg.svd(delta.double(), full_matrices=False)
    except RuntimeError as error:
        raise NumericalError(f"the change has no singular value decomposition: {error}") from error
    if not bool((sigma > border).any()):
        return delta.clone()
    if reduce == "linear":
        held = (sigma + border) / 2
    else:
        held = (sigma.log() - border.log()) / math.log(BASES[reduce]) + border
    return ((left * torch.where(sigma >= border, held, sigma)) @ right).to(delta.dtype)


class Prune(WrappedEditor):
    """A host editor whose whole change is held back.

    The host goes on from its own full change at the next batch, as in the published procedure, which prunes once at the
    end; the model answers with the pruned one in between.
    """

    def __init__(self, host: WeightEditor, *, reduce: Reduce = "log") -> None:
        """Raises: ConfigError: ``reduce`` is unknown."""
        if reduce != "linear" and reduce not in BASES:
            raise ConfigError(f"reduce must be one of {[*BASES, 'linear']}, got {reduce!r}")
        super().__init__(host)
        self.reduce: Reduce = reduce
        self._full: dict[str, Tensor] = {}

    def edit(self, edits: Sequence[Edit]) -> list[PutResult]:
        self.host.weights.rollback(self._full)
        try:
            return self.host.edit(edits)
        finally:
            self._prune()

    def forget(self, edit_ids: Sequence[str]) -> None:
        self.host.weights.rollback(self._full)
        try:
            self.host.forget(edit_ids)
        finally:
            self._prune()

    def singular_values(self) -> dict[str, dict[str, float]]:
        """By parameter, the largest singular value of the unedited weight, of the whole change and of the pruned one.

        They explain the method: what exceeds the weight's own is all but cut down to it.
        """
        weights = self.host.weights
        return {
            name: {
                "weight": _sigma_max(weights.original(name)),
                "change": _sigma_max(delta),
                "pruned": _sigma_max(weights.deltas[name]),
            }
            for name, delta in self._full.items()
            if delta.dim() == 2
        }

    @property
    def full_deltas(self) -> Mapping[str, Tensor]:
        return self._full

    def resume(
        self, batches: Sequence[Sequence[Edit]], deltas: Mapping[str, Tensor], state: Mapping[str, Tensor]
    ) -> None:
        super().resume(batches, deltas, state)
        self._prune()

    def restore(self) -> None:
        self.host.restore()
        self._full = {}

    def _prune(self) -> None:
        weights = self.host.weights
        self._full = weights.snapshot()
        weights.replace(
            {
                name: reduced(delta, weights.original(name), self.reduce) if delta.dim() == 2 else delta
                for name, delta in self._full.items()
            }
        )


def _sigma_max(matrix: Tensor) -> float:
    return float(torch.linalg.matrix_norm(matrix.double(), ord=2))
