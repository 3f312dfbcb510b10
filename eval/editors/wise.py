"""WISE: a side memory beside one output projection, a router that knows when it is asked, and shards that are merged.

The side memory is W' = W + Δ. For a prompt whose tokens give the projection the inputs a_t,

    act(prompt) = mean over t of ‖Δ a_t‖

and the side memory answers where act ≥ ε, with ε = ``act_ratio`` · (smallest act of an edited prompt). An edit is
learned by SGD with step ``edit_lr`` on

    −mean log p(target) + max(0, act(other) − α) + max(0, β − act(edit)) + max(0, γ − act(edit) + act(other))

where "other" is a prompt that no edit governs. Gradients reach a random share ``mask_ratio`` of the entries; after
``save_freq`` edits a new shard, Δ = 0 with another mask, begins. Shards are merged by TIES: of each the ``density``
largest entries stay, the sign with the greater sum wins, and those that agree are averaged. With ``retrieve`` shards
are merged every ``merge_freq`` edits, and of all memories, merged or not, the one with the largest act answers;
without, all shards are one memory, merged again after each batch. A merge moves acts, so that ε is measured again.

The published code routes every forward pass anew; here the prompt decides once for the whole sentence.
Sources: Wang et al., arXiv:2405.14768, and its published code; TIES: Yadav et al., arXiv:2306.01708.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from safetensors.torch import save_file
from torch import Tensor

from eval.editors.errors import ConfigError
from eval.editors.lessons import ENOUGH, Lesson, finite, reads
from eval.editors.replay import record
from eval.editors.side_memory import SideMemory
from eval.editors.templates import sampled_templates
from memory_store.edit import Edit


@dataclass(frozen=True, slots=True, kw_only=True)
class WiseConfig:
    """Published settings by model: ``WiseConfig.published(model)``."""

    layer: int
    """Block beside whose MLP output projection the memory stands."""
    edit_lr: float = 1.0
    """SGD's step."""
    n_iter: int = 70
    """Steps per group of edits; fewer once the loss is below 0.01 and the margins hold."""
    batch_size: int = 1
    """Edits learned together."""
    alpha: float = 5.0
    """Act allowed for other prompts; unit of the hidden state."""
    beta: float = 20.0
    """Act wanted for edited prompts."""
    gamma: float = 10.0
    """Distance wanted between the two."""
    act_ratio: float = 0.88
    """ε over the smallest act of an edited prompt."""
    mask_ratio: float = 0.2
    """Share of the entries that a shard may change."""
    save_freq: int = 500
    """Edits per shard."""
    merge_freq: int = 1000
    """Edits per memory, with ``retrieve``; a multiple of ``save_freq``."""
    density: float = 0.53
    """Share of a shard's entries that a merge keeps."""
    retrieve: bool = True
    """Keep several memories and ask the one that is most active."""
    norm_constraint: float | None = 1.0
    """Largest change of any entry; None does not bound it."""
    end_token: bool = False
    """Put the token that ends a text behind each answer; the published code does not."""
    seed: int = 0
    """Of the masks."""

    def __post_init__(self) -> None:
        for name in ("edit_lr", "n_iter", "batch_size", "save_freq", "merge_freq"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} must be positive, got {getattr(self, name)}")
        for name in ("alpha", "beta", "gamma"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("act_ratio", "mask_ratio", "density"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(f"{name} must be in (0, 1], got {getattr(self, name)}")
        if self.merge_freq % self.save_freq:
            raise ConfigError(f"merge_freq must be a multiple of save_freq, got {self.merge_freq} and {self.save_freq}")
        if self.norm_constraint is not None and not self.norm_constraint > 0:
            raise ConfigError(f"norm_constraint must be positive, got {self.norm_constraint}")

    @classmethod
    def published(cls, model: Any) -> Self:
        """EasyEdit's: layer 29 of Llama 3 8B, 23 of Qwen2.5 7B, 21 of GPT-J, 8 of GPT-2 XL, scaled to the depth."""
        kind, depth = model.config.model_type, model.config.num_hidden_layers
        rows: dict[str, tuple[float, dict[str, Any]]] = {
            "gpt2": (8 / 48, {"n_iter": 40}),
            "gptj": (21 / 28, {"alpha": 15.0, "beta": 40.0, "gamma": 20.0}),
            "llama": (29 / 32, {"edit_lr": 0.9, "n_iter": 30, "alpha": 2.0, "act_ratio": 0.5}),
        }
        share, rest = rows.get(kind, (23 / 28, {}))
        return cls(layer=min(depth - 1, int(share * depth)), **rest)


@dataclass(frozen=True, slots=True)
class Shard:
    """What ``edits`` edits in a row have written."""

    delta: Tensor
    """Shape (d_model, d_key), float32."""
    edits: int = 0
    least: float = float("inf")
    """Smallest act of an edited prompt, each measured at the end of its batch."""


@dataclass(frozen=True, slots=True)
class Memory:
    """One side memory as it answers."""

    delta: Tensor
    """W' − W, shape (d_model, d_key), float32."""
    epsilon: float
    """Least act of a prompt that it answers."""


def ties_merged(deltas: Sequence[Tensor], density: float) -> Tensor:
    """Merge changes of one matrix; a single one comes back as it is.

    Source: TIES, arXiv:2306.01708.
    """
    if len(deltas) == 1:
        return deltas[0]
    kept = []
    for delta in deltas:
        dropped = delta.numel() - max(1, round(density * delta.numel()))
        border = delta.abs().flatten().kthvalue(dropped).values if dropped else delta.new_tensor(-1.0)
        kept.append(torch.where(delta.abs() > border, delta, torch.zeros_like(delta)))
    stack = torch.stack(kept)  # (shards, d_model, d_key)
    agree = (stack.sign() == stack.sum(0).sign()) & (stack != 0)
    return (stack * agree).sum(0) / agree.sum(0).clamp(min=1)


def act(delta: Tensor, inputs: Tensor) -> Tensor:
    """mean over tokens of ‖Δ a_t‖ for inputs (tokens, d_key); a scalar."""
    return (inputs @ delta.T).norm(dim=1).mean()


class Wise(SideMemory):
    """See the module. No weight changes: the projection is wrapped while the edited model answers."""

    def __init__(
        self, model: Any, tokenizer: Any, config: WiseConfig, *, others: Sequence[str] | None = None, **options: Any
    ) -> None:
        """``others`` are prompts that no edit governs, taken in turn; None samples them from the model.

        Raises:
            ConfigError: the layer is out of range, or ``others`` is empty.
        """
        super().__init__(model, tokenizer, config.layer, **options)
        if others is None:
            others = [text.removesuffix(". {}") for text in sampled_templates(model, tokenizer, seed=config.seed)[1]]
        texts = [text for text in others if text.strip()]
        if not texts:
            raise ConfigError("WISE needs at least one prompt that no edit governs, got none")
        self.config = config
        self._others = [self.form.text(text) for text in texts]
        self.shards: tuple[Shard, ...] = ()
        """Those that are not merged for good, the last one still open."""
        self.merged: tuple[Memory, ...] = ()

    def write_batch(self, edits: Sequence[Edit]) -> None:
        config = self.config
        every = [*self.edits, *edits]
        lessons = [self.lesson(edit, config.end_token) for edit in edits]
        done = len(self.edits)
        while done < len(every):
            if done % config.save_freq == 0:
                projection = self.anatomy.projections[config.layer]
                empty = torch.zeros(projection.d_model, projection.d_key, device=self.anatomy.device)
                self.shards = (*self.shards, Shard(empty))
            shard, first = self.shards[-1], done
            until = min(len(every), done - done % config.save_freq + config.save_freq)
            delta = shard.delta
            while done < until:
                count = min(config.batch_size, until - done)
                others = [self._others[(done + i) % len(self._others)] for i in range(count)]
                start = done - len(self.edits)
                delta = self._trained(
                    delta, self.mask(done // config.save_freq), lessons[start : start + count], others
                )
                done += count
                if self.progress is not None:
                    self.progress(start + count, len(edits))
            least = min(shard.least, self._least(delta, every[first:until]))
            self.shards = (*self.shards[:-1], Shard(delta, shard.edits + until - first, least))
            if config.retrieve and done % config.merge_freq == 0:
                self.merged = (*self.merged, self._merge(every[done - config.merge_freq : done]))
                self.shards = ()
        if not config.retrieve:
            self.merged = (self._merge(every),)

    def mask(self, shard: int) -> Tensor:
        """Entries that a shard may change, shape (d_model, d_key), bool; the same on every device."""
        projection = self.anatomy.projections[self.config.layer]
        generator = torch.Generator().manual_seed(self.config.seed * 1_000_003 + shard)
        drawn = torch.rand(projection.d_model, projection.d_key, generator=generator)
        return (drawn < self.config.mask_ratio).to(self.anatomy.device)

    def _trained(self, start: Tensor, mask: Tensor, batch: Sequence[Lesson], others: Sequence[str]) -> Tensor:
        """``start`` after learning a group of edits, an ``other`` prompt beside each."""
        config, layer = self.config, self.config.layer
        delta = start.clone().requires_grad_(True)
        read = reads(batch, self.anatomy.device)
        tape = record(self.anatomy, read.rows, layer)
        in_prompt = torch.zeros(len(batch), read.width, device=self.anatomy.device)
        for number, one in enumerate(batch):
            in_prompt[number, : len(one.prompt)] = 1.0 / len(one.prompt)
        foreign = [self.projected(self.language_model.prompt_ids(text))[0] for text in others]
        acts: list[Tensor] = []

        def add(_module: Any, inputs: tuple[Tensor, ...], out: Tensor) -> Tensor:
            moved = inputs[0].reshape(-1, inputs[0].shape[-1]).float() @ delta.T  # (rows · tokens, d_model)
            acts.append((moved.norm(dim=1).reshape(in_prompt.shape) * in_prompt).sum(1))
            return out + moved.to(out.dtype).reshape(out.shape)

        for _ in range(config.n_iter):
            acts.clear()
            handle = self._projection.register_forward_hook(add)
            try:
                out = tape.run(tape.hidden, layer, len(self.anatomy.blocks) - 1)
            finally:
                handle.remove()
            answer = read.loss(self.anatomy.logits(out.reshape(-1, out.shape[-1])[read.places]))
            margins = margin_loss(acts[0], torch.stack([act(delta, rows) for rows in foreign]), config)
            figure = finite(answer + margins, f"the edit {batch[0].edit.prompt!r}", config.edit_lr)
            if figure < ENOUGH:
                break
            (gradient,) = torch.autograd.grad(answer + margins, [delta])
            with torch.no_grad():
                delta -= config.edit_lr * gradient * mask
                if config.norm_constraint is not None:
                    delta.clamp_(-config.norm_constraint, config.norm_constraint)
        return delta.detach()

    def _least(self, delta: Tensor, edits: Sequence[Edit]) -> float:
        """Smallest act of the edits' prompts."""
        prompts = (self.language_model.prompt_ids(self.form.text(edit.prompt)) for edit in edits)
        # A little less: the same prompt rounds otherwise in a longer sentence.
        return (1 - 1e-4) * min(float(act(delta, self.projected(ids)[0])) for ids in prompts)

    def _merge(self, edits: Sequence[Edit]) -> Memory:
        """All shards as one memory; ``edits`` are those that they hold."""
        if len(self.shards) == 1:
            return self._as_memory(self.shards[0])
        delta = ties_merged([shard.delta for shard in self.shards], self.config.density)
        return Memory(delta, self.config.act_ratio * self._least(delta, edits))

    def _as_memory(self, shard: Shard) -> Memory:
        return Memory(shard.delta, self.config.act_ratio * shard.least)

    @property
    def memories(self) -> tuple[Memory, ...]:
        """What can answer."""
        return (*self.merged, *map(self._as_memory, self.shards)) if self.config.retrieve else self.merged

    @contextlib.contextmanager
    def reading(self, prompt_tokens: int) -> Iterator[None]:
        chosen: list[Memory | None] = []

        def read(_module: Any, inputs: tuple[Tensor, ...], out: Tensor) -> Tensor:
            rows = inputs[0].reshape(-1, inputs[0].shape[-1]).float()  # (tokens, d_key)
            if not chosen:
                chosen.append(route(self.memories, rows[:prompt_tokens]))
            memory = chosen[0]
            if memory is None:
                return out
            return out + (rows @ memory.delta.T).to(out.dtype).reshape(out.shape)

        handle = self._projection.register_forward_hook(read)
        try:
            yield
        finally:
            handle.remove()

    def save_deltas(self, path: Path) -> None:
        """Write the memories as safetensors: ``deltas`` (memories, d_model, d_key) and ``epsilons``."""
        ready = {}
        if self.memories:
            ready["deltas"] = torch.stack([memory.delta for memory in self.memories]).cpu().contiguous()
            ready["epsilons"] = torch.tensor([memory.epsilon for memory in self.memories], dtype=torch.float64)
        save_file(ready, str(path), metadata={"method": "Wise", "layer": str(self.config.layer)})

    def _state(self) -> Mapping[str, Tensor]:
        shards, merged = getattr(self, "shards", ()), getattr(self, "merged", ())
        state = {}
        if shards:
            state["shards"] = torch.stack([shard.delta for shard in shards])
            state["edits"] = torch.tensor([shard.edits for shard in shards])
            state["least"] = torch.tensor([shard.least for shard in shards], dtype=torch.float64)
        if merged:
            state["merged"] = torch.stack([memory.delta for memory in merged])
            state["epsilons"] = torch.tensor([memory.epsilon for memory in merged], dtype=torch.float64)
        return state

    def _set_state(self, state: Mapping[str, Tensor]) -> None:
        shards = (state["shards"], state["edits"].tolist(), state["least"].tolist()) if "shards" in state else ((),) * 3
        merged = (state["merged"], state["epsilons"].tolist()) if "merged" in state else ((),) * 2
        self.shards = tuple(Shard(*row) for row in zip(*shards, strict=True))
        self.merged = tuple(Memory(*row) for row in zip(*merged, strict=True))


def margin_loss(edited: Tensor, other: Tensor, config: WiseConfig) -> Tensor:
    """The router's loss, mean over edits, from the acts of edited and of other prompts, both of shape (edits,)."""
    over = (other - config.alpha).clamp(min=0)
    under = (config.beta - edited).clamp(min=0)
    near = (config.gamma - edited + other).clamp(min=0)
    return (over + under + near).mean()


def route(memories: Sequence[Memory], inputs: Tensor) -> Memory | None:
    """The most active memory, where its act reaches its ε; inputs have shape (tokens, d_key), float32."""
    if not memories:
        return None
    acts = [float(act(memory.delta, inputs)) for memory in memories]
    best = max(range(len(memories)), key=lambda index: acts[index])
    return memories[best] if acts[best] >= memories[best].epsilon else None
