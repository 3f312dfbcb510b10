"""The search: ranges that every configuration accepts, figures by hand, the same budget for every method."""

import copy
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from eval.editors.build import METHODS, NAMES, configured, layers_of
from eval.editors.cli import edit, tune
from eval.editors.tune import Development, Figures, Layer, Range, Runs, measured, read_development, search_space
from eval.editors.tune import tune as search
from memory_store.edit import Edit
from memory_store.errors import ConfigError
from scr.cli.options import Group
from scr.protocols import Answer


@pytest.mark.parametrize("method", NAMES)
@pytest.mark.parametrize("arch", ["gpt2", "llama"])
def test_whatever_is_drawn_is_a_configuration_of_the_model(method: str, arch: str, make_model: Any) -> None:
    model, rng = make_model(arch), random.Random(1)
    space = search_space(method, model)
    near: dict[str, Any] = {}
    for _ in range(30):
        drawn = {name: one.drawn(rng, near.get(name)) for name, one in space.items()}
        config, unknown = configured(method, model, drawn)
        assert not set(unknown) - {"keep", "reduce"}
        assert hasattr(config, "target_modules") or set(layers_of(config)) <= {0, 1, 2}
        near = json.loads(json.dumps(drawn))


def test_all_methods_are_searched(make_model: Any) -> None:
    model = make_model()
    assert all(len(search_space(method, model)) >= 4 for method in METHODS)
    assert "reduce" in search_space("prune", model) and "keep" in search_space("rect-rome", model)
    with pytest.raises(ConfigError, match="no method"):
        search_space("mend", model)


def test_draws_stay_in_their_bounds_and_near_what_they_are_near() -> None:
    rng = random.Random(0)
    numbers = [Range(0.1, 10.0).drawn(rng) for _ in range(300)]
    assert 0.1 <= min(numbers) < 0.2 and 5 < max(numbers) <= 10
    assert 0.4 < sorted(numbers)[150] < 2.5  # the middle of the magnitudes
    near = [Range(0.1, 10.0).drawn(rng, 1.0) for _ in range(300)]
    assert sum(0.3 < n < 3 for n in near) > 250
    runs = [Runs(8, 0.75, 3).drawn(rng) for _ in range(300)]
    assert {len(run) for run in runs} == {1, 2, 3} and {run[-1] for run in runs} == {0, 1, 2, 3, 4, 5}
    assert {tuple(Runs(8, 0.75, 3).drawn(rng, [2, 3])) for _ in range(300)} >= {(2, 3), (1, 2, 3), (2, 3, 4), (3,)}
    assert {Layer(8, 0.5, 1.0).drawn(rng) for _ in range(100)} == {4, 5, 6, 7}
    assert {Layer(8, 0.5, 1.0).drawn(rng, 4) for _ in range(100)} == {4, 5}


class Parrot:
    """Answers from a table, and from another one for what was edited."""

    def __init__(self, base: dict[str, str], edited: dict[str, dict[str, str]]) -> None:
        self.base, self.edited = base, edited
        self.written: list[str] = []
        self.batches: list[int] = []

    def edit(self, edits: Sequence[Edit]) -> None:
        self.written += [one.prompt for one in edits]
        self.batches.append(len(edits))

    def restore(self) -> None:
        self.written = []

    def answer(self, prompts: Sequence[str]) -> list[Answer]:
        table = dict(self.base)
        for prompt in self.written:
            table |= self.edited[prompt]
        return [Answer(text=table[prompt], route="base") for prompt in prompts]

    def log_likelihood(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, int, bool]]:
        return [(-1.0, 2, prompt in self.written) for prompt, _ in pairs]

    def __enter__(self) -> "Parrot":
        return self

    def __exit__(self, *exc: object) -> None:
        self.restore()


def row(prompt: str, target: str, rephrased: tuple[str, ...], elsewhere: tuple[str, ...]) -> Development:
    return Development(Edit(statement="", prompt=prompt, subject=prompt, target_new=target), rephrased, elsewhere)


