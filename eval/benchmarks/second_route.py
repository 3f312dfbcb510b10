"""Why is there a second route? A model that cannot read a fact in its context, edited both ways.

``python -m eval.benchmarks.second_route --data DATA --golden GOLDEN --json``: the golden GPT-2 knows 1,000 CounterFact
rows and was never taught to read a context. The same 1,000 edits in one memory, asked on the context route, with the
prior held down, on the counterfactual route and on ``auto``. Answers are generated to a natural stop, the end of the
line or of the sentence, and compared whole after normalisation.

- *reliability*: the edit's own prompt; *paraphrase*: CounterFact's true paraphrases, which stand behind an unrelated
  sentence (``--set golden``: the rows that the model knows, which have few; ``--set full``: the rows that come with two
  each). Both also *given that the edit fired*, which leaves the scope decision out: that one's misses are the frozen
  model's answers on every route.
- *locality*: the neighbour's prompt is answered as by the model alone, to the letter. With a thousand edits in one
  memory some neighbours ask what an edit of it says: its subject in its relation, in the words of any of CounterFact's
  templates, or a twin city from the other end. There the edit is the right answer. *ungoverned* leaves those out, and
  counts them. With ``--consistent`` none is among them: an edit whose neighbour another one answers gives way to the
  next row, and such rows are counted.
- *neighbours fired*: the share of the ungoverned on which an edit fired, wrongly: all that can go wrong with locality.
- *auto right*: the share of the edits on which the route that ``auto`` took answers at least as many of the questions
  that fired it (its own prompt and the paraphrases) as the other one.

The counterfactual model was trained on none of these subjects. With ``--scope FOLDER`` a classifier made by
``scr train scope`` decides, with ``--model`` another base model answers, such as the pocket model (``pocket``).
``--false-fire 0.01`` sets the memory's threshold first, as ``scr calibrate`` does, on neighbours of edits that are not
in the memory, none of which is asked again.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.benchmarks.main_job import says, share
from eval.metrics import natural_stop
from memory_store.edit import Edit
from memory_store.errors import ConfigError
from memory_store.identity import fold
from memory_store.store import EditStore
from scr.calibration import Row, calibrate, scored
from scr.chain import Ask
from scr.counterfactual import HFCounterfactual
from scr.edited_model import EditedModel
from scr.encoder import load_encoder
from scr.language_model import load_model
from scr.prior import Prior
from scr.protocols import Answer, Decision, Encoder, ScopeClassifier
from scr.scope import load_scope
from scr.scope.serac import SeracScope
from scr.scope.training_data import rows_of

LONGEST = 16
"""New tokens of an answer."""
SYMMETRIC = ("P190",)
"""Relations (Wikidata) that hold from both ends: twin cities."""
PRIORS = {
    "context, prior 0.2": Prior(share=0.2),
    "context, prior 1.0": Prior(share=1.0),
    "context, candidates": Prior(share=1.0, candidates=True),
}

_LOOKED_AT = 2
"""Rows, for each edit wanted, among which consistent ones are looked for."""
Case = tuple[Edit, tuple[str, ...], str]
"""An edit, its paraphrases, its neighbour's prompt."""


def cases_of(data: Path, which: str, count: int) -> list[Case]:
    """The first ``count`` edits of a set.

    Raises:
        ConfigError: the set is smaller.
    """
    full = {row["case_id"]: row for row in rows_of(data / "counterfact_full_1031.jsonl")}
    about = {row["case_id"]: row for row in rows_of(data / "counterfact_relations.jsonl")}
    cases: list[Case] = []
    for row in rows_of(data / "counterfact_edit_10000.jsonl"):
        whole = full.get(row["case_id"])
        if which == "full" and whole is None:
            continue
        paraphrases = list(whole["paraphrase_prompts"]) if whole else []
        if not about[row["case_id"]]["rephrase_is_generation_prompt"]:
            paraphrases.append(row["rephrase_prompt"])
        edit = Edit(
            edit_id=str(row["case_id"]),
            subject=row["subject"],
            prompt=row["prompt"],
            target_new=row["target_new"],
            # Two rows about one prompt are two edits here, as they are in the benchmark.
            relation=str(row["case_id"]),
            statement=f"{row['prompt']} {row['target_new']}.",
        )
        cases.append((edit, tuple(dict.fromkeys(paraphrases)), row["locality_prompt"]))
        if len(cases) == count:
            return cases
    raise ConfigError(f"the set {which} has {len(cases)} edits, wanted {count}; give a smaller --edits")


