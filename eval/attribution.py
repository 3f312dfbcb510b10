"""How much of a published score is the protocol's? An answer, scored from the synthetic setting to the wild one.

Four modules make a setting, and each is switched by itself (arXiv:2502.11177):

- *prompt*: ``bare``, the question alone; ``instruction``, inside the chat template, or after an instruction where the
  model has none;
- *decoding*: ``forced``, the right answer's earlier tokens are given; ``greedy``, the model writes on its own;
- *truncation*: ``target``, as many tokens as the right answer has; ``natural``, up to the model's own stop;
- *metric*: ``ratio``, the share of positions with the right token; ``exact``, the whole answer after normalisation.

Where the answer is given, so is its length: ``forced`` needs ``target``. A forced and a greedy score are never in one
column. Everything is computed from one reading and one greedy answer in each form of the prompt.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal

from eval.cases import EvalCase, Probe, thinned
from eval.editors.forms import Chat, Form
from eval.editors.side_memory import SideMemory
from eval.forced import token_hits
from eval.methods import Bench, Compared, OracleContext, Retrieved, Spec, Unedited, Written, make_editor
from eval.metrics import is_right, natural_stop, token_ratio
from eval.statistics import Interval, bootstrap
from memory_store.errors import ConfigError

Module = Literal["prompt", "decoding", "truncation", "metric"]
MODULES: tuple[Module, ...] = ("prompt", "decoding", "truncation", "metric")
CHOICES: Mapping[str, tuple[str, str]] = {
    "prompt": ("bare", "instruction"),
    "decoding": ("forced", "greedy"),
    "truncation": ("target", "natural"),
    "metric": ("ratio", "exact"),
}
"""The synthetic choice of each module, then the wild one."""
KINDS = ("prompt", "paraphrase")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How an answer is asked for and scored."""

    prompt: str = "bare"
    decoding: str = "forced"
    truncation: str = "target"
    metric: str = "ratio"

    def __post_init__(self) -> None:
        for module, known in CHOICES.items():
            if getattr(self, module) not in known:
                raise ConfigError(f"{module} is {' or '.join(known)}, got {getattr(self, module)!r}")
        if self.decoding == "forced" and self.truncation == "natural":
            raise ConfigError(
                "a given answer has its length already: natural truncation needs greedy decoding; "
                "put decoding before truncation"
            )

    @property
    def name(self) -> str:
        """``bare, forced, target, ratio``."""
        return ", ".join(getattr(self, module) for module in MODULES)


def ladder(order: Sequence[str] = MODULES, fixed: Mapping[str, str] | None = None) -> list[Setting]:
    """Settings from the synthetic one to the wild one, one module at a time.

    >>> [setting.name for setting in ladder(("decoding", "truncation"), {"prompt": "bare", "metric": "exact"})]
    ['bare, forced, target, exact', 'bare, greedy, target, exact', 'bare, greedy, natural, exact']

    Args:
        order: the modules in the order in which they are switched.
        fixed: modules that stay as they are; they need not be in ``order``.

    Raises:
        ConfigError: an unknown module or choice, one named twice or left out, or truncation before decoding.
    """
    kept = {module: choice for module, choice in (fixed or {}).items() if choice}
    moving = [module for module in order if module not in kept]
    if sorted([*moving, *kept]) != sorted(MODULES):
        raise ConfigError(f"the order holds each of {', '.join(MODULES)} once, got {', '.join(order) or 'none'}")
    start = {module: CHOICES[module][0] for module in MODULES if module not in kept}
    found = [Setting(**kept, **start)]
    for module in moving:
        found.append(replace(found[-1], **{module: CHOICES[module][1]}))
    return found


class Instructed(Form):
    """The instruction of the wild setting for a model without a chat template."""

    name = "instruction"

    def text(self, content: str) -> str:
        return f"Please answer the question.\nQ: {content}\nA:"


def form_of(bench: Bench, prompt: str) -> Form:
    """The form that a prompt module stands for, on this model."""
    if prompt == "bare":
        return Form()
    return Chat(bench.tokenizer) if getattr(bench.tokenizer, "chat_template", None) else Instructed()


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of one question in one form of the prompt."""

    probe: Probe
    hits: tuple[bool, ...]
    """Of each token of the right answer: whether it is the likeliest after those before it."""
    target: tuple[int, ...]
    """The right answer's tokens."""
    said: tuple[int, ...]
    """Greedy, up to the end token or the limit."""
    cut: str
    """The first of them as text, as many as the right answer has."""
    answer: str
    """All of them, up to a natural stop."""
    answer_ids: tuple[int, ...]

    def score(self, setting: Setting) -> float:
        """In [0, 1], by a setting with this form of the prompt."""
        if setting.decoding == "forced":
            return sum(self.hits) / len(self.hits) if setting.metric == "ratio" else float(all(self.hits))
        natural = setting.truncation == "natural"
        if setting.metric == "ratio":
            return token_ratio(self.answer_ids if natural else self.said[: len(self.target)], self.target)
        text = self.answer if natural else natural_stop(self.cut)
        return float(is_right(self.probe.kind, text, self.probe.accepted))


