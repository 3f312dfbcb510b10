"""``scr eval run``, ``report`` and ``ls``: the side-by-side evaluation from the command line; and ``scr certify``.

Commands for ``eval.cli``'s group, of which ``certify`` also stands by itself; torch is loaded when one of them runs.
"""

from __future__ import annotations

import shlex
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eval.editors.cli import meter
from memory_store.errors import ConfigError
from scr.cli.options import Command, Session, pass_session

if TYPE_CHECKING:
    from eval.cases import Dataset
    from eval.methods import Bench, Spec, Wording

_OUT = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

QUICK = "base,oracle-context,copy,scr,cosine,memit,alphaedit,ft-m,grace"
FULL = f"{QUICK},scr-paper,ike,eren,lightedit,radius,rome,rect,prune,locft-bf"


@click.command(
    "run",
    cls=Command,
    short_help="Run editing methods side by side on the same edits.",
    examples="""
        scr eval run --quick --out quick
        scr eval run --methods base,copy,scr,memit,alphaedit,grace --edits 1,10,100 --out comparison
        scr eval run --methods scr,memit,memit:tuned.json --dataset counterfact --data counterfact.json --out cf
        scr eval run -m ./model --methods base,scr --edits 1,10,100,1000 --orders 3 --out big
        scr eval run -m ./model --device cuda:0 --methods base,scr,memit --workers 2 --out gpu
        scr eval run --methods copy,scr,cosine --edits 100,1000 --ballast 10000 --out large
        scr eval run --methods scr,cosine,scr-paper --edits 100 --withheld --out missing
        scr eval run --methods scr,memit --tuned eval/results/pocket_editors.json --quick --out tuned
    """,
)
@click.option("--methods", help=f"Names with commas between them, or NAME:SETTINGS.json. [default: {FULL}]")
@click.option(
    "--tuned",
    type=_FILE,
    help="Settings by method; each weight editor named without settings gets a row with them too.",
)
@click.option("--dataset", default="atlas", show_default=True, help="One of those that scr eval ls names.")
@click.option("--data", type=_FILE, help="The benchmark's own file; atlas is built in.")
@click.option("--edits", help="Numbers of edits after which is asked; 1 is each edit alone. [default: 1,10,100]")
@click.option(
    "--protocol",
    type=click.Choice(["single", "sequential", "sequential-batch"]),
    default="sequential-batch",
    show_default=True,
    help="How edits are written: each alone, one by one, or in batches.",
)
@click.option("--batch-size", type=click.IntRange(1), help="Edits a batch; otherwise 10 up to the hundredth, then 100.")
@click.option("--orders", type=click.IntRange(1), default=1, show_default=True, help="Shuffles of the edits.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the shuffles.")
@click.option("--probed", type=click.IntRange(1), help="Edits that are asked about at a point. [default: 100]")
@click.option("--fixed", type=click.IntRange(0), help="Untouched facts asked at a point. [default: 200]")
@click.option("--singles", type=click.IntRange(1), help="Edits that are tried alone. [default: 30]")
@click.option("--corpus", type=_FILE, help="Texts for second moments: a JSON list, or one a line.")
@click.option("--bare", is_flag=True, help="Ask and write bare prompts even where the model has a chat template.")
@click.option(
    "--written",
    type=click.Choice(["asked", "raw"]),
    default="asked",
    show_default=True,
    help="Weight editors write an edit as it will be asked, or as raw text, as published, whatever is asked.",
)
@click.option("--max-new-tokens", type=click.IntRange(1), default=24, show_default=True, help="Longest answer.")
@click.option("--ballast", type=click.IntRange(0), default=0, help="Edits about other things in the memory beforehand.")
@click.option("--withheld", is_flag=True, help="Ask about edits that are missing from the memory: is it silent?")
@click.option(
    "--workers",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Processes that share the methods, each with a model of its own and its part of the cores.",
)
@click.option("--again", help="Methods of the run whose rows are set aside and asked anew, with commas between them.")
@click.option("--quick", is_flag=True, help=f"A look, under a minute: {QUICK}; 1 and 10 edits.")
@click.option("--full", is_flag=True, help="Also the methods that write one by one, to the last edit.")
@click.option("--out", type=_OUT, required=True, help="Folder for rows and report; the same command goes on there.")
@pass_session
def run(
    session: Session,
    methods: str | None,
    tuned: Path | None,
    dataset: str,
    data: Path | None,
    edits: str | None,
    protocol: str,
    batch_size: int | None,
    orders: int,
    seed: int,
    probed: int | None,
    fixed: int | None,
    singles: int | None,
    corpus: Path | None,
    bare: bool,
    written: Wording,
    max_new_tokens: int,
    ballast: int,
    withheld: bool,
    workers: int,
    again: str | None,
    quick: bool,
    full: bool,
    out: Path,
) -> None:
    """Give every method the same edits and the same questions, and write a report.

    Answers are generated and compared whole; teacher-forced figures stand apart. Interrupted, even by kill -9, the
    same command goes on where it was.
    """
    from eval.report import HTML_FILE, MARKDOWN_FILE, write_report
    from eval.runner import RunConfig
    from eval.runner import run as run_all

    points = numbers(edits) if edits else (1,) if protocol == "single" else (1, 10) if quick else (1, 10, 100)
    specs = specs_of(methods or (QUICK if quick else FULL), tuned)
    config = RunConfig(
        dataset=dataset,
        points=points,
        protocol=protocol,  # type: ignore[arg-type]
        batch=batch_size,
        orders=orders,
        seed=seed,
        singles=singles or (3 if quick else 30),
        probed=probed or (10 if quick else 100),
        fixed=(20 if quick else 200) if fixed is None else fixed,
        slow_edits=points[-1] if full else 100,
        chat=False if bare else None,
        written=written,
        max_new_tokens=max_new_tokens,
        ballast=ballast,
        withheld=withheld,
    )
    cases = load_cases(session, dataset, data)
    load = loaded_bench(session, chat=config.chat, written=config.written, max_new_tokens=max_new_tokens, corpus=corpus)
    started = time.monotonic()
    run_all(
        cases,
        specs,
        load(),
        config,
        out,
        command=command(),
        model=session.settings.model or "pocket",
        again=[label.strip() for label in again.split(",")] if again else (),
        progress=meter(session),
        workers=workers,
        load=load,
    )
    result = write_report(out)
    told = {
        "out": str(out),
        "methods": list(result.methods),
        "points": result.points,
        "report": str(out / HTML_FILE),
        "table": str(out / MARKDOWN_FILE),
        "seconds": round(time.monotonic() - started, 1),
    }
    session.print(
        "scr.eval.run/1",
        told,
        lambda: _report_text(out),
    )


