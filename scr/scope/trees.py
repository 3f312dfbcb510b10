"""How are boosted trees stored and evaluated without the library that grew them?

A model is a few flat arrays: the nodes of all trees one after another, children as node numbers. Rows of the input are
pairs, columns are evidence; NaN goes where the tree learnt to send what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
_ROWS = 32
"""Rows that go down the trees together: as many as stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Trees:
    """A boosted ensemble for one log-odds. ``left == own number`` marks a leaf."""

    baseline: float
    roots: NDArray[np.int32]
    """Shape (trees,)."""
    column: NDArray[np.int16]
    """Shape (nodes,), as are the arrays below."""
    threshold: NDArray[np.float64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    missing_left: NDArray[np.bool_]
    value: NDArray[np.float64]
    """Of a leaf; 0 elsewhere."""
    depth: int
    _children: NDArray[np.intp] = field(init=False, repr=False)
    """Right and left child of each node in turn, shape (2 nodes,)."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_children", np.stack([self.right, self.left], axis=1).ravel().astype(np.intp))

    def margins(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the log-odds of each row, shape (rows,), as scikit-learn's but with 32-bit leaves (1e-6)."""
        if not len(rows):
            return np.zeros(0)
        # Thresholds have 32 bits: a value that equals one must have no more.
        rows = rows.astype(np.float32).astype(np.float64)
        # Beside each row the same with what is missing below every threshold: so it goes left, and NaN right.
        both = np.concatenate([rows, np.where(np.isnan(rows), -np.inf, rows)], axis=1)
        column = self.column + self.missing_left * np.intp(rows.shape[1])
        total: NDArray[np.float64] = np.concatenate(
            [self._down(both[start : start + _ROWS], column) for start in range(0, len(both), _ROWS)]
        )
        return total

    def _down(self, rows: NDArray[np.float64], column: NDArray[np.intp]) -> NDArray[np.float64]:
        values = rows.ravel()
        first = np.arange(0, rows.size, rows.shape[1])[:, None]  # of each row
        at = np.tile(self.roots.astype(np.intp), (len(rows), 1))  # (rows, trees)
        for _ in range(self.depth):
            goes_left = values.take(column.take(at) + first) <= self.threshold.take(at)
            at = self._children.take(2 * at + goes_left)
        total: NDArray[np.float64] = self.baseline + self.value.take(at).sum(1)
        return total

    def arrays(self) -> dict[str, Array]:
        """The model as named arrays, for a file: children as distances, thresholds and values as 32-bit numbers."""
        own = np.arange(len(self.column))
        if max((self.right - own).max(), (self.left - own).max(), self.column.max()) > 255:
            raise ValueError("a tree of more than 255 nodes, or more than 255 columns, does not fit the file")
        return {
            "baseline": np.array([self.baseline]),
            "roots": self.roots,
            "column": self.column.astype(np.uint8),
            "threshold": self.threshold.astype(np.float32),
            "left": (self.left - own).astype(np.uint8),
            "right": (self.right - own).astype(np.uint8),
            "missing_left": self.missing_left.astype(np.uint8),
            "value": self.value.astype(np.float32),
            "depth": np.array([self.depth], np.int32),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Trees:
        own = np.arange(len(arrays["column"]), dtype=np.int32)
        return cls(
            baseline=float(arrays["baseline"][0]),
            roots=arrays["roots"],
            column=arrays["column"].astype(np.int16),
            threshold=arrays["threshold"].astype(np.float64),
            left=own + arrays["left"],
            right=own + arrays["right"],
            missing_left=arrays["missing_left"].astype(bool),
            value=arrays["value"].astype(np.float64),
            depth=int(arrays["depth"][0]),
        )

    @classmethod
    def mean(cls, several: Sequence[Trees]) -> Trees:
        """One ensemble whose log-odds are the mean of theirs."""
        first = np.cumsum([0, *(len(t.column) for t in several)])
        share = 1 / len(several)
        return cls(
            baseline=share * sum(t.baseline for t in several),
            roots=np.concatenate([t.roots + f for t, f in zip(several, first, strict=False)]).astype(np.int32),
            column=np.concatenate([t.column for t in several]),
            threshold=np.concatenate([t.threshold for t in several]),
            left=np.concatenate([t.left + f for t, f in zip(several, first, strict=False)]).astype(np.int32),
            right=np.concatenate([t.right + f for t, f in zip(several, first, strict=False)]).astype(np.int32),
            missing_left=np.concatenate([t.missing_left for t in several]),
            value=np.concatenate([share * t.value for t in several]),
            depth=max(t.depth for t in several),
        )

    @classmethod
    def from_sklearn(cls, model: Any) -> Trees:
        """Take over a fitted binary ``HistGradientBoostingClassifier`` without categorical columns."""
        roots, parts, first = [], [], 0
        for (tree,) in model._predictors:
            nodes = tree.nodes
            own = np.arange(len(nodes), dtype=np.int32)
            leaf = nodes["is_leaf"].astype(bool)
            parts.append(
                (
                    np.where(leaf, 0, nodes["feature_idx"]).astype(np.int16),
                    np.where(leaf, np.inf, nodes["num_threshold"].astype(np.float32)),
                    np.where(leaf, own, nodes["left"]).astype(np.int32) + first,
                    np.where(leaf, own, nodes["right"]).astype(np.int32) + first,
                    nodes["missing_go_to_left"].astype(bool),
                    np.where(leaf, nodes["value"], 0.0).astype(np.float32),
                    int(nodes["depth"].max()),
                )
            )
            roots.append(first)
            first += len(nodes)
        column, threshold, left, right, missing_left, value, depths = zip(*parts, strict=True)
        return cls(
            baseline=float(np.ravel(model._baseline_prediction)[0]),
            roots=np.array(roots, np.int32),
            column=np.concatenate(column),
            threshold=np.concatenate(threshold).astype(np.float64),
            left=np.concatenate(left),
            right=np.concatenate(right),
            missing_left=np.concatenate(missing_left),
            value=np.concatenate(value).astype(np.float64),
            depth=max(depths),
        )


__all__ = ["Trees"]
