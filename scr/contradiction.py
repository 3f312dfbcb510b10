"""Does a new fact say of a live one, in other words, that its answer is another? Asked before a batch is written.

The store supersedes by identity, which is text alone: "The capital of France is" and "France's capital city is" are two
facts to it. Here the scope decision is asked whether either prompt is governed by the other fact, where both speak of
the same subject and give another answer of the same kind. This only detects; what is done about it is the caller's
policy, so that it is never left to luck which of two facts answers. A fact without a subject and a prompt contradicts
nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from memory_store.edit import Edit, PutResult
from memory_store.errors import ConfigError
from memory_store.identity import claim_of, fold, identity_of, names_of, spans_of
from memory_store.store import LONGEST_MENTION, EditStore
from memory_store.validation import validated
from scr.answer_kinds import could_answer_one_question
from scr.protocols import Candidate, Decision, Keys, ScopeClassifier
from scr.scope.thesaurus import same_meaning, stem

OnConflict = Literal["supersede", "keep-both", "reject"]
"""The new fact takes the old one's place; both stay; the new one is not stored."""
POLICIES: tuple[OnConflict, ...] = get_args(OnConflict)

MOST_COMPARED = 32
"""Facts of one subject that a new fact is compared with: those whose prompts are nearest to its own."""
NEAREST = 8
"""Facts whose prompts are nearest, looked at beside those that share a name."""
NEARLY = 0.64
"""Of the pair decision's threshold: enough here, where the subject is known to be the same; ratio."""
LEAST_ALIKE = 0.5
"""Cosine of two prompts below which nobody is asked whether they ask the same: rewordings lie above 0.55."""
_BLOCK = 256  # rows compared at once
_ALL = 1_000_000  # more than one subject has facts
_ARTICLES = ("the ", "a ", "an ", "our ", "my ", "your ", "their ", "its ")
_SMALL = frozenset("a an and at by for from in of on or the to with".split())
_NUMBERS = dict(
    zip(
        "zero one two three four five six seven eight nine ten eleven twelve".split(),
        map(str, range(13)),
        strict=True,
    )
)


@dataclass(frozen=True, slots=True)
class Other:
    """A fact that a new one is compared with."""

    edit: Edit
    position: int | None = None
    """Where it stands in the same batch; None for a live edit of the store."""


def checked_policy(policy: str) -> OnConflict:
    """Return a policy.

    Raises:
        ConfigError: there is none of this name.
    """
    for known in POLICIES:
        if known == policy:
            return known
    raise ConfigError(f"on_conflict is {policy!r}, wanted one of {', '.join(POLICIES)}")


def suspects(store: EditStore, edits: Sequence[Edit], keys: Mapping[str, Keys]) -> list[list[Other]]:
    """Return for each new edit the facts of the same subject with another answer; no decider is asked.

    They are live edits of the store and earlier edits of the batch, found by name and among the nearest prompts. Those
    that the store itself supersedes are left out, and a new edit that is stored already has none.
    """
    many = len(edits) > 1
    edits = [validated(edit, f"edit {n}: " if many else "") for n, edit in enumerate(edits, start=1)]
    asked = [n for n, edit in enumerate(edits) if edit.subject and edit.prompt]
    live: dict[int, list[Edit]] = {}
    for namespace in dict.fromkeys(edits[n].namespace for n in asked):
        of_it = [n for n in asked if edits[n].namespace == namespace]
        named = store.mentioned([_looked_for(edits[n]) for n in of_it], namespace=namespace, limit=_ALL)
        near = store.nearest(keys["prompt"][of_it], NEAREST, namespace=namespace, kind="prompt")
        ids = [[*some, *(hit.edit_id for hit in hits)] for some, hits in zip(named, near, strict=True)]
        wanted = list(dict.fromkeys(edit_id for some in ids for edit_id in some))
        by_id = dict(zip(wanted, store.get_many(wanted, namespace=namespace), strict=True))
        live |= {n: [by_id[edit_id] for edit_id in dict.fromkeys(some)] for n, some in zip(of_it, ids, strict=True)}
    earlier = _Batch(keys["prompt"])
    found: list[list[Other]] = [[] for _ in edits]
    for n in asked:
        edit = edits[n]
        if not any(identity_of(edit) == identity_of(old) and same_answer(edit, old) for old in live[n]):
            others = [Other(old) for old in live[n]] + earlier.like(edit, n)
            found[n] = [other for other in others if _may_contradict(edit, other.edit)]
        earlier.take(edit, n)
    return found


