"""Fine-tuning one output projection: FT-L, FT-M and LocFT-BF.

    minimise −mean over edits of mean over target tokens of log p(token | …)  by Adam on one layer's weight and bias

FT-L (``objective="prompt_last"``) reads *all* target tokens off the last prompt position, as in the code published with
ROME and MEMIT, and keeps every entry within ± ``norm_constraint``; this is why it fails on answers of several tokens.
FT-M (``objective="target_new"``) reads each token after the ones before it. Both train on a batch as it comes (depth
first). LocFT-BF (``breadth_first=True``) starts from the unedited weights at every batch and goes over *all* edits so
far in shuffled mini-batches, the end token appended to each answer.
Sources: Zhu et al., arXiv:2012.00363 (FT-L); Zhang et al., arXiv:2401.01286 (FT-M); arXiv:2509.22072 (LocFT-BF).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from eval.editors.base import WeightEditor
from eval.editors.errors import ConfigError
from eval.editors.lessons import ENOUGH, Lesson, Reads, finite, lesson, parts, reads
from eval.editors.published import published_for
from eval.editors.replay import Tape, record, replaced_forward
from memory_store.edit import Edit


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuneConfig:
    """Made by ``ft_l``, ``ft_m`` or ``locft_bf``; names as in the published configurations."""

    layer: int
    """Block whose output projection is trained."""
    objective: Literal["prompt_last", "target_new"]
    """Where target tokens are read."""
    lr: float = 5e-4
    """Adam's step."""
    num_steps: int = 25
    """Epochs at most."""
    batch_size: int = 64
    """Edits per step."""
    norm_constraint: float | None = None
    """Largest change of any entry; None does not bound it."""
    breadth_first: bool = False
    """Train on all edits so far, from the unedited weights, shuffled."""
    end_token: bool = False
    """Put the token that ends a text behind each answer, so that greedy decoding learns to stop. LocFT-BF's way; the
    published FT-L and FT-M do not."""
    train_bias: bool = True
    """Also the projection's bias, where it has one."""
    seed: int = 0
    """Of the shuffling."""

    def __post_init__(self) -> None:
        if self.end_token and self.objective == "prompt_last":
            raise ConfigError("end_token needs objective target_new: prompt_last reads every token off one position")
        if self.objective not in ("prompt_last", "target_new"):
            raise ConfigError(f"objective must be prompt_last or target_new, got {self.objective!r}")
        for name in ("lr", "num_steps", "batch_size"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be positive, got {getattr(self, name)}")
        if self.norm_constraint is not None and not self.norm_constraint > 0:
            raise ConfigError(f"norm_constraint must be positive, got {self.norm_constraint}")


def ft_l(model: Any) -> FineTuneConfig:
    """Published: layer 0, 25 steps, every entry within 5e-4 (GPT-2 XL) or 5e-5 of where it was."""
    bound = 5e-4 if model.config.model_type == "gpt2" else 5e-5
    return FineTuneConfig(layer=0, objective="prompt_last", norm_constraint=bound)


def ft_m(model: Any) -> FineTuneConfig:
    """EasyEdit's: layer 21 of GPT-J and Llama 3, 27 of Qwen2.5, unbounded; scaled to the model's depth."""
    kind, depth = model.config.model_type, model.config.num_hidden_layers
    share = 27 / 28 if kind.startswith("qwen") else 21 / 32 if kind == "llama" else 21 / 28
    return FineTuneConfig(layer=min(depth - 1, int(share * depth)), objective="target_new")


def locft_bf(model: Any) -> FineTuneConfig:
    """Published: layer 22 of Llama 3 8B, 23 of Mistral 7B, 6 of Qwen2.5 7B, batches of 100; scaled to the depth."""
    kind, depth = model.config.model_type, model.config.num_hidden_layers
    share = {"llama": 22 / 32, "mistral": 23 / 32}.get(kind, 6 / 28 if kind.startswith("qwen") else 22 / 32)
    layer = published_for(model).layers[-1] if depth < 4 else int(share * depth)
    return FineTuneConfig(
        layer=min(depth - 1, layer),
        objective="target_new",
        breadth_first=True,
        end_token=True,
        batch_size=100,
        num_steps=50,
    )


class FineTune(WeightEditor):
    """See the module. Blocks below the trained one run once; the weight itself is written only at the end."""

    def __init__(self, model: Any, tokenizer: Any, config: FineTuneConfig, **options: Any) -> None:
        super().__init__(model, tokenizer, **options)
        self.config = config
        self.anatomy.checked_layers([config.layer])

    def write_batch(self, edits: Sequence[Edit]) -> None:
        projection = self.anatomy.projections[self.config.layer]
        every = [*self.edits, *edits] if self.config.breadth_first else list(edits)
        if self.config.breadth_first:
            self.weights.restore()
        # One position cannot hold an answer and its end, so FT-L never learns to stop.
        ends = self.config.end_token or (self.form.ends and self.config.objective == "target_new")
        batch = [lesson(self.tokenizer, edit, end_token=ends, form=self.form) for edit in every]
        names = [projection.parameter_name]
        module: Any = projection.module
        if self.config.train_bias and getattr(module, "bias", None) is not None:
            names.append(f"{projection.name}.bias")
        start = {name: self.weights.current(name).clone() for name in names}
        trained = self._train(module, batch, list(start.values()))
        for name, value in zip(names, trained, strict=True):
            self.write_change(name, value - start[name])

    def _train(self, module: Any, batch: Sequence[Lesson], start: list[Tensor]) -> list[Tensor]:
        """Trained copies of ``start`` (weight, and bias where it is trained), float32."""
        config, layer = self.config, self.config.layer
        values = [value.clone().requires_grad_(True) for value in start]
        optimizer = torch.optim.Adam(values, lr=config.lr)
        transposed = self.anatomy.projections[layer].transposed
        kept_bias = None if len(values) > 1 else getattr(module, "bias", None)

        def project(hidden: Tensor) -> Tensor:
            weight = values[0].to(hidden.dtype)
            bias = values[1].to(hidden.dtype) if len(values) > 1 else kept_bias
            return torch.nn.functional.linear(hidden, weight.T if transposed else weight, bias)

        generator = torch.Generator().manual_seed(config.seed)
        tapes: dict[tuple[int, ...], tuple[Tape, Reads]] = {}
        for _ in range(config.num_steps):
            total = 0.0
            for part in parts(len(batch), config.batch_size, generator if config.breadth_first else None):
                if part not in tapes or config.breadth_first:
                    found = self._recorded([batch[i] for i in part])
                    if not config.breadth_first:
                        tapes[part] = found
                else:
                    found = tapes[part]
                loss = self._loss(module, project, *found)
                figure = finite(loss, f"edit {batch[part[0]].edit.prompt!r} and its batch", config.lr)
                total += figure * len(part)
                if figure < ENOUGH:
                    continue
                for value, gradient in zip(values, torch.autograd.grad(loss, values), strict=True):
                    value.grad = gradient
                optimizer.step()
                if config.norm_constraint is not None:
                    with torch.no_grad():
                        for value, origin in zip(values, start, strict=True):
                            value.copy_(value.clamp(origin - config.norm_constraint, origin + config.norm_constraint))
            if total / len(batch) < ENOUGH:
                break
        return [value.detach() for value in values]

    def _recorded(self, batch: Sequence[Lesson]) -> tuple[Tape, Reads]:
        """The batch before the trained block, and where it is read."""
        read = reads(batch, self.anatomy.device, teacher=self.config.objective == "target_new")
        return record(self.anatomy, read.rows, self.config.layer), read

    def _loss(self, module: Any, project: Any, tape: Tape, read: Reads) -> Tensor:
        with replaced_forward(module, project):
            out = tape.run(tape.hidden, self.config.layer, len(self.anatomy.blocks) - 1)
        return read.loss(self.anatomy.logits(out.reshape(-1, out.shape[-1])[read.places]))
