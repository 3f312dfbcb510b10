"""The house rules that a reader relies on, held over every file by ``ast``."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = {"memory_store": 0, "scr": 1, "eval": 2}
PACKAGES = sorted(p for floor in FLOORS for p in (ROOT / floor).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

PRINTING = {
    "scr/cli/": "the command line",
    "eval/cli": "the command line of evaluation",
    "eval/__main__.py": "the command line of evaluation",
    "eval/benchmarks/": "scripts that print the README's figures",
    "eval/demo.py": "the demonstration",
    "scr/demo.py": "the demonstration",
    "scr/pocket/train.py": "a training script, progress on its terminal",
    "scr/pocket/evaluate.py": "a measuring script",
    "scr/scope/train.py": "a training script",
    "scr/statement_train.py": "a training script",
    "eval/editors/moments.py": "a script that computes second moments",
}
"""Where ``print`` may stand (a file, or all below a prefix), and why. Elsewhere: a module logger."""


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imported(path: Path) -> Iterator[str]:
    """Full names of the modules that a file imports anywhere in it; relative ones resolved."""
    package = path.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = package[: len(package) - node.level + (path.name == "__init__.py")]
                yield ".".join([*base, *([node.module] if node.module else [])])
            elif node.module:
                yield node.module
        elif isinstance(node, ast.Call) and called(node) in ("import_module", "importlib.import_module", "__import__"):
            if node.args and isinstance(node.args[0], ast.Constant):
                yield str(node.args[0].value)


def called(node: ast.Call) -> str:
    """Dotted name of what a call calls; empty where it is an expression."""
    parts: list[str] = []
    function: ast.expr = node.func
    while isinstance(function, ast.Attribute):
        parts.append(function.attr)
        function = function.value
    return ".".join([function.id, *reversed(parts)]) if isinstance(function, ast.Name) else ""


def calls(path: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call))


def test_the_three_packages_are_there() -> None:
    assert {name_of(p).split("/")[0] for p in PACKAGES} == set(FLOORS)


def test_imports_point_down_only() -> None:
    upward = [
        f"{name_of(path)} imports {module}"
        for path in PACKAGES
        for module in imported(path)
        if FLOORS.get(module.split(".")[0], -1) > FLOORS[name_of(path).split("/")[0]]
    ]
    assert upward == []


def test_no_package_imports_the_tests() -> None:
    assert [name_of(p) for p in PACKAGES if any(m.split(".")[0] == "tests" for m in imported(p))] == []


def test_nobody_rebinds_the_builtin_eval() -> None:
    """``import eval``, ``import eval.x`` and any ``… as eval`` or ``from … import eval`` would."""
    found = []
    for path in PACKAGES + TESTS:
        tree = tree_of(path)
        methods = {id(m) for c in ast.walk(tree) if isinstance(c, ast.ClassDef) for m in c.body}
        for node in ast.walk(tree):
            if id(node) in methods:
                continue  # model.eval() rebinds nothing
            bound: list[str | None] = []
            if isinstance(node, ast.Import):
                bound = [alias.asname or alias.name.split(".")[0] for alias in node.names]
                bound += [alias.name for alias in node.names if alias.name == "eval"]
            elif isinstance(node, ast.ImportFrom):
                bound = [alias.asname or alias.name for alias in node.names]
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                bound = [node.name]
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                bound = [node.id]
            elif isinstance(node, ast.arg):
                bound = [node.arg]
            if "eval" in bound:
                found.append(f"{name_of(path)}:{getattr(node, 'lineno', 0)}")
    assert found == []


def test_nobody_calls_the_builtins_that_run_text() -> None:
    assert [f"{name_of(p)}:{c.lineno}" for p in PACKAGES for c in calls(p) if called(c) in ("eval", "exec")] == []


def test_the_memory_knows_numpy_and_faiss_and_no_model_library() -> None:
    allowed = sys.stdlib_module_names | {"memory_store", "numpy", "faiss"}
    foreign = [
        f"{name_of(path)} imports {module}"
        for path in PACKAGES
        if name_of(path).startswith("memory_store/")
        for module in imported(path)
        if module.split(".")[0] not in allowed
    ]
    assert foreign == []


def test_nothing_is_unpickled() -> None:
    pickling = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    found = [f"{name_of(p)} imports {m}" for p in PACKAGES for m in imported(p) if m.split(".")[0] in pickling]
    for path in PACKAGES:
        for call in calls(path):
            options = {k.arg: k.value for k in call.keywords}
            if called(call) == "torch.load" and not is_true(options.get("weights_only")):
                found.append(f"{name_of(path)}:{call.lineno} torch.load without weights_only=True")
            if is_true(options.get("allow_pickle")):
                found.append(f"{name_of(path)}:{call.lineno} allow_pickle=True")
    assert found == []


def test_no_code_from_a_model_repository_is_trusted() -> None:
    found = [
        f"{name_of(path)}:{call.lineno}"
        for path in PACKAGES
        for call in calls(path)
        for option in call.keywords
        if option.arg == "trust_remote_code" and not is_false(option.value)
    ]
    assert found == []


def is_true(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value is True


def is_false(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is False


def test_print_stands_only_where_a_person_reads_it() -> None:
    printing = {name_of(p) for p in PACKAGES if any(called(c) == "print" for c in calls(p))}
    assert {f for f in printing if not f.startswith(tuple(PRINTING))} == set()


def test_every_module_opens_with_what_it_is_for() -> None:
    assert [name_of(p) for p in PACKAGES if not ast.get_docstring(tree_of(p))] == []


def test_no_module_is_called_after_nothing_in_particular() -> None:
    vague = {"utils", "util", "common", "helpers", "helper", "misc", "manager"}
    assert [name_of(p) for p in PACKAGES if {*p.relative_to(ROOT).with_suffix("").parts} & vague] == []


def test_the_test_folders_are_no_packages() -> None:
    """A ``tests/eval/__init__.py`` would be imported as *the* ``eval``."""
    assert [name_of(p) for p in TESTS if p.name == "__init__.py"] == []


@pytest.mark.parametrize("module", ["memory_store", "scr", "scr.statement", "eval"])
def test_importing_loads_nothing_heavy(module: str) -> None:
    heavy = ("torch", "transformers", "faiss", "sentence_transformers", "numpy", "scipy", "sklearn")
    code = (
        f"import importlib, sys; importlib.import_module({module!r}); print([m for m in {heavy!r} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
