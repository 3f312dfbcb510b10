"""``scr prove``: does the memory leave alone what no fact governs? Compared bit for bit."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from memory_store.errors import ConfigError
from scr.cli.decider import scope_option
from scr.cli.opening import open_model, progress_bar
from scr.cli.options import Command, Session, pass_session
from scr.cli.output import one_line, table
from scr.cli.text import stdin_lines

if TYPE_CHECKING:
    from scr.prove import Proof

CHECK_FAILED = 5

_PROMPTS = (
    "What is the capital of Japan?",
    "Who wrote Hamlet?",
    "Which language is spoken in Brazil?",
    "What is seven times eight?",
    "Name a fruit.",
    "Is water wet?",
    "Translate 'good morning' into French.",
    "Write one sentence about the sea.",
)
"""Asked where no file is given."""


@click.command(
    cls=Command,
    short_help="Check that what no fact governs is untouched, bit for bit.",
    examples="""
        scr prove
        scr prove prompts.txt
        printf 'Who wrote Hamlet?\\nName a fruit.\\n' | scr prove - --json
    """,
)
@click.argument("prompts_file", required=False, metavar="[FILE|-]")
@click.option("--max-new-tokens", type=click.IntRange(1, 1024), default=16, show_default=True, metavar="N")
@scope_option
@pass_session
def prove(session: Session, prompts_file: str | None, max_new_tokens: int, scope: str | None) -> None:
    """Run prompts (one a line; some of our own without FILE) with and without the memory and compare hashes of the
    logits. Ends with 5 when a prompt that no fact governs differs in a single bit."""
    prompts = _prompts(prompts_file)
    from scr.prove import prove as run

    model = open_model(session, near_misses=0, scope=scope)
    with progress_bar(session, "prove", "prompt") as show:
        proof = run(model, _counted(prompts, show), max_new_tokens=max_new_tokens)
    session.print("scr.prove/1", _data(proof), lambda: _text(proof))
    if not proof.identical:
        click.get_current_context().exit(CHECK_FAILED)


def _prompts(file: str | None) -> list[str]:
    if file is None:
        return list(_PROMPTS)
    if file == "-":
        return [line for _, line in stdin_lines("one prompt a line")]
    try:
        with open(file, encoding="utf-8-sig") as stream:
            prompts = [line.rstrip("\r\n") for line in stream if line.strip()]
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8 text; pass it through iconv -t utf-8") from error
    except OSError as error:
        raise ConfigError(f"cannot read {file} ({error.strerror}); give a file with one prompt a line") from error
    if not prompts:
        raise ConfigError(f"{file} holds no prompt; write one a line")
    return prompts


def _counted(prompts: Sequence[str], show: Callable[[int, int], None]) -> Iterator[str]:
    for number, prompt in enumerate(prompts):
        show(number, len(prompts))
        yield prompt


def _data(proof: "Proof") -> dict[str, Any]:
    return {
        "prompts": proof.prompts,
        "silent": proof.silent,
        "fired": proof.fired,
        "identical": proof.identical,
        "rows": [
            {"prompt": r.prompt, "fired": r.fired, "identical": r.identical, "base": r.base, "edited": r.edited}
            for r in proof.rows
        ],
    }


def _text(proof: "Proof") -> str:
    def verdict(identical: bool, fired: bool) -> str:
        return "fact fired" if fired else "identical" if identical else "DIFFERS"

    rows = [(verdict(r.identical, r.fired), r.base[:12], r.edited[:12], one_line(r.prompt)) for r in proof.rows]
    told = f"{proof.prompts} prompts: {proof.fired} governed by a fact, {proof.silent} not, and "
    told += "each of these gave the same bits" if proof.identical else "not all of these gave the same bits"
    return (
        table(rows, ("RESULT", "ALONE", "WITH MEMORY", "PROMPT"), colours={"identical": "green", "DIFFERS": "red"})
        + "\n\n"
        + told
    )
