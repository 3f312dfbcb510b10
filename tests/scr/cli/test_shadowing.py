"""Folders of common names around the user: our packages are used, or one line says what stands before them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def run(folder: Path, *args: str, path: list[Path], module: bool = True) -> subprocess.CompletedProcess[str]:
    how = ["-m", "scr"] if module else ["-c", "import sys; sys.path.remove(''); from scr.cli import main; main()"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    return subprocess.run([sys.executable, *how, *args], cwd=folder, env=env, capture_output=True, text=True)


@pytest.fixture
def strange(tmp_path: Path) -> Path:
    """A folder full of other people's modules with our names."""
    folder = tmp_path / "project"
    for package in ("eval", "memory_store"):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").write_text("raise SystemExit('the wrong package')")
    (folder / "click.py").write_text("raise SystemExit('the wrong module')")
    (folder / "scr").mkdir()  # a plain folder, such as one that holds data
    return folder


@pytest.mark.parametrize("module", [True, False])
def test_packages_in_the_working_directory_are_not_imported(strange: Path, module: bool) -> None:
    done = run(strange, "ls", path=[ROOT], module=module)
    assert (done.returncode, done.stdout) == (0, "")
    assert "no facts yet" in done.stderr


def test_an_eval_module_in_the_working_directory_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "eval.py").write_text("raise SystemExit('the wrong module')")
    done = run(tmp_path, "env", path=[ROOT])
    assert done.returncode == 0 and done.stderr == ""


def test_a_memory_store_before_ours_on_the_path_is_named(tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "memory_store").mkdir(parents=True)
    (other / "memory_store" / "__init__.py").write_text("raise SystemExit('the wrong package')")
    done = run(tmp_path, "ls", path=[other, ROOT])
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert f"'memory_store' would be imported from {other / 'memory_store'}" in done.stderr
    assert "unset PYTHONPATH" in done.stderr


@pytest.mark.parametrize("kind", ["package", "module"])
def test_an_eval_before_ours_on_the_path_is_named(tmp_path: Path, kind: str) -> None:
    other, installed = tmp_path / "other", tmp_path / "installed" / "scr_editor-0.dist-info"
    installed.mkdir(parents=True)
    (installed / "METADATA").write_text("Name: scr-editor\nVersion: 0\n")
    (installed / "entry_points.txt").write_text("[scr.commands]\neval = eval.cli:eval_group\n")
    where = other / "eval" / "__init__.py" if kind == "package" else other / "eval.py"
    where.parent.mkdir(parents=True)
    where.write_text("raise SystemExit('the wrong one')")
    done = run(tmp_path, "eval", path=[installed.parent, other, ROOT])
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert f"'eval' would be imported from {other}" in done.stderr
