"""``scr why``: what decided, with and without the memory, and one line of diagnosis."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import click

from scr.cli.ask import checked_times, hops_data, hops_in_words, seen_at
from scr.cli.decider import scope_option
from scr.cli.opening import NO_FACTS, open_model
from scr.cli.options import Command, Session, pass_session
from scr.cli.output import fields, judged_data, one_line, share
from scr.cli.text import checked
from scr.cli.text import question as read_question

if TYPE_CHECKING:
    from memory_store.edit import Edit
    from memory_store.store import EditStore
    from scr.protocols import Answer, Decision, Judged

MOST_CANDIDATES = 8
FAR = 0.01
"""Candidates less probable than this are only counted."""

Kind = Literal["good", "not stored", "not retrieved", "did not fire", "not obeyed", "wrong edit", "failed"]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What went wrong, if anything, and the command to type next."""

    kind: Kind
    message: str
    next: str = ""


@click.command(
    cls=Command,
    short_help="Why this answer, and what to do about it.",
    examples="""
        scr why "What is the capital of France?"
        scr why "What is the capital of France?" --expect Lyon
        scr why "Who wrote Hamlet?" --json
    """,
)
@click.argument("question", required=False)
@click.option("--expect", metavar="TEXT", help="The answer you wanted.")
@click.option("--as-of", metavar="TIME", help="With the facts valid at that time, such as 2026-01-01.")
@click.option("--known-at", metavar="TIME", help="With the facts that were stored at that time.")
@scope_option
@click.option("--max-new-tokens", type=click.IntRange(1, 8192), default=64, show_default=True, metavar="N")
@pass_session
def why(
    session: Session,
    question: str | None,
    expect: str | None,
    as_of: str | None,
    known_at: str | None,
    scope: str | None,
    max_new_tokens: int,
) -> None:
    """Say which facts were candidates for QUESTION and on what evidence, and what to do if the answer is wrong."""
    text = read_question(question)
    if expect is not None:
        checked(expect, "--expect", empty="--expect is empty; give the answer you wanted, or leave it out")
    as_of, known_at = checked_times(as_of, known_at)
    model = open_model(session, near_misses=MOST_CANDIDATES, scope=scope)
    model.editor.record_use = False  # to explain an answer is not to give one
    with seen_at(model, as_of, known_at):
        (decision,) = model.decide([text])
        answer = model.ask(text, max_new_tokens=max_new_tokens)
        stored = model.editor.store.edits(session.settings.namespace, as_of=as_of, known_at=known_at)
    calibrated = _calibrated(model.editor.store, session.settings.namespace, model.editor.scope.name)
    with model.edits_disabled():
        alone = model.ask(text, max_new_tokens=max_new_tokens).text
    if answer.hops and expect is None:
        diagnosis = diagnose_chain(text, answer)
    else:
        diagnosis = diagnose(
            text,
            replace(decision, in_scope=answer.used) if answer.hops else decision,
            answer.text,
            alone,
            stored,
            expect,
        )
    data = {
        "question": text,
        "diagnosis": diagnosis.kind,
        "message": diagnosis.message,
        "next": diagnosis.next,
        "threshold": decision.threshold,
        "calibrated": calibrated is not None,
        "candidates": [
            {**judged_data(j), "fired": j in decision.in_scope}
            for j in (*decision.in_scope, *decision.near_misses[:MOST_CANDIDATES])
        ],
        "hops": hops_data(answer),
        "asked": answer.asked,
        "answer": answer.text,
        "answer_without_edits": alone,
        "route": answer.route,
        "model": model.name,
        "namespace": session.settings.namespace,
        "facts": len(stored),
    }
    session.print(
        "scr.why/1",
        data,
        lambda: _text(text, decision, answer, alone, len(stored), diagnosis, calibrated is not None),
    )


def _calibrated(store: "EditStore", namespace: str, decider: str) -> float | None:
    """The threshold that "scr calibrate" set for a decider here."""
    said = store.corrections(namespace, identities=[])
    return next((c.value for c in said if c.kind == "calibrate" and c.text == decider), None)


