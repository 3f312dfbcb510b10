"""``scr eval``: measurements, one command each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from eval.commands import abilities, certify, ls, report, run
from eval.editors.cli import edit, moments, tune
from eval.studies import attribution, judge, sweep
from scr.cli.decider import HELP
from scr.cli.decider import decider as checked_decider
from scr.cli.options import Command, Group, Session, pass_session
from scr.cli.output import print_json

if TYPE_CHECKING:
    from eval.scope import ScopeReport, WeightsChoice

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group("eval", cls=Group, short_help="Measure: does it work?")
def eval_group() -> None:
    """Measure how well the parts do their work, on files of labelled rows."""


eval_group.add_command(edit)
eval_group.add_command(moments)
eval_group.add_command(tune)
eval_group.add_command(run)
eval_group.add_command(report)
eval_group.add_command(certify)
eval_group.add_command(abilities)
eval_group.add_command(attribution)
eval_group.add_command(sweep)
eval_group.add_command(judge)
eval_group.add_command(ls)


@eval_group.command(
    "scope",
    cls=Command,
    short_help="Does the scope decision fall on the right edit?",
    examples="""
        scr eval scope --memory memory.jsonl --queries queries.jsonl
        scr eval scope --memory memory.jsonl --queries queries.jsonl --decider cosine --tune
        scr eval scope --memory memory.jsonl --queries queries.jsonl --json > scope.json
    """,
)
@click.option(
    "--memory", type=_FILE, required=True, help="JSON Lines: edit_id, subject, prompt, target_new, statement."
)
@click.option("--queries", type=_FILE, required=True, help="JSON Lines: query, kind, edit_ids, source.")
@click.option("--aliases", type=_FILE, help="JSON Lines: subject, aliases; stored with the edits.")
@click.option(
    "--decider",
    "decider",
    callback=checked_decider,
    default="pair",
    show_default=True,
    metavar="DECIDER",
    help=f"Who decides: {HELP}",
)
@click.option(
    "--weights",
    type=click.Choice(["cross-fitted", "shipped"]),
    default="cross-fitted",
    show_default=True,
    help="Rows that stood in training are judged by trees that never saw their subject, or by the shipped ones.",
)
@click.option("--tune", is_flag=True, help="Choose the threshold on FILE itself, each fold's on the other folds.")
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True, help="Folds for --tune.")
@click.option(
    "--false-fire", type=float, metavar="SHARE", help="Also what a threshold does that was set to this budget."
)
@pass_session
def scope(
    session: Session,
    memory: Path,
    queries: Path,
    aliases: Path | None,
    decider: str,
    weights: WeightsChoice,
    tune: bool,
    folds: int,
    false_fire: float | None,
) -> None:
    """Put all edits of a file into one memory and ask its queries.

    A query in scope counts when the top decided edit is one of its edit_ids; a query out of scope counts when none is
    decided. HM is the harmonic mean of the means over both sides' kinds.
    """
    from eval.scope import evaluate, read_cases
    from scr.encoder import load_encoder

    settings = session.settings
    cases = read_cases(memory, queries, aliases)
    encoder = load_encoder(offline=settings.offline)
    model = None
    if decider == "llm":
        from scr.language_model import HFLanguageModel, load_model

        model = HFLanguageModel(*load_model(settings.model, offline=settings.offline, device=settings.device))
    report = evaluate(
        cases, encoder, decider=decider, model=model, weights=weights, tune=tune, folds=folds, false_fire=false_fire
    )
    if session.json:
        print_json(report.as_json())
    else:
        click.echo(as_text(report))


def as_text(report: ScopeReport) -> str:
    """The report as a table for people."""
    from eval.scope import IN_KINDS, OUT_KINDS

    def number(value: float | None) -> str:
        return "   –  " if value is None else f"{value:.4f}"

    lines = [f"{'kind':<16}{'share':>8}{'n':>8}{'recall':>9}"]
    for kind, (share, n) in report.kinds.items():
        side = "" if kind in IN_KINDS or kind in OUT_KINDS else "  in no mean"
        recall = report.candidate_recall.get(kind)
        lines.append(f"{kind:<16}{share:>8.4f}{n:>8}{'' if recall is None else f'{recall:.4f}':>9}{side}")
    times = report.extra["times_encoding"]
    lines += [
        "",
        f"HM {number(report.hm)}   in scope {number(report.in_mean)}   out of scope {number(report.out_mean)}",
        f"decider    {report.decider}, threshold {report.threshold:g} ({report.threshold_note})",
        f"weights    {report.weights}" + (f" (sha256 {report.weights_sha256[:12]})" if report.weights_sha256 else ""),
        f"memory     {report.edits} edits, {report.shared_identity} share a fact's identity with an earlier one",
        f"encode     p50 {report.encode_ms['p50']:.1f} ms, p95 {report.encode_ms['p95']:.1f} ms a query",
        f"decide     p50 {report.decide_ms['p50']:.1f} ms, p95 {report.decide_ms['p95']:.1f} ms beyond that",
        f"           in all p50 {times['p50']:.2f}, p95 {times['p95']:.2f} times the bare encoding of the query",
        f"           asked one by one: {report.timed}; decided otherwise than in a batch: {report.singles_that_differ}",
    ]
    found = report.extra.get("calibration")
    if found:
        lines.append(f"calibrated adaptive error {found['adaptive_error']:.4f}, Brier score {found['brier']:.4f}")
    budget = report.extra.get("budget")
    if budget:
        lines.append(f"at a budget of {budget['budget']:g} false fires, thresholds chosen on other folds:")
        for kind, of in budget["fires"].items():
            lines.append(f"  {kind:<14}{of['share']:>8.4f} fire, 95 % interval {of['low']:.4f} to {of['high']:.4f}")
        lines += [f"  {kind:<14}{of['share']:>8.4f} right" for kind, of in budget["hits"].items()]
    if report.failed:
        lines.append(f"failed     {report.failed} decisions could not be made; they count as out of scope")
    lines += ["", f"{'source':<18}{'kind':<16}{'share':>8}"]
    lines += [f"{s:<18}{k:<16}{v:>8.4f}" for s, kinds in report.sources.items() for k, v in kinds.items()]
    return "\n".join(lines)


__all__ = ["as_text", "eval_group"]
