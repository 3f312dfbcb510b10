"""What is left of a model's general abilities when an editor stands in front of it, its memory full?

lm-evaluation-harness asks; this file lets it ask any ``scr.protocols.Editor``. The harness is the extra ``eval``
(``pip install 'scr-editor[eval]'``) and is imported when a task is run. Task files in a folder of one's own need no
network; two are made here from facts that the data set Atlas never edits (``write_tasks``).

Contexts reach the model as the harness writes them, without a chat template. A few-shot context is not a question: the
scope decision is made on what stands after its last empty line, and what it finds goes in front of the whole.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eval.methods import Bench, Compared, OracleContext, Retrieved, Scores, Unedited
from memory_store.errors import ConfigError
from scr.prompting import facts_block

if TYPE_CHECKING:
    from scr.protocols import Decision

BUILT_IN = ("atlas_facts", "atlas_reading")
"""Tasks that ``write_tasks`` makes; both are two-way, so chance is 0.5."""
_LONGEST = 64
"""Tokens of an answer where a task names no limit."""


@dataclass(frozen=True, slots=True)
class Ability:
    """One measure of one task."""

    task: str
    measure: str
    """The harness's name for it: ``acc``, ``exact_match``, …"""
    value: float
    error: float | None
    """Standard error, as the harness estimates it."""
    n: int
    """Questions asked."""


def question_of(context: str) -> str:
    """What stands after the last empty line; the harness parts its examples by one.

    >>> question_of("Q: a\\nA: b\\n\\nQ: c\\nA:")
    'Q: c\\nA:'
    """
    return context.rstrip().rpartition("\n\n")[2]


def write_tasks(folder: Path, *, seed: int = 0, most: int = 200) -> Path:
    """Write the built-in tasks, rows and task files, and return the folder.

    ``atlas_facts``: a cloze of a fact whose subject no case edits, its object or another of the relation.
    ``atlas_reading``: the same cloze after a fact block, as scr writes it, that says the other object, which is right.
    """
    from eval.atlas import stated_of, unedited_facts

    facts = unedited_facts()
    by_relation: dict[str, list[str]] = {}
    for fact in facts:
        by_relation.setdefault(fact.relation, []).append(fact.object)
    rng = random.Random(f"{seed}-abilities")
    rows = []
    for fact in facts:
        others = sorted(set(by_relation[fact.relation]) - {fact.object})
        if others:
            cloze, other = stated_of(fact, rng), rng.choice(others)
            choices = [fact.object, other] if rng.random() < 0.5 else [other, fact.object]
            known = choices.index(fact.object)
            rows.append(
                {
                    "subject": fact.subject,
                    "cloze": cloze,
                    "told": facts_block([f"{cloze} {other}."]),
                    "other": other,
                    "choices": choices,
                    "known": known,
                }
            )
    rng.shuffle(rows)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "atlas.jsonl"
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows[:most]), encoding="utf-8")
    texts = {
        "atlas_facts": ("{{cloze}}", "{{known}}"),
        "atlas_reading": ("{{told}}{{cloze}}", "{{1 - known}}"),
    }
    for name, (text, target) in texts.items():
        task = {
            "task": name,
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(file.resolve())}},
            "test_split": "test",
            "output_type": "multiple_choice",
            "doc_to_text": text,
            "doc_to_choice": "{{choices}}",
            "doc_to_target": target,
            "metric_list": [{"metric": "acc"}],
        }
        # JSON is YAML too.
        (folder / f"{name}.yaml").write_text(json.dumps(task, indent=1) + "\n", encoding="utf-8")
    return folder


