import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from scr.cli.options import Session

Run = Callable[..., Result]


def data(result: Result) -> Any:
    assert result.exit_code == 0, result.stderr
    assert result.stdout.endswith("\n")
    return json.loads(result.stdout)


def ids(scr: Run, *args: str) -> list[str]:
    return [edit["edit_id"] for edit in data(scr("ls", "--json", *args))["edits"]]


def test_a_sentence_is_taken_apart_and_shown(scr: Run) -> None:
    lines = scr("add", "The capital of France is Lyon.").stdout.splitlines()
    assert lines[0].startswith("added  france-") and lines[0].endswith("The capital of France is Lyon.")
    assert [line.split(None, 1) for line in lines[1:]] == [
        ["subject", "France"],
        ["prompt", "The capital of France is"],
        ["answer", "Lyon"],
    ]


def test_options_override_what_was_worked_out(scr: Run) -> None:
    (result,) = data(
        scr(
            "add", "Acme opened in Porto.", "--json", "--subject", "Acme", "--prompt", "Acme opened in", "--target", "P"
        )
    )["results"]
    edit = result["edit"]
    assert (edit["subject"], edit["prompt"], edit["target_new"]) == ("Acme", "Acme opened in", "P")
    assert result["free_fact"] is False


def test_what_is_not_clear_is_kept_as_a_free_fact_and_said(scr: Run) -> None:
    result = scr("add", "Never share the password.")
    assert result.exit_code == 0
    assert "kept as a free fact, which supersedes nothing" in result.stderr
    assert 'scr add -q "QUESTION?" -a "ANSWER"' in result.stderr
    assert "subject" not in result.stdout


def test_question_and_answer_are_a_fact(scr: Run) -> None:
    (result,) = data(scr("add", "-q", "Who runs Acme?", "-a", "Dana Cole", "--json"))["results"]
    assert (result["edit"]["prompt"], result["edit"]["target_new"]) == ("Who runs Acme?", "Dana Cole")


def test_a_triple_is_a_fact(scr: Run) -> None:
    (result,) = data(scr("add", "--triple", "Acme", "is based in", "Porto", "--json"))["results"]
    assert result["edit"]["statement"] == "Acme is based in Porto."


def test_a_verbatim_answer_is_stored_without_its_question(scr: Run) -> None:
    (result,) = data(scr("add", "--verbatim", "-q", "What is the refund window?", "-a", "30 days.", "--json"))[
        "results"
    ]
    assert (result["edit"]["statement"], result["edit"]["verbatim"]) == ("30 days.", True)


def test_every_field_can_be_given(scr: Run) -> None:
    args = "--alias,the tower,--alias,Big Acme,--source,survey,--tag,a,--tag,b,--relation,height,--id,tower"
    times = "--valid-from,2026-01-01,--valid-until,2027-01-01"
    (result,) = data(scr("add", "The Acme tower is 300 m high.", "--json", *args.split(","), *times.split(",")))[
        "results"
    ]
    edit = result["edit"]
    assert (edit["aliases"], edit["tags"]) == (["the tower", "Big Acme"], ["a", "b"])
    assert (edit["source"], edit["relation"], edit["edit_id"]) == ("survey", "height", "tower")
    assert (edit["valid_from"][:10], edit["valid_until"][:10]) == ("2026-01-01", "2027-01-01")


def test_a_newer_claim_says_what_it_supersedes(scr: Run) -> None:
    scr("add", "The capital of France is Paris.", "--id", "old")
    result = scr("add", "The capital of France is Lyon.", "--id", "new")
    assert "supersedes  old" in result.stdout
    assert ids(scr) == ["new"]
    assert ids(scr, "--all") == ["old", "new"]
    shown = data(scr("show", "old", "--json"))
    assert shown["status"] == "superseded"
    assert [v["edit_id"] for v in shown["versions"]] == ["old", "new"]


def test_the_same_fact_twice_changes_nothing(scr: Run) -> None:
    scr("add", "The capital of France is Lyon.")
    result = scr("add", "The capital of France is Lyon.")
    assert result.exit_code == 0 and result.stdout.startswith("duplicate") and "already known" in result.stderr
    assert len(ids(scr)) == 1


def test_a_used_id_is_a_conflict_with_code_4(scr: Run) -> None:
    scr("add", "The capital of France is Lyon.", "--id", "x")
    result = scr("add", "The capital of Spain is Vigo.", "--id", "x")
    assert result.exit_code == 4 and "already names" in result.stderr
    as_json = scr("add", "The capital of Spain is Vigo.", "--id", "x", "--json")
    assert as_json.exit_code == 4 and json.loads(as_json.stdout)["results"][0]["status"] == "conflict"


