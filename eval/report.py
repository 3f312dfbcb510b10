"""How does a run become something to read? One HTML page that needs nothing else, a Markdown table, one JSON object.

All figures come from ``eval.scores``; this file only lays them out. The page says what was measured, on what, how sure
it is, what it rests on and the command that makes it again.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from eval import headline, pictures
from eval.pictures import Axis, Chart, Cloud, Cross, Panel, Point, Style, Value
from eval.scores import (
    FORCED,
    GENERATED,
    HEADLINE,
    METRICS,
    Figure,
    MethodResult,
    Metric,
    Result,
    read_result,
    worst,
)
from eval.shapes import Shape, is_published, shapes

SCHEMA = "scr.eval.report/1"
HTML_FILE, MARKDOWN_FILE = "report.html", "report.md"
SHOWN_CASES = 20
"""Cases in the page's drill-down; all are in the JSON Lines."""
COLLAPSE = 10.0
"""A perplexity so many times the unedited model's rings the alarm."""
_FAMILIES = ("control", "retrieval", "parametric")


def write_report(out: Path) -> Result:
    """Write ``report.html`` and ``report.md`` into a run's folder.

    Raises:
        ConfigError: no run there, or nothing measured yet.
    """
    result = read_result(out)
    for name, content in ((HTML_FILE, as_html(result)), (MARKDOWN_FILE, as_markdown(result))):
        written = out / (name + ".new")
        written.write_text(content, encoding="utf-8")
        os.replace(written, out / name)
    return result


def points_to_show(result: Result) -> list[int]:
    """The largest point that all methods reached, and the largest one at all."""
    reached = [max(method.points) for method in result.methods.values() if method.points]
    if not reached:
        return []
    common = [p for p in result.points if all(p in m.points for m in result.methods.values() if m.points)]
    return sorted({max(common), max(reached)} if common else {max(reached)})


def in_order(result: Result) -> list[MethodResult]:
    """Controls, retrieval, parametric; within each as run."""
    return sorted(result.methods.values(), key=lambda m: _FAMILIES.index(result.family(m.label)))


def groups(result: Result) -> dict[str, dict[str, MethodResult]]:
    """Methods that share a chart, by title; in it by bare name where that says which row is meant."""
    found: dict[str, list[MethodResult]] = {}
    for method in in_order(result):
        if result.family(method.label) != "parametric":
            title = "memories and controls"
        elif is_published(method):
            title = "weight editors, published settings"
        else:
            title = "weight editors, tuned settings"
        found.setdefault(title, []).append(method)
    return {
        title: {m.name if sum(other.name == m.name for other in methods) == 1 else m.label: m for m in methods}
        for title, methods in found.items()
    }


def ran_with(result: Result, metrics: Iterable[Metric]) -> list[Metric]:
    """Those metrics that some method has a figure for."""
    return [
        metric
        for metric in metrics
        if any(m.figure(metric.name, p) is not None for m in result.methods.values() for p in m.points)
    ]


def cell(method: MethodResult, metric: str, point: int) -> str:
    """``0.953 [0.910, 0.980]``, over several orders of the edits their range too; or a dash."""
    figure = method.figure(metric, point)
    if figure is None:
        return "–"
    span = figure.span
    return figure.interval.shown() + ("" if span is None else f" (orders {span[0]:.3f} to {span[1]:.3f})")


# --- JSON ------------------------------------------------------------------------------------------------------


def as_json(result: Result) -> dict[str, Any]:
    """Every figure with its interval."""
    methods: dict[str, Any] = {}
    for method in in_order(result):
        points: dict[str, Any] = {}
        for point in method.points:
            told: dict[str, Any] = {"generated": {}, "teacher_forced": {}}
            for name, metric in METRICS.items():
                figure = method.figure(name, point)
                if figure is not None:
                    i = figure.interval
                    told[metric.decoding][name] = {
                        "value": i.value,
                        "low": i.low,
                        "high": i.high,
                        "edits": i.units,
                        "subjects": i.clusters,
                        "orders": list(figure.orders),
                    }
            if method.score(point) is not None:
                told["teacher_forced"]["S"] = {"value": method.score(point)}
            scope, event = method.scope(point), method.event(point) or {}
            if scope is not None:
                told["scope"] = {
                    "precision": scope.precision,
                    "recall": scope.recall,
                    "false_fire": scope.false_fire,
                }
            told |= {name: event[name] for name in ("perplexity", "weights") if name in event}
            points[str(point)] = told
        methods[method.label] = {
            "family": result.family(method.label),
            "settings": dict(method.settings),
            "points": points,
            "seconds_per_edit": method.edit_seconds,
            "ms_per_question": method.query_ms,
            "undo_seconds": method.undo_seconds,
            "peak_mib": method.peak_mib,
            "weights_as_before": method.verified,
            "finished": method.finished,
            "failures": method.failures,
            "left_out": [{"point": point, "why": why} for point, why in method.left_out],
        }
    found = [{"kind": s.kind, "claim": s.claim, "verdict": s.verdict, "evidence": s.evidence} for s in shapes(result)]
    return {
        "run": dict(result.manifest),
        "methods": methods,
        "scr_minus": differences(result),
        "shapes": found,
    }


