"""How are MQuAKE's rows read? An instance is one case: all its edits are written, then its chain is asked three times.

The case's own edit is the chain's first; the others are written before it. An edit is named by what it says, so that
instances which share one write it once. Where all instances stand in one memory, those that another one contradicts
would be broken by it (the benchmark's known contamination): they are left out by the one place that reads all rows.
Published, an instance counts when any of its three questions is answered; here its questions are averaged. Each fact of
the chain is also asked by itself.

Source: Zhong et al., arXiv:2305.14795.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from eval.benchmarks.main_job import normalised
from eval.cases import EvalCase, Kind, Probe
from eval.datasets.reading import DroppedError, filled, made_case, made_edit, text_of, texts_of
from memory_store.edit import Edit


def read(number: int, row: Mapping[str, Any]) -> EvalCase:
    """One instance.

    Raises:
        DroppedError: it makes no case, or its edits do not change the answer.
    """
    return chained(row, "mquake", "multi_hop")


def chained(row: Mapping[str, Any], source: str, kind: Kind) -> EvalCase:
    """An instance of one to four edits whose questions are of ``kind``."""
    rewrites = row.get("requested_rewrite")
    if not isinstance(rewrites, list) or not rewrites:
        raise DroppedError("a field is missing or empty")
    before = tuple(edit_of(rewrite, source) for rewrite in rewrites[1:])
    first = rewrites[0]
    subject, new = spaced(text_of(first, "subject")), text_of(first, "target_new", "str")
    true = text_of(first, "target_true", "str")
    answer, old = text_of(row, "new_answer"), row.get("answer")
    rival = old.strip() if isinstance(old, str) else ""
    accepted = tuple(dict.fromkeys([answer, *texts_of(row, "new_answer_alias")]))
    if rival and normalised(rival) in {normalised(text) for text in accepted}:
        raise DroppedError("the edits change no answer")
    questions = [spaced(text) for text in texts_of(row, "questions")]
    if not questions:
        raise DroppedError("a field is missing or empty")
    hops = hops_of(row)
    steps = steps_of(hops)
    probes = [Probe(kind=kind, prompt=text, accepted=accepted, rival=rival, steps=steps) for text in questions]
    probes += hops
    if isinstance(first.get("question"), str) and first["question"].strip():
        own = Probe(kind="paraphrase", prompt=spaced(first["question"]), accepted=(new,), rival=true)
        probes.insert(0, own)
    name = edit_of(first, source).edit_id
    prompt = filled(first, subject)
    case = made_case(name, subject=subject, prompt=prompt, target=new, truth=true, probes=probes)
    return EvalCase(edit=case.edit, ground_truth=true, probes=case.probes, before=before)


def hops_of(row: Mapping[str, Any]) -> list[Probe]:
    """Each fact of the chain, after the edits, asked by itself; nothing where one of them cannot be."""
    found = row.get("new_single_hops")
    try:
        return [
            Probe(
                kind="hop",
                prompt=spaced(text_of(hop, "question")),
                accepted=tuple(dict.fromkeys([text_of(hop, "answer"), *texts_of(hop, "answer_alias")])),
            )
            for hop in (found if isinstance(found, list) else [])
        ]
    except DroppedError:
        return []


def steps_of(hops: Sequence[Probe]) -> tuple[str, ...]:
    """The chain's single questions, ``{}`` in the place of the answer before; nothing where that does not stand there.

    >>> hops = [Probe(kind="hop", prompt="Where is Ada from?", accepted=("Peru",))]
    >>> steps_of([*hops, Probe(kind="hop", prompt="What is Peru's anthem?", accepted=("March",))])
    ('Where is Ada from?', "What is {}'s anthem?")
    """
    steps = [hop.prompt.replace("{", "(").replace("}", ")") for hop in hops]
    for at in range(1, len(steps)):
        thing = next((text for text in hops[at - 1].accepted if text in steps[at]), None)
        if thing is None:
            return ()
        steps[at] = steps[at].replace(thing, "{}")
    return tuple(steps)


def edit_of(rewrite: Mapping[str, Any], source: str) -> Edit:
    """One edit, named by what it says."""
    subject, target = spaced(text_of(rewrite, "subject")), text_of(rewrite, "target_new", "str")
    prompt = filled(rewrite, subject)
    name = hashlib.sha256("\n".join((subject, prompt, target)).encode()).hexdigest()[:12]
    return made_edit(f"{source}-{name}", subject=subject, prompt=prompt, target=target)


def spaced(text: str) -> str:
    """
    >>> spaced("the country which  France  is in")
    'the country which France is in'
    """
    return " ".join(text.split())
