"""How does SERAC answer? Where its scope decision fires, by the counterfactual model; elsewhere by the frozen one.

``serac`` asks scr's recall and the shipped pair classifier and answers with the shipped counterfactual model, so that
it differs from ``scr`` in who answers alone; ``serac:FILE`` with ``{"scope": FOLDER, "counterfactual": FOLDER}`` takes
what ``scr train`` made, SERAC's own classifier among them. ``scr-auto`` is the product's ``auto`` route. With
``"soft": true`` every question whose nearest edit has probability p is answered from the mixture
p · P_counterfactual + (1 - p) · P_base, which the published code uses without supervision; it needs one tokenizer for
both models.

Source: SERAC, arXiv:2206.06520.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from eval.methods import Bench, Retrieved, Scores
from memory_store.errors import ConfigError
from scr.counterfactual import HFCounterfactual
from scr.language_model import end_token_ids
from scr.prior import next_logits
from scr.protocols import Answer, Decision, Judged
from scr.serac.losses import mixed

if TYPE_CHECKING:
    from scr.edited_model import EditedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class SeracSettings:
    """What a settings file may hold."""

    scope: str | None = None
    """Folder of a classifier from ``scr train scope``; None is the shipped pair classifier."""
    counterfactual: str | None = None
    """Folder of a model from ``scr train counterfactual``; None is the shipped one."""
    soft: bool = False
    """Mix the two models' next-token probabilities instead of choosing one."""

    @classmethod
    def read(cls, text: str) -> SeracSettings:
        """From a JSON object; empty text is the defaults.

        Raises:
            ConfigError: it holds something else.
        """
        try:
            return cls(**json.loads(text or "{}"))
        except (TypeError, ValueError) as error:
            raise ConfigError(f"serac takes scope, counterfactual and soft, got {text}: {error}") from error


class Serac(Retrieved):
    """``serac``; see the module."""

    def __init__(self, bench: Bench, edited: EditedModel, *, soft: bool = False) -> None:
        super().__init__(bench, edited)
        self.soft = soft

    @property
    def counterfactual(self) -> HFCounterfactual:
        model = self.edited.editor.router.counterfactual
        assert isinstance(model, HFCounterfactual)
        return model

    def answer(self, prompts: Sequence[str]) -> list[Answer]:
        if not self.soft:
            return super().answer(prompts)
        answers = []
        for prompt, decision in zip(prompts, self.edited.decide(prompts), strict=True):
            nearest = next(iter((*decision.in_scope, *decision.near_misses)), None)
            text = self.bench.say([prompt])[0] if nearest is None else self._mixed(prompt, nearest)
            answers.append(self.edited.editor.to_answer(text, decision, route=_route(decision)))
        return answers

    def forced(self, pairs: Sequence[tuple[str, str]]) -> Scores:
        scores = super().forced(pairs)
        decisions = self.edited.decide([prompt for prompt, _ in pairs])
        for index, ((prompt, text), decision) in enumerate(zip(pairs, decisions, strict=True)):
            if self.edited.editor.router.route(decision) == "counterfactual":
                triple = (decision.in_scope[0].edit, prompt, text)
                (scores[index],) = self.counterfactual.log_likelihood([triple])
        return scores

    def _mixed(self, prompt: str, nearest: Judged) -> str:
        """Greedy from the mixture; each model continues its own text with the same new tokens."""
        base, other = self.bench.language_model, self.counterfactual.reader
        asked = list(base.prompt_ids(self.bench.asked(prompt)))
        edited = other.prompt_ids(self.counterfactual.text(nearest.edit, prompt))
        ends = {*end_token_ids(base.model, base.tokenizer)}
        said: list[int] = []
        for _ in range(self.bench.max_new_tokens):
            from_edit = _log_p(next_logits(other, [*edited, *said]))
            token = int(mixed(nearest.probability, from_edit, _log_p(next_logits(base, [*asked, *said]))).argmax())
            if token in ends:
                break
            said.append(token)
        return str(base.tokenizer.decode(said, skip_special_tokens=True)).strip()


def _log_p(logits: Tensor) -> Tensor:
    return logits.log_softmax(-1)


def _route(decision: Decision) -> Any:
    return "counterfactual" if decision.in_scope else None


__all__ = ["Serac", "SeracSettings"]
