"""What does a question need before it can be answered? Facts that stand inside it, one hop after the other.

"What is the capital of the country where Ada was born?" A phrase of the question that an edit governs, taken for
itself, gives way to the edit's object; the question that is left is judged again, against the same memory. Every hop
passes the scope decision, so that what is denied, superseded or not yet valid enters no chain. An edit that answers
with another kind of thing than is asked for stands inside the question: a city where a country is asked for gives
"which country is that city in?" (``scr.question_kinds``). No language model is
asked to follow a format; where one is given, it answers phrases that no edit governs.

A round is one batch of decisions: the question that is left, the phrases in it, and what will be left if the likeliest
edit takes a phrase's place. A question of one hop costs the decision that it costs anyway; each further hop costs less
than one more, for the texts of one batch are encoded together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from memory_store.edit import Edit
from memory_store.identity import fold, names_of
from scr.phrases import Phrase, asked_of, is_office, phrases, proper_names, rest_words, says_who
from scr.protocols import Decision, Hop, Judged
from scr.question_kinds import differ, kind_asked, kind_told, lies_in
from scr.relations import readings

MOST_HOPS = 4
"""Facts that one question may go through before it is asked."""
_AS_GOOD = 0.03
"""A phrase this much less probable than the best one with the same beginning counts as good; the shortest is taken."""
_WORSE = 0.1
"""How much less probable than on the whole question an edit may be on the phrase."""
_SURE = 0.6
"""Probability that a phrase needs where no edit governs the whole question."""
_NEARER = 0.02
"""How much nearer to the edit the phrase has to be than the whole question, as cosines."""
_NEARER_CLAUSE = 0.07
"""How much farther it may be where words say that two things are asked: a relative clause, one noun of another."""
_COSINES = ("cos_statement", "cos_prompt")
"""Evidence of a decision that says how near a text is to an edit."""
_LONGEST_THING = 8
"""Words of an answer of the model that can stand for a thing."""
_MOST_EXPECTED = 2
"""Texts that a round decides for the next one."""
_STEM = 5
"""Letters by which words are taken for one."""

Decide = Callable[[Sequence[str]], list[Decision]]
Alike = Callable[[Sequence[tuple[str, Edit]]], list[float]]
NamedEdits = Callable[[Sequence[str]], list[list[Edit]]]
Start = Literal["memory", "model"]
Ask = Callable[[Sequence[str]], list[str]]


@dataclass(slots=True)
class _State:
    """A question on its way."""

    question: str
    names: dict[str, bool]
    """Names round which phrases are sought, and whether a name may be such a phrase itself."""
    thing: str = ""
    """What the last hop put into the question."""
    first: Decision = field(default_factory=Decision)
    decision: Decision = field(default_factory=Decision)
    hops: list[Hop] = field(default_factory=list)
    done: bool = False
    edits: Sequence[Edit] = ()
    """About what the question names."""
    known: dict[str, Decision] = field(default_factory=dict)
    """What was decided about texts."""

    @property
    def edited(self) -> bool:
        return any(hop.judged is not None for hop in self.hops)

    def result(self) -> Decision:
        if self.edited or self.hops and self.decision.in_scope:
            inside = {hop.judged.edit.edit_id for hop in self.hops if hop.judged is not None}
            missed = tuple(j for j in self.decision.near_misses if j.edit.edit_id not in inside)
            return replace(self.decision, near_misses=missed, hops=tuple(self.hops), asked=self.question)
        return self.first  # nothing of the memory took part

    def went(self, candidate: _Candidate, told: str, judged: Judged | None) -> None:
        thing = _in_text(told)
        self.question = candidate.left(told)
        self.names = {thing: False}
        self.thing = thing
        self.edits = ()
        self.hops.append(Hop(candidate.phrase.text, told, judged))

    def lies_in(self, judged: Judged, larger: str) -> None:
        """Go on to the larger place in which an edit's object lies."""
        self.thing = judged.edit.target_new
        self.question = f"Which {larger} is {self.thing} in?"
        self.names, self.edits = {self.thing: False}, ()
        self.hops.append(Hop(judged.edit.subject, self.thing, judged))


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A phrase of a reading of a question."""

    reading: str
    phrase: Phrase
    name: str
    """Round which the phrase was found."""

    @property
    def asked(self) -> str:
        """The phrase as a sentence up to its answer, which asks for a person as well as for a thing."""
        text = self.phrase.text
        return f"{text[:1].upper()}{text[1:]} is"

    def left(self, thing: str) -> str:
        """What is left to ask once it is known what the phrase stands for."""
        return self.phrase.replaced(self.reading, _in_text(thing))

    @property
    def kind(self) -> str:
        """The kind of thing that the phrase says it stands for."""
        return kind_asked(self.asked, self.name)

    @property
    def question(self) -> str:
        """What a model is asked."""
        who = self.kind == "someone" or is_office(self.phrase.text)
        return f"{'Who' if who else 'What'} is {self.phrase.text}?"


def follow(
    questions: Sequence[str],
    decide: Decide,
    named: NamedEdits,
    alike: Alike,
    *,
    ask: Ask | None = None,
    start: Start = "memory",
    hops: int = MOST_HOPS,
    ahead: bool = True,
) -> list[Decision]:
    """Return each question's decision, or where facts stand inside it, the decision about what they leave to ask.

    Args:
        decide: the scope decision for a batch of texts.
        named: edits whose subject or alias each text names.
        alike: how near texts are to edits, as cosines; asked only where a chain may go on.
        ask: the frozen model's answers to short questions; None ends a chain where no edit goes on.
        start: ``memory``: an edit takes the first hop. ``model``: the model may, which costs a question of the model
            for every nested question that no edit governs.
        hops: facts that a question may go through at most; 0 is the scope decision alone.
        ahead: decide in one batch with the phrases what will probably be left; in vain where another edit governs the
            phrase, or none.
    """
    states = [_State(q, _names(q, edits), edits=edits) for q, edits in zip(questions, named(questions), strict=True)]
    for number in range(hops + 1):
        active = [state for state in states if not state.done]
        if not active:
            break
        found = [_candidates(state) if number < hops else [] for state in active]
        inside = [state for state, candidates in zip(active, found, strict=True) if number and candidates and ahead]
        for state, edits in zip(inside, named([state.question for state in inside]), strict=True):
            state.edits = edits
        _decide(decide, active, found, ahead)
        unanswered: list[tuple[_State, _Candidate]] = []
        for state, candidates in zip(active, found, strict=True):
            state.decision = _about(state, state.known[state.question])
            if not number:
                state.first = state.decision
            chosen = _chosen(state, [(c, _about(state, state.known[c.asked])) for c in candidates], alike)
            if chosen is not None:
                state.went(chosen[0], chosen[1].edit.target_new, chosen[1])
                continue
            if state.thing:
                state.decision = _of_kind(state)
            if number < hops and (place := _lying_in(state)) is not None:
                state.lies_in(*place)
            elif (
                not number
                and not state.names
                and (names := _names(state.question, [j.edit for j in state.decision.in_scope]))
            ):
                state.names = names  # too long to be looked up: the decision found it by its meaning
            elif state.decision.in_scope or ask is None or number >= hops:
                state.done = True
            elif state.edited or start == "model":
                if not candidates and not number:
                    state.names = {name: is_office(name) for name in proper_names(state.question)}
                    candidates = _candidates(state)
                if candidates:
                    unanswered.append((state, candidates[0]))
                state.done = not candidates
            else:
                state.done = True
        if ask is not None and unanswered:
            said = ask([candidate.question for _, candidate in unanswered])
            for (state, candidate), text in zip(unanswered, said, strict=True):
                thing = (text.strip().splitlines() or [""])[0].strip().rstrip(".")
                thing = thing if len(thing.split()) <= _LONGEST_THING else ""
                state.done = not thing
                if thing:
                    state.went(candidate, thing, None)
    return [state.result() for state in states]


def facts_of(decision: Decision) -> tuple[Judged, ...]:
    """The facts of the hops in their order, then those that govern what is left, each once."""
    found = {hop.judged.edit.edit_id: hop.judged for hop in decision.hops if hop.judged is not None}
    for judged in decision.in_scope:
        found.setdefault(judged.edit.edit_id, judged)
    return tuple(found.values())


def at_once(decision: Decision) -> Decision:
    """The same facts before the question as it was asked, for whoever takes the hops alone."""
    return replace(decision, in_scope=facts_of(decision), hops=(), asked="") if decision.hops else decision


def _names(question: str, edits: Sequence[Edit]) -> dict[str, bool]:
    """The names of edits that a question holds, each once."""
    there = f" {fold(question)} "
    found: dict[str, bool] = {}
    for edit in edits:
        for name in (edit.subject, *edit.aliases):
            if name and f" {fold(name)} " in there:
                found[name] = found.get(name, False) or bool(edit.prompt) and says_who(edit.prompt, edit.subject)
    folded = {name: f" {fold(name)} " for name in found}
    return {
        n: itself for n, itself in found.items() if not any(folded[n] in f for f in folded.values() if f != folded[n])
    }


def _candidates(state: _State) -> list[_Candidate]:
    return [
        _Candidate(reading, phrase, name)
        for reading in readings(state.question)
        for name, itself in state.names.items()
        for phrase in phrases(reading, name, itself=itself)
    ]


def _decide(decide: Decide, states: Sequence[_State], found: Sequence[Sequence[_Candidate]], ahead: bool) -> None:
    """Have decided, in one batch, what this round needs and no earlier one did."""
    wanted = []
    for state, candidates in zip(states, found, strict=True):
        texts = dict.fromkeys([state.question, *(candidate.asked for candidate in candidates)])
        new = [text for text in texts if text not in state.known]
        if new and ahead:
            new += [text for text in _expected(state, candidates) if text not in state.known and text not in texts]
        wanted += [(state, text) for text in new]
    decisions = decide([text for _, text in wanted]) if wanted else []
    for (state, text), decision in zip(wanted, decisions, strict=True):
        state.known[text] = decision


def _expected(state: _State, candidates: Sequence[_Candidate]) -> list[str]:
    """What will be left where the edit of a phrase's thing that shares most words with it takes its place."""
    used = {hop.judged.edit.edit_id for hop in state.hops if hop.judged is not None}
    found: dict[str, None] = {}
    for candidate in candidates:
        name = fold(candidate.name)
        about = [
            edit
            for edit in state.edits
            if edit.target_new and not edit.verbatim and edit.edit_id not in used and name in names_of(edit)
        ]
        said = _stems(candidate.phrase.text) - _stems(name)
        if about:
            likely = max(about, key=lambda edit: len(said & _stems(edit.prompt or edit.statement)))
            found.setdefault(candidate.left(likely.target_new))
    return list(found)[:_MOST_EXPECTED]


