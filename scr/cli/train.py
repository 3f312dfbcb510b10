"""``scr train``: SERAC's two parts, a scope classifier and a counterfactual model, from a JSONL of edits."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from scr.cli.opening import quiet_libraries
from scr.cli.options import Command, Group, Session, pass_session
from scr.cli.output import fields
from scr.cli.text import checked

if TYPE_CHECKING:
    from scr.serac.loop import Progress

F = TypeVar("F", bound=Callable[..., Any])
_SAID_EVERY = 30.0
"""Seconds between lines of progress where no bar can be drawn."""


@click.group(
    cls=Group,
    short_help="Train a counterfactual model or a scope classifier.",
    examples="""
        scr train counterfactual --data edits.jsonl --out my-model --epochs 1
    """,
)
def train() -> None:
    """Train the parts of SERAC's second route from a JSONL of edits; neither part sees the model that is edited.

    Each line: {"statement": "…", "prompt": "…", "target_new": "…", "subject": "…", "in_scope": ["…"],
    "out_of_scope": ["…"]}. A query in scope may be {"query": "…", "answer": "…"}; else it is answered by target_new.
    """


def training_options(epochs: float, learning_rate: float, batch: int) -> Callable[[F], F]:
    """What both commands take."""

    def decorate(command: F) -> F:
        for option in (
            click.option("--seed", type=int, default=0, show_default=True, metavar="N"),
            click.option("--batch", type=click.IntRange(1), default=batch, show_default=True, metavar="N"),
            click.option("--learning-rate", type=float, default=learning_rate, show_default=True, metavar="RATE"),
            click.option("--epochs", type=float, default=epochs, show_default=True, metavar="N"),
            click.option("--out", required=True, metavar="DIR", help="Written at the end; a stopped run goes on."),
            click.option("--data", required=True, metavar="FILE", help="JSON lines, as above in scr train --help."),
        ):
            command = option(command)
        return command

    return decorate


@train.command(
    cls=Command,
    short_help="A small model that answers from one edit.",
    examples="""
        scr train counterfactual --data edits.jsonl --out my-model
        scr train counterfactual --data edits.jsonl --out my-model --form serac --epochs 0.5 --json
    """,
)
@training_options(epochs=1.0, learning_rate=5e-4, batch=32)
@click.option("--base", metavar="MODEL", help="Causal or seq2seq; a name or a folder. Without it, the built-in model.")
@click.option("--form", default="quoted", show_default=True, metavar="FORM", help="quoted, serac, or a text of yours.")
@pass_session
def counterfactual(session: Session, /, data: str, base: str | None, out: str, form: str, **options: Any) -> None:
    """Fine-tune MODEL to answer a query from an edit alone, and write DIR for "scr ask --counterfactual DIR".

    FORM says how the two become one text: quoted ('- "{edit}"', an empty line, '{query}'), serac ('{edit} {query}'),
    or any text with {edit} and {query}. Some subjects are held out; the closing figure is taken on them.
    """
    from scr.serac.loop import TrainConfig
    from scr.serac.train_counterfactual import train as run

    _named(data, out)
    quiet_libraries(session)
    config = TrainConfig(**options)
    with _progress(session) as progress:
        report = run(data, base, out, config, form=form, offline=session.settings.offline, progress=progress)
    _told(session, report, out, f'scr ask --route auto --counterfactual {out} "…"')


@train.command(
    cls=Command,
    short_help="SERAC's scope classifier.",
    examples="""
        scr train scope --data edits.jsonl --out my-scope
        scr train scope --data edits.jsonl --out my-scope --batch 32 --frozen 3 --longest 48
    """,
)
@training_options(epochs=1.0, learning_rate=2e-4, batch=16)
@click.option("--base", metavar="ENCODER", help="Hugging Face encoder; a name or a folder. Without it, our own.")
@click.option(
    "--kind",
    type=click.Choice(["embed", "cross"]),
    default="embed",
    show_default=True,
    help="By distance between edit and query, or reading both together.",
)
@click.option("--pooling", type=click.Choice(["cls", "mean"]), help="embed: cls, as published, or mean, for our own.")
@click.option("--scale", type=float, metavar="N", help="embed: of the distance; 1 is published. For our own, measured.")
@click.option("--frozen", type=click.IntRange(0), default=0, metavar="N", help="Lowest layers that are not trained.")
@click.option("--longest", type=click.IntRange(8), default=96, show_default=True, metavar="N", help="Tokens of a text.")
@pass_session
def scope(
    session: Session,
    /,
    data: str,
    base: str | None,
    out: str,
    kind: Any,
    pooling: Any,
    scale: float | None,
    frozen: int,
    longest: int,
    **options: Any,
) -> None:
    """Fine-tune ENCODER to say which edits govern a query, and write DIR for SeracScope.from_pretrained.

    Half of the queries outside an edit's scope are hard: those of the file, and others' that our encoder finds near.
    """
    from scr.encoder import load_encoder
    from scr.scope.serac import ScopeConfig
    from scr.serac.loop import TrainConfig
    from scr.serac.train_scope import train as run

    _named(data, out)
    quiet_libraries(session)
    offline = session.settings.offline
    config = TrainConfig(**options)
    chosen = ScopeConfig(
        kind=kind,
        pooling=pooling or ("cls" if base else "mean"),
        scale=1.0 if scale is None else scale,
        longest=longest,
    )
    fit_scale = scale is None and base is None
    encoder = load_encoder(session.settings.encoder, offline=offline)
    with _progress(session) as progress:
        report = run(
            data,
            base,
            out,
            config,
            chosen,
            encoder,
            frozen=frozen,
            fit_scale=fit_scale,
            offline=offline,
            progress=progress,
        )
    _told(session, report, out, f"EditedModel(…, scope=SeracScope.from_pretrained({out!r}))")


def _named(data: str, out: str) -> None:
    checked(data, "--data", empty="--data is empty; name a JSONL of edits")
    checked(out, "--out", empty="--out is empty; name a folder")


@contextmanager
def _progress(session: Session) -> Iterator["Progress"]:
    """A bar where a person watches; else a line now and then, for a log."""
    import sys
    import time

    if session.quiet or not session.interactive:
        last = time.monotonic()

        def line(done: int, total: int, told: str) -> None:
            nonlocal last
            if not session.quiet and time.monotonic() - last >= _SAID_EVERY:
                last = time.monotonic()
                session.say(f"scr: step {done} of {total}: {told}")

        yield line
        return
    from tqdm import tqdm

    with tqdm(desc="train", unit="step", delay=2, leave=False, file=sys.stderr) as bar:

        def show(done: int, total: int, told: str) -> None:
            bar.total = total
            bar.set_postfix_str(told, refresh=False)
            bar.update(done - bar.n)

        yield show


def _told(session: Session, report: dict[str, Any], out: str, use: str) -> None:
    held = ", ".join(f"{name} {value}" for name, value in report["held_out"].items())
    session.print(
        "scr.train/1",
        {"out": out, **report},
        lambda: fields(
            [
                ("written", out),
                ("steps", f"{report['steps']}, loss {report['loss']}"),
                ("CPU", f"{report['cpu_seconds'] / 60:.1f} minutes"),
                ("held out", held),
                ("use", use),
            ]
        ),
    )
