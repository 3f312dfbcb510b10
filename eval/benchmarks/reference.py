"""The published way to optimise a value: one edit at a time, every block, all positions, the head everywhere.

Kept to be measured and compared against (``eval.benchmarks.editors`` and the tests); editors use
``eval.editors.values``.
"""

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from eval.editors.anatomy import Anatomy
from eval.editors.subjects import Request
from eval.editors.values import STOP_LOSS, Values, ValueSettings


def reference_value_optimisation(
    anatomy: Anatomy,
    requests: Sequence[Request],
    layer: int,
    settings: ValueSettings,
    *,
    at: Literal["block", "mlp"] = "block",
) -> Values:
    """As ``optimised_values``, edit by edit with torch's Adam. Source: MEMIT, arXiv:2210.07229."""
    for parameter in anatomy.model.parameters():
        parameter.requires_grad_(False)
    found = [_one(anatomy, request, layer, settings, at) for request in requests]
    initial, deltas, losses = zip(*found, strict=True)
    return Values(torch.stack(initial), torch.stack(deltas), tuple(losses))


def _one(
    anatomy: Anatomy, request: Request, layer: int, settings: ValueSettings, at: str
) -> tuple[Tensor, Tensor, tuple[float, ...]]:
    rows = [*request.rows, request.kl]
    width = max(len(row.ids) for row in rows)
    ids = torch.tensor([[*row.ids, *[0] * (width - len(row.ids))] for row in rows], device=anatomy.device)
    mask = torch.tensor([[1] * len(row.ids) + [0] * (width - len(row.ids)) for row in rows], device=anatomy.device)
    lookup = [row.subject_last for row in rows]
    delta = torch.zeros(anatomy.projections[layer].d_model, device=anatomy.device, requires_grad=True)
    initial: list[Tensor] = []

    def add(_module: Any, _inputs: Any, out: Any) -> Any:
        given = out[0] if isinstance(out, tuple) else out
        hidden = given.reshape(len(rows), width, -1).clone()
        if not initial:
            initial.append(hidden[0, lookup[0]].detach().float())
        for row, position in enumerate(lookup):
            hidden[row, position] = (hidden[row, position].float() + delta).to(hidden.dtype)
        hidden = hidden.reshape(given.shape)
        return (hidden, *out[1:]) if isinstance(out, tuple) else hidden

    module = anatomy.blocks[layer] if at == "block" else anatomy.mlps[layer]
    optimizer = torch.optim.Adam([delta], lr=settings.v_lr)
    before: Tensor | None = None
    losses: list[float] = []
    for step in range(settings.v_num_grad_steps):
        optimizer.zero_grad()
        handle = module.register_forward_hook(add)
        try:
            logits = anatomy.model(input_ids=ids, attention_mask=mask, use_cache=False).logits.float()
        finally:
            handle.remove()
        scores = logits.log_softmax(-1)  # (rows, tokens, vocabulary)
        distribution = scores[-1, lookup[-1]]
        if before is None:
            before = distribution.detach()
        rewrite = torch.zeros((), device=anatomy.device)
        for row in range(len(rows) - 1):
            start = len(rows[row].ids) - len(request.target)
            for offset, token in enumerate(request.target):
                rewrite = rewrite - scores[row, start + offset, token] / len(request.target)
        loss = (
            rewrite / (len(rows) - 1)
            + settings.kl_factor * (distribution.exp() * (distribution - before)).sum()
            + settings.v_weight_decay * delta.norm() / initial[0].norm() ** 2
        )
        losses.append(float(loss.detach()))
        if losses[-1] < STOP_LOSS or step == settings.v_num_grad_steps - 1:
            break
        loss.backward()
        optimizer.step()
        most = settings.clamp_norm_factor * initial[0].norm()
        with torch.no_grad():
            if delta.norm() > most:
                delta.mul_(most / delta.norm())
    return initial[0], delta.detach().clone(), tuple(losses)
