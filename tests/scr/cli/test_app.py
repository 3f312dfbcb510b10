import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import Result

from scr.cli import app

Run = Callable[..., Result]
ROOT = Path(__file__).resolve().parents[3]

LIGHT = [
    ["--help"],
    ["add", "--help"],
    ["ask", "--help"],
    ["ls"],
    ["ls", "--all", "--json"],
    ["show", "france"],
    ["log"],
    ["log", "--verify"],
    ["diff", "2020-01-01"],
    ["export"],
    ["import", "--help"],
    ["rm", "france", "-y"],
    ["undo"],
    ["redo"],
    ["store", "stats"],
    ["store", "path"],
    ["store", "doctor"],
    ["env"],
    ["adn"],
]


def test_commands_that_only_look_import_nothing_heavy(scr: Run, tmp_path: Path) -> None:
    assert scr("add", "The capital of France is Lyon.", "--id", "france").exit_code == 0
    script = f"""
import sys
from scr.cli.app import cli
for args in {LIGHT!r}:
    try:
        cli.main(args)
    except SystemExit as end:
        print(args[0], end.code, file=sys.stderr)
loaded = {{"torch", "transformers", "faiss", "numpy", "sentence_transformers", "scr.encoder"}} & set(sys.modules)
print("LOADED", sorted(loaded))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.endswith("LOADED []\n"), done.stdout[-300:] + done.stderr
    assert done.stderr.count(" 0\n") == len(LIGHT) - 1


@pytest.mark.skipif(sys.platform == "win32", reason="no resource module there")
def test_help_costs_less_than_half_a_second_of_processor_time() -> None:
    import resource

    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    costs = []
    for _ in range(3):
        before = used()
        subprocess.run([sys.executable, "-m", "scr", "--help"], cwd=ROOT, check=True, capture_output=True)
        costs.append(used() - before)
    # Not the clock on the wall: the machine that runs the tests may be busy.
    assert min(costs) < 0.5, costs


def test_every_command_is_in_the_help_with_a_help_page_and_examples(scr: Run) -> None:
    page = scr("--help").stdout
    for name in app.cli.list_commands(click.Context(app.cli)):
        assert f"  {name} " in page
        own = scr(name, "-h")
        assert own.exit_code == 0 and "Examples:" in own.stdout, name


def test_every_exit_code_is_in_the_help(scr: Run) -> None:
    page = scr("--help").stdout
    for code, meaning in app.EXIT_CODES.items():
        assert f"{code} " in page and meaning[:30] in page


def test_no_argument_shows_the_help(scr: Run) -> None:
    result = scr()
    assert (result.exit_code, result.stdout) == (0, scr("--help").stdout)


def test_the_version_is_printed(scr: Run) -> None:
    assert scr("--version").stdout.startswith("scr ")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["adn"], "no such command 'adn', did you mean 'add'?"),
        (["xyzzy"], "no such command 'xyzzy'; see scr --help"),
        (["who", "wrote", "Hamlet?"], 'put a question in quotes: scr "who wrote Hamlet?"'),
        ([""], "the question is empty"),
        (["ls", "--colour"], "see: scr ls --help"),
        (["show"], "Missing argument 'ID'"),
        (["add"], 'no fact given; try: scr add "The capital of France is Lyon."'),
        (["ask"], "no question given"),
        (["add", "-q", "Who?"], "a question needs its answer"),
        (["add", "x", "--triple", "a", "b", "c"], "give one fact"),
        (["log", "--expect", "x"], "--expect goes with --verify"),
        (["undo", "none"], "'none' is not a valid integer"),
        (["--device"], "requires an argument"),
    ],
)
def test_a_slip_ends_in_one_line_and_code_2(scr: Run, args: list[str], said: str) -> None:
    result = scr(*args)
    assert result.exit_code == 2
    assert said in result.stderr and result.stderr.startswith("scr: ")
    assert result.stderr.count("\n") == 1 and not result.stdout


def test_an_error_is_a_json_object_with_json(scr: Run) -> None:
    result = scr("show", "nothing-here", "--json")
    error = json.loads(result.stdout)
    assert set(error) == {"schema", "error", "exit_code", "next"}
    assert error["schema"] == "scr.error/1" and error["exit_code"] == result.exit_code == 3
    assert json.loads(scr("--json", "adn").stdout)["exit_code"] == 2
    assert json.loads(scr("chat", "--json").stdout)["error"] == "a conversation is not one JSON object"
    assert not result.stderr


@pytest.mark.parametrize(
    "args", [["-n", "a", "ls", "--json"], ["ls", "-n", "a", "--json"], ["--json", "ls", "-n", "a"]]
)
def test_shared_options_stand_before_or_after_the_command(scr: Run, args: list[str]) -> None:
    assert json.loads(scr(*args).stdout)["namespace"] == "a"


def test_the_option_nearest_to_the_command_wins(scr: Run) -> None:
    assert json.loads(scr("-n", "far", "ls", "--json", "-n", "near").stdout)["namespace"] == "near"


def test_shared_options_reach_nested_commands(scr: Run, tmp_path: Path) -> None:
    for args in (["-s", "x.scr", "store", "path"], ["store", "-s", "x.scr", "path"], ["store", "path", "-s", "x.scr"]):
        assert scr(*args).stdout == f"{tmp_path / 'x.scr'}\n"


def test_an_option_beats_the_environment(scr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCR_NAMESPACE", "from-env")
    assert json.loads(scr("ls", "--json").stdout)["namespace"] == "from-env"
    settings = json.loads(scr("env", "--json", "-n", "typed").stdout)["settings"]
    assert settings["namespace"] == {"value": "typed", "from": "--namespace"}
    assert settings["encoder"] == {"value": "hash", "from": "SCR_ENCODER"}
    assert settings["device"] == {"value": None, "from": "default"}


def test_env_shows_no_secrets(scr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert "hf_secret" not in scr("env").stdout + scr("env", "--json").stdout


def test_after_add_q_is_the_question_and_before_it_quiet(scr: Run) -> None:
    result = scr("-q", "add", "-q", "Who runs Acme?", "-a", "Dana Cole")
    assert result.exit_code == 0 and result.stderr == ""
    assert "Who runs Acme?" in result.stdout


def test_an_unexpected_error_is_one_line_and_its_traceback_needs_v(scr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise TypeError("oh\nno")

    monkeypatch.setattr("scr.cli.facts.existing_store", broken)
    result = scr("ls")
    assert (result.exit_code, result.stderr) == (
        1,
        "scr: unexpected TypeError: oh no; run again with -v for the traceback\n",
    )
    assert "Traceback" in scr("ls", "-v").stderr


def test_an_interrupt_ends_with_130(scr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("scr.cli.facts.existing_store", interrupted)
    result = scr("ls")
    assert result.exit_code == 130 and result.stderr.strip() == "scr: interrupted"


def test_ctrl_c_in_a_real_process_is_one_line(tmp_path: Path) -> None:
    import signal

    process = subprocess.Popen(
        [sys.executable, "-m", "scr", "add", "-"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A run in the background is started with interrupts ignored, and hands that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    time.sleep(2)  # long enough to be waiting for standard input
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err.strip()) == (130, "", "scr: interrupted")


def test_a_reader_that_goes_away_is_no_error(scr: Run, tmp_path: Path) -> None:
    lines = "".join(f"The capital of land {n} is town {n}.\n" for n in range(300))
    assert scr("add", "-", input=lines).exit_code == 0
    store = tmp_path / "data" / "scr" / "facts.scr"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m scr ls -s {store} --json | head -n 1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "{\n", "")


def test_the_shell_completes_commands_options_and_ids(scr: Run) -> None:
    scr("add", "The capital of France is Lyon.", "--id", "france")
    complete = ShellComplete(app.cli, {}, "scr", "_SCR_COMPLETE")
    assert "search" in [c.value for c in complete.get_completions([], "s")]
    assert "--namespace" in [c.value for c in complete.get_completions(["ls"], "--n")]
    assert [c.value for c in complete.get_completions(["rm"], "fr")] == ["france"]
    for shell in ("bash", "zsh", "fish"):
        assert "_SCR_COMPLETE" in scr("completion", shell).stdout


@pytest.mark.parametrize("off", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"CI": "true"}, {}])
def test_colours_only_where_wanted(scr: Run, off: dict[str, str]) -> None:
    scr("add", "The capital of France is Lyon.")
    args = [] if off else ["--no-color"]
    assert "\x1b[" in scr("ls", color=True).stdout
    assert "\x1b[" not in scr("ls", *args, color=True, env=off).stdout
    assert "\x1b[" not in scr("ls").stdout


def test_another_package_can_bring_a_command(scr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def measure() -> None:
        click.echo("measured")

    _provide(
        monkeypatch, SimpleNamespace(module="elsewhere.cli", value="elsewhere.cli:m", dist=None, load=lambda: measure)
    )
    assert scr("measure").stdout == "measured\n"


def test_a_command_that_cannot_be_loaded_says_so(scr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def load() -> None:
        raise ImportError("No module named 'pandas'")

    _provide(monkeypatch, SimpleNamespace(module="elsewhere.cli", value="elsewhere.cli:m", dist=None, load=load))
    result = scr("measure")
    assert result.exit_code == 1 and "cannot load the command 'measure' from elsewhere.cli:m" in result.stderr


def test_a_known_command_looks_for_no_plugins(scr: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**select: str) -> None:
        raise AssertionError("scanned")

    monkeypatch.setattr("importlib.metadata.entry_points", refuse)
    assert scr("ls").exit_code == 0


def _provide(monkeypatch: pytest.MonkeyPatch, entry: SimpleNamespace) -> None:
    monkeypatch.setattr(
        "importlib.metadata.entry_points", lambda group, name: [entry] if group == "scr.commands" else []
    )