def differences(result: Result) -> dict[str, Any]:
    """By metric and other method: scr minus it, paired, at the largest point that both reached."""
    if "scr" not in result.methods:
        return {}
    return {
        name: {
            label: {"value": d.value, "low": d.low, "high": d.high, "p_holm": p, "edits": d.units, "point": point}
            for label, (d, p, point) in found.items()
        }
        for name in HEADLINE
        if (found := result.against("scr", name))
    }


# --- Markdown --------------------------------------------------------------------------------------------------


def as_markdown(result: Result) -> str:
    """The headline table at each point to show, generated figures only, the command, and what became of the claims."""
    parts = []
    for point in points_to_show(result):
        metrics = [m for m in ran_with(result, GENERATED) if m.name in first_measures(result)]
        rows = [[f"**{title_of(result, point)}**", *(m.name for m in metrics)], ["---"] * (len(metrics) + 1)]
        rows += [
            [method.label, *(cell(method, metric.name, point) for metric in metrics)]
            for method in in_order(result)
            if point in method.points
        ]
        parts.append("\n".join("| " + " | ".join(row) + " |" for row in rows))
    told = (
        f"Generated answers (greedy, whole answer compared), 95 % intervals by bootstrap over subjects; "
        f"{model_of(result)}; {result.manifest['dataset']['described']}. {forms_of(result)} "
        f"Again: `{command_of(result)}`"
    )
    lines = ["| | claim | here |", "| --- | --- | --- |"]
    lines += [f"| {shape.kind} | {shape.claim} | {shape.verdict} |" for shape in shapes(result)]
    return "\n\n".join([*parts, told, "\n".join(lines)]) + "\n"


def title_of(result: Result, point: int) -> str:
    """``100 edits``, with those that fill the memory beside them."""
    among = result.manifest["config"].get("ballast", 0)
    others = f" among {among:,} about other things" if among else ""
    return "each edit alone" if point == 1 else f"{point:,} edits{others}"


def first_measures(result: Result) -> tuple[str, ...]:
    """The measures that are shown first; where the right edit is missing on purpose, silence too."""
    return (*HEADLINE, "silence") if result.manifest["config"].get("withheld") else HEADLINE


def model_of(result: Result) -> str:
    name = result.manifest["model"]["name"]
    return "the built-in pocket model" if name == "pocket" else str(name)


def written_in(result: Result) -> str:
    """``chat`` or ``raw``: how weight editors wrote, and how teacher-forced figures were read."""
    return str(result.manifest["model"].get("written", "raw"))


def forms_of(result: Result) -> str:
    """How was asked and how edits were written, as a sentence."""
    if not result.manifest["model"]["chat"]:
        return "Questions are bare prompts, and weight editors write bare prompts."
    if written_in(result) == "chat":
        return (
            "Questions go through the chat template, and weight editors write each edit inside it, as it will be asked."
        )
    return (
        "Questions go through the chat template, but weight editors write bare prompts, as published: what they wrote "
        "is not what they are asked."
    )


def machine_of(result: Result) -> str:
    """System, cores, threads, and where they are not the usual ones the device and how many ran at once."""
    made = result.manifest["made_on"]
    told = f"{made['system']}, {made['cores']} cores, {made['torch_threads']} torch threads"
    told += f", {made['workers']} methods at once" if made.get("workers", 1) > 1 else ""
    return told + (f", on {made['device']}" if made.get("device", "cpu") != "cpu" else "")


def command_of(result: Result) -> str:
    return shlex.join(result.manifest["command"]) or "scr eval run (called from Python)"


# --- HTML ------------------------------------------------------------------------------------------------------


