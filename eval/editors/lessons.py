"""Which tokens does a fine-tuned edit learn, and where are they read? Shared by all editors that train on answers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from eval.editors.errors import ConfigError, NumericalError
from eval.editors.forms import RAW, Form
from memory_store.edit import Edit

ENOUGH = 1e-2
"""A batch below this loss takes no step; an epoch below it is the last. As published."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """One edit as tokens to train on."""

    edit: Edit
    prompt: tuple[int, ...]
    target: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reads:
    """Where a padded batch is read; rows are padded on the right."""

    rows: list[tuple[int, ...]]
    places: Tensor
    """Positions in the flattened batch, shape (tokens,)."""
    tokens: Tensor
    """What stands there, shape (tokens,)."""
    weights: Tensor
    """1 / (tokens of the answer · edits), shape (tokens,); they sum to 1."""

    @property
    def width(self) -> int:
        return max(map(len, self.rows))

    def padded(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Token ids and attention mask, both (rows, width)."""
        ids = torch.zeros(len(self.rows), self.width, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for number, row in enumerate(self.rows):
            ids[number, : len(row)] = torch.tensor(row)
            mask[number, : len(row)] = 1
        return ids.to(device), mask.to(device)

    def loss(self, logits: Tensor) -> Tensor:
        """Mean over edits of the mean over tokens of −log p, from the logits at ``places`` (tokens, vocabulary)."""
        return (torch.nn.functional.cross_entropy(logits, self.tokens, reduction="none") * self.weights).sum()


def lesson(tokenizer: Any, edit: Edit, *, end_token: bool = False, form: Form = RAW) -> Lesson:
    """Tokenise an edit as ``form`` writes it; ``end_token`` puts the token that ends an answer behind it.

    Raises:
        ConfigError: no prompt, an empty target, or one that tokenises to nothing.
    """
    if not edit.prompt.strip():
        raise ConfigError(f"the edit {edit.statement!r} has no prompt")
    target = form.answer_ids(tokenizer, edit.prompt, edit.target_new)
    if end_token:
        target = (*target, *form.end_ids(tokenizer))
    return Lesson(edit, tuple(tokenizer(form.text(edit.prompt))["input_ids"]), target)


def reads(batch: Sequence[Lesson], device: torch.device, *, teacher: bool = True) -> Reads:
    """A batch of lessons; without ``teacher`` every token is read at the prompt's last position."""
    rows = [one.prompt + one.target[:-1] if teacher else one.prompt for one in batch]
    width = max(map(len, rows))
    places, tokens, weights = [], [], []
    for number, one in enumerate(batch):
        for offset, token in enumerate(one.target):
            places.append(number * width + len(one.prompt) - 1 + (offset if teacher else 0))
            tokens.append(token)
            weights.append(1.0 / (len(one.target) * len(batch)))
    return Reads(
        rows,
        torch.tensor(places, device=device),
        torch.tensor(tokens, device=device),
        torch.tensor(weights, device=device),
    )


def parts(count: int, size: int, generator: torch.Generator | None = None) -> Iterator[tuple[int, ...]]:
    """Indices of mini-batches in order, or shuffled by ``generator``."""
    order = torch.randperm(count, generator=generator).tolist() if generator is not None else list(range(count))
    for start in range(0, count, size):
        yield tuple(order[start : start + size])


def finite(loss: Tensor, what: str, lr: float) -> float:
    """The loss as a number.

    Raises:
        NumericalError: it is not finite.
    """
    figure = float(loss.detach())
    if not abs(figure) < float("inf"):
        raise NumericalError(f"the loss of {what} is {figure}, not finite; lower lr ({lr})")
    return figure
