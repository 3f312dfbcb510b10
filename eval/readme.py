"""What in the README is written by machine? Its tree, its transcripts and its tables; ``make docs`` writes them.

The tables come from stored results: ``python -m eval.readme --data DIR [NAME …]`` runs the commands that stand beside
the figures and keeps what they print, with the commit they ran on.
"""

import ast
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "eval" / "results"


def tree() -> str:
    """Each file with the first sentence of its docstring."""
    lines = []
    for package in ("memory_store", "scr", "eval"):
        for path in sorted((ROOT / package).rglob("*.py")):
            relative = path.relative_to(ROOT)
            if path.name == "__init__.py":
                lines.append((f"{relative.parent}/", first_sentence(path)))
            elif path.name != "__main__.py":
                lines.append((f"{'  ' * (len(relative.parts) - 1)}{path.name}", first_sentence(path)))
    width = max(len(name) for name, _ in lines) + 2
    return "```\n" + "".join(f"{name:<{width}}{what}\n" for name, what in lines) + "```\n"


def first_sentence(path: Path) -> str:
    """Of the module's docstring, without its full stop.

    >>> first_sentence(ROOT / "eval" / "readme.py")
    'What in the README is written by machine?'
    """
    text = " ".join((ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split())
    ends = [text.find(mark) + (mark[0] == "?") for mark in ("? ", ". ", ": ") if mark in text]
    return text[: min(ends)] if ends else text.rstrip(".")


def console(*commands: str) -> str:
    """Run ``scr`` commands one after another in a fresh store and return the transcript."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("SCR_")},
            "SCR_STORE": str(Path(folder) / "facts.scr"),
            "NO_COLOR": "1",
            "COLUMNS": "110",
        }
        lines = []
        for command in commands:
            words = [sys.executable, "-m", *shlex.split(command)]
            done = subprocess.run(words, env=environment, capture_output=True, text=True, cwd=folder, check=False)
            if done.returncode:
                raise RuntimeError(f"{command} exited with {done.returncode}: {done.stderr.strip()}")
            lines += [f"$ {command}", *done.stdout.rstrip().splitlines()]
    return "```console\n" + "\n".join(lines) + "\n```\n"


def commands() -> str:
    """Every command of the CLI with its one line of help."""
    from scr.cli.app import SECTIONS, ScrGroup

    group = ScrGroup(name="scr")
    context = click.Context(group)
    rows = []
    for title, names in SECTIONS.items():
        for name in names:
            command = group.get_command(context, name)
            assert command is not None
            rows.append(f"| {title} | `scr {name}` | {command.get_short_help_str(100)} |")
    return "\n".join(["| | command | |", "|---|---|---|", *rows]) + "\n"


_EDITORS = (
    "python -m eval.benchmarks.editors --model GOLDEN/model --templates GOLDEN/context_templates.json "
    "--edits DATA/counterfact_edit_10000.jsonl --layers 1,2,3 --v-lr 1.0 --clamp-norm-factor 1.5"
)
COMMANDS = {
    "pocket": "python -m scr.pocket.evaluate --json",
    "main_job": "python -m eval.benchmarks.main_job --json",
    "scope": "scr eval scope --memory DATA/scope_dev_memory.jsonl --queries DATA/scope_dev_queries.jsonl "
    "--false-fire 0.01 --json",
    "statements": "python -m eval.benchmarks.statements --data DATA --json",
    "cold_start": "python -m eval.benchmarks.cold_start --json",
    "pocket_editors": "python -m eval.benchmarks.pocket_editors --methods "
    "memit,alphaedit,prune-memit,rome,ft-m,locft-bf,lora,grace --threads 1 --json",
    "editors_20": f"{_EDITORS} --n 20 --json",
    "editors_50": f"{_EDITORS} --n 50 --json",
}
"""Each stored result and the command that prints it; DATA is the folder with the benchmark rows, GOLDEN that of
the reference editors' model."""


def figures() -> str:
    """The stored results as tables, each with its command."""
    parts = []
    for name, table in (
        ("pocket", _pocket),
        ("main_job", _main_job),
        ("scope", _scope),
        ("statements", _statements),
        ("cold_start", _cold_start),
        ("pocket_editors", _pocket_editors),
        ("editors_20", _editors),
        ("editors_50", _editors),
    ):
        if not (RESULTS / f"{name}.json").is_file():
            continue
        stored = result(name)
        title, header, rows = table(stored["result"])
        lines = [f"**{title}** `{COMMANDS[name]}`", "", f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
        parts.append("\n".join(lines + [f"| {' | '.join(row)} |" for row in rows]) + "\n")
    return "\n".join(parts)


def headline() -> str:
    """The side-by-side run: its picture, its table, what became of the lines and targets, and the command.

    Empty before ``scr eval report FOLDER --keep eval/results`` has stored one.
    """
    if not (RESULTS / "headline.json").is_file():
        return ""
    from eval.headline import PICTURE_FILE, table

    stored = result("headline")
    title, header, rows = table(stored["result"])
    lines = [f"![{title.rstrip(':')}](eval/results/{PICTURE_FILE})", "", f"**{title}**", ""]
    lines += [f"| {' | '.join(header)} |", "|---" * len(header) + "|", *(f"| {' | '.join(row)} |" for row in rows)]
    claims = [claim for claim in stored["result"]["claims"] if claim["kind"] != "finding"]
    lines += ["", *(f"- {claim['claim']}: {claim['verdict']}" for claim in claims)]
    if stored["result"]["unfinished"]:
        lines += ["", f"Not finished: {', '.join(stored['result']['unfinished'])}."]
    lines += ["", f"Again: `{stored['command']}`, then `scr eval report FOLDER` for the whole page."]
    return "\n".join(lines) + "\n"


Table = tuple[str, tuple[str, ...], Sequence[tuple[str, ...]]]


def _pocket(found: dict[str, Any]) -> Table:
    rows = [(f["name"], f"{f['right'] / f['n']:.1%}", str(f["n"])) for f in found["figures"]]
    title = f"The pocket model, generated answers, evaluation wordings (weights sha256 {found['sha256'][:12]}…):"
    return title, ("ability", "right", "of"), rows


def _main_job(found: dict[str, Any]) -> Table:
    names = {
        "edited": "edited prompt answered with the new object",
        "paraphrase": "evaluation wordings of it, too",
        "paraphrase_fired": "evaluation wordings that the edit fired on, whatever the model then said",
        "unedited": "answers to other known facts unchanged",
        "same_subject": "of these, about a subject that is edited in another relation",
    }
    n = dict.fromkeys(("paraphrase", "paraphrase_fired"), 2 * found["edits"]) | {
        "same_subject": found["same_subject_n"]
    }
    rows = [(what, f"{found[key]:.1%}", str(n.get(key, found["edits"]))) for key, what in names.items()]
    return f"The main job, {found['edits']} edits in one memory, generated answers:", ("what", "share", "of"), rows


def _scope(found: dict[str, Any]) -> Table:
    budget = found["budget"]
    at_budget = {kind: f"{1 - of['share']:.3f}" for kind, of in budget["fires"].items()}
    at_budget |= {kind: f"{of['share']:.3f}" for kind, of in budget["hits"].items()}
    rows = [(kind, f"{of['share']:.3f}", at_budget.get(kind, ""), str(of["n"])) for kind, of in found["kinds"].items()]
    means = (
        f"HM {found['hm']:.3f}, in scope {found['in_mean']:.3f}, out of scope {found['out_mean']:.3f}, "
        f"adaptive calibration error {found['calibration']['adaptive_error']:.3f}"
    )
    title = f"The scope decision on {found['edits']} edits in one memory, {found['weights']} ({means}):"
    return title, ("kind", "right", f"right at a budget of {budget['budget']:.0%} false fires", "of"), rows


def _statements(found: dict[str, Any]) -> Table:
    def share(value: float | None) -> str:
        return "–" if value is None else f"{value:.3f}"

    header = ("source", "rows", "committed", "subject right", "target right")
    rows = [
        (source, str(of["n"]), share(of["committed"]), share(of["subject"]), share(of["target"]))
        for source, of in found["sources"].items()
    ]
    return "`scr add` on statements whose fields are hidden:", header, rows


def _cold_start(found: dict[str, Any]) -> Table:
    rows = [(name, f"{seconds:.2f}") for name, seconds in found["p50_s"].items()]
    return f"Seconds from the shell, warm disk, median of {found['runs']}, 2 cores:", ("command", "p50 s"), rows


def _pocket_editors(found: dict[str, Any]) -> Table:
    rows = []
    for row in found["rows"]:
        tuned, published = row["tuned"], row["published"]
        names = ("reliability", "reliability_teacher_forced", "generalization", "locality")
        shares = [f"{tuned[name]:.2f}" for name in names] if tuned else ["failed"] * 4
        rows.append((row["method"], *shares, f"{published['reliability']:.2f}" if published else "failed"))
    title = (
        f"Weight editors, pocket model ({found['sha256'][:12]}…), {found['n']} edits in one batch (ROME: one by one), "
        f"raw sentences, settings from {found['budget']} trials on other edits; generated where not said otherwise:"
    )
    header = ("method", "edited", "edited, teacher-forced", "rephrased", "others kept", "edited, published settings")
    return title, header, rows


def _editors(found: dict[str, Any]) -> Table:
    rows = [
        (
            cost["what"],
            f"{cost['published']:.4f}",
            f"{cost['ours']:.4f}",
            f"{cost['ratio']:.1f}",
            f"{cost['difference']:.0e}",
        )
        for cost in found["costs"]
    ]
    title = (
        f"CPU seconds an edit by the published procedure and here, {found['edits']} edits, one thread, a small GPT-2:"
    )
    return title, ("part", "published", "here", "ratio", "largest relative difference"), rows


def result(name: str) -> dict[str, Any]:
    """A stored result: ``command``, ``commit``, ``versions`` and the ``result`` that the command printed."""
    stored: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return stored


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(list(COMMANDS)))
@click.option("--data", default="../shared/data", show_default=True, help="Folder with the benchmark rows.")
@click.option("--golden", default="../shared/golden", show_default=True, help="Folder of the reference editors.")
def main(names: tuple[str, ...], data: str, golden: str) -> None:
    """Run the commands behind the README's figures and store what they print."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=ROOT, check=True)
    versions = {name: metadata.version(name).split("+")[0] for name in ("torch", "transformers", "faiss-cpu", "numpy")}
    for name in names or tuple(COMMANDS):
        words = shlex.split(COMMANDS[name].replace("DATA", data).replace("GOLDEN", golden))
        words = [sys.executable, *(["-m", "scr", *words[1:]] if words[0] == "scr" else words[1:])]
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, cwd=ROOT, check=True)
        stored = {
            "command": COMMANDS[name],
            "commit": commit.stdout.strip(),
            "versions": versions,
            "result": json.loads(done.stdout),
        }
        (RESULTS / f"{name}.json").write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
        click.echo(f"eval/results/{name}.json", err=True)


if __name__ == "__main__":
    main()
