import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_store.edit import Edit
from memory_store.identity import fold, identity_of, names_of, spans_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Paris", "  paris "),
        ("Beyoncé", "BEYONCE"),
        ("Beyonce\u0301", "Beyonc\u00e9"),
        ("France's", "France\u2019s"),
        ("France's", "France"),
        ("Coca-Cola", "coca cola"),
        ("St. Louis,", "St Louis"),
        ("STRASSE", "Straße"),
        ("İstanbul", "istanbul"),
        ("\uff21\uff22\uff23", "abc"),
        ("a\u200bb", "ab"),
        ("snake_case", "snake case"),
    ],
)
def test_what_people_would_call_the_same_name_folds_alike(one, other):
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("C", "C++"),
        ("C#", "C"),
        ("-5", "5"),
        ("\u0915\u0941\u0932", "\u0915\u0932"),  # two Hindi words that differ in a vowel sign
        ("か", "が"),
        ("1.10", "11.0"),
        ("😀", "😡"),
        ("€5", "5"),
    ],
)
def test_what_differs_in_meaning_folds_apart(one, other):
    assert fold(one) != fold(other)


@settings(deadline=None)
@given(st.text())
def test_folding_again_changes_nothing(text):
    assert fold(fold(text)) == fold(text)


def test_punctuation_alone_is_its_own_identity():
    one, other = (Edit(statement="x", subject=subject, relation="r") for subject in ("!!!", "???"))
    assert identity_of(one) != identity_of(other)


def test_the_relation_outranks_the_prompt_and_needs_a_subject():
    same = [Edit(statement="s", subject="France", relation="capital", prompt=p) for p in ("one", "other")]
    assert identity_of(same[0]) == identity_of(same[1])
    lone = [Edit(statement=s, relation="capital") for s in ("Lyon is one.", "Rome is one.")]
    assert identity_of(lone[0]) != identity_of(lone[1])


def test_a_subject_without_question_does_not_make_two_facts_one():
    one, other = (Edit(statement=s, subject="France") for s in ("France is big.", "France has cheese."))
    assert identity_of(one) != identity_of(other)


def test_identities_of_different_shape_never_meet():
    shapes = [
        Edit(statement="a", subject="b", relation="c"),
        Edit(statement="a", subject="b", prompt="c"),
        Edit(statement="a", prompt="b c"),
        Edit(statement="b c"),
    ]
    assert len({identity_of(edit) for edit in shapes}) == 4


def test_names_are_folded_and_each_once():
    edit = Edit(statement="s", subject="U.S.A.", aliases=("u s a", "United States", "…"))
    assert names_of(edit) == ["u s a", "united states"]


def test_spans_come_longest_first_and_each_once():
    assert spans_of("New York, new york!", 2) == ["new york", "york new", "new", "york"]
    assert spans_of("", 3) == []
    assert spans_of("one two", 0) == []
