"""How does a method that only reshapes another's changes become an editor? It holds the host and passes calls on."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from eval.editors.base import Row, WeightEditor
from eval.editors.weights import EditedWeights
from memory_store.edit import Edit, PutResult
from scr.protocols import Answer


class WrappedEditor:
    """Base of RECT and PRUNE; an ``scr.protocols.Editor``."""

    def __init__(self, host: WeightEditor) -> None:
        self.host = host

    @property
    def model(self) -> Any:
        return self.host.model

    @property
    def tokenizer(self) -> Any:
        return self.host.tokenizer

    @property
    def weights(self) -> EditedWeights:
        return self.host.weights

    @property
    def edits(self) -> tuple[Edit, ...]:
        """All that is written, in order."""
        return self.host.edits

    def edit(self, edits: Sequence[Edit]) -> list[PutResult]:
        return self.host.edit(edits)

    def forget(self, edit_ids: Sequence[str]) -> None:
        self.host.forget(edit_ids)

    def restore(self) -> None:
        """Forget everything: the base weights, bit for bit."""
        self.host.restore()

    def answer(self, prompts: Sequence[str]) -> list[Answer]:
        return self.host.answer(prompts)

    def log_likelihood(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, int, bool]]:
        return self.host.log_likelihood(pairs)

    def row_likelihood(self, rows: Sequence[Row]) -> list[tuple[float, int, bool]]:
        return self.host.row_likelihood(rows)

    def save_deltas(self, path: Path) -> None:
        """Write the deltas as safetensors, each under its parameter's own name."""
        self.host.weights.save(path, {"method": type(self).__name__, "edits": str(len(self.edits))})

    @property
    def full_deltas(self) -> Mapping[str, Tensor]:
        """Deltas from which the next batch goes on."""
        return self.host.full_deltas

    @property
    def state(self) -> Mapping[str, Tensor]:
        """What is kept between batches besides the weights, by name."""
        return self.host.state

    def resume(
        self, batches: Sequence[Sequence[Edit]], deltas: Mapping[str, Tensor], state: Mapping[str, Tensor]
    ) -> None:
        """Stand where an earlier editor stood after ``batches``: its ``full_deltas`` and ``state``."""
        self.host.resume(batches, deltas, state)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.restore()
