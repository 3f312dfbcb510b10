"""Which settings suit an editor on this model? The same number of trials for every method, on development edits.

The first trial is the published configuration; a method that wraps another may try the other's settings second. Half
of the rest is drawn from the ranges that papers and their
published configurations span (log-uniform where they span magnitudes), the other half near the best so far. A trial
writes the development edits, asks for them by greedy decoding to the stop, and gives the model back.

A trial's score is the harmonic mean of what the rows allow to measure: reliability on the edits' prompts,
generalization on ``rephrase_prompt``, locality (the same answer as the unedited model's) on ``locality_prompt``. Of
equal scores the one with the higher likelihood of the targets wins.
"""

import json
import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eval.editors.base import WeightEditor
from eval.editors.build import build_editor, configured, layers_of, method_of
from eval.editors.errors import ConfigError
from eval.editors.forms import RAW, Form
from eval.editors.prune import BASES
from eval.editors.subjects import Templates
from eval.editors.sweep import read_edits, read_rows
from eval.editors.templates import sampled_templates
from eval.editors.wrapped import WrappedEditor
from memory_store.edit import Edit

Settings = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Range:
    """Numbers between two bounds, drawn log-uniformly."""

    low: float
    high: float

    def drawn(self, rng: random.Random, near: Any = None) -> float:
        """Anywhere, or within about a quarter of the range around ``near``."""
        low, high = math.log(self.low), math.log(self.high)
        at = rng.uniform(low, high) if near is None or near <= 0 else rng.gauss(math.log(near), 0.12 * (high - low))
        return float(f"{math.exp(min(max(at, low), high)):.3g}")


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several."""

    values: tuple[Any, ...]

    def drawn(self, rng: random.Random, near: Any = None) -> Any:
        """Any; near a value mostly that one."""
        return near if near is not None and rng.random() < 0.75 else rng.choice(self.values)


@dataclass(frozen=True, slots=True)
class Runs:
    """Consecutive blocks below a share of the model's depth, at most so many."""

    depth: int
    share: float
    most: int

    def drawn(self, rng: random.Random, near: Any = None) -> list[int]:
        """Any run; near one mostly that one, or one whose ends differ by one block."""
        limit = max(1, round(self.share * self.depth))
        if near is not None:
            first, last = near[0], near[-1]
            if rng.random() < 0.5:
                first, last = first + rng.choice((-1, 0, 1)), last + rng.choice((-1, 0, 1))
            first = min(max(first, 0), limit - 1)
            last = min(max(last, first), limit - 1, first + self.most - 1)
        else:
            first = rng.randrange(limit)
            last = min(limit, first + rng.randint(1, self.most)) - 1
        return list(range(first, last + 1))


@dataclass(frozen=True, slots=True)
class Layer:
    """One block between two shares of the model's depth."""

    depth: int
    low: float
    high: float

    def drawn(self, rng: random.Random, near: Any = None) -> int:
        """Any block; near one mostly that one or its neighbour."""
        first = min(int(self.low * self.depth), self.depth - 1)
        last = max(first, math.ceil(self.high * self.depth) - 1)
        if near is None:
            return rng.randint(first, last)
        return min(max(near + rng.choice((-1, 0, 0, 1)), first), last)


Space = Mapping[str, Range | Choice | Runs | Layer]