def test_lines_of_standard_input_are_one_batch(scr: Run) -> None:
    result = scr("add", "-", "--tag", "eu", input="The capital of Italy is Turin.\n\nThe capital of Peru is Cusco.\r\n")
    assert result.exit_code == 0 and "2 facts: 2 added" in result.stderr
    assert len(ids(scr)) == 2 == len(ids(scr, "--tag", "eu"))
    scr("undo")
    assert ids(scr) == []


def test_a_bad_line_of_standard_input_stores_nothing_and_is_named(scr: Run) -> None:
    result = scr("add", "-", input="The capital of Italy is Turin.\n???\n")
    assert result.exit_code == 2 and "line 2: " in result.stderr
    assert ids(scr) == []


def test_options_about_one_fact_do_not_go_with_many(scr: Run) -> None:
    result = scr("add", "-", "--subject", "Italy", input="The capital of Italy is Turin.\n")
    assert result.exit_code == 2 and "--subject speaks of one fact" in result.stderr


def test_a_dry_run_stores_nothing_and_makes_no_store(scr: Run, tmp_path: Path) -> None:
    result = scr("add", "The capital of France is Lyon.", "--dry-run")
    assert (
        result.exit_code == 0 and result.stdout.startswith("would be added") and "nothing was stored" in result.stderr
    )
    assert not (tmp_path / "data").exists()
    scr("add", "The capital of France is Paris.", "--id", "paris")
    assert "supersedes  paris" in scr("add", "The capital of France is Lyon.", "--dry-run").stdout
    assert ids(scr) == ["paris"]


def test_a_new_store_is_announced_once(scr: Run) -> None:
    assert "new store" in scr("add", "The capital of France is Lyon.").stderr
    assert "new store" not in scr("add", "The capital of Spain is Vigo.").stderr
    assert scr("add", "The capital of Peru is Cusco.", "--quiet", "-s", "other.scr").stderr == ""


def test_an_empty_store_says_how_to_add(scr: Run, tmp_path: Path) -> None:
    for command in ("ls", "log", "undo"):
        result = scr(command)
        assert (result.exit_code, result.stdout) == (0, "")
    assert 'add one: scr add "' in scr("ls").stderr
    assert data(scr("ls", "--json"))["edits"] == []
    assert not (tmp_path / "data").exists()


def test_search_lists_the_nearest_first(scr: Run) -> None:
    scr("add", "-", input="The capital of Italy is Turin.\nThe capital of Peru is Cusco.\nAcme is based in Porto.\n")
    hits = data(scr("search", "capital of Peru", "--json", "--limit", "2"))["hits"]
    assert [hit["subject"] for hit in hits] == ["Peru", "Italy"]
    assert hits[0]["score"] > hits[1]["score"]
    assert scr("search", "capital of Peru").stdout.splitlines()[0].split() == ["SCORE", "ID", "FACT"]


def test_removed_facts_come_back_by_undo_and_go_again_by_redo(scr: Run) -> None:
    scr("add", "The capital of France is Lyon.", "--id", "fr")
    assert scr("rm", "fr", "-y").stdout == "removed  fr  The capital of France is Lyon.\n"
    assert ids(scr) == []
    assert scr("undo").stdout == "in use again  fr  The capital of France is Lyon.\n"
    assert ids(scr) == ["fr"]
    assert scr("redo").stdout == "out of use  fr  The capital of France is Lyon.\n"
    assert ids(scr) == []
    result = scr("rm", "fr", "-y")
    assert result.exit_code == 3 and "'fr' is already forgotten" in result.stderr


