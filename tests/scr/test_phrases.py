"""Phrases that stand for another thing, found from words alone."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scr.phrases import every_phrase, phrases, proper_names, rest_words, says_who

NESTED = [
    (
        "What is the capital of the country where Ada Byron was born?",
        "Ada Byron",
        "the country where Ada Byron was born",
    ),
    (
        "The official language of the country Kuala is associated with is",
        "Kuala",
        "the country Kuala is associated with",
    ),
    (
        "Which continent is the country of origin of The Easybeats located in?",
        "Easybeats",
        "the country of origin of The",
    ),
    (
        "Who leads the country to which Jerry Rivers belongs?",
        "Jerry Rivers",
        "the country to which Jerry Rivers belongs",
    ),
    ("Where is the headquarters of the company that produces Fanta?", "Fanta", "the company that produces Fanta"),
    ("Where did Ted Hughes' spouse pass away?", "Ted Hughes", "Ted Hughes' spouse"),
    ('What is the birthplace of "Hey Jude"\'s performer?', "Hey Jude", '"Hey Jude"\'s performer'),
    ("What is the composer of Carmen's line of work?", "Carmen", "Carmen's line"),
    ("Which continent is part of the home country of Ada?", "Ada", "the home country of Ada"),
    ("Which sport did the coach of the team associated with Ada play?", "Ada", "the team associated with Ada"),
    ("Who made the cover of Ada's notable work?", "Ada", "Ada's notable work"),
    ("In which language do people of the land to which Ada belongs talk?", "Ada", "the land to which Ada belongs"),
]
SINGLE = [
    ("What is the capital of France?", "France"),
    ("In which city is the capital of France?", "France"),
    ("Which language is considered the official language of Chad?", "Chad"),
    ("What is the name of the spouse of Ada?", "Ada"),
    ("Is the capital of France Lyon?", "France"),
    ("Is Joris Voorn the composer of Supersonic?", "Supersonic"),
    ("Is Dr. Bo Ek the composer of Supersonic?", "Supersonic"),
    ("The child of Gal Gadot-Varsano is", "Gal Gadot"),
    ("The spouse of Victoria, Queen of Avalon is", "Victoria"),
    ("Who answers for the creator of The Creation of Adam?", "The Creation"),
    ("The occupation of Elendil the Tall is", "Elendil"),
    ("The director of Birds of Prey (Harley Quinn) is", "Birds of Prey"),
    ("Who founded The Christian Science Monitor?", "Christian Science"),
    ("What was the city of Beijing known for?", "Beijing"),
    ("He was the father of Bo. The mother tongue of Ada is", "Ada"),
    ("In what year was the founding of Acme?", "Acme"),
    ("Which language do the citizens of Chad speak?", "Chad"),
    ("Who governs the country that is Chad?", "Chad"),
    ("Who leads the place where Acme is situated?", "Acme"),
    ("In which city is the government located in Chad?", "Chad"),
    ("In which language do the authorities carry out official talks in Nice?", "Nice"),
    ("Which country is the origin of Xanadu?", "Xanadu"),
]


@pytest.mark.parametrize(("question", "name", "begins"), NESTED)
def test_the_innermost_phrase_around_a_name_is_found(question: str, name: str, begins: str) -> None:
    found = phrases(question, name)
    assert found and found[0].text.startswith(begins)
    assert question[found[0].start : found[0].end] == found[0].text


@pytest.mark.parametrize(("question", "name"), SINGLE)
def test_a_question_of_one_hop_has_no_phrase(question: str, name: str) -> None:
    assert phrases(question, name) == []


def test_what_is_left_holds_the_thing_where_the_phrase_stood() -> None:
    question = "The name of the continent which the country Kuala is associated with is part of is?"
    first = phrases(question, "Kuala")[0]
    assert first.replaced(question, "Chad") == "The name of the continent which Chad is part of is?"
    assert rest_words(question, first) == ["continent", "part"]


def test_a_title_may_be_the_phrase_itself_only_where_its_fact_says_who_holds_it() -> None:
    question = "What language does the Home Secretary speak?"
    assert phrases(question, "Home Secretary") == []
    assert [p.text for p in phrases(question, "Home Secretary", itself=True)] == ["the Home Secretary"]
    assert says_who("The Home Secretary is", "Home Secretary")


def test_a_possessive_may_belong_to_the_name_or_to_the_phrase_that_ends_with_it() -> None:
    found = [p.text for p in phrases("What is the composer of Carmen's line of work?", "Carmen")]
    assert "the composer of Carmen" in found and found[0].startswith("Carmen's")


@pytest.mark.parametrize("frame", ["I need {}.", "What would you say is {}?", "Write down {}", "Have you got {}?"])
def test_how_one_asks_is_not_what_one_asks(frame: str) -> None:
    assert phrases(frame.format("the capital of France"), "France") == []
    assert phrases(frame.format("the capital of the homeland of Ada"), "Ada")[0].text == "the homeland of Ada"


def test_names_are_read_from_capitals_and_quotation_marks() -> None:
    assert proper_names("What is the capital of the country where Ada Byron was born?") == ["Ada Byron"]
    assert proper_names('Who is married to the author of "Billy Liar"?') == ["Billy Liar"]
    assert proper_names("what is the capital?") == []


@settings(deadline=None)
@given(st.text(max_size=200), st.text(max_size=20))
def test_any_text_is_read_and_phrases_lie_inside_it(question: str, name: str) -> None:
    for phrase in every_phrase(question, name):
        assert question[phrase.start : phrase.end] == phrase.text
    assert phrases(" ".join(["word"] * 60) + " the mother of Ada is", "Ada") == []
