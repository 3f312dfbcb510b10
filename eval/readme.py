"""What in the README is written by machine? Its tree, its transcripts and its tables; ``make docs`` writes them."""

import ast
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

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


def result(name: str) -> dict[str, Any]:
    """A stored result: the JSON that its command printed."""
    stored: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return stored
