"""What does one setting of a method do? The same edits written with each of its values, and asked about alike.

A value is a run of its own (``eval.runner``) in a folder of its own, so that a sweep goes on where it was interrupted
and every answer can be looked at; the unedited model is asked once. Swept are the batch size, the edited layer, λ (what
the second moment of preserved keys weighs), or any number among a method's settings. For the batch size there are two
experiments, not to be mixed up (arXiv:2405.00664): the same edits in batches of each size, or, with ``alone``, one
single batch of each size.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from html import escape
from pathlib import Path
from typing import Any

from eval import pictures
from eval.cases import Dataset
from eval.editors.build import configured
from eval.methods import Bench, Spec
from eval.pictures import Axis, Chart, Point, Value
from eval.report import INTERVALS, figure_of, page_of, table_of
from eval.room import room
from eval.runner import BASE_FILE, RunConfig, run
from eval.scores import FORCED, GENERATED, HEADLINE, MethodResult, read_result
from memory_store.errors import ConfigError

JSON_FILE, HTML_FILE = "sweep.json", "sweep.html"
SCHEMA = "scr.eval.sweep/1"
BATCH = "batch-size"
_DRAWN: Mapping[str, Sequence[str]] = {"generated": HEADLINE, "teacher_forced": [metric.name for metric in FORCED]}
_LAMBDAS = ("mom2_update_weight", "L2")


@dataclass(frozen=True, slots=True)
class Swept:
    """What came of one value."""

    value: float
    point: int
    """Edits written."""
    method: MethodResult


def setting_of(method: str, model: Any, over: str, value: float) -> dict[str, Any]:
    """A method's settings for one value of ``layer``, ``lambda`` or a setting by its own name.

    Raises:
        ConfigError: the method has no such setting.
    """
    config, _ = configured(method, model, {})
    known = {field.name for field in fields(config)}
    if over == "layer" and "layers" in known:
        return {"layers": [_whole(over, value)]}
    name = next((n for n in _LAMBDAS if n in known), None) if over == "lambda" else over
    if name not in known:
        numbers = sorted(n for n in known if isinstance(getattr(config, n), int | float))
        raise ConfigError(f"{method} has no {over} to sweep; {BATCH} always can be, and here {', '.join(numbers)}")
    now = getattr(config, name)
    if isinstance(now, bool):
        raise ConfigError(f"{name} is true or false, no number to sweep; put it into the settings file of {method}")
    return {name: _whole(name, value) if isinstance(now, int) else value}


def _whole(name: str, value: float) -> int:
    if value != int(value):
        raise ConfigError(f"{name} takes whole numbers, got {value:g}; leave it out of --values")
    return int(value)


def sweep(
    dataset: Dataset,
    spec: Spec,
    over: str,
    values: Sequence[float],
    bench: Bench,
    config: RunConfig,
    out: Path,
    *,
    alone: bool = False,
    command: Sequence[str] = (),
    model: str = "",
    progress: Callable[[str, int, int], None] | None = None,
) -> list[Swept]:
    """Run every value that is not finished yet, and read all.

    Args:
        over: ``batch-size``, ``layer``, ``lambda``, or a setting's own name.
        alone: of batch sizes, one batch of each instead of the same edits in batches.

    Raises:
        ConfigError: fewer than two values, one that is out of range, or a method without the setting.
    """
    if len(set(values)) < 2:
        raise ConfigError(f"a sweep needs at least two different values, got {_shown(values)}")
    if spec.entry.family != "parametric":
        raise ConfigError(f"{spec.name} has no settings to sweep; take a weight editor")
    if over == BATCH and any(value < 1 or value != int(value) for value in values):
        raise ConfigError(f"batch sizes are whole numbers from 1, got {_shown(values)}")
    planned = []
    for value in sorted(set(values)):
        one, chosen = config, spec
        if over == BATCH:
            one = replace(config, batch=int(value), points=(int(value),) if alone else config.points)
        else:
            given = json.loads(spec.settings) if spec.settings else {}
            chosen = Spec(spec.name, json.dumps({**given, **setting_of(spec.name, bench.model, over, value)}), over)
            room(chosen, bench)  # refuses a value before anything runs
        planned.append((value, one, chosen, out / f"{over}-{value:g}"))
    found, answered = [], None
    for value, one, chosen, folder in planned:
        folder.mkdir(parents=True, exist_ok=True)
        if answered is not None and not (folder / BASE_FILE).exists():
            shutil.copy(answered, folder / BASE_FILE)
        run(dataset, [chosen], bench, one, folder, command=command, model=model, progress=progress)
        answered = folder / BASE_FILE
        found.append(Swept(value, one.points[-1], read_result(folder).methods[chosen.label]))
    return found


def _shown(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values) or "none"


def told(found: Sequence[Swept], over: str, about: Mapping[str, Any]) -> dict[str, Any]:
    """Every figure with its interval, generated and teacher-forced apart."""
    rows = []
    for one in found:
        row: dict[str, Any] = {over: one.value, "edits": one.point, "generated": {}, "teacher_forced": {}}
        for metric in (*GENERATED, *FORCED):
            figure = one.method.figure(metric.name, one.point)
            if figure is not None:
                i = figure.interval
                row[metric.decoding][metric.name] = {"value": i.value, "low": i.low, "high": i.high, "edits": i.units}
        if (score := one.method.score(one.point)) is not None:
            row["teacher_forced"]["S"] = {"value": score}
        row["perplexity"] = (one.method.event(one.point) or {}).get("perplexity")
        row["failures"] = one.method.failures
        rows.append(row)
    return {"over": over, **about, "rows": rows}


def picture(result: Mapping[str, Any]) -> str:
    """Generated and teacher-forced figures over the values, a chart each.

    Raises:
        ConfigError: nothing was measured.
    """
    over = result["over"]
    values = [row[over] for row in result["rows"]]
    x = pictures.log_axis(over, values, ticks=values) if over != "layer" and min(values) > 0 else _even(over, values)
    charts = []
    for family, names in _DRAWN.items():
        lines = {
            name: [
                Point(row[over], Value(f["value"], f["low"], f["high"]))
                for row in result["rows"]
                if (f := row[family].get(name)) is not None
            ]
            for name in names
        }
        if any(lines.values()):
            charts.append(Chart(family.replace("_", "-"), x, pictures.share_axis("share of edits"), lines))
    names = [name for some in _DRAWN.values() for name in some]
    return pictures.grid(f"{result['method']}: {over}", charts, pictures.styles(names), columns=2, wide=270.0)


def _even(label: str, values: Sequence[float]) -> Axis:
    room = (max(values) - min(values)) * 0.05
    return Axis(label, min(values) - room, max(values) + room, tuple(values))


def rows_of(
    result: Mapping[str, Any], families: Sequence[str] = tuple(_DRAWN), *, brief: bool = False
) -> tuple[list[str], list[list[str]]]:
    """A header and a row a value: generated figures, then the teacher-forced ones, each marked.

    Args:
        brief: only those that are drawn, and without intervals.
    """
    over = result["over"]
    columns = [
        (family, name)
        for family in families
        for name in dict.fromkeys(name for row in result["rows"] for name in row[family])
        if not brief or name in (*_DRAWN[family], "S")
    ]
    header = [over, "edits", *(name + (" (forced)" if f == "teacher_forced" else "") for f, name in columns)]
    header.append("perplexity")
    rows = []
    for row in result["rows"]:
        cells = [f"{row[over]:g}", str(row["edits"])]
        for family, name in columns:
            figure = row[family].get(name)
            cells.append("–" if figure is None else f"{figure['value']:.3f}" if brief else _cell(figure))
        ppl = row["perplexity"]
        rows.append([*cells, "no number" if ppl is None else f"{ppl:.3g}"])
    return header, rows


def _cell(figure: Mapping[str, float]) -> str:
    return f"{figure['value']:.3f}" + (f" [{figure['low']:.3f}, {figure['high']:.3f}]" if "low" in figure else "")


def write(result: Mapping[str, Any], out: Path) -> None:
    """``sweep.json`` and ``sweep.html``, each whole or not at all."""
    title = f"{result['method']} over {result['over']}"
    trouble = [f"{row[result['over']]:g}: {why}" for row in result["rows"] for why in row["failures"]]
    body = (
        f"<h1>{escape(title)}</h1><p>{escape(result['about'])}</p>"
        + figure_of(picture(result), f"{INTERVALS}: bootstrap over subjects. The two families stand apart.")
        + "".join(table_of(*rows_of(result, [family])) for family in _DRAWN)
        + "".join(f'<p class="warn">Failed at {escape(text)}</p>' for text in trouble)
        + f"<p>To run it again:</p><pre>{escape(shlex.join(result['command']))}</pre>"
    )
    for name, content in (
        (JSON_FILE, json.dumps(result, indent=1, ensure_ascii=False) + "\n"),
        (HTML_FILE, page_of(title, body)),
    ):
        fresh = out / (name + ".new")
        fresh.write_text(content, encoding="utf-8")
        os.replace(fresh, out / name)


__all__ = [
    "BATCH",
    "HTML_FILE",
    "JSON_FILE",
    "SCHEMA",
    "Swept",
    "picture",
    "rows_of",
    "setting_of",
    "sweep",
    "told",
    "write",
]