def search_space(method: str, model: Any) -> Space:
    """What is searched for a method, by setting; the bounds are those of papers and published configurations.

    Raises:
        ConfigError: no such method.
    """
    _, wrapper = method_of(method)
    depth = int(model.config.num_hidden_layers)
    name = method.removeprefix("rect-").removeprefix("prune-") if wrapper else method
    name = "memit" if name in ("rect", "prune") else name
    values: dict[str, Any] = {
        "v_lr": Range(0.05, 1.0),
        "clamp_norm_factor": Range(0.5, 8.0),
        "v_num_grad_steps": Choice((20, 25, 30, 40)),
        "v_weight_decay": Range(1e-3, 0.5),
        "kl_factor": Range(0.01, 1.0),
    }
    several = {"layers": Runs(depth, 0.75, 6), **values}
    late, end = Layer(depth, 0.5, 1.0), Choice((False, True))
    steps = {"lr": Range(1e-4, 1e-2), "num_steps": Choice((25, 50, 100)), "layer": Layer(depth, 0.0, 1.0)}
    spaces: dict[str, dict[str, Any]] = {
        "memit": {**several, "mom2_update_weight": Range(10.0, 1e5)},
        "alphaedit": {**several, "nullspace_threshold": Range(1e-3, 1e-1), "L2": Range(0.1, 10.0)},
        "nse": {
            **several,
            "mom2_update_weight": Range(10.0, 1e5),
            "alpha": Range(1.0, 35.0),
            "upper_bound": Range(50.0, 500.0),
            "neuron_threshold": Choice((0.8, 0.9, 1.0)),
        },
        "come": {**several, "mom2_update_weight": Range(10.0, 1e5), "a": Range(0.05, 0.5), "p": Range(0.1, 0.4)},
        "emmet": {
            **values,
            "layers": Runs(depth, 0.75, 1),
            "mom2_update_weight": Range(1.0, 1e5),
            "emmet_lambda": Choice((0.0, 0.1)),
        },
        "rome": {**values, "layer": Layer(depth, 0.0, 0.75)},
        "ft-l": {**steps, "norm_constraint": Range(5e-5, 5e-2)},
        "ft-m": {**steps, "batch_size": Choice((1, 10, 64)), "end_token": end},
        "locft-bf": {**steps, "batch_size": Choice((10, 32, 100))},
        "lora": {
            "lr": Range(1e-3, 1e-2),
            "rank": Choice((4, 8, 16)),
            "num_steps": Choice((30, 50, 70)),
            "lora_dropout": Choice((0.0, 0.1)),
            "end_token": end,
        },
        "grace": {
            "layer": late,
            "lr": Range(0.1, 1.0),
            "radius": Range(0.1, 10.0),
            "num_steps": Choice((50, 100, 200)),
            "replacement": Choice(("replace_last", "replace_prompt")),
            "end_token": end,
        },
        "wise": {
            "layer": Layer(depth, 0.15, 1.0),
            "edit_lr": Range(0.1, 1.0),
            "n_iter": Choice((30, 40, 70)),
            "alpha": Range(2.0, 15.0),
            "beta": Range(10.0, 40.0),
            "gamma": Range(10.0, 20.0),
            "act_ratio": Choice((0.5, 0.88)),
            "end_token": end,
        },
    }
    space = spaces[name]
    if method.startswith("prune"):
        space["reduce"] = Choice((*BASES, "linear"))
    if method.startswith("rect"):
        space["keep"] = Choice((0.2, 0.4, 0.6))
    return space


@dataclass(frozen=True, slots=True)
class Development:
    """An edit, and what else is asked about it."""

    edit: Edit
    rephrased: tuple[str, ...] = ()
    """Other wordings of its prompt."""
    elsewhere: tuple[str, ...] = ()
    """Prompts that it does not govern."""


def read_development(path: Path) -> list[Development]:
    """As ``read_edits``; ``rephrase_prompt`` and ``locality_prompt`` are texts or lists of texts, where rows have them.

    Raises:
        ConfigError: unreadable, or a row without its parts.
    """

    def texts(row: Mapping[str, Any], name: str) -> tuple[str, ...]:
        value = row.get(name) or ()
        return tuple(t for t in ([value] if isinstance(value, str) else value) if isinstance(t, str) and t.strip())

    rows = zip(read_edits(path), read_rows(path), strict=True)
    return [Development(edit, texts(row, "rephrase_prompt"), texts(row, "locality_prompt")) for edit, row in rows]


