"""Are the pocket model's facts many, single-valued and chained?"""

from collections import Counter

from scr.pocket.facts import chains, in_running_text, is_held_out, load_facts
from scr.pocket.wordings import WORDINGS


def test_there_are_two_thousand_facts_in_twenty_relations():
    facts = load_facts()
    assert len(facts) >= 2_000
    assert len({f.relation for f in facts}) >= 20


def test_every_relation_has_wordings_and_every_wording_a_relation():
    assert {f.relation for f in load_facts()} == set(WORDINGS)


def test_a_subject_has_one_object_per_relation():
    counts = Counter((f.subject, f.relation) for f in load_facts())
    assert [key for key, count in counts.items() if count > 1] == []


def test_no_field_is_empty_or_has_stray_blanks():
    for fact in load_facts():
        for text in (fact.subject, fact.relation, fact.object):
            assert text and text == " ".join(text.split())
            assert '"' not in text


def test_what_a_newcomer_tries_first_is_known():
    known = {(f.subject, f.relation): f.object for f in load_facts()}
    assert known["France", "capital"] == "Paris"
    assert known["Germany", "capital"] == "Berlin"
    assert known["France", "currency"] == "euro"
    assert known["Japan", "currency"] == "yen"
    assert known["Lyon", "country"] == "France"
    assert known["Hamlet", "author"] == "William Shakespeare"


def test_enough_two_hop_and_three_hop_questions_have_answers():
    facts = load_facts()
    assert len(chains(facts, 2)) >= 500
    assert len(chains(facts, 3)) >= 100


def test_a_chain_links_object_to_subject():
    for first, second, third in chains(load_facts(), 3)[:50]:
        assert (first.object, second.object) == (second.subject, third.subject)


def test_about_a_tenth_of_the_subjects_is_held_out():
    subjects = {f.subject for f in load_facts()}
    assert 0.07 < sum(map(is_held_out, subjects)) / len(subjects) < 0.13


def test_some_countries_take_an_article():
    assert in_running_text("United States") == "the United States"
    assert in_running_text("Japan") == "Japan"
