"""Chains of facts, over a decider that one can compute in one's head."""

from collections.abc import Sequence

import pytest

from memory_store.edit import Edit
from memory_store.identity import fold
from scr.chain import MOST_HOPS, at_once, facts_of, follow
from scr.protocols import Decision, Judged


def fact(subject: str, relation: str, target: str) -> Edit:
    prompt = f"The {relation} of {subject} is"
    statement = f"{prompt} {target}."
    return Edit(edit_id=f"{subject}-{relation}", subject=subject, prompt=prompt, target_new=target, statement=statement)


class Memory:
    """An edit governs a text that holds its subject and its relation and no second "the … of"."""

    def __init__(self, edits: Sequence[Edit], denied: str = "") -> None:
        self.edits = edits
        self.denied = denied
        self.batches: list[list[str]] = []

    def decide(self, texts: Sequence[str]) -> list[Decision]:
        self.batches.append(list(texts))
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> Decision:
        hits = [
            Judged(e, 0.9)
            for e in self.edits
            if fold(f"{e.prompt.removeprefix('The ').removesuffix(' is')}") in fold(text) and text.count(" of ") == 1
        ]
        misses = tuple(Judged(e, 0.0, {"denied": 1.0}) for e in self.edits if e.edit_id == self.denied)
        return Decision(tuple(hits), misses)

    def named(self, texts: Sequence[str]) -> list[list[Edit]]:
        return [[e for e in self.edits if f" {fold(e.subject)} " in f" {fold(text)} "] for text in texts]

    def alike(self, pairs: Sequence[tuple[str, Edit]]) -> list[float]:
        return [1.0 / (1 + abs(len(text) - len(edit.prompt))) for text, edit in pairs]

    def follow(self, *questions: str, **options: object) -> list[Decision]:
        return follow(questions, self.decide, self.named, self.alike, **options)  # type: ignore[arg-type]


FACTS = [
    fact("Ada", "homeland", "Chad"),
    fact("Chad", "capital", "Lima"),
    fact("Lima", "mayor", "Bo Ray"),
    fact("Bo Ray", "spouse", "Cy Lee"),
    fact("Cy Lee", "employer", "Acme"),
    fact("Acme", "founder", "Di Fox"),
]


def test_a_fired_edit_asks_again_with_its_object() -> None:
    (chain,) = Memory(FACTS).follow("What is the capital of the homeland of Ada?")
    assert [(h.phrase, h.answer) for h in chain.hops] == [("the homeland of Ada", "Chad")]
    assert chain.asked == "What is the capital of Chad?"
    assert [j.edit.edit_id for j in facts_of(chain)] == ["Ada-homeland", "Chad-capital"]
    assert at_once(chain).edit_ids == ("Ada-homeland", "Chad-capital") and at_once(chain).hops == ()


@pytest.mark.parametrize(("ahead", "batches"), [(False, (1, 2, 3)), (True, (1, 1, 2))])
def test_each_further_hop_costs_one_batch_of_decisions_or_less(ahead: bool, batches: tuple[int, ...]) -> None:
    for hops, question in enumerate(
        (
            "What is the homeland of Ada?",
            "Name the capital of the homeland of Ada",
            "Name the mayor of the capital of the homeland of Ada",
        )
    ):
        memory = Memory(FACTS)
        (chain,) = memory.follow(question, ahead=ahead)
        assert len(chain.hops) == hops and len(memory.batches) == batches[hops]
        texts = [text for batch in memory.batches for text in batch]
        assert len(texts) == len(set(texts))


def test_what_will_be_left_is_read_off_the_edit_that_shares_most_words_with_the_phrase() -> None:
    memory = Memory([fact("Ada", "mother", "Eve"), *FACTS])
    memory.follow("What is the capital of the homeland of Ada?")
    assert memory.batches == [
        ["What is the capital of the homeland of Ada?", "The homeland of Ada is", "What is the capital of Chad?"]
    ]


def test_hops_are_bounded() -> None:
    question = "Who is the founder of the employer of the spouse of the mayor of the capital of the homeland of Ada?"
    (chain,) = Memory(FACTS).follow(question)
    assert len(chain.hops) == MOST_HOPS
    assert Memory(FACTS).follow(question, hops=0)[0].hops == ()


def test_a_question_of_one_hop_keeps_its_own_decision() -> None:
    memory = Memory(FACTS)
    (chain,) = memory.follow("What is the capital of Chad?")
    assert chain == memory.decide(["What is the capital of Chad?"])[0]


def test_a_denied_edit_enters_no_chain() -> None:
    assert Memory(FACTS, denied="Ada-homeland").follow("What is the capital of the homeland of Ada?")[0].hops == ()


