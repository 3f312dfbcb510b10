"""Does an edit govern a query, as SERAC decides it? By a distance between the two, or by reading both together.

``embed``: p = exp(-scale · ‖f(edit with its answer) - f(query)‖²), with scale 1 in scope where the squared distance is
below ln 2; vectors are not brought to unit length. ``cross``: a sequence classifier reads the pair, and class 0 is in
scope. The most probable edit alone can govern. Published, every stored edit is compared; here the candidates that
recall finds, which for ``cross`` is the difference between one pass and thousands.

Source: SERAC, arXiv:2206.06520, and its published code.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from memory_store.errors import ConfigError, ModelUnavailableError
from scr.language_model import without_bar
from scr.protocols import Candidate, Decision, Judged
from scr.serac.losses import probability

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["embed", "cross"]
Pooling = Literal["cls", "mean"]
CONFIG_FILE, SCHEMA = "scr_serac_scope.json", "scr.serac_scope/1"
THRESHOLD = 0.5
NEAR_MISSES = 5
_BATCH = 64
_KEPT = 100_000
"""Vectors of edits that are kept between decisions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeConfig:
    """What stands beside the weights."""

    kind: Kind = "embed"
    pooling: Pooling = "cls"
    """``embed``: the first token's state, as published, or the mean over tokens, as sentence encoders are trained."""
    scale: float = 1.0
    longest: int = 96
    """Tokens of a text, or of a pair; the longer one loses its beginning, where a query's lead-in stands."""

    def __post_init__(self) -> None:
        for name, choices in (("kind", get_args(Kind)), ("pooling", get_args(Pooling))):
            if getattr(self, name) not in choices:
                raise ConfigError(f"{name} is {getattr(self, name)!r}, wanted one of {', '.join(choices)}")
        if self.scale <= 0 or self.longest < 8:
            raise ConfigError(f"scale is {self.scale} and longest {self.longest}, wanted more than 0 and at least 8")