def diagnose(
    question: str,
    decision: "Decision",
    answer: str,
    alone: str,
    stored: Sequence["Edit"],
    expect: str | None = None,
) -> Diagnosis:
    """Judge one answer.

    Args:
        answer: with the memory.
        alone: without it.
        stored: every live edit of the namespace.
        expect: the answer that was wanted; without it, that of the fact that fired.
    """
    asked = quoted(question)
    if decision.failed:
        return Diagnosis("failed", f"no decision could be made ({decision.failed}), so no fact fired", "scr env")
    fired = decision.in_scope
    if expect is not None:
        return _against_expectation(asked, decision, answer, stored, expect)
    if not fired:
        if not stored:
            return Diagnosis("not retrieved", "not retrieved: there are no facts in this namespace", "scr ls")
        if not decision.near_misses:
            return Diagnosis(
                "not retrieved",
                "not retrieved: no stored fact is near this question, so the model answered alone",
                f"scr add -q {asked} -a ANSWER",
            )
        denied = next((j.edit.edit_id for j in decision.near_misses if "denied" in j.evidence), None)
        nearest = decision.near_misses[0]
        if denied is not None and nearest.probability < decision.threshold / 2:
            return Diagnosis(
                "did not fire",
                f"did not fire: {denied} is denied for this question, so the model answered alone; to allow it",
                f"scr allow {denied} {asked}",
            )
        told = (
            f"did not fire: the nearest fact, {nearest.edit.edit_id}, has {share(nearest.probability)} of the "
            f"{share(decision.threshold)} it needs, so the model answered alone"
        )
        if nearest.probability < decision.threshold / 2:
            return Diagnosis(
                "did not fire", f"{told}; if another answer was wanted", f"scr why {asked} --expect ANSWER"
            )
        return Diagnosis(
            "did not fire", f"{told}; if it should govern this question", _as_another_wording(asked, nearest.edit)
        )
    edit = fired[0].edit
    if edit.verbatim or (edit.target_new and says(answer, edit.target_new)):
        return Diagnosis("good", f"all good: {edit.edit_id} fired and the answer says so")
    if not edit.target_new:
        if _same(answer, alone):
            return Diagnosis(
                "not obeyed",
                f"fired but not obeyed, it seems: {edit.edit_id} is a free fact and the answer is the same without it",
                f"scr why {asked} --expect ANSWER",
            )
        return Diagnosis("good", f"all good, it seems: the free fact {edit.edit_id} fired and changed the answer")
    return _not_obeyed(asked, edit)


def diagnose_chain(question: str, answer: "Answer") -> Diagnosis:
    """Judge an answer that was found through facts inside the question."""
    facts = [hop.judged.edit.edit_id for hop in answer.hops if hop.judged is not None]
    inside = {hop.judged.edit.edit_id for hop in answer.hops if hop.judged is not None}
    last = next((j.edit for j in answer.used if j.edit.edit_id not in inside), None)
    through = f"through {', '.join(facts)}" if facts else "through what the model said"
    if last is None:
        return Diagnosis("good", f"all good, it seems: {through} to {answer.asked!r}, which the model answered alone")
    if last.target_new and not says(answer.text, last.target_new):
        return _not_obeyed(quoted(question), last)
    return Diagnosis("good", f"all good: {through}, then {last.edit_id} fired, and the answer says so")


def _against_expectation(
    asked: str, decision: "Decision", answer: str, stored: Sequence["Edit"], expect: str
) -> Diagnosis:
    fired = decision.in_scope
    wanted = [e for e in stored if says(f"{e.statement} {e.target_new}", expect)]
    if says(answer, expect):
        by = f"{fired[0].edit.edit_id} fired" if fired else "the model knew it, and no fact fired"
        return Diagnosis("good", f"all good: the answer says {expect!r}; {by}")
    obeyed = next((j.edit for j in fired if any(j.edit.edit_id == e.edit_id for e in wanted)), None)
    if obeyed is not None:
        return _not_obeyed(asked, obeyed)
    if fired:
        edit = fired[0].edit
        return Diagnosis(
            "wrong edit",
            f"wrong edit: {edit.edit_id} fired, and it does not say {expect!r}; correct it",
            f"scr add -q {asked} -a {quoted(expect)}",
        )
    if not wanted:
        return Diagnosis(
            "not stored", f"not retrieved: no stored fact says {expect!r}", f"scr add -q {asked} -a {quoted(expect)}"
        )
    missed = next((j for j in decision.near_misses if any(j.edit.edit_id == e.edit_id for e in wanted)), None)
    if missed is None:
        return Diagnosis(
            "not retrieved",
            f"not retrieved: {wanted[0].edit_id} says {expect!r}, but the question does not come near it",
            _as_another_wording(asked, wanted[0]),
        )
    if "denied" in missed.evidence:
        told = f"did not fire: {missed.edit.edit_id} says so, but is denied for this question; to allow it"
        return Diagnosis("did not fire", told, f"scr allow {missed.edit.edit_id} {asked}")
    return Diagnosis(
        "did not fire",
        f"did not fire: {missed.edit.edit_id} says so, but has {share(missed.probability)} of the "
        f"{share(decision.threshold)} it needs; to make it fire",
        _as_another_wording(asked, missed.edit),
    )


def _not_obeyed(asked: str, edit: "Edit") -> Diagnosis:
    return Diagnosis(
        "not obeyed",
        f"fired but not obeyed: the model was shown {edit.edit_id} and does not say {edit.target_new or 'it'!r}; "
        "store the answer itself, or use a larger model with -m",
        f"scr add --verbatim -q {asked} -a {quoted(edit.target_new or edit.statement)}",
    )


def _as_another_wording(asked: str, edit: "Edit") -> str:
    return f"scr add -q {asked} -a {quoted(edit.target_new) if edit.target_new else 'ANSWER'}"