def test_a_cycle_ends() -> None:
    round_trip = [fact("Ada", "friend", "Bo"), fact("Bo", "friend", "Ada")]
    (chain,) = Memory(round_trip).follow("Who is the mother of the friend of the friend of the friend of Ada?")
    assert [h.answer for h in chain.hops] == ["Bo", "Ada"]


def test_what_no_edit_covers_is_asked_of_the_model_once_a_chain_has_begun() -> None:
    asked: list[str] = []

    def ask(questions: Sequence[str]) -> list[str]:
        asked.extend(questions)
        return ["Lima."] * len(questions)

    memory = Memory([FACTS[0], FACTS[2]])
    question = "Who is the mayor of the capital of the homeland of Ada?"
    (chain,) = memory.follow(question, ask=ask)
    assert asked == ["What is the capital of Chad?"]
    assert [(h.answer, h.judged is None) for h in chain.hops] == [("Chad", False), ("Lima", True)]
    assert chain.asked == "Who is the mayor of Lima?" and chain.edit_ids == ("Lima-mayor",)
    assert [h.answer for h in memory.follow(question)[0].hops] == ["Chad"]


def test_the_model_begins_a_chain_only_where_asked_to_and_leaves_no_trace_where_no_edit_follows() -> None:
    questions = ("What is the capital of the homeland of Ed?", "What is the anthem of the homeland of Ed?")
    memory = Memory(FACTS[1:])

    def ask(questions: Sequence[str]) -> list[str]:
        return ["Chad"] * len(questions)

    assert all(chain.hops == () for chain in memory.follow(*questions, ask=ask))
    edited, alone = memory.follow(*questions, ask=ask, start="model")
    assert edited.asked == "What is the capital of Chad?" and edited.hops[0].judged is None
    assert alone == Decision()


def test_a_word_for_two_relations_is_taken_apart() -> None:
    memory = Memory([fact("Ada", "spouse", "Bo"), fact("Bo", "father", "Cy")])
    (chain,) = memory.follow("Who is the father-in-law of Ada?")
    assert chain.asked == "Who is the father of Bo?" and chain.edit_ids == ("Bo-father",)


def test_after_a_hop_no_near_name_will_do() -> None:
    class Near(Memory):
        def _one(self, text: str) -> Decision:
            decision = super()._one(text)
            return Decision((Judged(FACTS[1], 0.9),)) if "Chadwick" in text else decision

    memory = Near([fact("Ada", "homeland", "Chadwick"), FACTS[1]])
    (chain,) = memory.follow("What is the capital of the homeland of Ada?")
    assert chain.in_scope == () and chain.near_misses[0].edit.edit_id == "Chad-capital"


def test_an_edit_that_says_where_leads_on_to_the_larger_place_that_is_asked_for() -> None:
    born = Edit(
        edit_id="born", subject="Ada", prompt="In which city was Ada born?", target_new="Lima", statement="Lima."
    )

    class Named(Memory):
        def _one(self, text: str) -> Decision:
            return Decision((Judged(born, 0.9),) if "Ada" in text else ())

    memory = Named([born])
    (chain,) = memory.follow("In which country was Ada born?")
    assert chain.asked == "Which country is Lima in?" and [h.answer for h in chain.hops] == ["Lima"]
    assert len(memory.batches) == 2
    for question in ("In which city was Ada born?", "Was Ada born in Lima?", "Which country is Lima, Ada's city, in?"):
        assert memory.follow(question)[0].hops == ()


def test_after_a_hop_an_edit_that_answers_with_another_kind_of_thing_is_none() -> None:
    class Loose(Memory):
        def _one(self, text: str) -> Decision:
            return Decision((Judged(FACTS[1], 0.9),)) if "head of Chad" in text else super()._one(text)

    (chain,) = Loose(FACTS[:2]).follow("Who is the head of the homeland of Ada?")
    assert chain.asked == "Who is the head of Chad?" and chain.in_scope == ()
    assert chain.near_misses[0].edit.edit_id == "Chad-capital"


def test_the_mark_at_the_end_of_a_title_does_not_end_the_question() -> None:
    (chain,) = Memory([fact("Ada", "musical", "Mamma Mia!")]).follow("Who is the author of the musical of Ada?")
    assert chain.asked == "Who is the author of Mamma Mia?" and chain.hops[0].answer == "Mamma Mia!"


def test_the_model_is_asked_who_holds_an_office_and_who_a_person_is() -> None:
    asked: list[str] = []

    def ask(questions: Sequence[str]) -> list[str]:
        asked.extend(questions)
        return ["Bo Ray"] * len(questions)

    questions = ("What is the spouse of the current Governor of Avalon?", "Who is the spouse of the author of Xanadu?")
    chains = Memory(FACTS).follow(*questions, ask=ask, start="model")
    assert asked == ["Who is the current Governor of Avalon?", "Who is the author of Xanadu?"]
    assert all(chain.edit_ids == ("Bo Ray-spouse",) for chain in chains)
