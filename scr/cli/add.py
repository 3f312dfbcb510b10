"""``scr add``: a sentence, a question with its answer, a triple, or a file of sentences becomes facts in memory."""

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from memory_store.errors import ConflictError, InvalidEditError
from scr.cli.conflicts import on_conflict_option, open_judging_editor
from scr.cli.opening import open_model, user
from scr.cli.options import Command, Session, pass_session
from scr.cli.output import edit_data, fields, one_line, share, validity
from scr.cli.text import checked, stdin_lines
from scr.cli.why import quoted

if TYPE_CHECKING:
    from memory_store.edit import PutResult
    from memory_store.store import EditStore
    from scr.contradiction import OnConflict
    from scr.facts import Reading
    from scr.verification import Verified

_EXAMPLE = 'try: scr add "The capital of France is Lyon."'
_WANTED = "one fact a line; try: printf 'The capital of France is Lyon.\\n' | scr add -"
_ONE_ONLY = ("question", "answer", "triple", "subject", "prompt", "target", "edit_id", "aliases", "relation")


@click.command(
    cls=Command,
    short_help="Add a fact, or many from standard input.",
    examples="""
        scr add "The capital of France is Lyon."
        scr add -q "Who runs the night shift?" -a "Dana Cole"
        scr add --triple Acme "is based in" Porto
        scr add "Acme opened an office in Porto." --subject Acme --prompt "Acme opened an office in" --target Porto
        scr add --verbatim -q "What is the refund window?" -a "30 days from delivery."
        scr add "The Acme tower is 300 m high." --alias "the tower" --source "survey 2026" --tag buildings
        scr add "The prime minister of Ruritania is Ada Roe." --valid-from 2026-05-01
        scr add "The capital of Spain is Vigo." --dry-run
        scr add --verify "The capital of Portugal is Braga."
        scr add "France's capital city is Marseille." --on-conflict supersede
        printf 'The capital of Italy is Turin.\\nThe capital of Peru is Cusco.\\n' | scr add -
    """,
)
@click.argument("sentence", required=False)
@click.option("-q", "--question", metavar="TEXT", help="The question the fact answers (so quiet is --quiet here).")
@click.option("-a", "--answer", metavar="TEXT", help="Its answer.")
@click.option("--triple", nargs=3, metavar="S R O", help="Subject, relation and object.")
@click.option("--subject", metavar="TEXT", help="What the fact is about, rather than as worked out.")
@click.option("--prompt", metavar="TEXT", help="How it is asked for: a question, or the sentence up to the answer.")
@click.option("--target", metavar="TEXT", help="The answer alone.")
@click.option("--alias", "aliases", multiple=True, metavar="NAME", help="Another name of the subject; repeatable.")
@click.option("--verbatim", is_flag=True, help="The stored text itself is the answer; the model is not asked.")
@click.option("--relation", metavar="NAME", help="Your own label; part of what makes two facts the same claim.")
@click.option("--source", metavar="TEXT", help="Where the fact comes from.")
@click.option("--tag", "tags", multiple=True, metavar="WORD", help="Repeatable.")
@click.option("--valid-from", metavar="TIME", help="Such as 2026-05-01 (UTC unless it says otherwise).")
@click.option("--valid-until", metavar="TIME", help="The first moment when it no longer holds.")
@click.option("--id", "edit_id", metavar="ID", help="Your own id for this version.")
@on_conflict_option
@click.option("--check/--no-check", default=True, help="Ask look-alike questions of a single fact first (default).")
@click.option("--verify", is_flag=True, help="Ask the model whether it says the fact when it is given, and remember.")
@click.option("--dry-run", is_flag=True, help="Show what would happen, store nothing.")
@pass_session
def add(
    session: Session,
    /,
    sentence: str | None,
    dry_run: bool,
    check: bool,
    verify: bool,
    on_conflict: "OnConflict",
    **options: Any,
) -> None:
    """Add a fact, or with "-" one fact a line from standard input, all in one batch.

    Subject, prompt and answer are worked out and shown; options override them. Where they are not clear, the sentence
    is kept as a free fact: it can be found and used, but it supersedes nothing. A newer claim about the same thing
    supersedes the older one; "scr undo" takes a batch back. A fact that contradicts another in other words ("The
    capital of France is Lyon", "France's capital city is Marseille") is refused unless --on-conflict says otherwise.

    A single fact is asked questions that look like its own and are not (another name, a "not", another number); what
    would keep it silent on them is stored with it and said. --no-check leaves that.

    --verify loads the model (-m) and asks it the fact's own prompt with the fact in front. Where it does not say the
    fact, "scr ask --route auto" lets the counterfactual model answer; "scr recheck" asks again after an upgrade.
    """
    if verify and dry_run:
        raise click.UsageError("--verify asks about facts that are stored, and --dry-run stores none; leave one out")
    readings = readings_of(sentence, options)
    settings = session.settings
    is_new = not os.path.lexists(settings.store)
    editor = open_judging_editor(session, replace(settings, store=Path(":memory:")) if dry_run and is_new else settings)
    edits = [replace(reading.edit, namespace=settings.namespace) for reading in readings]
    check = check and sentence != "-"
    results = editor.edit(edits, actor=user(), dry_run=dry_run, on_conflict=on_conflict, check=check)
    if is_new and not dry_run:
        session.say(f"scr: new store {settings.store}")
    verified = _verified(session, results) if verify else {}
    session.print(
        "scr.add/1",
        {
            "dry_run": dry_run,
            "namespace": settings.namespace,
            **({"verified": [verified_data(one) for one in verified.values()]} if verify else {}),
            "results": [_data(*pair) for pair in zip(results, readings, strict=True)],
        },
        lambda: _text(results, readings, dry_run),
    )
    _remarks(session, results, readings, dry_run)
    if verify and not session.json:
        _say_verified(session, results, verified)
    if check and results[0].batch and not session.json:
        _checked(session, editor.store, results[0])
    refused = [result for result in results if result.status == "conflict"]
    for result in refused[1:]:
        session.warn(one_line(result.reason))
    if refused and not session.json:
        raise ConflictError(refused[0].reason or f"{len(refused)} facts conflict; nothing was stored")
    if refused:
        click.get_current_context().exit(ConflictError.exit_code)


