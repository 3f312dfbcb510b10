"""Does the scope decision hold as the memory grows, and is it silent on text that no edit is about?

    python -m eval.benchmarks.scope_size --data ../shared/data [--part growth|unrelated|all] [--limit N] [--json]

* ``growth``: a thousand edits of ``scope_dev`` (drawn with seed 0), then the rest of it and CounterFact's rows, up to
  20,000 edits. The same queries are asked at both sizes: all in scope of the thousand, and ``--limit`` of each kind out
  of scope. CounterFact rows that state an edit of ``scope_dev``, whose prompt is one of its queries, or that are in the
  training memories are left out. Queries of the training are judged by the trees that never saw their subject.
* ``unrelated``: the 10,000 edits of ``counterfact_edit_10000`` in memory, asked with the texts of GSM8K, PIQA, ME-PPL
  and WikiText-2 that are neither queries of ``scope_dev`` nor training rows; the share on which an edit fires.
"""

import json
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from eval.scope import OUT_KINDS, ScopeCases, ScopeQuery, evaluate, read_cases
from memory_store.edit import Edit
from memory_store.identity import fold, identity_of
from scr.encoder import load_encoder
from scr.scope.features import read
from scr.scope.training_data import all_corpora, rows_of
from scr.scope.weights import Weights

SMALL, LARGE = 1_000, 20_000
TEXTS = {
    "gsm8k": ("probe_gsm8k_test.jsonl", "question"),
    "piqa": ("probe_piqa_valid.jsonl", "goal"),
    "me_ppl": ("text_me_ppl.jsonl", "Text"),
    "wikitext": ("text_wikitext2_valid.jsonl", "text"),
}
"""File and field of the texts that no edit is about."""


def counterfact_edits(file: Path) -> Iterator[Edit]:
    """The edits of a CounterFact file in its flat form."""
    for row in rows_of(file):
        yield Edit(
            edit_id=f"cf-{row['case_id']}",
            subject=row["subject"],
            prompt=row["prompt"],
            target_new=row["target_new"],
            statement=f"{row['prompt']} {row['target_new']}.",
            source="counterfact",
        )


def with_places(edits: Iterable[Edit]) -> list[Edit]:
    """The edits that state no earlier one's fact: later ones would take the earlier ones' place."""
    kept: dict[str, Edit] = {}
    for edit in edits:
        kept.setdefault(identity_of(edit), edit)
    return list(kept.values())


def growth(data: Path, limit: int) -> dict[str, Any]:
    """Score the thousand's queries in a memory of the thousand and in one of ``LARGE``."""
    cases = read_cases(data / "scope_dev_memory.jsonl", data / "scope_dev_queries.jsonl")
    rng = random.Random(0)
    small = rng.sample(list(cases.edits), SMALL)
    ids = {e.edit_id for e in small}
    asked = [q for q in cases.queries if q.edit_ids & ids]
    for kind in OUT_KINDS:
        of_kind = [q for q in cases.queries if q.kind == kind and not q.edit_ids]
        asked += rng.sample(of_kind, min(limit, len(of_kind)))
    stated = {fold(e.statement) for e in cases.edits}
    questions = {fold(q.text) for q in cases.queries}
    trained = {fold(e.statement) for corpus in all_corpora(data, seed=0) for e in corpus.edits}
    files = (data / "counterfact_edit_10000.jsonl", data / "counterfact_train_10000.jsonl")
    ballast = [
        e
        for file in files
        for e in counterfact_edits(file)
        if fold(e.statement) not in stated | trained and fold(e.prompt) not in questions
    ]
    large = with_places([*small, *(e for e in cases.edits if e.edit_id not in ids), *ballast])[:LARGE]
    answered = answered_neighbours(data, asked, large)
    figures: dict[str, Any] = {"queries": len(asked), "answered": len(answered)}
    encoder = load_encoder()
    sizes = []
    for edits in (with_places(small), large):
        there = {e.edit_id for e in edits}
        queries = tuple(ScopeQuery(q.text, q.kind, q.source, q.edit_ids & there) for q in asked)
        report = evaluate(ScopeCases(tuple(edits), queries), encoder, timed=20)
        rest = tuple(q for q in queries if q.text not in answered)
        unanswered = evaluate(ScopeCases(tuple(edits), rest), encoder, timed=20)
        sizes.append((report.hm or 0.0, unanswered.hm or 0.0))
        figures[f"{len(edits)}"] = {
            "hm": report.hm,
            "kinds": {kind: share for kind, (share, _) in report.kinds.items()},
            "hm_unanswered": unanswered.hm,
            "neighbor_unanswered": unanswered.kinds["neighbor"][0],
        }
    (small_hm, small_rest), (large_hm, large_rest) = sizes
    return figures | {"falls_by": small_hm - large_hm, "falls_by_unanswered": small_rest - large_rest}