def shown(editor: Compared, prompts: Sequence[str]) -> list[str]:
    """The questions as the model reads them: with the facts that a memory puts in front.

    Raises:
        ConfigError: a method that does more than that.
    """
    if isinstance(editor, Unedited | Written):
        return list(prompts)
    # A subclass may answer otherwise than by showing facts.
    if type(editor) in (OracleContext, Retrieved):
        found: list[str] = editor.shown(prompts)  # type: ignore[attr-defined]
        return found
    raise ConfigError(
        f"no attribution of {type(editor).__name__}: its answers are not the model's own to one text; "
        "take base, oracle-context, scr, cosine or a weight editor"
    )


@contextlib.contextmanager
def _reading(editor: Compared, tokens: int) -> Iterator[None]:
    """A side memory speaks, for one text with so long a prompt."""
    inner = getattr(editor, "inner", None)
    with inner.reading(tokens) if isinstance(inner, SideMemory) else contextlib.nullcontext():
        yield


def ask(editor: Compared, bench: Bench, probe: Probe, prompt: str) -> Asked:
    """Read the right answer and let the model write one, in the form of the prompt module ``prompt``."""
    form = form_of(bench, prompt)
    (content,) = shown(editor, [probe.prompt])
    ids = bench.language_model.prompt_ids(form.text(content))
    target = form.answer_ids(bench.tokenizer, content, probe.accepted[0])
    with _reading(editor, len(ids)):
        hits = token_hits(bench.model, ids, target)
    with _reading(editor, len(ids)):
        (said,) = bench.language_model.continue_rows([ids], max_new_tokens=max(bench.max_new_tokens, len(target)))

    def text(tokens: Sequence[int]) -> str:
        return str(bench.tokenizer.decode(tokens, skip_special_tokens=True)).strip()

    answer = natural_stop(text(said), sentence=not isinstance(form, Chat))
    answer_ids = form.answer_ids(bench.tokenizer, content, answer) if answer else ()
    return Asked(probe, hits, target, tuple(said), text(said[: len(target)]), answer, answer_ids)


@dataclass(frozen=True, slots=True)
class Attribution:
    """One method's scores along the ladder, for one kind of question."""

    method: str
    kind: str
    scores: tuple[Interval, ...]
    """One a setting."""


def attribute(
    cases: Sequence[EvalCase],
    specs: Sequence[Spec],
    bench: Bench,
    settings: Sequence[Setting],
    *,
    per_kind: int = 1,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Attribution]:
    """Write each case alone, ask its own prompt and its paraphrases in every setting, and take it back.

    Args:
        per_kind: paraphrases of a case, at most.

    Raises:
        ConfigError: nothing to ask, or the weights are not the base's after a method.
    """
    if not cases or not specs or not settings:
        raise ConfigError("an attribution needs at least one case, one method and one setting")
    pristine, forms = bench.digest(), sorted({setting.prompt for setting in settings})
    subject = {case.edit.edit_id: case.edit.subject for case in cases}
    found = []
    for number, spec in enumerate(specs):
        values: dict[tuple[str, int], dict[str, list[float]]] = {}
        governing = {p.prompt: [case.edit.edit_id] for case in cases for p in case.probes if p.kind in KINDS}
        with make_editor(spec, bench, governing) as editor:
            shown(editor, [])
            for done, case in enumerate(cases):
                probes = [probe for probe in thinned(case, per_kind).probes if probe.kind in KINDS]
                edits = [*case.before, case.edit]
                for edit in edits:
                    editor.edit([edit])
                for probe in probes:
                    asked = {form: ask(editor, bench, probe, form) for form in forms}
                    for step, setting in enumerate(settings):
                        cell = values.setdefault((probe.kind, step), {})
                        cell.setdefault(case.edit.edit_id, []).append(asked[setting.prompt].score(setting))
                editor.forget([edit.edit_id for edit in edits])
                if progress is not None:
                    progress(spec.label, number * len(cases) + done + 1, len(specs) * len(cases))
        if bench.digest() != pristine:
            raise ConfigError(f"{spec.label} did not give the model back as it was")
        for kind in KINDS:
            rows = [values[kind, step] for step in range(len(settings)) if (kind, step) in values]
            if rows:
                means = [{name: sum(some) / len(some) for name, some in row.items()} for row in rows]
                found.append(Attribution(spec.label, kind, tuple(bootstrap(mean, subject) for mean in means)))
    return found


def every_setting() -> list[Setting]:
    """All twelve that make sense."""
    wanted: list[Any] = list(product(*(CHOICES[module] for module in MODULES)))
    return [
        Setting(prompt=p, decoding=d, truncation=t, metric=m)
        for p, d, t, m in wanted
        if not (d == "forced" and t == "natural")
    ]


__all__ = [
    "CHOICES",
    "MODULES",
    "Asked",
    "Attribution",
    "Setting",
    "ask",
    "attribute",
    "every_setting",
    "ladder",
]
