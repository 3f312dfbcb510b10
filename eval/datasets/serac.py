"""What may SERAC's parts learn from? Edits of CounterFact's training split, PokeMQA's, and made-up ones, as one JSONL.

``python -m eval.datasets.serac --data DATA --out FILE`` writes what ``scr train`` reads (``scr.serac.examples``).
No row is about a subject that is kept back, of the scope benchmark or of an edit that is measured. CounterFact's
``rephrase_prompt`` is a paraphrase in one row of six; other wordings come from templates that the training split uses
for the same relation, half of them behind an unrelated sentence, as the benchmark's paraphrases stand.

With ``--scope-dev 0.6 --held-out QUERIES`` the scope benchmark's own edits are learnt from too, those of six subjects
in ten, and QUERIES gets the benchmark's queries about the other subjects, to be measured on with ``scr eval scope
--memory DATA/scope_dev_memory.jsonl --queries QUERIES``: all edits in one memory, no query trained on.
"""

import argparse
import hashlib
import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from scr.pocket.data import Asked, Generator, no, yes
from scr.scope.training_data import IN_KINDS, OUT_KINDS, kept_back_subjects, key_of, rows_of

MADE_UP = 9_000
LEAD_IN = 0.5
LONGEST_NAME = 6
"""Words of a subject that is looked for inside a statement."""


def rows(data: Path, seed: int = 0, made: int = MADE_UP, most: int | None = None) -> Iterator[dict[str, Any]]:
    """All training rows, in the order of their sources; the same for the same seed.

    Args:
        made: how many made-up facts are drawn.
        most: of each published set, at most so many rows, drawn; None takes all.
    """
    rng = random.Random(f"serac-{seed}")
    forbidden = measured_subjects(data)
    for published in (counterfact(data, forbidden, rng), pokemqa(data, forbidden)):
        if most is None:
            yield from published
        else:
            every = list(published)
            yield from random.Random(f"serac-most-{seed}").sample(every, min(most, len(every)))
    yield from made_up(forbidden, rng, made)


def scope_dev(data: Path, share: float, seed: int = 0) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(training rows, queries to measure on) of the scope benchmark: whole subjects on one side, drawn by a hash.

    A query that no edit governs belongs to the edit that it follows in the file, and one that stands on both sides to
    the training rows alone.

    Args:
        share: of the subjects, to learn from.
    """
    kept_back = kept_back_subjects(data)
    edits = {row["edit_id"]: row for row in _of(data, "scope_dev_memory")}
    learnt = {
        edit_id: {
            "statement": row["statement"],
            "prompt": row["prompt"],
            "subject": row["subject"],
            "target_new": row["target_new"],
            "in_scope": [],
            "out_of_scope": [],
        }
        for edit_id, row in edits.items()
        if _drawn(key_of(row["subject"]), seed) < share and key_of(row["subject"]) not in kept_back
    }
    held: list[dict[str, Any]] = []
    trained: set[str] = set()
    last: dict[str, Sequence[str]] = {}
    for row in _of(data, "scope_dev_queries"):
        about = row["edit_ids"] or last.get(row["source"], ())
        last[row["source"]] = about
        mine = [edit_id for edit_id in about if edit_id in learnt]
        if not mine:
            held.append(row)
        elif row["kind"] in (*IN_KINDS, *OUT_KINDS):
            trained.add(row["query"])
            for edit_id in mine:
                learnt[edit_id]["in_scope" if row["edit_ids"] else "out_of_scope"].append(row["query"])
    return list(learnt.values()), [row for row in held if row["query"] not in trained]


def _drawn(name: str, seed: int) -> float:
    """A number in [0, 1) that hangs on the name and the seed alone."""
    return int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:4], "big") / 2**32


def measured_subjects(data: Path) -> frozenset[str]:
    """Normal forms of every subject that figures are taken on."""
    measured = [row["subject"] for name in ("scope_dev_memory", "counterfact_edit_10000") for row in _of(data, name)]
    return kept_back_subjects(data) | frozenset(map(key_of, measured))


def counterfact(data: Path, forbidden: frozenset[str], rng: random.Random) -> Iterator[dict[str, Any]]:
    """An edit of the training split, its wordings, its neighbour, and other relations of its subject."""
    about = {row["case_id"]: row for row in _of(data, "counterfact_relations")}
    kept = [row for row in _of(data, "counterfact_train_10000") if key_of(row["subject"]) not in forbidden]
    templates: dict[str, list[str]] = {}
    for row in kept:
        relation = about[row["case_id"]]
        known = templates.setdefault(relation["relation_id"] or "", [])
        if relation["prompt_template"] not in known:
            known.append(relation["prompt_template"])
    relations = sorted(filter(None, templates))
    leads = lead_ins(data)
    for row in kept:
        relation, subject, target = about[row["case_id"]], row["subject"], row["target_new"]
        same = [t for t in templates.get(relation["relation_id"] or "-", []) if t != relation["prompt_template"]]
        wordings = [t.replace("{}", subject) for t in rng.sample(same, min(3, len(same)))]
        wordings.append(row["prompt"])
        queries = [led(wording, leads, rng) for wording in wordings]
        if not relation["rephrase_is_generation_prompt"]:
            queries.append(row["rephrase_prompt"])
        others = rng.sample([r for r in relations if r != relation["relation_id"]], 2)
        elsewhere = [rng.choice(templates[other]).replace("{}", subject) for other in others]
        yield {
            "statement": f"{row['prompt']} {target}.",
            "prompt": row["prompt"],
            "subject": subject,
            "target_new": target,
            "in_scope": queries,
            "out_of_scope": [row["locality_prompt"], *(led(query, leads, rng) for query in elsewhere)],
        }


def pokemqa(data: Path, forbidden: frozenset[str]) -> Iterator[dict[str, Any]]:
    """Statements with four questions each; their answers are not marked, so they teach the scope alone."""
    seen: set[str] = set()
    for row in _of(data, "pokemqa_scope_6688"):
        words = key_of(row["edit"]).split()
        names = {" ".join(words[a:b]) for a in range(len(words)) for b in range(a + 1, a + 1 + LONGEST_NAME)}
        if row["edit"] not in seen and not names & forbidden:
            yield {"statement": f"{row['edit']}.", "in_scope": [{"query": q, "answer": ""} for q in row["questions"]]}
        seen.add(row["edit"])


def made_up(forbidden: frozenset[str], rng: random.Random, count: int = MADE_UP) -> Iterator[dict[str, Any]]:
    """The pocket model's invented and altered facts, asked as questions, as clozes and with yes or no."""
    generator = Generator()
    for _ in range(count):
        asked = generator.counterfactual(rng) if rng.random() < 0.5 else generator.ask_anything(rng)
        wrong = generator.wrong_object(asked, rng)
        others = generator.distractors(asked, 2, rng, known_relation=asked.relation in generator.by_relation)
        if key_of(asked.subject) not in forbidden:
            yield {
                "statement": asked.shown(rng),
                "prompt": asked.question,
                "subject": asked.subject,
                "target_new": asked.object,
                "in_scope": [
                    asked.cloze,
                    _yes_no(generator, asked, asked.object, yes(asked.object), rng),
                    _yes_no(generator, asked, wrong, no(asked.object), rng),
                ],
                "out_of_scope": [other.question for other in others],
            }