def contradictions(
    store: EditStore, scope: ScopeClassifier, edits: Sequence[Edit], keys: Mapping[str, Keys]
) -> list[list[Other]]:
    """Return for each new edit the facts it contradicts: live edits, and earlier ones of the batch.

    Args:
        scope: asked only where two facts of one subject give different answers.
        keys: ``statement`` and ``prompt`` to unit rows, shape (len(edits), d_key), as ``put`` takes them.
    """
    found = suspects(store, edits, keys)
    pairs = [pair for n, others in enumerate(found) if others for pair in _compared(store, edits, keys, n, others)]
    contradicted: list[list[Other]] = [[] for _ in edits]
    by_new: dict[int, list[_Compared]] = {}
    for pair in pairs:
        by_new.setdefault(pair.new, []).append(pair)
    asks_old = scope.decide(
        [edits[n].prompt for n in by_new],
        [
            [Candidate(p.other.edit, {"prompt": p.prompts, "statement": p.new_to_old}) for p in ps]
            for ps in by_new.values()
        ],
    )
    fired = {
        (n, index)
        for (n, ps), decision in zip(by_new.items(), asks_old, strict=True)
        for index, p in enumerate(ps)
        if any(edit is p.other.edit for edit in _governing(scope, decision))
    }
    rest = [(n, index) for n, ps in by_new.items() for index in range(len(ps)) if (n, index) not in fired]
    turned = [by_new[n][index] for n, index in rest]
    asks_new = scope.decide(
        [p.other.edit.prompt for p in turned],
        [[Candidate(edits[p.new], {"prompt": p.prompts, "statement": p.old_to_new})] for p in turned],
    )
    fired |= {at for at, decision in zip(rest, asks_new, strict=True) if _governing(scope, decision)}
    for n, index in sorted(fired):
        contradicted[n].append(by_new[n][index].other)
    return contradicted


def _governing(scope: ScopeClassifier, decision: Decision) -> list[Edit]:
    """The edits that the decider fired, and those that it nearly did where its probabilities are calibrated."""
    enough = decision.threshold * NEARLY if scope.name == "pair" else 2.0
    near = [judged for judged in decision.near_misses if judged.probability >= enough]
    return [judged.edit for judged in (*decision.in_scope, *near)]


