"""``scr recheck``: what becomes of the stored facts when the model is another one, or an upgraded one?"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from scr.cli.add import verified_data
from scr.cli.corrections import CHECK_FAILED, told
from scr.cli.opening import open_model, progress_bar, user
from scr.cli.options import Command, Session, pass_session
from scr.cli.output import one_line
from scr.cli.why import quoted

if TYPE_CHECKING:
    from scr.regression import Outcome
    from scr.verification import Verified


@click.command(
    cls=Command,
    short_help="Ask a new model about every fact: known now, obeyed, tests.",
    examples="""
        scr recheck
        scr recheck --dry-run --json
    """,
)
@click.option("--dry-run", is_flag=True, help="Say it, remember nothing.")
@pass_session
def recheck(session: Session, dry_run: bool) -> None:
    """Ask the model (-m MODEL) every fact's own prompt, alone and with the fact in front; then run "scr test".

    Reported: facts that it knows by now, so that you may remove them; facts that it does not say even when they are
    given, which "scr ask --route auto" then leaves to the counterfactual model; tests that fail. Where the model asked
    before was otherwise, that is said. What it obeyed is remembered for this model. Ends with 5 where a test fails.
    """
    from scr.regression import checks_of, run
    from scr.verification import of_another, remember, verify

    model = open_model(session, near_misses=0)
    namespace, store = session.settings.namespace, model.store
    edits = store.edits(namespace)
    with progress_bar(session, "recheck", "fact") as show:
        verified = verify(model, edits, progress=show)
    fingerprint = model.language_model.fingerprint
    before = {one.edit.edit_id: of_another(store, one.edit, fingerprint) for one in verified}
    if not dry_run:
        remember(store, verified, fingerprint, actor=user())
    with progress_bar(session, "test", "question") as show:
        outcomes = run(model.editor, checks_of(store, namespace), namespace=namespace, progress=show)
    failures = [one for one in outcomes if not one.passed]
    session.print(
        "scr.recheck/1",
        {
            "model": model.name,
            "fingerprint": fingerprint,
            "namespace": namespace,
            "dry_run": dry_run,
            "facts": len(edits),
            "asked": len(verified),
            "known": [{**verified_data(one), "before": before[one.edit.edit_id]} for one in verified if one.known],
            "not_obeyed": [
                {**verified_data(one), "before": before[one.edit.edit_id]} for one in verified if not one.obeyed
            ],
            "failures": [{"edit_id": one.check.edit.edit_id, "query": one.check.query} for one in failures],
        },
        lambda: _text(verified, before, failures, len(edits), len(outcomes)),
    )
    if not session.json:
        if known := [one.edit.edit_id for one in verified if one.known]:
            session.say(f"scr: to remove what the model knows: scr forget {' '.join(known[:5])}{_more(known)}")
        if any(not one.obeyed for one in verified):
            session.say('scr: for what it does not obey: scr ask --route auto "…"')
    if failures:
        click.get_current_context().exit(CHECK_FAILED)


def _text(
    verified: Sequence["Verified"],
    before: Mapping[str, Mapping[str, bool] | None],
    failures: Sequence["Outcome"],
    facts: int,
    questions: int,
) -> str:
    known = [one for one in verified if one.known]
    lines: list[str] = []
    for one in verified:
        if not one.obeyed:
            was = " (the model before obeyed it)" if (before[one.edit.edit_id] or {}).get("obeyed") else ""
            lines.append(f"not obeyed  {_named(one)}: given the fact, it says {_quoted(one.shown)}{was}")
    for one in known:
        earlier = before[one.edit.edit_id]
        was = " (the model before did not)" if earlier is not None and not earlier["known"] else ""
        lines.append(f"known now   {_named(one)}: it says {_quoted(one.alone)} by itself{was}")
    for failed in failures:
        lines.append(f"test failed  {failed.check.edit.edit_id}  {one_line(failed.check.query)}: {told(failed)}")
    unobeyed = sum(not one.obeyed for one in verified)
    lines.append(
        f"{len(verified)} of {facts} facts asked: {len(verified) - unobeyed} obeyed, {unobeyed} not, {len(known)} known"
        f" now; {questions - len(failures)} of {questions} tests pass"
    )
    return "\n".join(lines)


def _more(ids: Sequence[str]) -> str:
    return f" (and {len(ids) - 5} more)" if len(ids) > 5 else ""


def _named(one: "Verified") -> str:
    return f"{one.edit.edit_id}  {one_line(one.edit.statement, 80)}"


def _quoted(text: str) -> str:
    return quoted(one_line(text, 80))