BASE = {"a": "old", "a?": "old", "b": "old", "b?": "old", "c": "cold", "d": "dark"}
ROWS = [row("a", "New York", ("a?",), ("c",)), row("b", "Rome", ("b?",), ("c", "d"))]


def test_figures_by_hand() -> None:
    # Editing a changes c besides; b is answered with more than the answer; its rephrasing well.
    parrot: Any = Parrot(
        BASE, {"a": {"a": "New York", "c": "hot"}, "b": {"b": "Rome and Paris", "b?": "Rome. It lies"}}
    )
    figures = measured(parrot, ROWS, BASE)
    assert (figures.reliability, figures.generalization) == (0.5, 0.5)
    assert figures.locality == pytest.approx(1 / 3)  # c was asked twice, d once
    assert (figures.reliability_teacher_forced, figures.log_probability) == (1.0, -0.5)
    assert figures.score == pytest.approx(3 / (2 + 2 + 3))
    assert parrot.batches == [2]
    assert not parrot.written


def test_edits_alone_do_not_see_one_another() -> None:
    parrot: Any = Parrot(BASE, {"a": {"a": "New York", "c": "hot"}, "b": {"b": "Rome", "a": "gone"}})
    assert measured(parrot, ROWS, BASE).reliability == 0.5
    figures = measured(parrot, ROWS, BASE, alone=True)
    assert (figures.reliability, figures.locality) == (1.0, pytest.approx(2 / 3))
    assert parrot.batches == [2, 1, 1]


def test_only_what_was_measured_counts() -> None:
    assert Figures(0.8, None, None, 1.0, -1.0).score == pytest.approx(0.8)
    assert Figures(0.8, None, 0.4, 1.0, -1.0).score == pytest.approx(2 * 0.8 * 0.4 / 1.2)
    assert Figures(0.0, 1.0, 1.0, 1.0, -1.0).score == 0.0


def development(facts: list[Edit]) -> list[Development]:
    return [Development(fact, ("Tell me: " + fact.prompt,), ("Who wrote",)) for fact in facts]


def test_the_search_spends_its_budget_and_gives_the_model_back(
    make_model: Any, tokenizer: Any, facts: list[Edit], bits: Any
) -> None:
    model = make_model()
    kept = bits(model)
    seen: list[int] = []

    def run(budget: int) -> Any:
        rows = development(facts)
        fixed = {"num_steps": 4}
        return search(
            "ft-m", model, tokenizer, rows, budget=budget, settings=fixed, progress=lambda n, _: seen.append(n)
        )

    first = run(6)
    assert len(first.trials) == 6 and seen == [1, 2, 3, 4, 5, 6]
    assert first.trials[0].settings == {}
    assert all("num_steps" not in trial.settings for trial in first.trials)
    assert first.best.rank == max(trial.rank for trial in first.trials)
    assert first.config.num_steps == 4
    assert {name: getattr(first.config, name) for name in first.best.settings} == first.best.settings
    assert run(6).as_json() == first.as_json()
    assert all(torch.equal(p, kept[name]) for name, p in model.named_parameters())


def test_the_second_trial_may_be_given(make_model: Any, tokenizer: Any, facts: list[Edit]) -> None:
    given = {"lr": 0.002, "num_steps": 1, "no such setting": 1}
    found = search("ft-m", make_model(), tokenizer, development(facts), budget=2, second=given)
    assert [trial.settings for trial in found.trials] == [{}, {"lr": 0.002, "num_steps": 1}]