def put_settled(
    store: EditStore,
    edits: Sequence[Edit],
    keys: Mapping[str, Keys],
    found: Sequence[Sequence[Other]],
    policy: OnConflict,
    **options: Any,
) -> list[PutResult]:
    """Store edits in one batch, what they contradict settled by ``policy``; ``options`` are those of ``store.put``.

    Returns:
        For each edit what became of it, ``contradicts`` filled in; under ``reject`` a ``conflict`` with its reason.
    """
    against: list[list[Other]] = []
    for others in found:  # what is refused itself contradicts nothing
        refused = {n for n, before in enumerate(against) if before} if policy == "reject" else set()
        against.append([other for other in others if other.position not in refused])
    taken = [n for n in range(len(edits)) if policy != "reject" or not against[n]]
    replaces = [[other.edit for other in against[n]] for n in taken] if policy == "supersede" else ()
    of_taken = {kind: rows[taken] for kind, rows in keys.items()} if taken else None
    stored: list[PutResult] = []
    if taken or options.get("imported"):  # the note of an import is kept also where nothing of its part is
        stored = store.put([edits[n] for n in taken], of_taken, replaces=replaces, **options)
    results = dict(zip(taken, stored, strict=True))
    for n, others in enumerate(against):
        if not others:
            continue
        ids = tuple(_id_of(other, results) for other in others)
        result = results.get(n) or PutResult(status="conflict", edit=edits[n])
        if n in results and result.status in ("duplicate", "conflict"):
            continue
        reason = {
            "reject": f"{_told(edits[n])} contradicts {_told(others[0].edit)} ({ids[0]!r}){_more(ids)} and was not "
            "stored; decide with --on-conflict: supersede (it takes the other's place), keep-both (both hold), or "
            "reject (this)",
            "keep-both": f"contradicts {_told(others[0].edit)} ({ids[0]!r}){_more(ids)} in other words; both are kept, "
            "and either may answer",
            "supersede": f"says in other words what {ids[0]!r} said{_more(ids)}",
        }[policy]
        results[n] = replace(result, contradicts=ids, reason=reason)
    return [results[n] for n in range(len(edits))]


def same_subject(one: Edit, other: Edit) -> bool:
    """Whether each names the other's subject, by any of its names, or one subject is the other and what is said of it.

    >>> a = Edit(statement="", subject="Porto office", prompt="The Porto office opens at")
    >>> same_subject(a, Edit(statement="", subject="Porto", prompt="Porto's office opens its doors at"))
    True
    >>> same_subject(a, Edit(statement="", subject="Porto", prompt="The mayor of Porto is"))
    False
    >>> b = Edit(statement="The symbol of tin is Sn.", subject="tin", prompt="The symbol of tin is")
    >>> same_subject(b, Edit(statement="", subject="chemical symbol for tin", prompt="The chemical symbol for tin is"))
    True
    """
    if _names(one, _said(other)) and _names(other, _said(one)):
        return True
    return _holds(one, other) or _holds(other, one)


def same_answer(one: Edit, other: Edit) -> bool:
    """Whether two targets differ at most in case, accents, punctuation, articles, and numbers written out.

    >>> same_answer(Edit(statement="", target_new="The Hague."), Edit(statement="", target_new="the hague"))
    True
    """
    return _answer(one) == _answer(other)


def _answer(edit: Edit) -> str:
    text = claim_of(edit)
    words = (_NUMBERS.get(word, word) for word in fold(text).split() if word not in ("the", "a", "an"))
    return " ".join(words) or text.strip()


def _may_contradict(edit: Edit, other: Edit) -> bool:
    return (
        bool(other.subject and other.prompt)
        and identity_of(edit) != identity_of(other)
        and not same_answer(edit, other)
        and could_answer_one_question(edit, other)
        and (edit.valid_until is None or edit.valid_until > (other.valid_from or ""))
        and (other.valid_until is None or other.valid_until > (edit.valid_from or ""))
        and same_subject(edit, other)
    )


def _bare(name: str) -> str:
    return next((name[len(article) :] for article in _ARTICLES if name.startswith(article)), name)


def _said(edit: Edit) -> str:
    """Prompt and names, folded, with a space around each word."""
    return " " + " | ".join([fold(edit.prompt), *map(_bare, names_of(edit))]) + " "


def _names(edit: Edit, said: str) -> bool:
    return any(f" {_bare(name)} " in said for name in names_of(edit))


def _holds(longer: Edit, shorter: Edit) -> bool:
    """Whether one subject is the other with words that the other's sentence has too, in the same meaning."""
    said = {stem(word) for word in fold(shorter.statement).split()}
    for name in map(_bare, names_of(longer)):
        for part in map(_bare, names_of(shorter)):
            if name != part and f" {part} " in f" {name} ":
                more = [stem(word) for word in name.split() if word not in part.split() and word not in _SMALL]
                if any(same_meaning(a, b) for a in more for b in said):
                    return True
    return False


