"""CoME: MEMIT with values from which the old answer is taken out.

δ is optimised towards the new answer, δ' towards the old one in half the steps. With c the unit vector along
δ/‖δ‖ + δ'/‖δ'‖ and π = (δ'·c) c what both share, on the largest ``p`` of the (signed) entries of h₀ + δ:

    z = h₀ + δ − a δ' + π

elsewhere z = h₀ + δ. The paper writes a (δ' − π); ``scaled_common=True`` gives that, the default is the published code.
δ' = 0 (the old answer is certain already) takes nothing out. Source: Jung et al., arXiv:2502.15826.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from eval.editors.errors import ConfigError
from eval.editors.memit import Memit, MemitConfig
from eval.editors.subjects import Request
from eval.editors.values import ValueSettings, optimised_values


@dataclass(frozen=True, slots=True, kw_only=True)
class ComeConfig(MemitConfig):
    """Published settings by model: ``ComeConfig.published(model)``."""

    a: float = 0.1
    """How much of the old answer's direction is taken out."""
    p: float = 0.2
    """Share of the entries that are touched."""
    spaced_old: bool = False
    """Put a space before the old answer, as before the new one. The published code does not; the old answer then is an
    unlikely string and δ' is not zero; with the space a fact the model is sure of takes nothing out."""
    scaled_common: bool = False
    """The paper's form, a (δ' − π)."""

    def __post_init__(self) -> None:
        MemitConfig.__post_init__(self)
        if not 0 < self.p < 1:
            raise ConfigError(f"p must be in (0, 1), got {self.p}")


class Come(Memit):
    """See the module."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        config: ComeConfig,
        moments: Any,
        *,
        old_answers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> None:
        """``old_answers`` tells by edit_id what edits replace; for others the model is asked, for as many tokens as the
        new answer has."""
        super().__init__(model, tokenizer, config, moments, **options)
        self.come = config
        self._old_answers = dict(old_answers or {})
        self._half = ValueSettings(
            v_lr=config.v_lr,
            # The published loop of half the length also steps in its last round: one evaluation more in our count.
            v_num_grad_steps=config.v_num_grad_steps // 2 + 1,
            v_weight_decay=config.v_weight_decay,
            clamp_norm_factor=config.clamp_norm_factor,
            kl_factor=config.kl_factor,
        )

    def values(self, batch: Sequence[Request]) -> Tensor:
        new = self.optimised(batch)
        former = [replace(request, target=self._old_tokens(request)) for request in batch]
        old = optimised_values(
            self.anatomy,
            former,
            self.layers[-1],
            self._half,
            tokens=[len(request.target) for request in batch],  # divided by the new answer's length, as published
            batch_size=self.come.batch_size,
        )
        config = self.come
        return without_old(new.initial, new.deltas, old.deltas, config.a, config.p, config.scaled_common)

    def _old_tokens(self, request: Request) -> tuple[int, ...]:
        old = self._old_answers.get(request.edit.edit_id, "").strip()
        if not old:
            row = list(request.prompts[0].ids)
            ids = self.language_model.continue_rows([row], max_new_tokens=len(request.target))[0]
            old = self.tokenizer.decode(ids).strip()
        if not old:
            return request.target  # the model says nothing: there is nothing to take out
        if self.come.spaced_old or self.form.ends:
            return self.form.answer_ids(self.tokenizer, request.edit.prompt, old)
        return tuple(self.tokenizer(old, add_special_tokens=False)["input_ids"])


def without_old(initial: Tensor, new: Tensor, old: Tensor, a: float, p: float, scaled_common: bool = False) -> Tensor:
    """z from h₀, δ and δ', all of shape (edits, d_model)."""
    unit_new = torch.nn.functional.normalize(new, dim=1)
    unit_old = torch.nn.functional.normalize(old, dim=1)
    common = torch.nn.functional.normalize(unit_new + unit_old, dim=1)
    shared = (old * common).sum(1, keepdim=True) * common
    target = initial + new
    threshold = target.kthvalue(int((1 - p) * target.shape[1]), dim=1, keepdim=True).values
    removed = a * (old - shared) if scaled_common else a * old - shared
    return torch.where(target >= threshold, target - removed, target)
