"""Every way an answer can go wrong has its own line, and a command that helps."""

import shlex

import pytest

from memory_store.edit import Edit
from scr.cli.why import Diagnosis, diagnose
from scr.protocols import Decision, Judged

QUESTION = "What's the capital of France?"
LYON = Edit(edit_id="lyon", statement="The capital of France is Lyon.", target_new="Lyon", subject="France")
NICE = Edit(edit_id="nice", statement="The best beach of France is in Nice.", target_new="Nice", subject="France")
FREE = Edit(edit_id="free", statement="Never name a capital.")


def judge(
    answer: str,
    *,
    fired: tuple[Edit, ...] = (),
    missed: tuple[Edit, ...] = (),
    stored: tuple[Edit, ...] = (LYON, NICE),
    alone: str = "Paris",
    missed_by: float = 0.4,
    expect: str | None = None,
) -> Diagnosis:
    decision = Decision(tuple(Judged(e, 0.9) for e in fired), tuple(Judged(e, missed_by) for e in missed), 0.5)
    return diagnose(QUESTION, decision, answer, alone, stored, expect)


@pytest.mark.parametrize("expect", [None, "lyon"])
def test_all_is_good_when_the_fact_fired_and_the_answer_says_it(expect: str | None) -> None:
    assert judge("It is Lyon.", fired=(LYON,), expect=expect).kind == "good"


def test_a_fact_is_not_obeyed_when_the_answer_does_not_say_it() -> None:
    found = judge("Paris", fired=(LYON,))
    assert found.kind == "not obeyed" and found.message.startswith("fired but not obeyed")
    assert shlex.split(found.next) == ["scr", "add", "--verbatim", "-q", QUESTION, "-a", "Lyon"]


def test_part_of_a_word_does_not_count_as_said() -> None:
    assert judge("Lyonnaise cuisine", fired=(LYON,)).kind == "not obeyed"


def test_a_fact_that_stays_below_the_threshold_did_not_fire() -> None:
    found = judge("Paris", missed=(LYON,))
    assert found.kind == "did not fire" and "0.40 of the 0.50 it needs" in found.message
    assert shlex.split(found.next) == ["scr", "add", "-q", QUESTION, "-a", "Lyon"]


def test_a_fact_far_below_the_threshold_is_not_offered_as_the_answer() -> None:
    found = judge("Paris", missed=(LYON,), missed_by=0.1)
    assert found.kind == "did not fire"
    assert shlex.split(found.next) == ["scr", "why", QUESTION, "--expect", "ANSWER"]


def test_no_candidate_is_not_retrieved() -> None:
    found = judge("Paris")
    assert found.kind == "not retrieved" and found.message.startswith("not retrieved")
    assert "no facts in this namespace" in judge("Paris", stored=()).message


def test_a_fact_that_says_something_else_is_the_wrong_edit() -> None:
    found = judge("Nice", fired=(NICE,), missed=(LYON,), expect="Lyon")
    assert found.kind == "wrong edit" and found.message.startswith("wrong edit: nice fired")


def test_the_expected_fact_missing_below_the_threshold_or_never_stored_are_three_things() -> None:
    assert judge("Paris", missed=(LYON,), expect="Lyon").kind == "did not fire"
    assert judge("Paris", missed=(NICE,), expect="Lyon").kind == "not retrieved"
    assert judge("Paris", missed=(NICE,), expect="Toulouse").kind == "not stored"
    assert judge("Paris", fired=(LYON,), expect="Lyon").kind == "not obeyed"


def test_a_right_answer_without_a_fact_is_good() -> None:
    assert judge("It is Paris.", missed=(LYON,), expect="Paris").kind == "good"


def test_a_free_fact_is_judged_by_whether_it_changed_the_answer() -> None:
    assert judge("I cannot say.", fired=(FREE,), stored=(FREE,)).kind == "good"
    assert judge("Paris", fired=(FREE,), stored=(FREE,)).kind == "not obeyed"


def test_a_failed_decision_is_named() -> None:
    decision = Decision(failed="the decider raised ValueError")
    found = diagnose(QUESTION, decision, "Paris", "Paris", [LYON])
    assert found.kind == "failed" and "ValueError" in found.message
