"""MeLLo's loop, with a model that keeps its format, one that does not, and the pocket model."""

import re
from collections.abc import Sequence

import pytest

from eval.mello import DEMONSTRATIONS, Mello
from eval.methods import Bench, make_editor, read_spec
from memory_store.edit import Edit
from scr.encoder import HashEncoder
from scr.language_model import load_model

QUESTION = "What is the capital of the homeland of Ada?"
STEPS = ("What is the homeland of Ada?", "What is the capital of {}?")


def fact(subject: str, relation: str, target: str) -> Edit:
    prompt = f"The {relation} of {subject} is"
    return Edit(edit_id=relation, subject=subject, prompt=prompt, target_new=target, statement=f"{prompt} {target}.")


class Follower:
    """Asks for the two hops of the one question it gets, thinks that all is Chad, and believes what is stored."""

    def __init__(self) -> None:
        self.encoder = HashEncoder()
        self.language_model = self
        self.prompts: list[str] = []

    def generate(self, prompts: Sequence[str], *, max_new_tokens: int, stop: Sequence[str] = ()) -> list[str]:
        self.prompts += prompts
        texts = [self.write(prompt.rpartition("\n\n")[2]) for prompt in prompts]
        return [text[: min([at for s in stop if (at := text.find(s)) >= 0], default=len(text))] for text in texts]

    def write(self, talk: str) -> str:
        if talk.endswith("Own answer:"):
            return " It is Chad.\nStored fact: I may not write this."
        text, settled = "", re.findall(r"so the answer is: (.+)", talk)
        if stored := re.search(r"Stored fact: (.*)\n$", talk):
            settled.append(stored.group(1).split(" is ")[-1].rstrip("."))
            text = f"The fact contradicts my answer, so the answer is: {settled[-1]}\n"
        if len(settled) == 2:
            return f"{text}Final answer: {settled[-1]}\nQuestion: and so on"
        step = STEPS[len(settled)].replace("{}", (settled or [""])[-1])
        return f"{text}Sub-question: {step}\nOwn answer: It is Chad.\nStored fact:"

    def say(self, contents: Sequence[str]) -> list[str]:
        return ["" for _ in contents]

    def forced(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, int, bool]]:
        return [(-float(len(prompt)), 1, False) for prompt, _ in pairs]

    def log_likelihood(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, int, bool]]:
        return self.forced(pairs)


FACTS = [fact("Ada", "homeland", "Peru"), fact("Peru", "capital", "Lima"), fact("Peru", "anthem", "March")]


@pytest.mark.parametrize("told", [False, True])
def test_the_last_answer_is_reached_through_stored_facts(told: bool) -> None:
    bench = Follower()
    editor = Mello(bench, steps=(lambda: {QUESTION: STEPS}) if told else None)
    editor.edit(FACTS)
    (answer,) = editor.answer([QUESTION])
    assert (answer.text, answer.route) == ("Lima", "context")
    assert [(hop.phrase, hop.answer) for hop in answer.hops] == [
        ("What is the homeland of Ada?", "Peru"),
        ("What is the capital of Peru?", "Lima"),
    ]
    assert [judged.edit.edit_id for judged in answer.used] == ["homeland", "capital"]
    assert len(bench.prompts) == (4 if told else 3)
    assert all(prompt.startswith(DEMONSTRATIONS[0]) for prompt in bench.prompts)


def test_a_question_of_one_hop_is_one_sub_question_to_the_one_that_is_told() -> None:
    editor = Mello(Follower(), steps=dict)
    editor.edit(FACTS)
    (answer,) = editor.answer(["What is the homeland of Ada?"])
    assert answer.text == "Peru" and len(answer.hops) == 1


def test_four_rounds_are_the_most_and_no_final_answer_is_none() -> None:
    class Endless(Follower):
        def write(self, talk: str) -> str:
            told = "The fact does not contradict my answer, so the answer is: Chad\n" if "Stored fact" in talk else ""
            return f"{told}Sub-question: Why?\nOwn answer: Because.\nStored fact:"

    bench = Endless()
    editor = Mello(bench)
    editor.edit(FACTS)
    (answer,) = editor.answer([QUESTION])
    assert answer.text == "" and len(bench.prompts) == 4 and answer.used == ()


@pytest.mark.parametrize(
    "said", ["", "I do not know.", "Sub-question:", "Sub-question: Who?\nOwn answer: Bo.\nStored fact:"]
)
def test_a_model_that_leaves_the_format_gives_no_answer(said: str) -> None:
    class Lost(Follower):
        def write(self, talk: str) -> str:
            return "" if "Stored fact" in talk else said

    bench = Lost()
    editor = Mello(bench)
    editor.edit(FACTS)
    assert editor.answer([QUESTION])[0].text == "" and len(bench.prompts) <= 2


def test_demonstrations_that_do_not_fit_are_left_out_the_first_ones_first() -> None:
    bench = Follower()
    editor = Mello(bench, fits=lambda text: text.count("\n\n") <= 1)
    editor.edit(FACTS)
    assert editor.answer([QUESTION])[0].text == "Lima"
    assert all(prompt.startswith(DEMONSTRATIONS[-1]) for prompt in bench.prompts)
    assert Mello(bench, fits=lambda text: False).answer([QUESTION])[0].text == ""


@pytest.mark.parametrize("name", ["mello", "mello-told"])
def test_the_pocket_model_runs_it_and_it_is_undone(name: str) -> None:
    bench = Bench(*load_model(None, offline=True), max_new_tokens=8)
    bench.steps = {QUESTION: STEPS}
    with make_editor(read_spec(name), bench, {}) as editor:
        assert len(editor.edit(FACTS)) == 3
        (answer,) = editor.answer([QUESTION])
        assert len(answer.hops) <= 4
    assert editor.answer([QUESTION])[0].used == ()


def test_likelihoods_are_read_behind_the_whole_talk() -> None:
    bench = Follower()
    editor = Mello(bench)
    editor.edit(FACTS)
    ((text, edits),) = editor.shown([QUESTION])
    assert text.endswith("Final answer:") and [edit.edit_id for edit in edits] == ["homeland", "capital"]
    assert editor.forced([(QUESTION, "Lima")]) == [(-float(len(text)), 1, False)]
