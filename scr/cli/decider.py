"""Whom does a command ask whether a fact governs a question? ``--scope``, the same for every command that decides."""

from pathlib import Path
from typing import Any

import click

from scr.config import SCOPES


class Decider(click.ParamType):
    """A decider's name, or the folder of a classifier that ``scr train scope`` wrote."""

    name = "decider"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value)
        if text not in SCOPES and not Path(text).expanduser().is_dir():
            self.fail(
                f"{text!r} is none of {', '.join(SCOPES)}, nor a folder; to make one: "
                "scr train scope --data FILE --out FOLDER",
                param,
                ctx,
            )
        return text


scope_option = click.option(
    "--scope",
    type=Decider(),
    metavar="DECIDER",
    help=f"Who decides whether a fact governs: {', '.join(SCOPES)}, or a folder from scr train scope.",
)

__all__ = ["Decider", "scope_option"]
