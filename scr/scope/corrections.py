"""What if people have said whether this fact governs this query? Then that decides, whatever the decider thinks.

``Corrected`` stands around any decider. A query equal to an allowed or denied one (case, spacing, accents and
punctuation aside) follows it with certainty. One that is nearly the same follows it too: its key lies within ``NEAR``,
the fact's subject is mentioned in the same words, and neither a number nor a negation differs. Of several such
corrections the nearest decides, an allowance where two are equally near. Everything else is the decider's, held to the
namespace's calibrated threshold and to the edit's own where there is one.

Candidates carry what was said about them (``with_corrections``); without any, nothing is computed here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from memory_store.corrections import WORDS_SHARED, Correction, words_shared
from memory_store.edit import Edit
from memory_store.identity import normal
from scr.protocols import Candidate, Decision, Encoder, Judged, ScopeClassifier
from scr.scope.features import WordWeights, pair_up
from scr.scope.pair import MOST_IN_SCOPE
from scr.scope.recall import KINDS

if TYPE_CHECKING:
    from memory_store.store import EditStore
    from scr.scope.overlay import Overlaid

NEAR = 0.97
"""Cosine of two queries' keys from which on they count as one wording of the same question."""
ALLOWED, DENIED, JUDGED, OWN_THRESHOLD = "allowed", "denied", "judged", "own_threshold"
"""Evidence: cosine of the query with the corrected one (1 when equal); the decider's own probability; the edit's own
threshold, where it decided."""

_MOST = {"pair": MOST_IN_SCOPE}
"""Edits that may fire together where a calibrated threshold lets more of them; of other deciders one."""
_NEGATIONS = frozenset("not no never nor neither nobody nothing without n't isn wasn aren weren doesn didn don".split())
_REMEMBERED = 20_000
_PLAIN = WordWeights()


def with_corrections(
    memory: EditStore | Overlaid,
    encoder: Encoder,
    queries: Sequence[str],
    candidates: Sequence[list[Candidate]],
    *,
    namespace: str,
    as_of: str | datetime | None = None,
    known_at: str | datetime | None = None,
) -> list[list[Candidate]]:
    """Return what recall found, each with what was said about it, and after it the edits allowed for a query."""
    found = [list(of_query) for of_query in candidates]
    missed = []
    allowed = memory.allowed(queries, namespace=namespace, as_of=as_of, known_at=known_at)
    for of_query, ids in zip(found, allowed, strict=True):
        known = {candidate.edit.edit_id for candidate in of_query}
        missed.append([edit_id for edit_id in ids if edit_id not in known])
    if rows := [row for row, ids in enumerate(missed) if ids]:
        keys = encoder.encode([queries[row] for row in rows])
        ids_of = [missed[row] for row in rows]
        edits = [memory.get_many(ids, namespace=namespace) for ids in ids_of]
        scores = {kind: memory.similarities(keys, ids_of, namespace=namespace, kind=kind) for kind in KINDS}
        for at, row in enumerate(rows):
            for column, edit in enumerate(edits[at]):
                kinds = [kind for kind in KINDS if edit.prompt or kind != "prompt"]
                found[row].append(Candidate(edit, {kind: scores[kind][at][column] for kind in kinds}))
    wanted = sorted({candidate.edit.edit_id for of_query in found for candidate in of_query})
    said = memory.corrections_of(wanted, namespace=namespace)
    if not said:
        return found
    return [[replace(c, corrections=tuple(said.get(c.edit.edit_id, ()))) for c in of_query] for of_query in found]