def _verified(session: Session, results: list["PutResult"]) -> dict[str, "Verified"]:
    """What the model made of the facts that hold now; nothing is loaded where none does."""
    ids = [result.edit.edit_id for result in results if result.status != "conflict"]
    if not ids:
        return {}
    model = open_model(session, near_misses=0)
    return {one.edit.edit_id: one for one in model.verify(ids)}


def _say_verified(session: Session, results: list["PutResult"], verified: dict[str, "Verified"]) -> None:
    for result in results:
        edit_id = result.edit.edit_id
        one = verified.get(edit_id)
        if one is None and result.status != "conflict":
            session.say(f"scr: {edit_id} cannot be verified: it has no prompt and answer apart, or is verbatim")
        elif one is not None and not one.obeyed:
            session.warn(
                f"{edit_id} is not obeyed: given the fact, the model says {quoted(one_line(one.shown, 80))}; "
                "scr ask --route auto answers it from the counterfactual model"
            )
        elif one is not None:
            known = ", and says it without the fact too" if one.known else ""
            session.say(f"scr: {edit_id} is verified: given the fact, the model says it{known}")


def verified_data(one: "Verified") -> dict[str, Any]:
    return {
        "edit_id": one.edit.edit_id,
        "known": one.known,
        "obeyed": one.obeyed,
        "says_alone": one.alone,
        "says_with_fact": one.shown,
    }


def _checked(session: Session, store: "EditStore", result: "PutResult") -> None:
    """Say in one line what keeps the fact silent on questions that only look like its own."""
    edit = result.edit
    events = store.log(namespace=edit.namespace, edit_id=edit.edit_id)
    said = [e.payload or {} for e in events if e.batch == result.batch and e.kind in ("deny", "threshold")]
    denied = [quoted(one_line(str(one["text"]), 100)) for one in said if one.get("value") is None]
    told = [
        f"it needs {share(one['value'])} of its own, or {quoted(one_line(str(one['because']), 100))} would fire it"
        for one in said
        if one.get("value") is not None
    ]
    if denied:
        told.append(f"denied {denied[0]}" + (f" and {len(denied) - 1} more" if len(denied) > 1 else ""))
    if told:
        session.say(f"scr: look-alikes: {'; '.join(told)}; see: scr allow {edit.edit_id}")


