"""Claims about questions told apart by nothing but a number."""

import random
import re

import pytest

from scr.scope.features import number_of
from scr.scope.numbered import another_number, number_otherwise, numbered_edits, roman


def test_roman_numerals_are_read_as_they_are_written() -> None:
    assert all(number_of(roman(n).lower()) == str(n) for n in range(2, 100))


@pytest.mark.parametrize(
    ("name", "otherwise"),
    [
        ("Super Bowl LIV", "Super Bowl 54"),
        ("Henry VIII of England", "Henry 8 of England"),
        ("Apollo 11", "Apollo XI"),
        ("UFC 262", None),
        ("Malcolm X", None),
        ("Windows 3.1", None),
        ("Acme", None),
    ],
)
def test_a_number_is_written_otherwise(name: str, otherwise: str | None) -> None:
    assert number_otherwise(name) == otherwise


def test_another_number_is_another() -> None:
    rng = random.Random(0)
    for name in ("Super Bowl LIV", "Apollo 11", "Boeing 747", "Elizabeth I"):
        changed = {another_number(name, rng) for _ in range(20)}
        assert name not in changed and None not in changed and len(changed) > 2
    assert another_number("Airbus A300", rng) is None


def test_no_silent_question_of_a_numbered_memory_is_answered_by_another_of_its_facts() -> None:
    made = list(numbered_edits(random.Random(3), 150))
    stated = {re.sub(r"\W+", " ", edit.statement.lower()) for edit, _ in made}
    assert len(made) > 80 and len(stated) == len(made)
    governed = {text.lower() for _, rows in made for text, _, inside in rows if inside}
    silent = {text.lower() for _, rows in made for text, _, inside in rows if not inside}
    assert len(governed) > 100 and len(silent) > 100 and not governed & silent
