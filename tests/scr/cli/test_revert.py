import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from memory_store.store import EditStore

Run = Callable[..., Result]


def data(result: Result) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture(autouse=True)
def history(scr: Run) -> None:
    """Batch 1: france is Paris; 2: Spain is Vigo; 3: france is Lyon."""
    scr("add", "The capital of France is Paris.", "--id", "paris")
    scr("add", "The capital of Spain is Vigo.", "--id", "vigo")
    scr("add", "The capital of France is Lyon.", "--id", "lyon")


def ids(scr: Run) -> list[str]:
    return [edit["edit_id"] for edit in data(scr("ls", "--json"))["edits"]]


def test_a_batch_of_the_log_is_taken_back_and_what_it_superseded_holds_again(scr: Run) -> None:
    batch = data(scr("log", "--limit", "1", "--json"))["events"][0]["batch"]
    scr("add", "The capital of Peru is Cusco.", "--id", "cusco")
    result = scr("revert", str(batch))
    assert result.exit_code == 0
    assert "out of use  lyon" in result.stdout and "in use again  paris" in result.stdout
    assert ids(scr) == ["paris", "vigo", "cusco"]
    scr("redo")
    assert ids(scr) == ["vigo", "lyon", "cusco"]


def test_a_later_change_of_the_same_fact_is_named_with_code_4(scr: Run) -> None:
    result = scr("revert", "1")
    assert (result.exit_code, result.stdout) == (4, "")
    assert "batch 3 (put 'lyon') changed the same fact after batch 1; first: scr revert 3" in result.stderr
    assert ids(scr) == ["vigo", "lyon"]


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["revert", "99"], 3, "no batch 99"),
        (["revert", "0"], 2, "0 is not in the range"),
        (["revert"], 2, "Missing argument 'BATCH'"),
        (["diff", "soon"], 2, "A is not a time: 'soon'"),
        (["diff", "@one"], 2, "write a batch as @ and its number"),
        (["diff", "@1", "@99"], 3, "no batch 99"),
        (["diff"], 2, "Missing argument 'A'"),
    ],
)
def test_a_slip_ends_in_one_line(scr: Run, args: list[str], code: int, said: str) -> None:
    result = scr(*args)
    assert result.exit_code == code and said in result.stderr and result.stderr.count("\n") == 1


def test_without_a_store_there_is_nothing_to_revert_and_nothing_differs(
    scr: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "elsewhere")
    assert scr("revert", "1").exit_code == 3
    assert "nothing differs" in scr("diff", "2020").stderr


def test_a_diff_shows_what_came_went_and_changed(scr: Run) -> None:
    scr("rm", "vigo", "-y")
    assert scr("diff", "@2").stdout.splitlines()[0].startswith("- vigo  The capital of Spain is Vigo.")
    assert [line[:7] for line in scr("diff", "@2").stdout.splitlines()[1:]] == ["- paris", "+ lyon "]
    found = data(scr("diff", "@1", "@3", "--json"))
    assert [e["edit_id"] for e in found["added"]] == ["vigo"] and found["removed"] == []
    assert [(c["before"]["edit_id"], c["after"]["edit_id"]) for c in found["changed"]] == [("paris", "lyon")]
    assert [e["edit_id"] for e in data(scr("diff", "2020-01-01", "--json"))["added"]] == ["lyon"]


def test_the_log_shows_what_was_used_for_a_question_and_events_of_one_kind(scr: Run) -> None:
    with EditStore.open(data(scr("store", "path", "--json"))["path"]) as store:
        store.record_use([("Where is the Elysée?", ["lyon"])], request="r-7")
    (event,) = data(scr("log", "--used", "Where is the Elysée?", "--json"))["events"]
    assert (event["kind"], event["edit_id"], event["payload"]["request"]) == ("apply", "lyon", "r-7")
    assert "for r-7" in scr("log", "--used", "Where is the Elysée?").stdout
    nothing = scr("log", "--used", "Where?")
    assert (nothing.exit_code, nothing.stdout) == (0, "") and "no event for --used 'Where?'" in nothing.stderr
    assert [e["kind"] for e in data(scr("log", "--kind", "put", "--json"))["events"]] == ["put"] * 3
    assert scr("log", "--kind", "put", "--used", "Where?").exit_code == 2
    assert scr("log", "--used", " ").exit_code == 2
    assert scr("log", "--verify").exit_code == 0