class Governed:
    """Which questions, folded, ask what an edit says, in any template of its relation?"""

    def __init__(self, data: Path) -> None:
        self._relation: dict[int, str] = {}
        self._templates: dict[str, set[str]] = {}
        for row in rows_of(data / "counterfact_relations.jsonl"):
            self._relation[row["case_id"]] = row["relation_id"] or ""
            if row["relation_id"]:
                self._templates.setdefault(row["relation_id"], set()).add(row["prompt_template"])

    def __call__(self, edits: Sequence[Edit]) -> frozenset[str]:
        found = set()
        for edit in edits:
            relation = self._relation[int(edit.edit_id)]
            for template in self._templates.get(relation, ()):
                for name in (edit.subject, edit.target_new) if relation in SYMMETRIC else (edit.subject,):
                    found.add(fold(template.replace("{}", name)))
        return frozenset(found)


def consistent(data: Path, cases: Sequence[Case], count: int) -> tuple[list[Case], int]:
    """The first ``count`` cases of which no edit answers another's neighbour, and how many were left out on the way.

    Raises:
        ConfigError: there are fewer.
    """
    says = Governed(data)
    kept: list[Case] = []
    said: set[str] = set()
    asked: set[str] = set()
    for number, case in enumerate(cases):
        own, neighbour = says([case[0]]), fold(case[2])
        if neighbour in said or neighbour in own or asked & own:
            continue
        kept.append(case)
        said |= own
        asked.add(neighbour)
        if len(kept) == count:
            return kept, number + 1 - count
    raise ConfigError(f"{len(kept)} of {len(cases)} edits answer no other's neighbour, wanted {count}")


def held_out(data: Path, cases: Sequence[Case], count: int) -> list[str]:
    """Questions to calibrate on: neighbours of edits that are not in the memory, which ask what no edit of it says.

    Raises:
        ConfigError: there are fewer.
    """
    stored = {edit.edit_id for edit, _, _ in cases}
    never = Governed(data)([edit for edit, _, _ in cases]) | {fold(neighbour) for _, _, neighbour in cases}
    rows = [row for row in rows_of(data / "counterfact_edit_10000.jsonl") if str(row["case_id"]) not in stored]
    found = dict.fromkeys(row["locality_prompt"] for row in rows if fold(row["locality_prompt"]) not in never)
    if len(found) < count:
        raise ConfigError(f"there are {len(found)} questions to calibrate on, wanted {count}; give a smaller number")
    return list(found)[:count]


class _Decided(EditedModel):
    """Every route answers by the same decisions, made once: they are the dear part, and no route has one in them."""

    decided: Mapping[str, Decision] | None = None

    def follow(self, queries: Sequence[str], *, ask: Ask | None = None) -> list[Decision]:
        return super().follow(queries) if self.decided is None else [self.decided[query] for query in queries]


