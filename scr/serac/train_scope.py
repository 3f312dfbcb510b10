"""How does SERAC's classifier learn its edits' scope? From one query inside and one outside it, an edit at a time.

``scr train scope`` calls ``train``. Half of the queries outside are hard (the edit's own, or mined), the others are any
other edit's: without hard ones a classifier knows strangers and not look-alikes. By distance every text of a batch is
compared with every edit of it, which costs nothing: each edit learns from a hard query and from the nearest of the
other edits' queries.
"""

from __future__ import annotations

import json
import math
import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memory_store.errors import ConfigError
from scr.encoder import DEFAULT_ENCODER, minilm_folder
from scr.protocols import Encoder
from scr.scope.serac import THRESHOLD, ScopeConfig, SeracScope
from scr.serac.examples import Example, read_examples, split
from scr.serac.loop import CARD, REPORT, Progress, TrainConfig, fingerprint_of, fit
from scr.serac.losses import scope_loss
from scr.serac.negatives import mined

if TYPE_CHECKING:
    from torch import Tensor

HARD = 0.5
"""Share of the hard ones among the queries outside."""
MEASURED = 500
"""Held-out edits that the closing figures are taken on."""

NEGATIVES = "negatives.json"
UNTRAINED = 256
"""Edits from whose distances the scale of a new classifier is taken."""

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
    frozen: int = 0,
    fit_scale: bool = False,
    offline: bool = False,
    progress: Progress | None = None,
    stop_after: int | None = None,
) -> dict[str, Any]:
    """Fine-tune the encoder ``base`` (None: our own) on the JSONL ``data``; write what ``from_pretrained`` loads.

    A run that was stopped goes on from its checkpoint in OUT.

    Args:
        encoder: ours, which mines the hard negatives.
        frozen: layers, from the lowest, that stay as they are, the embeddings with them; 0 trains everything.
        fit_scale: take the scale from the untrained encoder's distances (``fitted_scale``) instead of ``scope``.

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
    freeze(classifier.model, frozen)
    hard = _mined_once(target, data, learnt, encoder, config)
    if fit_scale and scope.kind == "embed":
        scope = classifier.config = replace(scope, scale=fitted_scale(classifier, learnt, hard, config.seed))
    by_distance = scope.kind == "embed"

    def loss_at(items: list[int], step: int) -> Any:
        rng = random.Random(f"{config.seed} draw {step}")
        return loss_of(classifier, [draw(learnt, hard, i, rng, strangers=not by_distance) for i in items])

    identity = {
        "data": fingerprint_of(Path(data)),
        "base": name,
        "encoder": encoder.fingerprint,
        "frozen": frozen,
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
        "frozen": frozen,
        "scale": scope.scale,
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


def _mined_once(
    out: Path, data: str | os.PathLike[str], examples: Sequence[Example], encoder: Encoder, config: TrainConfig
) -> list[tuple[str, ...]]:
    """What ``mined`` finds, kept in OUT: a run that goes on does not encode every query again."""
    file = out / NEGATIVES
    of = [fingerprint_of(Path(data)), encoder.fingerprint, config.held_out, config.seed]
    if file.is_file():
        kept = json.loads(file.read_text(encoding="utf-8"))
        if kept["of"] == of:
            return [tuple(queries) for queries in kept["mined"]]
    found = mined(examples, encoder, config.seed)
    out.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".tmp")
    fresh.write_text(json.dumps({"of": of, "mined": found}, ensure_ascii=False), encoding="utf-8")
    os.replace(fresh, file)
    return found


def freeze(model: Any, layers: int) -> None:
    """Keep the embeddings and the lowest ``layers`` as they are; what lies before the first layer, for 0 nothing.

    Raises:
        ConfigError: the encoder has not so many layers.
    """
    from torch import nn

    if not layers:
        return
    stacks = ((name, part) for name, part in model.named_modules() if isinstance(part, nn.ModuleList))
    name, stack = next(stacks, ("", ()))
    if layers >= len(stack):
        raise ConfigError(f"the encoder has {len(stack)} layers, so fewer can be frozen, got {layers}")
    learn = tuple(f"{name}.{number}." for number in range(layers, len(stack)))
    for key, parameter in model.named_parameters():
        if key.startswith(learn):
            return
        parameter.requires_grad = False


def fitted_scale(
    classifier: SeracScope, examples: Sequence[Example], hard: Sequence[Sequence[str]], seed: int
) -> float:
    """The scale at which the untrained encoder's threshold lies between queries in scope and hard ones outside.

    Sentence encoders put texts at distances of their own, and learning to shrink them all is most of a short run.
    """
    import torch

    rng = random.Random(f"{seed} scale")
    chosen = rng.sample(range(len(examples)), min(UNTRAINED, len(examples)))
    with torch.inference_mode():
        edits, inside, outside = _encoded(classifier, [draw(examples, hard, i, rng, strangers=False) for i in chosen])
        between = [(edits - other).square().sum(-1).median() for other in (inside, outside)]
    return round(math.log(2) / max(float(sum(between)) / 2, 1e-6), 6)


def draw(
    examples: Sequence[Example],
    hard: Sequence[Sequence[str]],
    number: int,
    rng: random.Random,
    *,
    strangers: bool = True,
) -> Drawn:
    """One lesson about one edit.

    Args:
        strangers: whether half of the queries outside are any other edit's; else only where no hard one is known.
    """
    example = examples[number]
    near = [*example.out_of_scope, *hard[number]]
    if near and (not strangers or rng.random() < HARD):
        outside = rng.choice(near)
    else:
        other = examples[(number + rng.randrange(1, len(examples))) % len(examples)]
        outside = rng.choice(other.in_scope).query
    return example.statement, rng.choice(example.in_scope).query, outside


def loss_of(classifier: SeracScope, drawn: Sequence[Drawn]) -> Any:
    """The balanced loss of one batch."""
    import torch

    statements, inside, outside = (list(column) for column in zip(*drawn, strict=True))
    if classifier.config.kind == "cross":
        pairs = [*zip(statements, inside, strict=True), *zip(statements, outside, strict=True)]
        found = classifier.crossed(pairs)
        return scope_loss(found[: len(drawn)], found[len(drawn) :])
    edits, yes, no = _encoded(classifier, drawn)
    wrong = [classifier.near(edits, no)]
    # One fact may stand in a batch twice, or a query belong to two edits: neither is a stranger to itself.
    own = [
        [a == b or p == q for b, q in zip(statements, inside, strict=True)]
        for a, p in zip(statements, inside, strict=True)
    ]
    strangers = classifier.near(edits[:, None], yes[None]).masked_fill(torch.tensor(own, device=edits.device), 0.0)
    wrong.append(strangers.amax(-1))  # (edits,)
    return scope_loss(classifier.near(edits, yes), torch.cat(wrong))


def _encoded(classifier: SeracScope, drawn: Sequence[Drawn]) -> tuple[Tensor, ...]:
    """Vectors of statements, queries inside and queries outside, each (drawn, width); texts of one length together."""
    import torch

    texts = [text for column in zip(*drawn, strict=True) for text in column]
    order = sorted(range(len(texts)), key=lambda i: (len(texts[i]), i))
    parts = [order[start : start + len(drawn)] for start in range(0, len(order), len(drawn))]
    vectors = torch.cat([classifier.vectors([texts[i] for i in part]) for part in parts])
    places = torch.tensor(order, device=vectors.device).argsort()
    return vectors[places].chunk(3)


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


__all__ = ["draw", "fitted_scale", "freeze", "loss_of", "measured", "train"]
