"""How well do the weight editors edit the built-in model, each tuned with the same budget?

    python -m eval.benchmarks.pocket_editors [--methods memit,rome] [--budget 20] [--n 50] [--tuned-on 50] [--json]

Facts that the model knows, asked as unfinished sentences, are edited to another object of the same relation. Settings
are searched on development edits (``eval.editors.tune``; PRUNE and RECT try what suited the method they wrap, where
that was tuned before them) and measured on ``n`` others, all written in one batch;
ROME writes each edit by itself. Answers are generated greedily to the stop; ``teacher-forced`` stands beside them.

- ``edited``: the edit's own prompt gets the new object; ``rephrased``: so does another wording;
- ``kept``: another fact of the relation is answered as by the unedited model.

Second moments are over all facts as sentences. Published defaults are the first trial; ``published`` is what they reach
on the test edits.
"""

import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import torch

from eval.editors.anatomy import dissect
from eval.editors.build import METHODS, build_editor, configured, layers_of, method_of
from eval.editors.errors import ConfigError
from eval.editors.moments import second_moments
from eval.editors.prune import Prune
from eval.editors.templates import sampled_templates
from eval.editors.tune import Development, Figures, measured, says, tune
from memory_store.edit import Edit
from scr.language_model import HFLanguageModel, load_model
from scr.pocket import MODEL_DIR
from scr.pocket.evaluate import weights_sha256
from scr.pocket.facts import Fact, in_running_text, load_facts
from scr.pocket.wordings import wordings

SINGLE = ("rome",)
"""Methods whose edits are written one by one and measured alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One method on the test edits."""

    method: str
    tuned: Figures | None
    published: Figures | None
    settings: dict[str, Any]
    """What the search changed."""
    seconds_per_edit: float
    """Of writing and asking with the tuned settings, wall."""
    singular_values: dict[str, dict[str, float]]
    """PRUNE: the largest ones of weight, change and pruned change."""


class Pocket:
    """The model, what it knows, and sentences about it."""

    def __init__(self, model: Any, tokenizer: Any, seed: int) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.rng = random.Random(seed)
        facts = load_facts()
        self.objects: dict[str, list[str]] = {}
        for fact in facts:
            self.objects.setdefault(fact.relation, []).append(fact.object)
        self.corpus = [f"{self.sentence(fact, 0)} {fact.object}" for fact in facts]
        self.facts = facts

    def sentence(self, fact: Fact, number: int) -> str:
        """An unfinished sentence that the fact's object finishes."""
        forms = wordings(fact.relation, "statement", "train")
        return forms[number % len(forms)].replace("{s}", in_running_text(fact.subject))

    def known(self, n: int) -> list[Fact]:
        """Facts that are answered right in two wordings, in random order."""
        facts = list(self.facts)
        self.rng.shuffle(facts)
        language_model = HFLanguageModel(self.model, self.tokenizer)
        found: list[Fact] = []
        for start in range(0, len(facts), 4 * n):
            some = facts[start : start + 4 * n]
            answers = [
                language_model.generate([self.sentence(f, number) for f in some], max_new_tokens=20)
                for number in (0, 1)
            ]
            found += [f for f, *said in zip(some, *answers, strict=True) if all(says(a, f.object) for a in said)]
            if len(found) >= n:
                return found[:n]
        raise ConfigError(f"the model knows {len(found)} facts in two wordings, wanted {n}")

    def rows(self, facts: Sequence[Fact], others: Sequence[Fact]) -> list[Development]:
        """Edits of ``facts``; what is kept is asked about ``others`` of the same relation where there is one."""
        rows = []
        for number, fact in enumerate(facts):
            choices = sorted(set(self.objects[fact.relation]) - {fact.object})
            target = self.rng.choice(choices)
            subject, prompt = in_running_text(fact.subject), self.sentence(fact, 0)
            near = [f for f in others if f.relation == fact.relation] or list(others)
            rows.append(
                Development(
                    Edit(
                        statement=f"{prompt} {target}",
                        prompt=prompt,
                        subject=subject,
                        target_new=target,
                        edit_id=str(number),
                    ),
                    (self.sentence(fact, 1),),
                    (self.sentence(self.rng.choice(near), 0),),
                )
            )
        return rows


