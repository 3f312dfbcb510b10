"""Claims about noting in the log which facts a question used."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from memory_store.errors import StoreError
from scr import open_editor, read_fact

Run = Callable[..., Result]
QUESTION = "The capital of France is"


def uses(scr: Run) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(scr("log", "--used", QUESTION, "--json").stdout)["events"]
    return found


def test_what_a_question_used_is_noted_where_it_is_asked_for(
    scr: Run, tiny_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCR_MODEL", tiny_model)
    scr("add", "The capital of France is Lyon.", "--no-check")
    assert scr("ask", QUESTION, "--json").exit_code == 0
    assert uses(scr) == []
    monkeypatch.setenv("SCR_RECORD_USE", "1")
    assert scr("ask", QUESTION, "--json").exit_code == 0
    assert scr("why", QUESTION).exit_code == 0
    (noted,) = uses(scr)
    assert noted["kind"] == "apply" and QUESTION not in json.dumps(noted["payload"])
    assert scr("log", "--verify").exit_code == 0
    assert "record_use" in scr("env").stdout


def test_a_flag_that_is_no_flag_is_one_line(scr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCR_RECORD_USE", "perhaps")
    refused = scr("ls")
    assert refused.exit_code == 2 and "SCR_RECORD_USE is 'perhaps'; set it to 1 or 0" in refused.stderr


def test_a_rewrite_is_noted_and_no_answer_fails_for_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SCR_RECORD_USE", "1")
    editor = open_editor(store="facts.scr")
    editor.edit([read_fact("The capital of France is Lyon.").edit])
    messages = [{"role": "user", "content": QUESTION}]
    assert editor.rewrite(messages).route == "context"
    assert len(editor.store.uses_of(QUESTION)) == 1

    def full(*_: object, **__: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(editor.store, "record_use", full)
    assert editor.rewrite(messages).route == "context"
    assert "could not be noted in the log" in caplog.text
