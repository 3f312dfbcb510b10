"""How does LightEdit answer? Selected facts in front of the question, and against the model's own first thought.

What a model would say without the facts pulls at the first token it says with them. So that first token, and it alone,
is chosen from

    log p(token | facts, question) − α · log p(token | question),   α = 0.2

and greedy decoding goes on behind it. Where no fact is selected nothing is touched. What differs: the published
selector is an XLM-RoBERTa cross-encoder trained on a thousand pairs, behind a dense retriever's five best; here scr's
own recall and pair classifier select, so that this method and ``scr`` differ in the decoding alone. Teacher-forced
figures are read without the correction, which belongs to decoding.

Source: arXiv:2604.19089 (known to us from notes on it only).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from eval.methods import Bench, Retrieved
from memory_store.errors import ConfigError
from scr.language_model import end_token_ids
from scr.prompting import facts_block
from scr.protocols import Answer

if TYPE_CHECKING:
    from scr.edited_model import EditedModel

ALPHA = 0.2
"""Published."""


class LightEdit(Retrieved):
    """``lightedit``; see the module."""

    def __init__(self, bench: Bench, edited: EditedModel, *, alpha: float = ALPHA) -> None:
        """
        Raises:
            ConfigError: ``alpha`` is negative.
        """
        if alpha < 0:
            raise ConfigError(f"alpha must not be negative, got {alpha}")
        super().__init__(bench, edited)
        self.alpha = alpha

    def answer(self, prompts: Sequence[str]) -> list[Answer]:
        answers = super().answer(prompts)
        tokens = self.edited.turns.special_tokens
        for index, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
            if answer.route == "context":
                block = facts_block([judged.edit.statement for judged in answer.used], tokens)
                answers[index] = replace(answer, text=self._corrected(block + prompt, prompt))
        return answers

    def _corrected(self, shown: str, bare: str) -> str:
        model, ids_of = self.bench.language_model, self.bench.language_model.prompt_ids
        row = ids_of(self.bench.asked(shown))
        first = corrected(self._next(row), self._next(ids_of(self.bench.asked(bare))), self.alpha)
        said = [first]
        if first in end_token_ids(self.bench.model, self.bench.tokenizer):
            return ""
        if self.bench.max_new_tokens > 1:
            said += model.continue_rows([[*row, first]], max_new_tokens=self.bench.max_new_tokens - 1)[0]
        return str(self.bench.tokenizer.decode(said, skip_special_tokens=True)).strip()

    def _next(self, row: Sequence[int]) -> Tensor:
        """Logits of the token after a row, shape (vocabulary,)."""
        ids = torch.tensor([list(row)], device=self.bench.model.device)
        with torch.inference_mode():
            return self.bench.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, -1].float()


def corrected(shown: Tensor, bare: Tensor, alpha: float) -> int:
    """The token to say first, from the logits with and without the facts, both of shape (vocabulary,).

    >>> with_facts, without = torch.tensor([0.0, 0.1, -9.0]), torch.tensor([0.0, 1.0, -9.0])
    >>> corrected(with_facts, without, 0.0), corrected(with_facts, without, 0.2)
    (1, 0)
    """
    return int((shown.log_softmax(-1) - alpha * bare.log_softmax(-1)).argmax())


__all__ = ["ALPHA", "LightEdit", "corrected"]
