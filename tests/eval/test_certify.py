"""Claims about certifying a model: on the built-in one and on a folder, and what counts as said."""

import json
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from eval.certify import certify, mentions
from eval.cli import eval_group
from eval.methods import Bench
from memory_store.errors import ConfigError
from scr.cli.app import cli
from scr.edited_model import EditedModel
from scr.encoder import load_encoder
from scr.language_model import load_model
from scr.pocket import MODEL_DIR

NAMES = ["known", "obeyed", "prior wins", "right one of five"]


def pair() -> tuple[Bench, EditedModel]:
    model, tokenizer = load_model(None)
    encoder = load_encoder("hash")
    return Bench(model, tokenizer, encoder="hash", max_new_tokens=12), EditedModel(model, tokenizer, encoder=encoder)


def test_the_built_in_model_knows_its_facts_and_obeys_what_it_is_told() -> None:
    bench, edited = pair()
    before = bench.digest()
    found = certify(bench, edited, facts=20, model="pocket")
    shares = {share.name: share for share in found.shares}
    assert set(NAMES) <= set(shares)
    assert found.facts == shares["known"].n == shares["right one of five"].n == 20
    assert shares["known"].value >= 0.9
    assert shares["obeyed"].n == shares["prior wins"].n == shares["known"].right
    assert shares["obeyed"].right + shares["prior wins"].right <= shares["obeyed"].n
    assert shares["obeyed"].value > shares["prior wins"].value
    assert shares["memory: unchanged"].n == 20
    # What fired nowhere cannot have changed anything.
    assert shares["memory: unchanged"].right >= 20 - shares["memory: false fire"].right
    assert found.plain_ms > 0 and found.memory_ms > 0
    assert found.sha256 == before == bench.digest()
    assert "| known |" in found.as_markdown()


def test_time_runs_out_before_facts_do() -> None:
    bench, edited = pair()
    assert certify(bench, edited, facts=200, minutes=1e-4).facts == 10  # one round is asked in any case


def test_a_memory_with_facts_of_the_users_own_is_refused() -> None:
    bench, edited = pair()
    with edited:
        edited.edit("The capital of France is Lyon.")
        with pytest.raises(ConfigError, match="holds facts"):
            certify(bench, edited, facts=2)
    with pytest.raises(ConfigError, match="at least one fact"):
        certify(bench, edited, facts=0)


def test_a_local_folder_is_certified_by_the_command(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    environment = {"SCR_MODEL": str(MODEL_DIR), "SCR_ENCODER": "hash"}
    words: list[Any] = ["certify", "--n", "10", "--out", str(page), "--json"]
    done = CliRunner().invoke(eval_group, words, env=environment)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["schema"] == "scr.certify/1"
    assert told["model"] == str(MODEL_DIR)
    assert set(NAMES) <= set(told["shares"])
    assert told["shares"]["known"]["low"] <= told["shares"]["known"]["share"] <= told["shares"]["known"]["high"]
    assert page.read_text(encoding="utf-8").startswith("# Editing by memory on")


def test_certify_stands_by_itself_as_a_command_of_scr(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the entry point ``certify = "eval.commands:certify"`` of the group ``scr.commands`` brings it."""
    entry = EntryPoint("certify", "eval.commands:certify", "scr.commands")

    def found(**select: str) -> Any:
        return [entry] if select.get("group") == "scr.commands" else entry_points(**select)

    monkeypatch.setattr("importlib.metadata.entry_points", found)
    done = CliRunner().invoke(cli, ["certify", "--n", "1", "--json"], env={"SCR_ENCODER": "hash"})
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert (told["schema"], told["model"], told["facts"]) == ("scr.certify/1", "pocket", 1)
    page = CliRunner().invoke(cli, ["certify", "--help"]).stdout
    assert page.startswith("Usage: scr certify") and "scr certify -m ./model" in page


@pytest.mark.parametrize(
    ("answer", "wanted", "said"),
    [
        ("It is Paris.", "Paris", True),
        ("It is Parisian.", "Paris", False),
        ("New  York City", "new york", True),
        ("", "", False),
    ],
)
def test_an_answer_counts_when_it_holds_the_words(answer: str, wanted: str, said: bool) -> None:
    assert mentions(answer, wanted) is said
