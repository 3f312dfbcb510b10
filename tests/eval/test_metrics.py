"""Claims about scoring answers; every expected figure is worked out by hand."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from eval import metrics
from eval.metrics import Scored
from memory_store.errors import ConfigError


@pytest.mark.parametrize(
    ("answer", "right"),
    [("Lyon", True), ("lyon.", True), ("The Lyon", True), ("Lyon is", False), ("", False), ("Lyon, Lyon", False)],
)
def test_a_generated_answer_is_right_only_as_a_whole(answer: str, right: bool) -> None:
    assert metrics.is_right("prompt", answer, ["Lyon", "Lugdunum"]) is right


def test_an_empty_answer_is_never_right_nor_part_of_a_right_one() -> None:
    assert not metrics.is_right("paraphrase", "", ["a"])  # "" is a substring of everything, and "a" normalises to ""
    assert not metrics.is_right("yes_no", "", ["Yes"])


def test_yes_and_no_are_told_by_the_first_word() -> None:
    assert metrics.is_right("yes_no", "Yes, it is Lyon.", ["Yes"])
    assert not metrics.is_right("yes_no", "No. Yes.", ["Yes"])
    assert not metrics.is_right("yes_no", "Yesterday", ["Yes"])


def test_an_answer_ends_at_its_first_line_and_initials_do_not_end_a_sentence_in_a_word() -> None:
    assert metrics.natural_stop("Washington, D.C.\nQ") == "Washington, D.C."
    assert metrics.natural_stop("3.5 million. And", sentence=True) == "3.5 million"


def test_locality_is_agreement_with_the_unedited_model_not_truth() -> None:
    assert metrics.is_unchanged("a wrong answer", "A wrong answer.")
    assert not metrics.is_unchanged("Paris", "a wrong answer")


def test_success_compares_per_token() -> None:
    long, short = Scored(-4.0, 4, False), Scored(-1.5, 1, False)  # -1.0 and -1.5 a token, -4.0 and -1.5 in all
    assert metrics.wins(long, short)
    assert not metrics.wins(short, long)
    assert not metrics.wins(short, short)


def test_perplexity_weighs_by_tokens() -> None:
    one, two = Scored(math.log(1 / 8), 1, False), Scored(0.0, 2, True)
    assert metrics.perplexity([one, two]) == pytest.approx(2.0)  # 8 ** (1/3)
    assert metrics.perplexity([Scored(-1e6, 1, False)]) == math.inf


def test_an_edit_counts_once_however_many_questions_it_has() -> None:
    units = metrics.by_unit([("a", 1), ("a", 1), ("a", 1), ("b", 0)])
    assert metrics.mean(units.values()) == 0.5


def test_scope_is_judged_by_the_first_decided_edit() -> None:
    scope = metrics.scope_of([["a", "b"], ["b", "a"], [], []], ["a", "a", "a", None])
    assert (scope.precision, scope.recall, scope.false_fire) == (0.5, pytest.approx(1 / 3), 0.0)
    assert metrics.scope_of([[]], [None]) == metrics.Scope(None, None, 0.0)
    assert metrics.scope_of([["a"]], ["a"]) == metrics.Scope(1.0, 1.0, None)


@pytest.mark.parametrize(
    "nothing",
    [
        lambda: metrics.mean([]),
        lambda: metrics.harmonic_mean([]),
        lambda: metrics.perplexity([]),
        lambda: metrics.by_unit([]),
        lambda: metrics.scope_of([], []),
        lambda: metrics.memit_score({}),
        lambda: metrics.is_right("prompt", "Lyon", []),
        lambda: Scored(0.0, 0, True).mean,
        lambda: metrics.token_ratio([1], []),
        lambda: metrics.wins(Scored(0.0, 0, True), Scored(-1.0, 1, True)),
    ],
)
def test_nothing_has_no_score(nothing: Callable[[], Any]) -> None:
    with pytest.raises(ConfigError):
        nothing()
