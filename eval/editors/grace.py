"""GRACE: a codebook beside one layer; near a stored key the layer's output is replaced by a trained value.

Keys are the layer's inputs at the prompt's last token. An entry has a key, a value, its target and a radius ε; where
the nearest key lies within its ε, the output at the prompt's last token (``replace_prompt``), or at every last token of
the sequence so far (``replace_last``), becomes the value. Adding an edit with radius ε₀:

- no key within ε₀ + ε: a new entry with ε₀;
- the nearest key within reach, another target: a new entry, both radii half the distance, the older one 1e-5 less;
- the nearest key within reach, the same target: its radius grows to the distance.

Sources: Hartvigsen et al., arXiv:2211.11031, and its published code (which compares targets by the mean of their token
ids; here the targets themselves are compared).
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file
from torch import Tensor

from eval.editors.errors import ConfigError
from eval.editors.lessons import finite
from eval.editors.replay import record
from eval.editors.side_memory import SideMemory
from memory_store.edit import Edit


@dataclass(frozen=True, slots=True, kw_only=True)
class GraceConfig:
    """Published settings; the layer by the model's depth: ``GraceConfig.published(model)``."""

    layer: int
    """Block whose MLP output projection is wrapped."""
    radius: float = 1.0
    """ε₀, Euclidean distance between keys."""
    lr: float = 1.0
    """Adam's step for a value."""
    num_steps: int = 100
    """Steps per edit; it ends earlier once the answer is greedy with loss below 0.01."""
    replacement: Literal["replace_prompt", "replace_last"] = "replace_last"
    """Where the value stands: at the prompt's last token only, or at the last token of every step."""
    end_token: bool = False
    """Put the token that ends a text behind each answer; the published code does not."""

    def __post_init__(self) -> None:
        for name in ("radius", "lr", "num_steps"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be positive, got {getattr(self, name)}")
        if self.replacement not in ("replace_prompt", "replace_last"):
            raise ConfigError(f"replacement must be replace_prompt or replace_last, got {self.replacement!r}")

    @classmethod
    def published(cls, model: Any) -> "GraceConfig":
        """Late layers: 27 of 32 in LLaMA, 35 of 48 in GPT-2 XL."""
        depth = model.config.num_hidden_layers
        share = 35 / 48 if model.config.model_type == "gpt2" else 27 / 32
        return cls(layer=min(depth - 1, int(share * depth)))


_LAST_BITS = 1e-5
"""A key that widened an entry lies on its border. Read in a longer sentence its last bits are others: without room for
them the edit would be there while its answer is generated and gone while it is given, or the other way round."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One place in the codebook."""

    key: Tensor
    """Shape (d_key,), float32."""
    value: Tensor
    """Shape (d_model,), float32."""
    radius: float
    target: tuple[int, ...]


@dataclass(slots=True)
class Codebook:
    """Entries and how they make room for another. Distances are Euclidean."""

    entries: tuple[Entry, ...] = ()

    def nearest(self, query: Tensor) -> tuple[int, float]:
        """Index and distance of the nearest key; (-1, inf) where there is none."""
        if not self.entries:
            return -1, float("inf")
        keys = torch.stack([entry.key for entry in self.entries])  # (entries, d_key)
        distances = (keys - query.float()).norm(dim=1)
        index = int(distances.argmin())
        return index, float(distances[index])

    def value(self, query: Tensor) -> Tensor | None:
        """What the layer gives out for ``query``; None where no entry reaches so far."""
        index, distance = self.nearest(query)
        if index < 0 or distance > self.entries[index].radius * (1 + _LAST_BITS):
            return None
        return self.entries[index].value

    def added(self, key: Tensor, value: Tensor, target: tuple[int, ...], radius: float) -> tuple["Codebook", int]:
        """The codebook with an edit in it, and the index of the entry that governs the edit."""
        index, distance = self.nearest(key)
        entries = list(self.entries)
        if index < 0 or distance > radius + entries[index].radius:
            return Codebook((*entries, Entry(key, value, radius, target))), len(entries)
        near = entries[index]
        if near.target == target:
            entries[index] = replace(near, radius=max(near.radius, distance))
            return Codebook(tuple(entries)), index
        entries[index] = replace(near, radius=max(distance / 2 - 1e-5, 0.0))
        return Codebook((*entries, Entry(key, value, distance / 2, target))), len(entries)


class Grace(SideMemory):
    """See the module. No weight changes: the layer is wrapped while the edited model answers."""

    def __init__(self, model: Any, tokenizer: Any, config: GraceConfig, **options: Any) -> None:
        super().__init__(model, tokenizer, config.layer, **options)
        self.config = config
        self.codebook = Codebook()

    def write_batch(self, edits: Sequence[Edit]) -> None:
        for edit in edits:
            taught = self.lesson(edit, self.config.end_token)
            prompt, target = taught.prompt, taught.target
            key, output = (rows[-1] for rows in self.projected(prompt))
            book, index = self.codebook.added(key, output, target, self.config.radius)
            value = self._trained(prompt, target, book.entries[index].value, edit)
            entries = list(book.entries)
            entries[index] = replace(entries[index], value=value)
            self.codebook = Codebook(tuple(entries))

    def _trained(self, prompt: tuple[int, ...], target: tuple[int, ...], start: Tensor, edit: Edit) -> Tensor:
        """A value that makes the model say ``target`` after ``prompt``."""
        wanted = torch.tensor(target, device=self.anatomy.device)
        value = start.detach().clone().requires_grad_(True)
        optimizer = torch.optim.Adam([value], lr=self.config.lr)
        layer, last = self.config.layer, len(self.anatomy.blocks) - 1
        # Nothing changes before the prompt's last token, nor below the layer: both are computed once.
        tape = record(self.anatomy, [(prompt[-1], *target[:-1])], layer, [prompt[:-1]])
        many = self.config.replacement == "replace_last"

        def put(_module: Any, _inputs: Any, out: Tensor) -> Tensor:
            rows = out.reshape(len(target), -1)
            placed = value.to(out.dtype).expand(len(target) if many else 1, -1)
            return torch.cat([placed, rows[len(placed) :]]).reshape(out.shape)

        best, lowest = value.detach().clone(), float("inf")
        for _ in range(self.config.num_steps):
            handle = self._projection.register_forward_hook(put)
            try:
                logits = self.anatomy.logits(tape.run(tape.hidden, layer, last)[0])  # (target, vocabulary)
            finally:
                handle.remove()
            loss = torch.nn.functional.cross_entropy(logits, wanted)
            figure = finite(loss, f"the edit {edit.prompt!r}", self.config.lr)
            if figure < lowest:
                best, lowest = value.detach().clone(), figure
            if figure < 0.01 and bool((logits.argmax(-1) == wanted).all()):
                break
            (value.grad,) = torch.autograd.grad(loss, [value])
            optimizer.step()
        return best

    @contextlib.contextmanager
    def reading(self, prompt_tokens: int) -> Iterator[None]:
        """The codebook answers for one sentence whose prompt has ``prompt_tokens`` tokens."""
        found: list[Tensor | None] = []
        seen = 0

        def read(_module: Any, inputs: tuple[Tensor, ...], out: Tensor) -> Tensor:
            nonlocal seen
            keys, rows = inputs[0].reshape(-1, inputs[0].shape[-1]), out.reshape(-1, out.shape[-1])
            start, seen = seen, seen + rows.shape[0]
            at = prompt_tokens - 1 - start
            if 0 <= at < rows.shape[0]:
                found.append(self.codebook.value(keys[at]))
            if not found or found[0] is None:
                return out
            first = max(at, 0)
            last = rows.shape[0] if self.config.replacement == "replace_last" else at + 1
            if last <= first:
                return out
            rows = rows.clone()
            rows[first:last] = found[0].to(rows.dtype)
            return rows.reshape(out.shape)

        handle = self._projection.register_forward_hook(read)
        try:
            yield
        finally:
            handle.remove()

    def save_deltas(self, path: Path) -> None:
        """Write the codebook as safetensors: ``keys``, ``values``, ``radii``, ``targets`` (padded with -1)."""
        ready = {name: tensor.cpu().contiguous() for name, tensor in self._state().items()}
        save_file(ready, str(path), metadata={"method": "Grace", "layer": str(self.config.layer)})

    def _state(self) -> Mapping[str, Tensor]:
        entries = getattr(self, "codebook", Codebook()).entries
        if not entries:
            return {}
        longest = max(len(entry.target) for entry in entries)
        return {
            "keys": torch.stack([entry.key for entry in entries]),
            "values": torch.stack([entry.value for entry in entries]),
            "radii": torch.tensor([entry.radius for entry in entries], dtype=torch.float64),
            "targets": torch.tensor([[*e.target, *[-1] * (longest - len(e.target))] for e in entries]),
        }

    def _set_state(self, state: Mapping[str, Tensor]) -> None:
        if not state:
            self.codebook = Codebook()
            return
        rows = zip(state["keys"], state["values"], state["radii"].tolist(), state["targets"].tolist(), strict=True)
        self.codebook = Codebook(
            tuple(Entry(key, value, radius, tuple(t for t in target if t >= 0)) for key, value, radius, target in rows)
        )