def measure(
    cases: Sequence[Case],
    model: Any,
    tokenizer: Any,
    encoder: Encoder,
    scope: ScopeClassifier,
    counterfactual: HFCounterfactual,
    *,
    governed: frozenset[str] = frozenset(),
    budget: float | None = None,
    calibrated_on: Sequence[str] = (),
    priors: bool = False,
) -> dict[str, Any]:
    """Every route's figures over one memory; shares in [0, 1].

    Args:
        governed: folded questions of which an edit of the memory says the answer, so that no neighbour may be one.
        budget: of false fires, which the threshold is set for on ``calibrated_on``; None leaves the decider's own.
    """
    store = EditStore.open(":memory:", encoder=encoder.fingerprint)

    def edited(**options: Any) -> _Decided:
        return _Decided(
            model, tokenizer, store=store, encoder=encoder, scope=scope, counterfactual=counterfactual, **options
        )

    first = edited()
    for start in range(0, len(cases), 256):
        first.edit([edit for edit, _, _ in cases[start : start + 256]])
    own = [(edit, edit.prompt) for edit, _, _ in cases]
    reworded = [(edit, query) for edit, paraphrases, _ in cases for query in paraphrases]
    neighbours = [query for _, _, query in cases]
    asked = list(dict.fromkeys([*(query for _, query in (*own, *reworded)), *neighbours]))
    before = first.said(neighbours, [Decision() for _ in neighbours], max_new_tokens=LONGEST)
    alone = first.said([query for _, query in own], [Decision() for _ in own], max_new_tokens=LONGEST)
    threshold = None if budget is None else _calibrated(first, calibrated_on, budget)
    started = time.perf_counter()
    decided = dict(zip(asked, first.follow(asked), strict=True))
    print(f"{len(asked)} decisions: {time.perf_counter() - started:.0f} s", file=sys.stderr)
    found: dict[str, Any] = {
        "edits": len(own),
        "paraphrases": len(reworded),
        "says_it_unedited": share(_says(text, edit) for text, (edit, _) in zip(alone, own, strict=True)),
        "threshold": threshold,
        "routes": {},
    }
    ungoverned = [i for i, query in enumerate(neighbours) if fold(query) not in governed]
    found["neighbours_ungoverned"] = len(ungoverned)
    routes: dict[str, dict[str, Any]] = {"context": {}}
    routes |= {name: {"prior": prior} for name, prior in PRIORS.items() if priors}
    routes |= {"counterfactual": {"route": "counterfactual"}, "auto": {"route": "auto"}}
    kept: dict[str, tuple[list[Answer], list[Answer]]] = {}
    for name, options in routes.items():
        started = time.perf_counter()
        edited_model = edited(**options)
        edited_model.decided = decided
        said = edited_model.ask([query for _, query in own], max_new_tokens=LONGEST)
        again = edited_model.ask([query for _, query in reworded], max_new_tokens=LONGEST)
        after = edited_model.ask(neighbours, max_new_tokens=LONGEST)
        kept[name] = said, again
        found["routes"][name] = {
            "reliability": _share(said, own, fired=False),
            "reliability_fired": _share(said, own, fired=True),
            "paraphrase": _share(again, reworded, fired=False),
            "paraphrase_fired": _share(again, reworded, fired=True),
            "locality": share(a.text == text for a, text in zip(after, before, strict=True)),
            "locality_ungoverned": share(after[i].text == before[i] for i in ungoverned),
            "seconds": round(time.perf_counter() - started, 1),
        }
        print(f"{name}: {found['routes'][name]}", file=sys.stderr)
    found["fired"] = {
        "own": share(_fired(a, edit) for a, (edit, _) in zip(kept["context"][0], own, strict=True)),
        "paraphrase": share(_fired(a, edit) for a, (edit, _) in zip(kept["context"][1], reworded, strict=True))
        if reworded
        else None,
    }
    found["fired"]["neighbours"] = share(bool(decided[neighbours[i]].in_scope) for i in ungoverned)
    found["fired_wrongly"] = {
        neighbours[i]: used[0].edit.statement for i in ungoverned if (used := decided[neighbours[i]].in_scope)
    }
    found["auto_right"] = _auto_right(kept, own, reworded)
    found["auto_counterfactual"] = share(
        a.route == "counterfactual" for a in kept["auto"][0] if a.route in ("context", "counterfactual")
    )
    return found


def _calibrated(edited: EditedModel, questions: Sequence[str], budget: float) -> float:
    """Set the memory's threshold so that few enough of these questions fire, and return it."""
    found = calibrate(scored(edited.editor, [Row(question, in_scope=False) for question in questions]), budget)
    measured = {"false_fires": found.false_fires, "out_of_scope": found.out_rows}
    edited.store.calibrate(edited.editor.scope.name, found.threshold, measured)
    print(f"threshold {found.threshold:.4f}: {found.false_fires} of {found.out_rows} fire", file=sys.stderr)
    return found.threshold


