"""Which options does every command take, and what do they come to? Accepted before and after the command's name."""

import logging
import os
import sys
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import click

from scr.cli.output import plain_terminal, print_json

if TYPE_CHECKING:
    from scr.config import Settings

P = ParamSpec("P")
R = TypeVar("R")

_META = "scr.cli.global_options"

_GLOBAL: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("-s", "--store"), {"metavar": "FILE", "help": "The store's file (SCR_STORE)."}),
    (("-n", "--namespace"), {"metavar": "NAME", "help": "Whose facts (SCR_NAMESPACE)."}),
    (("-m", "--model"), {"metavar": "MODEL", "help": "Hugging Face name or local folder (SCR_MODEL)."}),
    (("--device",), {"metavar": "DEVICE", "help": "Such as cpu or cuda:0 (SCR_DEVICE)."}),
    (("--offline",), {"is_flag": True, "help": "Never reach for a model hub (SCR_OFFLINE)."}),
    (("--json",), {"is_flag": True, "help": "One JSON object on stdout, errors too."}),
    (("-q", "--quiet"), {"is_flag": True, "help": "No remarks on stderr."}),
    (("-v", "--verbose"), {"is_flag": True, "help": "More remarks; tracebacks."}),
    (("-y", "--yes"), {"is_flag": True, "help": "Do not ask before removing."}),
    (("--no-color",), {"is_flag": True, "help": "No colours (NO_COLOR)."}),
)


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if value is not None:
        # meta is one dict for the whole line, so the option nearest to the command wins.
        ctx.meta.setdefault(_META, {})[param.name] = value


def _global_options(taken: set[str]) -> list[click.Option]:
    """The shared options, without the short forms that a command uses itself."""
    made = []
    for names, settings in _GLOBAL:
        free = [n for n in names if n not in taken]
        if free:
            made.append(click.Option(free, default=None, expose_value=False, callback=_remember, **settings))
    return made


class _WithGlobals(click.Command):
    """A command that also takes the shared options, and shows examples at the end of its help."""

    def __init__(self, *args: Any, examples: str = "", **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", {}).setdefault("help_option_names", ["-h", "--help"])
        super().__init__(*args, **kwargs)
        self.examples = [line.strip() for line in textwrap.dedent(examples).strip().splitlines()]
        taken = {o for p in self.params for o in (*p.opts, *p.secondary_opts)}
        self.shared = _global_options(taken)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        return [*self.params, *self.shared, *filter(None, [self.get_help_option(ctx)])]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        top = ctx.parent is None
        listed = [*self.params, *(self.shared if top else ()), *filter(None, [self.get_help_option(ctx)])]
        # Arguments speak for themselves in the usage line and the text; click shows them here since 8.4 only.
        records = [r for p in listed if isinstance(p, click.Option) and (r := p.get_help_record(ctx)) is not None]
        if records:
            with formatter.section("Options (before or after the command)" if top else "Options"):
                formatter.write_dl(records)
        if not top:
            formatter.write_paragraph()
            names = ", ".join("/".join(o.opts) for o in self.shared)
            formatter.write_text(f"As for every command: {names}; see scr --help.")
        if isinstance(self, click.Group):
            self.format_commands(ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                indent = " " * formatter.current_indent
                formatter.write("".join(f"{indent}{line}\n" for line in self.examples))


class Command(_WithGlobals):
    pass


class Group(_WithGlobals, click.Group):
    command_class = Command


@dataclass(frozen=True)
class Session:
    """One call of the command line: its settings, and how it talks."""

    given: Mapping[str, Any]
    """The shared options as typed; absent where they were not."""

    @property
    def json(self) -> bool:
        return bool(self.given.get("json"))

    @property
    def quiet(self) -> bool:
        return bool(self.given.get("quiet"))

    @property
    def verbose(self) -> bool:
        return bool(self.given.get("verbose"))

    @property
    def yes(self) -> bool:
        return bool(self.given.get("yes"))

    @property
    def interactive(self) -> bool:
        """Whether a person sits there and can be asked."""
        return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty() and not os.environ.get("CI")

    @cached_property
    def settings(self) -> "Settings":
        return self.resolve()

    def resolve(self, **more: Any) -> "Settings":
        from scr.cli.text import checked
        from scr.config import Settings

        names = ("store", "namespace", "model", "device", "offline")
        given = {k: self.given[k] for k in names if k in self.given}
        for name, value in given.items():
            if isinstance(value, str):
                checked(value, f"--{name}", empty=f"--{name} is empty; give a value, or leave it out")
        return Settings.resolve(**given, **more)

    def chose(self, name: str) -> bool:
        """Whether the user set this on the line or in the environment, rather than leaving the default."""
        return name in self.given or bool(os.environ.get(f"SCR_{name.upper()}"))

    def say(self, message: str) -> None:
        """A remark for people, on stderr."""
        if not self.quiet:
            click.secho(message, err=True, dim=True)

    def warn(self, message: str) -> None:
        """Something the user has to know, in one line on stderr, also with --quiet."""
        click.echo(f"scr: {message}", err=True)

    def print(self, schema: str, data: Mapping[str, Any], text: Callable[[], str]) -> None:
        """The result, on stdout: ``data`` as one JSON object with --json, else ``text()`` where it says anything."""
        if self.json:
            print_json({"schema": schema, **data})
        elif shown := text():
            click.echo(shown)


def pass_session(function: Callable[Concatenate[Session, P], R]) -> Callable[P, R]:
    """Give a command its Session as the first argument."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        ctx = click.get_current_context()
        session = Session(ctx.meta.get(_META, {}))
        if session.given.get("no_color") or plain_terminal():
            ctx.color = False
        if session.verbose:
            handler = logging.StreamHandler()
            handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
            logger = logging.getLogger("scr")
            if not logger.handlers:
                logger.addHandler(handler)
            logger.setLevel(logging.INFO)
        return function(session, *args, **kwargs)

    return call
