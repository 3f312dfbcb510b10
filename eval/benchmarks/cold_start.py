"""How long does a command take from the shell? Each is run as a fresh process, on a warm disk; medians over runs.

    python -m eval.benchmarks.cold_start [--runs 7] [--json]

``chat second turn`` is measured inside one process: the answer to the second question of a conversation.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

QUESTION = "What is the capital of France?"


@click.command()
@click.option("--runs", default=7, show_default=True, help="Processes a command.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def main(runs: int, as_json: bool) -> None:
    """Time the commands a person waits for."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "SCR_STORE": str(Path(folder) / "facts.scr")}
        environment.pop("SCR_MODEL", None)
        run(["add", "The capital of France is Lyon."], environment)
        commands = {
            "help": ["--help"],
            "ls": ["ls"],
            "log": ["log"],
            "add": ["add", "The capital of Spain is Seville."],
            "ask, in scope": ["ask", QUESTION],
            "ask, out of scope": ["ask", "What is the currency of Japan?"],
        }
        seconds = {name: [run(command, environment) for _ in range(runs)] for name, command in commands.items()}
        seconds["chat second turn"] = second_turns(environment, runs)
    medians = {name: round(statistics.median(times), 3) for name, times in seconds.items()}
    if as_json:
        click.echo(json.dumps({"schema": "scr.bench.cold_start/1", "runs": runs, "p50_s": medians}))
        return
    for name, median in medians.items():
        click.echo(f"{name:<20} p50 {median:6.2f} s   (min {min(seconds[name]):.2f}, max {max(seconds[name]):.2f})")


def run(command: list[str], environment: dict[str, str]) -> float:
    """Seconds of one process; a failing command is an error here."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", "scr", *command], env=environment, check=True, capture_output=True)
    return time.perf_counter() - started


def second_turns(environment: dict[str, str], runs: int) -> list[float]:
    """Seconds of the second turn of a conversation, the model loaded."""
    from scr.build import build_model
    from scr.config import Settings

    model = build_model(Settings.resolve(environ=environment))
    times = []
    for _ in range(runs):
        messages = [{"role": "user", "content": QUESTION}]
        messages.append({"role": "assistant", "content": model.chat(messages).text})
        messages.append({"role": "user", "content": "What is the currency of Japan?"})
        started = time.perf_counter()
        model.chat(messages)
        times.append(time.perf_counter() - started)
    model.store.close()
    return times


if __name__ == "__main__":
    main()
