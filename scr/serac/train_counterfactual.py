"""How does a small model learn to answer from one edit? By the answers of queries in scope, and by nothing else.

``scr train counterfactual`` calls ``train``. What is learnt is to find the answer in the edit's statement and to end
after it, in the words of the query: the object for a cloze or a question, yes or no with it where that is asked.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memory_store.edit import Edit
from memory_store.errors import ConfigError
from memory_store.identity import normal
from scr.counterfactual import HFCounterfactual
from scr.language_model import load_model
from scr.serac.examples import Example, read_examples, split
from scr.serac.loop import CARD, REPORT, Progress, TrainConfig, fingerprint_of, fit
from scr.serac.losses import answer_loss

if TYPE_CHECKING:
    from torch import Tensor

LONGEST = 192
"""Tokens of an example; longer ones are left out and counted."""
MEASURED = 600
"""Queries of held-out subjects that the closing figures are taken on."""
IGNORED = -100

Lesson = tuple[Edit, str, str]
"""An edit, a query in its scope, the answer."""


def train(
    data: str | os.PathLike[str],
    base: str | None,
    out: str | os.PathLike[str],
    config: TrainConfig,
    *,
    form: str = "quoted",
    offline: bool = False,
    progress: Progress | None = None,
    stop_after: int | None = None,
) -> dict[str, Any]:
    """Fine-tune ``base`` (None: the built-in pocket model) on the JSONL ``data`` and write a Hugging Face folder.

    A run that was stopped goes on from its checkpoint in OUT.

    Returns:
        The report that stands in OUT: steps, CPU seconds, loss, and the share of held-out queries answered exactly.

    Raises:
        ConfigError: ``data`` cannot be read or holds no answers, or OUT holds another run's checkpoint.
        ModelUnavailableError: ``base`` cannot be loaded.
    """
    import torch

    torch.manual_seed(config.seed)
    target = Path(out)
    learnt, held = split(read_examples(data), config.held_out, config.seed)
    model, tokenizer = load_model(base, offline=offline, any_kind=True, dtype="float32")
    counterfactual = HFCounterfactual(model, tokenizer, form=form)
    every = [counterfactual.tokens(*lesson, end=True) for lesson in lessons(learnt)]
    rows = [row for row in every if len(row[0]) + len(row[1]) <= LONGEST]
    if not rows:
        raise ConfigError(f"{data} holds no query with an answer that is short enough; give target_new, or answers")
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id or 0
    identity = {"data": fingerprint_of(Path(data)), "base": base, "form": form, **asdict(config)}
    identity.pop("checkpoint_minutes")
    result = fit(
        model,
        [len(prompt) + len(answer) for prompt, answer in rows],
        lambda items, _: loss_of(model, [rows[i] for i in items], pad, counterfactual.seq2seq),
        config,
        target,
        identity=identity,
        progress=progress,
        stop_after=stop_after,
    )
    report: dict[str, Any] = {
        "kind": "counterfactual",
        "base": base or "pocket",
        "parameters": sum(p.numel() for p in model.parameters()),
        "lessons": len(rows),
        "left_out_as_too_long": len(every) - len(rows),
        **result,
        "config": asdict(config),
    }
    if result["done"]:
        report["held_out"] = measured(counterfactual, list(lessons(held))[:MEASURED])
        model.to(torch.bfloat16)
        counterfactual.save_pretrained(target)
        (target / REPORT).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        (target / CARD).write_text(card(report, form), encoding="utf-8")
    return report


def lessons(examples: Sequence[Example]) -> list[Lesson]:
    """Every query that has an answer, with its edit."""
    return [
        (Edit(statement=example.statement), asked.query, asked.answer)
        for example in examples
        for asked in example.in_scope
        if asked.answer.strip()
    ]


def loss_of(model: Any, rows: Sequence[tuple[list[int], list[int]]], pad: int, seq2seq: bool) -> Tensor:
    """The answers' loss of one batch of (input, answer), padded on the right."""
    import torch

    if seq2seq:
        inputs, mask = _padded([prompt for prompt, _ in rows], pad)
        labels, _ = _padded([answer for _, answer in rows], IGNORED)
        logits = model(input_ids=inputs, attention_mask=mask, labels=labels).logits  # (rows, answer, vocabulary)
    else:
        inputs, mask = _padded([[*prompt, *answer] for prompt, answer in rows], pad)
        labels, _ = _padded([[*([IGNORED] * len(prompt)), *answer] for prompt, answer in rows], IGNORED)
        # What a position says is about the next one.
        logits, labels = model(input_ids=inputs, attention_mask=mask).logits[:, :-1], labels[:, 1:]
    learn = labels != IGNORED
    # Only where an answer stands: the rest of the logits need no softmax.
    chosen = logits[learn].float().log_softmax(-1).gather(-1, labels[learn][:, None])[:, 0]
    return answer_loss(chosen, torch.ones_like(chosen, dtype=torch.bool))


def _padded(rows: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    import torch

    width = max(map(len, rows))
    ids = torch.tensor([[*row, *([pad] * (width - len(row)))] for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    return ids, mask


def measured(counterfactual: HFCounterfactual, lessons: Sequence[Lesson]) -> Mapping[str, Any]:
    """Generated answers that are exactly right after normalisation, of subjects that were not trained on."""
    if not lessons:
        return {"queries": 0}
    said = counterfactual.answer([(edit, query) for edit, query, _ in lessons])
    right = [
        normal(text.rstrip(" .")) == normal(answer.rstrip(" ."))
        for text, (_, _, answer) in zip(said, lessons, strict=True)
    ]
    return {"queries": len(lessons), "exact": round(sum(right) / len(right), 4)}


def card(report: Mapping[str, Any], form: str) -> str:
    """The model card."""
    held = report["held_out"]
    figure = f"{held['exact']:.3f} of {held['queries']}" if held["queries"] else "not measured"
    return f"""---
library_name: transformers
tags: [knowledge-editing, serac]
---

# Counterfactual model

Answers a query from one edit, as SERAC's second route (arXiv:2206.06520). It knows nothing but the edit it is given.

- base: {report["base"]}, {report["parameters"]:,} parameters
- form of the input: `{form}` (see `scr_counterfactual.json`)
- trained with `scr train counterfactual`: {report["lessons"]:,} queries with answers, {report["steps"]:,} steps,
  {report["cpu_seconds"] / 60:.0f} CPU minutes
- queries about held-out subjects answered exactly, generated: {figure}

Use: `scr ask --route counterfactual`, or `HFCounterfactual.from_pretrained(FOLDER)`.
"""


__all__ = ["lessons", "loss_of", "measured", "train"]
