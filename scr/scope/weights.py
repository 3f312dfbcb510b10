"""What was learnt, and from which rows? One safetensors file: trees, word weights, calibration, a table of the rows.

The table holds a 64-bit hash of every query the weights were trained on and the fold it was left out of, so that an
evaluation can tell whether it would score on training rows, and judge such a row by the trees that never saw it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memory_store.errors import ModelUnavailableError
from scr.scope.features import NAMES, WordWeights
from scr.scope.relation_space import RelationSpace
from scr.scope.trees import Trees

SHIPPED = Path(__file__).with_name("pair.safetensors")
FINAL = "final"
LEXICAL = "lexical"
"""Trees that use no evidence from keys, for any other encoder than the one trained with."""


@dataclass(frozen=True, slots=True)
class Judge:
    """Trees with their calibration and threshold."""

    trees: Trees
    margins: NDArray[np.float64]
    """Log-odds at which the calibration curve has its corners, increasing."""
    probabilities: NDArray[np.float64]
    threshold: float
    """The calibrated probability from which an edit is in scope."""
    space: RelationSpace | None = None
    """Where the evidence ``near_relation`` is measured; none for trees that use no keys."""

    def probability(self, margins: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrated probabilities, shape of ``margins``, never decreasing with them."""
        return np.interp(margins, self.margins, self.probabilities)


@dataclass(frozen=True)
class Weights:
    """Everything the pair classifier learnt."""

    judges: Mapping[str, Judge]
    """``final``, ``lexical``, and ``fold0`` … for the cross-fitted evaluation."""
    word_weights: Mapping[str, float]
    encoder: str
    """Fingerprint of the encoder trained with."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """How they were made: seed, data, figures; JSON."""
    seen: NDArray[np.uint64] = field(default_factory=lambda: np.zeros(0, np.uint64))
    """Sorted ``query_hash`` of each training query."""
    fold: NDArray[np.uint8] = field(default_factory=lambda: np.zeros(0, np.uint8))
    """The fold each was left out of."""
    word_vectors: NDArray[np.int8] = field(default_factory=lambda: np.zeros((0, 0), np.int8))
    """A direction for each word of ``word_weights``, in their sorted order; shape (words, dimensions) or none."""

    @cached_property
    def weigh(self) -> WordWeights:
        vectors = self.word_vectors.astype(np.float32)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        return WordWeights(self.word_weights, dict(zip(sorted(self.word_weights), vectors, strict=False)))

    def fold_of(self, queries: Sequence[str]) -> NDArray[np.int64]:
        """Return the fold that never saw each query, -1 for a query that was in no training row."""
        hashes = np.array([query_hash(q) for q in queries], np.uint64)
        at = np.searchsorted(self.seen, hashes).clip(0, max(len(self.seen) - 1, 0))
        if not len(self.seen):
            return np.full(len(hashes), -1)
        return np.where(self.seen[at] == hashes, self.fold[at].astype(np.int64), -1)

    def save(self, file: Path) -> None:
        """Write one safetensors file."""
        from safetensors.numpy import save_file

        words = sorted(self.word_weights)
        arrays: dict[str, NDArray[Any]] = {
            "words": np.frombuffer("\n".join(words).encode(), np.uint8),
            "word_weights": np.array([self.word_weights[w] for w in words], np.float32),
            "word_vectors": self.word_vectors,
            "seen": self.seen,
            "fold": self.fold,
        }
        for name, judge in self.judges.items():
            arrays |= {f"{name}.trees.{part}": array for part, array in judge.trees.arrays().items()}
            if judge.space is not None:
                arrays |= {f"{name}.space.{part}": array for part, array in judge.space.arrays().items()}
            arrays[f"{name}.margins"] = judge.margins
            arrays[f"{name}.probabilities"] = judge.probabilities
            arrays[f"{name}.threshold"] = np.array([judge.threshold])
        about = {"evidence": list(NAMES), "encoder": self.encoder, "judges": list(self.judges), "facts": self.facts}
        save_file({k: np.ascontiguousarray(v) for k, v in arrays.items()}, str(file), {"about": json.dumps(about)})

    @classmethod
    def load(cls, file: Path = SHIPPED) -> Weights:
        """Read what ``save`` wrote.

        Raises:
            ModelUnavailableError: no such file, damaged, or made for other evidence than this version gathers.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(str(file), "numpy") as opened:
                about = json.loads(opened.metadata()["about"])
                arrays = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        except (OSError, SafetensorError, KeyError, ValueError, TypeError) as error:
            raise ModelUnavailableError(f"cannot read the pair classifier's weights in {file}: {error}") from error
        if about["evidence"] != list(NAMES):
            raise ModelUnavailableError(
                f"{file} was trained on other evidence than this version gathers; train again: "
                "python -m scr.scope.train --data DIR"
            )

        def under(prefix: str) -> dict[str, NDArray[Any]]:
            return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}

        judges = {}
        for name in about["judges"]:
            space = under(f"{name}.space.")
            judges[name] = Judge(
                Trees.from_arrays(under(f"{name}.trees.")),
                arrays[f"{name}.margins"],
                arrays[f"{name}.probabilities"],
                float(arrays[f"{name}.threshold"][0]),
                RelationSpace.from_arrays(space) if space else None,
            )
        words = arrays["words"].tobytes().decode().split("\n")
        word_weights = dict(zip(words, arrays["word_weights"].astype(float).tolist(), strict=True))
        return cls(
            judges,
            word_weights,
            about["encoder"],
            about["facts"],
            arrays["seen"],
            arrays["fold"],
            arrays["word_vectors"],
        )


def query_hash(query: str) -> int:
    """64 bits of SHA-256 over the text with its white space made single."""
    return int.from_bytes(hashlib.sha256(" ".join(query.split()).encode("utf-8", "replace")).digest()[:8], "little")


__all__ = ["FINAL", "LEXICAL", "SHIPPED", "Judge", "Weights", "query_hash"]