def _stems(text: str) -> set[str]:
    return {word[:_STEM] for word in fold(text).split()}


def _in_text(thing: str) -> str:
    """A thing as it may stand inside a question: a mark at the end of its name would end the sentence."""
    return thing.rstrip("!?") or thing


def _about(state: _State, decision: Decision) -> Decision:
    """A decision after a hop, without edits of other things: the hop's object is known, so near names do not do."""
    if not state.thing or not decision.in_scope:
        return decision
    thing = _bare(state.thing)
    others = f" {fold(state.question).replace(fold(state.thing), '|')} "
    kept = tuple(
        j
        for j in decision.in_scope
        if not j.edit.subject or any(_bare(n) == thing or f" {n} " in others for n in names_of(j.edit))
    )
    dropped = tuple(j for j in decision.in_scope if j not in kept)
    return replace(decision, in_scope=kept, near_misses=(*dropped, *decision.near_misses))


def _of_kind(state: _State) -> Decision:
    """A decision after a hop, without edits that answer with another kind of thing than is asked for."""
    kind = kind_asked(state.question, state.thing)
    kept = tuple(j for j in state.decision.in_scope if not differ(kind, kind_told(j.edit)))
    dropped = tuple(j for j in state.decision.in_scope if j not in kept)
    return replace(state.decision, in_scope=kept, near_misses=(*dropped, *state.decision.near_misses))


