"""Claims about the look that takes a minute: ``scr eval run --quick``, as a user types it."""

import json
from pathlib import Path

from click.testing import CliRunner

from eval.cli import eval_group
from eval.commands import QUICK


def test_a_quick_look_asks_every_method_and_leaves_a_report(tmp_path: Path) -> None:
    out = tmp_path / "quick"
    done = CliRunner().invoke(eval_group, ["run", "--quick", "--out", str(out)])
    assert done.exit_code == 0, done.output
    told = CliRunner().invoke(eval_group, ["report", str(out), "--json"])
    methods = json.loads(told.stdout)["methods"]
    assert list(methods) == QUICK.split(",")
    assert all(set(found["points"]) == {"1", "10"} for found in methods.values())
    page = (out / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>") and all(name in page for name in methods)
