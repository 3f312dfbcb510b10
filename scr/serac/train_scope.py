"""How does SERAC's classifier learn its edits' scope? From one query inside and one outside it, an edit at a time.

``scr train scope`` calls ``train``. Half of the queries outside are hard (the edit's own, or mined), the others are any
other edit's: without hard ones a classifier knows strangers and not look-alikes.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from memory_store.errors import ConfigError
from scr.encoder import DEFAULT_ENCODER, minilm_folder
from scr.protocols import Encoder
from scr.scope.serac import THRESHOLD, ScopeConfig, SeracScope
from scr.serac.examples import Example, read_examples, split
from scr.serac.loop import CARD, REPORT, Progress, TrainConfig, fingerprint_of, fit
from scr.serac.losses import scope_loss
from scr.serac.negatives import mined

HARD = 0.5
"""Share of the hard ones among the queries outside."""
MEASURED = 500
"""Held-out edits that the closing figures are taken on."""

Drawn = tuple[str, str, str]
"""A statement, a query in its scope, a query outside it."""


def train(
    data: str | os.PathLike[str],
    base: str | os.PathLike[str] | None,
    out: str | os.PathLike[str],
    config: TrainConfig,
    scope: ScopeConfig,
    encoder: Encoder,
    *,
    offline: bool = False,
    progress: Progress | None = None,
    stop_after: int | None = None,
) -> dict[str, Any]:
    """Fine-tune the encoder ``base`` (None: our own) on the JSONL ``data``; write what ``from_pretrained`` loads.

    A run that was stopped goes on from its checkpoint in OUT.

    Args:
        encoder: ours, which mines the hard negatives.

    Returns:
        The report that stands in OUT: steps, CPU seconds, loss, and held-out accuracy inside and outside the scope.

    Raises:
        ConfigError: ``data`` cannot be read or holds no query, or OUT holds another run's checkpoint.
        ModelUnavailableError: ``base`` cannot be loaded.
    """
    import torch

    torch.manual_seed(config.seed)
    target = Path(out)
    learnt, held = split([e for e in read_examples(data) if e.in_scope], config.held_out, config.seed)
    if len(learnt) < 2:
        raise ConfigError(f"{data} holds {len(learnt)} edits with a query in scope, wanted at least 2; add some")
    name = DEFAULT_ENCODER if base is None else os.fspath(base)
    classifier = SeracScope.from_base(minilm_folder(offline) if base is None else base, scope, offline=offline)
    hard = mined(learnt, encoder, config.seed)

    def loss_at(items: list[int], step: int) -> Any:
        rng = random.Random(f"{config.seed} draw {step}")
        return loss_of(classifier, [draw(learnt, hard, i, rng) for i in items])

    identity = {
        "data": fingerprint_of(Path(data)),
        "base": name,
        "encoder": encoder.fingerprint,
        **asdict(scope),
        **asdict(config),
    }
    identity.pop("checkpoint_minutes")
    result = fit(
        classifier.model,
        [len(e.statement) for e in learnt],
        loss_at,
        config,
        target,
        identity=identity,
        progress=progress,
        stop_after=stop_after,
    )
    report: dict[str, Any] = {
        "kind": f"scope, {scope.kind}",
        "base": name,
        "parameters": sum(p.numel() for p in classifier.model.parameters()),
        "edits": len(learnt),
        **result,
        "config": asdict(config),
    }
    if result["done"]:
        report["held_out"] = measured(classifier, held[:MEASURED], encoder, config.seed)
        classifier.save_pretrained(target)
        (target / REPORT).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        (target / CARD).write_text(card(report, scope), encoding="utf-8")
    return report


def draw(examples: Sequence[Example], hard: Sequence[Sequence[str]], number: int, rng: random.Random) -> Drawn:
    """One lesson about one edit."""
    example = examples[number]
    near = [*example.out_of_scope, *hard[number]]
    if near and rng.random() < HARD:
        outside = rng.choice(near)
    else:
        other = examples[(number + rng.randrange(1, len(examples))) % len(examples)]
        outside = rng.choice(other.in_scope).query
    return example.statement, rng.choice(example.in_scope).query, outside


def loss_of(classifier: SeracScope, drawn: Sequence[Drawn]) -> Any:
    """The balanced loss of one batch."""
    statements, inside, outside = (list(column) for column in zip(*drawn, strict=True))
    if classifier.config.kind == "cross":
        pairs = [*zip(statements, inside, strict=True), *zip(statements, outside, strict=True)]
        found = classifier.crossed(pairs)
        return scope_loss(found[: len(drawn)], found[len(drawn) :])
    edits, yes, no = (classifier.vectors(texts) for texts in (statements, inside, outside))
    return scope_loss(classifier.near(edits, yes), classifier.near(edits, no))


def measured(classifier: SeracScope, held: Sequence[Example], encoder: Encoder, seed: int) -> Mapping[str, Any]:
    """Shares decided right, of subjects that were not trained on: in scope, and outside it by kind."""
    kinds = {
        "in_scope": [(e.statement, asked.query) for e in held for asked in e.in_scope],
        "out_of_scope": [(e.statement, query) for e in held for query in e.out_of_scope],
        "mined": [
            (e.statement, query) for e, near in zip(held, mined(held, encoder, seed), strict=True) for query in near
        ],
    }
    found: dict[str, Any] = {"edits": len(held)}
    for name, pairs in kinds.items():
        if pairs:
            fired = sum(p > THRESHOLD for p in classifier.probabilities(pairs)) / len(pairs)
            found[name] = round(fired if name == "in_scope" else 1 - fired, 4)
    return found


def card(report: Mapping[str, Any], scope: ScopeConfig) -> str:
    """The model card."""
    figures = ", ".join(f"{name} {value}" for name, value in report["held_out"].items())
    return f"""---
library_name: transformers
tags: [knowledge-editing, serac]
---

# SERAC scope classifier ({scope.kind})

Says with which probability an edit governs a query (arXiv:2206.06520); in scope above 0.5.

- base: {report["base"]}, {report["parameters"]:,} parameters; pooling {scope.pooling}, scale {scope.scale}
- trained with `scr train scope`: {report["edits"]:,} edits, {report["steps"]:,} steps,
  {report["cpu_seconds"] / 60:.0f} CPU minutes
- decided right on held-out subjects: {figures}

Use: `EditedModel(…, scope=SeracScope.from_pretrained(FOLDER))`.
"""


__all__ = ["draw", "loss_of", "measured", "train"]
