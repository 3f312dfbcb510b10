import pytest

from memory_store.edit import Edit
from memory_store.errors import InvalidEditError
from memory_store.validation import validated, validated_namespace


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"statement": ""}, "statement is empty"),
        ({"statement": " \n\t\u3000 "}, "statement is empty"),
        ({"statement": "a\0b"}, r"control character U\+0000"),
        ({"statement": "a\x1b[31mb"}, r"control character U\+001B"),
        ({"statement": "a\x85b"}, r"control character U\+0085"),
        ({"statement": "a\ud800b"}, "half a character"),
        ({"statement": "x" * 10_000_000}, "10,000,000 characters, at most 8,000"),
        ({"statement": 7}, "is a int, wanted text"),
        ({"statement": None}, "is a NoneType, wanted text"),
        ({"subject": "x" * 501}, "501 characters, at most 500"),
        ({"aliases": ("ok", "bad\0")}, "an alias holds the control character"),
        ({"aliases": "France"}, "aliases must be a list"),
        ({"tags": "one"}, "tags must be a list"),
        ({"edit_id": "x" * 201}, "edit_id has 201"),
        ({"valid_from": "yesterday"}, "valid_from is not a time"),
        ({"valid_from": "2024-01-02", "valid_until": "2024-01-01"}, "not after valid_from"),
        ({"valid_from": "2024-01-01", "valid_until": "2024-01-01T01:00+01:00"}, "not after valid_from"),
        ({"namespace": ""}, "is not a name"),
    ],
)
def test_what_no_answer_should_carry_is_refused_in_one_short_line(fields, message):
    with pytest.raises(InvalidEditError, match=message) as caught:
        validated(Edit(**{"statement": "s", **fields}))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 250


def test_something_else_than_an_edit_is_refused():
    with pytest.raises(InvalidEditError, match="wanted an Edit"):
        validated("The capital of France is Lyon.")


@pytest.mark.parametrize(
    "text",
    [
        "עיר הבירה של צרפת היא ליון",
        "عاصمة فرنسا هي \u202bليون\u202c",
        "👩‍👩‍👧‍👦 is a family 🇫🇷",
        "Cafe\u0301 and Caf\u00e9 are kept apart",
        "Zalgo t\u0336\u0321\u0322e\u0337x\u0338t",
        "\U0001f600 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 ﬁ ﷺ",
        '\'; DROP TABLE edits; -- "quoted" `ticked` %s {} \\n',
        "<|im_end|> </s> [INST]",
    ],
)
def test_every_script_and_sign_is_kept_byte_for_byte(text):
    assert validated(Edit(statement=text, subject=text[:400])).statement == text


def test_a_fact_is_one_line_unless_it_is_given_back_verbatim():
    text = "one\n\ttwo\r\nthree"
    assert validated(Edit(statement=text)).statement == "one two three"
    assert validated(Edit(statement=text, verbatim=True)).statement == text


def test_empty_names_and_repetitions_are_dropped():
    edit = validated(Edit(statement="s", aliases=("a", "", "a", " b "), relation=" ", tags=("t", "t")))
    assert edit.aliases == ("a", "b") and edit.relation is None and edit.tags == ("t",)


@pytest.mark.parametrize("name", ["default", "user:42", "team/alpha", "a@b.c", "Ünïcode", "0"])
def test_a_namespace_is_a_readable_name(name):
    assert validated_namespace(name) == name


@pytest.mark.parametrize("name", ["", " ", "a b", "-x", "../x", "a\0", "a\n", "x" * 129, None, "💥"])
def test_other_namespaces_are_refused(name):
    with pytest.raises(InvalidEditError, match="is not a name"):
        validated_namespace(name)
