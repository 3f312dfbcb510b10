"""Are the wordings enough, and split so that evaluation is on unseen words?"""

import random
import re
from itertools import islice
from typing import get_args

import pytest

from scr.pocket.composed import (
    composed_pushback,
    composed_question,
    composed_reversed,
    composed_statement,
    composed_verb,
    composed_yes_no,
)
from scr.pocket.data import (
    MIX,
    Generator,
    Sample,
    invented_name,
    is_invented_held_out,
    stream,
)
from scr.pocket.facts import is_held_out
from scr.pocket.wordings import (
    NOUN_QUESTIONS,
    NOUN_STATEMENTS,
    PUSHBACK,
    WORDINGS,
    YES_NO,
    Form,
    of_split,
    split_of,
    wordings,
)


def samples(count: int) -> list[Sample]:
    units = islice(stream(Generator(), MIX["all"], random.Random(3)), count)
    return [sample for _, unit in units for sample in unit]


@pytest.mark.parametrize("relation", sorted(WORDINGS))
def test_each_relation_has_four_statements_and_four_questions_to_train_on(relation):
    for form in ("question", "statement"):
        assert len(wordings(relation, form, "train")) >= 4
    own = WORDINGS[relation]
    assert len(own.questions) >= 10
    assert len(own.statements) >= 5


@pytest.mark.parametrize("relation", sorted(WORDINGS))
@pytest.mark.parametrize("form", get_args(Form))
def test_no_wording_is_in_two_splits(relation, form):
    train, dev, evaluation = (set(wordings(relation, form, s)) for s in ("train", "dev", "evaluation"))
    assert train and dev and evaluation
    assert not train & dev and not train & evaluation and not dev & evaluation


@pytest.mark.parametrize("relation", sorted(WORDINGS))
def test_a_wording_has_its_places(relation):
    for template in (*wordings(relation, "question"), *wordings(relation, "statement")):
        assert template.count("{s}") == 1 and "{o}" not in template and "{n}" not in template
    for template in wordings(relation, "reversed"):
        assert template.count("{o}") == 1 and "{s}" not in template
    for template in wordings(relation, "yes_no"):
        assert template.count("{o}") == 1 and template.count("{s}") == 1 and "{c}" not in template


def test_of_five_wordings_three_are_for_training():
    assert [split_of(i) for i in range(5)] == ["train"] * 3 + ["dev", "evaluation"]


def test_training_uses_no_question_of_another_split():
    """A question of the evaluation split with any known subject in it never stands in a training text."""
    made = samples(3000)
    texts = [content for sample in made for role, content in sample.turns if role == "user"]
    lines = {line.strip() for text in texts for line in text.splitlines()}
    subjects = {f.subject for f in Generator().facts}
    for relation in WORDINGS:
        for split in ("dev", "evaluation"):
            for template in wordings(relation, "question", split):
                before, after = template.split("{s}")
                if len(before) + len(after) < 12:
                    continue
                for line in lines:
                    if line.startswith(before) and line.endswith(after) and len(line) > len(before) + len(after):
                        middle = line[len(before) : len(line) - len(after)].removeprefix("the ")
                        assert middle not in subjects, line


def test_training_holds_out_pushback_lines_and_names():
    texts = " ".join(content for sample in samples(1500) for _, content in sample.turns)
    for line in of_split(PUSHBACK, "evaluation"):
        before, after = line.split("{x}")
        if len(before) > 12:
            assert before not in texts
    rng = random.Random(0)
    assert not any(is_invented_held_out(invented_name(rng)) for _ in range(300))
    assert all(is_invented_held_out(invented_name(rng, held_out=True)) for _ in range(30))


def test_no_counterfactual_fact_is_about_a_held_out_subject():
    generator, rng = Generator(), random.Random(1)
    for _ in range(2000):
        asked = generator.counterfactual(rng)
        subject = asked.subject.removeprefix("the ")
        assert subject not in generator.by_subject or not is_held_out(subject)


def test_the_stream_depends_on_the_seed_alone():
    first = list(islice(stream(Generator(), MIX["all"], random.Random(5)), 40))
    assert first == list(islice(stream(Generator(), MIX["all"], random.Random(5)), 40))


@pytest.mark.parametrize(
    ("make", "places", "kept"),
    [
        (composed_statement, "sn", NOUN_STATEMENTS),
        (composed_question, "sn", NOUN_QUESTIONS),
        (composed_yes_no, "co", YES_NO),
        (composed_pushback, "x", PUSHBACK),
        (composed_reversed, "on", ()),
    ],
)
def test_what_is_put_together_at_random_is_whole_and_never_kept_for_evaluation(make, places, kept):
    rng = random.Random(0)
    made = {make(rng) for _ in range(2000)}
    for template in made:
        assert sorted(re.findall(r"{(\w+)}", template)) == sorted(places), template
    assert not made & set(of_split(kept, "evaluation")) and not made & set(of_split(kept, "dev"))


def test_there_are_hundreds_of_pushback_lines_and_made_up_verbs():
    rng = random.Random(0)
    assert len({composed_pushback(rng) for _ in range(1000)}) > 700
    pairs = {pair for _ in range(500) for pair in composed_verb(rng)}
    assert len(pairs) > 500
    assert all(statement.count("{s}") == question.count("{s}") == 1 for statement, question in pairs)
