"""Claims about the help pages of ``scr eval``: every command has examples, and every example is one that it takes."""

import shlex
from pathlib import Path

import click
import pytest

from eval.cli import eval_group
from scr.cli.options import Command

EXAMPLES = [
    pytest.param(command, line, id=line[:70])
    for command in eval_group.commands.values()
    if isinstance(command, Command)
    for line in " ".join(part.removesuffix("\\") + "\n" * (not part.endswith("\\")) for part in command.examples)
    .strip()
    .split("\n")
]


def test_every_command_has_a_line_that_says_what_for_and_examples() -> None:
    for name, command in eval_group.commands.items():
        assert isinstance(command, Command), name
        assert command.examples and command.short_help and command.help, name


@pytest.mark.parametrize(("command", "line"), EXAMPLES)
def test_an_example_is_taken_as_it_stands(
    command: Command, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options and values are accepted; what the commands do is tested where they are."""
    monkeypatch.chdir(tmp_path)
    words = shlex.split(line.split(" > ")[0])
    assert words[0] == "scr"
    given = words[words.index(str(command.name)) + 1 :]
    for word in given:
        if word.endswith((".json", ".jsonl", ".txt")):
            file = tmp_path / word.rpartition(":")[2]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
        elif word.removeprefix("./").isalpha():  # a folder, perhaps; harmless where it is a name
            (tmp_path / word).mkdir(parents=True, exist_ok=True)
    with command.make_context(str(command.name), given) as context:
        assert isinstance(context, click.Context)