def _looked_for(edit: Edit) -> str:
    """A text in which the store finds every subject that ``same_subject`` could."""
    bare = [_bare(name) for name in names_of(edit)]
    return "\n".join([edit.prompt, *bare, *(f"the {name}" for name in bare)])


class _Batch:
    """The edits of a batch so far, found by the names they go by and by the keys of their prompts."""

    def __init__(self, prompts: Keys) -> None:
        self._prompts = prompts
        self._start, self._cosines = -1, prompts[:0]
        """Row from which on, for one block, cosines with every row up to the block's end are known."""
        self._taken: dict[int, Other] = {}
        self._by_name: dict[tuple[str, str], list[int]] = {}

    def take(self, edit: Edit, position: int) -> None:
        self._taken[position] = Other(edit, position)
        for name in dict.fromkeys(map(_bare, names_of(edit))):
            self._by_name.setdefault((edit.namespace, name), []).append(position)

    def like(self, edit: Edit, position: int) -> list[Other]:
        if not self._taken:
            return []
        spans = spans_of(_looked_for(edit), LONGEST_MENTION)
        found = {at for span in spans for at in self._by_name.get((edit.namespace, span), ())}
        start = position - position % _BLOCK
        if start != self._start:
            end = start + _BLOCK
            self._start, self._cosines = start, self._prompts[start:end] @ self._prompts[:end].T
        nearest = self._cosines[position - start, :position].argsort(kind="stable")[::-1][:NEAREST].tolist()
        found.update(at for at in nearest if at in self._taken and self._taken[at].edit.namespace == edit.namespace)
        return [self._taken[at] for at in sorted(found)]


@dataclass(frozen=True, slots=True)
class _Compared:
    """A new edit, by its position, and another fact, with the cosines of their keys."""

    new: int
    other: Other
    prompts: float
    new_to_old: float
    """The new prompt with the old statement."""
    old_to_new: float
    """The old prompt with the new statement."""


def _compared(
    store: EditStore, edits: Sequence[Edit], keys: Mapping[str, Keys], n: int, others: Sequence[Other]
) -> list[_Compared]:
    """The nearest of the others, compared with edit ``n``; those that ask for something far away are left out."""
    prompt, statement = keys["prompt"][n], keys["statement"][n]
    pairs = []
    stored = [other for other in others if other.position is None]
    if stored:
        ids, namespace = [other.edit.edit_id for other in stored], edits[n].namespace
        scores = [
            store.similarities(key[None], [ids], namespace=namespace, kind=kind)[0]
            for key, kind in ((prompt, "prompt"), (prompt, "statement"), (statement, "prompt"))
        ]
        pairs = [_Compared(n, other, *of_it) for other, of_it in zip(stored, zip(*scores, strict=True), strict=True)]
    for other in others:
        if other.position is not None:
            old_prompt, old_statement = keys["prompt"][other.position], keys["statement"][other.position]
            cosines = (float(prompt @ old_prompt), float(prompt @ old_statement), float(old_prompt @ statement))
            pairs.append(_Compared(n, other, *cosines))
    alike = [pair for pair in pairs if pair.prompts >= LEAST_ALIKE]
    nearest = sorted(alike, key=lambda pair: -pair.prompts)[:MOST_COMPARED]
    return [pair for pair in pairs if pair in nearest]


def _id_of(other: Other, results: Mapping[int, PutResult]) -> str:
    return other.edit.edit_id if other.position is None else results[other.position].edit.edit_id


def _told(edit: Edit) -> str:
    return f'"{edit.statement:.160}"'


def _more(ids: Sequence[str]) -> str:
    return f" and {len(ids) - 1} more" if len(ids) > 1 else ""


__all__ = [
    "MOST_COMPARED",
    "POLICIES",
    "OnConflict",
    "Other",
    "checked_policy",
    "contradictions",
    "put_settled",
    "same_answer",
    "same_subject",
    "suspects",
]
