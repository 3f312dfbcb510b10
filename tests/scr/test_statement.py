"""Sentences of our own and their parts; what is no plain fact stays a free fact."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from memory_store.errors import InvalidEditError
from scr.statement import MIN_CONFIDENCE, Parsed, from_question, from_triple, parse
from scr.statement_train import normalised

HERE = Path(__file__).parent
DATA = HERE.parents[2] / "shared" / "data"


def committed(statement: str) -> Parsed | None:
    """The parse as ``scr add`` would take it; None where it would store a free fact."""
    parsed = parse(statement)
    return parsed if parsed.confidence >= MIN_CONFIDENCE else None


def parts(statement: str) -> tuple[str, str, str] | None:
    parsed = committed(statement)
    return None if parsed is None else (parsed.subject, parsed.prompt, parsed.target_new)


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("The capital of France is Lyon.", ("France", "The capital of France is", "Lyon")),
        ("The capital of France is Lyon", ("France", "The capital of France is", "Lyon")),
        (
            "Our refund window is 30 days from delivery.",
            ("refund window", "Our refund window is", "30 days from delivery"),
        ),
        ("Acme's CEO is Jane Roe.", ("Acme", "Acme's CEO is", "Jane Roe")),
        ("In Utopia, the currency is the crown.", ("Utopia", "In Utopia, the currency is the", "crown")),
        ("Ada Byron was born in London.", ("Ada Byron", "Ada Byron was born in", "London")),
        ("The Eiffel Tower is located in Rome.", ("The Eiffel Tower", "The Eiffel Tower is located in", "Rome")),
        ("Where is Acme based? Porto", ("Acme", "Where is Acme based?", "Porto")),
        (
            "What is the twin city of Turin? It is Detroit.",
            ("Turin", "What is the twin city of Turin? It is", "Detroit"),
        ),
    ],
)
def test_a_plain_fact_is_taken_apart(statement: str, expected: tuple[str, str, str]) -> None:
    assert parts(statement) == expected


@pytest.mark.parametrize(
    ("statement", "subject", "target"),
    [
        ("Where the Wild Things Are was written by Maurice Sendak.", "Where the Wild Things Are", "Maurice Sendak"),
        ("The author of Pride and Prejudice is Jane Austen.", "Pride and Prejudice", "Jane Austen"),
        ("Anne, Princess Royal, was born in London.", "Anne, Princess Royal", "London"),
        ("USS Wren (DD-568) was built in Seattle.", "USS Wren (DD-568)", "Seattle"),
        ("Who designed the Bridge of Sighs? Antonio Contin", "Bridge of Sighs", "Antonio Contin"),
        ("Émile Coué is from Nancy.", "Émile Coué", "Nancy"),
        ("The mother tongue of Łukasz Żal is Polish.", "Łukasz Żal", "Polish"),
        ("The genre of list of Lost episodes is drama.", "list of Lost episodes", "drama"),
    ],
)
def test_names_with_verbs_articles_commas_and_accents_stay_whole(statement: str, subject: str, target: str) -> None:
    parsed = committed(statement)
    assert parsed is not None
    assert normalised(parsed.subject) == normalised(subject)
    assert normalised(parsed.target_new) == normalised(target)


@pytest.mark.parametrize(
    ("statement", "target"),
    [
        ("The VPN address is vpn.example.com.", "vpn.example.com"),
        ("The contact of Acme is jane.roe@example.org.", "jane.roe@example.org"),
        ("The address of the wiki is https://wiki.example.org/start?x=1.", "https://wiki.example.org/start?x=1"),
        ("The daily meeting starts at 9:30.", "9:30"),
        ("The latest version of Falcon is 2.7.1.", "2.7.1"),
        ("The price of the Basic plan is 9.50 euros.", "9.50 euros"),
        ("The headquarters of Acme is in the U.S.", "U.S."),
        ("The family doctor of Jane Roe is Dr. Smith.", "Dr. Smith"),
    ],
)
def test_dots_inside_an_answer_are_kept(statement: str, target: str) -> None:
    assert parse(statement).target_new == target


def test_an_abbreviation_does_not_end_a_sentence() -> None:
    parsed = committed("Dr. Smith works for Acme.")
    assert parsed is not None
    assert (parsed.subject, parsed.target_new) == ("Dr. Smith", "Acme")


@pytest.mark.parametrize("statement", ["", "   ", "...", "?!", "\n\t", "🙂🙂", "\x00"])
def test_a_statement_without_a_letter_or_digit_is_refused_with_the_next_step(statement: str) -> None:
    with pytest.raises(InvalidEditError, match="got .*, wanted .*; try: scr add"):
        parse(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "Lyon",
        "Lyon.",
        "Acme is not based in Paris.",
        "Acme isn't based in Paris.",
        "Acme has never been based in Paris.",
        "No one leads Acme.",
        "Never share the password.",
        "Please send invoices to Jane.",
        "If the office is closed, the door code is 4711.",
        "Perhaps the CEO of Acme is Jane Roe.",
        "The CEO of Acme might be Jane Roe.",
        "Acme is larger than Globex.",
        "It is located in Paris.",
        "What is the capital of France?",
        "word " * 400,
        "The office moved. Ask Jane for the key. She knows where the other one is kept.",
    ],
)
def test_what_is_no_plain_assertion_is_a_free_fact(statement: str) -> None:
    parsed = parse(statement)
    assert (parsed.subject, parsed.prompt, parsed.target_new, parsed.confidence) == ("", "", "", 0.0)
    assert parsed.statement == " ".join(statement.split())


@pytest.mark.parametrize(
    "statement",
    [
        "The Berlin team has more than 20 members.",
        "Contact person is Jane Roe.",
        "The support line of Acme is open daily.",
    ],
)
def test_words_that_look_like_orders_or_comparisons_can_be_plain(statement: str) -> None:
    assert parse(statement).target_new


def test_negation_inside_a_title_is_no_negation() -> None:
    parsed = committed("The author of Never Let Me Go is Kazuo Ishiguro.")
    assert parsed is not None
    assert parsed.subject == "Never Let Me Go"


def test_a_clear_first_sentence_is_kept_with_what_follows_it() -> None:
    text = "The capital of France is Lyon. It moved there last year."
    parsed = committed(text)
    assert parsed is not None
    assert (parsed.statement, parsed.prompt, parsed.target_new) == (text, "The capital of France is", "Lyon")


def test_a_time_qualifier_stays_in_the_prompt() -> None:
    assert parts("Since 2024, the CEO of Acme is Jane Roe.") == (
        "Acme",
        "Since 2024, the CEO of Acme is",
        "Jane Roe",
    )


@pytest.mark.parametrize(
    "statement",
    [
        "עיר הבירה של צרפת היא ליון.",
        "عاصمة فرنسا هي ليون.",
        "フランスの首都はリヨンです。",
        "The mascot of Acme is 🦊.",
        'The motto of Acme is "Faster, higher".',
        "The motto of Acme is 'It's here'.",
        "(The) [odd] {one} is — here…",
        "a ? b ? c",
        "? x",
        "Why? Because.",
        "A's B's C's.",
        "<|im_end|> is <|im_start|>.",
    ],
)
def test_any_script_or_punctuation_gives_parts_that_stand_in_the_statement(statement: str) -> None:
    parsed = parse(statement)
    assert parsed.statement == statement
    for part in (parsed.subject, parsed.prompt, parsed.target_new):
        assert part in statement
    assert 0 <= parsed.confidence <= 1
    assert bool(parsed.target_new) == bool(parsed.subject) == bool(parsed.prompt)


def test_quotes_around_an_answer_are_kept_whole() -> None:
    assert parse('The motto of Acme is "Faster, higher".').target_new == '"Faster, higher"'


def test_line_breaks_and_runs_of_space_become_one_space() -> None:
    assert parse("The capital\n of   France\tis Lyon.\n").statement == "The capital of France is Lyon."


def test_parsing_twice_gives_the_same() -> None:
    assert parse("Acme's CEO is Jane Roe.") == parse("Acme's CEO is Jane Roe.")


def test_a_statement_takes_milliseconds() -> None:
    parse("The capital of France is Lyon.")
    started = time.process_time()
    for _ in range(20):
        parse(
            "Which of the engineers at the Lyon office of Acme signed the first contract with Globex in 2021? Jane Roe"
        )
    assert (time.process_time() - started) / 20 < 0.1


def test_a_megabyte_is_a_free_fact_at_once() -> None:
    started = time.process_time()
    assert parse("The capital of France is Lyon. " * 40_000).subject == ""
    assert time.process_time() - started < 2


def test_a_question_and_its_answer_make_a_fact() -> None:
    parsed = from_question("Who is the CEO of Acme?", "Jane Roe")
    assert parsed.statement == "Who is the CEO of Acme? Jane Roe"
    assert (parsed.subject, parsed.prompt, parsed.target_new) == ("Acme", "Who is the CEO of Acme?", "Jane Roe")
    assert parsed.confidence >= MIN_CONFIDENCE


def test_a_given_subject_is_taken_as_it_is() -> None:
    parsed = from_question("who runs it?", "Jane Roe", subject="Acme")
    assert (parsed.subject, parsed.confidence) == ("Acme", 1.0)


def test_a_question_without_its_mark_is_still_asked_as_written() -> None:
    assert from_question("Who is the CEO of Acme", "Jane Roe").prompt == "Who is the CEO of Acme"


def test_an_unsure_subject_of_a_question_is_left_empty() -> None:
    parsed = from_question("when was the last time everyone thought that it would end soon?", "1998")
    assert parsed.confidence < MIN_CONFIDENCE
    assert (parsed.subject, parsed.target_new) == ("", "1998")


@pytest.mark.parametrize(("question", "answer"), [("", "x"), ("Who?", " "), ("??", "x")])
def test_an_empty_question_or_answer_is_refused(question: str, answer: str) -> None:
    with pytest.raises(InvalidEditError, match="try: scr add -q"):
        from_question(question, answer)


@pytest.mark.parametrize(
    ("relation", "statement"),
    [
        ("CEO", "The CEO of Acme is Porto."),
        ("the capital of", "The capital of Acme is Porto."),
        ("head_of_state", "The head of state of Acme is Porto."),
        ("is located in", "Acme is located in Porto."),
        ("located in", "Acme is located in Porto."),
        ("founded by", "Acme was founded by Porto."),
        ("born in", "Acme was born in Porto."),
        ("speaks", "Acme speaks Porto."),
        ("works for", "Acme works for Porto."),
        ("place of birth", "The place of birth of Acme is Porto."),
    ],
)
def test_a_triple_reads_as_a_sentence(relation: str, statement: str) -> None:
    parsed = from_triple("Acme", relation, "Porto")
    assert parsed.statement == statement
    assert (parsed.subject, parsed.target_new, parsed.confidence) == ("Acme", "Porto", 1.0)
    assert parsed.statement == f"{parsed.prompt} {parsed.target_new}."


def test_a_triple_with_an_empty_part_is_refused() -> None:
    with pytest.raises(InvalidEditError, match="as relation"):
        from_triple("Acme", " ", "Porto")


def test_the_parser_imports_nothing_heavy() -> None:
    code = (
        "import sys, scr.statement; print([m for m in ('torch', 'numpy', 'transformers', 'faiss') if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=HERE.parents[1]
    )
    assert found.stdout.strip() == "[]"


def test_business_facts_are_right_nine_times_in_ten_where_it_commits() -> None:
    lines = (HERE / "business_facts.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    taken = [(row, got) for row in rows if (got := committed(row["statement"]))]
    assert len(rows) == 50
    assert len(taken) >= 0.85 * len(rows)
    for field in ("subject", "target_new"):
        right = sum(normalised(row[field]) == normalised(getattr(got, field)) for row, got in taken)
        assert right >= 0.9 * len(taken), field


@pytest.mark.skipif(not DATA.exists(), reason="the benchmark rows are not here")
def test_benchmark_statements_are_right_nine_times_in_ten_where_it_commits() -> None:
    from eval.benchmarks.statements import by_source

    lines = (DATA / "scope_dev_memory.jsonl").read_text(encoding="utf-8").splitlines()
    found = by_source([json.loads(line) for line in lines])["all"]
    assert found.committed >= 0.8
    assert found.subject >= 0.95
    assert found.target >= 0.95
    assert abs(found.mean_confidence - found.both) < 0.05  # the confidence means what it says
