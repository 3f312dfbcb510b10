"""Does the main job hold with 1,000 edits in one memory? The built-in model and encoder, through the public API.

    python -m eval.benchmarks.main_job [--edits 1000] [--seed 0] [--json]

Facts that the pocket model knows are edited to another object of the same relation; half are added as sentences, half
as a question and its answer. All answers are *generated* (greedy) and compared after normalisation (case, articles and
punctuation apart):

- ``edited``: the edit's own prompt is answered with the new object;
- ``paraphrase``: so are two evaluation wordings, which neither the model nor the scope decision was trained on;
- ``unedited``: the answers to other known facts, asked in evaluation wordings, are the frozen model's own, and on the
  ``base`` route; ``same_subject`` is the part of them whose subject is edited in another relation.
"""

import json
import random
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import click

from memory_store.edit import Edit
from scr.edited_model import EditedModel
from scr.pocket.facts import Fact, in_running_text, load_facts
from scr.pocket.wordings import Form, wordings


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Shares in [0, 1]; generated answers."""

    edits: int
    edited: float
    paraphrase: float
    paraphrase_fired: float
    """Share of the paraphrases that the asked edit fired on: what is missing to it is the scope decision's."""
    unedited: float
    unedited_silent: float
    """Share of the unedited questions that no edit fired on."""
    same_subject: float
    same_subject_n: int
    add_ms: float
    """Per edit."""
    ask_ms: float
    """Per question, decision included."""


def measure(edits: int = 1000, seed: int = 0) -> Result:
    """Run the main job once in a fresh in-memory store."""
    rng = random.Random(seed)
    facts = list(load_facts())
    rng.shuffle(facts)
    chosen, rest = facts[:edits], facts[edits : 2 * edits]
    objects: dict[str, list[str]] = {}
    for fact in facts:
        objects.setdefault(fact.relation, []).append(fact.object)
    targets = [rng.choice(sorted(set(objects[f.relation]) - {f.object})) for f in chosen]
    memory = [as_edit(f, target, n % 2 == 0, rng) for n, (f, target) in enumerate(zip(chosen, targets, strict=True))]

    with EditedModel.from_pretrained() as model:
        neighbours = [asked(f, rng.choice(wordings(f.relation, "question", "evaluation"))) for f in rest]
        before = [answer.text for answer in model.ask(neighbours)]
        started = time.perf_counter()
        results = [r for start in range(0, edits, 256) for r in model.edit(memory[start : start + 256])]
        add_ms = (time.perf_counter() - started) * 1e3 / edits
        assert all(r.status in ("added", "superseded") for r in results), {r.status for r in results}

        started = time.perf_counter()
        own = [answer.text for answer in model.ask([e.prompt for e in memory])]
        ask_ms = (time.perf_counter() - started) * 1e3 / edits
        pairs = [
            (asked(f, wording), target, result.edit.edit_id)
            for f, target, result in zip(chosen, targets, results, strict=True)
            for wording in rng.sample(wordings(f.relation, "question", "evaluation"), 2)
        ]
        reworded = model.ask([question for question, _, _ in pairs])
        after = model.ask(neighbours)
    edited_subjects = {f.subject for f in chosen}
    same = [i for i, f in enumerate(rest) if f.subject in edited_subjects]
    unchanged = [a.text == b for a, b in zip(after, before, strict=True)]
    return Result(
        edits=edits,
        edited=share(says(text, target) for text, target in zip(own, targets, strict=True)),
        paraphrase=share(says(a.text, target) for a, (_, target, _) in zip(reworded, pairs, strict=True)),
        paraphrase_fired=share(
            edit_id in {j.edit.edit_id for j in a.used} for a, (_, _, edit_id) in zip(reworded, pairs, strict=True)
        ),
        unedited=share(unchanged),
        unedited_silent=share(a.route == "base" for a in after),
        same_subject=share(unchanged[i] for i in same) if same else float("nan"),
        same_subject_n=len(same),
        add_ms=add_ms,
        ask_ms=ask_ms,
    )


def as_edit(fact: Fact, target: str, sentence: bool, rng: random.Random) -> Edit:
    """The edit as ``scr add`` would store it: a sentence up to its answer, or a question and its answer."""
    form: Form = "statement" if sentence else "question"
    prompt = asked(fact, rng.choice(wordings(fact.relation, form, "train")))
    statement = f"{prompt} {target}." if sentence else f"{prompt} {target}"
    return Edit(subject=fact.subject, prompt=prompt, target_new=target, statement=statement)


def asked(fact: Fact, wording: str) -> str:
    """The wording with the fact's subject, its first letter large."""
    text = wording.format(s=in_running_text(fact.subject))
    return text[:1].upper() + text[1:]


def says(answer: str, target: str) -> bool:
    """Whether a generated answer is the target, after normalisation.

    >>> says("The Hague.", "the hague"), says("Lyon", "Paris")
    (True, False)
    """
    return normalised(answer) == normalised(target)


def normalised(text: str) -> str:
    words: Sequence[str] = re.sub(r"[^\w\s]", " ", text.casefold()).split()
    return " ".join(w for w in words if w not in ("the", "a", "an"))


def share(flags: Iterable[bool]) -> float:
    """Share of true flags; no flags is an error, not 0."""
    flags = list(flags)
    if not flags:
        raise ValueError("nothing was measured")
    return sum(flags) / len(flags)


@click.command()
@click.option("--edits", default=1000, show_default=True, help="Edits in the memory.")
@click.option("--seed", default=0, show_default=True, help="Which facts, which new objects, which wordings.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def main(edits: int, seed: int, as_json: bool) -> None:
    """Edit facts the pocket model knows and ask about them and about others."""
    result = measure(edits, seed)
    figures = {name: getattr(result, name) for name in Result.__dataclass_fields__}
    if as_json:
        click.echo(json.dumps({"schema": "scr.bench.main_job/1", "decoding": "generated", "seed": seed, **figures}))
        return
    click.echo(f"{edits} edits in one memory, pocket model, generated answers, seed {seed}")
    for name, value in figures.items():
        if name != "edits":
            click.echo(f"  {name:<18} {value:.3f}" if isinstance(value, float) else f"  {name:<18} {value}")


if __name__ == "__main__":
    main()
