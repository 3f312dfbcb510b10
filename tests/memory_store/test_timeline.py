from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from memory_store.errors import ConfigError
from memory_store.timeline import contains, effective, instant, make_room, shown

NOW = "2026"
ALWAYS = (None, None)


@pytest.mark.parametrize(
    "written",
    [
        "2024-07-01",
        "2024-07",
        " 2024-07-01T00:00:00Z ",
        "2024-07-01T02:00:00+02:00",
        "2024-06-30 19:00-05:00",
        datetime(2024, 7, 1),
        datetime(2024, 7, 1, 2, tzinfo=timezone(timedelta(hours=2))),
        datetime(2024, 7, 1, tzinfo=UTC),
    ],
)
def test_one_instant_has_one_form_however_it_is_written(written):
    assert instant(written) == "2024-07-01T00:00:00.000000+00:00"


@pytest.mark.parametrize("written", ["", "soon", "2024-13-01", "0001-01-01T00:00+02:00", "12:00", 2024, None, date.max])
def test_what_is_no_time_is_refused_with_an_example(written):
    with pytest.raises(ConfigError, match="write it like 2024-07-01"):
        instant(written)


def test_text_order_is_time_order():
    moments = [datetime(1, 1, 1, tzinfo=UTC), datetime(999, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 0, 1, UTC)]
    assert sorted(map(instant, reversed(moments))) == [instant(moment) for moment in moments]


def test_a_window_contains_its_start_and_not_its_end():
    assert contains(("2020", "2021"), "2020")
    assert not contains(("2020", "2021"), "2021")
    assert contains(ALWAYS, "0001")


@pytest.mark.parametrize(
    ("asked", "others", "expected"),
    [
        (ALWAYS, [], ALWAYS),
        (ALWAYS, [ALWAYS], (NOW, None)),
        (ALWAYS, [("2020", "2021")], (NOW, None)),
        (ALWAYS, [("2030", None)], (None, "2030")),
        (ALWAYS, [(None, "2030"), ("2030", None)], (NOW, "2030")),
        (("2020", None), [("2024", None)], ("2020", None)),
        (("2027", None), [("2030", None), ("2028", None)], ("2027", "2028")),
        (("2030", None), [("2030", None)], ("2030", None)),
        (("2020", "2040"), [("2030", None)], ("2020", "2040")),
        ((None, "2021"), [ALWAYS], (None, "2021")),
    ],
)
def test_a_claim_gets_the_window_that_its_dates_and_the_schedule_leave(asked, others, expected):
    assert effective(asked, others, NOW) == expected


@pytest.mark.parametrize(
    ("old", "new", "kept", "ended"),
    [
        (ALWAYS, (NOW, None), [(None, NOW)], True),
        (ALWAYS, ("2030", None), [(None, "2030")], True),
        (("2024", None), ("2020", None), [], True),
        (("2020", "2021"), (NOW, None), [("2020", "2021")], False),
        (("2030", None), (NOW, "2030"), [("2030", None)], False),
        (("2030", None), (NOW, "2031"), [("2031", None)], False),
        (("2030", "2031"), (NOW, "2031"), [], True),
        (ALWAYS, (NOW, "2027"), [(None, NOW)], True),  # a replaced fact does not come back by itself
        (ALWAYS, ("2020", "2022"), [(None, "2020"), ("2022", None)], False),  # history added late
        (("2021", None), ("2020", "2022"), [("2022", None)], False),
    ],
)
def test_the_last_word_wins_from_its_start_on(old, new, kept, ended):
    assert make_room([old], new, NOW) == (kept, ended)


def test_the_window_shown_is_that_of_the_moment_else_the_next_else_the_last():
    windows = [("2030", None), ("2020", "2021")]
    assert shown(windows, "2020") == ("2020", "2021")
    assert shown(windows, "2025") == ("2030", None)
    assert shown(windows[1:], "2025") == ("2020", "2021")
    assert shown([], "2025") is None
