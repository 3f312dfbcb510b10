"""Which command was meant, and how does it end? The group ``scr``, its errors and its exit codes.

Commands are imported when they are called; commands of other packages (entry points ``scr.commands``) are looked for
only when a name is unknown here.
"""

import contextlib
import difflib
import importlib
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import click

from memory_store.errors import ScrError
from scr.cli.options import Command, Group, Session
from scr.cli.output import one_line, print_json
from scr.cli.shadow import shadow_message, shadowed_by

SECTIONS: Mapping[str, Mapping[str, str]] = {
    "Ask": {
        "ask": "scr.cli.ask:ask",
        "chat": "scr.cli.chat:chat",
        "why": "scr.cli.why:why",
        "prove": "scr.cli.prove:prove",
    },
    "Facts": {
        "add": "scr.cli.add:add",
        "ls": "scr.cli.facts:ls",
        "show": "scr.cli.facts:show",
        "search": "scr.cli.facts:search",
        "rm": "scr.cli.facts:rm",
        "import": "scr.cli.exchange:import_",
        "export": "scr.cli.exchange:export",
    },
    "When a fact fires": {
        "allow": "scr.cli.corrections:allow",
        "deny": "scr.cli.corrections:deny",
        "alias": "scr.cli.alias:alias",
        "test": "scr.cli.corrections:test",
        "preview": "scr.cli.preview:preview",
        "calibrate": "scr.cli.calibrate:calibrate",
        "recheck": "scr.cli.recheck:recheck",
    },
    "History": {
        "undo": "scr.cli.history:undo",
        "redo": "scr.cli.history:redo",
        "revert": "scr.cli.history:revert",
        "diff": "scr.cli.history:diff",
        "log": "scr.cli.history:log",
    },
    "Store and system": {
        "train": "scr.cli.train:train",
        "store": "scr.cli.store:store",
        "env": "scr.cli.system:env",
        "completion": "scr.cli.system:completion",
    },
}
"""Each command and the ``module:attribute`` where it is; the sections of the help page."""

EXIT_CODES: Mapping[int, str] = {
    0: "ok",
    1: "run-time error",
    2: "usage: what was typed cannot be right",
    3: "not found: an unknown id, or a namespace or store that is not there",
    4: "conflict: a write needs your decision",
    5: "a check failed (test, recheck, prove, log --verify, store doctor)",
    6: "the store is locked, damaged, or of another encoder",
    7: "a model or encoder is not available",
    10: "ask --exit-code: no fact fired",
    130: "interrupted",
}


