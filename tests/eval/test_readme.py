"""The README is true: its Python runs, its commands exist, its generated parts are current in structure."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_readmes_python_runs_as_one_session(tmp_path: Path) -> None:
    server = (ROOT / "tests" / "eval" / "echo_server.py").read_text(encoding="utf-8")
    script = server + "\n\n".join(PYTHON)
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        env={"PATH": "", "HOME": str(tmp_path), "SCR_OFFLINE": "1", "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "Lyon" in done.stdout


def test_every_command_of_the_cli_stands_in_the_readme() -> None:
    from scr.cli.app import SECTIONS

    names = [name for commands in SECTIONS.values() for name in commands]
    missing = [name for name in names if f"scr {name}" not in README and f"`{name}`" not in README]
    assert not missing


def test_every_file_stands_in_the_tree() -> None:
    from eval.readme import tree

    assert tree() in README


@pytest.mark.parametrize("name", ["demo", "test"])
def test_the_two_commands_stand_in_the_readme_and_in_the_makefile(name: str) -> None:
    assert f"make {name}" in README
    assert re.search(rf"^{name}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
