"""Claims about questions turned into ones of another time, of a supposition, or asked in a later sentence."""

import random
import re

import pytest

from scr.scope.turned import asked_inside, asked_later, followed, of_the_past, of_today, supposed_otherwise
from scr.scope.wordings import RELATIONS, SUBJECTS


def test_a_question_of_the_present_is_put_into_the_past_at_a_time() -> None:
    rng = random.Random(0)
    turned = {of_the_past("Who is the CEO of Hooli?", "Hooli", rng) for _ in range(80)}
    assert len(turned) > 10
    past = re.compile(
        r"ho was the CEO of Hooli|Who used to be the CEO of Hooli|Who (?:was|is) the (?:[\w-]+ )+CEO of Hooli\?"
    )
    for text in turned:
        assert text is not None and past.search(text) and text.endswith("?")
    said = " ".join(filter(None, turned))
    assert "used to be" in said and "the first CEO" in said
    assert of_the_past("Who founded Hooli?", "Hooli", rng) is None
    assert of_today("Who founded Hooli?", "Hooli", rng) is None


def test_a_name_is_never_put_into_the_past() -> None:
    text = of_the_past("What makes Who Is It run?", "Who Is It", random.Random(0))
    assert text is not None and text.startswith("What made Who Is It run")


@pytest.mark.parametrize(
    ("template", "kind", "asked"),
    [
        ("Who is {s}'s CEO?", "company", "Who is its CEO?"),
        ("Who sings for {s}?", "band", "Who sings for them?"),
        ("{s} has which capital?", "country", "It has which capital?"),
        ("Where was {s} formed?", "band", "Where were they formed?"),
    ],
)
def test_a_later_sentence_asks_by_a_pronoun(template: str, kind: str, asked: str) -> None:
    texts = {asked_later(template, "Hooli", kind, random.Random(n)) for n in range(30)}
    assert all(text is not None and "Hooli" in text for text in texts)
    assert any(text is not None and text.endswith(asked) for text in texts)


def test_what_follows_a_question_leaves_it_whole() -> None:
    texts = {followed("Who is the CEO of Hooli?", random.Random(n)) for n in range(40)}
    assert len(texts) > 15 and all("ho is the CEO of Hooli" in text for text in texts)


def test_every_relation_can_be_turned() -> None:
    rng = random.Random(0)
    for relation in RELATIONS.values():
        subject = rng.choice(SUBJECTS[relation.kind])
        for template in relation.questions:
            question = template.replace("{s}", subject)
            later = asked_later(template, subject, relation.kind, rng)
            for text in (
                asked_inside(question, subject, rng),
                supposed_otherwise(subject, relation.statements, rng),
                later,
            ):
                assert text is None or "{" not in text