def test_nothing_is_removed_unless_a_person_or_y_says_so(scr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    scr("add", "The capital of France is Lyon.", "--id", "fr")
    result = scr("rm", "fr")
    assert result.exit_code == 2 and "add -y" in result.stderr
    assert scr("rm", "fr", "--dry-run").stdout.startswith("would be removed  fr")
    monkeypatch.setattr(Session, "interactive", True)
    assert scr("rm", "fr", input="n\n").exit_code == 0
    assert ids(scr) == ["fr"]
    assert scr("rm", "fr", input="y\n").exit_code == 0
    assert ids(scr) == []


def test_rm_takes_all_or_none(scr: Run) -> None:
    scr("add", "The capital of France is Lyon.", "--id", "fr")
    assert scr("rm", "fr", "unknown", "-y").exit_code == 3
    assert ids(scr) == ["fr"]


def test_an_unknown_id_names_near_ones(scr: Run) -> None:
    scr("add", "The capital of France is Lyon.", "--id", "france-capital")
    for command in (["show", "france"], ["show", "frnce-capital"], ["rm", "france-capitol", "-y"]):
        result = scr(*command)
        assert result.exit_code == 3 and "did you mean france-capital?" in result.stderr
    assert "scr ls lists them" in scr("show", "zzz").stderr


def test_an_id_of_another_namespace_is_pointed_to(scr: Run) -> None:
    scr("add", "The capital of France is Lyon.", "--id", "fr", "-n", "team")
    scr("add", "The capital of Spain is Vigo.", "--id", "es")
    result = scr("show", "fr")
    assert result.exit_code == 3 and "it is in 'team': add -n team" in result.stderr


def test_namespaces_do_not_see_each_other(scr: Run) -> None:
    scr("add", "The capital of France is Lyon.", "--id", "fr", "-n", "team")
    scr("add", "The capital of Spain is Vigo.", "--id", "es")
    assert ids(scr) == ["es"] and ids(scr, "-n", "team") == ["fr"]
    assert [hit["edit_id"] for hit in data(scr("search", "capital", "--json"))["hits"]] == ["es"]


def test_a_namespace_that_never_held_a_fact_is_a_slip(scr: Run) -> None:
    scr("add", "The capital of France is Lyon.", "-n", "team")
    for args in (["ls", "-n", "taem"], ["search", "capital", "-n", "taem"]):
        result = scr(*args)
        assert (result.exit_code, result.stdout) == (3, "")
        assert result.stderr == "scr: namespace 'taem' holds no facts; there are: team (choose with -n)\n"


def test_the_past_can_be_listed(scr: Run) -> None:
    scr("add", "The capital of France is Paris.", "--id", "old", "--valid-from", "2020-01-01")
    scr("add", "The capital of France is Lyon.", "--id", "new", "--valid-from", "2024-01-01")
    assert ids(scr, "--as-of", "2022-06-01") == ["old"]
    assert ids(scr) == ["new"]
    result = scr("ls", "--as-of", "yesterday")
    assert result.exit_code == 2 and "write it like 2024-07-01" in result.stderr


def test_a_list_known_at_an_earlier_time_has_what_the_store_said_then(scr: Run) -> None:
    scr("add", "The capital of France is Paris.", "--id", "old", "--valid-from", "2020-01-01")
    then = data(scr("log", "--json"))["events"][0]["time"]
    scr("add", "The capital of France is Lyon.", "--id", "new", "--valid-from", "2021-01-01")
    assert ids(scr, "--known-at", then) == ["old"] and ids(scr) == ["new"]
    assert ids(scr, "--known-at", then, "--as-of", "2022-01-01") == ["old"]
    assert ids(scr, "--as-of", "2022-01-01") == ["new"]
    assert "leave out" in scr("ls", "--all", "--known-at", then).stderr


def test_the_log_names_who_did_what_and_verifies(scr: Run) -> None:
    scr("add", "The capital of France is Lyon.", "--id", "fr", "--no-check")
    scr("rm", "fr", "-y")
    events = data(scr("log", "--json"))["events"]
    assert [(e["kind"], e["edit_id"]) for e in events] == [("forget", "fr"), ("put", "fr")]
    assert events[0]["actor"]
    head = scr("log", "--head").stdout.strip()
    assert head == events[0]["hash"]
    assert scr("log", "--verify", "--expect", head).stdout == f"ok: 2 events, head {head}\n"
    assert [e["kind"] for e in data(scr("log", "--limit", "1", "--json"))["events"]] == ["forget"]


def test_a_log_that_does_not_hold_ends_with_5(scr: Run) -> None:
    scr("add", "The capital of France is Lyon.")
    result = scr("log", "--verify", "--expect", "0123")
    assert (result.exit_code, result.stdout) == (5, "") and "the log does not hold" in result.stderr
    as_json = scr("log", "--verify", "--expect", "0123", "--json")
    assert as_json.exit_code == 5 and json.loads(as_json.stdout)["ok"] is False


def test_an_edit_changed_behind_the_log_is_found(scr: Run, tmp_path: Path) -> None:
    import sqlite3

    scr("add", "The capital of France is Lyon.", "-s", "x.scr")
    with sqlite3.connect("x.scr") as database:
        database.execute("UPDATE edits SET statement = 'The capital of France is Nice.'")
    database.close()
    assert scr("log", "--verify", "-s", "x.scr").exit_code == 5
    assert scr("store", "doctor", "-s", "x.scr").exit_code == 5


def test_the_store_tells_about_itself(scr: Run, tmp_path: Path) -> None:
    place = tmp_path / "team.scr"
    assert scr("store", "init", "-s", str(place)).stdout == f"made  {place}\n"
    assert scr("store", "init", "-s", str(place)).stdout == f"already there  {place}\n"
    scr("add", "The capital of France is Lyon.", "-s", str(place), "-n", "team")
    figures = data(scr("store", "stats", "-s", str(place), "--json"))
    assert figures["schema"] == "scr.store.stats/1"
    assert figures["live"] == 1 and figures["namespaces"] == {"team": {"live": 1, "closed": 0}}
    assert "sound" in scr("store", "doctor", "-s", str(place)).stdout
    assert data(scr("store", "path", "-s", str(place), "--json")) == {
        "schema": "scr.store.path/1",
        "path": str(place),
        "exists": True,
    }


def test_every_json_names_its_schema_and_version(scr: Run) -> None:
    scr("add", "The capital of France is Lyon.", "--id", "fr")
    for schema, args in {
        "scr.add/1": ["add", "The capital of Peru is Cusco."],
        "scr.ls/1": ["ls"],
        "scr.show/1": ["show", "fr"],
        "scr.search/1": ["search", "capital"],
        "scr.rm/1": ["rm", "fr", "-y"],
        "scr.undo/1": ["undo"],
        "scr.redo/1": ["redo"],
        "scr.log/1": ["log"],
        "scr.log.head/1": ["log", "--head"],
        "scr.log.verify/1": ["log", "--verify"],
        "scr.store.init/1": ["store", "init"],
        "scr.store.stats/1": ["store", "stats"],
        "scr.store.doctor/1": ["store", "doctor"],
        "scr.store.backup/1": ["store", "backup", "copy.scr"],
        "scr.store.reindex/1": ["store", "reindex"],
        "scr.store.purge/1": ["store", "purge", "fr", "-y"],
        "scr.env/1": ["env"],
        "scr.completion/1": ["completion", "zsh"],
    }.items():
        assert data(scr(*args, "--json"))["schema"] == schema


def test_a_store_goes_over_to_another_encoder(scr: Run, tmp_path: Path) -> None:
    import numpy as np

    from memory_store.edit import Edit
    from memory_store.store import EditStore

    with EditStore.open(tmp_path / "x.scr", encoder="other@1") as store:
        store.put([Edit(statement="Old fact.", edit_id="old")], {"statement": np.eye(1, 8, dtype=np.float32)})
    assert scr("search", "old", "-s", "x.scr").exit_code == 6
    done = data(scr("store", "reindex", "-s", "x.scr", "--json"))
    assert (done["versions"], done["from"], done["to"]) == (1, "other@1", "hash@1:words+trigrams:384")
    assert scr("store", "reindex", "-s", "x.scr", "--encoder", done["to"]).exit_code == 0
    assert [hit["edit_id"] for hit in data(scr("search", "old", "-s", "x.scr", "--json"))["hits"]] == ["old"]


def test_a_purged_fact_is_gone_for_good(scr: Run) -> None:
    scr("add", "The capital of France is Lyon.", "--id", "fr")
    assert scr("store", "purge", "fr").exit_code == 2
    assert scr("store", "purge", "fr", "--dry-run").stdout == "would be erased  fr\n"
    assert scr("store", "purge", "fr", "-y").stdout == "erased  fr\n"
    assert ids(scr, "--all") == []
    assert "Lyon" not in scr("log", "--json").stdout and "(purged)" in scr("log").stdout
    assert scr("log", "--verify").exit_code == 0


def test_a_backup_holds_the_same_facts_and_overwrites_nothing(scr: Run) -> None:
    scr("add", "The capital of France is Lyon.", "--id", "fr")
    assert scr("store", "backup", "copy.scr").stdout == "copied  copy.scr\n"
    assert ids(scr, "-s", "copy.scr") == ["fr"]
    result = scr("store", "backup", "copy.scr")
    assert result.exit_code == 2 and "already there" in result.stderr