def as_html(result: Result) -> str:
    """The whole page; style and pictures are inside it."""
    look = pictures.styles([method.label for method in in_order(result)])
    parts = [
        _head(result),
        _overview(result),
        *(_at_point(result, point, look) for point in points_to_show(result)),
        _over_edits(result),
        _forced(result, look),
        _trade_off(result, look),
        _differences(result),
        _weights(result),
        _scope(result),
        _cost(result, look),
        _shapes(result),
        _cases(result),
        _definitions(result),
        _rests_on(result),
    ]
    title = f"Editing methods side by side: {model_of(result)}, {result.manifest['dataset']['name']}"
    return page_of(title, "\n".join(part for part in parts if part))


def page_of(title: str, body: str) -> str:
    """A page that needs nothing else, around HTML."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>\n"
        f"{body}\n</main></body></html>\n"
    )


_STYLE = """
:root{color-scheme:light dark;--ink:#1a1a1a;--faint:#5f6368;--page:#f6f7f8;--paper:#fff;--edge:#dfe1e5;--head:#eef0f2}
:root{--good:#00664a;--bad:#a63c00}
@media (prefers-color-scheme:dark){:root{--ink:#e8eaed;--faint:#a2a7ad;--page:#0f1113;--paper:#17191c;--edge:#303439}
:root{--head:#202429;--good:#5fd3a8;--bad:#f29a66}}
body{margin:0;background:var(--page);color:var(--ink)}
body{font:15px/1.5 system-ui,-apple-system,"Segoe UI",Helvetica,Arial,sans-serif}
main{max-width:1120px;margin:0 auto;padding:32px 24px 64px}
h1{font-size:26px;line-height:1.25;margin:0 0 8px}h2{font-size:19px;margin:40px 0 8px}
p{max-width:76ch}.note{color:var(--faint)}
.warn{border-left:4px solid #D55E00;padding:4px 12px;background:var(--paper)}
figure{margin:12px 0;background:var(--paper);border:1px solid var(--edge);border-radius:6px;padding:12px}
figure{overflow-x:auto}figure svg{max-width:100%;min-width:720px;height:auto}
figcaption{color:var(--faint);font-size:13px;max-width:100ch}
.scroll{overflow-x:auto}table{border-collapse:collapse;background:var(--paper);font-size:13px;margin:8px 0}
th,td{border:1px solid var(--edge);padding:4px 9px;text-align:left;vertical-align:top}
th{background:var(--head);font-weight:600}td.n{font-variant-numeric:tabular-nums;white-space:nowrap}
td.group{background:var(--head);color:var(--faint);font-size:12px}
table.claims td:first-child{min-width:26ch}ul.plain{list-style:none;margin:4px 0;padding:0}
tr.strong td{font-weight:600}details{margin:8px 0}td details{margin:0}summary{cursor:pointer}
code,pre{font:12.5px/1.45 ui-monospace,Menlo,Consolas,monospace}
pre{background:var(--paper);border:1px solid var(--edge);border-radius:6px;padding:10px}
pre{white-space:pre-wrap;word-break:break-word}
.y{color:var(--good)}.n0{color:var(--bad)}
@media print{body{background:#fff}main{max-width:none;padding:0}figure{break-inside:avoid}}
""".strip()


def table_of(header: Sequence[str], rows: Iterable[Sequence[str]], strong: str = "scr") -> str:
    """Cells are text; a row whose first cell is ``strong`` is set in bold."""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(
        f"<tr{' class=strong' if row and row[0] == strong else ''}>"
        + "".join(f'<td class="n">{escape(c)}</td>' for c in row)
        + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def figure_of(drawing: str, caption: str) -> str:
    """A picture with what it shows below it."""
    return f"<figure>{drawing}<figcaption>{escape(caption)}</figcaption></figure>"


def _value(figure: Figure) -> Value:
    return Value(figure.interval.value, figure.interval.low, figure.interval.high, figure.span)


def _head(result: Result) -> str:
    config, data = result.manifest["config"], result.manifest["dataset"]
    unfinished = [m.label for m in result.methods.values() if not m.finished]
    missing = [label for label in result.manifest["methods"] if label not in result.methods]
    when = ", ".join(title_of(result, p) for p in result.points)
    parts = [
        f"<h1>Editing methods side by side: {escape(model_of(result))} on {escape(data['name'])}</h1>",
        f"<p>{len(result.methods)} methods, each from the same verified weights, write the same edits and are asked "
        f"the same questions ({escape(config['protocol'])}; {escape(when)}). Generated answers are whole, greedy, to a "
        f"natural stop. {forms_of(result)} Brackets and bars are 95 % intervals: bootstrap over subjects, 2,000 "
        "draws.</p>",
    ]
    if config.get("withheld"):
        parts.append(
            "<p>The edits that are asked about are missing from the memory, and others are there: what is wanted is "
            "silence, the unedited model's own answer.</p>"
        )
    if result.manifest["model"]["name"] == "pocket":
        parts.append(
            '<p class="warn">This is the built-in pocket model, made for tests. Orders of methods on it are evidence '
            "about the methods' mechanics; no figure here is one of a production-size model.</p>"
        )
    if unfinished or missing:
        parts.append(f'<p class="warn">Not finished: {escape(", ".join([*unfinished, *missing]))}.</p>')
    return "\n".join(parts)


def _overview(result: Result) -> str:
    if len(result.points) < 2:
        return ""
    caption = (
        f"Each line a method. {INTERVALS}{_ranges(result)}. oracle-context always shows the right "
        "fact; copy returns the stored answer where scr's scope decision fires. Every weight editor is drawn with its "
        "tuned settings where it was run with them; the published ones stand below."
    )
    return figure_of(headline.picture(result), caption)


def _at_point(result: Result, point: int, look: dict[str, Style]) -> str:
    methods = [m for m in in_order(result) if point in m.points]
    metrics = ran_with(result, GENERATED)
    panels = [
        Panel(
            name,
            pictures.share_axis("share of edits, generated"),
            {m.label: _value(f) for m in methods if (f := m.figure(name, point)) is not None},
        )
        for name in first_measures(result)
        if any(metric.name == name for metric in metrics)
    ]
    rows = [(m.label, result.family(m.label)) for m in in_order(result) if m.points]
    title = f"Generated answers, {title_of(result, point)}"
    drawing = pictures.dots(title, rows, panels, look) if panels else ""
    first = [metric.name for metric in metrics if metric.name in first_measures(result)]
    others = [metric.name for metric in metrics if metric.name not in first]

    def cells(names: Sequence[str]) -> str:
        return table_of(["method", *names], [[m.label, *(cell(m, name, point) for name in names)] for m in methods])

    caption = "Dot: mean over edits; bar: 95 % interval. Controls above, then retrieval, then weight editors."
    return (
        f"<h2>{escape(title)}</h2>"
        + (figure_of(drawing, caption) if drawing else "")
        + cells(first)
        + (f"<details><summary>{escape(', '.join(others))}</summary>{cells(others)}</details>" if others else "")
    )


def _edit_axis(points: Sequence[int]) -> Axis:
    return pictures.log_axis("number of edits" + (" (1: each alone)" if 1 in points else ""), points, ticks=points)


def _grid(
    result: Result, title: str, y: Callable[[list[float]], Axis], values: Callable[[MethodResult, int], Value | None]
) -> str:
    """A chart a group, all over the number of edits and with one upright axis; empty where nothing is to be drawn."""
    lines: dict[str, dict[str, list[Point]]] = {}
    for group, methods in groups(result).items():
        found = {
            name: [Point(p, value) for p in m.points if (value := values(m, p)) is not None]
            for name, m in methods.items()
        }
        if any(found.values()):
            lines[group] = found
    points = [point for found in lines.values() for some in found.values() for point in some]
    numbers = sorted({int(point.x) for point in points})
    if len(numbers) < 2:
        return ""
    x, upright = _edit_axis(numbers), y([point.y.value for point in points])
    charts = [Chart(group, x, upright, found) for group, found in lines.items()]
    return pictures.grid(title, charts, pictures.styles([m.label for m in in_order(result)]))


INTERVALS = "Areas, or thin bars where areas would lie over each other, are 95 % intervals"


def _ranges(result: Result) -> str:
    """What the upright bars are, where there are any."""
    orders = result.manifest["config"]["orders"]
    return f", thick upright bars the range over {orders} orders of the edits" if orders > 1 else ""


def _over_edits(result: Result) -> str:
    found = []
    for metric in ran_with(result, GENERATED):
        drawing = _grid(
            result,
            f"{metric.name}: {metric.about}",
            lambda _, metric=metric: pictures.share_axis(f"{metric.name}, generated"),  # type: ignore[misc]
            lambda m, p, metric=metric: _value(f) if (f := m.figure(metric.name, p)) is not None else None,  # type: ignore[misc]
        )
        if not drawing:
            continue
        picture = figure_of(drawing, f"{INTERVALS}{_ranges(result)}. Lines stand side by side, not over each other.")
        found.append(
            picture
            if metric.name in first_measures(result)
            else f"<details><summary>{escape(metric.name)}</summary>{picture}</details>"
        )
    return "<h2>Over the number of edits</h2>" + "".join(found) if found else ""


def _forced(result: Result, look: dict[str, Style]) -> str:
    metrics, points = ran_with(result, FORCED), points_to_show(result)
    if not metrics or not points:
        return ""
    parts = [
        "<h2>Teacher-forced, for comparison with the literature</h2><p>Here the answer is given and only its "
        "probability is read. ES, PS, NS compare it with its rival's per token; S is their harmonic mean; accuracy "
        "asks whether each token of the answer is the likeliest. Prompts stand "
        f"{'in the chat template' if written_in(result) == 'chat' else 'bare, as published'}.</p>"
    ]
    for point in points:
        methods = [m for m in in_order(result) if point in m.points]
        panels = []
        for free, forced in (("reliability", "accuracy"), ("generalization", "para. accuracy")):
            ours = {m.label: f for m in methods if (f := m.figure(free, point)) is not None}
            theirs = {m.label: f for m in methods if (f := m.figure(forced, point)) is not None}
            panels.append(
                Panel(
                    free,
                    pictures.share_axis("filled: generated; hollow: teacher-forced"),
                    {k: _value(f) for k, f in ours.items()},
                    {k: Value(f.interval.value) for k, f in theirs.items()},
                )
            )
        rows = [(m.label, result.family(m.label)) for m in methods]
        drawing = pictures.dots(f"What teacher forcing adds, {title_of(result, point)}", rows, panels, look)
        parts.append(
            figure_of(drawing, "The dashed distance is what a published, teacher-forced table would not show.")
        )
        header = ["method", *(metric.name for metric in metrics), "S"]
        table = [
            [m.label, *(cell(m, x.name, point) for x in metrics), "–" if (s := m.score(point)) is None else f"{s:.3f}"]
            for m in methods
        ]
        shown = table_of(header, table)
        parts.append(f"<details open><summary>figures, {escape(title_of(result, point))}</summary>{shown}</details>")
    return "".join(parts)


def _trade_off(result: Result, look: dict[str, Style]) -> str:
    points = points_to_show(result)
    if not points:
        return ""
    found: dict[str, dict[str, Cross]] = {}
    for group, methods in groups(result).items():
        for name, m in methods.items():
            x, y = m.figure("locality", points[-1]), m.figure("generalization", points[-1])
            if x is not None and y is not None:
                found.setdefault(group, {})[name] = Cross(_value(x), _value(y))
    if not found:
        return ""
    across, up = pictures.share_axis("locality, generated"), pictures.share_axis("generalization, generated")
    drawing = pictures.grid(
        f"What generalization costs in locality, {title_of(result, points[-1])}",
        [Cloud(group, across, up, some) for group, some in found.items()],
        look,
    )
    return "<h2>Trade-off</h2>" + figure_of(drawing, "Up and to the right is better; bars are 95 % intervals.")


def _differences(result: Result) -> str:
    parts = []
    for name, found in differences(result).items():
        rows = [
            [
                label,
                f"{d['point']:,}",
                f"{d['value']:+.3f}",
                f"[{d['low']:+.3f}, {d['high']:+.3f}]",
                f"{d['p_holm']:.4f}" if d["p_holm"] >= 1e-4 else "< 0.0001",
                str(d["edits"]),
            ]
            for label, d in found.items()
        ]
        inner = table_of(["against", "after", "difference", "95 % interval", "p (Holm)", "edits asked"], rows)
        parts.append(f"<details><summary>{escape(name)}: scr minus each method, paired</summary>{inner}</details>")
    if not parts:
        return ""
    return (
        "<h2>Differences</h2><p>At the largest number of edits that both methods reached, on the edits that both were "
        "asked about, by the same draws of subjects; p-values are two-sided and adjusted over the methods of a "
        "table.</p>" + "".join(parts)
    )


def _weights(result: Result) -> str:
    parts = []
    usual = _perplexities(result.methods["base"]) if "base" in result.methods else []
    alarm = COLLAPSE * max(point.y.value for point in usual) if usual else None
    perplexity = _grid(
        result,
        "Perplexity of true statements that no edit touches",
        lambda values: pictures.log_axis("perplexity (log)", values, alarm=alarm),
        lambda m, p: next((point.y for point in _perplexities(m) if point.x == p), None),
    )
    if perplexity:
        parts.append(
            figure_of(
                perplexity,
                f"Above {COLLAPSE:g} times the unedited model's (dashed, where on the axis) the model has collapsed.",
            )
        )
    collapsed = _collapsed(result, result.methods.get("base"))
    if collapsed:
        parts.append(f'<p class="warn">Collapsed: {escape("; ".join(collapsed))}.</p>')
    for key, title, axis in (
        ("condition", "Worst condition number of an edited matrix", "σ_max / σ_min (log)"),
        ("sigma_max", "Largest singular value of a change", "σ_max of the change (log)"),
        ("norm", "Largest Frobenius norm of a change", "‖Δ‖ (log)"),
    ):
        drawing = _grid(
            result,
            title,
            lambda values, axis=axis: pictures.log_axis(axis, values),  # type: ignore[misc]
            lambda m, p, key=key: Value(w) if p > 1 and (w := worst(m, p, key)) else None,  # type: ignore[misc]
        )
        if drawing:
            parts.append(figure_of(drawing, "Methods that change no matrix are not drawn."))
    rows = [
        [m.label, str(p), name, *(f"{told[k]:.4g}" for k in ("norm", "sigma_max", "condition_before", "condition"))]
        for m in in_order(result)
        for p in m.points
        for name, told in (m.event(p) or {}).get("weights", {}).items()
    ]
    if rows:
        header = ["method", "edits", "matrix", "‖Δ‖", "σ_max(Δ)", "condition before", "condition after"]
        parts.append(f"<details><summary>every edited matrix</summary>{table_of(header, rows)}</details>")
    parts.append(_room(result))
    return "<h2>What becomes of the model</h2>" + "".join(parts) if any(parts) else ""


def _room(result: Result) -> str:
    """How many edits a matrix has room for, and how full it was."""
    rows = []
    for method in in_order(result):
        told = result.manifest["methods"][method.label].get("room", {})
        for layer, room in told.items():
            shares = [
                f"{p:,}: {p / room['d_in']:.2f}" + (f" / {p / room['rank']:.2f}" if room.get("rank") else "")
                for p in method.points
                if p > 1
            ]
            rows.append([method.label, layer, str(room["d_in"]), str(room.get("rank") or "–"), "; ".join(shares)])
    if not rows:
        return ""
    header = ["method", "layer", "width d_in", "null space, rank(P)", "edits: N / d_in, and N / rank(P)"]
    return (
        "<p>A matrix of input width d_in holds at most d_in edits exactly, and a null space of rank(P) at most that "
        "many without touching what it is to keep. Past 1 each further edit takes from earlier ones.</p>"
        f"<details><summary>how full the edited matrices were</summary>{table_of(header, rows)}</details>"
    )


def _perplexities(method: MethodResult) -> list[Point]:
    found = []
    for point in method.points:
        value = (method.event(point) or {}).get("perplexity")
        if value is not None:
            found.append(Point(point, Value(value)))
    return found


def _collapsed(result: Result, base: MethodResult | None) -> list[str]:
    usual = {p.x: p.y.value for p in _perplexities(base)} if base is not None else {}
    found = []
    for method in in_order(result):
        for point in method.points:
            event = method.event(point) or {}
            if "perplexity" not in event or point not in usual:
                continue
            value = event["perplexity"]
            if value is None or value > COLLAPSE * usual[point]:
                size = "no number" if value is None else f"{value:.3g}"
                found.append(f"{method.label} at {point} edits (perplexity {size}, unedited {usual[point]:.3g})")
    return found


def _scope(result: Result) -> str:
    def share(value: float | None) -> str:
        return "–" if value is None else f"{value:.3f}"

    rows = [
        [m.label, str(p), share(s.precision), share(s.recall), share(s.false_fire)]
        for m in in_order(result)
        for p in m.points
        if (s := m.scope(p)) is not None
    ]
    if not rows:
        return ""
    header = ["method", "edits", "precision", "recall", "false fire"]
    return (
        "<h2>Scope decisions</h2><p>Precision: decided for the governing edit, of all decisions for one. Recall: of "
        "the questions that an edit governs (own prompt, paraphrase, yes/no, alias). False fire: an edit was used "
        "where none governs.</p>" + table_of(header, rows)
    )


def _cost(result: Result, look: dict[str, Style]) -> str:
    methods = [m for m in in_order(result) if m.edit_seconds is not None]
    if not methods:
        return ""

    def shown(value: float | None, unit: float = 1.0) -> str:
        if value is None:
            return "–"
        return f"{value * unit:.3g}" if value * unit >= 1e-4 else "< 0.0001"

    header = [
        "method",
        "seconds an edit",
        "of processor time",
        "ms a question, alone",
        "of processor time",
        "ms to undo a lone edit",
        "whole run, processor minutes",
        "peak memory, MiB",
        "weights as before",
    ]
    rows = [
        [
            m.label,
            shown(m.edit_seconds),
            shown(m.edit_cpu_seconds),
            shown(m.query_ms),
            shown(m.query_cpu_ms),
            shown(m.undo_seconds, 1e3),
            shown(m.cpu_seconds, 1 / 60),
            "–" if m.peak_mib is None else f"{m.peak_mib:,.0f}",
            "yes, byte for byte" if m.verified else "not checked" if not m.finished else "no",
        ]
        for m in methods
    ]
    panels = []
    costs: tuple[tuple[str, str, Mapping[str, float]], ...] = (
        (
            "writing",
            "seconds an edit (log)",
            {m.label: v for m in methods if (v := m.edit_cpu_seconds or m.edit_seconds)},
        ),
        ("asking", "ms a question (log)", {m.label: v for m in methods if (v := m.query_cpu_ms or m.query_ms)}),
    )
    for title, axis, values in costs:
        if values:
            panels.append(
                Panel(title, pictures.log_axis(axis, values.values()), {k: Value(v) for k, v in values.items()})
            )
    caption = (
        f"On {machine_of(result)}; the picture shows "
        "processor time where it was taken, for others on the machine do not stretch it. What a method prepares once "
        "(second moments, context templates) is not counted. Peak memory is of the process, the model within it."
    )
    drawing = (
        pictures.dots("Cost", [(m.label, result.family(m.label)) for m in methods], panels, look) if panels else ""
    )
    return "<h2>Cost</h2>" + (figure_of(drawing, caption) if drawing else "") + table_of(header, rows)


def _shapes(result: Result) -> str:
    colour = {"shown": "y", "not shown": "n0"}
    parts = []
    for kind, title, about in (
        ("line", "Lines that no sound run crosses", "They hold of any model if the machinery is right."),
        ("target", "Targets", "What this project set itself for its own method."),
        (
            "finding",
            "Published findings: shown here or not",
            "They were published for large models. Verdicts follow the means, of comparisons the interval of the "
            "paired difference; intervals stand beside them.",
        ),
    ):
        body = "".join(
            f'<tr><td>{escape(s.claim)}</td><td class="{colour.get(s.verdict, "")}">'
            f"{escape(s.verdict)}</td><td>{_evidence(s)}</td></tr>"
            for s in shapes(result)
            if s.kind == kind
        )
        parts.append(
            f"<h2>{title}</h2><p>{about}</p>"
            f'<div class="scroll"><table class="claims"><thead><tr><th>{kind}</th><th>here</th><th>evidence</th></tr>'
            f"</thead><tbody>{body}</tbody></table></div>"
        )
    return "".join(parts)


_TOLD_WHOLE = 3
"""Pieces of evidence that are shown without being asked for."""


def _evidence(shape: Shape) -> str:
    """All of it; where it is long, folded behind how much of it agrees, with what does not, if that is little."""
    if len(shape.pieces) <= _TOLD_WHOLE:
        return escape(shape.evidence)
    agree = sum(good for good, _ in shape.pieces)
    items = "".join(
        f'<li class="{"y" if good else "n0"}">{"✓" if good else "✗"} {escape(text)}</li>' for good, text in shape.pieces
    )
    against = [text for good, text in shape.pieces if not good]
    apart = f"Not: {escape('; '.join(against))}." if 0 < len(against) <= _TOLD_WHOLE else ""
    return (
        f"<details><summary>{agree} of {len(shape.pieces)} comparisons agree</summary>"
        f'<ul class="plain">{items}</ul></details>{apart}'
    )


def _cases(result: Result) -> str:
    points = points_to_show(result)
    if not points:
        return ""
    point, methods = points[0], [m for m in in_order(result) if points[0] in m.points]
    said: dict[tuple[str, int], dict[str, Mapping[str, Any]]] = {}
    for method in methods:
        for row in method.rows:
            if row["point"] == point and row["order"] == 0 and not row["case"].startswith("fixed-"):
                said.setdefault((row["case"], row["probe"]), {})[method.label] = row
    names = list(dict.fromkeys(case for case, _ in said))
    parts = []
    for name in names[:SHOWN_CASES]:
        body = ""
        subject = ""
        for (case, _), answers in said.items():
            if case != name:
                continue
            one = next(iter(answers.values()))
            subject = one["subject"]
            wanted = one["base"] if one["governed_by"] is None else " / ".join(one["accepted"])
            cells = "".join(_answer(answers.get(m.label)) for m in methods)
            lead = "".join(f"<td>{escape(c)}</td>" for c in (one["kind"], one["prompt"], wanted))
            body += f"<tr>{lead}{cells}</tr>"
        head = "".join(f"<th>{escape(n)}</th>" for n in ["kind", "asked", "wanted", *(m.label for m in methods)])
        parts.append(
            f"<details><summary>{escape(name)}: {escape(subject)}</summary><div class=scroll><table><thead><tr>{head}"
            f"</tr></thead><tbody>{body}</tbody></table></div></details>"
        )
    return (
        f"<h2>Case by case, {escape(title_of(result, point))}</h2><p>{len(parts)} of {len(names)} cases; every answer "
        "is in <code>methods/*.jsonl</code>. Out of scope, wanted is what the unedited model says.</p>" + "".join(parts)
    )


def _answer(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return "<td>–</td>"
    good = row["unchanged"] if row["governed_by"] is None else row["right"]
    said = row["answer"] if len(row["answer"]) <= 60 else row["answer"][:59] + "…"
    return f'<td class="{"y" if good else "n0"}">{"✓" if good else "✗"} {escape(said)}</td>'


def _definitions(result: Result) -> str:
    rows = [[m.name, m.decoding.replace("_", "-"), ", ".join(m.kinds), m.about] for m in METRICS.values()]
    methods = [
        [label, told["family"], told["about"], json.dumps(told["settings"]) if told["settings"] else ""]
        for label, told in result.manifest["methods"].items()
    ]
    return (
        "<h2>Measures and methods</h2>"
        + table_of(["measure", "decoding", "kinds of question", "what it says"], rows, strong="")
        + "<details><summary>methods and their settings</summary><div class=scroll><table><thead><tr>"
        + "".join(f"<th>{n}</th>" for n in ("method", "family", "what", "settings"))
        + "</tr></thead><tbody>"
        + "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in methods)
        + "</tbody></table></div></details>"
    )


def _rests_on(result: Result) -> str:
    manifest = result.manifest
    made, data = manifest["made_on"], manifest["dataset"]
    troubles = [f"{m.label}: {why}" for m in in_order(result) for why in m.failures]
    troubles += [f"{m.label} at {point}: {why}" for m in in_order(result) for point, why in m.left_out]
    facts = [
        ("model", f"{manifest['model']['name']}, sha256 of all weights {manifest['model']['sha256']}"),
        ("data", f"{data['described']}; content sha256 {data['sha256']}; {data['source']}"),
        ("seed", f"{manifest['config']['seed']}, {manifest['config']['orders']} order(s) of the edits"),
        ("commit", made["commit"] or "not a checkout"),
        ("versions", f"Python {made['python']}, " + ", ".join(f"{n} {v}" for n, v in made["versions"].items())),
        ("machine", f"{machine_of(result)}; {made['time']}"),
    ]
    rows = "".join(f"<tr><th>{escape(n)}</th><td>{escape(v)}</td></tr>" for n, v in facts)
    config = json.dumps(manifest["config"], indent=2)
    trouble = "".join(f"<li>{escape(t)}</li>" for t in troubles)
    return (
        "<h2>What this rests on</h2><p>To run it again:</p>"
        f"<pre>{escape(command_of(result))}</pre><table>{rows}</table>"
        + (f"<p>Failed or left out:</p><ul>{trouble}</ul>" if trouble else "")
        + f"<details><summary>configuration</summary><pre>{escape(config)}</pre></details>"
    )


__all__ = [
    "HTML_FILE",
    "INTERVALS",
    "MARKDOWN_FILE",
    "SCHEMA",
    "as_html",
    "as_json",
    "as_markdown",
    "figure_of",
    "page_of",
    "table_of",
    "write_report",
]
