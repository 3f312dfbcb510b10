"""Which hidden state at the subject makes the model say the new answer? Gradient descent, for many edits at once.

For every edit a vector δ is added at the subject's last token, to the output of a block (or of its MLP), in all of the
edit's sentences. Minimised by Adam:

    mean over contexts of −log p(target)/tokens  +  kl_factor · KL(p ‖ p₀)  +  v_weight_decay · ‖δ‖ / ‖h₀‖²

with p the next-token distribution at the subject's last token of "<subject> is a" and p₀ the same without δ. After each
step δ is scaled back to norm clamp_norm_factor · ‖h₀‖. An edit ends when its loss is below 0.05 or its steps are used
up, and returns the δ that was last evaluated. Source: MEMIT, arXiv:2210.07229, and its published code.

The same numbers as one edit at a time, for less: blocks below the touched one run once; tokens before the touched
position enter as cached keys and values; in the first block that sees δ queries, keys and values of the other tokens
are computed once; MLPs compute no padding, and in the last block only what the head reads; the head runs only where an
answer is read; finished edits leave the batch. Each edit keeps its own Adam state.
"""

import contextlib
import logging
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from eval.editors.anatomy import Anatomy, is_projection
from eval.editors.errors import ConfigError, NumericalError
from eval.editors.replay import frozen, packed, record, replaced_forward
from eval.editors.subjects import Request

logger = logging.getLogger("scr")