@click.command(
    "report",
    cls=Command,
    short_help="Write a run's report again: one HTML page and a Markdown table.",
    examples="""
        scr eval report comparison
        scr eval report comparison --json > figures.json
        scr eval report comparison --keep results
    """,
)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--keep", type=_OUT, help="Also write headline.json and headline.svg, for a README, into this folder.")
@pass_session
def report(session: Session, folder: Path, keep: Path | None) -> None:
    """Compute every figure from FOLDER's rows again and write its report; --json prints the figures too."""
    from eval.report import SCHEMA, as_json, write_report

    result = write_report(folder)
    if keep is not None:
        from eval.headline import keep as write_headline

        for path in write_headline(result, keep):
            session.say(f"wrote {path}")
    session.print(
        SCHEMA,
        as_json(result) if session.json else {},
        lambda: _report_text(folder),
    )


@click.command(
    "certify",
    cls=Command,
    short_help="Does editing by memory work on your model? One page.",
    examples="""
        scr certify -m Qwen/Qwen2.5-0.5B-Instruct
        scr certify -m ./model --n 100 --out page.md --json > page.json
    """,
)
@click.option("--n", type=click.IntRange(1, 1000), default=200, show_default=True, help="Facts to ask about.")
@click.option("--minutes", type=float, default=15.0, show_default=True, help="Time; fewer facts where it runs out.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the page here too, as Markdown.")
@pass_session
def certify(session: Session, n: int, minutes: float, out: Path | None) -> None:
    """Measure the model that -m names: what it knows, whether it says what it is told, and a memory in front of it."""
    from eval.certify import SCHEMA
    from eval.certify import certify as measure
    from eval.methods import Bench
    from scr.edited_model import EditedModel
    from scr.language_model import load_model

    given = session.settings
    model, tokenizer = load_model(given.model, offline=given.offline, device=given.device)
    bench = Bench(model, tokenizer, max_new_tokens=32, encoder=given.encoder, offline=given.offline)
    edited = EditedModel(model, tokenizer, encoder=bench.encoder, offline=given.offline)
    found = measure(
        bench,
        edited,
        facts=n,
        minutes=minutes,
        model=given.model or "pocket",
        progress=partial(meter(session), "facts"),
    )
    if out is not None:
        out.write_text(found.as_markdown(), encoding="utf-8")
    session.print(SCHEMA, found.as_json(), found.as_markdown)


