"""How is part of a model run again without running all of it? Blocks are recorded once and replayed at will.

Rows are sentences. ``record`` runs the body up to a block and notes, for that block and all later ones, the arguments
the model itself would have passed (masks, rotary tables, positions); the later blocks are not computed. ``Tape.run``
then computes any stretch of blocks from a hidden state. Tokens before the first one of interest enter as a cached
prefix whose keys and values are read but never appended to.

Within a batch, prefixes are padded on the left and suffixes on the right, so that a token's neighbours in the padded
row are its neighbours in the sentence; positions are given explicitly. Results therefore do not depend on the padding.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache, DynamicLayer

from eval.editors.anatomy import Anatomy


class PrefixLayer(DynamicLayer):
    """Keys and values of one block's prefix; new ones are appended to what is returned, not to what is kept.

    While ``recording`` they are kept (the prefix's own pass).
    """

    recording = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        if self.recording:
            return super().update(key_states, value_states)
        return torch.cat([self.keys, key_states], dim=-2), torch.cat([self.values, value_states], dim=-2)


class PrefixCache(Cache):
    """One ``PrefixLayer`` per block; also for models whose own cache would forget (sliding windows)."""

    def __init__(self, layers: Sequence[PrefixLayer]) -> None:
        super().__init__(layers=list(layers))

    def select(self, rows: Tensor) -> "PrefixCache":
        chosen = []
        for layer in self.layers:
            copy = PrefixLayer()
            copy.recording = False
            if layer.is_initialized:
                copy.lazy_initialization(layer.keys, layer.values)
                copy.keys, copy.values = layer.keys[rows], layer.values[rows]
            chosen.append(copy)
        return PrefixCache(chosen)


@dataclass(slots=True)
class Tape:
    """Where a batch of sentences stands before block ``start``, and the arguments of the blocks from there on."""

    anatomy: Anatomy
    start: int
    hidden: Tensor
    """Input of block ``start``, shape (rows, tokens, d_model), in the model's dtype."""
    calls: list[tuple[tuple[Any, ...], dict[str, Any]]]
    """Arguments of blocks ``start`` … last, the hidden state left out."""

    def run(self, hidden: Tensor, first: int, last: int) -> Tensor:
        """Apply blocks ``first`` … ``last`` (both included) to ``hidden``; the same shape comes back."""
        for index in range(first, last + 1):
            args, kwargs = self.calls[index - self.start]
            out = self.anatomy.blocks[index](hidden, *args, **kwargs)
            hidden = out[0] if isinstance(out, tuple) else out
        return hidden

    def select(self, rows: Tensor) -> "Tape":
        """Only these rows, in this order."""
        count = self.hidden.shape[0]
        caches: dict[int, PrefixCache] = {}

        def chosen(value: Any) -> Any:
            if isinstance(value, PrefixCache):
                if id(value) not in caches:
                    caches[id(value)] = value.select(rows)
                return caches[id(value)]
            if isinstance(value, Tensor):
                return value[rows] if value.dim() > 1 and value.shape[0] == count else value
            if isinstance(value, tuple | list):
                return type(value)(chosen(v) for v in value)
            if isinstance(value, dict):
                return {k: chosen(v) for k, v in value.items()}
            return value

        calls = [(chosen(args), chosen(kwargs)) for args, kwargs in self.calls]
        return Tape(self.anatomy, self.start, self.hidden[rows], calls)


def record(
    anatomy: Anatomy, suffixes: Sequence[Sequence[int]], start: int, prefixes: Sequence[Sequence[int]] = ()
) -> Tape:
    """Run sentences up to block ``start``, without gradient.

    Args:
        suffixes: token ids to compute, at least one a row.
        start: first block that is *not* computed.
        prefixes: token ids before them, computed once into a cache; as many rows, or none at all.
    """
    device = anatomy.device
    prefixes = prefixes or [()] * len(suffixes)
    before = max(len(p) for p in prefixes)
    width = max(len(s) for s in suffixes)
    ids = torch.zeros(len(suffixes), before + width, dtype=torch.long)
    mask = torch.zeros_like(ids)
    positions = torch.zeros_like(ids)
    for row, (prefix, suffix) in enumerate(zip(prefixes, suffixes, strict=True)):
        left, right = before - len(prefix), before + len(suffix)
        ids[row, left:right] = torch.tensor([*prefix, *suffix])
        mask[row, left:right] = 1
        positions[row, left:right] = torch.arange(right - left)
    ids, mask, positions = ids.to(device), mask.to(device), positions.to(device)
    cache: PrefixCache | None = None
    with torch.no_grad():
        if before:
            cache = PrefixCache([PrefixLayer() for _ in anatomy.blocks])
            tokens = mask[:, :before].reshape(-1).nonzero()[:, 0]
            with contextlib.ExitStack() as stack:
                # No MLP computes padding; of the last block only keys and values are wanted, so one token does there.
                for mlp in anatomy.mlps:
                    wanted = tokens[:1] if mlp is anatomy.mlps[-1] else tokens
                    stack.enter_context(replaced_forward(mlp, packed(mlp.forward, wanted)))
                anatomy.body(
                    input_ids=ids[:, :before],
                    attention_mask=mask[:, :before],
                    position_ids=positions[:, :before],
                    past_key_values=cache,
                    use_cache=True,
                )
            for layer in cache.layers:
                layer.recording = False
        inputs: list[Tensor] = []
        calls: list[tuple[tuple[Any, ...], dict[str, Any]]] = []
        with _recording(anatomy, start, inputs, calls):
            if start == len(anatomy.blocks):
                # Nothing is left to record; the state wanted is what the last block gives.
                hook = anatomy.blocks[-1].register_forward_hook(
                    lambda _m, _i, out: inputs.append(out[0] if isinstance(out, tuple) else out)
                )
            else:
                hook = None
            anatomy.body(
                input_ids=ids[:, before:],
                attention_mask=mask,
                position_ids=positions[:, before:],
                past_key_values=cache,
                use_cache=cache is not None,
            )
            if hook is not None:
                hook.remove()
    return Tape(anatomy, start, inputs[0], calls)


@contextlib.contextmanager
def _recording(
    anatomy: Anatomy, start: int, inputs: list[Tensor], calls: list[tuple[tuple[Any, ...], dict[str, Any]]]
) -> Iterator[None]:
    """Blocks from ``start`` on only note how they were called; the state passes through them unchanged."""

    def recorder(returns_tuple: bool) -> Any:
        def forward(*args: Any, **kwargs: Any) -> Any:
            if "hidden_states" in kwargs:
                hidden = kwargs.pop("hidden_states")
            else:
                hidden, args = args[0], args[1:]
            inputs.append(hidden)
            calls.append((args, kwargs))
            return (hidden, None) if returns_tuple else hidden

        return forward

    replaced = list(zip(anatomy.blocks, anatomy.tuple_output, strict=True))[start:]
    with contextlib.ExitStack() as stack:
        for block, returns_tuple in replaced:
            stack.enter_context(replaced_forward(block, recorder(returns_tuple)))
        yield


@contextlib.contextmanager
def replaced_forward(module: nn.Module, forward: Any) -> Iterator[None]:
    """``module`` computes ``forward`` inside the context; whatever stood there before stands there after."""
    previous = module.__dict__.get("forward")
    module.forward = forward
    try:
        yield
    finally:
        if previous is None:
            del module.__dict__["forward"]
        else:
            module.forward = previous


def packed(original: Any, positions: Tensor, added: Tensor | None = None) -> Any:
    """``original``, an MLP, on these positions of the flattened batch only; zeros elsewhere, which nobody reads.

    ``added`` (rows, d_model) goes to position 0 of every row's output.
    """

    def forward(hidden: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if args or kwargs:
            out: Tensor = original(hidden, *args, **kwargs)
        else:
            flat = hidden.reshape(-1, hidden.shape[-1])
            some = original(flat[positions][None])[0]
            out = some.new_zeros(flat.shape[0], some.shape[-1]).index_copy(0, positions, some)
            out = out.reshape(*hidden.shape[:-1], some.shape[-1])
        if added is not None:
            # OPT flattens rows and tokens; the rows are those of what is added.
            shaped = out.reshape(added.shape[0], -1, out.shape[-1])
            touched = (shaped[:, 0].float() + added).to(out.dtype)
            out = torch.cat([touched[:, None], shaped[:, 1:]], dim=1).reshape(out.shape)
        return out

    return forward


@contextlib.contextmanager
def frozen(model: Any) -> Iterator[None]:
    """No parameter asks for a gradient, and dropout is off, inside the context."""
    asking = [p for p in model.parameters() if p.requires_grad]
    training = [m for m in model.modules() if m.training]
    for parameter in asking:
        parameter.requires_grad_(False)
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for parameter in asking:
            parameter.requires_grad_(True)
        for module in training:
            module.training = True
