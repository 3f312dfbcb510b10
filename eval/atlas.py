"""What does the built-in data set ask? Facts that the pocket model knows, changed, in words its training never used.

Every wording comes from the evaluation split of ``scr.pocket.wordings``, so that neither an edit nor a question shares
a template with the training of the model. A new answer is another thing of the same type. Facts asked as ``neighbor``,
``same_subject`` or ``fixed`` are edited by no case of the set, at no number of edits; nor is a chain's second fact.

A reversed question is asked where the new answer then belongs to one subject alone. Aliases are surnames that only one
person bears here, and common names of countries; the memory is not told of them.
"""

from __future__ import annotations

import functools
import random
from collections import defaultdict
from collections.abc import Iterable, Sequence

from eval.cases import Dataset, EvalCase, Probe
from memory_store.edit import Edit
from memory_store.errors import ConfigError
from scr.pocket.data import article
from scr.pocket.facts import Fact, in_running_text, load_facts
from scr.pocket.wordings import WORDINGS, Form, split_of, wordings

SEED = 0
CASES, FIXED = 1000, 200
NEIGHBORS, PARAPHRASES = 2, 2

_TYPES: tuple[frozenset[str], ...] = (
    frozenset({"capital", "headquarters", "birthplace", "death_place", "formation_place"}),
    frozenset({"country", "citizenship", "country_of_origin"}),
    frozenset({"official_language", "native_language", "original_language"}),
    frozenset({"author", "painter", "composer", "director", "discoverer", "founder"}),
    frozenset({"developer", "manufacturer"}),
)
"""Relations whose objects are of one type and may stand in for each other."""

_BEARING: tuple[frozenset[str], ...] = (
    frozenset({"country", "continent"}),
    frozenset({"country", "capital"}),
    frozenset({"birthplace", "citizenship"}),
    frozenset({"profession", "field"}),
    frozenset({"profession", "sport"}),
    frozenset({"profession", "instrument"}),
)
"""Pairs of relations of which one's answer may follow from the other's; no locality is asked across them."""

_OF_PERSONS = frozenset(
    {"birthplace", "citizenship", "death_place", "profession", "field", "instrument", "native_language", "sport"}
)

_ALIASES = {
    "Netherlands": "Holland",
    "United States": "USA",
    "United Kingdom": "Great Britain",
    "Czech Republic": "Czechia",
    "Ivory Coast": "Côte d'Ivoire",
    "Myanmar": "Burma",
    "Eswatini": "Swaziland",
    "North Macedonia": "Macedonia",
    "Cape Verde": "Cabo Verde",
    "East Timor": "Timor-Leste",
    "United Arab Emirates": "UAE",
    "Democratic Republic of the Congo": "DR Congo",
    "Sri Lanka": "Ceylon",
    "Iran": "Persia",
    "Thailand": "Siam",
    "Vatican City": "Holy See",
    "Turkey": "Türkiye",
}


def load_atlas(cases: int = CASES, *, fixed: int = FIXED, seed: int = SEED) -> Dataset:
    """Make the data set: the first ``cases`` of at most 1,000, the same ones for every smaller number.

    Args:
        cases: how many edits.
        fixed: how many questions that no edit touches.
        seed: which facts, which new answers, which wordings.

    Raises:
        ConfigError: more than there are, or none.
    """
    if not 1 <= cases <= CASES or not 1 <= fixed <= FIXED:
        raise ConfigError(
            f"Atlas has 1 to {CASES} cases and 1 to {FIXED} fixed questions, got {cases} cases and {fixed} questions"
        )
    made = _made(seed)
    return Dataset(
        name="atlas",
        cases=tuple(made.cases[:cases]),
        fixed=tuple(made.fixed[:fixed]),
        rows=len(made.facts),
        dropped={"facts that no case edits": len(made.facts) - cases},
        source=f"facts.csv of the pocket model, evaluation wordings, seed {seed}",
    )


def truths(count: int, *, seed: int = SEED) -> list[tuple[str, str]]:
    """``count`` (cloze, object) pairs of facts that no case edits: what an intact model still knows.

    Raises:
        ConfigError: none are asked for.
    """
    if count < 1:
        raise ConfigError(f"at least one fact, got {count}")
    made = _made(seed)
    rng = random.Random(f"{seed}-truths")
    return [(made.stated(fact, fact.object, rng), fact.object) for fact in made.untouched[:count]]


def spare_facts(*, seed: int = SEED) -> list[Fact]:
    """Facts about subjects of which the data set edits nothing and asks nothing, for demonstrations."""
    made = _made(seed)
    return [fact for fact in made.facts if fact.subject not in made.touched]


