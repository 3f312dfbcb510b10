"""Claims about the built-in data set: what it promises about facts and wordings, held over every case."""

import re

import pytest

from eval.atlas import CASES, FIXED, load_atlas, truths
from eval.cases import KINDS, Dataset
from memory_store.errors import ConfigError
from scr.pocket.facts import load_facts
from scr.pocket.wordings import WORDINGS, Form, wordings

FACTS = {(f.subject, f.relation): f.object for f in load_facts()}
FORMS: tuple[Form, ...] = ("question", "statement", "reversed", "yes_no")


@pytest.fixture(scope="module")
def atlas() -> Dataset:
    return load_atlas()


def patterns(split: str) -> set[str]:
    """Every template of a split with holes instead of names, in lower case."""
    return {
        hollow(template)
        for relation in WORDINGS
        for form in FORMS
        for template in wordings(relation, form, split)  # type: ignore[arg-type]
    }


def hollow(template: str) -> str:
    return re.sub(r"\{[so]\}", "{}", template).lower()


def test_it_holds_a_thousand_edits_of_known_facts(atlas: Dataset) -> None:
    assert (len(atlas.cases), len(atlas.fixed)) == (CASES, FIXED) == (1000, 200)
    subjects = [case.edit.subject for case in atlas.cases]
    assert len(set(subjects)) == len(subjects)
    for case in atlas.cases:
        known = {answer for (subject, _), answer in FACTS.items() if subject == case.edit.subject}
        assert case.ground_truth in known
        assert case.edit.target_new != case.ground_truth
        assert case.edit.subject in case.edit.prompt
        assert case.edit.statement == f"{case.edit.prompt} {case.edit.target_new}."


def test_every_kind_is_asked_but_those_of_other_benchmarks(atlas: Dataset) -> None:
    counts = {kind: 0 for kind in KINDS}
    for case in atlas.cases:
        for probe in case.probes:
            counts[probe.kind] += 1
    assert (counts["prompt"], counts["paraphrase"], counts["yes_no"]) == (1000, 2000, 2000)
    assert counts["neighbor"] > 1900
    assert min(counts[k] for k in ("alias", "reversed", "two_hop", "same_subject")) >= 100, counts
    assert counts["unrelated"] == 0


def test_a_smaller_set_is_the_beginning_of_the_larger_one(atlas: Dataset) -> None:
    assert load_atlas(17).cases == atlas.cases[:17]
    assert load_atlas(17, fixed=5).fixed == atlas.fixed[:5]
    assert load_atlas(17, seed=1).cases != atlas.cases[:17]


def test_no_question_out_of_scope_is_about_an_edited_fact(atlas: Dataset) -> None:
    edited = {case.edit.subject: case for case in atlas.cases}
    for probe in atlas.fixed:
        named = [subject for subject in edited if re.search(rf"(?<!\w){re.escape(subject)}(?!\w)", probe.prompt)]
        # A fixed question's own subject is never edited; a longer name may hold a shorter one.
        own = [s for (s, _), o in FACTS.items() if s in probe.prompt and o in probe.accepted and s not in edited]
        assert own, probe
        assert all(any(name in longer for longer in own) for name in named), probe


def test_what_is_asked_out_of_scope_has_the_true_answer_and_its_rival_is_another(atlas: Dataset) -> None:
    objects = set(FACTS.values())
    for case in atlas.cases:
        for probe in case.probes:
            if probe.kind in ("neighbor", "same_subject"):
                assert probe.accepted[0] in objects
                assert probe.rival not in probe.accepted
                assert probe.prompt != case.edit.prompt


def test_yes_and_no_are_asked_in_equal_parts(atlas: Dataset) -> None:
    for case in atlas.cases:
        yes, no = [p for p in case.probes if p.kind == "yes_no"]
        assert (yes.accepted, no.accepted) == (("Yes",), ("No",))
        assert case.edit.target_new in yes.prompt
        assert case.ground_truth in no.prompt


def test_a_reversed_question_has_one_answer(atlas: Dataset) -> None:
    for case in atlas.cases:
        for probe in case.probes:
            if probe.kind == "reversed":
                relation = next(r for (s, r), o in FACTS.items() if s == case.edit.subject and o == case.ground_truth)
                holders = {s for (s, r), o in FACTS.items() if r == relation and o == case.edit.target_new}
                assert holders <= {case.edit.subject}
                assert probe.accepted == (case.edit.subject,)
                assert case.edit.subject not in probe.prompt


def test_no_wording_is_one_of_training(atlas: Dataset) -> None:
    """Names are cut out of each question, and what is left is no template that training used."""
    training = patterns("train")
    evaluation = patterns("evaluation")
    assert not training & evaluation
    names = sorted({n for fact in load_facts() for n in (fact.subject, fact.object)}, key=len, reverse=True)
    any_name = re.compile("|".join(rf"(?<!\w)(?:the )?{re.escape(n)}(?!\w)" for n in names), re.IGNORECASE)
    for case in atlas.cases[:150]:
        for probe in case.probes:
            if probe.kind not in ("alias", "two_hop"):
                assert any_name.sub("{}", probe.prompt).lower() not in training, probe


def test_intact_facts_are_those_that_the_fixed_questions_ask_about(atlas: Dataset) -> None:
    found = truths(20)
    assert [answer for _, answer in found] == [probe.accepted[0] for probe in atlas.fixed[:20]]
    with pytest.raises(ConfigError):
        truths(0)


def test_more_than_there_is_is_refused() -> None:
    for wrong in ({"cases": 0}, {"cases": 1001}, {"fixed": 201}):
        with pytest.raises(ConfigError, match="Atlas has"):
            load_atlas(**wrong)