STOP_LOSS = 0.05
"""Of the whole loss, as published."""
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
"""Adam's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueSettings:
    """How values are optimised; names as in the published configurations."""

    v_lr: float = 0.5
    """Adam's step, in units of the hidden state."""
    v_num_grad_steps: int = 25
    """Evaluations of the loss; one step fewer is taken."""
    v_weight_decay: float = 0.5
    """Weight of ‖δ‖ / ‖h₀‖²."""
    clamp_norm_factor: float = 0.75
    """Largest ‖δ‖ / ‖h₀‖."""
    kl_factor: float = 0.0625
    """Weight of the divergence on "<subject> is a"."""

    def __post_init__(self) -> None:
        for name, low in (("v_lr", 0.0), ("v_num_grad_steps", 0), ("clamp_norm_factor", 0.0)):
            if not getattr(self, name) > low:
                raise ConfigError(f"{name} must be above {low}, got {getattr(self, name)}")
        for name in ("v_weight_decay", "kl_factor"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} must not be negative, got {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Values:
    """What the optimisation found; rows are edits in the caller's order."""

    initial: Tensor
    """h₀ in the plain prompt, shape (edits, d_model), float32."""
    deltas: Tensor
    """δ, shape (edits, d_model), float32."""
    losses: tuple[tuple[float, ...], ...]
    """Of every evaluation, edit by edit."""

    @property
    def targets(self) -> Tensor:
        """h₀ + δ, shape (edits, d_model)."""
        return self.initial + self.deltas


def optimised_values(
    anatomy: Anatomy,
    requests: Sequence[Request],
    layer: int,
    settings: ValueSettings,
    *,
    at: Literal["block", "mlp"] = "block",
    tokens: Sequence[int] | None = None,
    batch_size: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Values:
    """Optimise the values of edits at ``layer``.

    Args:
        at: what δ is added to: the block's output, or its MLP's.
        tokens: by how many tokens each edit's log-probability is divided; None is its target's length.
        batch_size: edits at once; None takes what memory allows, and no more than is quick.
        progress: called with edits done and edits in all.

    Raises:
        ConfigError: the layer is out of range.
        NumericalError: a loss is not finite.
    """
    anatomy.checked_layers([layer])
    if batch_size is not None and batch_size < 1:
        raise ConfigError(f"batch_size must be at least 1, got {batch_size}")
    divisors = [len(request.target) for request in requests] if tokens is None else list(tokens)
    width = anatomy.projections[layer].d_model
    initial = torch.empty(len(requests), width, device=anatomy.device)
    deltas = torch.empty_like(initial)
    losses: list[tuple[float, ...]] = [()] * len(requests)
    done = 0
    with frozen(anatomy.model):
        for part in _batches(anatomy, requests, layer, batch_size):
            batch = _Batch(anatomy, [requests[i] for i in part], [divisors[i] for i in part], layer, at)
            found = batch.optimise(settings)
            initial[part], deltas[part] = found.initial, found.deltas
            for index, history in zip(part, found.losses, strict=True):
                losses[index] = history
            done += len(part)
            if progress is not None:
                progress(done, len(requests))
    return Values(initial, deltas, tuple(losses))


def _batches(anatomy: Anatomy, requests: Sequence[Request], layer: int, batch_size: int | None) -> list[list[int]]:
    """Edits in batches of like suffix length, so that little padding is computed."""
    if not requests:
        return []
    lengths = [max(len(row.ids) - row.subject_last for row in request.rows) for request in requests]
    order = sorted(
        range(len(requests)), key=lambda i: (lengths[i], max(row.subject_last for row in requests[i].prompts))
    )
    limit = batch_size or _edits_at_once(anatomy, requests, layer)
    parts: list[list[int]] = []
    for index in order:
        part = parts[-1] if parts else None
        fits = part is not None and len(part) < limit
        # A few tokens of padding cost less than one more pass; a small batch is worth filling.
        if part is not None and fits and (len(part) < limit // 4 or lengths[index] <= lengths[part[0]] + 1):
            part.append(index)
        else:
            parts.append([index])
    return parts


def _edits_at_once(anatomy: Anatomy, requests: Sequence[Request], layer: int) -> int:
    """How many of the longest edits fit into half of the free memory; on a CPU at most what its caches like."""
    rows = len(requests[0].prompts) + 1
    suffix = max(len(row.ids) - row.subject_last for request in requests for row in request.rows)
    prefix = max(row.subject_last for request in requests for row in request.prompts)
    target = max(len(request.target) for request in requests)
    weight = anatomy.projections[layer].weight
    d_model, d_key, blocks = anatomy.projections[layer].d_model, anatomy.projections[layer].d_key, len(anatomy.blocks)
    vocabulary = anatomy.model.get_output_embeddings().weight.shape[0]
    graph = rows * suffix * (blocks - layer) * (12 * d_model + 4 * d_key) * weight.element_size()
    cache = rows * prefix * blocks * 2 * d_model * weight.element_size()
    head = (rows - 1) * target * vocabulary * 4 * 4
    if anatomy.device.type == "cuda":
        free = torch.cuda.mem_get_info(anatomy.device)[0]
        most = 4096
    else:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        most = CPU_EDITS
    return max(1, min(most, int(0.5 * free / (graph + cache + head))))


CPU_EDITS = 16
"""Edits at once on a CPU: beyond, intermediate results fall out of its caches and nothing is gained."""


class _Batch:
    """Edits that are optimised together, and what of them is still alive.

    Rows run edit by edit: its contexts, then its KL sentence. Suffixes begin at the touched token, so that δ always
    goes to position 0.
    """

    def __init__(
        self,
        anatomy: Anatomy,
        requests: Sequence[Request],
        divisors: Sequence[int],
        layer: int,
        at: Literal["block", "mlp"],
    ) -> None:
        self._anatomy, self._layer, self._at = anatomy, layer, at
        self._requests = requests
        self._start = layer + 1 if at == "block" else layer
        self._per_edit = len(requests[0].prompts) + 1
        rows = [
            (row.prefix, row.ids[row.subject_last :]) for request in requests for row in (*request.rows, request.kl)
        ]
        for index in range(self._per_edit - 1, len(rows), self._per_edit):
            rows[index] = (rows[index][0], rows[index][1][:1])  # the KL sentence is read at the touched token
        self._tape = record(anatomy, [s for _, s in rows], self._start, [p for p, _ in rows])
        width = self._tape.hidden.shape[1]
        contexts = self._per_edit - 1
        reads, tokens, owners, weights, valid = [], [], [], [], []
        for number, (request, divisor) in enumerate(zip(requests, divisors, strict=True)):
            for context in range(self._per_edit):
                row = number * self._per_edit + context
                length = len(rows[row][1])
                valid += [(row, position) for position in range(length)]
                if context == contexts:
                    continue
                # The answer's tokens are predicted at the last positions of the sentence.
                for offset, token in enumerate(request.target):
                    reads.append((row, length - len(request.target) + offset))
                    tokens.append(token)
                    owners.append(number)
                    weights.append(1.0 / (contexts * divisor))
        device = anatomy.device
        self._reads, self._valid = torch.tensor(reads, device=device), torch.tensor(valid, device=device)  # (n, 2)
        self._tokens, self._owners = torch.tensor(tokens, device=device), torch.tensor(owners, device=device)
        self._weights = torch.tensor(weights, device=device)
        self._alive = torch.arange(len(requests), device=device)
        self._width = width
        self._activations = [
            [m for m in mlp.modules() if type(m).__name__ == "NewGELUActivation"] for mlp in anatomy.mlps
        ]
        self._same, self._closing = self._attention_parts()
        self._kept: dict[nn.Module, Tensor] = {}

    def _attention_parts(self) -> tuple[list[nn.Module], list[nn.Module]]:
        """Two kinds of projections around the attention, told apart by running one row twice.

        First, those of the first block whose inputs change at the touched token only (queries, keys, values): what
        they give elsewhere is computed once. Second, the one that ends the last block's attention: it is needed only
        where the head reads.
        """
        last = len(self._anatomy.blocks) - 1
        if self._start > last:
            return [], []
        inside = {id(module) for mlp in self._anatomy.mlps for module in mlp.modules()}
        block = self._anatomy.blocks[self._start]
        names = {m: name for name, m in block.named_modules() if is_projection(m) and id(m) not in inside}
        seen: list[tuple[nn.Module, Tensor]] = []
        handles = [m.register_forward_pre_hook(lambda m, inputs: seen.append((m, inputs[0]))) for m in names]
        tape = self._tape.select(torch.zeros(1, dtype=torch.long, device=self._anatomy.device))
        try:
            with torch.no_grad():
                tape.run(tape.hidden, self._start, self._start)
                first = list(seen)
                seen.clear()
                moved = tape.hidden.clone()
                moved[:, 0] = 1 - 2 * moved[:, 0]
                tape.run(moved, self._start, self._start)
        finally:
            for handle in handles:
                handle.remove()
        shape = tape.hidden.shape[:2]
        if len(first) != len(names) or any(given.shape[:2] != shape for _, given in first):
            return [], []  # not one call each on (rows, tokens, …): nothing is taken for granted
        closing = dict(self._anatomy.blocks[last].named_modules()).get(names[first[-1][0]])
        same = [
            module
            for (module, given), (_, other) in zip(first[:-1], seen[:-1], strict=True)
            if torch.equal(given[:, 1:], other[:, 1:])
        ]
        return same, [closing] if closing is not None and is_projection(closing) else []

    def optimise(self, settings: ValueSettings) -> Values:
        """Run until every edit has ended."""
        count = len(self._requests)
        initial = self._initial()  # (edits, d_model)
        final = torch.zeros_like(initial)
        histories: list[list[float]] = [[] for _ in range(count)]
        norms = initial.norm(dim=1)
        delta = torch.zeros_like(initial)
        mean, square = torch.zeros_like(initial), torch.zeros_like(initial)
        before: Tensor | None = None
        for step in range(1, settings.v_num_grad_steps + 1):
            delta.requires_grad_(True)
            rewrite, distribution = self._forward(delta)
            if before is None:
                before = distribution.detach()
            divergence = (distribution.exp() * (distribution - before)).sum(1)
            decay = delta.norm(dim=1) / norms**2
            loss = rewrite + settings.kl_factor * divergence + settings.v_weight_decay * decay  # (alive,)
            figures = loss.detach().tolist()
            alive = self._alive.tolist()
            for index, figure in zip(alive, figures, strict=True):
                histories[index].append(figure)
            self._refuse_bad(alive, figures)
            ended = loss.detach() < STOP_LOSS
            if step == settings.v_num_grad_steps:
                ended = torch.ones_like(ended)
            going = (~ended).nonzero()[:, 0]
            final[self._alive[ended]] = delta.detach()[ended]
            if not len(going):
                break
            (gradient,) = torch.autograd.grad(loss.sum(), delta)
            with torch.no_grad():
                mean = BETA1 * mean + (1 - BETA1) * gradient
                square = BETA2 * square + (1 - BETA2) * gradient**2
                scale = square.sqrt() / (1 - BETA2**step) ** 0.5 + EPSILON
                delta = delta - settings.v_lr / (1 - BETA1**step) * mean / scale
                length = delta.norm(dim=1, keepdim=True)
                most = settings.clamp_norm_factor * norms[:, None]
                delta = torch.where(length > most, delta * (most / length), delta)
            if len(going) < len(figures):
                delta, mean, square = delta[going], mean[going], square[going]
                norms, before = norms[going], before[going]
                self._keep(going)
        return Values(initial, final, tuple(map(tuple, histories)))

    def _initial(self) -> Tensor:
        """h₀ in the first context, float32."""
        rows = torch.arange(0, len(self._requests) * self._per_edit, self._per_edit, device=self._anatomy.device)
        if self._at == "block":
            return self._tape.hidden[rows, 0].float()
        kept: list[Tensor] = []
        handle = self._anatomy.mlps[self._layer].register_forward_hook(lambda _m, _i, out: kept.append(out))
        try:
            with torch.no_grad():
                self._tape.run(self._tape.hidden, self._layer, self._layer)
        finally:
            handle.remove()
        return kept[0].reshape(self._tape.hidden.shape)[rows, 0].float()

    def _forward(self, delta: Tensor) -> tuple[Tensor, Tensor]:
        """Rewriting losses, shape (alive,), and log-probabilities at the touched token, shape (alive, vocabulary)."""
        hidden = self._tape.hidden
        rows = delta.repeat_interleave(self._per_edit, dim=0)  # (rows, d_model)
        if self._at == "block":
            touched = (hidden[:, 0].float() + rows).to(hidden.dtype)
            hidden = torch.cat([touched[:, None], hidden[:, 1:]], dim=1)
        kl = torch.arange(self._per_edit - 1, hidden.shape[0], self._per_edit, device=hidden.device)
        flat_kl = kl * self._width
        flat_reads = self._reads[:, 0] * self._width + self._reads[:, 1]
        wanted = torch.cat([flat_reads, flat_kl])
        flat_valid = self._valid[:, 0] * self._width + self._valid[:, 1]
        last = len(self._anatomy.blocks) - 1
        with contextlib.ExitStack() as stack:
            for index in range(self._start, last + 1):
                # In the last block only what the head reads, before it everything that is not padding.
                positions = torch.unique(wanted) if index == last else flat_valid
                added = rows if self._at == "mlp" and index == self._layer else None
                mlp = self._anatomy.mlps[index]
                stack.enter_context(replaced_forward(mlp, packed(mlp.forward, positions, added)))
                for activation in self._activations[index]:
                    stack.enter_context(replaced_forward(activation, _gelu_new))
            for module in self._same:
                stack.enter_context(replaced_forward(module, self._once(module)))
            for module in self._closing:
                stack.enter_context(replaced_forward(module, packed(module.forward, torch.unique(wanted))))
            out = self._tape.run(hidden, self._start, last)
        read = out.reshape(-1, out.shape[-1])[wanted]  # (reads + alive, d_model)
        logits = self._anatomy.logits(read)
        count = len(self._tokens)
        nll = torch.nn.functional.cross_entropy(logits[:count], self._tokens, reduction="none")
        rewrite = torch.zeros(len(kl), device=hidden.device).index_add(0, self._owners, nll * self._weights)
        return rewrite, logits[count:].log_softmax(-1)

    def _once(self, module: nn.Module) -> Callable[[Tensor], Tensor]:
        """``module`` at the touched token; elsewhere what it gave the first time."""
        original = module.forward

        def forward(hidden: Tensor) -> Tensor:
            kept = self._kept.get(module)
            if kept is None:
                out: Tensor = original(hidden)
                self._kept[module] = out[:, 1:].detach()
                return out
            return torch.cat([original(hidden[:, :1]), kept], dim=1)

        return forward

    def _keep(self, going: Tensor) -> None:
        """Drop the edits that have ended."""
        place = torch.full((len(self._alive),), -1, device=going.device)
        place[going] = torch.arange(len(going), device=going.device)
        steps = torch.arange(self._per_edit, device=going.device)
        rows = (going[:, None] * self._per_edit + steps).reshape(-1)
        self._tape = self._tape.select(rows)
        self._kept = {module: kept[rows] for module, kept in self._kept.items()}

        def moved(pairs: Tensor) -> tuple[Tensor, Tensor]:
            edit = place[pairs[:, 0] // self._per_edit]
            kept = edit >= 0
            row = edit * self._per_edit + pairs[:, 0] % self._per_edit
            return torch.stack([row, pairs[:, 1]], dim=1)[kept], kept

        self._reads, kept = moved(self._reads)
        self._valid, _ = moved(self._valid)
        self._tokens, self._weights = self._tokens[kept], self._weights[kept]
        self._owners = place[self._owners[kept]]
        self._alive = self._alive[going]

    def _refuse_bad(self, alive: list[int], figures: list[float]) -> None:
        bad = [index for index, figure in zip(alive, figures, strict=True) if not abs(figure) < float("inf")]
        if bad:
            edit = self._requests[bad[0]].edit
            raise NumericalError(
                f"the edit {edit.prompt!r} → {edit.target_new!r} has a loss that is not finite; lower v_lr"
            )


class _GeluNew(torch.autograd.Function):
    """transformers' ``gelu_new``: the same operations in the same order, with its derivative written out.

    torch's own tanh gelu rounds otherwise, which the optimisation amplifies fortyfold.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        inner = torch.pow(x, 3.0).mul_(0.044715).add_(x).mul_(GELU_FACTOR).tanh_()
        ctx.save_for_backward(x, inner)
        return 0.5 * x * (1.0 + inner)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        x, inner = ctx.saved_tensors
        slope = (x * x).mul_(3 * 0.044715).add_(1.0).mul_(GELU_FACTOR)
        slope.mul_(1.0 - inner * inner).mul_(x).add_(inner).add_(1.0)
        return slope.mul_(0.5).mul_(gradient)


GELU_FACTOR = math.sqrt(2.0 / math.pi)


def _gelu_new(hidden: Tensor) -> Tensor:
    out: Tensor = _GeluNew.apply(hidden)
    return out
