"""How does a training run go on after it was stopped? Batches follow from the seed and the step alone; a checkpoint
holds weights, optimizer and step, so that a resumed run ends with the weights of an unbroken one.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memory_store.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger("scr")

CHECKPOINT, CARD, REPORT = "checkpoint.pt", "README.md", "training.json"
SORTED = 32
"""Batches whose items are sorted by length together."""

Progress = Callable[[int, int, str], None]
"""Called with steps done, how many there are, and one line for people (loss, time left)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """One training run."""

    learning_rate: float = 3e-4
    """At its height; it falls to a twentieth over the run. The paper's 1e-5 is for a hundred times the steps."""
    batch: int = 32
    """Examples in a step."""
    epochs: float = 1.0
    warmup: int = 100
    """Steps over which the rate rises."""
    clip: float = 1.0
    """Norm to which gradients are cut; the paper cuts at 100."""
    weight_decay: float = 0.0
    held_out: float = 0.03
    """Share of the subjects that figures are taken on, never trained on."""
    checkpoint_minutes: float = 2.0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("learning_rate", "batch", "epochs", "clip"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} is {getattr(self, name)}, wanted more than 0")
        for name in ("warmup", "weight_decay", "checkpoint_minutes"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}, wanted 0 or more")


def steps_of(items: int, config: TrainConfig) -> int:
    """How many steps a run takes."""
    return max(1, round(-(-items // config.batch) * config.epochs))


def batches(lengths: Sequence[int], config: TrainConfig, start: int = 0) -> Iterator[list[int]]:
    """Indices of each step's items from step ``start`` on; items of about one length together, none twice an epoch."""
    per_epoch = -(-len(lengths) // config.batch)
    order: list[list[int]] = []
    for step in range(start, steps_of(len(lengths), config)):
        epoch, at = divmod(step, per_epoch)
        if at == 0 or not order:
            order = _epoch(lengths, config, epoch)
        yield order[at]


def _epoch(lengths: Sequence[int], config: TrainConfig, epoch: int) -> list[list[int]]:
    rng = random.Random(f"{config.seed} {epoch}")
    shuffled = rng.sample(range(len(lengths)), len(lengths))
    chunk = config.batch * SORTED
    made = []
    for begin in range(0, len(shuffled), chunk):
        part = sorted(shuffled[begin : begin + chunk], key=lambda i: (lengths[i], i))
        made += [part[at : at + config.batch] for at in range(0, len(part), config.batch)]
    rng.shuffle(made)
    return made


def fit(
    model: Any,
    lengths: Sequence[int],
    loss_of: Callable[[list[int], int], Tensor],
    config: TrainConfig,
    out: Path,
    *,
    identity: Mapping[str, Any],
    progress: Progress | None = None,
    stop_after: int | None = None,
) -> dict[str, Any]:
    """Train ``model`` in place; goes on from OUT's checkpoint where there is one.

    Args:
        lengths: of each item, for batches of about one length.
        loss_of: the loss of the items of these indices, at this step.
        identity: what makes this run this one (data, base, options); a checkpoint of another is refused.
        stop_after: leave after so many steps of this call, the checkpoint written; for tests and time limits.

    Returns:
        steps, cpu_seconds (all calls together), loss (mean of the last hundred steps), done.

    Raises:
        ConfigError: OUT holds the checkpoint of another run.
    """
    import torch

    total = steps_of(len(lengths), config)
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay)
    file = out / CHECKPOINT
    name = hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode()).hexdigest()
    step, before, losses = 0, 0.0, []
    if file.is_file():
        saved = torch.load(file, weights_only=True)
        if saved["identity"] != name:
            raise ConfigError(
                f"{file} belongs to a run with other data, base or options; repeat that run's, give another --out, "
                "or remove the file"
            )
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        step, before, losses = saved["step"], saved["cpu_seconds"], saved["losses"]
    # Without dropout, as published; then a step depends on nothing but its items.
    model.eval()
    began, used, kept, first = time.monotonic(), time.process_time(), time.monotonic(), step

    def keep() -> None:
        out.mkdir(parents=True, exist_ok=True)
        state = {
            "identity": name,
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "step": step,
            "cpu_seconds": before + time.process_time() - used,
            "losses": losses,
        }
        torch.save(state, file.with_suffix(".tmp"))
        os.replace(file.with_suffix(".tmp"), file)

    for items in batches(lengths, config, step):
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * _rate(step, total, config.warmup)
        loss = loss_of(items, step)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, config.clip)
        optimizer.step()
        step += 1
        losses = [*losses[-99:], float(loss.detach())]
        if progress is not None:
            left = (time.monotonic() - began) / (step - first) * (total - step)
            progress(step, total, f"loss {sum(losses) / len(losses):.3f}, {_minutes(left)} left")
        stopped = stop_after is not None and step - first >= stop_after
        if stopped or (time.monotonic() - kept) / 60 >= config.checkpoint_minutes:
            keep()
            kept = time.monotonic()
        if stopped:
            break
    spent = before + time.process_time() - used
    mean = sum(losses) / max(len(losses), 1)
    return {"steps": step, "cpu_seconds": round(spent, 1), "loss": round(mean, 4), "done": step >= total}


def _rate(step: int, total: int, warmup: int) -> float:
    """Share of the learning rate's height at a step: up, then down in a line.

    >>> [round(_rate(s, 12, 2), 3) for s in (0, 1, 2, 11)]
    [0.5, 1.0, 1.0, 0.145]
    """
    if step < warmup:
        return (step + 1) / warmup
    return 1 - 0.95 * (step - warmup) / max(total - warmup, 1)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def fingerprint_of(file: Path) -> str:
    """sha256 of a file's bytes."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


__all__ = ["CARD", "CHECKPOINT", "REPORT", "Progress", "TrainConfig", "batches", "fingerprint_of", "fit", "steps_of"]