def _auto_right(
    kept: Mapping[str, tuple[Sequence[Answer], Sequence[Answer]]],
    own: Sequence[tuple[Edit, str]],
    reworded: Sequence[tuple[Edit, str]],
) -> float:
    """Share of the edits whose route was the better one, or as good."""
    right: dict[str, dict[str, int]] = {}
    took: dict[str, str] = {}
    for number, pairs in enumerate((own, reworded)):
        for context, other, auto, (edit, _) in zip(
            *(kept[name][number] for name in ("context", "counterfactual", "auto")), pairs, strict=True
        ):
            if context.used and context.used[0].edit.edit_id == edit.edit_id:
                counts = right.setdefault(edit.edit_id, {"context": 0, "counterfactual": 0})
                counts["context"] += _right(context, edit)
                counts["counterfactual"] += _right(other, edit)
                took[edit.edit_id] = auto.route
    return share(counts[took[edit_id]] == max(counts.values()) for edit_id, counts in right.items())


def _share(answers: Sequence[Answer], asked: Sequence[tuple[Edit, str]], *, fired: bool) -> float | None:
    kept = [
        _right(answer, edit)
        for answer, (edit, _) in zip(answers, asked, strict=True)
        if not fired or _fired(answer, edit)
    ]
    return share(kept) if kept else None


def _right(answer: Answer, edit: Edit) -> bool:
    return _says(answer.text, edit)


def _says(text: str, edit: Edit) -> bool:
    said = natural_stop(text, sentence=True)
    return says(said, edit.target_new) or fold(said) == fold(edit.target_new)


def _fired(answer: Answer, edit: Edit) -> bool:
    return edit.edit_id in {judged.edit.edit_id for judged in answer.used}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the benchmark files")
    parser.add_argument("--golden", type=Path, help="folder whose model/ is the golden GPT-2")
    parser.add_argument("--model", help="another base model; pocket is the built-in one")
    parser.add_argument("--set", choices=["golden", "full"], default="golden", dest="which")
    parser.add_argument("--edits", type=int, default=1000)
    parser.add_argument("--scope", help="folder from scr train scope; without it, the shipped pair classifier")
    parser.add_argument("--counterfactual", help="folder from scr train counterfactual; without it, the shipped model")
    parser.add_argument("--false-fire", type=float, metavar="SHARE", help="set the memory's threshold for this budget")
    parser.add_argument("--calibrate-on", type=int, default=3000, metavar="N", help="questions (default: %(default)s)")
    parser.add_argument("--consistent", action="store_true", help="edits of which none answers another's neighbour")
    parser.add_argument("--priors", action="store_true", help="also with the prior held down (scr.prior)")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args(arguments)
    if (given.model is None) == (given.golden is None):
        parser.error("give --golden FOLDER or --model NAME")
    name = given.model or str(given.golden / "model")
    encoder = load_encoder(offline=True)
    model, tokenizer = load_model(None if name == "pocket" else name, offline=True)
    scope = SeracScope.from_pretrained(given.scope) if given.scope else load_scope("pair", encoder=encoder)
    left_out = 0
    if given.consistent:
        cases, left_out = consistent(
            given.data, cases_of(given.data, given.which, _LOOKED_AT * given.edits), given.edits
        )
    else:
        cases = cases_of(given.data, given.which, given.edits)
    found = measure(
        cases,
        model,
        tokenizer,
        encoder,
        scope,
        HFCounterfactual.from_pretrained(given.counterfactual, offline=True),
        governed=Governed(given.data)([edit for edit, _, _ in cases]),
        budget=given.false_fire,
        calibrated_on=held_out(given.data, cases, given.calibrate_on) if given.false_fire is not None else (),
        priors=given.priors,
    )
    about = {"schema": "scr.second_route/2", "set": given.which, "scope": given.scope or "pair", "left_out": left_out}
    result = {**about, **found}
    if given.json:
        print(json.dumps(result, indent=1))
        return
    print(f"{'route':22} reliability  (fired)  paraphrase  (fired)  locality  ungoverned")
    for route, row in found["routes"].items():
        names = ("reliability", "reliability_fired", "paraphrase", "paraphrase_fired", "locality")
        cells = [row[k] for k in (*names, "locality_ungoverned")]
        shown = [" - " if cell is None else f"{cell:.3f}" for cell in cells]
        print(f"{route:22} {shown[0]:>11}  {shown[1]:>7}  {shown[2]:>10}  {shown[3]:>7}  {shown[4]:>8}  {shown[5]:>10}")


if __name__ == "__main__":
    main()
