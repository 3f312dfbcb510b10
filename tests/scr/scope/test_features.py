"""Claims about the evidence that speaks for and against an edit."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_store.edit import Edit
from scr.scope.features import (
    COLUMN,
    NAMES,
    WordWeights,
    evidence,
    find_subject,
    pair_up,
    read,
    read_edit,
    stem,
    without,
)

WEIGH = WordWeights({"great": 5.0, "king": 5.0})
FRANCE = Edit(
    statement="The capital of France is Lyon.", prompt="The capital of France is", subject="France", target_new="Lyon"
)


def rows(query: str, *edits: Edit) -> np.ndarray:
    pairs = [pair_up(query, e, WEIGH) for e in edits]
    return evidence(pairs, np.full((len(pairs), 7), 0.5), WEIGH)


def of(row: np.ndarray, name: str) -> float:
    return float(row[COLUMN[name]])


def test_words_lose_case_accents_and_possessives_but_keep_their_place() -> None:
    words = read("Beyoncé’s HALO? Yes.")
    assert words.words == ("beyonce", "halo", "yes")
    assert [words.text[a:b] for a, b in zip(words.starts, words.ends, strict=True)] == ["Beyoncé", "HALO", "Yes"]
    assert words.sentence == (0, 0, 1)
    assert words.first == (True, False, True)


@pytest.mark.parametrize(
    ("one", "other"), [("founded", "founder"), ("city", "cities"), ("plays", "play"), ("located", "location")]
)
def test_forms_of_a_word_share_a_stem(one: str, other: str) -> None:
    assert stem(one) == stem(other)


def test_a_subject_is_found_exactly_whatever_its_case_and_accents() -> None:
    match = find_subject(read("who is kostermeyer?"), read("Köstermeyer").words, WEIGH)
    assert match.exact and (match.start, match.end) == (2, 3)


def test_the_last_mention_counts_because_a_lead_in_comes_first() -> None:
    match = find_subject(read("France is big. Where is France"), read("France").words, WEIGH)
    assert match.start == 5


def test_a_longer_name_around_the_subject_is_seen() -> None:
    singer = find_subject(read("Where was Whitney Houston born?"), read("Houston").words, WEIGH)
    city = find_subject(read("Where is Houston?"), read("Houston").words, WEIGH)
    assert singer.extra_capitals == 1
    assert singer.precision == pytest.approx(0.5)
    assert city.extra_capitals == 0


def test_a_name_with_a_middle_name_covers_its_subject() -> None:
    match = find_subject(read("The gender of Philip John Schuyler is"), read("Philip Schuyler").words, WEIGH)
    assert not match.exact
    assert match.coverage == 1.0
    assert match.precision == pytest.approx(2 / 3)
    assert (match.start, match.end) == (3, 6)


def test_one_typing_slip_does_not_hide_a_name() -> None:
    match = find_subject(read("capital of Germnay"), read("Germany").words, WEIGH)
    assert match.coverage == 1.0 and not match.exact


@pytest.mark.parametrize(
    ("written", "subject"),
    [
        ("Leonardo di Caprio", "Leonardo DiCaprio"),
        ("Julius J. Hoffman", "Julius Hoffman"),
        ("Thomas Brady", "Tom Brady"),
        ("J. K. Rowling", "Joanne Rowling"),
    ],
)
def test_another_form_of_a_name_covers_its_subject(written: str, subject: str) -> None:
    match = find_subject(read(f"The place of birth of {written} is"), read(subject).words, WEIGH)
    assert not match.exact
    assert (match.coverage, match.loose > 0) == (1.0, True)
    assert match.precision > 0.9


def test_an_initial_or_a_title_ends_no_sentence() -> None:
    assert set(read("Who is the wife of Douglas C. Emhoff or of Dr. Weber?").sentence) == {0}
    assert set(read("It was in 1985. Who came?").sentence) == {0, 1}


def test_the_whole_name_is_taken_out_where_a_longer_one_stands() -> None:
    edit = Edit(statement="x", prompt="The gender of Chris Pratt is", subject="Chris Pratt")
    pair = pair_up('The gender of Christopher Michael "Chris" Pratt is', edit, WEIGH)
    assert pair.relation == "The gender of X is"
    assert pair.name_asked == 'Christopher Michael "Chris" Pratt'


def test_a_rival_relation_is_seen_and_a_reworded_one_is_not_taken_for_it() -> None:
    boiling = Edit(statement="x", prompt="The boiling point of Novarin is", subject="Novarin")
    assert of(rows("What is the melting point of Novarin?", boiling)[0], "excluding") == 1
    assert of(rows("At what temperature does Novarin boil?", boiling)[0], "excluding") == 0
    spouse = Edit(statement="x", prompt="The spouse of Ann Lee is", subject="Ann Lee")
    assert of(rows("Who is Ann Lee's husband?", spouse)[0], "same_meaning") == 1


def test_words_near_in_meaning_count_without_being_the_same() -> None:
    near = WordWeights({}, {"film": np.array([1.0, 0.0]), "movie": np.array([0.8, 0.6]), "river": np.array([0.0, 1.0])})
    assert near.near("film", "movie") == pytest.approx(0.8)
    assert near.near("film", "films") == 1.0
    assert near.near("film", "river") == near.near("film", "unheard") == 0.0


def test_another_name_is_not_found() -> None:
    assert find_subject(read("What is the capital of Spain?"), read("France").words, WEIGH).coverage == 0.0


def test_the_subject_is_taken_out_of_both_texts() -> None:
    pair = pair_up("What is France's capital?", FRANCE, WEIGH)
    assert pair.relation == "What is X's capital?"
    assert read_edit(FRANCE).relation == "The capital of X is"
    assert without(read("Who founded Acme Corp?"), 2, 4) == "Who founded X?"


def test_a_lead_in_sentence_is_cut_off() -> None:
    pair = pair_up("He died in 1707. The capital of France is", FRANCE, WEIGH)
    assert pair.clause == "The capital of France is"


def test_a_lead_in_without_a_full_stop_is_cropped() -> None:
    edit = Edit(statement="Ann Lee works for CBS.", prompt="Ann Lee works for", subject="Ann Lee")
    pair = pair_up("External links Category Moths of Europe Ann Lee, who works for", edit, WEIGH)
    assert pair.crop == "X, who works for"


def test_words_of_another_relation_are_left_over() -> None:
    same, other = rows("What is the capital of France?", FRANCE)[0], rows("What is the currency of France?", FRANCE)[0]
    assert of(same, "relation_overlap") == 1.0
    assert of(other, "relation_overlap") == 0.0
    assert of(other, "query_extra") > 0 and of(other, "relation_missing") > 0


def test_a_foreign_name_beside_the_subject_is_counted() -> None:
    assert of(rows("Is the capital of France like Oslo?", FRANCE)[0], "foreign_capitals") == 1
    assert of(rows("Is the capital of France Lyon?", FRANCE)[0], "foreign_capitals") == 0


def test_another_number_is_counted() -> None:
    edit = Edit(statement="x", prompt="The winner of the 1980 election is", subject="1980 election")
    assert of(rows("The winner of the 1984 election is", edit)[0], "foreign_numbers") == 1
    assert of(rows("The winner of the 1984 election is", edit)[0], "numbers_missing") == 1
    assert of(rows("The winner of the 1980 election is", edit)[0], "foreign_numbers") == 0


def test_negation_on_one_side_only_is_seen() -> None:
    assert of(rows("What is not the capital of France?", FRANCE)[0], "negation_differs") == 1
    assert of(rows("What is the capital of France?", FRANCE)[0], "negation_differs") == 0


def test_a_question_of_another_time_is_seen() -> None:
    now = rows("What is the capital of France these days?", FRANCE)[0]
    then = rows("What was the capital of France in 1429?", FRANCE)[0]
    assert of(then, "other_time") == 1 and of(then, "past_for_present") == 1 and of(then, "present_time") == 0
    assert of(now, "other_time") == 0 and of(now, "past_for_present") == 0 and of(now, "present_time") > 0
    signed = Edit(statement="x", prompt="The Treaty of Velden was signed in", subject="Treaty of Velden")
    assert of(rows("When was the Treaty of Velden signed?", signed)[0], "past_for_present") == 0


def test_a_supposed_change_is_seen() -> None:
    row = rows("If France moved its capital to the coast, which city would you pick?", FRANCE)[0]
    assert of(row, "supposing") == 2 and of(row, "changing") == 2
    assert of(rows("What is the capital of France?", FRANCE)[0], "supposing") == 0


@pytest.mark.parametrize(
    ("text", "clause", "relation"),
    [
        ("We are off to France. What is its capital?", "What is France's capital?", "What is X's capital?"),
        ("We talked of France. Who rules there?", "Who rules France?", "Who rules X?"),
        (
            "I know France. Which city is the capital?",
            "France: Which city is the capital?",
            "X: Which city is the capital?",
        ),
        (
            "I read about France. And now name its capital.",
            "And now name France's capital.",
            "And now name X's capital.",
        ),
    ],
)
def test_what_a_later_sentence_asks_is_asked_about_the_subject_of_an_earlier_one(
    text: str, clause: str, relation: str
) -> None:
    pair = pair_up(text, FRANCE, WEIGH)
    assert (pair.clause, pair.relation, pair.by_reference) == (clause, relation, True)
    assert of(rows(text, FRANCE)[0], "by_reference") == 1


@pytest.mark.parametrize(
    "text",
    ["What is the capital of France? And how do I cook it?", "It rained. The capital of France is", "Is it France?"],
)
def test_a_question_in_the_subjects_own_sentence_stays_there(text: str) -> None:
    assert not pair_up(text, FRANCE, WEIGH).by_reference


def test_names_are_told_apart_by_what_only_one_of_them_has() -> None:
    bowl = Edit(statement="x", prompt="Super Bowl XXX is followed by", subject="Super Bowl XXX")
    other = rows("Super Bowl LV is followed by", bowl)[0]
    assert of(other, "name_numbers_differ") == 1
    assert of(other, "name_asked_only") == 1 and of(other, "name_stated_only") == 1
    same = rows("Super Bowl XXX is followed by", bowl)[0]
    assert of(same, "name_numbers_differ") == of(same, "name_asked_only") == of(same, "name_stated_only") == 0


def test_a_name_found_by_words_that_other_subjects_hold_too_is_less_sure() -> None:
    xp, vista = (Edit(statement="x", prompt=f"{s} is made by", subject=s) for s in ("Windows XP", "Windows Vista"))
    asked = rows("Windows Media Center is made by", xp, vista)
    assert of(asked[0], "name_shared") == of(asked[1], "name_shared") == 1
    exact = rows("Windows XP is made by", xp, vista)
    assert of(exact[0], "name_shared") == 0


def test_words_that_nearly_agree_are_alike() -> None:
    khan = Edit(statement="x", prompt="The father of Chrissy Teigen is", subject="Chrissy Teigen")
    near = of(rows("The father of Christine Teigen is", khan)[0], "name_alike")
    far = of(rows("The father of Boris Teigen is", khan)[0], "name_alike")
    assert 1 > near > far + 0.1
    assert of(rows("The father of Chrissy Teigen is", khan)[0], "name_alike") == 1


def test_an_alias_is_compared_with_itself() -> None:
    states = Edit(
        statement="x", prompt="The capital of the United States is", subject="United States", aliases=("USA",)
    )
    row = rows("What is the capital of the USA?", states)[0]
    assert of(row, "subject_exact") == 1
    assert of(row, "name_asked_only") == of(row, "name_stated_only") == 0 and of(row, "name_alike") == 1


def test_the_whole_name_counts_though_a_later_sentence_asks() -> None:
    houston = Edit(statement="x", prompt="Houston is located in", subject="Houston")
    assert of(rows("Where is Whitney Houston located?", houston)[0], "name_asked_only") == 1
    assert of(rows("I saw Whitney Houston yesterday. Where is she located?", houston)[0], "name_asked_only") == 1


def test_when_is_no_other_time_where_it_asks_or_the_edit_says_it() -> None:
    born = Edit(statement="x", prompt="When was Anna Bell born?", subject="Anna Bell")
    assert of(rows("Do you know when Anna Bell was born?", born)[0], "other_time") == 0
    assert of(rows("Who led Anna Bell when the war broke out?", born)[0], "other_time") == 0
    coach = Edit(statement="x", prompt="The coach of the Tigers is", subject="Tigers")
    assert of(rows("Who coached the Tigers when they won?", coach)[0], "other_time") == 1


def test_a_word_that_the_edit_itself_puts_before_its_subject_makes_no_other_name() -> None:
    player = Edit(statement="x", prompt="Player Brad Brown played for", subject="Brad Brown")
    assert of(rows("Player Brad Brown played for", player)[0], "subject_extra_capitals") == 0
    assert of(rows("Saint Brad Brown played for", player)[0], "subject_extra_capitals") == 1


def test_the_answer_in_the_question_is_seen() -> None:
    assert of(rows("Is Lyon the capital of France?", FRANCE)[0], "target_in_query") == 1.0
    assert of(rows("Is Nice the capital of France?", FRANCE)[0], "target_in_query") == 0.0


def test_who_and_where_ask_for_different_things() -> None:
    who = Edit(statement="x", prompt="Who founded Acme?", subject="Acme")
    assert of(rows("Where is Acme?", who)[0], "asks_other") == 1
    assert of(rows("Who is behind Acme?", who)[0], "asks_same") == 1


def test_a_free_fact_has_no_evidence_on_its_subject() -> None:
    row = rows("What is our refund window?", Edit(statement="Our refund window is 30 days."))[0]
    assert np.isnan(of(row, "subject_coverage"))
    assert of(row, "has_subject") == 0 and of(row, "has_prompt") == 0
    assert of(row, "statement_cover") == 1.0


def test_evidence_against_rivals_is_own_value_less_the_best_others() -> None:
    germany = Edit(statement="x", prompt="The capital of Germany is", subject="Germany")
    both = rows("What is the capital of France?", FRANCE, germany)
    assert of(both[0], "rival_coverage") == 1.0
    assert of(both[1], "rival_coverage") == -1.0
    assert np.isnan(of(rows("What is the capital of France?", FRANCE)[0], "rival_coverage"))


def test_the_order_of_candidates_changes_nothing() -> None:
    germany = Edit(statement="x", prompt="The capital of Germany is", subject="Germany")
    one = rows("What is the capital of France?", FRANCE, germany)
    other = rows("What is the capital of France?", germany, FRANCE)
    np.testing.assert_array_equal(one, other[::-1])


@given(st.text(max_size=200), st.text(max_size=40), st.text(max_size=60), st.text(max_size=20))
def test_no_text_is_too_strange(query: str, subject: str, prompt: str, target: str) -> None:
    edit = Edit(statement=f"{prompt} {target}", subject=subject, prompt=prompt, target_new=target)
    assert rows(query, edit).shape == (1, len(NAMES))


@pytest.mark.parametrize(
    ("written", "subject"),
    [("Super Bowl 54", "Super Bowl LIV"), ("#EndSARS", "End SARS"), ("Mr Beast", "MrBeast"), ("dock seven", "Dock 7")],
)
def test_a_name_whose_number_or_spaces_are_written_otherwise_is_the_same(written: str, subject: str) -> None:
    match = find_subject(read(f"where is {written}?"), read(subject).words, WEIGH)
    assert match.coverage == match.precision == 1.0 and not match.exact


@pytest.mark.parametrize(
    ("asked", "subject"),
    [
        ("Super Bowl LV", "Super Bowl LIV"),
        ("Henry VI", "Henry V"),
        ("the R300 router", "R200 router"),
        ("UFC 3", "UFC 2"),
    ],
)
def test_a_name_with_another_number_is_told_apart(asked: str, subject: str) -> None:
    edit = Edit(statement=f"{subject} is great.", prompt=f"{subject} is", subject=subject, target_new="great")
    row = rows(f"What is {asked}?", edit)[0]
    assert of(row, "name_numbers_differ") == 1.0
    assert of(rows(f"What is {subject}?", edit)[0], "name_numbers_differ") == 0.0


def test_another_year_is_no_word_left_over_but_a_number_that_differs() -> None:
    edit = Edit(
        statement="The sales of Hooli in 2011 were great.",
        prompt="The sales of Hooli in 2011 were",
        subject="Hooli",
        target_new="great",
    )
    other, same, bare = (rows(f"What were the sales of Hooli{when}?", edit)[0] for when in (" in 2012", " in 2011", ""))
    assert [of(row, "numbers_differ") for row in (other, same, bare)] == [1.0, 0.0, 0.0]
    assert [of(row, "numbers_missing") for row in (other, same, bare)] == [1.0, 0.0, 1.0]


def test_a_slip_in_a_word_of_the_relation_is_read_as_that_word() -> None:
    weigh = WordWeights({"capital": 4.0, "capitol": 5.0})
    assert "capital" in pair_up("wats the captial of france", FRANCE, weigh).query.words
    assert "capitol" in pair_up("the capitol of france", FRANCE, weigh).query.words  # a word of its own
    assert "captial" in pair_up("what does Captial France do", FRANCE, weigh).query.words  # a name


@pytest.mark.parametrize(
    "text", ["Where did France use to be?", "The capital of France in the old days", "France's capital in the 1950s"]
)
def test_other_times_without_a_year_are_heard(text: str) -> None:
    assert of(rows(text, FRANCE)[0], "other_time") >= 1.0


@pytest.mark.parametrize(
    ("asked", "stated"), [("funder", "founder"), ("lender", "leader"), ("waiter", "writer"), ("baker", "banker")]
)
def test_another_word_is_no_slip(asked: str, stated: str) -> None:
    edit = Edit(
        statement=f"The {stated} of Vale is Ada.", prompt=f"The {stated} of Vale is", subject="Vale", target_new="Ada"
    )
    assert asked in pair_up(f"Who is the {asked} of Vale?", edit, WEIGH).query.words


@pytest.mark.parametrize("initial", ["L.", "V.", "X."])
def test_an_initial_is_no_roman_numeral(initial: str) -> None:
    first = {"L": "Lionel", "V": "Vera", "X": "Xavi"}[initial[0]]
    assert find_subject(read(f"Where was {initial} Messi born?"), read(f"{first} Messi").words, WEIGH).coverage == 1.0
    edit = Edit(statement=f"{first} Messi is great.", prompt=f"{first} Messi is", subject=f"{first} Messi")
    assert of(rows(f"Who is {initial} Messi?", edit)[0], "name_numbers_differ") == 0.0


def test_odd_texts_are_read_in_time_that_grows_with_their_length() -> None:
    started = time.process_time()
    for text in ("!" * 400_000, "." * 400_000, "a. " * 50_000, "captial " * 40_000):
        assert pair_up(text, FRANCE, WordWeights({"great": 5.0})) is not None
    assert time.process_time() - started < 20  # a second or two; quadratic, it was minutes


def test_a_mark_that_stands_on_no_letter_is_no_word() -> None:
    edit = Edit(statement="ﾞ Tokyo is great.", prompt="ﾞ Tokyo is", subject="ﾞ Tokyo", target_new="great")
    assert rows("a ﾞ b", edit).shape == (1, len(NAMES))
