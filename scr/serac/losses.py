"""What is minimised, and how do two models' answers mix? SERAC's formulas, on log-probabilities in nats.

Source: SERAC, arXiv:2206.06520, and its published code.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from memory_store.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

C_EDIT, C_LOC = 0.1, 1.0
"""Published weights of the two losses where they are summed."""
THRESHOLD = math.log(2)
"""The squared distance at which an edit is as likely in scope as not, at scale 1."""
_FLOOR = 1e-6


def probability(squared_distance: Tensor, scale: float = 1.0) -> Tensor:
    """exp(-scale · ‖a - b‖²), in (0, 1]: above a half exactly where scale · ‖a - b‖² < ln 2.

    >>> import torch
    >>> [round(p, 3) for p in probability(torch.tensor([0.0, THRESHOLD, 2 * THRESHOLD])).tolist()]
    [1.0, 0.5, 0.25]
    """
    return (-scale * squared_distance).exp()


def answer_loss(log_probabilities: Tensor, learn: Tensor) -> Tensor:
    """Negative log-likelihood of the answers' tokens, their mean.

    Args:
        log_probabilities: of each token that stands there, shape (rows, length).
        learn: true where a token belongs to an answer, the same shape.

    Raises:
        ConfigError: no token belongs to an answer.
    """
    if not bool(learn.any()):
        raise ConfigError("the batch holds no answer to learn; give examples whose queries have answers")
    return -log_probabilities[learn].mean()


def scope_loss(inside: Tensor, outside: Tensor) -> Tensor:
    """Balanced binary cross entropy: the mean of -log p over queries in scope, plus of -log(1 - p) over the others.

    Args:
        inside, outside: probabilities that the edit governs, of queries that it does and does not; either may be empty.
    """
    loss = inside.new_zeros(())
    if inside.numel():
        loss = loss - inside.clamp_min(_FLOOR).log().mean()
    if outside.numel():
        loss = loss - (1 - outside).clamp_min(_FLOOR).log().mean()
    return loss


def serac_loss(answers: Tensor, scope: Tensor, c_edit: float = C_EDIT, c_loc: float = C_LOC) -> Tensor:
    """Both parts' loss in one number, as published; apart they train alike, for they share no weights."""
    return c_edit * answers + c_loc * scope


def mixed(p: float, counterfactual: Tensor, base: Tensor) -> Tensor:
    """log(p · P_counterfactual + (1 - p) · P_base), the soft mixture of two models with one vocabulary.

    Args:
        p: that the edit governs, in [0, 1].
        counterfactual, base: log-probabilities, the vocabulary last.

    Raises:
        ConfigError: ``p`` is no probability, or the vocabularies differ.
    """
    import torch

    if not 0 <= p <= 1:
        raise ConfigError(f"a mixture needs a probability, got {p}")
    if counterfactual.shape[-1] != base.shape[-1]:
        raise ConfigError(
            f"the counterfactual model knows {counterfactual.shape[-1]} tokens and the base {base.shape[-1]}; "
            "a soft mixture needs one tokenizer for both, so choose a counterfactual model of the base's family"
        )
    if p in (0, 1):
        return counterfactual if p else base
    return torch.logaddexp(counterfactual + math.log(p), base + math.log1p(-p))


__all__ = ["C_EDIT", "C_LOC", "THRESHOLD", "answer_loss", "mixed", "probability", "scope_loss", "serac_loss"]