class SeracScope:
    """``scr.protocols.ScopeClassifier`` with SERAC's classifier; made by ``scr train scope``."""

    name = "serac"
    """Of one loaded from a folder with a hash of its weights: a calibrated threshold belongs to one classifier."""
    folder: Path | None = None
    """Where it was loaded from."""

    def __init__(self, model: Any, tokenizer: Any, config: ScopeConfig, *, threshold: float = THRESHOLD) -> None:
        self.model, self.tokenizer, self.config, self.threshold = model, tokenizer, config, threshold
        self._vectors: dict[str, Tensor] = {}

    @classmethod
    def from_base(cls, base: str | os.PathLike[str], config: ScopeConfig, *, offline: bool = False) -> SeracScope:
        """An untrained one over a Hugging Face encoder.

        Raises:
            ModelUnavailableError: nothing loadable there.
        """
        from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

        options: dict[str, Any] = {"local_files_only": offline, "dtype": "float32"}
        try:
            with without_bar():
                tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=offline)
                if config.kind == "cross":
                    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=2, **options)
                else:
                    model = AutoModel.from_pretrained(base, **options)
        except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ModelUnavailableError(
                f"cannot load the encoder {os.fspath(base)!r} ({reason}); check the name, or give a local folder"
            ) from error
        return cls(model.eval(), tokenizer, config)

    @classmethod
    def from_pretrained(
        cls, folder: str | os.PathLike[str], *, offline: bool = True, threshold: float = THRESHOLD
    ) -> SeracScope:
        """Load what ``save_pretrained`` wrote.

        Raises:
            ModelUnavailableError: the folder holds no such classifier.
        """
        file = Path(folder) / CONFIG_FILE
        try:
            saved = json.loads(file.read_text(encoding="utf-8"))
            if saved.pop("schema") != SCHEMA:
                raise ValueError("another schema")
            config = ScopeConfig(**saved)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelUnavailableError(
                f"{folder} holds no SERAC classifier ({error}); make one: scr train scope --data FILE --out {folder}"
            ) from error
        loaded = cls.from_base(folder, config, offline=offline)
        loaded.threshold, loaded.folder = threshold, Path(folder)
        weights = sorted(Path(folder).glob("*.safetensors"))
        digest = hashlib.sha256(b"".join(hashlib.sha256(part.read_bytes()).digest() for part in weights))
        loaded.name = f"{cls.name}-{digest.hexdigest()[:8]}"
        return loaded

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        with without_bar():
            self.model.save_pretrained(target)
        self.tokenizer.save_pretrained(target)
        content = json.dumps({"schema": SCHEMA, **asdict(self.config)}, indent=2)
        (target / CONFIG_FILE).write_text(content + "\n", encoding="utf-8")

    def decide(self, queries: Sequence[str], candidates: Sequence[Sequence[Candidate]]) -> list[Decision]:
        pairs = [(c.edit.statement, query) for query, found in zip(queries, candidates, strict=True) for c in found]
        probabilities = iter(self.probabilities(pairs))
        return [self._decision([Judged(c.edit, next(probabilities)) for c in found]) for found in candidates]

    def probabilities(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """That an edit, given by its statement, governs a query, for each pair; each on its own."""
        import torch

        if not pairs:
            return []
        with torch.inference_mode():
            if self.config.kind == "cross":
                parts = [self.crossed(pairs[i : i + _BATCH]) for i in range(0, len(pairs), _BATCH)]
                return [float(p) for part in parts for p in part]
            missing = [s for s in dict.fromkeys(s for s, _ in pairs) if s not in self._vectors]
            if len(self._vectors) + len(missing) > _KEPT:
                self._vectors.clear()
                missing = list(dict.fromkeys(s for s, _ in pairs))
            self._vectors |= self._encoded(missing)
            queries = self._encoded(list(dict.fromkeys(query for _, query in pairs)))
            edits = torch.stack([self._vectors[statement] for statement, _ in pairs])
            asked = torch.stack([queries[query] for _, query in pairs])
            return [float(p) for p in self.near(edits, asked)]

    def near(self, edits: Tensor, queries: Tensor) -> Tensor:
        """Probabilities from vectors, row by row."""
        return probability((edits - queries).square().sum(-1), self.config.scale)

    def vectors(self, texts: Sequence[str]) -> Tensor:
        """Not of unit length, shape (texts, width)."""
        batch = self._tokens(texts, None)
        states = self.model(**batch).last_hidden_state  # (texts, tokens, width)
        if self.config.pooling == "cls":
            return states[:, 0]
        mask = batch["attention_mask"][..., None].to(states.dtype)
        return (states * mask).sum(1) / mask.sum(1)

    def crossed(self, pairs: Sequence[tuple[str, str]]) -> Tensor:
        """Probabilities of class 0, shape (pairs,)."""
        batch = self._tokens([statement for statement, _ in pairs], [query for _, query in pairs])
        return self.model(**batch).logits.softmax(-1)[:, 0]

    def _tokens(self, texts: Sequence[str], others: Sequence[str] | None) -> Any:
        self.tokenizer.truncation_side = "left"
        options = {"padding": True, "truncation": True, "max_length": self.config.longest, "return_tensors": "pt"}
        # Of a pair the longer one is cut first, so that neither can leave no room for the other.
        batch = self.tokenizer(list(texts), None if others is None else list(others), **options)
        return batch.to(self.model.device)

    def _encoded(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """One vector a text; texts of about one length together."""
        ordered = sorted(texts, key=len)
        found: dict[str, Tensor] = {}
        for start in range(0, len(ordered), _BATCH):
            part = ordered[start : start + _BATCH]
            found |= zip(part, self.vectors(part), strict=True)
        return found

    def _decision(self, judged: Sequence[Judged]) -> Decision:
        ranked = tuple(sorted(judged, key=lambda j: (-j.probability, j.edit.edit_id)))
        cut = 1 if ranked and ranked[0].probability > self.threshold else 0
        return Decision(ranked[:cut], ranked[cut : cut + NEAR_MISSES], self.threshold)


__all__ = ["CONFIG_FILE", "ScopeConfig", "SeracScope"]
