"""What do all weight editors share? Applying batches, taking them back, answering, and leaving the model as it was.

An editor is an ``scr.protocols.Editor``: ``edit`` writes one batch, several calls are sequential editing. ``forget``
restores the base weights and applies the remaining edits again, batch by batch in their order; this costs what editing
them cost. Nothing lives outside the object.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from eval.editors.anatomy import Anatomy, dissect
from eval.editors.forms import RAW, Form
from eval.editors.lessons import Lesson, lesson
from eval.editors.replay import frozen
from eval.editors.weights import EditedWeights
from eval.forced import row_likelihood
from memory_store.edit import Edit, PutResult, PutStatus
from memory_store.errors import EditNotFoundError
from scr.language_model import HFLanguageModel
from scr.protocols import Answer

logger = logging.getLogger("scr")

Progress = Callable[[int, int], None]
"""Called with edits done and edits in all."""


Row = tuple[Sequence[int], Sequence[int]]
"""Token ids of a prompt and of an answer to it."""

Adjust = Callable[[str, Tensor, Tensor], Tensor]
"""Parameter name, change, and the weight before it, to the change that stays."""


class WeightEditor(ABC):
    """Writes batches of edits into a model.

    A failing batch leaves the model as it was before that batch. Subclasses implement ``write_batch`` and, where they
    keep something between batches, ``_state`` and ``_set_state``.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        projection: str | None = None,
        max_new_tokens: int = 20,
        form: Form = RAW,
    ) -> None:
        """``form`` is how edits are written; ``answer`` and ``log_likelihood`` take texts as they come."""
        self.model = model
        self.tokenizer = tokenizer
        self.form = form
        self.anatomy: Anatomy = dissect(model, projection=projection)
        self.weights = EditedWeights(model)
        self.language_model = HFLanguageModel(model, tokenizer)
        self.max_new_tokens = max_new_tokens
        self.progress: Progress | None = None
        self.adjust: Adjust | None = None
        """Reshapes what a batch changed, once it is written whole (RECT)."""
        self._batches: list[tuple[Edit, ...]] = []
        self._fresh = self._state()

    @abstractmethod
    def write_batch(self, edits: Sequence[Edit]) -> None:
        """Write this batch with ``write_change``, on top of the weights as they are now.

        Raises:
            ConfigError: an edit or a setting is unusable.
            NumericalError: no finite answer.
        """

    def lesson(self, edit: Edit, end_token: bool) -> Lesson:
        """An edit to train on, in this editor's form; ``end_token`` is what the method's own settings say."""
        return lesson(self.tokenizer, edit, end_token=end_token or self.form.ends, form=self.form)

    def write_change(self, name: str, change: Tensor) -> None:
        """Add a change (the parameter's layout) to ``self.weights``."""
        self.weights.add({name: change.float()})

    def _state(self) -> Mapping[str, Tensor]:
        """What is kept between batches, by name; later batches do not change these tensors."""
        return {}

    def _set_state(self, state: Mapping[str, Tensor]) -> None:  # noqa: B027 - most editors keep nothing
        """Go back to what ``_state`` gave."""

    @property
    def edits(self) -> tuple[Edit, ...]:
        """All that is written, in order."""
        return tuple(edit for batch in self._batches for edit in batch)

    def edit(self, edits: Sequence[Edit]) -> list[PutResult]:
        """Write one batch. An edit that is already there, under the same ``edit_id``, is a duplicate."""
        known = {edit.edit_id: edit for edit in self.edits}
        results: list[PutResult] = []
        batch: list[Edit] = []
        for edit in edits:
            if not edit.edit_id:
                free = next(f"e{number}" for number in count(len(known)) if f"e{number}" not in known)
                edit = replace(edit, edit_id=free)
            if edit.edit_id in known:
                same = known[edit.edit_id] == edit
                status: PutStatus = "duplicate" if same else "conflict"
                reason = f"{edit.edit_id} is written already" + (
                    "" if same else ", with other content; forget it first"
                )
                results.append(PutResult(status=status, edit=known[edit.edit_id] if same else edit, reason=reason))
                continue
            known[edit.edit_id] = edit
            batch.append(edit)
            results.append(PutResult(status="added", edit=edit))
        if batch:
            self._apply(tuple(batch))
        return results

    def forget(self, edit_ids: Sequence[str]) -> None:
        """Restore the base weights and write the remaining edits again.

        Raises:
            EditNotFoundError: an id is not written.
        """
        gone = set(edit_ids)
        unknown = gone - {edit.edit_id for edit in self.edits}
        if unknown:
            raise EditNotFoundError(f"no edit {sorted(unknown)[0]!r} is written in this model")
        if not gone:
            return
        before = self._batches, self.weights.snapshot(), self._state()
        remaining = [tuple(e for e in batch if e.edit_id not in gone) for batch in self._batches]
        try:
            self.restore()
            for batch in remaining:
                if batch:
                    self._apply(batch)
        except BaseException:
            self._batches = before[0]
            self.weights.rollback(before[1])
            self._set_state(before[2])
            raise

    def restore(self) -> None:
        """Forget everything: the base weights, bit for bit."""
        self.weights.restore()
        self._batches = []
        self._set_state(self._fresh)

    def _apply(self, batch: tuple[Edit, ...]) -> None:
        snapshot, state = self.weights.snapshot(), self._state()
        try:
            with frozen(self.model):
                self.write_batch(batch)
            if self.adjust is not None:
                self._reshape(self.adjust, snapshot)
        except BaseException:
            self.weights.rollback(snapshot)
            self._set_state(state)
            raise
        self._batches.append(batch)

    def _reshape(self, adjust: Adjust, before: Mapping[str, Tensor]) -> None:
        """Put ``adjust``'s answer in the place of what this batch changed."""
        after = self.weights.snapshot()
        self.weights.rollback(before)
        changes = {name: delta - before[name] if name in before else delta for name, delta in after.items()}
        self.weights.add({name: adjust(name, c, self.weights.current(name)) for name, c in changes.items()})

    def answer(self, prompts: Sequence[str]) -> list[Answer]:
        """Greedy continuations of the edited model. Weight edits do not say which of them spoke: ``used`` is empty."""
        texts = self.language_model.generate(prompts, max_new_tokens=self.max_new_tokens)
        return [Answer(text=text.strip(), route="base") for text in texts]

    def log_likelihood(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, int, bool]]:
        """As ``scr.protocols.LanguageModel``, teacher-forced, by the edited model."""
        return self.language_model.log_likelihood(pairs)

    def row_likelihood(self, rows: Sequence[Row]) -> list[tuple[float, int, bool]]:
        """As ``log_likelihood``, of answers that are tokens already."""
        return row_likelihood(self.model, rows)

    def save_deltas(self, path: Path) -> None:
        """Write the deltas as safetensors, each under its parameter's own name."""
        self.weights.save(path, {"method": type(self).__name__, "edits": str(len(self.edits))})

    @property
    def full_deltas(self) -> Mapping[str, Tensor]:
        """Deltas from which the next batch goes on."""
        return self.weights.deltas

    @property
    def state(self) -> Mapping[str, Tensor]:
        """What is kept between batches besides the weights, by name."""
        return self._state()

    def resume(
        self, batches: Sequence[Sequence[Edit]], deltas: Mapping[str, Tensor], state: Mapping[str, Tensor]
    ) -> None:
        """Stand where an earlier editor stood after ``batches``: its ``full_deltas`` and ``state``."""
        self.restore()
        self.weights.replace(deltas)
        self._set_state(state)
        self._batches = [tuple(batch) for batch in batches]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.restore()
