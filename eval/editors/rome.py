"""ROME: one edit as one rank-one update of one layer.

    W ← W + (v* − W k*) uᵀ / (k*ᵀ u),   u = C⁻¹ k* / ‖C⁻¹ k*‖

k* is the key averaged over all context templates, each alike; v* is optimised at the MLP's output. The published code
averages the key for u but measures the numerator and the denominator on the bare prompt, which explodes for subjects at
the start of a sentence; here the averaged key is used everywhere (R-ROME, C-ROME). ``original=True`` gives the
published form. Sources: Meng et al., arXiv:2202.05262; Gupta et al., arXiv:2403.07175.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from eval.editors.base import WeightEditor
from eval.editors.errors import NumericalError
from eval.editors.keys import KeyTape
from eval.editors.moments import SecondMoment, checked_moments
from eval.editors.published import published_for
from eval.editors.solvers import cholesky
from eval.editors.subjects import Request, Templates, flat_templates, requests
from eval.editors.templates import sampled_templates
from eval.editors.values import ValueSettings, optimised_values
from memory_store.edit import Edit


@dataclass(frozen=True, slots=True, kw_only=True)
class RomeConfig(ValueSettings):
    """Published settings by model: ``RomeConfig.published(model)``."""

    layer: int
    """Block to edit."""
    clamp_norm_factor: float = 4.0
    original: bool = False
    """Numerator and denominator on the bare prompt, as in the published code."""
    mom2_adjustment: bool = True
    """False takes C = I, as EasyEdit's settings for ROME do: nothing spares the keys of other texts."""
    seed: int = 0
    """Of the context templates, where none are given."""

    @classmethod
    def published(cls, model: Any) -> "RomeConfig":
        row = published_for(model)
        llama = model.config.model_type not in ("gpt2", "gptj", "gpt_neox", "phi", "opt")
        return cls(layer=row.single_layer, v_num_grad_steps=25 if llama else 20, v_weight_decay=1e-3 if llama else 0.5)

    def __post_init__(self) -> None:
        ValueSettings.__post_init__(self)


class Rome(WeightEditor):
    """See the module. A batch is written one edit after the other."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        config: RomeConfig,
        moments: Mapping[int, SecondMoment | Tensor],
        *,
        templates: Templates | None = None,
        **options: Any,
    ) -> None:
        super().__init__(model, tokenizer, **options)
        self.config = config
        (layer,) = self.anatomy.checked_layers([config.layer])
        moment = checked_moments(self.anatomy, moments, [layer])[layer]
        if not config.mom2_adjustment:
            moment = torch.eye(len(moment), device=moment.device)
        self._factor = cholesky(moment.double(), f"the second moment of layer {layer}")
        given = templates if templates is not None else sampled_templates(model, tokenizer, seed=config.seed)
        # One flat group: here all contexts count alike.
        self.templates: Templates = [flat_templates(given)]

    def write_batch(self, edits: Sequence[Edit]) -> None:
        projection = self.anatomy.projections[self.config.layer]
        for request in requests(self.tokenizer, edits, self.templates, self.form):
            left, right = self.vectors(request)
            self.write_change(projection.parameter_name, projection.oriented(torch.outer(right, left)))

    def vectors(self, request: Request) -> tuple[Tensor, Tensor]:
        """u (d_key,) and the right vector (d_model,) of an edit, float64; the update is right uᵀ.

        Raises:
            NumericalError: the key does not touch u, or a loss is not finite.
        """
        layer = self.config.layer
        projection = self.anatomy.projections[layer]
        rows = KeyTape(self.anatomy, [request], self.templates, layer).row_keys(layer).double()  # (templates, d_key)
        mean = rows.mean(0)
        left = torch.cholesky_solve(mean[:, None], self._factor)[:, 0]
        left = left / left.norm()
        key = rows[0] if self.config.original else mean
        target = optimised_values(self.anatomy, [request], layer, self.config, at="mlp").targets[0].double()
        current = projection.oriented(projection.weight).detach().double() @ key
        bias = getattr(projection.module, "bias", None)
        if bias is not None:
            current = current + bias.detach().double()
        overlap = key @ left
        if not float(overlap.abs()) > 1e-12 * float(key.norm()):
            raise NumericalError(
                f"the key of {request.edit.prompt!r} vanishes along C⁻¹ k; the rank-one update has no size"
            )
        return left, (target - current) / overlap
