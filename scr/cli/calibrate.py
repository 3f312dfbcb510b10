"""``scr calibrate``: the threshold that keeps false fires within a budget, measured on the user's own questions."""

from typing import TYPE_CHECKING, Any

import click

from memory_store.errors import ConfigError, InvalidEditError
from scr.cli.corrections import deciding_editor
from scr.cli.decider import scope_option
from scr.cli.opening import existing_store, nothing_in, progress_bar, user
from scr.cli.options import Command, Session, pass_session
from scr.cli.output import fields
from scr.cli.questions import numbered_lines, query_of, questions_in, record_in

if TYPE_CHECKING:
    from scr.calibration import Calibration, Row


@click.command(
    cls=Command,
    short_help="Set the threshold from your own questions.",
    examples="""
        printf '{"query": "Who wrote Hamlet?", "in_scope": false}\\n' | scr calibrate --false-fire 0.96 --data -
        scr calibrate --false-fire 0.8 --traffic prompts.txt --dry-run --json
    """,
)
@click.option(
    "--false-fire",
    "budget",
    type=float,
    required=True,
    metavar="SHARE",
    help="Of the questions that no fact governs, the most that may fire, such as 0.01.",
)
@click.option("--data", metavar="FILE", help='JSON lines with "query" and "in_scope" (or "edit_ids"); "-" is stdin.')
@click.option("--traffic", metavar="FILE", help='Unlabelled questions, one a line or JSON lines with "query".')
@click.option(
    "--in-scope-share", type=float, metavar="SHARE", help="With --traffic: how many of them facts govern (default 0)."
)
@click.option("--dry-run", is_flag=True, help="Measure, and change nothing.")
@scope_option
@pass_session
def calibrate(
    session: Session,
    budget: float,
    data: str | None,
    traffic: str | None,
    in_scope_share: float | None,
    dry_run: bool,
    scope: str | None,
) -> None:
    """Find the threshold whose upper 95 % bound of false fires is within SHARE, and use it in this namespace.

    With --data, questions of which you know whether a fact of the memory governs them; "edit_ids" may say which. With
    --traffic, questions as they come: the --in-scope-share most probable are taken for those that facts govern, and all
    others that fire count as false. "scr why" and "scr store stats" show the threshold, "scr undo" takes it back.
    """
    from scr.calibration import calibrate as calibrated
    from scr.calibration import of_traffic, scored

    if (data is None) == (traffic is None):
        raise click.UsageError("give either --data, with labels, or --traffic, without")
    if data is not None and in_scope_share is not None:
        raise click.UsageError("--in-scope-share goes with --traffic; the labels of --data say it themselves")
    namespace = session.settings.namespace
    store = existing_store(session)
    stored = [edit.edit_id for edit in store.edits(namespace)] if store is not None else []
    if store is None or not stored:
        raise ConfigError(f"nothing to calibrate: {nothing_in(namespace, store)}")
    rows = labelled(data, frozenset(stored)) if data is not None else unlabelled(traffic or "")
    editor = deciding_editor(session, scope)
    with progress_bar(session, "calibrate", "question") as show:
        scores = scored(editor, rows, namespace=namespace, progress=show)
    if traffic is not None:
        scores = of_traffic(scores, in_scope_share or 0.0)
    found = calibrated(scores, budget)
    batch = 0
    if not dry_run:
        measured = _measured(found, "traffic" if traffic is not None else "data")
        decider = editor.scope.name
        batch = store.calibrate(decider, found.threshold, measured, namespace=namespace, actor=user()).batch
    session.print(
        "scr.calibrate/1",
        {
            "namespace": namespace,
            "decider": editor.scope.name,
            "dry_run": dry_run,
            "batch": batch,
            "threshold": found.threshold,
            **_measured(found, "traffic" if traffic is not None else "data"),
        },
        lambda: _text(found, editor.scope.name, dry_run),
    )


def _measured(found: "Calibration", source: str) -> dict[str, Any]:
    return {
        "source": source,
        "budget": found.budget,
        "out_of_scope": found.out_rows,
        "false_fires": found.false_fires,
        "false_upper": round(found.false_upper, 6),
        "in_scope": found.in_rows,
        "hits": found.hits,
        "hit_interval": None if found.hit_interval is None else [round(bound, 6) for bound in found.hit_interval],
    }


def _text(found: "Calibration", decider: str, dry_run: bool) -> str:
    hit = "not measured: no question in scope"
    if found.hit_interval is not None:
        low, high = found.hit_interval
        hit = f"{found.hits} of {found.in_rows} ({low:.3f} to {high:.3f})"
    return fields(
        [
            ("threshold", f"{found.threshold:.4f} of {decider}" + (" (not stored)" if dry_run else "")),
            ("false fires", f"{found.false_fires} of {found.out_rows} (at most {found.false_upper:.4f})"),
            ("hits", hit),
        ]
    )


def labelled(file: str, stored: frozenset[str]) -> "list[Row]":
    """The rows of a file with labels; a question whose facts are not in the memory is out of scope there."""
    from scr.calibration import Row

    rows = []
    for number, line in numbered_lines(file, "--data"):
        record = record_in(line, number)
        ids = record.get("edit_ids")
        if ids is not None and not (isinstance(ids, list) and all(isinstance(one, str) for one in ids)):
            raise InvalidEditError(f"line {number}: edit_ids must be a list of ids, got {ids!r:.60}")
        inside = record.get("in_scope", None if ids is None else bool(stored.intersection(ids)))
        if not isinstance(inside, bool):
            raise InvalidEditError(f'line {number}: "in_scope" must be true or false, got {inside!r:.40}')
        rows.append(Row(query_of(record, number), inside, frozenset(ids or ())))
    return rows


def unlabelled(file: str) -> "list[Row]":
    from scr.calibration import Row

    return [Row(query, False) for query in questions_in(file, "--traffic")]
