"""Answers through facts inside a question: the real decision, and models one can read."""

from collections.abc import Sequence
from typing import Any

import pytest

from memory_store.edit import Edit
from scr.build import open_editor
from scr.edited_model import EditedModel
from scr.editor import RetrievalEditor

QUESTION = "What is the capital of the country where Ada Byron was born?"


class Reader:
    """Answers with the last fact it is shown, or what it knows of the question; remembers what it was asked."""

    knows = {"What is the anthem of Chile?": "Puro Chile", "What is the anthem of Peru?": "Somos libres"}

    def __init__(self) -> None:
        self.prompts: list[str] = []

    def generate(self, prompts: Sequence[str], *, max_new_tokens: int, stop: Sequence[str] = ()) -> list[str]:
        self.prompts += prompts
        return [self.knows.get(p, "") if '"' not in p else p.rsplit('"', 2)[1] for p in prompts]

    def log_likelihood(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, int, bool]]:
        return [(0.0, 1, False) for _ in pairs]


def facts() -> list[Edit]:
    return [
        Edit(
            subject="Ada Byron",
            prompt="Ada Byron was born in",
            target_new="Chile",
            statement="Ada Byron was born in Chile.",
        ),
        Edit(
            subject="Chile",
            prompt="The capital of Chile is",
            target_new="Oslo",
            statement="The capital of Chile is Oslo.",
        ),
    ]


@pytest.fixture
def editor() -> RetrievalEditor:
    made = open_editor(":memory:", offline=True)
    made.edit(facts())
    made.model = Reader()
    return made


def test_the_last_question_of_a_chain_is_asked_with_its_fact(editor: RetrievalEditor) -> None:
    (answer,) = editor.answer([QUESTION])
    assert answer.text == "The capital of Chile is Oslo." and answer.route == "context"
    assert [(hop.phrase, hop.answer) for hop in answer.hops] == [("the country where Ada Byron was born", "Chile")]
    assert answer.asked == "What is the capital of Chile?"
    assert [j.edit.target_new for j in answer.used] == ["Chile", "Oslo"]


def test_the_model_answers_what_no_edit_covers(editor: RetrievalEditor) -> None:
    (answer,) = editor.answer(["What is the anthem of the country where Ada Byron was born?"])
    assert (answer.text, answer.route, answer.asked) == ("Puro Chile", "context", "What is the anthem of Chile?")
    assert isinstance(editor.model, Reader) and editor.model.prompts == ["What is the anthem of Chile?"]


def test_a_replaced_fact_enters_no_chain(editor: RetrievalEditor) -> None:
    editor.edit(
        [
            Edit(
                subject="Ada Byron",
                prompt="Ada Byron was born in",
                target_new="Peru",
                statement="Ada Byron was born in Peru.",
            )
        ]
    )
    (answer,) = editor.answer(["What is the anthem of the country where Ada Byron was born?"])
    assert answer.text == "Somos libres" and [j.edit.target_new for j in answer.used] == ["Peru"]


def test_a_model_elsewhere_is_given_the_facts_of_every_hop(editor: RetrievalEditor) -> None:
    messages = [{"role": "user", "content": QUESTION}]
    sent = editor.rewrite(messages)
    content = str(sent.messages[0]["content"])
    assert content.endswith(QUESTION)
    assert content.index("Ada Byron was born in Chile.") < content.index("The capital of Chile is Oslo.")
    assert [j.edit.target_new for j in sent.edits] == ["Chile", "Oslo"] and len(sent.trace["hops"]) == 1


@pytest.mark.parametrize(
    "question",
    ["What is the capital of Chile?", "In which city is the capital of Chile?", "Where was Ada Byron born?"],
)
def test_a_question_of_one_hop_is_answered_as_without_chains(editor: RetrievalEditor, question: str) -> None:
    followed, decided = editor.follow([question]), editor.decide([question])
    assert followed == decided and decided[0].in_scope


