"""Does this edit govern this query? Boosted trees over the evidence, giving a calibrated probability.

Each edit is judged on its own: several may fire on one question, at most ``MOST_IN_SCOPE``. A text of more than 48
words is judged part by part and an edit keeps its best part.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memory_store.errors import ConfigError
from scr.protocols import Candidate, Decision, Encoder, Judged, Keys
from scr.scope.features import COLUMN, DENSE, NAMES, Matrix, Pair, evidence, pair_up, parts
from scr.scope.relation_space import RelationSpace
from scr.scope.weights import FINAL, LEXICAL, SHIPPED, Judge, Weights

MOST_IN_SCOPE = 5
MOST_NEAR_MISSES = 5
_PER_PART = 8
_REMEMBERED_KEYS = 20_000
_SHOWN = (
    "cos_statement",
    "cos_prompt",
    "cos_relation_best",
    "relation_overlap",
    "subject_exact",
    "subject_coverage",
    "subject_extra_capitals",
    "foreign_capitals",
    "foreign_numbers",
    "target_in_query",
)


class PairClassifier:
    """The default decider."""

    name = "pair"

    def __init__(
        self, encoder: Encoder, weights: Weights, *, judge: str | None = None, threshold: float | None = None
    ) -> None:
        """Decide by ``judge`` of ``weights``: by default the final trees, or the lexical ones for a foreign encoder.

        Raises:
            ConfigError: ``threshold`` is no probability.
        """
        if threshold is not None and not 0 <= threshold <= 1:
            raise ConfigError(f"threshold is {threshold}, wanted a probability in [0, 1]")
        self.weights = weights
        self.judge_name = judge or (FINAL if encoder.fingerprint == weights.encoder else LEXICAL)
        self._judge: Judge = weights.judges[self.judge_name]
        self.threshold = self._judge.threshold if threshold is None else threshold
        self._gather = EvidenceGatherer(encoder, weights, self._judge.space)

    @classmethod
    def load(
        cls, encoder: Encoder, *, threshold: float | None = None, file: Path = SHIPPED, judge: str | None = None
    ) -> PairClassifier:
        """Load the shipped weights."""
        return cls(encoder, Weights.load(file), judge=judge, threshold=threshold)

    def decide(self, queries: Sequence[str], candidates: Sequence[Sequence[Candidate]]) -> list[Decision]:
        """Return one decision for each query; the order of candidates and the other queries change nothing."""
        gathered = self._gather(queries, candidates)
        if self.judge_name == LEXICAL:
            dense = [COLUMN[name] for name in DENSE]
            for of_query in gathered:
                of_query.evidence[:, dense] = np.nan
        margins = self._judge.trees.margins(np.concatenate([g.evidence for g in gathered])) if gathered else np.zeros(0)
        decisions = []
        first = 0
        for of_query, found in zip(gathered, candidates, strict=True):
            last = first + len(of_query.evidence)
            decisions.append(self._decide_one(found, of_query.evidence, of_query.owners, margins[first:last]))
            first = last
        return decisions

    def _decide_one(
        self, found: Sequence[Candidate], rows: Matrix, owners: NDArray[np.int64], margins: NDArray[np.float64]
    ) -> Decision:
        best: dict[int, int] = {}  # candidate → its best part's row
        for row in np.argsort(-margins, kind="stable").tolist():
            best.setdefault(int(owners[row]), row)
        ranked = sorted(best.items(), key=lambda item: (-margins[item[1]], found[item[0]].edit.edit_id))
        in_scope: list[Judged] = []
        near_misses: list[Judged] = []
        for owner, row in ranked:
            probability = float(self._judge.probability(margins[row : row + 1])[0])
            fires = probability >= self.threshold and len(in_scope) < MOST_IN_SCOPE
            if not fires and len(near_misses) >= MOST_NEAR_MISSES:
                break
            shown = {name: round(float(rows[row, COLUMN[name]]), 4) for name in _SHOWN}
            judged = Judged(found[owner].edit, probability, {n: v for n, v in shown.items() if v == v})
            (in_scope if fires else near_misses).append(judged)
        return Decision(tuple(in_scope), tuple(near_misses), self.threshold)


@dataclass(frozen=True, slots=True)
class Gathered:
    """What is known of one query's judgements, rows in parallel."""

    evidence: Matrix
    """Shape (judgements, len(NAMES))."""
    owners: NDArray[np.int64]
    """Which candidate each is about."""
    part: NDArray[np.int64]
    """In which part of a long text; rivals are candidates of one part."""
    asked: tuple[str, ...]
    """What the query asks, its subject taken out; empty where the subject was not found."""
    stated: tuple[str, ...]
    """What the edit states, likewise."""


