"""Where are the parts of a causal LM that weight editors touch? Found by structure and one probe, not by model names.

A block is an entry of the longest ``ModuleList`` of the model's body. Its MLP is the child without attention that holds
a projection from the inner width back to the model's width; that projection (GPT-2's ``Conv1D`` or a ``Linear``) is
what editors write into. What runs after the blocks is seen in a probe forward, and the parts put together must give the
model's own logits, or the model is refused.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from eval.editors.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Projection:
    """The MLP's output projection of one block."""

    name: str
    """Of the module; its parameter is ``name + ".weight"``."""
    module: nn.Module
    transposed: bool
    """True where the module stores (d_key, d_model): GPT-2's Conv1D."""

    @property
    def parameter_name(self) -> str:
        return f"{self.name}.weight"

    @property
    def weight(self) -> Tensor:
        weight = self.module.weight
        assert isinstance(weight, Tensor)
        return weight

    @property
    def d_key(self) -> int:
        return self.weight.shape[0 if self.transposed else 1]

    @property
    def d_model(self) -> int:
        return self.weight.shape[1 if self.transposed else 0]

    def oriented(self, matrix: Tensor) -> Tensor:
        """Between (d_model, d_key) and the layout the module stores; its own inverse."""
        return matrix.T if self.transposed else matrix


@dataclass(frozen=True, slots=True)
class Anatomy:
    """The parts of one model. Lists run over blocks, first to last."""

    model: Any
    body: Any
    """Embeddings, blocks and final norm, without the head."""
    blocks: Sequence[nn.Module]
    mlps: Sequence[nn.Module]
    projections: Sequence[Projection]
    tuple_output: Sequence[bool]
    """Whether the block returns a tuple whose first entry is the hidden state."""
    tail: Sequence[nn.Module]
    """What runs between the last block and the head."""
    head: Callable[[Tensor], Tensor]
    """Final hidden states (..., d_model) to logits (..., vocabulary)."""

    @property
    def device(self) -> torch.device:
        device = self.projections[0].weight.device
        assert isinstance(device, torch.device)
        return device

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits, float32, from the output of the last block, shape (..., d_model)."""
        for module in self.tail:
            hidden = module(hidden)
        return self.head(hidden).float()

    def checked_layers(self, layers: Sequence[int]) -> tuple[int, ...]:
        """Return ``layers`` in ascending order.

        Raises:
            ConfigError: none given, one twice, or outside the model.
        """
        if not layers:
            raise ConfigError("no layer to edit; give at least one")
        if len(set(layers)) != len(layers):
            raise ConfigError(f"a layer stands twice in {list(layers)}")
        wrong = [layer for layer in layers if not 0 <= layer < len(self.blocks)]
        if wrong:
            raise ConfigError(f"layers {wrong} are out of range: the model has layers 0 to {len(self.blocks) - 1}")
        return tuple(sorted(layers))


def dissect(model: Any, *, projection: str | None = None) -> Anatomy:
    """Find the parts of ``model``.

    Args:
        model: a Hugging Face causal LM.
        projection: the output projection's name, ``{}`` for the block's number, where structure does not tell:
            ``"model.layers.{}.mlp.down_proj"``.

    Raises:
        ConfigError: a part cannot be told apart, or the parts do not make the model's own logits.
    """
    if getattr(model.config, "is_encoder_decoder", False):
        raise ConfigError(f"{type(model).__name__} is an encoder-decoder model; weight editors need a causal LM")
    body = getattr(model, getattr(model, "base_model_prefix", ""), None)
    head_module = model.get_output_embeddings() if hasattr(model, "get_output_embeddings") else None
    if body is None or head_module is None:
        raise ConfigError(f"{type(model).__name__} has no body and head to tell apart; give a causal LM")
    names: dict[int, str] = {id(module): name for name, module in model.named_modules()}
    owner, blocks = _block_list(body)
    if projection is not None:
        modules = dict(model.named_modules())
        wanted = [projection.format(i) for i in range(len(blocks))]
        missing = [name for name in wanted if name not in modules]
        if missing:
            raise ConfigError(f"no module is named {missing[0]!r}; the blocks are {names[id(blocks[0])]!r} and so on")
        found = [(modules[name.rpartition(".")[0]], modules[name]) for name in wanted]
    else:
        found = [_mlp_of(block, names) for block in blocks]
    projections = []
    for block, (_, module) in zip(blocks, found, strict=True):
        weight = getattr(module, "weight", None)
        if not isinstance(weight, Tensor) or weight.dim() != 2 or not weight.dtype.is_floating_point:
            raise ConfigError(
                f"the projection {names[id(module)]!r} has no plain float matrix (a quantised model?); "
                "load it in 16 or 32 bit"
            )
        assert isinstance(block, nn.Module)
        projections.append(Projection(names[id(module)], module, transposed=type(module).__name__ == "Conv1D"))
    tuple_output, tail = _probe(model, body, owner, blocks)
    anatomy = Anatomy(
        model=model,
        body=body,
        blocks=blocks,
        mlps=[mlp for mlp, _ in found],
        projections=projections,
        tuple_output=tuple_output,
        tail=tail,
        head=_head(model.config, head_module),
    )
    _check_logits(anatomy)
    return anatomy


def _block_list(body: nn.Module) -> tuple[nn.Module, list[nn.Module]]:
    """The module that owns the blocks, and the blocks."""
    lists = [
        (owner, child)
        for owner in body.modules()
        for child in owner.children()
        if isinstance(child, nn.ModuleList) and len(child) > 0
    ]
    if not lists:
        raise ConfigError(f"{type(body).__name__} holds no list of blocks")
    owner, longest = max(lists, key=lambda pair: sum(p.numel() for p in pair[1].parameters()))
    return owner, list(longest)


def is_projection(module: nn.Module) -> bool:
    """Whether it is a ``Linear`` or GPT-2's ``Conv1D``."""
    return type(module).__name__ == "Conv1D" or isinstance(module, nn.Linear)