class Corrected:
    """A decider that follows what people said, and decides the rest as the decider inside does."""

    def __init__(self, inner: ScopeClassifier, encoder: Encoder) -> None:
        self.inner = inner
        self._encoder = encoder
        self._keys: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    @property
    def name(self) -> str:
        return self.inner.name

    def decide(self, queries: Sequence[str], candidates: Sequence[Sequence[Candidate]]) -> list[Decision]:
        """Return one decision for each query; evidence ``allowed`` or ``denied`` says where a correction decided."""
        decisions = self.inner.decide(queries, candidates)
        if not any(candidate.corrections for found in candidates for candidate in found):
            return decisions
        return [
            self._one(found, decision, verdicts)
            for found, decision, verdicts in zip(
                candidates, decisions, self._verdicts(queries, candidates), strict=True
            )
        ]

    def _one(
        self, found: Sequence[Candidate], decision: Decision, verdicts: Mapping[str, tuple[str, float]]
    ) -> Decision:
        if decision.failed:
            return decision
        said = {candidate.edit.edit_id: candidate.corrections for candidate in found}
        calibrated = _value((c for corrections in said.values() for c in corrections), "calibrate", self.name)
        threshold = decision.threshold if calibrated is None else calibrated
        fires: list[Judged] = []
        silent: list[Judged] = []
        judged = [(True, j) for j in decision.in_scope] + [(False, j) for j in decision.near_misses]
        known = {j.edit.edit_id for _, j in judged}
        missed = (c.edit for c in found if c.edit.edit_id in verdicts and c.edit.edit_id not in known)
        judged += [(False, Judged(edit, 0.0)) for edit in missed]
        for fired, one in judged:
            own = _value(said.get(one.edit.edit_id, ()), "threshold", self.name)
            if (verdict := verdicts.get(one.edit.edit_id)) is not None:
                one = _following(one, *verdict, judged=one.edit.edit_id in known)
                (fires if verdict[0] == ALLOWED else silent).append(one)
            elif one.probability < threshold:
                silent.append(one)
            elif own is not None and one.probability < own:
                silent.append(replace(one, evidence={**one.evidence, OWN_THRESHOLD: own}))
            else:
                room = calibrated is not None and len(fires) < _MOST.get(self.name, 1)
                (fires if fired or room else silent).append(one)
        fires.sort(key=lambda j: -j.probability)
        silent.sort(key=lambda j: -j.probability)
        return replace(decision, in_scope=tuple(fires), near_misses=tuple(silent), threshold=threshold)

    def _verdicts(
        self, queries: Sequence[str], candidates: Sequence[Sequence[Candidate]]
    ) -> list[dict[str, tuple[str, float]]]:
        """For each query the edits about which a correction decides: ``allowed`` or ``denied``, and how near it is."""
        verdicts: list[dict[str, tuple[str, float]]] = []
        near: list[tuple[int, Edit, Correction]] = []
        for at, (query, found) in enumerate(zip(queries, candidates, strict=True)):
            verdicts.append({})
            asked = normal(query)
            for candidate in found:
                about = [c for c in candidate.corrections if c.kind in ("allow", "deny")]
                if equal := next((c for c in about if c.about == asked), None):
                    verdicts[at][candidate.edit.edit_id] = (_word(equal), 1.0)
                    continue
                near += [
                    (at, candidate.edit, c)
                    for c in about
                    if words_shared(asked, c.about) >= WORDS_SHARED and _same_mention(query, c.text, candidate.edit)
                ]
        if near:
            keys = self._encode([queries[at] for at, _, _ in near] + [c.text for _, _, c in near])
            best: dict[tuple[int, str], tuple[float, bool, str]] = {}
            for at, edit, correction in near:
                cosine = min(float(keys[queries[at]] @ keys[correction.text]), 1.0)
                rank = (cosine, correction.kind == "allow", _word(correction))
                if cosine >= NEAR:
                    best[at, edit.edit_id] = max(rank, best.get((at, edit.edit_id), rank))
            for (at, edit_id), (cosine, _, word) in best.items():
                verdicts[at][edit_id] = (word, cosine)
        return verdicts

    def _encode(self, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Keys by text, of which new ones are encoded in one call."""
        wanted = dict.fromkeys(texts)
        new = [text for text in wanted if text not in self._keys]
        if new:
            self._keys.update(zip(new, self._encoder.encode(new), strict=True))
        keys = {text: self._keys[text] for text in wanted}
        while len(self._keys) > _REMEMBERED:
            self._keys.popitem(last=False)
        return keys


def _following(one: Judged, word: str, cosine: float, *, judged: bool) -> Judged:
    evidence = {word: cosine, **({JUDGED: one.probability} if judged else {}), **one.evidence}
    return replace(one, probability=cosine if word == ALLOWED else 0.0, evidence=evidence)


def _word(correction: Correction) -> str:
    return ALLOWED if correction.kind == "allow" else DENIED


def _value(corrections: Iterable[Correction], kind: str, decider: str) -> float | None:
    """The threshold that was given for a decider."""
    return next((c.value for c in corrections if c.kind == kind and c.text == decider), None)


def _same_mention(query: str, corrected: str, edit: Edit) -> bool:
    """Whether two queries name the edit's subject in the same words, and agree in their numbers and negations."""
    one, other = pair_up(query, edit, _PLAIN), pair_up(corrected, edit, _PLAIN)
    mention = one.query.words[one.start : one.end]
    return (
        bool(mention)
        and mention == other.query.words[other.start : other.end]
        and _signs(one.query.words) == _signs(other.query.words)
    )


def _signs(words: Sequence[str]) -> list[str]:
    return sorted(w for w in words if w in _NEGATIONS or any(map(str.isdigit, w)))


__all__ = ["ALLOWED", "DENIED", "JUDGED", "NEAR", "OWN_THRESHOLD", "Corrected", "with_corrections"]