class ScrGroup(Group):
    """Commands by name; a bare question is ``ask``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for commands in SECTIONS.values() for name in commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for commands in SECTIONS.values():
            if cmd_name in commands:
                module, _, attribute = commands[cmd_name].partition(":")
                command = getattr(importlib.import_module(module), attribute)
                assert isinstance(command, click.Command)
                return command
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        command = self.get_command(ctx, name)
        if command is not None:
            return name, command, args[1:]
        if looks_like_question(name):
            return "ask", self.get_command(ctx, "ask"), args
        command = _plugin(name)
        if command is not None:
            return name, command, args[1:]
        raise click.UsageError(_unknown(name, args, self.list_commands(ctx)), ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in SECTIONS.items():
            with formatter.section(title):
                commands = [(name, self.get_command(ctx, name)) for name in names]
                formatter.write_dl([(n, c.get_short_help_str(70)) for n, c in commands if c is not None])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in EXIT_CODES.items()])
        with formatter.section("Environment"):
            formatter.write_text(
                "SCR_STORE, SCR_NAMESPACE, SCR_MODEL, SCR_ENCODER, SCR_DEVICE, SCR_OFFLINE, "
                "SCR_RECORD_USE, NO_COLOR. "
                "An option beats the environment; scr env shows what holds and where it comes from."
            )
        super().format_epilog(ctx, formatter)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> NoReturn:
        """Run and exit; every error becomes one line and a documented code."""
        given = list(sys.argv[1:] if args is None else args)
        try:
            code = super().main(given, prog_name or "scr", complete_var, standalone_mode=False, **extra)
            sys.stdout.flush()
        except BrokenPipeError:
            # The reader has gone: it has what it wanted. Nothing may be flushed at the interpreter's end either.
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = 0
        except BaseException as error:
            code = _report(error, given)
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise _ReaderGone from error  # click would end with code 1


class _ReaderGone(BaseException):
    """Whoever read our output has closed it."""


def _report(error: BaseException, args: Sequence[str]) -> int:
    """Say what went wrong in one line, or as a JSON object, and return the exit code."""
    own = list(args[: args.index("--")] if "--" in args else args)
    verbose = "-v" in own or "--verbose" in own
    step = ""
    match error:
        case _ReaderGone():
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        case SystemExit():
            return error.code if isinstance(error.code, int) else 1
        case click.Abort() | KeyboardInterrupt():
            message, code = "interrupted", 130
        case click.ClickException():
            message, code = one_line(error.format_message()).rstrip("."), error.exit_code
            ctx = getattr(error, "ctx", None)
            if ctx is not None and " --help" not in message and "; " not in message:
                step = f"see: {ctx.command_path} --help"
        case ScrError():
            message, code = one_line(str(error)), error.exit_code
        case OSError() if type(error) is not OSError or error.strerror:
            where = f": {error.filename}" if error.filename else ""
            message, code = one_line(f"{error.strerror or error}{where}"), 1
        case Exception():
            what = f"unexpected {type(error).__name__}: {error}" if str(error) else f"unexpected {type(error).__name__}"
            message, code = one_line(what), 1
            step = "" if verbose else "run again with -v for the traceback"
        case _:
            raise error
    if verbose and code not in (2, 130):
        traceback.print_exception(error)
    if "--json" in own:
        head, _, tail = message.partition("; ")
        print_json(
            {
                "schema": "scr.error/1",
                "error": head if not step else message,
                "exit_code": code,
                "next": step or tail,
            }
        )
    else:
        with contextlib.suppress(OSError, ValueError):
            click.echo(f"scr: {message}" + (f"; {step}" if step else ""), err=True)
    return code


def looks_like_question(text: str) -> bool:
    """Whether a first argument that is no command is meant as a question.

    >>> looks_like_question("Who?"), looks_like_question("the capital of France"), looks_like_question("adn")
    (True, True, False)
    """
    return any(c.isspace() for c in text.strip()) or text.strip().endswith(("?", "？", "؟", "⸮"))


def _unknown(name: str, args: Sequence[str], known: Sequence[str]) -> str:
    if not name.strip():
        return 'the question is empty; try: scr "What is the capital of France?"'
    near = difflib.get_close_matches(name.lower(), known, n=1)
    unquoted = args[-1].endswith("?") or not near
    if len(args) > 1 and unquoted and not any(" " in a or a.startswith("-") for a in args):
        return f'no such command {name!r}; put a question in quotes: scr "{" ".join(args)[:60]}"'
    if near:
        return f"no such command {name!r}, did you mean {near[0]!r}? (a question needs quotes or a '?')"
    return f"no such command {name!r}; see scr --help, or end a question with '?'"


def _plugin(name: str) -> click.Command | None:
    """A command that another package brings, such as ``scr eval``; None when nobody brings it."""
    from importlib.metadata import entry_points

    for entry in entry_points(group="scr.commands", name=name):
        package = entry.module.partition(".")[0]
        ours = entry.dist is not None and entry.dist.name == "scr-editor"
        if ours and (other := shadowed_by(package)) is not None:
            raise click.ClickException(shadow_message(package, other))
        try:
            command = entry.load()
        except ImportError as error:
            raise click.ClickException(f"cannot load the command {name!r} from {entry.value}: {error}") from error
        if isinstance(command, click.Command):
            return command
        raise click.ClickException(f"{entry.value} is no click command, so 'scr {name}' cannot run it")
    return None


@click.group(
    "scr",
    cls=ScrGroup,
    invoke_without_command=True,
    examples="""
        scr "What is the capital of France?"
        scr add "The capital of France is Lyon."
        scr ask --why "What is the capital of France?"
        scr ls
    """,
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=lambda ctx, param, asked: _version(ctx, asked),
    help="Show the version and exit.",
)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Correct what a language model knows, without touching its weights.

    A fact goes into a memory; a question that a fact governs is answered with that fact before the model's eyes; every
    other question reaches the model byte for byte. A bare question is "scr ask". Measuring: scr eval --help.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def _version(ctx: click.Context, asked: bool) -> None:
    if asked:
        from scr.cli.system import version_of

        click.echo(f"scr {version_of('scr-editor')}")
        ctx.exit()


__all__ = ["EXIT_CODES", "SECTIONS", "Command", "Session", "cli", "looks_like_question"]
