"""Claims about what is encoded for a decision, and when."""

import gc
import weakref
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from memory_store.edit import Edit
from memory_store.store import EditStore
from scr.encoder import HashEncoder
from scr.protocols import Keys
from scr.scope.compared import Compared, KeysAtHand, at_hand, looked_at
from scr.scope.pair import PairClassifier
from scr.scope.recall import recall
from scr.scope.trees import Trees
from scr.scope.weights import FINAL, LEXICAL, Judge, Weights

ACME = Edit(edit_id="acme", statement="Acme is led by Mia Kern.", prompt="Acme is led by", subject="Acme")
LONG = "A first sentence says nothing of interest to anyone at all. " * 8 + "Who leads Acme today?"


class Counting(HashEncoder):
    """Notes what it is asked to encode, call by call."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def encode(self, texts: Sequence[str]) -> Keys:
        self.calls.append(list(texts))
        return super().encode(texts)


def decider(encoder: Counting, judge: str = FINAL) -> PairClassifier:
    leaf = Trees(
        0.0,
        np.zeros(1, np.int32),
        np.zeros(1, np.int16),
        np.full(1, np.inf),
        np.zeros(1, np.int32),
        np.zeros(1, np.int32),
        np.ones(1, bool),
        np.zeros(1),
        1,
    )
    anything = Judge(leaf, np.array([-1.0, 1.0]), np.array([0.1, 0.9]), 0.5)
    return PairClassifier(encoder, Weights({FINAL: anything, LEXICAL: anything}, {}, encoder.fingerprint), judge=judge)


@pytest.fixture
def encoder() -> Counting:
    return Counting()


@pytest.fixture
def store(encoder: Counting) -> EditStore:
    store = EditStore.open(":memory:", encoder=encoder.fingerprint)
    keys = {"statement": encoder.encode([ACME.statement]), "prompt": encoder.encode([ACME.prompt])}
    store.put([ACME], keys)
    encoder.calls.clear()
    return store


@pytest.mark.parametrize("query", ["Who leads Acme?", LONG])
def test_what_a_decision_compares_of_a_named_edit_is_encoded_with_the_query(
    store: EditStore, encoder: Counting, query: str
) -> None:
    judge = decider(encoder)
    judge.decide(["Who leads Acme now?"], recall(store, encoder, ["Who leads Acme now?"]))  # the edit's own texts
    encoder.calls.clear()
    found = recall(store, encoder, [query])
    assert len(encoder.calls) == 1 and [c.edit.edit_id for c in found[0]] == ["acme"]
    judge.decide([query], found)
    left = [text for call in encoder.calls[1:] for text in call]
    assert left == ([ACME.statement, ACME.prompt] if query == LONG else [])


def test_without_a_decider_that_compares_keys_only_the_query_is_encoded(store: EditStore, encoder: Counting) -> None:
    recall(store, encoder, ["Who leads Acme?"])
    assert encoder.calls == [["Who leads Acme?"]]
    found = recall(store, encoder, ["Who leads Acme?"])
    decider(encoder, LEXICAL).decide(["Who leads Acme?"], found)
    assert looked_at(encoder) is None
    assert [text for call in encoder.calls[2:] for text in call] == []


def test_keys_at_hand_are_the_encoder_s_and_the_oldest_go(encoder: Counting) -> None:
    keys = KeysAtHand(most=2, most_asked=1)
    first, beside = keys.encoded(encoder, Compared({"asked": None}, {"a": None, "b": None}), ["query"])
    for text in ("asked", "a", "b"):
        np.testing.assert_array_equal(first[text], HashEncoder().encode([text])[0])
    np.testing.assert_array_equal(beside, HashEncoder().encode(["query"]))
    keys.encoded(encoder, Compared({"asked": None}, {"a": None}))
    again, _ = keys.encoded(encoder, Compared({"other": None}, {"c": None, "a": None}))
    assert set(again) == {"other", "a", "c"}
    keys.encoded(encoder, Compared({"asked": None}, {"a": None, "b": None}))
    assert encoder.calls == [["query", "asked", "a", "b"], ["other", "c"], ["asked", "b"]]


def test_keys_at_hand_are_shared_by_encoder_and_end_with_it() -> None:
    encoder = HashEncoder()
    assert at_hand(encoder) is at_hand(encoder) is looked_at(encoder)
    assert looked_at(HashEncoder()) is None
    gone = weakref.ref(encoder)
    del encoder
    gc.collect()
    assert gone() is None


def test_an_encoder_that_cannot_be_a_key_shares_nothing() -> None:
    @dataclass
    class Plain(HashEncoder):
        pass

    encoder = Plain()
    assert looked_at(encoder) is None and at_hand(encoder) is not at_hand(encoder)