def run(
    methods: Sequence[str],
    model: Any,
    tokenizer: Any,
    *,
    n: int = 50,
    tuned_on: int = 50,
    budget: int = 20,
    seed: int = 0,
) -> Iterator[Row]:
    """Tune on ``tuned_on`` (at most ``n``) edits, measure on ``n`` others, method by method."""
    pocket = Pocket(model, tokenizer, seed)
    facts = pocket.known(3 * n)
    development = pocket.rows(facts[:n], facts[2 * n :])[:tuned_on]
    test = pocket.rows(facts[n : 2 * n], facts[2 * n :])
    anatomy = dissect(model)
    moments = second_moments(anatomy, tokenizer, pocket.corpus, range(len(anatomy.blocks)))
    templates = sampled_templates(model, tokenizer, seed=seed)
    others = [pocket.sentence(fact, 0) for fact in facts[2 * n :]]
    before = {
        prompt: answer.strip()
        for rows in (development, test)
        for row in rows
        for prompt, answer in zip(
            row.elsewhere,
            HFLanguageModel(model, tokenizer).generate(row.elsewhere, max_new_tokens=20),
            strict=True,
        )
    }
    best: dict[str, dict[str, Any]] = {}
    for method in methods:
        alone = method in SINGLE
        click.echo(f"{method}: {budget} trials on {len(development)} development edits", err=True)

        def tell(number: int, trial: Any, method: str = method) -> None:
            told = f"score {trial.figures.score:.3f}, edited {trial.figures.reliability:.3f}" if trial.figures else ""
            click.echo(f"  {method} {number}: {told or trial.error} {trial.settings}", err=True)

        tuned = tune(
            method,
            model,
            tokenizer,
            development,
            budget=budget,
            second=best.get(method.partition("-")[2]),
            moments=lambda _: moments,
            templates=templates,
            others=others,
            alone=alone,
            seed=seed,
            progress=tell,
        )
        best[method] = tuned.best.settings
        results: list[Figures | None] = []
        sigma: dict[str, dict[str, float]] = {}
        started = time.perf_counter()
        for settings in (tuned.best.settings, {}):
            config, _ = configured(method, model, settings)
            given = (
                {layer: moments[layer] for layer in layers_of(config)} if method_of(method)[0].needs_moments else None
            )
            try:
                editor = build_editor(
                    method,
                    model,
                    tokenizer,
                    config,
                    moments=given,
                    templates=templates,
                    others=others,
                    settings=settings,
                )
                results.append(measured(editor, test, before, alone=alone))
                if settings is tuned.best.settings:
                    seconds = (time.perf_counter() - started) / len(test)
                    if isinstance(editor, Prune):
                        with editor:
                            editor.edit([row.edit for row in test])
                            sigma = editor.singular_values()
            except ConfigError as error:
                click.echo(f"  {method}: {error}", err=True)
                results.append(None)
        yield Row(
            method=method,
            tuned=results[0],
            published=results[1],
            settings=tuned.best.settings,
            seconds_per_edit=seconds,
            singular_values=sigma,
        )


@click.command()
@click.option("--methods", default=",".join([*METHODS, "prune-memit", "rect-memit"]), show_default=True)
@click.option("--model", help="Hugging Face name or folder; the built-in model where left out.")
@click.option("--n", default=50, show_default=True, help="Edits in the test.")
@click.option("--tuned-on", default=50, show_default=True, help="Edits for development, at most as many.")
@click.option("--budget", default=20, show_default=True, help="Trials per method.")
@click.option("--seed", default=0, show_default=True)
@click.option("--threads", default=2, show_default=True)
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Also write the JSON here.")
@click.option("--json", "as_json", is_flag=True)
def main(
    methods: str,
    model: str | None,
    n: int,
    tuned_on: int,
    budget: int,
    seed: int,
    threads: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Tune and measure the weight editors on the built-in model."""
    torch.set_num_threads(threads)
    network, tokenizer = load_model(model)
    told: dict[str, Any] = {"n": n, "tuned_on": tuned_on, "budget": budget, "seed": seed, "rows": []}
    if model is None:
        told["sha256"] = weights_sha256(MODEL_DIR)
    if not as_json:
        click.echo(f"{'':<14}{'edited':>8}{'teacher-f.':>12}{'rephrased':>11}{'kept':>7}{'published':>11}{'s/edit':>8}")
    chosen = methods.split(",")
    for row in run(chosen, network, tokenizer, n=n, tuned_on=tuned_on, budget=budget, seed=seed):
        told["rows"].append(asdict(row))
        if out is not None:
            out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        if not as_json:
            click.echo(as_text(row))
    if as_json:
        click.echo(json.dumps(told, indent=1))


def as_text(row: Row) -> str:
    """One line, and one for every matrix that PRUNE cut."""
    f = row.tuned
    if f is None:
        return f"{row.method:<14} failed"
    published = "failed" if row.published is None else f"{row.published.reliability:.3f}"
    lines = [
        f"{row.method:<14}{f.reliability:>8.3f}{f.reliability_teacher_forced:>12.3f}{f.generalization or 0:>11.3f}"
        f"{f.locality or 0:>7.3f}{published:>11}{row.seconds_per_edit:>8.3f}"
    ]
    for name, sigma in row.singular_values.items():
        lines.append(f"  {name}: largest singular value of " + ", ".join(f"{k} {v:.3g}" for k, v in sigma.items()))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