def _yes_no(generator: Generator, asked: Asked, proposed: str, answer: str, rng: random.Random) -> Mapping[str, str]:
    return {"query": generator.yes_no_question(asked, proposed, rng), "answer": answer}


def lead_ins(data: Path) -> Sequence[str]:
    """Sentences of ordinary text that have nothing to do with what follows them."""
    found = []
    for row in _of(data, "text_wikitext2_valid"):
        text = row["text"].replace("<unk>", "").replace(" @-@ ", "-").replace(" @,@ ", ",").replace(" @.@ ", ".")
        text = re.sub(r"\s+([.,;:!?)])", r"\1", " ".join(text.split()))
        found += [s for s in re.split(r"(?<=[.!?])\s+(?=[A-Z])", text) if 15 < len(s) < 120]
    return found


def led(query: str, leads: Sequence[str], rng: random.Random) -> str:
    """``query``, in half of the cases behind an unrelated sentence."""
    return f"{rng.choice(leads)} {query}" if rng.random() < LEAD_IN else query


def _of(data: Path, name: str) -> list[dict[str, Any]]:
    return rows_of(data / f"{name}.jsonl")


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the benchmark files")
    parser.add_argument("--out", type=Path, required=True, help="the JSONL to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--made-up", type=int, default=MADE_UP, metavar="N", help="made-up facts (default: %(default)s)"
    )
    parser.add_argument("--most", type=int, metavar="N", help="rows of each published set (default: all)")
    parser.add_argument("--scope-dev", type=float, metavar="SHARE", help="also learn from this share of its subjects")
    parser.add_argument("--held-out", type=Path, metavar="QUERIES", help="with --scope-dev: the queries of the others")
    given = parser.parse_args(arguments)
    if (given.scope_dev is None) != (given.held_out is None):
        parser.error("--scope-dev SHARE and --held-out QUERIES go together: what is learnt must not be measured")
    if given.scope_dev is not None and not 0 < given.scope_dev < 1:
        parser.error(f"--scope-dev is {given.scope_dev}, wanted a share between 0 and 1")
    made = list(rows(given.data, given.seed, given.made_up, given.most))
    if given.scope_dev is not None:
        learnt, held = scope_dev(given.data, given.scope_dev, given.seed)
        made += learnt
        _write(given.held_out, held)
    _write(given.out, made)


def _write(file: Path, made: Sequence[Mapping[str, Any]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in made), encoding="utf-8")


if __name__ == "__main__":
    main()