def readings_of(sentence: str | None, options: dict[str, Any]) -> list["Reading"]:
    """What the command line says: one fact, or with "-" one a line of standard input; nothing is loaded for it."""
    given = {name: value for name, value in options.items() if value not in (None, (), False)}
    for name, value in given.items():
        for part in (value if isinstance(value, tuple) else (value,)) if not isinstance(value, bool) else ():
            option = {"edit_id": "id", "aliases": "alias", "tags": "tag"}.get(name, name).replace("_", "-")
            checked(part, f"--{option}", empty=f"--{option} is empty; give a value, or leave it out")
    if sentence == "-":
        if single := [n for n in _ONE_ONLY if n in given]:
            raise click.UsageError(f"--{single[0].replace('edit_id', 'id')} speaks of one fact; leave it out with '-'")
        return [_read(text, given, f"line {number}: ") for number, text in stdin_lines(_WANTED)]
    if sentence is None and not ({"question", "answer", "triple"} & given.keys()):
        raise click.UsageError(f"no fact given; {_EXAMPLE}")
    return [_read(sentence, given)]


def _read(sentence: str | None, given: dict[str, Any], where: str = "") -> "Reading":
    """Work out one fact; everything is checked before an encoder is loaded."""
    from memory_store.edit import Edit
    from memory_store.validation import validated
    from scr.facts import read_fact

    if sentence is not None:
        checked(sentence, f"{where}the fact", empty=f"{where}the fact is empty; {_EXAMPLE}")
        validated(Edit(statement=sentence, verbatim=bool(given.get("verbatim"))), where)
    for name in ("question", "answer"):
        if name in given:
            validated(Edit(statement=given[name], verbatim=bool(given.get("verbatim"))), f"--{name}: ")
    try:
        reading = read_fact(sentence, **given)
    except InvalidEditError as error:
        raise InvalidEditError(f"{where}{error}") from error
    validated(reading.edit, where)
    return reading


def _data(result: "PutResult", reading: "Reading") -> dict[str, Any]:
    return {
        "status": result.status,
        "edit": edit_data(result.edit),
        "superseded": list(result.superseded),
        "contradicts": list(result.contradicts),
        "reason": result.reason,
        "free_fact": not reading.committed,
        "confidence": round(reading.confidence, 4),
    }


def _text(results: Iterable["PutResult"], readings: list["Reading"], dry_run: bool) -> str:
    lines = []
    for result in results:
        edit = result.edit
        status = f"would be {result.status}" if dry_run else result.status
        colour = {"added": "green", "superseded": "green", "conflict": "red"}.get(result.status)
        # A status is a word for the log; to a person, a fact that superseded another was added.
        status = status.replace("superseded", "added")
        lines.append(f"{click.style(status, fg=colour)}  {edit.edit_id}  {one_line(edit.statement, 8000)}")
        if len(readings) == 1:
            lines.append(
                fields(
                    [
                        ("subject", edit.subject),
                        ("prompt", edit.prompt),
                        ("answer", edit.target_new),
                        ("aliases", ", ".join(edit.aliases)),
                        ("relation", edit.relation or ""),
                        ("valid", validity(edit)),
                    ],
                    indent=2,
                )
            )
        if result.superseded:
            lines.append(f"  supersedes  {', '.join(result.superseded)}")
        if result.contradicts and not result.superseded:
            lines.append(f"  contradicts  {', '.join(result.contradicts)}")
    return "\n".join(line for line in lines if line)


def _remarks(session: Session, results: list["PutResult"], readings: list["Reading"], dry_run: bool) -> None:
    free = sum(not r.committed for r in readings)
    if len(readings) == 1:
        if results[0].status == "duplicate":
            session.say("scr: already known; nothing changed")
        elif results[0].contradicts and results[0].status == "added":
            session.say(f"scr: {one_line(results[0].reason)}")
        elif free:
            session.say(
                "scr: kept as a free fact, which supersedes nothing, because it is not clear what it answers; to say "
                'so: scr add -q "QUESTION?" -a "ANSWER", or --subject, --prompt and --target'
            )
    else:
        counts = {s: sum(r.status == s for r in results) for s in ("added", "superseded", "duplicate", "conflict")}
        told = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
        session.say(f"scr: {len(results)} facts: {told}" + (f"; {free} of them free facts" if free else ""))
    if dry_run:
        session.say("scr: dry run: nothing was stored")


FACT_OPTIONS = [p for p in add.params if p.name not in ("dry_run", "check", "verify", "on_conflict")]
"""The argument and options that describe a fact; ``scr preview`` takes them too."""
