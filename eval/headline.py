"""What of a run stands in the README? One picture, one table, and what they rest on, kept under ``eval/results``.

``scr eval report FOLDER --keep eval/results`` writes ``headline.json`` and ``headline.svg`` from a run's rows. Of a
weight editor the row with tuned settings is drawn where there is one; the table has both.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval import pictures
from eval.pictures import Chart, Point, Value
from eval.scores import HEADLINE, MethodResult, Result
from eval.shapes import is_published, shapes

JSON_FILE, PICTURE_FILE = "headline.json", "headline.svg"
_FAMILIES = ("control", "retrieval", "parametric")


def keep(result: Result, folder: Path) -> list[Path]:
    """Write both files, whole or not at all, and return where they lie."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for name, content in ((JSON_FILE, json.dumps(told(result), indent=1) + "\n"), (PICTURE_FILE, picture(result))):
        written = folder / (name + ".new")
        written.write_text(content, encoding="utf-8")
        os.replace(written, folder / name)
        found.append(folder / name)
    return found


def told(result: Result) -> dict[str, Any]:
    """The table's figures, the verdicts, and what they rest on; as other stored results, with the command."""
    manifest = result.manifest
    return {
        "command": " ".join(manifest["command"]),
        "commit": manifest["made_on"]["commit"],
        "versions": manifest["made_on"]["versions"],
        "result": {
            "model": manifest["model"],
            "dataset": {k: manifest["dataset"][k] for k in ("name", "sha256", "described")},
            "config": manifest["config"],
            "rows": [
                {
                    "method": m.label,
                    "family": result.family(m.label),
                    "points": {
                        str(p): {
                            name: [round(v, 4) for v in (f.interval.value, f.interval.low, f.interval.high)]
                            for name in (*HEADLINE, "accuracy")
                            if (f := m.figure(name, p)) is not None
                        }
                        for p in m.points
                    },
                    "cpu_seconds_per_edit": m.edit_cpu_seconds,
                    "cpu_ms_per_question": m.query_cpu_ms,
                    "cpu_seconds": m.cpu_seconds,
                    "weights_as_before": m.verified,
                }
                for m in sorted(result.methods.values(), key=lambda m: _FAMILIES.index(result.family(m.label)))
            ],
            "unfinished": [
                label
                for label in manifest["methods"]
                if label not in result.methods or not result.methods[label].finished
            ],
            "claims": [{"kind": s.kind, "claim": s.claim, "verdict": s.verdict} for s in shapes(result)],
        },
    }


def picture(result: Result) -> str:
    """The headline measures over the number of edits, each a chart with its intervals."""
    methods = drawn(result)
    points = sorted({p for m in methods for p in m.points})
    x = pictures.log_axis("number of edits" + (" (1: each alone)" if 1 in points else ""), points, ticks=points)
    charts = []
    for metric in HEADLINE:
        lines = {
            m.name: [
                Point(p, Value(f.interval.value, f.interval.low, f.interval.high, f.span))
                for p in m.points
                if (f := m.figure(metric, p)) is not None
            ]
            for m in methods
        }
        if any(lines.values()):
            charts.append(Chart(metric, x, pictures.share_axis("share of edits, generated"), lines))
    tuned = any(not is_published(m) for m in methods)
    title = "Edits written and kept" + (", weight editors with tuned settings" if tuned else "")
    return pictures.grid(title, charts, pictures.styles([m.name for m in methods]), columns=2, wide=270.0)


def drawn(result: Result) -> list[MethodResult]:
    """Each method once: with tuned settings where it was run with them. The unedited model needs no line."""
    found: dict[str, MethodResult] = {}
    for method in result.methods.values():
        if method.name != "base" and (method.name not in found or is_published(found[method.name])):
            found[method.name] = method
    return sorted(found.values(), key=lambda m: _FAMILIES.index(result.family(m.label)))


def table(found: Mapping[str, Any]) -> tuple[str, tuple[str, ...], Sequence[tuple[str, ...]]]:
    """What ``told`` kept, as a title, a header and rows: every method at the last point that it reached."""
    last = max(int(p) for row in found["rows"] for p in row["points"])
    rows = []
    for row in found["rows"]:
        point = max(row["points"], key=int, default=None)
        if point is None:
            continue
        cells = row["points"][point]
        shares = [
            f"{cells[name][0]:.2f} [{cells[name][1]:.2f}, {cells[name][2]:.2f}]" if name in cells else "–"
            for name in HEADLINE
        ]
        forced = f"{cells['accuracy'][0]:.2f}" if "accuracy" in cells else "–"
        cost = row["cpu_seconds_per_edit"]
        name = f"**{row['method']}**" if row["method"] == "scr" else row["method"]
        rows.append((name, f"{int(point):,}", *shares, forced, "–" if cost is None else f"{cost:.3f}"))
    model = "the pocket model" if found["model"]["name"] == "pocket" else found["model"]["name"]
    title = (
        f"Side by side, {model} ({found['model']['sha256'][:12]}…), {found['dataset']['name']}, up to {last:,} edits "
        "in one sequence, generated answers with 95 % intervals (bootstrap over subjects):"
    )
    header = ("method", "edits", *HEADLINE, "reliability, teacher-forced", "CPU s an edit")
    return title, header, rows


__all__ = ["JSON_FILE", "PICTURE_FILE", "drawn", "keep", "picture", "table", "told"]