class EvidenceGatherer:
    """Turns queries and candidates into evidence; training and deciding use this one path.

    Keys of edits' texts are remembered, so that a memory asked often costs one short encoding a query.
    """

    def __init__(self, encoder: Encoder, weights: Weights, space: RelationSpace | None = None) -> None:
        self._encoder = encoder
        self._weigh = weights.weigh
        self._space = space
        self._remembered: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    def __call__(self, queries: Sequence[str], candidates: Sequence[Sequence[Candidate]]) -> list[Gathered]:
        """Return for each query its evidence.

        A short query has one row a candidate, in their order; a long one a row for each part and likely candidate.
        """
        whole = [self._one_part(q, found) for q, found in zip(queries, candidates, strict=True)]
        long = [i for i, q in enumerate(queries) if len(parts(q)) > 1]
        for i in long:
            whole[i] = []
        pairs = [pair for group in whole for pair in group]
        keys = self._keys(pairs)
        results: list[Gathered] = []
        for i, found in enumerate(candidates):
            if i in long:
                results.append(self._long(queries[i], found))
            else:
                scores = [(c.scores.get("statement", np.nan), c.scores.get("prompt", np.nan)) for c in found]
                rows = self._rows(queries[i], whole[i], scores, keys)
                owners = np.arange(len(found))
                results.append(Gathered(rows, owners, np.zeros_like(owners), *_relations(whole[i])))
        return results

    def _one_part(self, text: str, found: Sequence[Candidate]) -> list[Pair]:
        return [pair_up(text, c.edit, self._weigh) for c in found]

    def _long(self, text: str, found: Sequence[Candidate]) -> Gathered:
        pieces = parts(text)
        statements = self._remember([c.edit.statement for c in found] + [c.edit.prompt for c in found if c.edit.prompt])
        keys = self._encoder.encode(pieces)
        chosen: list[tuple[str, list[int], list[Pair], list[tuple[float, float]]]] = []
        for piece, key in zip(pieces, keys, strict=True):
            scores = [
                (
                    float(key @ statements[c.edit.statement]),
                    float(key @ statements[c.edit.prompt]) if c.edit.prompt else float("nan"),
                )
                for c in found
            ]
            pairs = self._one_part(piece, found)
            order = sorted(
                range(len(found)),
                key=lambda j, p=pairs, s=scores: (  # type: ignore[misc]
                    -p[j].match.exact,
                    -float(np.nanmax(s[j])),
                    found[j].edit.edit_id,
                ),
            )[:_PER_PART]
            chosen.append((piece, order, [pairs[j] for j in order], [scores[j] for j in order]))
        judged = [pair for _, _, pairs, _ in chosen for pair in pairs]
        known = self._keys(judged)
        rows = [self._rows(piece, pairs, scores, known) for piece, _, pairs, scores in chosen]
        owners = [j for _, order, _, _ in chosen for j in order]
        evidence_of_all = np.concatenate(rows) if rows else np.zeros((0, len(NAMES)))
        part = [number for number, (_, order, _, _) in enumerate(chosen) for _ in order]
        return Gathered(evidence_of_all, np.array(owners, np.int64), np.array(part, np.int64), *_relations(judged))

    def _rows(
        self, text: str, pairs: Sequence[Pair], scores: Sequence[tuple[float, float]], keys: dict[str, Keys]
    ) -> Matrix:
        cosines = np.full((len(pairs), 7), np.nan)
        for row, (pair, (statement, prompt)) in enumerate(zip(pairs, scores, strict=True)):
            cosines[row, 0] = statement
            cosines[row, 1] = prompt
            whole = pair.clause == text
            if pair.edit.edit.prompt:
                cosines[row, 2] = prompt if whole else keys[pair.clause] @ keys[pair.edit.prompt.text]
            if not pair.edit.subjects:
                nearer = prompt if pair.edit.edit.prompt else statement
                cosines[row, 3:5] = nearer if whole else keys[pair.clause] @ keys[pair.edit.relation]
            elif pair.match.end > pair.match.start:
                edit_relation = keys[pair.edit.relation]
                cosines[row, 3] = keys[pair.relation] @ edit_relation
                cosines[row, 4] = cosines[row, 3] if pair.crop == pair.relation else keys[pair.crop] @ edit_relation
                cosines[row, 5] = keys[pair.name_asked] @ keys[pair.name_stated] if pair.name_asked else 1.0
        if self._space is not None:
            asked, stated = _relations(pairs)
            known = [row for row, relation in enumerate(asked) if relation]
            if known:
                cosines[known, 6] = self._space.near(
                    np.stack([keys[asked[row]] for row in known]), np.stack([keys[stated[row]] for row in known])
                )
        return evidence(pairs, cosines, self._weigh)

    def _keys(self, pairs: Sequence[Pair]) -> dict[str, Keys]:
        """Keys of every text the pairs compare; the query's own are encoded, the edits' remembered, in one call."""
        asked: dict[str, None] = {}
        of_edits: dict[str, None] = {}
        for pair in pairs:
            if pair.match.end > pair.match.start:
                asked[pair.relation] = asked[pair.crop] = None
                of_edits[pair.edit.relation] = None
                if pair.name_asked:
                    asked[pair.name_asked] = None
                    of_edits[pair.name_stated] = None
            if pair.clause != pair.query.text and (pair.edit.edit.prompt or not pair.edit.subjects):
                asked[pair.clause] = None
                of_edits[pair.edit.prompt.text if pair.edit.edit.prompt else pair.edit.relation] = None
        return self._remember(list(of_edits), list(asked))

    def _remember(self, of_edits: Sequence[str], asked: Sequence[str] = ()) -> dict[str, Keys]:
        known = {text: self._remembered[text] for text in of_edits if text in self._remembered}
        new = [text for text in of_edits if text not in known]
        once = [text for text in asked if text not in known and text not in new]
        keys = self._encoder.encode([*new, *once])
        known |= dict(zip([*new, *once], keys, strict=True))
        for text in of_edits:
            self._remembered[text] = known[text]
            self._remembered.move_to_end(text)
        while len(self._remembered) > _REMEMBERED_KEYS:
            self._remembered.popitem(last=False)
        return known


def _relations(pairs: Sequence[Pair]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What each query asks and each edit states, the subject taken out; both empty where it was not found."""
    named = [bool(pair.edit.subjects) and pair.match.end > pair.match.start for pair in pairs]
    return (
        tuple(pair.crop if found else "" for pair, found in zip(pairs, named, strict=True)),
        tuple(pair.edit.relation if found else "" for pair, found in zip(pairs, named, strict=True)),
    )


__all__ = ["MOST_IN_SCOPE", "MOST_NEAR_MISSES", "EvidenceGatherer", "Gathered", "PairClassifier"]
