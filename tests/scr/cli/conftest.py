"""A store of its own for each test, the encoder without a model, and a tiny random model with a chat template."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in (
        "SCR_STORE",
        "SCR_NAMESPACE",
        "SCR_MODEL",
        "SCR_DEVICE",
        "SCR_OFFLINE",
        "NO_COLOR",
        "CI",
        "TERM",
        "SCR_RECORD_USE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SCR_ENCODER", "hash")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    yield


@pytest.fixture
def scr() -> Run:
    """Run a command line in this process; ``result.stdout`` and ``.stderr`` are apart."""
    from scr.cli.app import cli

    def run(*args: str, **options: Any) -> Result:
        return CliRunner().invoke(cli, list(args), **options)

    return run


@pytest.fixture(scope="session")
def tiny_model(tiny_folder: Any) -> str:
    """A folder with a random two-layer Llama that knows a chat template."""
    return str(tiny_folder("llama"))