def test_a_trial_that_fails_is_told_and_counts(
    make_model: Any, tokenizer: Any, templates: Any, facts: list[Edit]
) -> None:
    model = make_model()
    # Eigenvalues from 0.002 up to 0.2: some thresholds leave no direction.
    spread = {layer: torch.diag(torch.logspace(-1.5, -0.7, 128, dtype=torch.float64)) for layer in range(3)}
    fixed = {"v_num_grad_steps": 2, "layers": [1]}
    rows = development(facts[:1])
    options: dict[str, Any] = {"moments": lambda layers: spread, "templates": templates, "budget": 6}
    found = search("alphaedit", model, tokenizer, rows, settings=fixed, **options)
    failed = [trial for trial in found.trials if trial.figures is None]
    assert 0 < len(failed) < 6
    assert all("no direction is below" in trial.error for trial in failed)
    assert found.best.figures is not None
    with pytest.raises(ConfigError, match="no trial of alphaedit worked; the last one: no direction"):
        search("alphaedit", model, tokenizer, rows, settings={**fixed, "nullspace_threshold": 1e-4}, **options)
    for bad, message in [({"budget": 0}, "budget"), ({"moments": None}, "--corpus")]:
        with pytest.raises(ConfigError, match=message):
            search("alphaedit", model, tokenizer, rows, **{**options, **bad})
    with pytest.raises(ConfigError, match="no development edits"):
        search("alphaedit", model, tokenizer, [], **options)


def test_the_command_writes_settings_that_edit_takes(make_model: Any, tokenizer: Any, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    make_model().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    rows = [
        {"prompt": "The capital of France is", "subject": "France", "target_new": "Berlin", "rephrase_prompt": "Paris"},
        {"prompt": "Hamlet was written by", "subject": "Hamlet", "target_new": "x", "locality_prompt": ["Who", "The"]},
    ]
    path, settings, config = tmp_path / "dev.jsonl", tmp_path / "fixed.json", tmp_path / "best.json"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    assert [(len(r.rephrased), len(r.elsewhere)) for r in read_development(path)] == [(1, 0), (0, 2)]
    settings.write_text('{"num_steps": 2}', encoding="utf-8")
    group = Group("eval", commands={"edit": edit, "tune": tune})
    shared = ["-m", str(folder), "--json", "--method", "ft-m", "--edits", str(path)]
    arguments = ["tune", *shared, "--budget", "3", "--config", str(settings), "--save-config", str(config), "--single"]
    arguments += ["--second", str(settings)]
    told = json.loads(CliRunner().invoke(group, arguments, catch_exceptions=False).stdout)
    assert (len(told["trials"]), told["edits"], told["config"]["num_steps"]) == (3, 2, 2)
    assert json.loads(config.read_text(encoding="utf-8")) == told["config"]
    out = ["--save-deltas", str(tmp_path / "d.safetensors"), "--config", str(config)]
    ran = json.loads(CliRunner().invoke(group, ["edit", *shared, *out], catch_exceptions=False).stdout)
    assert ran["ignored"] == [] and ran["config"] == told["config"]


def test_a_model_with_a_chat_template_is_written_and_asked_through_it(
    make_model: Any, tokenizer: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    make_model().save_pretrained(folder)
    chatting = copy.deepcopy(tokenizer)
    chatting.chat_template = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + eos_token }}{% endfor %}"
    chatting.save_pretrained(folder)
    path = tmp_path / "dev.jsonl"
    row = {"prompt": "The capital of France is", "subject": "France", "target_new": "Berlin", "locality_prompt": "Who"}
    path.write_text(json.dumps(row), encoding="utf-8")
    group = Group("eval", commands={"edit": edit, "tune": tune})
    shared = ["-m", str(folder), "--json", "--method", "ft-m", "--edits", str(path)]

    def ran(*words: str) -> Any:
        return json.loads(CliRunner().invoke(group, list(words), catch_exceptions=False).stdout)

    chat, bare = (
        ran("edit", *shared, "--save-deltas", str(tmp_path / f"d{number}"), *more)
        for number, more in enumerate(((), ("--bare",)))
    )
    assert (chat["written"], bare["written"]) == ("chat", "raw")
    assert chat["norms"] != bare["norms"]
    asked = [ran("tune", *shared, "--budget", "1", *more)["best"]["figures"] for more in ((), ("--bare",))]
    assert asked[0]["log_probability"] != asked[1]["log_probability"]
