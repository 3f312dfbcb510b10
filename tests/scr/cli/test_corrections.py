"""``scr allow``, ``deny`` and ``test``: the scope decision, corrected from the command line as a user would."""

import json
import shlex
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Run = Callable[..., Result]

ODD = "Where do the Gauls keep their senate?"


@pytest.fixture
def facts(scr: Run, monkeypatch: pytest.MonkeyPatch, tiny_model: str) -> None:
    monkeypatch.setenv("SCR_STORE", "facts.scr")
    monkeypatch.setenv("SCR_MODEL", tiny_model)
    for edit_id, fact in {"france": "The capital of France is Lyon.", "peru": "The capital of Peru is Cusco."}.items():
        assert scr("add", fact, "--id", edit_id, "--no-check").exit_code == 0


def data(result: Result) -> dict[str, object]:
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def test_an_allowed_question_fires_at_once_and_why_says_so(scr: Run, facts: None) -> None:
    before = scr("ask", ODD, "--exit-code", "--max-new-tokens", "2")
    assert before.exit_code == 10
    said = scr("allow", "france", ODD)
    assert (said.exit_code, said.stdout) == (0, f"allowed  france  {ODD}\n")
    assert scr("ask", ODD, "--exit-code", "--max-new-tokens", "2").exit_code == 0
    shown = scr("why", ODD, "--max-new-tokens", "2").stdout
    assert "fired   1.00  france" in shown and "allowed for this question" in shown


def test_a_denied_question_does_not_fire_and_why_names_the_way_back(scr: Run, facts: None) -> None:
    asked = "The capital of France is"
    assert scr("deny", "france", asked).exit_code == 0
    told = data(scr("why", asked, "--max-new-tokens", "2", "--json"))
    assert told["diagnosis"] == "did not fire" and "france is denied for this question" in str(told["message"])
    assert shlex.split(str(told["next"])) == ["scr", "allow", "france", asked]
    assert "denied for this question" in scr("why", asked, "--max-new-tokens", "2").stdout
    assert scr(*shlex.split(str(told["next"]))[1:]).exit_code == 0
    assert scr("ask", asked, "--exit-code", "--max-new-tokens", "2").exit_code == 0


def test_undo_takes_an_allowance_back_and_the_log_names_who_gave_it(scr: Run, facts: None) -> None:
    scr("allow", "france", ODD)
    (event,) = [e for e in data(scr("log", "--json"))["events"] if e["kind"] == "allow"]  # type: ignore[attr-defined]
    assert event["edit_id"] == "france" and event["actor"] and event["payload"]["text"] == ODD
    (batch,) = data(scr("undo", "--json"))["batches"]  # type: ignore[misc]
    assert batch["kind"] == "allow" and batch["unsaid"][0]["text"] == ODD
    assert scr("redo").stdout == f"said again  allow france  {ODD}\n"
    assert scr("undo").stdout == f"taken back  allow france  {ODD}\n"
    assert ODD in scr("log").stdout
    assert data(scr("allow", "france", "--json"))["corrections"] == []
    assert scr("log", "--verify").exit_code == 0


def test_an_id_may_be_cut_short_where_one_fact_begins_so(scr: Run, facts: None) -> None:
    assert scr("deny", "fra", ODD).stdout.startswith("denied  france")
    scr("add", "The capital of Ghana is Tema.", "--id", "frankfurt")
    many = scr("deny", "fra", ODD)
    assert many.exit_code == 2 and "france, frankfurt" in many.stderr and "write more of it" in many.stderr
    none = scr("deny", "atlantis", ODD)
    assert none.exit_code == 3 and "no fact 'atlantis'" in none.stderr


def test_what_stands_already_changes_nothing_and_without_a_question_it_is_shown(scr: Run, facts: None) -> None:
    scr("allow", "france", ODD)
    again = scr("allow", "france", ODD.lower(), "--json")
    assert data(again)["queries"] == [{"query": ODD, "changed": False}] and data(again)["batch"] == 0
    scr("deny", "france", "-", input="One?\n\nTwo?\n")
    assert scr("allow", "france").stdout.splitlines() == [
        f"allowed  france  {ODD}",
        "denied  france  One?",
        "denied  france  Two?",
    ]
    assert "nothing was said about peru" in scr("deny", "peru").stderr


@pytest.mark.parametrize(("question", "why"), [("  ", "the question is empty"), ("a\x07b", "control character")])
def test_what_is_no_question_is_refused(scr: Run, facts: None, question: str, why: str) -> None:
    refused = scr("allow", "france", question)
    assert refused.exit_code == 2 and why in refused.stderr


def test_every_fact_is_tested_by_its_prompt_and_by_what_was_said(scr: Run, facts: None) -> None:
    scr("allow", "france", ODD)
    scr("deny", "peru", "The capital of France is")
    result = scr("test")
    assert (result.exit_code, result.stdout) == (0, "ok: 4 questions of 2 facts (2 own, 1 allowed, 1 denied)\n")
    assert data(scr("test", "--json"))["failed"] == 0


