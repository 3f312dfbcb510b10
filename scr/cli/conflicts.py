"""What becomes of a fact that contradicts one in memory? The option that ``scr add`` and ``scr import`` share."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from scr.cli.opening import open_editor
from scr.cli.options import Session

if TYPE_CHECKING:
    from scr.config import Settings
    from scr.editor import RetrievalEditor

F = TypeVar("F", bound=Callable[..., Any])


def on_conflict_option(command: F) -> F:
    """Give a command ``--on-conflict``."""
    return click.option(
        "--on-conflict",
        type=click.Choice(["supersede", "keep-both", "reject"]),
        default="reject",
        help="Where a fact contradicts another in other words: take its place, keep both, or refuse it (default).",
    )(command)


def open_judging_editor(session: Session, settings: "Settings") -> "RetrievalEditor":
    """The editor with a decider that is loaded when two facts of one subject give different answers, not before."""
    from scr.scope.deferred import Deferred

    editor = open_editor(session, settings)
    editor.scope = Deferred(settings.scope, editor.encoder)
    return editor
