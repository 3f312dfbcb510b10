import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

from memory_store.edit import Edit
from memory_store.store import EditStore

Run = Callable[..., Result]

FACTS = "".join(
    json.dumps(
        {"statement": f"The seat of Acme {n} is Porto.", "prompt": f"The seat of Acme {n} is", "edit_id": f"a{n}"}
    )
    + "\n"
    for n in range(3)
)


def data(result: Result, code: int = 0) -> Any:
    assert result.exit_code == code, result.stderr
    return json.loads(result.stdout)


def ids(scr: Run, *args: str) -> list[str]:
    return [edit["edit_id"] for edit in data(scr("ls", "--json", *args))["edits"]]


def test_a_file_is_imported_and_can_be_searched(scr: Run) -> None:
    Path("facts.jsonl").write_text(FACTS)
    result = scr("import", "facts.jsonl")
    assert (result.exit_code, result.stdout) == (0, "imported  3 added\n")
    assert ids(scr) == ["a0", "a1", "a2"]
    assert "a1" in scr("search", "The seat of Acme 1 is Porto.").stdout
    assert scr("store", "doctor").exit_code == 0


def test_bad_rows_are_named_on_stderr_and_the_rest_is_in(scr: Run) -> None:
    text = FACTS.replace('"statement": "The seat of Acme 1 is Porto."', '"fact": 1')
    result = scr("import", "-", input=text)
    assert result.exit_code == 2 and result.stdout == "imported  2 added\n"
    assert "scr: line 2: 'fact' is no field of an edit" in result.stderr
    assert ids(scr) == ["a0", "a2"]
    found = data(scr("import", "-", "--json", "--on-error", "stop", input="{\n" + FACTS), code=2)
    assert found["stopped"] and len(found["errors"]) == 1 and found["edits"]["added"] == 0


