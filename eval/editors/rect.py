"""RECT: of every change keep only the entries that are large relative to the weight.

    Δ' = Δ where |Δ / W| is among the largest ``keep`` of its matrix, else 0

applied to every matrix after every batch of a host editor, W being the weight before the batch: the host's layers are
solved with whole changes, as published. ``keep`` is 0.4 in AlphaEdit's repository and in the paper's best setting; the
authors' own repository keeps 0.2 in one place.
Source: Gu et al., arXiv:2401.04700.
"""

from typing import Any

import torch
from torch import Tensor

from eval.editors.base import WeightEditor
from eval.editors.errors import ConfigError
from eval.editors.wrapped import WrappedEditor


def largest_relative(delta: Tensor, weight: Tensor, keep: float, *, keep_border: bool = False) -> Tensor:
    """``delta`` with all but the relatively largest entries set to zero.

    Args:
        delta: the change, any shape.
        weight: what it is added to, the same shape.
        keep: share of the entries that stay, in (0, 1]; ties with the smallest of them stay too.
        keep_border: also keep the largest entry that would go, as AlphaEdit's repository does.

    Raises:
        ConfigError: ``keep`` is out of range.
    """
    if not 0 < keep <= 1:
        raise ConfigError(f"keep must be in (0, 1], got {keep}")
    relative = (delta / (weight.to(delta.dtype) + 1e-8)).abs()
    zeroed = int((1 - keep) * delta.numel())
    if zeroed == 0:
        return delta
    border = relative.flatten().kthvalue(zeroed if keep_border else zeroed + 1).values
    return torch.where(relative >= border, delta, torch.zeros_like(delta))


class Rect(WrappedEditor):
    """A host editor whose changes are thinned out after each batch."""

    def __init__(self, host: WeightEditor, *, keep: float = 0.4, keep_border: bool = True) -> None:
        """``keep``, ``keep_border``: as in ``largest_relative``; the defaults are those of AlphaEdit's repository.

        Raises:
            ConfigError: out of range.
        """
        if not 0 < keep <= 1:
            raise ConfigError(f"keep must be in (0, 1], got {keep}")
        super().__init__(host)

        def thinned(_name: str, delta: Tensor, weight: Any) -> Tensor:
            return largest_relative(delta, weight, keep, keep_border=keep_border)

        host.adjust = thinned