def test_a_failure_says_what_fired_instead_and_the_next_command_mends_it(scr: Run, facts: None, tmp_path: Path) -> None:
    # Its own prompt names another fact's subject, and nothing of it is asked for: it cannot fire by itself.
    odd = ["--prompt", "The capital of France is", "--subject", "Quux", "--target", "Zed", "--id", "odd"]
    scr("add", "Zed", *odd, "--no-check")
    failed = scr("test", "--junit", "report.xml")
    assert failed.exit_code == 5
    assert "failed  odd  must fire: The capital of France is" in failed.stdout
    assert "fired instead: france (" in failed.stdout and "1 failed: 3 questions of 3 facts" in failed.stdout
    suites = ET.fromstring((tmp_path / "report.xml").read_bytes())
    assert (suites.tag, suites.get("tests"), suites.get("failures")) == ("testsuites", "3", "1")
    (case,) = [case for case in suites.iter("testcase") if case.find("failure") is not None]
    assert case.get("classname") == "odd" and case.get("name") == "must fire: The capital of France is"
    (failure,) = data(scr("test", "--json"))["failures"]  # type: ignore[misc]
    assert failure["fired_instead"][0]["edit_id"] == "france"
    assert scr(*shlex.split(failure["next"])[1:]).exit_code == 0
    assert scr("test").exit_code == 0


def test_the_report_is_xml_whatever_the_questions_hold(scr: Run, facts: None, tmp_path: Path) -> None:
    nasty = 'Is "France" <b> & \ufffe 日本 🙂 ]]>?'
    scr("allow", "france", nasty)
    assert scr("test", "--junit", "report.xml").exit_code == 0
    names = [case.get("name") for case in ET.fromstring((tmp_path / "report.xml").read_bytes()).iter("testcase")]
    assert f"must fire: {nasty.replace(chr(0xFFFE), chr(0xFFFD))}" in names


def test_a_report_that_cannot_be_written_is_one_line(scr: Run, facts: None) -> None:
    failed = scr("test", "--junit", "no/such/folder.xml")
    assert failed.exit_code == 2 and "cannot write no/such/folder.xml" in failed.stderr


def test_an_empty_memory_passes_and_says_that_it_is_empty(scr: Run) -> None:
    result = scr("test")
    assert (result.exit_code, result.stdout) == (0, "") and "no facts yet" in result.stderr


def test_adding_a_fact_says_what_keeps_it_silent_on_look_alikes_and_undo_takes_all_back(
    scr: Run, facts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCR_STORE", "rooms.scr")
    monkeypatch.setenv("SCR_ENCODER", "all-MiniLM-L6-v2")
    scr("add", "The capital of Peru is Cusco.", "--no-check")
    head = scr("ls").stdout
    added = scr("add", "The wifi password of the Lisbon office is sardine.", "--id", "room")
    assert added.exit_code == 0 and "look-alikes: " in added.stderr and len(added.stderr.splitlines()) == 1
    said = data(scr("allow", "room", "--json"))["corrections"]
    assert said and all(one["kind"] in ("deny", "threshold") for one in said)  # type: ignore[attr-defined]
    assert scr("test").exit_code == 0
    scr("undo")
    assert scr("ls").stdout == head


def test_no_check_stores_the_fact_alone(scr: Run, facts: None) -> None:
    added = scr("add", "The wifi password of the Lisbon office is sardine.", "--id", "room", "--no-check")
    assert "look-alikes" not in added.stderr
    assert data(scr("allow", "room", "--json"))["corrections"] == []


def test_what_was_said_travels_with_the_facts(scr: Run, facts: None, tmp_path: Path) -> None:
    def exported(*options: str) -> list[dict[str, object]]:
        return [{**json.loads(line), "recorded_at": ""} for line in scr("export", *options).stdout.splitlines()]

    scr("allow", "france", ODD)
    scr("deny", "france", "One?", "Two; three?")
    france, peru = exported()
    assert (france["allow"], france["deny"]) == ([ODD], ["One?", "Two; three?"]) and "allow" not in peru
    (tmp_path / "facts.jsonl").write_text(scr("export").stdout, encoding="utf-8")
    for _ in range(2):  # the second time nothing changes
        done = scr("import", "facts.jsonl", "-s", "other.scr")
        assert done.exit_code == 0, done.stderr
        assert exported("-s", "other.scr") == [france, peru]
    assert scr("log", "--verify", "-s", "other.scr").exit_code == 0
    assert ODD not in scr("export", "--format", "csv").stdout


def test_a_row_whose_questions_are_no_list_is_refused_by_its_line(scr: Run, facts: None) -> None:
    row = json.dumps({"statement": "Acme sells anvils.", "allow": "Who sells anvils?"})
    refused = scr("import", "-", input=f"{row}\n")
    assert refused.exit_code == 2 and "line 1: allow must be a list of questions" in refused.stderr
