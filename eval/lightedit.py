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

from eval.methods import Bench, Retrieved
from memory_store.errors import ConfigError
from scr.prior import continued_against
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
        rows = ids_of(self.bench.asked(shown)), ids_of(self.bench.asked(bare))
        said = continued_against(model, *rows, self.alpha, {"max_new_tokens": self.bench.max_new_tokens})
        return str(self.bench.tokenizer.decode(said, skip_special_tokens=True)).strip()


__all__ = ["ALPHA", "LightEdit"]