@click.command(
    "abilities",
    cls=Command,
    short_help="What is left of general abilities: lm-evaluation-harness asks an editor with its memory full.",
    examples="""
        scr eval abilities
        scr eval abilities -m ./model --methods base,scr,memit --edits 100 --tasks arc_easy --limit 200
        scr eval abilities --tasks mine --include ./tasks --json
    """,
)
@click.option("--methods", default="base,scr", show_default=True, help="Names with commas between them.")
@click.option("--tasks", help="Names of tasks. [default: two that are built in, made from facts no edit touches]")
@click.option(
    "--include", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Folder of task files of your own."
)
@click.option("--edits", type=click.IntRange(1, 1000), default=100, show_default=True, help="Edits in the memory.")
@click.option("--limit", type=click.IntRange(1), help="Questions a task. [default: all]")
@pass_session
def abilities(
    session: Session, methods: str, tasks: str | None, include: Path | None, edits: int, limit: int | None
) -> None:
    """Write Atlas's first edits by each method and have the harness ask it; needs pip install 'scr-editor[eval]'."""
    import tempfile
    from dataclasses import asdict

    from eval.atlas import load_atlas
    from eval.editors.cli import default_cache
    from eval.harness import BUILT_IN, write_tasks
    from eval.harness import abilities as measure
    from eval.methods import Bench, make_editor
    from scr.cli.output import table
    from scr.language_model import load_model

    specs = specs_of(methods, None)
    names = [name.strip() for name in tasks.split(",")] if tasks else list(BUILT_IN)
    given = session.settings
    model, tokenizer = load_model(given.model, offline=given.offline, device=given.device)
    bench = Bench(model, tokenizer, encoder=given.encoder, offline=given.offline, cache=default_cache())
    rows = []
    with tempfile.TemporaryDirectory() as made:
        folder = include if include is not None else None if tasks else write_tasks(Path(made))
        for spec in specs:
            session.say(f"{spec.label}: {edits} edits, {', '.join(names)}")
            with make_editor(spec, bench, {}) as editor:
                editor.edit([case.edit for case in load_atlas(edits).cases])
                found = measure(editor, bench, names, include=folder, limit=limit)
            rows += [{"method": spec.label, **asdict(ability)} for ability in found]
    session.print(
        "scr.eval.abilities/1",
        {"model": given.model or "pocket", "edits": edits, "rows": rows},
        lambda: table(
            [
                [
                    str(row["method"]),
                    str(row["task"]),
                    str(row["measure"]),
                    f"{row['value']:.3f}",
                    "–" if row["error"] is None else f"{row['error']:.3f}",
                    str(row["n"]),
                ]
                for row in rows
            ],
            header=("method", "task", "measure", "value", "standard error", "n"),
        ),
    )


@click.command(
    "ls",
    cls=Command,
    short_help="Methods, data sets, and what a folder holds.",
    examples="""
        scr eval ls
        scr eval ls comparison
    """,
)
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@pass_session
def ls(session: Session, folder: Path | None) -> None:
    """List what can be compared and on what; or how far the run in FOLDER is."""
    if folder is not None:
        _ls_run(session, folder)
        return
    from eval.datasets import ABOUT, NOT_READ
    from eval.methods import ENTRIES, NOT_INCLUDED
    from scr.cli.output import table

    told = {
        "methods": {name: {"family": e.family, "about": e.about} for name, e in ENTRIES.items()},
        "not_included": NOT_INCLUDED,
        "datasets": ABOUT,
        "not_read": NOT_READ,
    }

    def as_text() -> str:
        # Every parametric method also goes under rect- and prune-; the bare names say enough.
        shown = [(n, e) for n, e in ENTRIES.items() if not n.startswith(("rect-", "prune-"))]
        lines = [table([[n, e.family, e.about] for n, e in shown], header=("method", "family", "what"))]
        lines.append("rect-… and prune-… go before every method that writes weights; alone they are over memit.")
        lines += [f"{name} is not included: {why}." for name, why in NOT_INCLUDED.items()]
        lines += ["", table([[n, about] for n, about in ABOUT.items()], header=("data set", "what"))]
        lines += [f"{name} has no loader: {why}." for name, why in NOT_READ.items()]
        return "\n".join(lines)

    session.print("scr.eval.ls/1", told, as_text)


