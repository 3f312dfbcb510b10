"""``scr eval attribution``, ``sweep`` and ``judge``: what of a figure is the method's, and what its measure's?

Commands for ``eval.cli``'s group; torch is loaded when one of them runs.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eval.commands import command, load_cases, loaded_bench, specs_of
from eval.editors.cli import meter
from memory_store.errors import ConfigError
from scr.cli.options import Command, Session, pass_session

if TYPE_CHECKING:
    from eval.attribution import Attribution, Setting
    from eval.methods import Wording

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_OUT = click.Path(file_okay=False, path_type=Path)


@click.command(
    "attribution",
    cls=Command,
    short_help="From teacher-forced to generated: what each module of the protocol takes away.",
    examples="""
        scr eval attribution --methods base,memit,ft-m,grace
        scr eval attribution --methods scr,memit --n 30 --written asked --json
        scr eval attribution --methods ft-m,grace --prompt bare --n 20
        scr eval attribution --methods memit --prompt instruction --decoding greedy --truncation natural
        scr eval attribution -m ./model --methods rome --dataset zsre --data zsre.json
        scr eval attribution --methods grace --order decoding,truncation,prompt,metric
    """,
)
@click.option("--methods", default="base,ft-m,memit,grace", show_default=True, help="Names with commas between them.")
@click.option("--tuned", type=_FILE, help="Settings by method, as for scr eval run.")
@click.option("--dataset", default="atlas", show_default=True, help="One of those that scr eval ls names.")
@click.option("--data", type=_FILE, help="The benchmark's own file; atlas is built in.")
@click.option("--n", type=click.IntRange(1), default=20, show_default=True, help="Edits, each alone.")
@click.option(
    "--order",
    default="prompt,decoding,truncation,metric",
    show_default=True,
    help="In which order the modules are switched from the synthetic choice to the wild one.",
)
@click.option("--prompt", type=click.Choice(["bare", "instruction"]), help="Stays so in every column.")
@click.option("--decoding", type=click.Choice(["forced", "greedy"]), help="Stays so in every column.")
@click.option("--truncation", type=click.Choice(["target", "natural"]), help="Stays so in every column.")
@click.option("--metric", type=click.Choice(["ratio", "exact"]), help="Stays so in every column.")
@click.option(
    "--written",
    type=click.Choice(["asked", "raw"]),
    default="raw",
    show_default=True,
    help="Weight editors write raw text, as published, or in the form in which it will be asked.",
)
@click.option("--max-new-tokens", type=click.IntRange(1), default=24, show_default=True, help="Longest answer.")
@click.option("--corpus", type=_FILE, help="Texts for second moments: a JSON list, or one a line.")
@pass_session
def attribution(
    session: Session,
    methods: str,
    tuned: Path | None,
    dataset: str,
    data: Path | None,
    n: int,
    order: str,
    prompt: str | None,
    decoding: str | None,
    truncation: str | None,
    metric: str | None,
    written: Wording,
    max_new_tokens: int,
    corpus: Path | None,
) -> None:
    """Score the same edits from the synthetic setting to generated answers, switching one module of four at a time.

    A module that is given stays so; the others walk. Each column has one decoding, forced or greedy.
    """
    from eval.attribution import attribute, ladder
    from eval.cases import spread

    fixed = {"prompt": prompt, "decoding": decoding, "truncation": truncation, "metric": metric}
    settings = ladder(
        [part.strip() for part in order.split(",") if part.strip()], {k: v for k, v in fixed.items() if v}
    )
    specs = specs_of(methods, tuned)
    cases = load_cases(session, dataset, data)
    bench = loaded_bench(session, written=written, max_new_tokens=max_new_tokens, corpus=corpus)()
    found = attribute(
        [cases.cases[i] for i in spread(len(cases.cases), n)], specs, bench, settings, progress=meter(session)
    )
    rows = [
        {
            "method": row.method,
            "kind": row.kind,
            "scores": [
                {
                    "prompt": setting.prompt,
                    "decoding": setting.decoding,
                    "truncation": setting.truncation,
                    "metric": setting.metric,
                    "value": score.value,
                    "low": score.low,
                    "high": score.high,
                }
                for setting, score in zip(settings, row.scores, strict=True)
            ],
        }
        for row in found
    ]
    told: dict[str, Any] = {
        "model": session.settings.model or "pocket",
        "dataset": {"described": cases.described(), "sha256": cases.sha256},
        "edits": found[0].scores[0].units,
        "written": bench.form.name,
        "rows": rows,
    }
    session.print("scr.eval.attribution/1", told, lambda: as_text(found, settings))


@click.command(
    "sweep",
    cls=Command,
    short_help="One setting of a weight editor, value by value: batch size, layer, lambda.",
    examples="""
        scr eval sweep --method memit --over lambda --values 1,10,100,1000 --edits 50 --out lambda
        scr eval sweep --method memit --over layer --values 0,1,2,3,4 --edits 50 --out layers
        scr eval sweep --method alphaedit --over batch-size --values 1,10,100 --edits 100 --out batches
        scr eval sweep --method memit:tuned.json --over batch-size --values 16,64,256 --alone --out single
        scr eval sweep --method rome --over v_lr --values 0.1,0.5,1 --edits 20 --out rates --json
    """,
)
@click.option("--method", required=True, help="A weight editor, or NAME:SETTINGS.json.")
@click.option("--over", required=True, help="batch-size, layer, lambda, or a number among the method's settings.")
@click.option("--values", required=True, help="Numbers with commas between them.")
@click.option("--edits", type=click.IntRange(2), default=50, show_default=True, help="Edits written, then asked about.")
@click.option("--alone", is_flag=True, help="Of batch sizes: one single batch of each, not the same edits in batches.")
@click.option(
    "--batch-size", type=click.IntRange(1), help="Edits a batch, where that is not what is swept. [default: all]"
)
@click.option("--dataset", default="atlas", show_default=True, help="One of those that scr eval ls names.")
@click.option("--data", type=_FILE, help="The benchmark's own file; atlas is built in.")
@click.option("--probed", type=click.IntRange(1), default=50, show_default=True, help="Edits that are asked about.")
@click.option("--fixed", type=click.IntRange(0), default=50, show_default=True, help="Untouched facts that are asked.")
@click.option(
    "--written",
    type=click.Choice(["asked", "raw"]),
    default="asked",
    show_default=True,
    help="How edits are written, as for scr eval run.",
)
@click.option("--max-new-tokens", type=click.IntRange(1), default=24, show_default=True, help="Longest answer.")
@click.option("--corpus", type=_FILE, help="Texts for second moments: a JSON list, or one a line.")
@click.option("--out", type=_OUT, required=True, help="Folder for rows, JSON and page; the same command goes on there.")
@pass_session
def sweep(
    session: Session,
    method: str,
    over: str,
    values: str,
    edits: int,
    alone: bool,
    batch_size: int | None,
    dataset: str,
    data: Path | None,
    probed: int,
    fixed: int,
    written: Wording,
    max_new_tokens: int,
    corpus: Path | None,
    out: Path,
) -> None:
    """Write the same edits with each value of one setting, ask about them alike, and draw what it does."""
    from eval.methods import read_spec
    from eval.runner import RunConfig
    from eval.sweeps import BATCH, HTML_FILE, SCHEMA, rows_of, told, write
    from eval.sweeps import sweep as run_sweep
    from scr.cli.output import table

    if alone and over != BATCH:
        raise ConfigError(f"--alone is for --over {BATCH}; leave it out")
    spec, numbers = read_spec(method), _floats(values)
    cases = load_cases(session, dataset, data)
    config = RunConfig(
        dataset=dataset,
        points=(edits,),
        batch=batch_size or edits,
        probed=probed,
        fixed=fixed,
        slow_edits=max(edits, *map(int, numbers)) if alone else edits,
        written=written,
        max_new_tokens=max_new_tokens,
    )
    bench = loaded_bench(session, written=written, max_new_tokens=max_new_tokens, corpus=corpus)()
    name = session.settings.model or "pocket"
    again, asked = command(), meter(session)
    found = run_sweep(
        cases, spec, over, numbers, bench, config, out, alone=alone, command=again, model=name, progress=asked
    )
    how = "one single batch of each size" if alone else f"{edits} edits"
    about = (
        f"{spec.label} on {name}, {how}; {cases.described()} (sha256 {cases.sha256[:12]}). "
        "Generated answers are greedy, whole, to a natural stop; teacher-forced figures are read with the answer given."
    )
    result = told(found, over, {"method": spec.label, "model": name, "about": about, "command": again})
    write(result, out)
    header, rows = rows_of(result, brief=True)
    session.print(SCHEMA, result, lambda: f"{table(rows, header=header)}\nall figures: {out / HTML_FILE}")


@click.command(
    "judge",
    cls=Command,
    short_help="Have a language model at an address of yours judge a run's answers.",
    examples="""
        scr eval judge comparison --address http://localhost:8000/v1 --judge qwen2.5-72b-instruct
        scr eval judge comparison --address https://api.openai.com/v1 --judge gpt-4o-mini --methods scr,memit --json
    """,
)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--address", required=True, help="Of an OpenAI-compatible server; its key is taken from OPENAI_API_KEY.")
@click.option("--judge", "name", required=True, help="The judge's name there.")
@click.option("--methods", help="Whose answers, with commas between them. [default: all]")
@pass_session
def judge(session: Session, folder: Path, address: str, name: str, methods: str | None) -> None:
    """Put every answer in FOLDER whose right one is known to a judge, and write the report again with its verdicts.

    Questions and answers are sent to ADDRESS. Interrupted, the same command goes on.
    """
    from eval.judge import judge as ask_all
    from eval.judge import remote
    from eval.report import HTML_FILE, write_report

    labels = [part.strip() for part in methods.split(",") if part.strip()] if methods else None
    told = ask_all(folder, remote(address, name), name=name, methods=labels, progress=meter(session))
    write_report(folder)
    session.print(
        "scr.eval.judge/1",
        {"folder": str(folder), "judge": name, **told},
        lambda: f"{told['judged']} judged, {told['unclear']} without a verdict; see {folder / HTML_FILE}",
    )


def _floats(text: str) -> list[float]:
    try:
        found = [float(part) for part in text.split(",")]
        if all(map(math.isfinite, found)):
            return found
    except ValueError:
        pass
    raise ConfigError(f"--values takes numbers with commas between them, such as 1,10,100; got {text!r}")


def as_text(found: list[Attribution], settings: list[Setting]) -> str:
    """A table a kind: methods down, settings across, the modules of each setting above it."""
    from eval.attribution import MODULES
    from scr.cli.output import table

    parts = []
    for kind in dict.fromkeys(row.kind for row in found):
        head = [(kind if m == MODULES[0] else "", m, *(getattr(s, m) for s in settings)) for m in MODULES[1:]]
        rows = [
            (row.method, "", *(f"{s.value:.2f} [{s.low:.2f}, {s.high:.2f}]" for s in row.scores))
            for row in found
            if row.kind == kind
        ]
        first = (kind, MODULES[0], *(s.prompt for s in settings))
        parts.append(table([*head, *rows], header=first))
    units = found[0].scores[0].units
    told = f"{units} edits, each alone; 95 % intervals by bootstrap over subjects; forced and greedy stand apart."
    return "\n\n".join([*parts, told])


__all__ = ["attribution", "judge", "sweep"]
