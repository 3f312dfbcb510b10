"""What is installed is what was tested, and what is shipped is all that is needed."""

import json
import re
import subprocess
import sys
import tomllib
import zipfile
from fnmatch import fnmatch
from importlib.metadata import PackageNotFoundError, distributions, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]
PACKAGES = ("scr", "memory_store", "eval")
RUNTIME = {"torch", "transformers", "faiss-cpu", "sentence-transformers", "numpy", "click"}
INSTALLERS = {"pip", "wheel"}
"""Part of a virtual environment before anything of ours is; their version changes nothing that runs."""
MEBIBYTE = 1 << 20


def pins() -> dict[str, str]:
    """Constraint name to version."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found: dict[str, str] = {}
    for line in (line.split("#")[0].strip() for line in lines):
        if line:
            name, equals, pinned = line.partition("==")
            assert equals, f"{line!r} is not pinned with =="
            found[str(canonicalize_name(name))] = pinned
    return found


def requirements() -> list[Requirement]:
    """Ours, those of the extras and those of the dev group."""
    texts = [*PROJECT["dependencies"], *PYPROJECT["dependency-groups"]["dev"]]
    texts += [text for extra in PROJECT["optional-dependencies"].values() for text in extra]
    return [Requirement(text) for text in texts]


def tracked() -> list[Path]:
    """Files that git knows, that are still there."""
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no git checkout here")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_the_runtime_needs_exactly_six_packages() -> None:
    assert {Requirement(text).name for text in PROJECT["dependencies"]} == RUNTIME


def test_requirements_have_a_lower_bound_and_no_upper_one() -> None:
    operators = {str(r): {s.operator for s in r.specifier} for r in requirements()}
    assert {text: ops for text, ops in operators.items() if ops != {">="}} == {}
    assert PROJECT["requires-python"] == ">=3.11"


def test_constraints_are_public_versions_and_pin_torch() -> None:
    assert pins()["torch"] == "2.13.0"
    assert {name: pinned for name, pinned in pins().items() if Version(pinned).local} == {}


def test_each_name_is_pinned_once() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if "==" in line.split("#")[0]]) == len(pins())


def test_pins_allow_what_the_project_asks_for() -> None:
    pinned = pins()
    assert [str(r) for r in requirements() if not r.specifier.contains(pinned[canonicalize_name(r.name)])] == []


def test_constraints_pin_every_dependency_with_its_own_dependencies() -> None:
    waiting = [(str(canonicalize_name(r.name)), r.extras) for r in requirements()]
    seen: set[str] = set()
    while waiting:
        name, extras = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            needed = requires(name) or []
        except PackageNotFoundError:
            continue  # an extra that is not installed here
        for requirement in map(Requirement, needed):
            wanted = [{"extra": extra} for extra in ("", *extras)]
            if requirement.marker is None or any(requirement.marker.evaluate(w) for w in wanted):
                waiting.append((str(canonicalize_name(requirement.name)), requirement.extras))
    assert seen - set(pins()) - INSTALLERS - {canonicalize_name(PROJECT["name"])} == set()


def test_what_is_installed_here_is_what_the_constraints_say() -> None:
    installed = {str(canonicalize_name(d.metadata["Name"])): d.version for d in distributions() if d.metadata["Name"]}
    other = {
        name: (installed[name], pinned)
        for name, pinned in pins().items()
        if name in installed and name not in INSTALLERS and Version(installed[name]).public != Version(pinned).public
    }
    assert other == {}


def test_packages_are_declared_one_by_one() -> None:
    """``eval*`` would also take a folder named ``evaluation``."""
    declared = PYPROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
    assert sorted(declared) == sorted(pattern for name in PACKAGES for pattern in (name, f"{name}.*"))


def test_every_folder_with_code_is_a_package() -> None:
    folders = {p.parent for p in tracked() if p.suffix == ".py" and p.relative_to(ROOT).parts[0] in PACKAGES}
    assert [str(f.relative_to(ROOT)) for f in folders if not (f / "__init__.py").is_file()] == []


def test_types_are_announced_and_shipped() -> None:
    for name in PACKAGES:
        assert (ROOT / name / "py.typed").is_file()
        assert "py.typed" in PYPROJECT["tool"]["setuptools"]["package-data"][name]


def test_every_tracked_data_file_of_a_package_is_shipped() -> None:
    globs = PYPROJECT["tool"]["setuptools"]["package-data"]
    missing = []
    for path in tracked():
        top, *rest = path.relative_to(ROOT).parts
        # Results and pictures are for readers of the repository; no code reads them.
        if top not in PACKAGES or path.suffix == ".py" or rest[0] == "results":
            continue
        if not any(fnmatch("/".join(rest), glob) for glob in globs[top]):
            missing.append(str(path.relative_to(ROOT)))
    assert missing == []


def test_the_console_script_and_the_eval_commands_are_entry_points() -> None:
    assert PROJECT["scripts"] == {"scr": "scr.cli:main"}
    assert PROJECT["entry-points"]["scr.commands"] == {
        "eval": "eval.cli:eval_group",
        "certify": "eval.commands:certify",
    }


def test_the_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert PROJECT["license"] == "Apache-2.0"
    assert PROJECT["license-files"] == ["LICENSE"]
    assert "Apache License" in text and "Version 2.0, January 2004" in text


def test_no_tracked_file_is_larger_than_20_mebibytes() -> None:
    assert {p.name: p.stat().st_size for p in tracked() if p.stat().st_size > 20 * MEBIBYTE} == {}


def test_no_tracked_text_names_a_path_of_somebodys_machine() -> None:
    homes = re.compile(r"(?<![\w.:/])/(?:" + "|".join(("root", "home", "work", "Users")) + r")/\w")
    found = []
    for path in tracked():
        raw = path.read_bytes()
        if b"\0" not in raw[:8192]:
            found += [f"{path.relative_to(ROOT)}: {m.group()}" for m in homes.finditer(raw.decode("utf-8", "replace"))]
    assert found == []


def test_only_the_agreed_folders_stand_at_the_top() -> None:
    assert {p.relative_to(ROOT).parts[0] for p in tracked() if p.parent != ROOT} <= {
        *PACKAGES,
        "tests",
        ".ci",
        ".github",
    }


def test_no_notebook_cache_or_secret_is_tracked() -> None:
    unwanted = ("*.pyc", "*.ipynb", "*.pkl", "*.pickle", "*.pt", "*.bin", ".env", "*.sqlite", "*.scr")
    assert [str(p.relative_to(ROOT)) for p in tracked() if any(fnmatch(p.name, u) for u in unwanted)] == []


def test_the_lint_hooks_run_offline_and_are_those_of_make_lint() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    assert re.findall(r"repo:\s*(\S+)", hooks) == ["local"]
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert lint
    for command in re.findall(r"\$\(BIN\)/(.+)", lint.group(1)):
        assert f".venv/bin/{command.strip()}" in hooks, f"make lint runs {command!r}, pre-commit does not"


@pytest.mark.slow
def test_a_wheel_holds_the_three_packages_and_their_data(tmp_path: Path) -> None:
    needed = Requirement(PYPROJECT["build-system"]["requires"][0])
    try:
        found = version(needed.name)
    except PackageNotFoundError:
        found = "0"
    if not needed.specifier.contains(found):
        pytest.skip(f"building without a network needs {needed}, found {found}")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    clean = tmp_path / "source"
    for path in tracked():
        copy = clean / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    subprocess.run([*command, "--wheel-dir", str(tmp_path), str(clean)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("scr_editor-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        "/".join(path.relative_to(ROOT).parts)
        for path in tracked()
        if path.relative_to(ROOT).parts[0] in PACKAGES and "results" not in path.relative_to(ROOT).parts
    }
    assert wanted - names == set()
    assert not any(name.startswith(("tests/", "eval/results/")) for name in names)


def test_the_weights_of_the_parser_say_how_they_were_made() -> None:
    data = json.loads((ROOT / "scr" / "statement_weights.json").read_text(encoding="utf-8"))
    assert data["fitted_by"] == "python -m scr.statement_train"
    assert set(data["rows"]) and set(data["options"])