def quoted(text: str) -> str:
    """``text`` as one word for the shell, in the quotes that people type where they will do.

    >>> print(quoted("Lyon"), quoted("France's capital?"), quoted('a "$HOME"'))
    Lyon "France's capital?" 'a "$HOME"'
    """
    plain = shlex.quote(text)
    return f'"{text}"' if plain != text and not set(text) & set('"$`\\!') else plain


def says(text: str, wanted: str) -> bool:
    """Whether ``wanted`` stands in ``text`` as whole words, whatever the case and accents.

    >>> says("It is Lyon.", "lyon"), says("Lyonnaise", "Lyon")
    (True, False)
    """
    from memory_store.identity import fold

    return f" {fold(wanted)} " in f" {fold(text)} " if fold(wanted) else wanted.strip() in text


def _same(one: str, other: str) -> bool:
    return " ".join(one.split()) == " ".join(other.split())


def _text(
    question: str,
    decision: "Decision",
    answer: "Answer",
    alone: str,
    facts: int,
    diagnosis: Diagnosis,
    calibrated: bool,
) -> str:
    shown = [
        fields(
            [
                ("question", question),
                ("answer", answer.text),
                ("without edits", "the same" if _same(answer.text, alone) else alone),
            ]
        ),
        "",
    ]
    if answer.hops:
        shown += [*hops_in_words(answer), ""]
    candidates = [(True, j) for j in decision.in_scope]
    candidates += [(False, j) for j in decision.near_misses[:MOST_CANDIDATES]]
    if not facts:
        shown.append(NO_FACTS)
    elif not candidates:
        shown.append(f"no candidate among {facts} facts")
    else:
        bar = f"{share(decision.threshold)} on{' (calibrated)' if calibrated else ''}"
        shown.append(f"{len(candidates)} of {facts} facts came near; one fires from {bar}:")
        # The nearest one that did not fire is always of interest, those far off are not.
        far = [j for fired, j in candidates if not fired and j.probability < FAR][1 if not decision.in_scope else 0 :]
        shown += [_candidate(fired, judged) for fired, judged in candidates if judged not in far]
        if far:
            shown.append(click.style(f"        and {len(far)} below {FAR}", dim=True))
    shown += ["", click.style(diagnosis.message + (f": {diagnosis.next}" if diagnosis.next else ""), bold=True)]
    return "\n".join(shown)


def _candidate(fired: bool, judged: "Judged") -> str:
    mark = click.style("fired", fg="green") if fired else click.style("  no ", dim=True)
    line = f"  {mark}  {share(judged.probability):>5}  {judged.edit.edit_id}  {one_line(judged.edit.statement)}"
    told = in_words(judged.evidence)
    return line + (f"\n                {click.style(told, dim=True)}" if told else "")


def in_words(evidence: Mapping[str, float]) -> str:
    """What a decision rests on, for people; evidence of a name unknown here is given as it is.

    >>> in_words({"subject_exact": 1.0, "cos_relation_best": 0.91, "foreign_numbers": 1.0, "odd_thing": 0.5})
    'names the subject, asks for the same (0.91), holds a number that the fact has not, odd thing 0.50'
    >>> in_words({"denied": 1.0, "judged": 0.93}), in_words({"allowed": 0.98})
    ('denied for this question, 0.93 by itself', 'allowed for one like it (0.98)')
    """
    left = dict(evidence)
    told = []
    for word in ("allowed", "denied"):
        if (cosine := left.pop(word, None)) is not None:
            told.append(f"{word} for this question" if cosine >= 1 else f"{word} for one like it ({cosine:.2f})")
    if (judged := left.pop("judged", None)) is not None:
        told.append(f"{share(judged)} by itself")
    if (own := left.pop("own_threshold", None)) is not None:
        told.append(f"needs {share(own)} of its own")
    exact, coverage = left.pop("subject_exact", None), left.pop("subject_coverage", None)
    if exact:
        told.append("names the subject")
    elif coverage is not None:
        told.append(f"names part of the subject ({share(coverage)})" if coverage > 0 else "does not name the subject")
    if (relation := left.pop("cos_relation_best", None)) is not None:
        how = "the same" if relation >= 0.75 else "something similar" if relation >= 0.5 else "something else"
        told.append(f"asks for {how} ({relation:.2f})")
    for name, words in _MEASURES.items():
        if (value := left.pop(name, None)) is not None:
            told.append(f"{words} {value:.2f}")
    for name, words in _SIGNS.items():
        if left.pop(name, 0) > 0:
            told.append(words)
    return ", ".join([*told, *(f"{name.replace('_', ' ')} {value:.2f}" for name, value in left.items())])


_MEASURES = {
    "relation_overlap": "words in common",
    "cos_prompt": "like its question",
    "cos_statement": "like its sentence",
}
_SIGNS = {
    "subject_extra_capitals": "the name goes on with other words",
    "foreign_capitals": "holds a name that the fact has not",
    "foreign_numbers": "holds a number that the fact has not",
    "target_in_query": "holds the answer already",
}
