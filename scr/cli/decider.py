"""Whom does a command ask whether a fact governs a question? ``--scope``, the same for every command that decides."""

from pathlib import Path

import click

from scr.config import SCOPES

HELP = f"{', '.join(SCOPES)}, or a folder from scr train scope."


def decider(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """A decider's name, or the folder of a classifier that ``scr train scope`` wrote, as it was typed.

    Raises:
        click.BadParameter: it is neither.
    """
    if value is not None and value not in SCOPES and not Path(value).expanduser().is_dir():
        raise click.BadParameter(
            f"{value!r} is none of {', '.join(SCOPES)}, nor a folder; to make one: "
            "scr train scope --data FILE --out FOLDER",
            ctx,
            param,
        )
    return value


scope_option = click.option(
    "--scope", callback=decider, metavar="DECIDER", help=f"Who decides whether a fact governs: {HELP}"
)

__all__ = ["HELP", "decider", "scope_option"]
