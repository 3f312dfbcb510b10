"""What does a correction replace, by the thousand? The earlier value of the same thing, and nothing else."""

import io
import json
from itertools import product
from pathlib import Path

import pytest

from memory_store.edit import Edit
from memory_store.identity import fold
from memory_store.importing import import_file
from memory_store.transfer import to_record

SHARED = Path(__file__).parents[3] / "shared" / "data"


def rows(name):
    path = SHARED / f"{name}.jsonl"
    if not path.exists():
        pytest.skip("the published rows are not here")
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def rewritten(edit, with_relation):
    relation, subject, answer = edit["relation"], edit["subject"]["label"], edit["new_object"]["label"]
    prompt = relation["prompt"].replace("{}", subject)
    return Edit(
        statement=f"{prompt} {answer}.",
        subject=subject,
        prompt=prompt,
        target_new=answer,
        relation=relation["id"] if with_relation else None,
    )


@pytest.mark.parametrize(("way", "count"), [("by relation", 2_500), ("by prompt", 500), ("as a file", 500)])
def test_of_conflicting_pairs_only_the_second_value_lives_and_the_first_is_history(store, clock, way, count):
    pairs = [
        [rewritten(e, way == "by relation") for e in r["edits"]] for r in rows("conflictedit_gptj_coverage_edit_2500")
    ]
    assert len(pairs) == 2_500 and all(len(pair) == 2 for pair in pairs)
    pairs = pairs[:count]
    said = {}  # thing -> its values in order, beside the store
    for edit in (edit for pair in pairs for edit in pair):
        values = said.setdefault((fold(edit.subject), edit.relation or fold(edit.prompt)), [])
        if not values or values[-1] != edit.target_new:
            values.append(edit.target_new)
    if way == "as a file":
        lines = "".join(json.dumps(to_record(edit)) + "\n" for pair in pairs for edit in pair)
        assert not import_file(store, io.BytesIO(lines.encode())).errors
    else:
        for edit in (edit for pair in pairs for edit in pair):
            clock.tick()
            assert store.put([edit])[0].status in ("added", "superseded", "duplicate")

    live = store.edits()
    things = [(fold(edit.subject), edit.relation or fold(edit.prompt)) for edit in live]
    assert sorted(things) == sorted(said)
    for edit, thing in zip(live, things, strict=True):
        history = store.history(edit.edit_id)
        assert [version.edit.target_new for version in history] == said[thing]
        assert [version.status for version in history] == ["superseded"] * (len(history) - 1) + ["live"]
    for first, second in pairs:
        values = said[fold(first.subject), first.relation or fold(first.prompt)]
        assert first.target_new in values[:-1] and second.target_new in values
    assert store.verify().ok


def test_a_value_that_comes_back_lives_and_each_of_its_times_is_history(store, clock):
    """A, B, C, A for a hundred things at once, in every write."""
    for value in "ABCA":
        clock.tick()
        store.put(
            [Edit(statement=f"Door {n} is {value}.", prompt=f"Door {n} is", target_new=value) for n in range(100)]
        )
    assert [edit.target_new for edit in store.edits()] == ["A"] * 100
    for edit in store.edits():
        assert [version.edit.target_new for version in store.history(edit.edit_id)] == list("ABCA")


def test_10_000_unrelated_facts_retire_none(store, keys_of):
    """A hundred subjects, many of them parts of one another, in a hundred relations, all with the same answers."""
    subjects = [
        f"{first}{second}" for first, second in product(["Ann", "Ann Roe", "Roe", "St. Roe", "The Ann"], range(20))
    ]
    relations = [f"{verb} {thing}" for verb, thing in product(["owner", "owners", "new owner", "old owner"], range(25))]
    edits = [
        Edit(
            statement=f"The {relation} of {subject} is Lyon.",
            subject=subject,
            prompt=f"The {relation} of {subject} is",
            target_new="Lyon",
        )
        for subject, relation in product(subjects, relations)
    ]
    for start in range(0, len(edits), 500):
        for result in store.put(edits[start : start + 500]):
            assert (result.status, result.superseded) == ("added", ())
    assert len(store) == len(store.versions()) == 10_000 == len({edit.edit_id for edit in store.edits()})


def test_10_000_published_facts_about_different_things_retire_none(store):
    published = {}
    for name in ("counterfact_train_10000", "counterfact_edit_10000"):
        for row in rows(name):
            published.setdefault(fold(row["prompt"]), row)
    edits = [
        Edit(
            statement=f"{row['prompt']} {row['target_new']}.",
            subject=row["subject"],
            prompt=row["prompt"],
            target_new=row["target_new"],
        )
        for row in list(published.values())[:10_000]
    ]
    for start in range(0, len(edits), 500):
        assert {(result.status, result.superseded) for result in store.put(edits[start : start + 500])} == {
            ("added", ())
        }
    assert len(store) == len(edits) == 10_000