def _widths(module: Any) -> tuple[int, int]:
    """(in, out) of a Linear or a Conv1D."""
    rows, columns = module.weight.shape
    return (rows, columns) if type(module).__name__ == "Conv1D" else (columns, rows)


def _mlp_of(block: nn.Module, names: dict[int, str]) -> tuple[nn.Module, nn.Module]:
    """The MLP of a block and its output projection: the last projection that narrows to what the first one reads."""

    def attends(name: str) -> bool:
        return "attn" in name.lower() or "attention" in name.lower()

    own = [
        (name, module)
        for name, module in block.named_modules()
        if is_projection(module) and not any(attends(part) for part in name.split("."))
    ]
    if not own:
        raise ConfigError(f"block {names[id(block)]!r} has no MLP projection; name it with projection=")
    d_model = _widths(own[0][1])[0]
    outputs = [(name, module) for name, module in own if _widths(module)[1] == d_model]
    if not outputs:
        raise ConfigError(
            f"block {names[id(block)]!r} has no projection back to width {d_model}; name it with projection="
        )
    if len({name.rpartition(".")[0] for name, _ in own}) > 1:
        raise ConfigError(
            f"block {names[id(block)]!r} has several MLPs (experts?): {[name for name, _ in outputs]}; "
            "name one with projection="
        )
    name, module = outputs[-1]
    parent = name.rpartition(".")[0]
    return (block.get_submodule(parent) if parent else module), module


def _probe(
    model: Any, body: nn.Module, owner: nn.Module, blocks: Sequence[nn.Module]
) -> tuple[list[bool], list[nn.Module]]:
    """Run two tokens: which blocks return tuples, and which of the owner's children run after the last block."""
    is_tuple: dict[int, bool] = {}
    order: list[nn.Module] = []
    handles = []
    for block in blocks:
        handles.append(
            block.register_forward_hook(lambda m, _, out: is_tuple.__setitem__(id(m), isinstance(out, tuple)))
        )
    for child in [*owner.children(), blocks[-1]]:
        handles.append(child.register_forward_hook(lambda m, _i, _o: order.append(m)))
    try:
        with torch.inference_mode():
            ids = torch.zeros(1, 2, dtype=torch.long, device=model.device)
            body(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False)
    finally:
        for handle in handles:
            handle.remove()
    if len(is_tuple) != len(blocks):
        raise ConfigError(f"{type(body).__name__} does not run its blocks one after the other")
    after = order[order.index(blocks[-1]) + 1 :]
    return [is_tuple[id(block)] for block in blocks], after


def _head(config: Any, module: nn.Module) -> Callable[[Tensor], Tensor]:
    softcap = getattr(config, "final_logit_softcapping", None)
    factor = float(getattr(config, "logit_scale", None) or 1.0) / float(getattr(config, "logits_scaling", None) or 1.0)

    def head(hidden: Tensor) -> Tensor:
        logits: Tensor = module(hidden)
        if factor != 1.0:
            logits = logits * factor
        return softcap * torch.tanh(logits / softcap) if softcap else logits

    return head


def _check_logits(anatomy: Anatomy) -> None:
    """Our head on the last block's output must give the model's own logits."""
    kept: list[Tensor] = []
    handle = anatomy.blocks[-1].register_forward_hook(
        lambda _m, _i, out: kept.append(out[0] if isinstance(out, tuple) else out)
    )
    try:
        with torch.inference_mode():
            ids = torch.arange(3, device=anatomy.model.device)[None]
            theirs = anatomy.model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits.float()
            ours = anatomy.logits(kept[0])
    finally:
        handle.remove()
    if not torch.allclose(ours, theirs, rtol=1e-3, atol=1e-3 * float(theirs.abs().max() + 1e-6)):
        raise ConfigError(
            f"{type(anatomy.model).__name__} does something between its last block and its logits that is unknown here"
        )
