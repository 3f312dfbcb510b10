"""Every example in the help pages runs as it stands."""

import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import Result

from memory_store.store import EditStore
from scr.cli.app import cli
from scr.cli.options import Command, Group

Run = Callable[..., Result]


def examples(command: click.Command = cli, name: str = "scr") -> Iterator[tuple[str, str]]:
    """Each command's name with each of its examples."""
    assert isinstance(command, Command | Group), f"{name} is no command of ours"
    assert command.examples, f"{name} has no example"
    yield from ((name, line) for line in command.examples)
    if isinstance(command, click.Group):
        ctx = click.Context(command)
        for child in command.list_commands(ctx):
            found = command.get_command(ctx, child)
            assert found is not None
            yield from examples(found, f"{name} {child}")


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that holds what the examples speak of."""
    from click.testing import CliRunner

    store = tmp_path_factory.mktemp("seeded") / "facts.scr"
    for edit_id, fact in {
        "france": "The capital of France is Lyon.",
        "peru": "The capital of Peru is Cusco.",
        "spain": "The capital of Spain is Vigo.",
    }.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SCR_ENCODER", "hash")
            assert CliRunner().invoke(cli, ["add", fact, "--id", edit_id, "-s", str(store)]).exit_code == 0
            in_team = ["add", fact, "--tag", "buildings", "-n", "team-a", "-s", str(store)]
            assert CliRunner().invoke(cli, in_team).exit_code == 0
    copy = store.with_name("copy.scr")  # one file with everything: the other may still have its write-ahead log
    with EditStore.open(store) as opened:
        opened.record_use([("What is the capital of France?", ["france"])])
        opened.backup(copy)
    return copy


@pytest.mark.parametrize(("name", "line"), [pytest.param(*e, id=e[1][:60]) for e in examples()])
def test_an_example_of_the_help_runs(
    scr: Run, name: str, line: str, seeded: Path, tiny_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(seeded, tmp_path / "facts.scr")
    (tmp_path / "prompts.txt").write_text("Who wrote Hamlet?\nName a fruit.\n")
    (tmp_path / "new-facts.jsonl").write_text('{"statement": "The capital of Italy is Turin."}\n')
    (tmp_path / "new-facts.csv").write_text("question,answer\nWho runs Acme?,Dana Cole\n")
    lesson = '{"statement": "The capital of Peru is %s.", "target_new": "%s", "in_scope": ["Peru?", "%s?"]}\n'
    (tmp_path / "edits.jsonl").write_text("".join(lesson % (c, c, c) for c in ("Cusco", "Ica", "Puno")))
    rewrite = '{"subject": "Acme", "prompt": "The seat of {} is", "target_new": {"str": "Porto"}}'
    (tmp_path / "counterfact.json").write_text(f'[{{"case_id": 1, "requested_rewrite": {rewrite}}}]')
    monkeypatch.setenv("SCR_STORE", "facts.scr")
    monkeypatch.setenv("SCR_MODEL", tiny_model)
    _say_little(monkeypatch)
    if name == "scr redo":
        scr("undo")
    before, piped, command = line.rpartition(" | ")
    given = None
    if piped:
        (word, text) = shlex.split(before)
        assert word == "printf"
        given = text.replace("\\n", "\n")
    program, *args = shlex.split(command)
    assert program == "scr"
    result = scr(*args, input=given)
    assert result.exit_code == 0, result.stderr
    assert result.stdout or name in ("scr chat",)


def _say_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tokens an answer: what a random model says is noise anyway."""
    from scr.language_model import HFLanguageModel

    whole = HFLanguageModel.continue_rows
    monkeypatch.setattr(
        HFLanguageModel,
        "continue_rows",
        lambda self, rows, **options: whole(self, rows, **{**options, "max_new_tokens": 2}),
    )


def test_an_example_stands_in_the_help_of_its_command(scr: Run) -> None:
    for name, line in examples():
        assert line in scr(*name.split()[1:], "--help").stdout
