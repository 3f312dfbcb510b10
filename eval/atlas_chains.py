"""Does an edit reach the questions that go through it? Chains of two and three facts over Atlas' edits, built in.

The edits and two-hop questions are those of ``eval.atlas``; a three-hop question goes through the edit and two facts
that no case edits. The further facts are also asked by themselves (``hop``), so that a wrong answer can be told from
one that rests on a fact the model does not know.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from eval.atlas import SEED, filled, load_atlas
from eval.cases import Dataset, EvalCase, Probe
from memory_store.edit import Edit
from scr.pocket.facts import Fact, in_running_text, load_facts
from scr.pocket.wordings import WORDINGS, wordings


@dataclass(frozen=True, slots=True)
class Chain:
    """An edit and the facts behind it."""

    edit: Edit
    relation: str
    """Of the edit."""
    further: tuple[Fact, ...]
    """Each about the object of the one before."""
    question: str
    """Through all of them."""

    @property
    def accepted(self) -> tuple[str, ...]:
        return (self.further[-1].object,)


def load_atlas_chains() -> Dataset:
    """Make the data set: every Atlas edit through which a question of two or three hops goes."""
    atlas = load_atlas()
    edits = [case.edit for case in atlas.cases]
    threes = {chain.edit.edit_id: chain for chain in three_hops(edits)}
    cases = []
    for case in atlas.cases:
        probes = [probe for probe in case.probes if probe.kind == "prompt"]
        rng = random.Random(f"{SEED}-chains-{case.edit.edit_id}")
        relation = relation_of(case.edit)
        for probe in case.probes:
            second = _behind(case.edit, probe) if probe.kind == "two_hop" and relation else None
            if second is not None and relation:
                chain = Chain(case.edit, relation, (second,), probe.prompt)
                probes += _asked(chain, replace(probe, steps=_steps(chain, rng)), rng)
        three = threes.get(case.edit.edit_id)
        if three is not None:
            whole = Probe(kind="multi_hop", prompt=three.question, accepted=three.accepted, steps=_steps(three, rng))
            probes += _asked(three, whole, rng)
        if len(probes) > 1:
            cases.append(EvalCase(edit=case.edit, ground_truth=case.ground_truth, probes=tuple(dict.fromkeys(probes))))
    return Dataset(
        name="atlas-chains",
        cases=tuple(cases),
        rows=len(atlas.cases),
        dropped={"no fact is known of the new answer": len(atlas.cases) - len(cases)},
        source=f"chains over the edits of: {atlas.source}",
    )


def three_hops(edits: Sequence[Edit], seed: int = SEED) -> list[Chain]:
    """A question through an edit and two facts that are not edited, where the built-in facts hold them."""
    by_subject = _by_subject()
    subjects = {edit.subject for edit in edits}
    rng = random.Random(seed)
    found: list[Chain] = []
    for edit in edits:
        relation = relation_of(edit)
        ways = [
            (second, third)
            for second in by_subject.get(edit.target_new, ())
            if second.subject not in subjects and second.object != edit.subject
            for third in by_subject.get(second.object, ())
            if third.subject not in subjects and third.object not in (edit.subject, edit.target_new)
        ]
        if relation is None or not ways:
            continue
        second, third = rng.choice(ways)
        inner = f"the {WORDINGS[relation].nouns[0]} of {in_running_text(edit.subject)}"
        inner = f"the {WORDINGS[second.relation].nouns[0]} of {inner}"
        text = rng.choice(wordings(third.relation, "question", "evaluation")).replace("{s}", inner)
        found.append(Chain(edit, relation, (second, third), text[:1].upper() + text[1:]))
    return found


def relation_of(edit: Edit) -> str | None:
    """The relation of which an Atlas edit's prompt is a wording; None where that is not plain."""
    found = {
        fact.relation
        for fact in _by_subject().get(edit.subject, ())
        if any(edit.prompt.startswith(filled(wording, fact.subject)) for wording in _statements(fact.relation))
    }
    return found.pop() if len(found) == 1 else None


@functools.cache
def _by_subject() -> dict[str, list[Fact]]:
    found: dict[str, list[Fact]] = {}
    for fact in load_facts():
        found.setdefault(fact.subject, []).append(fact)
    return found


@functools.cache
def _statements(relation: str) -> tuple[str, ...]:
    return wordings(relation, "statement", "evaluation")


def _behind(edit: Edit, probe: Probe) -> Fact | None:
    """The fact that a two-hop question goes on through."""
    return next((fact for fact in _by_subject().get(edit.target_new, ()) if fact.object in probe.accepted), None)


def _asked(chain: Chain, whole: Probe, rng: random.Random) -> Iterable[Probe]:
    yield whole
    for fact in chain.further:
        yield Probe(kind="hop", prompt=_question(fact.relation, fact.subject, rng), accepted=(fact.object,))


def _steps(chain: Chain, rng: random.Random) -> tuple[str, ...]:
    first = _question(chain.relation, chain.edit.subject, rng)
    return (first, *(_question(fact.relation, "{}", rng) for fact in chain.further))


def _question(relation: str, subject: str, rng: random.Random) -> str:
    wording = rng.choice(wordings(relation, "question", "evaluation"))
    return filled(wording, subject) if subject != "{}" else wording.replace("{s}", subject)


__all__ = ["Chain", "load_atlas_chains", "relation_of", "three_hops"]
