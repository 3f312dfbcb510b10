"""What are the keys of edits at a layer, and how far is the model from their values? Measured on the current weights.

Each sentence is cut at the subject's last token, since nothing later can reach it. Blocks below the first edited layer
run once per batch; after a layer was written, the state goes on from there.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from eval.editors.anatomy import Anatomy
from eval.editors.replay import Tape, record
from eval.editors.subjects import Request, Templates, template_weights


class KeyTape:
    """Keys and current values of a batch of edits, layer by layer from the first edited one.

    Layers are visited in ascending order: ``keys(layer)`` may be called again for one layer, never for a lower one.
    """

    def __init__(self, anatomy: Anatomy, batch: Sequence[Request], templates: Templates, first: int) -> None:
        self._anatomy = anatomy
        self._weights = torch.tensor(template_weights(templates), device=anatomy.device)
        self._per_edit = len(self._weights)
        rows = [row for request in batch for row in request.prompts]
        # Sentences of like length together, so that little padding is computed.
        self._order = sorted(range(len(rows)), key=lambda i: rows[i].subject_last)
        self._parts: list[tuple[list[int], Tape, Tensor, Tensor]] = []
        for start in range(0, len(rows), ROWS_AT_ONCE):
            part = self._order[start : start + ROWS_AT_ONCE]
            tape = record(anatomy, [rows[i].cut for i in part], first)
            last = torch.tensor([rows[i].subject_last for i in part], device=anatomy.device)
            self._parts.append((part, tape, tape.hidden, last))
        self._at = first
        self._edits = len(batch)

    def keys(self, layer: int) -> Tensor:
        """Template-averaged keys, shape (edits, d_key), float32, with the weights as they are now."""
        found = self.row_keys(layer)
        return torch.einsum("ntd,t->nd", found.view(self._edits, self._per_edit, -1), self._weights)

    def row_keys(self, layer: int) -> Tensor:
        """Key of every sentence, edit by edit, shape (edits · templates, d_key), float32."""
        self._advance(layer)
        projection = self._anatomy.projections[layer]
        found = torch.empty(self._edits * self._per_edit, projection.d_key, device=self._anatomy.device)
        for part, tape, hidden, last in self._parts:
            found[part] = _projection_input(tape, hidden, layer)[torch.arange(len(part)), last].float()
        return found

    def values(self, layer: int) -> Tensor:
        """Output of block ``layer`` at the subject in the plain prompts, shape (edits, d_model), float32."""
        found = torch.empty(self._edits, self._anatomy.projections[layer].d_model, device=self._anatomy.device)
        for part, tape, hidden, last in self._parts:
            plain = [index for index, row in enumerate(part) if row % self._per_edit == 0]
            if not plain:
                continue
            with torch.no_grad():
                rows = torch.tensor(plain, device=hidden.device)
                out = tape.select(rows).run(hidden[rows], self._at, layer)
            edits = torch.tensor([part[index] // self._per_edit for index in plain])
            found[edits] = out[torch.arange(len(plain)), last[rows]].float()
        return found

    def _advance(self, layer: int) -> None:
        """Run the blocks below ``layer`` that were not run yet, with the weights as they are now."""
        assert layer >= self._at, "layers are visited in ascending order"
        if layer == self._at:
            return
        with torch.no_grad():
            self._parts = [(part, tape, tape.run(h, self._at, layer - 1), last) for part, tape, h, last in self._parts]
        self._at = layer


ROWS_AT_ONCE = 256
"""Sentences per pass; a cut sentence is a few dozen tokens."""


class _SeenError(Exception):
    """Ends a block once its projection's input is known."""


def _projection_input(tape: Tape, hidden: Tensor, layer: int) -> Tensor:
    """Input of the output projection of ``layer``, shape (rows, tokens, d_key)."""
    kept: list[Tensor] = []

    def keep(_module: torch.nn.Module, inputs: tuple[Tensor, ...]) -> None:
        kept.append(inputs[0])
        raise _SeenError

    handle = tape.anatomy.projections[layer].module.register_forward_pre_hook(keep)
    try:
        with torch.no_grad():
            tape.run(hidden, layer, layer)
    except _SeenError:
        pass
    finally:
        handle.remove()
    return kept[0].reshape(*hidden.shape[:2], -1)
