"""Claims about the candidates of a query."""

from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
import pytest

from memory_store.edit import Edit
from memory_store.store import EditStore
from scr.encoder import HashEncoder
from scr.scope.recall import recall
from scr.scope.train import BulkMemory

ENCODER = HashEncoder()
EDITS = [
    Edit(edit_id="fr", statement="The capital of France is Lyon.", prompt="The capital of France is", subject="France"),
    Edit(
        edit_id="de", statement="The capital of Germany is Bonn.", prompt="The capital of Germany is", subject="Germany"
    ),
    Edit(
        edit_id="acme", statement="Acme sells anvils.", prompt="Acme sells", subject="Acme", aliases=("Roadrunner Inc",)
    ),
    Edit(edit_id="free", statement="Our refund window is 30 days."),
]


def filled(edits: Sequence[Edit]) -> EditStore:
    store = EditStore.open(":memory:", encoder=ENCODER.fingerprint)
    keys = {
        "statement": ENCODER.encode([e.statement for e in edits]),
        "prompt": ENCODER.encode([e.prompt or e.statement for e in edits]),
    }
    store.put(list(edits), keys=keys)
    return store


@pytest.fixture
def store() -> Iterator[EditStore]:
    with filled(EDITS) as opened:
        yield opened


def test_candidates_come_nearest_first_with_a_score_for_each_kind(store: EditStore) -> None:
    found = recall(store, ENCODER, ["The capital of France is"], k=2)[0]
    assert found[0].edit.edit_id == "fr"
    assert found[0].scores["prompt"] == pytest.approx(1.0, abs=1e-6)
    assert set(found[0].scores) == {"prompt", "statement"}


def test_a_named_subject_or_alias_is_a_candidate_however_far_it_is(store: EditStore) -> None:
    query = "capital germany bonn refund window days: and what of roadrunner inc?"
    found = recall(store, ENCODER, [query], k=1)[0]
    assert "acme" in [c.edit.edit_id for c in found]


def test_a_free_fact_has_no_prompt_score(store: EditStore) -> None:
    found = recall(store, ENCODER, ["What is our refund window?"], k=1)[0]
    free = next(c for c in found if c.edit.edit_id == "free")
    assert set(free.scores) == {"statement"}


def test_an_empty_memory_has_no_candidates() -> None:
    with EditStore.open(":memory:", encoder=ENCODER.fingerprint) as empty:
        assert recall(empty, ENCODER, ["anything", ""]) == [[], []]


def test_no_queries_give_nothing(store: EditStore) -> None:
    assert recall(store, ENCODER, []) == []


def test_another_namespace_is_not_searched(store: EditStore) -> None:
    assert recall(store, ENCODER, ["The capital of France is"], namespace="other") == [[]]


def test_the_order_of_writing_changes_nothing() -> None:
    # The hash encoder counts words, so these six have one key.
    orders = (
        "sky looks green",
        "sky green looks",
        "green sky looks",
        "green looks sky",
        "looks sky green",
        "looks green sky",
    )
    same = [Edit(edit_id=f"e{i}", statement=words) for i, words in enumerate(orders)]
    with filled([*EDITS, *same]) as one, filled([*reversed(same), *reversed(EDITS)]) as other:
        queries = ["sky green", "What is the capital of Germany?"]
        found = [
            [[(c.edit.edit_id, c.scores) for c in row] for row in recall(store, ENCODER, queries, k=3)]
            for store in (one, other)
        ]
    assert found[0] == found[1]


def test_one_query_alone_has_the_candidates_it_has_in_a_batch(store: EditStore) -> None:
    queries = ["The capital of France is", "refund?", "roadrunner inc"]
    together = recall(store, ENCODER, queries)
    for query, found in zip(queries, together, strict=True):
        alone = recall(store, ENCODER, [query])[0]
        assert [c.edit.edit_id for c in alone] == [c.edit.edit_id for c in found]


def test_a_question_at_the_end_of_a_long_text_finds_its_edit(store: EditStore) -> None:
    text = "Nothing in these lines says much at all about it. " * 12 + "What is the capital of Germany?"
    found = recall(store, ENCODER, [text], k=1)[0]
    assert "de" in [c.edit.edit_id for c in found]


def test_the_bulk_memory_of_training_answers_as_the_store(store: EditStore) -> None:
    bulk = cast(EditStore, BulkMemory(EDITS, ENCODER))
    queries = ["The capital of France is", "what is our refund window", "tell me about roadrunner inc", "x"]
    for mine, theirs in zip(recall(bulk, ENCODER, queries, k=2), recall(store, ENCODER, queries, k=2), strict=True):
        assert [c.edit.edit_id for c in mine] == [c.edit.edit_id for c in theirs]
        np.testing.assert_allclose(
            [list(c.scores.values()) for c in mine if len(c.scores) == 2],
            [list(c.scores.values()) for c in theirs if len(c.scores) == 2],
            atol=1e-6,
        )
