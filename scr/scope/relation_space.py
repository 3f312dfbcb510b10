"""Do two wordings ask for the same, whatever words they use?

A relation is a text with its subject taken out ("Where did X pass away?"). Its key says what the text is like: question
or cloze, long or short, formal or not, and what it asks for. The space keeps the last: a small network, learnt from
wordings that are known to ask for the same and for different things, takes keys to points where only that counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class RelationSpace:
    """point(k) = unit(k S + tanh(k V) U)."""

    straight: Array
    """S, shape (d_key, d)."""
    inner: Array
    """V, shape (d_key, hidden)."""
    outer: Array
    """U, shape (hidden, d)."""

    def points(self, keys: Array) -> Array:
        """Return unit rows, shape (n, d), of keys, shape (n, d_key)."""
        found = keys @ self.straight + np.tanh(keys @ self.inner) @ self.outer
        unit: Array = found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)
        return unit

    def near(self, asked: Array, stated: Array) -> NDArray[np.float64]:
        """Return the cosine of each pair of rows as points, shape (n,)."""
        return np.einsum("nd,nd->n", self.points(asked), self.points(stated)).astype(np.float64)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """As 16-bit numbers, for a file."""
        return {
            "straight": self.straight.astype(np.float16),
            "inner": self.inner.astype(np.float16),
            "outer": self.outer.astype(np.float16),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> RelationSpace:
        return cls(*(arrays[name].astype(np.float32) for name in ("straight", "inner", "outer")))


def learn(
    keys: Array,
    asked: NDArray[np.int64],
    stated: NDArray[np.int64],
    same: NDArray[np.bool_],
    weight: NDArray[np.float64],
    *,
    seed: int,
    dimensions: int = 96,
    hidden: int = 128,
    steps: int = 1200,
    batch: int = 512,
) -> RelationSpace:
    """Learn a space in which wordings that ask for the same come near.

    Logistic regression on a scaled cosine, over the given pairs and over pairs put together within a batch, of which
    those whose keys lie near are left out because they may well ask for the same.

    Args:
        keys: unit rows, shape (texts, d_key).
        asked: of each pair, the row of the wording that asks; shape (pairs,), as are the others.
        stated: the row of the wording that it is compared with.
        same: whether the two ask for the same.
        weight: how much a pair counts.
    """
    import torch
    from torch.nn import functional as F

    random = torch.Generator().manual_seed(seed)
    table = torch.from_numpy(np.ascontiguousarray(keys, np.float32))
    d_key = table.shape[1]
    centred = table[torch.randperm(len(table), generator=random)[:20_000]]
    _, _, axes = torch.linalg.svd(centred - centred.mean(0), full_matrices=False)
    straight = axes[:dimensions].T.clone().contiguous().requires_grad_()
    inner = (2 * torch.randn(d_key, hidden, generator=random)).requires_grad_()
    outer = torch.zeros(hidden, dimensions).requires_grad_()
    scale, shift = torch.tensor(8.0, requires_grad=True), torch.tensor(-4.0, requires_grad=True)
    parts = [straight, inner, outer]
    optimiser = torch.optim.AdamW(
        [{"params": parts, "weight_decay": 0.02}, {"params": [scale, shift], "weight_decay": 0.0}], lr=3e-3
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=3e-3, total_steps=steps, pct_start=0.1)
    a, b = torch.from_numpy(asked.astype(np.int64)), torch.from_numpy(stated.astype(np.int64))
    y, w = torch.from_numpy(same.astype(np.float32)), torch.from_numpy(weight.astype(np.float32))
    right, wrong = torch.nonzero(y > 0)[:, 0], torch.nonzero(y == 0)[:, 0]

    def drawn(rows: torch.Tensor, count: int) -> torch.Tensor:
        return rows[torch.multinomial(w[rows], count, replacement=True, generator=random)]

    def points(rows: torch.Tensor) -> torch.Tensor:
        x = table[rows] + 0.01 * torch.randn(len(rows), d_key, generator=random)
        return F.normalize(x @ straight + torch.tanh(x @ inner) @ outer, dim=1)

    for _ in range(steps):
        yes, no = drawn(right, batch // 2), drawn(wrong, batch // 2)
        pairs = torch.cat([yes, no])
        of_asked, of_stated = points(a[pairs]), points(b[pairs])
        loss = F.binary_cross_entropy_with_logits(scale * (of_asked * of_stated).sum(1) + shift, y[pairs])
        # Every asking wording of the batch against what the others' edits state.
        across = scale * of_asked[: len(yes)] @ of_stated[: len(yes)].T + shift
        unlike = (table[b[yes]] @ table[b[yes]].T < 0.5) & (table[a[yes]] @ table[b[yes]].T < 0.6)
        loss = loss + 2 * F.softplus(across[unlike]).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return RelationSpace(*(part.detach().numpy().astype(np.float16).astype(np.float32) for part in parts))


__all__ = ["RelationSpace", "learn"]