@pytest.mark.parametrize(
    "question",
    ["What is the capital of the country where Bo Ek was born?", "Who is the mother of Ada Byron?", "Hello!"],
)
def test_what_no_edit_governs_reaches_the_model_byte_for_byte(editor: RetrievalEditor, question: str) -> None:
    (answer,) = editor.answer([question])
    assert (answer.route, answer.hops, answer.asked) == ("base", (), "")
    assert isinstance(editor.model, Reader) and editor.model.prompts == [question]


def test_a_declared_relation_holds_from_its_other_end(editor: RetrievalEditor) -> None:
    married = Edit(
        edit_id="married",
        subject="Bo Ek",
        prompt="The spouse of Bo Ek is",
        target_new="Cy Lund",
        statement="Bo is Cy's.",
    )
    born = Edit(subject="Di Ray", prompt="Di Ray was born in", target_new="Rome", statement="Di Ray was born in Rome.")
    editor.edit([married, born])
    (answer,) = editor.answer(["Who is the spouse of Cy Lund?"])
    assert answer.text == "The spouse of Cy Lund is Bo Ek." and answer.used[0].edit.edit_id == "married"
    for question in ("Who is the mother of Cy Lund?", "Who is the spouse of Cy Lunden?", "Who was born in Rome?"):
        assert editor.answer([question])[0].route == "base"
    editor.deny("married", "Who is the spouse of Cy Lund?")
    assert editor.answer(["Who is the spouse of Cy Lund?"])[0].route == "base"


def test_hops_can_be_switched_off(editor: RetrievalEditor) -> None:
    editor.hops = 0
    assert editor.answer([QUESTION])[0].hops == ()


def test_a_loaded_model_follows_in_ask_chat_and_generate(tiny_folder: Any) -> None:
    model = EditedModel.from_pretrained(tiny_folder("llama"), offline=True)
    model.edit(facts())
    answer = model.ask(QUESTION, max_new_tokens=2)
    assert answer.asked == "What is the capital of Chile?" and len(answer.used) == 2
    turns = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": "Oslo."}]
    turns += [{"role": "user", "content": "Are you sure?"}]
    assert {j.edit.target_new for j in model.chat(turns, max_new_tokens=2).used} == {"Chile", "Oslo"}
    stream = model.chat(turns[:1], stream=True, max_new_tokens=2)
    "".join(stream)
    assert stream.answer is not None and stream.answer.hops == answer.hops
    with model.edits_disabled():
        assert model.ask(QUESTION, max_new_tokens=2).hops == ()
    ids = model.tokenizer(QUESTION, return_tensors="pt")
    out = model.generate(**ids, max_new_tokens=2, do_sample=False)
    assert out[0, : ids["input_ids"].shape[1]].tolist() == ids["input_ids"][0].tolist()


def test_a_further_hop_encodes_its_texts_with_those_of_the_question(editor: RetrievalEditor) -> None:
    calls: list[int] = []

    class Counting:
        def __init__(self, inner: Any) -> None:
            self.inner = inner
            self.fingerprint, self.d_key = inner.fingerprint, inner.d_key

        def encode(self, texts: Sequence[str]) -> Any:
            calls.append(len(texts))
            return self.inner.encode(texts)

    counted = open_editor(":memory:", offline=True)
    counted.encoder = Counting(counted.encoder)
    counted.edit(facts())
    calls.clear()
    counted.decide(["What is the capital of Chile?"])
    once = len(calls)
    calls.clear()
    assert len(counted.follow([QUESTION])[0].hops) == 1 and len(calls) <= once


def test_likelihoods_are_read_behind_all_facts_of_a_chain(editor: RetrievalEditor) -> None:
    read: list[tuple[str, str]] = []

    class Scorer(Reader):
        def log_likelihood(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[float, int, bool]]:
            read.extend(pairs)
            return super().log_likelihood(pairs)

    editor.model = Scorer()
    editor.log_likelihood([(QUESTION, " Oslo"), ("Hello!", " You")])
    (text, said), untouched = read
    assert text.endswith(f"\n\n{QUESTION}") and said == " Oslo" and untouched == ("Hello!", " You")
    assert "Ada Byron was born in Chile." in text and "The capital of Chile is Oslo." in text
    assert editor.model.prompts == []
