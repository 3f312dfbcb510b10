import click
import pytest

from memory_store.edit import Edit
from scr.cli import output


def test_columns_line_up_whatever_the_width_of_the_characters() -> None:
    lines = click.unstyle(output.table([("a", "東京", "x"), ("bbb", "y", "z")], ("A", "B", "C"))).splitlines()
    assert [output.width_of(line[: line.rindex(line[-1])]) for line in lines] == [11, 11, 11]


def test_a_table_on_a_pipe_is_not_cut() -> None:
    assert "x" * 500 in output.table([("id", "x" * 500)])


def test_a_narrow_terminal_cuts_the_flexible_column_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "columns_of_terminal", lambda: 30)
    line = output.table([("an-edit-id", "x" * 100)])
    assert line.startswith("an-edit-id  xxx") and output.width_of(line) == 30


def test_text_cannot_steer_the_terminal() -> None:
    assert output.one_line("a\x1b[2J\u202eb\r\nc") == "a [2J b c"


def test_a_probability_is_never_rounded_to_certainty() -> None:
    assert (output.share(0.999), output.share(0.001), output.share(1.0), output.share(0.5)) == (
        ">0.99",
        "<0.01",
        "1.00",
        "0.50",
    )


def test_every_field_of_an_edit_is_in_its_json() -> None:
    assert set(output.edit_data(Edit(statement="x"))) == set(Edit.__dataclass_fields__)