def _lying_in(state: _State) -> tuple[Judged, str] | None:
    """The edit that says where something is, and the kind of larger place that is asked for instead."""
    there = f" {fold(state.question)} "
    for judged in state.decision.in_scope[:1]:
        edit, asked = judged.edit, kind_asked(state.question, judged.edit.subject)
        named = any(f" {name} " in there for name in names_of(edit)) and f" {fold(edit.target_new)} " not in there
        if named and lies_in(kind_told(edit), asked) and not edit.verbatim:
            return judged, asked
    return None


def _bare(name: str) -> str:
    return fold(name).removeprefix("the ")


def _chosen(
    state: _State, judged: Sequence[tuple[_Candidate, Decision]], alike: Alike
) -> tuple[_Candidate, Judged] | None:
    """The innermost of the phrases that an edit governs; None where the question is to be asked as it is."""
    denied = {j.edit.edit_id for j in state.decision.near_misses if "denied" in j.evidence}
    used = {hop.judged.edit.edit_id for hop in state.hops if hop.judged is not None}
    whole = {j.edit.edit_id: j.probability for j in state.decision.in_scope}
    options = []
    for candidate, decision in judged:
        # An edit that governs the whole explains a part of it at best; only that one may go in then.
        found = decision.in_scope[0] if decision.in_scope else None
        if found is None or whole and found.edit.edit_id not in whole:
            continue
        told = kind_told(found.edit)
        inside = differ(kind_asked(state.question, candidate.name), told)  # it says something else than is asked for
        if differ(candidate.kind, told):
            continue
        if not _may(found.edit, candidate, state.question, denied | used, inside):
            continue
        if found.probability < (whole[found.edit.edit_id] - _WORSE if whole else _SURE):
            continue
        options.append((candidate, found, inside))
    if not options:
        return None
    innermost = max(candidate.phrase.start for candidate, _, _ in options)
    options = [option for option in options if option[0].phrase.start == innermost]
    best = max(found.probability for _, found, _ in options)
    as_good = (option for option in options if option[1].probability >= best - _AS_GOOD)
    candidate, found, inside = min(as_good, key=lambda option: option[0].phrase.end)
    if inside:
        return candidate, found
    whole_like, part_like = _nearness(state, (state.question, candidate.asked), found.edit, alike)
    apart = candidate.phrase.clause or asked_of(candidate.reading, candidate.phrase)
    nearer = -_NEARER_CLAUSE if apart else _NEARER
    return (candidate, found) if part_like - whole_like >= nearer else None


