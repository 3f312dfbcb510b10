"""``scr preview``: what a fact would fire on, without a trace of it in the store."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

Run = Callable[..., Result]


@pytest.fixture
def facts(scr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCR_STORE", "facts.scr")
    for edit_id, fact in {"france": "The capital of France is Lyon.", "peru": "The capital of Peru is Cusco."}.items():
        assert scr("add", fact, "--id", edit_id, "--no-check").exit_code == 0


def data(result: Result) -> dict[str, Any]:
    found = json.loads(result.stdout)
    assert isinstance(found, dict)
    return found


def test_it_says_what_would_fire_and_which_neighbours_stay_silent(scr: Run, facts: None, tmp_path: Path) -> None:
    (tmp_path / "asked.txt").write_text("The capital of Italy is\n\nWho wrote Hamlet?\n", encoding="utf-8")
    shown = scr("preview", "The capital of Italy is Turin.", "--id", "italy", "--queries", "asked.txt")
    assert shown.exit_code == 0 and "nothing was stored" in shown.stderr
    assert "would be added  italy" in shown.stdout
    assert "would fire on 1 of 4 questions" in shown.stdout and "its own prompt; now: nothing" in shown.stdout
    silent = shown.stdout.partition("would stay silent")[2]
    assert "The capital of Peru is" in silent and "The capital of France is" in silent


def test_nothing_is_written_and_what_it_says_comes_true(scr: Run, facts: None) -> None:
    head = scr("log", "--head").stdout
    found = data(scr("preview", "The capital of France is Nice.", "--id", "nice", "--json"))
    assert scr("log", "--head").stdout == head
    assert (found["status"], found["superseded"]) == ("superseded", ["france"])
    (question,) = found["fires"]
    assert (question["query"], question["fires_now"]) == ("The capital of France is", ["france"])
    assert question["would_fire"] == ["nice"]
    added = data(scr("add", "The capital of France is Nice.", "--id", "nice", "--json"))
    assert added["results"][0]["superseded"] == found["superseded"]


def test_it_inherits_what_people_said_of_the_fact_it_supersedes(scr: Run, facts: None) -> None:
    scr("allow", "france", "Where do the Gauls keep their senate?")
    found = data(scr("preview", "The capital of France is Nice.", "--id", "nice", "--json"))
    said = {q["query"]: (q["source"], q["probability"]) for q in found["fires"]}
    assert said["Where do the Gauls keep their senate?"] == ("said", 1.0)


def test_questions_come_as_json_lines_and_from_standard_input(scr: Run, facts: None) -> None:
    lines = '{"query": "The capital of Italy is", "id": 3}\nWho?\n'
    found = data(scr("preview", "The capital of Italy is Turin.", "--queries", "-", "--json", input=lines))
    assert found["questions"] == 4


@pytest.mark.parametrize(
    ("content", "why"), [('{"q": "x"}\n', "line 1: there is no"), ("fine?\n{bad\n", "line 2: not JSON")]
)
def test_a_bad_line_of_questions_is_named(scr: Run, facts: None, tmp_path: Path, content: str, why: str) -> None:
    (tmp_path / "asked.jsonl").write_text(content, encoding="utf-8")
    refused = scr("preview", "The capital of Italy is Turin.", "--queries", "asked.jsonl")
    assert refused.exit_code == 2 and why in refused.stderr


def test_a_fact_that_is_stored_already_or_conflicts_ends_the_preview(scr: Run, facts: None) -> None:
    again = data(scr("preview", "The capital of France is Lyon.", "--json"))
    assert (again["status"], again["questions"], again["fires"]) == ("duplicate", 0, [])
    conflict = scr("preview", "The capital of Italy is Turin.", "--id", "france")
    assert conflict.exit_code == 4 and "already names" in conflict.stderr


def test_a_preview_makes_no_store(scr: Run, tmp_path: Path) -> None:
    assert scr("preview", "The capital of Italy is Turin.").exit_code == 0
    assert not list(tmp_path.rglob("*.scr"))


def test_a_question_is_read_as_the_file_has_it_and_the_fact_is_one(scr: Run, facts: None) -> None:
    assert scr("preview", "-").exit_code == 2
    missing = scr("preview", "The capital of Italy is Turin.", "--queries", "no.txt")
    assert missing.exit_code == 2 and "cannot read no.txt" in missing.stderr
