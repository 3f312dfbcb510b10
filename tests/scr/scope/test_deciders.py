"""Claims about who decides, and what happens when a decider fails."""

from collections.abc import Sequence

import pytest

from memory_store.edit import Edit
from memory_store.errors import ConfigError
from scr.encoder import HashEncoder
from scr.protocols import Candidate, Decision, ScopeClassifier
from scr.scope import load_scope
from scr.scope.cosine import DEFAULT_THRESHOLD, CosineScope, fitted_threshold
from scr.scope.fail_closed import FailClosed
from scr.scope.llm import LLMScope
from scr.scope.weights import SHIPPED, Weights


def candidate(edit_id: str, statement: float, prompt: float = 0.0) -> Candidate:
    return Candidate(Edit(edit_id=edit_id, statement=f"fact {edit_id}"), {"statement": statement, "prompt": prompt})


class LikesNumber:
    """A language model to which one option is ``margin`` nats likelier than any other."""

    def __init__(self, number: int, margin: float = 3.0) -> None:
        self.number, self.margin = number, margin
        self.asked: list[tuple[str, str]] = []

    def generate(self, prompts: Sequence[str], *, max_new_tokens: int, stop: Sequence[str] = ()) -> list[str]:
        raise AssertionError("prose is never asked for")

    def log_likelihood(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, int, bool]]:
        self.asked += pairs
        return [(self.margin if option == f" {self.number}" else 0.0, 1, False) for _, option in pairs]


class Breaks:
    """A decider that fails on one word."""

    name = "breaks"

    def decide(self, queries: Sequence[str], candidates: Sequence[Sequence[Candidate]]) -> list[Decision]:
        if "bad" in queries:
            raise RuntimeError("out of order\nsecond line")
        return [Decision(threshold=0.25) for _ in queries]


def test_the_nearest_statement_above_the_threshold_is_in_scope() -> None:
    decision = CosineScope(0.6).decide(["q"], [[candidate("a", 0.61), candidate("b", 0.7)]])[0]
    assert decision.edit_ids == ("b",)
    assert [j.edit.edit_id for j in decision.near_misses] == ["a"]
    assert decision.probabilities == (0.7,)


def test_below_the_threshold_nothing_is_in_scope() -> None:
    decision = CosineScope(0.6).decide(["q"], [[candidate("a", 0.59, prompt=0.99)]])[0]
    assert decision.edit_ids == ()
    assert decision.near_misses[0].probability == 0.59


def test_no_cosine_cut_off_is_carried_over_to_an_encoder_it_was_not_fitted_with() -> None:
    class Foreign(HashEncoder):
        fingerprint = "foreign@1"

    used = [Weights.load(SHIPPED).encoder, HashEncoder().fingerprint]
    assert [fitted_threshold(encoder) for encoder in used] == [DEFAULT_THRESHOLD] * 2
    decider = load_scope("cosine", encoder=Foreign())
    near, same = decider.decide(["q", "q"], [[candidate("a", 0.9)], [candidate("a", 0.99999994)]])
    assert near.edit_ids == () and near.near_misses[0].probability == 0.9
    assert same.edit_ids == ("a",)


def test_ties_are_broken_by_id_and_not_by_order() -> None:
    one, other = candidate("a", 0.7), candidate("b", 0.7)
    assert CosineScope().decide(["q", "q"], [[one, other], [other, one]])[1].edit_ids == ("a",)


def test_the_model_chooses_by_the_likelihood_of_the_numbers_alone() -> None:
    model = LikesNumber(2)
    decision = LLMScope(model).decide(["Which?"], [[candidate("far", 0.1), candidate("near", 0.9)]])[0]
    assert decision.edit_ids == ("far",)  # shown nearest first, so "far" is number 2
    assert [option for _, option in model.asked] == [" 0", " 1", " 2"]
    # e³ against twice e⁰
    assert decision.probabilities[0] == pytest.approx(20.0855 / 22.0855, abs=1e-4)
    assert [j.edit.edit_id for j in decision.near_misses] == ["near"]


def test_the_model_may_say_none() -> None:
    assert LLMScope(LikesNumber(0)).decide(["q"], [[candidate("a", 0.9)]])[0].edit_ids == ()


def test_an_undecided_model_fires_nothing() -> None:
    assert LLMScope(LikesNumber(1, margin=0.0)).decide(["q"], [[candidate("a", 0.9)]])[0].edit_ids == ()


def test_without_candidates_the_model_is_not_asked() -> None:
    model = LikesNumber(1)
    assert LLMScope(model).decide(["q"], [[]])[0].edit_ids == ()
    assert model.asked == []


def test_the_model_sees_at_most_k_facts_as_quoted_data() -> None:
    model = LikesNumber(0)
    shown = [candidate(str(i), i / 10) for i in range(9)]
    LLMScope(model, k=3).decide(["Line\nbreak?"], [shown])
    prompt = model.asked[0][0]
    assert '1. "fact 8"' in prompt and '3. "fact 6"' in prompt and "fact 5" not in prompt
    assert '"Line break?"' in prompt


def test_a_failing_decider_means_out_of_scope_for_that_query_alone() -> None:
    good, bad = FailClosed(Breaks()).decide(["good", "bad"], [[], []])
    assert good == Decision(threshold=0.25)
    assert bad.edit_ids == ()
    assert bad.failed == "RuntimeError: out of order"


def test_deciders_are_loaded_by_name_and_keep_it() -> None:
    loaded: list[ScopeClassifier] = [
        load_scope("cosine", encoder=HashEncoder()),
        load_scope("llm", encoder=HashEncoder(), model=LikesNumber(0)),
        load_scope("pair", encoder=HashEncoder()),
    ]
    assert [scope.name for scope in loaded] == ["cosine", "llm", "pair"]


def test_an_unknown_decider_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="pair, cosine, llm"):
        load_scope("oracle", encoder=HashEncoder())


def test_llm_without_a_model_is_refused() -> None:
    with pytest.raises(ConfigError, match="language model"):
        load_scope("llm", encoder=HashEncoder())


@pytest.mark.parametrize("name", ["pair", "cosine"])
def test_an_impossible_threshold_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="threshold is 7"):
        load_scope(name, encoder=HashEncoder(), threshold=7)