def _ls_run(session: Session, folder: Path) -> None:
    from eval.runner import METHODS_FOLDER, Journal, file_of, read_manifest
    from scr.cli.output import table

    manifest = read_manifest(folder)
    rows = []
    for label in manifest["methods"]:
        path = folder / METHODS_FOLDER / file_of(label)
        found = Journal.read(path)
        points = sorted({row["point"] for row in found if row.get("event") == "point"})
        done = any(row.get("event") == "done" for row in found)
        failed = sum(row.get("event") == "failed" for row in found)
        answers = sum("answer" in row for row in found)
        rows.append({"method": label, "points": points, "answers": answers, "failed": failed, "finished": done})
    told = {"run": manifest, "progress": rows}

    def as_text() -> str:
        cells = [
            [
                str(row["method"]),
                ", ".join(map(str, row["points"])) or "–",
                str(row["answers"]),
                "failed" if row["failed"] else "finished" if row["finished"] else "to be continued",
            ]
            for row in rows
        ]
        lines = [table(cells, header=("method", "points", "answers", "state"))]
        lines.append(f"again, or on: {shlex.join(manifest['command'])}")
        return "\n".join(lines)

    session.print("scr.eval.ls/1", told, as_text)


def specs_of(methods: str, tuned: Path | None) -> list[Spec]:
    """The methods that ``--methods`` names, weight editors with the settings of ``--tuned`` too."""
    from eval.methods import read_spec, with_tuned

    specs = [read_spec(name) for name in methods.split(",") if name.strip()]
    if not specs:
        raise ConfigError(
            f"--methods {methods!r} names none; take some of those that scr eval ls names: base,scr,memit"
        )
    return specs if tuned is None else with_tuned(specs, tuned)


def load_cases(session: Session, dataset: str, data: Path | None) -> Dataset:
    """The data set that ``--dataset`` and ``--data`` name; rows kept and dropped are told of."""
    from eval.datasets import load_dataset

    found = load_dataset(dataset, data)
    session.say(found.described())
    return found


def loaded_bench(session: Session, *, corpus: Path | None, **options: Any) -> partial[Bench]:
    """What makes a bench around the session's model, here or in another process."""
    from eval.editors.cli import default_cache
    from eval.editors.sweep import read_corpus
    from eval.methods import load_bench

    given = session.settings
    return partial(
        load_bench,
        given.model,
        device=given.device,
        offline=given.offline,
        encoder=given.encoder,
        corpus=read_corpus(corpus) if corpus is not None else None,
        cache=default_cache(),
        **options,
    )


def numbers(text: str) -> tuple[int, ...]:
    """Whole numbers with commas between them.

    >>> numbers("1,10, 100")
    (1, 10, 100)

    Raises:
        ConfigError: something else.
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise ConfigError(
            f"--edits takes numbers with commas between them, such as --edits 1,10,100; got {text!r}"
        ) from error


def command() -> list[str]:
    """The line as typed, without the program's own path and without what is only for this once."""
    import sys

    words = ["scr", *sys.argv[1:]]
    for at in [i for i, word in enumerate(words) if word == "--again"][::-1]:
        del words[at : at + 2]
    return [word for word in words if not word.startswith("--again=")]


def _report_text(folder: Path) -> str:
    """The report's table, and where the page lies."""
    from eval.report import HTML_FILE, MARKDOWN_FILE

    return f"{(folder / MARKDOWN_FILE).read_text(encoding='utf-8')}\nwritten to {folder / HTML_FILE}"


__all__ = ["FULL", "QUICK", "abilities", "certify", "ls", "report", "run"]
