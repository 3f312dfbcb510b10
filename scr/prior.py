"""What if the model's first thought wins over the fact it reads? Two ways to hold its prior down, both off by default.

``share`` subtracts a share of the log-probabilities that the model gives the first answer token without the facts
(LightEdit: 0.2; later tokens are left alone, which is published to be better). ``candidates`` lets the answer be one of
the governing edits' own short answers or what the model says by itself, whichever the facts make more probable; it
is for questions about the fact itself and wrong for yes-or-no ones. Neither touches a question that no edit governs.

Source: LightEdit, arXiv:2604.19089 (known to us from notes on it only).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memory_store.errors import ConfigError
from scr.language_model import end_token_ids

if TYPE_CHECKING:
    from torch import Tensor

    from scr.language_model import HFLanguageModel

SHORT = 12
"""Tokens of an answer that can be a candidate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prior:
    """How much the model's answer without the facts counts against its answer with them."""

    share: float = 0.0
    """Of the log-probabilities without the facts, subtracted; LightEdit's is 0.2."""
    candidates: bool = False
    """Whether the answer is chosen among the stored answers and the model's own, not written freely."""

    def __post_init__(self) -> None:
        if self.share < 0:
            raise ConfigError(f"the prior's share must not be negative, got {self.share}")

    @property
    def active(self) -> bool:
        return self.share > 0 or self.candidates


def corrected(shown: Tensor, bare: Tensor, share: float) -> int:
    """The token to say first, from the logits with and without the facts, both of shape (vocabulary,).

    >>> import torch
    >>> with_facts, without = torch.tensor([0.0, 0.1, -9.0]), torch.tensor([0.0, 1.0, -9.0])
    >>> corrected(with_facts, without, 0.0), corrected(with_facts, without, 0.2)
    (1, 0)
    """
    return int((shown.log_softmax(-1) - share * bare.log_softmax(-1)).argmax())


def continued_against(
    model: HFLanguageModel, shown: Sequence[int], bare: Sequence[int], share: float, options: Mapping[str, Any]
) -> list[int]:
    """New token ids after ``shown``, the first one chosen against what would follow ``bare``; as ``continue_rows``."""
    first = corrected(next_logits(model, shown), next_logits(model, bare), share)
    if first in end_token_ids(model.model, model.tokenizer):
        return []
    room = int(options.get("max_new_tokens") or 1) - 1
    if room < 1:
        return [first]
    return [first, *model.continue_rows([[*shown, first]], **{**options, "max_new_tokens": room})[0]]


def best_candidate(
    model: HFLanguageModel, shown: Sequence[int], bare: Sequence[int], share: float, answers: Sequence[Sequence[int]]
) -> int:
    """Index of the answer (token ids) with the highest mean log-probability after ``shown``, less ``share`` of that
    after ``bare``; the earlier one of equals.

    Raises:
        ConfigError: there is no answer, or an empty one.
    """
    if not answers or not all(answers):
        raise ConfigError("nothing to choose from: wanted at least one answer, and none empty")
    scores = [mean_log_p(model, shown, ids) - share * mean_log_p(model, bare, ids) for ids in answers]
    return max(range(len(scores)), key=lambda i: scores[i])


def next_logits(model: HFLanguageModel, row: Sequence[int]) -> Tensor:
    """Logits of the token after a row, shape (vocabulary,)."""
    return _logits(model, row)[-1]


def mean_log_p(model: HFLanguageModel, row: Sequence[int], answer: Sequence[int]) -> float:
    """Mean log-probability (nats) of an answer's tokens after a row."""
    import torch

    scores = _logits(model, [*row, *answer])[len(row) - 1 : -1].log_softmax(-1)  # (answer, vocabulary)
    return float(scores.gather(-1, torch.tensor(list(answer), device=scores.device)[:, None]).mean())


def _logits(model: HFLanguageModel, row: Sequence[int]) -> Tensor:
    import torch

    ids = torch.tensor([list(row)], device=model.model.device)
    with torch.inference_mode():
        return model.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0].float()


__all__ = ["SHORT", "Prior", "best_candidate", "continued_against", "corrected", "mean_log_p", "next_logits"]
