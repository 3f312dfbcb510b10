"""How are boosted trees stored and evaluated without the library that grew them?

A model is a few flat arrays: the nodes of all trees one after another, children as node numbers. Rows of the input are
pairs, columns are evidence; NaN goes where the tree learnt to send what is missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


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

    def margins(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the log-odds of each row, shape (rows,), equal to scikit-learn's to 1e-12."""
        if not len(rows):
            return np.zeros(0)
        at = np.broadcast_to(self.roots, (len(rows), len(self.roots)))  # (rows, trees)
        row = np.arange(len(rows))[:, None]
        missing = np.isnan(rows)
        for _ in range(self.depth):
            columns = self.column[at]
            goes_left = rows[row, columns] <= self.threshold[at]  # False for NaN
            goes_left |= missing[row, columns] & self.missing_left[at]
            at = np.where(goes_left, self.left[at], self.right[at])
        total: NDArray[np.float64] = self.baseline + self.value[at].sum(1)
        return total

    def arrays(self) -> dict[str, Array]:
        """The model as named arrays, for a file."""
        return {
            "baseline": np.array([self.baseline]),
            "roots": self.roots,
            "column": self.column,
            "threshold": self.threshold,
            "left": self.left,
            "right": self.right,
            "missing_left": self.missing_left.astype(np.uint8),
            "value": self.value,
            "depth": np.array([self.depth], np.int32),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Trees:
        return cls(
            baseline=float(arrays["baseline"][0]),
            roots=arrays["roots"],
            column=arrays["column"],
            threshold=arrays["threshold"],
            left=arrays["left"],
            right=arrays["right"],
            missing_left=arrays["missing_left"].astype(bool),
            value=arrays["value"],
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
                    np.where(leaf, np.inf, nodes["num_threshold"]),
                    np.where(leaf, own, nodes["left"]).astype(np.int32) + first,
                    np.where(leaf, own, nodes["right"]).astype(np.int32) + first,
                    nodes["missing_go_to_left"].astype(bool),
                    np.where(leaf, nodes["value"], 0.0),
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