@dataclass(frozen=True, slots=True)
class Figures:
    """What one trial reached; shares in [0, 1], of greedy answers where nothing else is said."""

    reliability: float
    generalization: float | None
    locality: float | None
    reliability_teacher_forced: float
    """All tokens of the target are the likeliest, each after the right ones before it."""
    log_probability: float
    """Mean log-probability of a target's token."""

    @property
    def score(self) -> float:
        """Harmonic mean of what was measured."""
        shares = [s for s in (self.reliability, self.generalization, self.locality) if s is not None]
        return statistics.harmonic_mean(shares)


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting and what came of it."""

    settings: Settings
    """What differs from the published configuration."""
    figures: Figures | None
    error: str = ""
    """Why there are no figures."""

    @property
    def rank(self) -> tuple[float, float]:
        """Larger is better."""
        return (self.figures.score, self.figures.log_probability) if self.figures else (-1.0, 0.0)


@dataclass(frozen=True, slots=True)
class Tuned:
    """All trials of one method."""

    method: str
    trials: tuple[Trial, ...]
    config: Any
    """The best trial's whole configuration."""

    @property
    def best(self) -> Trial:
        return max(self.trials, key=lambda trial: trial.rank)

    def as_json(self) -> dict[str, Any]:
        def told(trial: Trial) -> dict[str, Any]:
            figures = {"score": trial.figures.score, **asdict(trial.figures)} if trial.figures else None
            return {"settings": trial.settings, "figures": figures, "error": trial.error}

        config = asdict(self.config) | {k: v for k, v in self.best.settings.items() if k in ("keep", "reduce")}
        return {
            "method": self.method,
            "best": told(self.best),
            "config": config,
            "trials": [told(t) for t in self.trials],
        }


def says(answer: str, target: str) -> bool:
    """Whether a greedy answer is the target up to its stop: its end, a full stop or a new line.

    >>> says("Paris", " Paris"), says("Paris. It lies", "Paris"), says("Paris and Rome", "Paris"), says("", "Paris")
    (True, True, False, False)
    >>> says("St. Louis", "St. Louis")
    True
    """
    said, wanted = answer.strip(), target.strip().rstrip(".")
    rest = said[len(wanted) :]
    return bool(wanted) and said.startswith(wanted) and (not rest or rest[0] in ".\n")


def measured(
    editor: WeightEditor | WrappedEditor,
    rows: Sequence[Development],
    before: Mapping[str, str],
    *,
    batch_size: int | None = None,
    alone: bool = False,
    form: Form = RAW,
) -> Figures:
    """Write the edits, ask, and give the model back.

    Args:
        before: the unedited model's answer to every ``elsewhere`` prompt.
        batch_size: edits written together; None takes all.
        alone: each edit by itself, the model given back after it.
        form: how is asked; the editor's own way of writing.
    """
    size = 1 if alone else batch_size or len(rows)
    groups = [list(rows[start : start + size]) for start in range(0, len(rows), size)]
    right: list[bool] = []
    general: list[bool] = []
    local: list[bool] = []
    forced: list[bool] = []
    likely: list[float] = []

    def ask(asked: Sequence[Development]) -> None:
        answers = iter(
            editor.answer([form.text(p) for row in asked for p in (row.edit.prompt, *row.rephrased, *row.elsewhere)]),
        )
        for row in asked:
            right.append(says(next(answers).text, row.edit.target_new))
            general.extend(says(next(answers).text, row.edit.target_new) for _ in row.rephrased)
            local.extend(next(answers).text == before[prompt] for prompt in row.elsewhere)
        for total, tokens, greedy in _forced(editor, asked, form):
            forced.append(greedy)
            likely.append(total / tokens)

    with editor:
        for group in groups:
            editor.edit([row.edit for row in group])
            if alone:
                ask(group)
                editor.restore()
        if not alone:
            ask(rows)
    return Figures(
        reliability=statistics.fmean(right),
        generalization=statistics.fmean(general) if general else None,
        locality=statistics.fmean(local) if local else None,
        reliability_teacher_forced=statistics.fmean(forced),
        log_probability=statistics.fmean(likely),
    )


def _forced(
    editor: WeightEditor | WrappedEditor, asked: Sequence[Development], form: Form
) -> list[tuple[float, int, bool]]:
    """Teacher-forced scores of the new answers."""
    if form is RAW:
        return editor.log_likelihood([(row.edit.prompt, " " + row.edit.target_new.strip()) for row in asked])
    tokenizer = editor.tokenizer
    prompts = [tuple(tokenizer(form.text(row.edit.prompt))["input_ids"]) for row in asked]
    answers = [form.answer_ids(tokenizer, row.edit.prompt, row.edit.target_new) for row in asked]
    return editor.row_likelihood(list(zip(prompts, answers, strict=True)))


