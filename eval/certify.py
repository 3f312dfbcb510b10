"""Does editing by memory work on *your* model? A few hundred facts about the real world, in a few minutes, one page.

Figures of the built-in model say nothing about a production model; these are of the model that is asked. Facts are
Atlas's, in its questions. Does the model know the true answer; told otherwise, does it say what it was told, or does
what it remembers win; does it find the right one of five facts; and with all facts in one memory, are questions that no
edit governs answered as before? An answer counts when it holds the wanted one as whole words and not its rival, for
models of this size answer in sentences.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.atlas import load_atlas
from eval.benchmarks.main_job import normalised
from eval.cases import EvalCase
from eval.methods import Bench, Retrieved
from eval.statistics import wilson
from memory_store.errors import ConfigError
from scr.prompting import with_facts

if TYPE_CHECKING:
    from scr.edited_model import EditedModel

SCHEMA = "scr.certify/1"
_ROUND, _FIXED, _OTHERS = 10, 100, 4
_ALONE = 0.7
"""Share of the time that questions without the memory may take."""


@dataclass(frozen=True, slots=True)
class Share:
    """How many of how many."""

    name: str
    right: int
    n: int
    about: str

    @property
    def value(self) -> float:
        return self.right / self.n

    def as_json(self) -> dict[str, Any]:
        low, high = wilson(self.right, self.n)
        return {"share": self.value, "low": low, "high": high, "right": self.right, "n": self.n, "about": self.about}


@dataclass(frozen=True, slots=True)
class Certificate:
    """What was found about one model."""

    model: str
    sha256: str
    chat: bool
    facts: int
    """That were asked in the time there was."""
    shares: tuple[Share, ...]
    plain_ms: float
    """A question without the memory, in batches as asked here."""
    memory_ms: float
    """A question with it, all facts stored."""
    seconds: float

    def as_json(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "sha256": self.sha256,
            "chat": self.chat,
            "facts": self.facts,
            "shares": {share.name: share.as_json() for share in self.shares},
            "plain_ms": self.plain_ms,
            "memory_ms": self.memory_ms,
            "seconds": self.seconds,
        }

    def as_markdown(self) -> str:
        """One page."""
        lines = [
            f"# Editing by memory on {self.model}",
            "",
            f"{self.facts} facts about the real world, asked {'in the chat template' if self.chat else 'bare'}, "
            f"greedy; weights sha256 {self.sha256[:16]}…; {self.seconds:.0f} s.",
            "",
            "| | share | 95 % interval | of | |",
            "| --- | --- | --- | --- | --- |",
        ]
        for share in self.shares:
            low, high = wilson(share.right, share.n)
            lines.append(f"| {share.name} | {share.value:.3f} | [{low:.3f}, {high:.3f}] | {share.n} | {share.about} |")
        lines += [
            "",
            f"A question takes {self.plain_ms:.0f} ms without the memory and {self.memory_ms:.0f} ms with it.",
        ]
        return "\n".join(lines) + "\n"


def certify(
    bench: Bench,
    edited: EditedModel,
    *,
    facts: int = 200,
    minutes: float = 15.0,
    model: str = "",
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Certificate:
    """Ask about ``facts`` facts, or as many as fit into ``minutes``.

    Args:
        bench: the model alone.
        edited: the same model with an empty memory of its own, which is closed at the end.
        progress: called with facts done and facts in all.

    Raises:
        ConfigError: no facts, no time, or a memory that is not empty.
    """
    if facts < 1 or minutes <= 0:
        raise ConfigError(f"at least one fact and some time, got {facts} facts and {minutes} minutes")
    if edited.store.holds(edited.editor.namespace):
        raise ConfigError("the memory holds facts; certify wants one of its own")
    started, rng = time.monotonic(), random.Random(seed)
    atlas = load_atlas(min(facts, 1000))
    cases, found = atlas.cases, _Found()
    others = _nearest(bench, cases)
    asked = 0
    for start in range(0, len(cases), _ROUND):
        some = range(start, min(start + _ROUND, len(cases)))
        _alone(bench, cases, some, others, rng, found)
        asked = some.stop
        if progress is not None:
            progress(asked, len(cases))
        if time.monotonic() - started > 60 * minutes * _ALONE:
            break
    plain_ms = found.seconds * 1e3 / found.questions
    memory_ms = _with_memory(bench, edited, cases[:asked], [p.prompt for p in atlas.fixed[: min(_FIXED, asked)]], found)
    shares = tuple(Share(name, right, n, about) for name, (right, n, about) in found.counts.items())
    return Certificate(
        model, bench.digest(), bench.chat, asked, shares, plain_ms, memory_ms, time.monotonic() - started
    )


def mentions(answer: str, wanted: str) -> bool:
    """Whether an answer holds ``wanted`` as whole words, after normalisation.

    >>> mentions("The capital of France is Paris.", "paris"), mentions("Parisian", "Paris"), mentions("x", "")
    (True, False, False)
    """
    target = normalised(wanted)
    return bool(target) and f" {target} " in f" {normalised(answer)} "


class _Found:
    """Counts, and seconds of questions without the memory."""

    def __init__(self) -> None:
        self.counts: dict[str, tuple[int, int, str]] = {}
        self.seconds, self.questions = 0.0, 0

    def add(self, name: str, flags: Sequence[bool], about: str) -> None:
        if flags:
            right, n, _ = self.counts.get(name, (0, 0, about))
            self.counts[name] = (right + sum(flags), n + len(flags), about)


def _alone(
    bench: Bench,
    cases: Sequence[EvalCase],
    some: range,
    others: Sequence[Sequence[int]],
    rng: random.Random,
    found: _Found,
) -> None:
    """Known, obeyed, prior, one of five: the model and its context, no memory."""
    questions = [_question(cases[i]) for i in some]
    shown, five = [], []
    for i, question in zip(some, questions, strict=True):
        own = cases[i].edit.statement
        block = [own, *(cases[j].edit.statement for j in others[i])]
        rng.shuffle(block)
        shown.append(with_facts(question, [own]))
        five.append(with_facts(question, block))
    began = time.perf_counter()
    plain = bench.say(questions)
    found.seconds += time.perf_counter() - began
    found.questions += len(questions)
    told, among = bench.say(shown), bench.say(five)
    truths, news = [cases[i].ground_truth for i in some], [cases[i].edit.target_new for i in some]
    known = [_says(a, old, new) for a, old, new in zip(plain, truths, news, strict=True)]
    found.add("known", known, "true facts that the model answers by itself")
    kept = [k for k, flag in enumerate(known) if flag]
    found.add("obeyed", [_says(told[k], news[k], truths[k]) for k in kept], "known facts: told otherwise, it says that")
    found.add("prior wins", [_says(told[k], truths[k], news[k]) for k in kept], "known facts: told otherwise, unmoved")
    fresh = [_says(told[k], news[k], truths[k]) for k in range(len(known)) if k not in kept]
    found.add("told", fresh, "facts it did not know: told, it says them")
    found.add(
        "right one of five",
        [_says(a, new, old) for a, new, old in zip(among, news, truths, strict=True)],
        "the fact among the four stored ones nearest to it",
    )


def _with_memory(
    bench: Bench, edited: EditedModel, cases: Sequence[EvalCase], fixed: Sequence[str], found: _Found
) -> float:
    """All facts in one memory; milliseconds a question."""
    before = bench.say(fixed)
    with Retrieved(bench, edited) as editor:
        editor.edit([case.edit for case in cases])
        began = time.perf_counter()
        answers = editor.answer([_question(case) for case in cases])
        ms = (time.perf_counter() - began) * 1e3 / len(cases)
        after = editor.answer(fixed)
    found.add(
        "memory: edited",
        [_says(a.text, c.edit.target_new, c.ground_truth) for a, c in zip(answers, cases, strict=True)],
        "all facts in one memory, asked in other words than they were stored in",
    )
    found.add(
        "memory: unchanged", [a.text == b for a, b in zip(after, before, strict=True)], "other facts, letter for letter"
    )
    found.add("memory: false fire", [bool(a.used) for a in after], "other facts for which an edit was used")
    return ms


def _question(case: EvalCase) -> str:
    return next(probe.prompt for probe in case.probes if probe.kind == "paraphrase")


def _says(answer: str, wanted: str, rival: str) -> bool:
    return mentions(answer, wanted) and not mentions(answer, rival)


def _nearest(bench: Bench, cases: Sequence[EvalCase]) -> list[list[int]]:
    """For each case the ``_OTHERS`` cases whose statements are nearest to its own."""
    keys = bench.encoder.encode([case.edit.statement for case in cases])  # (cases, d_key)
    scores = keys @ keys.T
    np.fill_diagonal(scores, -np.inf)
    count = min(_OTHERS, len(cases) - 1)
    return [[int(j) for j in row] for row in np.argsort(-scores, axis=1, kind="stable")[:, :count]]


__all__ = ["SCHEMA", "Certificate", "Share", "certify", "mentions"]
