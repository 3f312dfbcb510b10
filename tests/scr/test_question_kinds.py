"""What kind of thing a question asks for, where its words say it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_store.edit import Edit
from scr.question_kinds import differ, kind_asked, kind_told, lies_in

ASKED = [
    ("Who founded Acme?", "someone"),
    ("By whom was it founded?", "someone"),
    ("Where was Ada born?", "somewhere"),
    ("To which continent does the nationality of Ada belong?", "continent"),
    ("What is the name of the city where Ada was born?", "city"),
    ("What is the name of the current head of the government?", "someone"),
    ("What position does Ada play?", "position"),
    ("Ada works in which city?", "city"),
    ("The country of citizenship of Ada is", "country"),
    ("Ada was born in the city of", "city"),
    ("In which year did it happen?", "time"),
    ("When it comes to Ada, the country is", "country"),
    ("When people ask about the homeland of Ada, what is the answer?", ""),
    ("When was Ada born?", "time"),
    ("How does it work?", ""),
    ("Is Ada the mayor of Lima?", ""),
    ("", ""),
]


@pytest.mark.parametrize(("question", "kind"), ASKED)
def test_the_words_of_a_question_say_what_it_asks_for(question: str, kind: str) -> None:
    assert kind_asked(question, "Ada") == kind


def test_the_words_of_a_name_say_nothing() -> None:
    question = "The country City of Glass is associated with is"
    assert kind_asked(question, "City of Glass") == "country"
    edit = Edit(subject="The Language School", prompt="The Language School is", target_new="shut", statement="")
    assert kind_told(edit) == ""


@settings(deadline=None)
@given(st.text(max_size=80), st.text(max_size=10))
def test_kinds_of_any_text_differ_both_ways_and_none_from_itself(question: str, name: str) -> None:
    kind = kind_asked(question, name)
    for other in ("someone", "somewhere", "city", "continent", "sport", ""):
        assert differ(kind, other) == differ(other, kind)
        assert not (lies_in(kind, other) and lies_in(other, kind))
    assert not differ(kind, kind)


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("When was Dr. Vos, the director of Acme, hired?", "time"),
        ("Where was Ada Brandt, the singer, born?", "somewhere"),
        ("When it comes to Ada, the country is", "country"),
    ],
)
def test_a_question_word_is_no_clause_before_the_question(question: str, kind: str) -> None:
    assert kind_asked(question) == kind