def answered_neighbours(data: Path, asked: Iterable[ScopeQuery], edits: Iterable[Edit]) -> set[str]:
    """The neighbour questions whose relation one of the CounterFact edits states of a subject that they name."""
    of_case = {row["case_id"]: row["relation_id"] for row in rows_of(data / "counterfact_relations.jsonl")}
    relation_of = {
        fold(text): row["requested_rewrite"]["relation_id"]
        for row in rows_of(data / "counterfact_full_1031.jsonl")
        for text in row["neighborhood_prompts"]
    }
    stated: dict[str, set[str]] = defaultdict(set)
    for edit in edits:
        if edit.edit_id.startswith("cf-"):
            stated[of_case[int(edit.edit_id[3:])] or ""].add(" ".join(read(edit.subject).words))
    answered = set()
    for q in asked:
        subjects = stated.get(relation_of.get(fold(q.text), "-"), set())
        words = read(q.text).words
        spans = {" ".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, len(words) + 1)}
        if q.kind == "neighbor" and spans & subjects:
            answered.add(q.text)
    return answered


def unrelated(data: Path, limit: int | None) -> dict[str, Any]:
    """The share of texts on which an edit fires, by source."""
    edits = with_places(counterfact_edits(data / "counterfact_edit_10000.jsonl"))
    known = {fold(r["query"]) for r in rows_of(data / "scope_dev_queries.jsonl")}
    weights = Weights.load()
    queries = []
    for source, (name, field) in TEXTS.items():
        texts = list(dict.fromkeys(str(row[field]).strip() for row in rows_of(data / name)))
        new = [t for t, seen in zip(texts, weights.fold_of(texts).tolist(), strict=True) if t and seen < 0]
        new = [t for t in new if fold(t) not in known]
        queries += [ScopeQuery(t, "unrelated", source, frozenset()) for t in new[:limit]]
    report = evaluate(ScopeCases(tuple(edits), tuple(queries)), load_encoder(), timed=20)
    share, n = report.kinds["unrelated"]
    fires = {source: round(1 - kinds["unrelated"], 6) for source, kinds in report.sources.items()}
    return {"edits": len(edits), "texts": n, "false_fire": 1 - share, "by_source": fires}


@click.command()
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True)
@click.option("--part", type=click.Choice(["growth", "unrelated", "all"]), default="all", show_default=True)
@click.option("--limit", type=click.IntRange(1), help="Texts of a kind or source. [default: 1000 for growth, else all]")
@click.option("--json", "as_json", is_flag=True)
def main(data: Path, part: str, limit: int | None, as_json: bool) -> None:
    """Measure how the scope decision bears growth and unrelated text."""
    figures: dict[str, Any] = {}
    if part in ("growth", "all"):
        figures["growth"] = growth(data, limit or 1_000)
    if part in ("unrelated", "all"):
        figures["unrelated"] = unrelated(data, limit)
    if as_json:
        click.echo(json.dumps(figures))
        return
    for name, found in figures.items():
        click.echo(name)
        for key, value in found.items():
            click.echo(f"  {key:<12} {value}")


if __name__ == "__main__":
    main()
