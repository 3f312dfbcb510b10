"""Questions split by a language model: what is believed of a list, and what becomes of it."""

from collections.abc import Sequence
from typing import Any

import pytest

from memory_store.edit import Edit
from memory_store.errors import ConfigError
from scr.build import open_editor
from scr.edited_model import EditedModel
from scr.editor import RetrievalEditor
from scr.steps import PROMPT, read, split

QUESTION = "Ada Byron hails from a land; which capital has it?"
LISTED = "1. Where was Ada Byron born?\n2. What is the capital of #1?\n\nQuestion: More"


class Splitter:
    """Splits one question, knows one capital, and otherwise says what it was asked."""

    def __init__(self, listed: str = LISTED) -> None:
        self.listed = listed
        self.prompts: list[str] = []

    def generate(self, prompts: Sequence[str], *, max_new_tokens: int, stop: Sequence[str] = ()) -> list[str]:
        self.prompts += prompts
        return [self._one(prompt) for prompt in prompts]

    def _one(self, prompt: str) -> str:
        if prompt.startswith(PROMPT[:40]):
            return self.listed
        if '"' in prompt:
            return prompt.rsplit('"', 2)[1]
        return {"Where was Bo Ek born?": "Chile.", "What is the capital of Peru?": "Lima"}.get(prompt, prompt)

    def log_likelihood(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, int, bool]]:
        return [(0.0, 1, False) for _ in pairs]


def fact(subject: str, prompt: str, target: str) -> Edit:
    return Edit(subject=subject, prompt=prompt, target_new=target, statement=f"{prompt} {target}.")


@pytest.fixture
def editor() -> RetrievalEditor:
    made = open_editor(":memory:", offline=True)
    made.edit([fact("Ada Byron", "Ada Byron was born in", "Chile"), fact("Chile", "The capital of Chile is", "Oslo")])
    made.model, made.decompose = Splitter(), "llm"
    return made


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I would ask where Ada was born.",
        "1. Where was Ada Byron born?",
        "1. Where was Ada Byron born?\n2. What is the capital of Chile?",
        "1. Where was #1 born?\n2. What is the capital of #1?",
        "1. Where was Ada Byron born?\n2. What is the capital of #2?",
        "1. Where was Bo Ek born?\n2. What is the capital of #1?",
        "2. Where was Ada Byron born?\n3. What is the capital of #2?",
    ],
)
def test_a_list_that_cannot_be_checked_is_not_believed(text: str) -> None:
    assert read(QUESTION, text) == ()


def test_each_question_is_shown_once_and_its_list_read() -> None:
    model = Splitter()
    found = split([QUESTION, "What?"], lambda prompts: model.generate(prompts, max_new_tokens=9))
    assert found == [("Where was Ada Byron born?", "What is the capital of #1?"), ()]
    assert [prompt.count(QUESTION) for prompt in model.prompts] == [1, 0]


def test_every_single_question_passes_the_scope_decision(editor: RetrievalEditor) -> None:
    (answer,) = editor.answer([QUESTION])
    assert answer.text == "The capital of Chile is Oslo." and answer.asked == "What is the capital of Chile?"
    assert [(hop.phrase, hop.answer) for hop in answer.hops] == [("Where was Ada Byron born?", "Chile")]
    assert [judged.edit.target_new for judged in answer.used] == ["Chile", "Oslo"]
    editor.decompose = "words"
    assert editor.answer([QUESTION])[0].hops == ()


def test_what_no_edit_governs_is_asked_of_the_model(editor: RetrievalEditor) -> None:
    editor.model = Splitter(LISTED.replace("Ada Byron", "Bo Ek"))
    (answer,) = editor.answer([QUESTION.replace("Ada Byron", "Bo Ek")])
    assert [(hop.answer, hop.judged) for hop in answer.hops] == [("Chile", None)]
    assert [judged.edit.target_new for judged in answer.used] == ["Oslo"]


@pytest.mark.parametrize("listed", ["", LISTED.replace("Ada Byron", "Cy Roe")])
def test_a_question_that_no_edit_takes_part_in_reaches_the_model_byte_for_byte(
    editor: RetrievalEditor, listed: str
) -> None:
    editor.model = Splitter(listed)
    question = QUESTION.replace("Ada Byron", "Cy Roe")
    (answer,) = editor.answer([question])
    assert (answer.route, answer.hops, answer.text) == ("base", (), question)


def test_a_question_that_is_not_split_is_read_by_its_words(editor: RetrievalEditor) -> None:
    editor.model = Splitter("I cannot.")
    (answer,) = editor.answer(["What is the capital of the country where Ada Byron was born?"])
    assert [hop.answer for hop in answer.hops] == ["Chile"]


def test_only_words_and_the_model_can_decompose(editor: RetrievalEditor) -> None:
    with pytest.raises(ConfigError, match="words or llm, got 'magic'"):
        editor.decompose = "magic"  # type: ignore[assignment]


def test_the_pocket_model_is_asked_and_what_it_says_does_no_harm() -> None:
    model = EditedModel.from_pretrained(offline=True)
    model.edit([fact("Chile", "The capital of Chile is", "Oslo")])
    question = "What is the capital of Chile?"
    by_words = model.ask(question, max_new_tokens=4)
    model.editor.decompose = "llm"
    told: list[str] = []
    tell: Any = model.editor.tell

    def listening(prompts: Sequence[str]) -> list[str]:
        told.extend(prompts)
        texts: list[str] = tell(prompts)
        return texts

    model.editor.tell = listening
    by_model = model.ask(question, max_new_tokens=4)
    assert len(told) == 1 and by_model.text == by_words.text == "Oslo"
