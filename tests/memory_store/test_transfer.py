from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory_store.edit import Edit
from memory_store.store import EditStore
from memory_store.transfer import from_lines, to_lines

texts = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=30).map(str.strip)
edits = st.builds(
    Edit,
    statement=texts.filter(bool),
    target_new=texts,
    prompt=texts,
    subject=texts,
    aliases=st.lists(texts.filter(bool), unique=True, max_size=2).map(tuple),
    relation=st.none() | texts.filter(bool),
    edit_id=texts,
    namespace=st.sampled_from(["default", "b"]),
    verbatim=st.booleans(),
    source=st.none() | texts,
    valid_from=st.none() | st.just("2020-01-01T00:00:00.000000+00:00"),
    tags=st.lists(texts, unique=True, max_size=2).map(tuple),
)


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(edits, max_size=4))
def test_what_is_written_reads_back_equal(given_edits):
    lines = list(to_lines(given_edits))
    assert [line.edit for line in from_lines(lines)] == given_edits
    assert [line.edit for line in from_lines(line.encode() + b"\r\n" for line in lines)] == given_edits
    assert all("\n" not in line for line in lines)


def test_an_exported_store_reads_back_to_the_same_answers(store, put, capital, clock):
    put(store, capital("France", "Lyon", edit_id="a"), capital("Spain", "Vigo", tags=("t",)))
    clock.tick()
    put(store, capital("France", "Nice", edit_id="b", valid_until="2030-01-01"))
    with EditStore.open(":memory:", clock=clock) as other:
        other.put([line.edit for line in from_lines(to_lines(store.edits()))])
        assert [replace(e, recorded_at="") for e in other.edits()] == [
            replace(e, recorded_at="") for e in store.edits()
        ]


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("{", "not JSON"),
        ("[]", "wanted one JSON object a line"),
        ("7", "wanted one JSON object a line"),
        ("[" * 100_000, "nested too deep|not JSON"),
        (b"\xff\xfe{", "byte 1 is not UTF-8"),
        ("x" * 10_000_000, "more than 1,000,000 bytes"),
        ("{}", "there is no statement"),
        ('{"statement": ""}', "statement is empty"),
        ('{"statement": 7}', "is a int, wanted text"),
        ('{"statement": "s", "answer": "x"}', "'answer' is no field of an edit; the fields are statement, target_new"),
        ('{"statement": "s", "aliases": "x"}', "aliases must be a list"),
        ('{"statement": "s", "aliases": [1]}', "an alias is a int"),
        ('{"statement": "s", "verbatim": "no"}', "verbatim must be true or false"),
        ('{"statement": "\\ud800"}', "half a character"),
        ('{"statement": "a\\u0000"}', "control character"),
        ('{"statement": "s", "valid_from": "soon"}', "valid_from is not a time"),
        ('{"statement": "s", "namespace": "a b"}', "is not a name"),
    ],
)
def test_a_bad_line_is_told_by_number_and_costs_no_other(line, error):
    import re

    before, after = '\ufeff{"statement": "one"}', '{"statement": "three", "subject": null}'
    if isinstance(line, bytes):
        before, after = before.encode(), after.encode()
    first, bad, third = from_lines([before, line, line[:0], after])
    assert first.edit.statement == "one" and third.edit.statement == "three" and third.number == 4
    assert bad.edit is None and bad.error.startswith("line 2: ") and re.search(error, bad.error)
    assert "\n" not in bad.error and len(bad.error) < 300
