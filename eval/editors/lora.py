"""LoRA: low-rank changes of several projections, trained on the answers. Adapters are made by ``peft``, an extra.

    W ← W + (lora_alpha / rank) B A

A batch trains fresh adapters on top of the weights as they are; then their product goes into the weights as a delta
like any other editor's, and the adapters are taken out again. Defaults are EasyEdit's: rank 8, lora_alpha 32, dropout
0.1, the query and value projections. Source: Hu et al., arXiv:2106.09685.
"""

import contextlib
import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch

from eval.editors.anatomy import is_projection
from eval.editors.base import WeightEditor
from eval.editors.errors import ConfigError
from eval.editors.lessons import ENOUGH, Lesson, finite, parts, reads
from memory_store.edit import Edit


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraConfig:
    """Published settings by model: ``LoraConfig.published(model)``."""

    rank: int = 8
    """Of a change."""
    lora_alpha: float = 32.0
    """A change is scaled by ``lora_alpha / rank``."""
    lora_dropout: float = 0.1
    """Share of an adapter's inputs that is dropped while it is trained."""
    target_modules: tuple[str, ...] | None = None
    """Names of the projections, or their ends; None takes ``peft``'s choice for the architecture, mostly query and
    value, or else the MLPs' output projections."""
    layers: tuple[int, ...] | None = None
    """Blocks that get adapters; None takes all."""
    lr: float = 5e-3
    """Adam's step."""
    num_steps: int = 70
    """Epochs at most."""
    batch_size: int = 64
    """Edits per step."""
    end_token: bool = False
    """Put the token that ends a text behind each answer; the published configurations do not."""
    seed: int = 0
    """Of the adapters' first values and the dropout."""

    def __post_init__(self) -> None:
        for name in ("rank", "lora_alpha", "lr", "num_steps", "batch_size"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be positive, got {getattr(self, name)}")
        if not 0 <= self.lora_dropout < 1:
            raise ConfigError(f"lora_dropout must be in [0, 1), got {self.lora_dropout}")
        for name in ("target_modules", "layers"):
            value = getattr(self, name)
            object.__setattr__(self, name, None if value is None else tuple(value))
            if value is not None and not value:
                raise ConfigError(f"{name} is empty; leave it out for the default")

    @classmethod
    def published(cls, model: Any) -> Self:
        """70 steps for Llama 3, 60 for Qwen2.5, 50 for GPT-J, 30 for GPT-2 XL."""
        kind = model.config.model_type
        steps = {"gpt2": 30, "gptj": 50}.get(kind, 60 if kind.startswith("qwen") else 70)
        return cls(num_steps=steps)


class Lora(WeightEditor):
    """See the module."""

    def __init__(self, model: Any, tokenizer: Any, config: LoraConfig, **options: Any) -> None:
        """Raises: ConfigError: ``peft`` is not installed, layers out of range, or no such projection."""
        super().__init__(model, tokenizer, **options)
        self.config = config
        if config.layers is not None:
            self.anatomy.checked_layers(config.layers)
        self._targets = self._chosen()

    def _chosen(self) -> list[str]:
        """Full names of the projections that get adapters."""
        config = self.config
        names = config.target_modules or _peft_choice(self.model.config.model_type)
        every = {name: module for name, module in self.model.named_modules() if is_projection(module)}
        blocks = range(len(self.anatomy.blocks)) if config.layers is None else config.layers
        inside = {id(module) for layer in blocks for module in self.anatomy.blocks[layer].modules()}
        if names is None:
            return [self.anatomy.projections[layer].name for layer in blocks]
        ends = tuple(names)
        found = [
            name
            for name, module in every.items()
            if id(module) in inside and any(name == end or name.endswith("." + end) for end in ends)
        ]
        if not found:
            raise ConfigError(f"no projection of the model is named {' or '.join(ends)}; the last is {[*every][-1]!r}")
        return found

    def write_batch(self, edits: Sequence[Edit]) -> None:
        config = self.config
        batch = [self.lesson(edit, config.end_token) for edit in edits]
        # peft draws from the global generator; the caller's own numbers stay as they were.
        devices = [self.anatomy.device] if self.anatomy.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices), self._adapters() as adapters:
            values = [value for module in adapters.values() for value in _trainable(module)]
            self._train(batch, values)
            with torch.no_grad():
                changes = {
                    f"{name}.weight": module.get_delta_weight(ADAPTER).float() for name, module in adapters.items()
                }
        for name, change in changes.items():
            self.write_change(name, change)

    @contextlib.contextmanager
    def _adapters(self) -> Iterator[dict[str, Any]]:
        """Adapters in place inside the context, by the name of the projection; float32 whatever the model's dtype."""
        peft = _peft()
        config = self.config
        torch.manual_seed(config.seed)
        modules = dict(self.model.named_modules())
        settings = peft.LoraConfig(
            r=config.rank,
            lora_alpha=config.lora_alpha,
            lora_dropout=config.lora_dropout,
            target_modules=self._targets,
            fan_in_fan_out=type(modules[self._targets[0]]).__name__ == "Conv1D",
        )
        tuner = peft.LoraModel(self.model, settings, ADAPTER)
        try:
            found = {name: module for name, module in self.model.named_modules() if hasattr(module, "get_delta_weight")}
            for module in found.values():
                module.lora_dropout.train()
                for value in _trainable(module):
                    value.data = value.data.float()
            yield found
        finally:
            tuner.unload()

    def _train(self, batch: Sequence[Lesson], values: Sequence[Any]) -> None:
        config, anatomy = self.config, self.anatomy
        optimizer = torch.optim.Adam(values, lr=config.lr)
        for value in values:
            value.requires_grad_(True)
        for _ in range(config.num_steps):
            total = 0.0
            for part in parts(len(batch), config.batch_size):
                read = reads([batch[i] for i in part], anatomy.device)
                ids, mask = read.padded(anatomy.device)
                hidden = anatomy.body(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
                loss = read.loss(anatomy.head(hidden.reshape(-1, hidden.shape[-1])[read.places]).float())
                figure = finite(loss, f"edit {batch[part[0]].edit.prompt!r} and its batch", config.lr)
                total += figure * len(part)
                if figure < ENOUGH:
                    continue
                for value, gradient in zip(values, torch.autograd.grad(loss, values), strict=True):
                    value.grad = gradient
                optimizer.step()
            if total / len(batch) < ENOUGH:
                break


ADAPTER = "edits"
"""Name of the one adapter that is in place while a batch is trained."""


def _peft() -> Any:
    try:
        return importlib.import_module("peft")
    except ImportError as error:
        raise ConfigError(
            "LoRA needs peft; install it with: pip install 'scr-editor[lora]' -c constraints.txt"
        ) from error


def _peft_choice(model_type: str) -> Sequence[str] | None:
    """The projections that ``peft`` adapts in an architecture; None where it names none."""
    table = _peft().utils.TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING
    found = table.get(model_type)
    return None if found is None or isinstance(found, str) else list(found)


def _trainable(module: Any) -> list[Any]:
    """A and B of one adapter."""
    return [module.lora_A[ADAPTER].weight, module.lora_B[ADAPTER].weight]