def unedited_facts(*, seed: int = SEED) -> list[Fact]:
    """Facts about subjects of which the data set edits nothing, asked about or not."""
    made = _made(seed)
    edited = {subject for subject, _ in made.edited}
    return [fact for fact in made.facts if fact.subject not in edited]


def stated_of(fact: Fact, rng: random.Random, *, seed: int = SEED) -> str:
    """A cloze of a fact in evaluation wording, up to its object."""
    return _made(seed).stated(fact, fact.object, rng)


_wordings = functools.cache(wordings)
"""Putting the yes/no questions of a relation together takes as long as making a hundred cases."""


@functools.cache
def _made(seed: int) -> _Atlas:
    return _Atlas(load_facts(), seed)


class _Atlas:
    """All choices, made once for the largest size so that smaller sizes are its beginnings."""

    def __init__(self, facts: Sequence[Fact], seed: int) -> None:
        rng = random.Random(seed)
        self.facts = list(facts)
        self.by_subject: dict[str, list[Fact]] = defaultdict(list)
        self.by_relation: dict[str, list[Fact]] = defaultdict(list)
        for fact in self.facts:
            self.by_subject[fact.subject].append(fact)
            self.by_relation[fact.relation].append(fact)
        self.held: dict[tuple[str, str], set[str]] = defaultdict(set)
        for fact in self.facts:
            self.held[fact.relation, fact.object].add(fact.subject)
        self.surnames = self._surnames()

        subjects = sorted(self.by_subject)
        rng.shuffle(subjects)
        # Subjects that are edited and subjects that never are, each in a fixed order; at most one edit a subject.
        reserved, free = subjects[:FIXED], subjects[FIXED:]
        chosen = [rng.choice(self.by_subject[subject]) for subject in free[:CASES]]
        self.edited = {(fact.subject, fact.relation) for fact in chosen}
        self.untouched = [rng.choice(self.by_subject[subject]) for subject in reserved]
        targets = [self._target(fact, rng) for fact in chosen]
        given: dict[tuple[str, str], int] = defaultdict(int)
        for fact, target in zip(chosen, targets, strict=True):
            given[fact.relation, target] += 1
        self.given = given
        self.touched = {fact.subject for fact in (*chosen, *self.untouched)}
        """Subjects of which something is edited or asked."""
        self.fixed = [
            Probe(kind="unrelated", prompt=self.question(fact, rng), accepted=(fact.object,)) for fact in self.untouched
        ]
        self.cases = [
            self._case(number, fact, target, random.Random(f"{seed}-{fact.subject}-{fact.relation}"))
            for number, (fact, target) in enumerate(zip(chosen, targets, strict=True))
        ]

    # -- what is edited

    def _target(self, fact: Fact, rng: random.Random) -> str:
        alike = next((group for group in _TYPES if fact.relation in group), frozenset({fact.relation}))
        pool = {f.object for relation in alike for f in self.by_relation[relation]}
        return rng.choice(sorted(pool - {fact.object, fact.subject}))

    def _case(self, number: int, fact: Fact, target: str, rng: random.Random) -> EvalCase:
        prompt = self.stated(fact, target, rng)
        edit = Edit(
            edit_id=f"atlas-{number:04d}",
            subject=fact.subject,
            prompt=prompt,
            target_new=target,
            statement=f"{prompt} {target}.",
        )
        asked = Probe(kind="prompt", prompt=prompt, accepted=(target,), rival=fact.object)
        probes = [
            asked,
            *(
                Probe(kind="paraphrase", prompt=question, accepted=(target,), rival=fact.object)
                for question in self.questions(fact, PARAPHRASES, rng)
            ),
            *self._yes_no(fact, target, rng),
            *self._alias(fact, target, rng),
            *self._reversed(fact, target, rng),
            *self._two_hop(fact, target, rng),
            *self._neighbors(fact, target, rng),
            *self._same_subject(fact, target, rng),
        ]
        return EvalCase(edit=edit, ground_truth=fact.object, probes=tuple(probes))

    # -- what is asked

    def _yes_no(self, fact: Fact, target: str, rng: random.Random) -> Iterable[Probe]:
        for answer, right in ((target, "Yes"), (fact.object, "No")):
            text = filled(rng.choice(_wordings(fact.relation, "yes_no", "evaluation")), fact.subject, answer)
            yield Probe(kind="yes_no", prompt=text, accepted=(right,), rival="No" if right == "Yes" else "Yes")

    def _alias(self, fact: Fact, target: str, rng: random.Random) -> Iterable[Probe]:
        alias = _ALIASES.get(fact.subject) or self.surnames.get(fact.subject)
        if alias is not None:
            wording = rng.choice(self._question_wordings(fact.relation))
            yield Probe(kind="alias", prompt=filled(wording, alias), accepted=(target,), rival=fact.object)

    def _reversed(self, fact: Fact, target: str, rng: random.Random) -> Iterable[Probe]:
        others = self.held[fact.relation, target] - {fact.subject}
        if not others and self.given[fact.relation, target] == 1:
            wording = rng.choice(_wordings(fact.relation, "reversed", "evaluation"))
            yield Probe(kind="reversed", prompt=filled(wording, fact.subject, target), accepted=(fact.subject,))

    def _two_hop(self, fact: Fact, target: str, rng: random.Random) -> Iterable[Probe]:
        before = {f.relation: f.object for f in self.by_subject.get(fact.object, ())}
        seconds = [
            f
            for f in self.by_subject.get(target, ())
            if (f.subject, f.relation) not in self.edited
            and before.get(f.relation) != f.object
            and f.object not in (fact.subject, target)
        ]
        if seconds:
            second = rng.choice(seconds)
            self.touched.add(second.subject)
            inner = f"the {WORDINGS[fact.relation].nouns[0]} of {in_running_text(fact.subject)}"
            wording = rng.choice(self._question_wordings(second.relation))
            text = wording.replace("{s}", inner)
            yield Probe(
                kind="two_hop",
                prompt=text[:1].upper() + text[1:],
                accepted=(second.object,),
                rival=before.get(second.relation, ""),
            )

    def _neighbors(self, fact: Fact, target: str, rng: random.Random) -> Iterable[Probe]:
        """As in CounterFact first those that share the old answer; then others of the relation."""
        intact = [
            f
            for f in self.by_relation[fact.relation]
            if (f.subject, f.relation) not in self.edited and f.subject not in (fact.subject, target)
        ]
        rng.shuffle(intact)
        intact.sort(key=lambda f: f.object != fact.object)
        for other in intact[:NEIGHBORS]:
            self.touched.add(other.subject)
            rival = target if target != other.object else ""
            yield Probe(kind="neighbor", prompt=self.question(other, rng), accepted=(other.object,), rival=rival)

    def _same_subject(self, fact: Fact, target: str, rng: random.Random) -> Iterable[Probe]:
        for other in self.by_subject[fact.subject]:
            pair = {other.relation, fact.relation}
            if len(pair) == 2 and not any(pair <= group for group in _BEARING):
                yield Probe(kind="same_subject", prompt=self.question(other, rng), accepted=(other.object,))

    # -- words

    def stated(self, fact: Fact, answer: str, rng: random.Random) -> str:
        """A cloze: the relation's own wording or, as often, a general one."""
        found = _wordings(fact.relation, "statement", "evaluation")
        own = _own(fact.relation, "statement")
        wording = rng.choice(found[:own]) if own and rng.random() < 0.5 else rng.choice(found)
        return article(filled(wording, fact.subject), answer)

    def question(self, fact: Fact, rng: random.Random) -> str:
        return self.questions(fact, 1, rng)[0]

    def questions(self, fact: Fact, count: int, rng: random.Random) -> list[str]:
        """Different questions; the relation's own wordings first, for they differ most from the edit's."""
        found = self._question_wordings(fact.relation)
        own = found[: _own(fact.relation, "question")]
        first = rng.choice(own) if own and rng.random() < 0.7 else rng.choice(found)
        others = [wording for wording in found if wording != first]
        return [filled(wording, fact.subject) for wording in (first, *rng.sample(others, count - 1))]

    @staticmethod
    def _question_wordings(relation: str) -> tuple[str, ...]:
        return _wordings(relation, "question", "evaluation")

    def _surnames(self) -> dict[str, str]:
        """Person → last name, where nothing else here has that word in its name."""
        words: dict[str, set[str]] = defaultdict(set)
        for name in {f.subject for f in self.facts} | {f.object for f in self.facts}:
            for word in name.replace("-", " ").split():
                words[word].add(name)
        persons = {f.subject for f in self.facts if f.relation in _OF_PERSONS and f.subject.count(" ")}
        return {
            person: last
            for person in sorted(persons)
            if (last := person.split()[-1]).isalpha() and len(last) > 3 and words[last] == {person}
        }


def filled(wording: str, subject: str, answer: str = "") -> str:
    """The wording with its subject and answer, the first letter large.

    >>> filled("{s} lies on the continent of", "Netherlands")
    'The Netherlands lies on the continent of'
    """
    text = wording.replace("{s}", in_running_text(subject)).replace("{o}", answer)
    return text[:1].upper() + text[1:]


def _own(relation: str, form: Form) -> int:
    """How many of a relation's evaluation wordings were written for it; they stand first."""
    written = WORDINGS[relation].questions if form == "question" else WORDINGS[relation].statements
    return sum(split_of(i) == "evaluation" for i in range(len(written)))


__all__ = ["CASES", "FIXED", "filled", "load_atlas", "spare_facts", "stated_of", "truths", "unedited_facts"]