def abilities(
    editor: Compared, bench: Bench, tasks: Sequence[str], *, include: Path | None = None, limit: int | None = None
) -> list[Ability]:
    """Ask an editor a list of the harness's tasks; what it was taught before stays in force.

    Args:
        tasks: names that the harness knows, or that stand in ``include``.
        include: folder of task files of one's own.
        limit: questions a task, the first ones.

    Raises:
        ConfigError: the harness is not installed, or a task is unknown or cannot be read.
    """
    if include is not None:
        os.environ.setdefault("HF_DATASETS_OFFLINE", "1")  # rows of local tasks are local
    try:
        harness, listed = import_module("lm_eval"), import_module("lm_eval.tasks")
    except ImportError as error:
        raise ConfigError(
            f"general abilities need lm-evaluation-harness ({error}); pip install 'scr-editor[eval]'"
        ) from error
    manager = listed.TaskManager(include_path=str(include) if include is not None else None)
    unknown = [task for task in tasks if task not in manager.all_tasks]
    if unknown:
        raise ConfigError(f"no task {unknown[0]!r}; lm_eval ls tasks names those of the harness, --include adds yours")
    try:
        found = harness.simple_evaluate(
            model=harness_model(editor, bench),
            tasks=list(tasks),
            task_manager=manager,
            limit=limit,
            bootstrap_iters=0,
            log_samples=False,
        )
    except (OSError, ValueError, ConnectionError) as error:
        raise ConfigError(f"a task could not be asked ({' '.join(str(error).split())[:300]})") from error
    return _read(found)


def _read(found: Mapping[str, Any]) -> list[Ability]:
    """The harness's results: ``"acc,none"`` beside ``"acc_stderr,none"``."""
    abilities = []
    for task, told in found["results"].items():
        n = int(found["n-samples"][task]["effective"])
        for key, value in told.items():
            measure, _, kind = key.partition(",")
            if kind and not measure.endswith("_stderr") and isinstance(value, int | float):
                error = told.get(f"{measure}_stderr,{kind}")
                abilities.append(
                    Ability(task, measure, float(value), float(error) if isinstance(error, int | float) else None, n)
                )
    return abilities


def harness_model(editor: Compared, bench: Bench) -> Any:
    """The editor as an ``lm_eval.api.model.LM``."""
    base: Any = import_module("lm_eval.api.model").LM

    class Edited(base):
        def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
            pairs = [tuple(request.args) for request in requests]
            return [(nats, greedy) for nats, _, greedy in scored(editor, pairs)]

        def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
            return [nats for nats, _, _ in scored(editor, [("", request.args[0]) for request in requests])]

        def generate_until(self, requests: Sequence[Any]) -> list[str]:
            return [said(editor, bench, *request.args) for request in requests]

    return Edited()


def scored(editor: Compared, pairs: Sequence[tuple[str, str]]) -> Scores:
    """Teacher-forced scores of (context, continuation), the scope decided on the context's question."""
    if isinstance(editor, Retrieved):
        decisions = _decided(editor, [context for context, _ in pairs])
        return editor.edited.editor.log_likelihood(pairs, decisions)
    return editor.log_likelihood(pairs)


def said(editor: Compared, bench: Bench, context: str, options: Mapping[str, Any]) -> str:
    """A greedy continuation, cut before the first of the task's stops."""
    until = options.get("until") or []
    stops = [until] if isinstance(until, str) else list(until)
    limit = int(options.get("max_gen_toks") or _LONGEST)
    if isinstance(editor, Retrieved):
        (decision,) = _decided(editor, [context])
        statements = [judged.edit.statement for judged in decision.in_scope]
        context = facts_block(statements, editor.edited.turns.special_tokens) + context
    if isinstance(editor, Retrieved | Unedited | OracleContext):
        return bench.language_model.generate([context], max_new_tokens=limit, stop=stops)[0]
    inner = getattr(editor, "inner", None)
    if inner is None:
        raise ConfigError(f"{type(editor).__name__} reads questions, not texts that go on; leave out generated tasks")
    host = getattr(inner, "host", inner)
    before, host.max_new_tokens = host.max_new_tokens, limit
    try:
        text = inner.answer([context])[0].text
    finally:
        host.max_new_tokens = before
    ends = [at for stop in stops if (at := text.find(stop)) >= 0]
    return str(text[: min(ends)] if ends else text)


def _decided(editor: Retrieved, contexts: Sequence[str]) -> list[Decision]:
    """One decision a context; the same question is decided once."""
    questions = [question_of(context) for context in contexts]
    asked = list(dict.fromkeys(question for question in questions if question.strip()))
    from scr.protocols import Decision

    found = dict(zip(asked, editor.edited.decide(asked), strict=True)) if asked else {}
    return [found.get(question) or Decision() for question in questions]


__all__ = ["BUILT_IN", "Ability", "abilities", "harness_model", "question_of", "scored", "write_tasks"]
