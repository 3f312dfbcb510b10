"""What do the locate-then-edit methods share? Values once, then layer by layer: keys, residual, solve, write.

For edited layers l₁ < … < lₙ the values are optimised at lₙ. At lᵢ the residual that is left, z − h(lₙ) as the model is
now, is divided by n − i + 1 layers; keys and residual are measured again after each write. Methods differ in the solve.
Source: MEMIT, arXiv:2210.07229.
"""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from eval.editors.base import WeightEditor
from eval.editors.errors import ConfigError
from eval.editors.keys import KeyTape
from eval.editors.moments import SecondMoment, checked_moments
from eval.editors.subjects import Request, Templates, flat_templates, requests
from eval.editors.templates import sampled_templates
from eval.editors.values import Values, ValueSettings, optimised_values
from memory_store.edit import Edit


@dataclass(frozen=True, slots=True, kw_only=True)
class LocateConfig(ValueSettings):
    """Settings that all locate-then-edit methods share."""

    layers: tuple[int, ...]
    """Blocks to edit; values are optimised at the highest."""
    ends_only: bool = False
    """Edit only the first and the last of ``layers`` ("BLUE", arXiv:2502.03748)."""
    seed: int = 0
    """Of the context templates, where none are given."""
    batch_size: int | None = None
    """Edits whose values are optimised at once; None takes what memory allows."""

    def __post_init__(self) -> None:
        # The zero-argument form does not survive slots=True.
        ValueSettings.__post_init__(self)
        object.__setattr__(self, "layers", tuple(self.layers))

    @property
    def edited_layers(self) -> tuple[int, ...]:
        ordered = tuple(sorted(self.layers))
        return (ordered[0], ordered[-1]) if self.ends_only and len(ordered) > 2 else ordered


class LocateEditor(WeightEditor):
    """Base of MEMIT, AlphaEdit, EMMET, NSE and CoME."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        config: LocateConfig,
        moments: Mapping[int, SecondMoment | Tensor],
        *,
        templates: Templates | None = None,
        **options: Any,
    ) -> None:
        """
        Args:
            moments: layer → second moment of the unedited model's keys.
            templates: groups of context templates; None samples them from the model.
            options: of ``WeightEditor``.

        Raises:
            ConfigError: layers out of range; moments missing, or of another model.
        """
        super().__init__(model, tokenizer, **options)
        self.settings = config
        self.layers = self.anatomy.checked_layers(config.edited_layers)
        self.moments = checked_moments(self.anatomy, moments, self.layers)
        self.templates = templates if templates is not None else sampled_templates(model, tokenizer, seed=config.seed)
        flat_templates(self.templates)

    @abstractmethod
    def solve(self, layer: int, keys: Tensor, residuals: Tensor) -> Tensor:
        """U (d_model, d_key) for keys (d_key, n) and residuals (d_model, n)."""

    def values(self, batch: Sequence[Request]) -> Tensor:
        """z of each edit, shape (edits, d_model)."""
        return self.optimised(batch).targets

    def optimised(self, batch: Sequence[Request], **options: Any) -> Values:
        """Values at the last edited layer, by the method's settings."""
        return optimised_values(
            self.anatomy,
            batch,
            self.layers[-1],
            self.settings,
            batch_size=self.settings.batch_size,
            progress=self.progress,
            **options,
        )

    def write_batch(self, edits: Sequence[Edit]) -> None:
        batch = requests(self.tokenizer, edits, self.templates, self.form)
        self.write(batch, self.values(batch))

    def write(self, batch: Sequence[Request], targets: Tensor) -> None:
        """Write values (edits, d_model) layer by layer into ``self.weights``."""
        tape = KeyTape(self.anatomy, batch, self.templates, self.layers[0])
        for index, layer in enumerate(self.layers):
            keys = tape.keys(layer)  # (edits, d_key)
            residuals = (targets - tape.values(self.layers[-1])) / (len(self.layers) - index)
            update = self.solve(layer, keys.T, residuals.T)
            self.add_update(layer, update)
            self.written(layer, keys)

    def written(self, layer: int, keys: Tensor) -> None:
        """Called after a layer was written; its keys (edits, d_key) no longer change: only lower layers move them."""

    def add_update(self, layer: int, update: Tensor) -> None:
        """Add U (d_model, d_key) to the layer's projection."""
        projection = self.anatomy.projections[layer]
        if update.shape != (projection.d_model, projection.d_key):
            raise ConfigError(f"an update of shape {tuple(update.shape)} does not fit layer {layer}")
        self.write_change(projection.parameter_name, projection.oriented(update))