def tune(
    method: str,
    model: Any,
    tokenizer: Any,
    rows: Sequence[Development],
    *,
    budget: int = 20,
    settings: Settings | None = None,
    second: Settings | None = None,
    moments: Callable[[Sequence[int]], Mapping[int, Any]] | None = None,
    templates: Templates | None = None,
    others: Sequence[str] | None = None,
    old_answers: Mapping[str, str] | None = None,
    batch_size: int | None = None,
    alone: bool = False,
    seed: int = 0,
    form: Form = RAW,
    progress: Callable[[int, Trial], None] | None = None,
) -> Tuned:
    """Search a method's settings.

    Args:
        budget: trials.
        settings: fixed for all trials; not searched.
        second: tried in the second trial, such as the best settings of the method that this one wraps.
        moments: layers to their second moments, for the methods that need them.
        templates: context templates; None samples them once.
        others: prompts that no edit governs, for WISE; None samples them.
        old_answers: by edit_id, for CoME; None asks the model.
        batch_size, alone: as in ``measured``.
        form: how edits are written and asked.
        progress: called after each trial with its number, from 1.

    Raises:
        ConfigError: no rows, no trials, no such method, no trial that worked.
    """
    if budget < 1:
        raise ConfigError(f"budget must be at least 1, got {budget}")
    if not rows:
        raise ConfigError("there are no development edits")
    kind, _ = method_of(method)
    if kind.needs_moments and moments is None:
        raise ConfigError(f"{method} needs second moments of the model's keys; give texts with --corpus")
    fixed = dict(settings or {})
    space = {name: drawn for name, drawn in search_space(method, model).items() if name not in fixed}
    if kind.needs_moments and templates is None:
        templates = sampled_templates(model, tokenizer, seed=seed)
    before = _answers_before(model, tokenizer, rows, form)
    rng = random.Random(f"{seed}-{method}")

    def tried(chosen: Settings) -> Trial:
        try:
            config, _ = configured(method, model, fixed | chosen)
            given = moments(layers_of(config)) if kind.needs_moments and moments is not None else None
            editor = build_editor(
                method,
                model,
                tokenizer,
                config,
                moments=given,
                templates=templates,
                others=others,
                old_answers=old_answers,
                settings=fixed | chosen,
                form=form,
            )
            return Trial(chosen, measured(editor, rows, before, batch_size=batch_size, alone=alone, form=form))
        except ConfigError as error:  # a loss that is not finite, a singular solve: settings that do not work
            return Trial(chosen, None, str(error))

    trials: list[Trial] = []
    for number in range(budget):
        best = max(trials, key=lambda trial: trial.rank, default=None)
        if number == 0 or best is None:
            chosen: Settings = {}
        elif number == 1 and second is not None:
            chosen = {name: value for name, value in second.items() if name in space}
        elif number <= budget // 2:
            chosen = {name: drawn.drawn(rng) for name, drawn in space.items()}
        else:
            known = _settings_of(method, model, fixed | best.settings)
            chosen = {name: drawn.drawn(rng, known.get(name)) for name, drawn in space.items()}
        trials.append(tried(chosen))
        if progress is not None:
            progress(number + 1, trials[-1])
    found = max(trials, key=lambda trial: trial.rank)
    if found.figures is None:
        raise ConfigError(f"no trial of {method} worked; the last one: {trials[-1].error}")
    return Tuned(method, tuple(trials), configured(method, model, fixed | found.settings)[0])


def _settings_of(method: str, model: Any, settings: Settings) -> Settings:
    """All settings of a trial, as JSON has them."""
    whole: Settings = json.loads(json.dumps(asdict(configured(method, model, settings)[0])))
    return whole | {name: settings[name] for name in ("keep", "reduce") if name in settings}


def _answers_before(model: Any, tokenizer: Any, rows: Sequence[Development], form: Form) -> dict[str, str]:
    from scr.language_model import HFLanguageModel

    prompts = list(dict.fromkeys(prompt for row in rows for prompt in row.elsewhere))
    asked = [form.text(prompt) for prompt in prompts]
    texts = HFLanguageModel(model, tokenizer).generate(asked, max_new_tokens=20) if prompts else []
    return {prompt: text.strip() for prompt, text in zip(prompts, texts, strict=True)}
