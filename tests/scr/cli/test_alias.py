"""``scr alias``, as a user types it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Run = Callable[..., Result]


def test_the_command_gives_shows_and_takes_back(scr: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SCR_STORE", "facts.scr")
    assert scr("add", "The capital of France is Lyon.", "--id", "france", "--no-check").exit_code == 0
    assert scr("alias", "France", "the Hexagon").stdout.endswith("France: the Hexagon\n")
    assert json.loads(scr("alias", "--json").stdout)["subjects"] == [{"subject": "France", "aliases": ["the Hexagon"]}]
    (tmp_path / "names.jsonl").write_text('{"subject": "France", "aliases": ["Gaul"]}\n')
    assert scr("alias", "--from", "names.jsonl").stdout.endswith("France: the Hexagon, Gaul\n")
    assert scr("undo").exit_code == 0 and scr("alias", "France").stdout == "France: the Hexagon\n"
    assert scr("alias", "Spain", "Hispania").exit_code == 3
    assert scr("alias", "France", "x", "--learn").exit_code == 2