def test_a_dry_run_makes_no_store_and_needs_no_encoder(scr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCR_ENCODER", "nowhere/to-be-found")
    result = scr("import", "-", "--dry-run", input=FACTS)
    assert (result.exit_code, result.stdout) == (0, "would be  3 added\n")
    assert ids(scr) == []


def test_a_used_id_is_a_conflict_with_code_4(scr: Run) -> None:
    scr("add", "The capital of France is Lyon.", "--id", "a1")
    result = scr("import", "-", input=FACTS)
    assert result.exit_code == 4 and "line 2: edit_id 'a1' already names" in result.stderr
    assert ids(scr) == ["a1", "a0", "a2"]


def test_with_a_namespace_everything_goes_there(scr: Run) -> None:
    scr("import", "-", "-n", "team", input=FACTS)
    assert ids(scr) == [] and ids(scr, "-n", "team") == ["a0", "a1", "a2"]


@pytest.mark.parametrize(
    ("args", "piped", "said"),
    [
        (["import", "missing.jsonl"], "", "cannot read missing.jsonl: No such file or directory"),
        (["import", "."], "", "cannot read .: Is a directory"),
        (["import", "-"], "", "the file is empty"),
        (["import", "-"], "a,b\n1,2\n", "no column 'statement'"),
        (["import", "-", "--from", "excel"], "", "'excel' is not one of"),
        (["export", "--as-of", "2026", "--history"], "", "choose one"),
        (["export", "--format", "xml"], "", "'xml' is not one of"),
    ],
)
def test_a_slip_is_one_line_and_makes_no_store(scr: Run, args: list[str], piped: str, said: str) -> None:
    result = scr(*args, input=piped)
    assert result.exit_code == 2 and said in result.stderr and result.stderr.count("\n") == 1
    assert not list(Path().rglob("*.scr"))


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_an_export_reads_back_to_the_same_facts(scr: Run, form: str) -> None:
    scr("add", "The capital of France is Paris.", "--id", "old", "--tag", "eu")
    scr("add", "The capital of France is Lyon.", "--id", "new", "--alias", "la France", "--source", "x, y")
    scr("import", "-", input=FACTS)
    scr("rm", "a1", "-y")
    text = scr("export", "--format", form).stdout
    before = data(scr("ls", "--json"))["edits"]
    Path("out").write_text(text, newline="")
    result = scr("import", "out", "-s", "other.scr")
    assert result.exit_code == 0, result.stderr
    after = data(scr("ls", "--json", "-s", "other.scr"))["edits"]
    timeless = [{**edit, "recorded_at": None} for edit in before]
    assert [{**edit, "recorded_at": None} for edit in after] == timeless


def test_calibrated_thresholds_travel_with_the_facts(scr: Run) -> None:
    scr("add", "The capital of France is Lyon.", "--id", "new", "-n", "eu")
    with EditStore.open(stats(scr)["path"]) as store:
        store.calibrate("pair", 0.375, namespace="eu")
    text = scr("export", "-n", "eu").stdout
    assert len(text.splitlines()) == 2 and "0.375" not in scr("export", "-n", "eu", "--format", "csv").stdout
    assert scr("import", "-", "-s", "other.scr", input=text).exit_code == 0
    assert stats(scr, "-s", "other.scr")["calibrated"] == {"eu": {"pair": 0.375}}
    assert scr("export", "-n", "eu", "-s", "other.scr").stdout.splitlines()[1] == text.splitlines()[1]


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_every_namespace_of_a_store_reads_back_from_one_file(scr: Run, form: str) -> None:
    scr("add", "The capital of France is Lyon.", "--id", "a")
    scr("add", "The capital of Peru is Cusco.", "--id", "a", "-n", "team/b")
    with EditStore.open(stats(scr)["path"]) as store:
        store.calibrate("pair", 0.375, namespace="team/b")
    text = scr("export", "--all-namespaces", "--format", form).stdout
    assert scr("import", "-", "-s", "other.scr", input=text).exit_code == 0
    kept = [stats(scr, *options) for options in ((), ("-s", "other.scr"))]
    assert kept[0]["namespaces"] == kept[1]["namespaces"] and len(kept[1]["namespaces"]) == 2
    assert form == "csv" or kept[0]["calibrated"] == kept[1]["calibrated"]
    assert scr("export", "--all-namespaces", "-s", "other.scr").stdout.count("capital of Peru is") == 2
    assert [e["namespace"] for e in data(scr("export", "--all-namespaces", "--json"))["edits"]] == ["default", "team/b"]
    assert "choose one" in scr("export", "--all-namespaces", "-n", "team/b").stderr


def test_thresholds_are_set_aside_where_another_encoder_comes(scr: Run) -> None:
    with EditStore.open("x.scr", encoder="other@1") as store:
        store.put([Edit(statement="Old fact.", edit_id="old")], {"statement": np.eye(1, 8, dtype=np.float32)})
        store.calibrate("pair", 0.375)
    moved = scr("store", "reindex", "-s", "x.scr")
    assert "1 thresholds were measured with other@1 and say nothing now" in moved.stderr
    assert stats(scr, "-s", "x.scr")["calibrated"] == {}
    assert data(scr("store", "reindex", "-s", "x.scr", "--json"))["thresholds_set_aside"] == 0


def stats(scr: Run, *options: str) -> Any:
    return data(scr("store", "stats", "--json", *options))


def test_a_history_gives_every_version_with_its_status_and_what_was_removed_stays_removed(scr: Run) -> None:
    scr("add", "The capital of France is Paris.", "--id", "old")
    scr("add", "The capital of France is Lyon.", "--id", "new")
    scr("add", "The capital of Spain is Vigo.", "--id", "gone")
    scr("rm", "gone", "-y")
    text = scr("export", "--history").stdout
    assert [json.loads(line)["status"] for line in text.splitlines()] == ["superseded", "live", "forgotten"]
    scr("import", "-", "-s", "other.scr", input=text)
    assert ids(scr, "-s", "other.scr") == ["new"] and ids(scr, "-s", "other.scr", "--all") == ["old", "new"]


def test_an_export_as_of_an_earlier_time_has_what_was_valid_then(scr: Run) -> None:
    scr("add", "The capital of France is Lyon.", "--id", "x", "--valid-from", "2020-01-01")
    assert scr("export", "--as-of", "2019-01-01").stdout == ""
    assert '"edit_id": "x"' in scr("export", "--as-of", "2021-01-01").stdout
    assert [e["edit_id"] for e in data(scr("export", "--json"))["edits"]] == ["x"]


def test_an_export_known_at_an_earlier_time_has_what_the_store_said_then(scr: Run) -> None:
    scr("add", "The capital of France is Paris.", "--id", "old", "--valid-from", "2020-01-01")
    then = data(scr("log", "--json"))["events"][0]["time"]
    scr("add", "The capital of France is Lyon.", "--id", "new", "--valid-from", "2021-01-01")
    (record,) = map(json.loads, scr("export", "--known-at", then).stdout.splitlines())
    assert record["edit_id"] == "old" and "valid_until" not in record
    assert "is Paris." in scr("export", "--known-at", then, "--as-of", "2022-01-01").stdout
    assert "is Lyon." in scr("export", "--as-of", "2022-01-01").stdout
    assert scr("export", "--known-at", "2019-01-01").stdout == ""
    assert "choose one" in scr("export", "--known-at", then, "--history").stderr


def test_nothing_to_export_is_said_and_is_no_error(scr: Run) -> None:
    result = scr("export")
    assert (result.exit_code, result.stdout) == (0, "") and "no facts yet" in result.stderr