def _nearness(state: _State, texts: Sequence[str], edit: Edit, alike: Alike) -> list[float]:
    """How near texts are to an edit: as the decisions about them found, where they say so."""
    found = []
    for text in texts:
        decision = state.known[text]
        evidence = [j.evidence for j in (*decision.in_scope, *decision.near_misses) if j.edit.edit_id == edit.edit_id]
        found += [max(e[n] for n in _COSINES if n in e) for e in evidence if any(n in e for n in _COSINES)]
    return found if len(found) == len(texts) else alike([(text, edit) for text in texts])


def _may(edit: Edit, candidate: _Candidate, question: str, barred: set[str], inside: bool) -> bool:
    """Whether an edit's object may stand in a phrase's place; ``inside``: in any case it is not what is asked for."""
    if not edit.target_new or edit.verbatim or edit.edit_id in barred:
        return False
    outside = candidate.phrase.replaced(candidate.reading, " ")
    if f" {fold(edit.target_new)} " in f" {fold(outside)} ":
        return False  # it asks whether this is the object
    if inside or candidate.reading != question:
        return True  # or a compound was taken apart, so there are two relations
    own = _stems(edit.prompt or edit.statement)
    return any(word[:_STEM] not in own for word in rest_words(candidate.reading, candidate.phrase))


__all__ = ["MOST_HOPS", "Alike", "Ask", "Start", "at_once", "facts_of", "follow"]
