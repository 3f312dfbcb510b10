"""Does this edit govern this query? Boosted trees over the evidence, giving a calibrated probability.

Each edit is judged on its own: several may fire on one question, at most ``MOST_IN_SCOPE``. A text of more than 48
words and a message with several questions are judged piece by piece, and an edit keeps its best piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memory_store.errors import ConfigError
from scr.protocols import Candidate, Decision, Encoder, Judged, Keys
from scr.scope.compared import Compared, KeysAtHand, at_hand, compared
from scr.scope.features import COLUMN, DENSE, NAMES, Matrix, Pair, evidence, pair_up
from scr.scope.pieces import parts
from scr.scope.relation_space import RelationSpace
from scr.scope.weights import FINAL, LEXICAL, SHIPPED, Judge, Weights

MOST_IN_SCOPE = 5
MOST_NEAR_MISSES = 5
_PER_PART = 8
_DENSE = [COLUMN[name] for name in DENSE]
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
        self._gather = EvidenceGatherer(encoder, weights, self._judge.space, dense=self.judge_name != LEXICAL)

    @classmethod
    def load(
        cls, encoder: Encoder, *, threshold: float | None = None, file: Path = SHIPPED, judge: str | None = None
    ) -> PairClassifier:
        """Load the shipped weights."""
        return cls(encoder, Weights.load(file), judge=judge, threshold=threshold)

    def decide(self, queries: Sequence[str], candidates: Sequence[Sequence[Candidate]]) -> list[Decision]:
        """Return one decision for each query; the order of candidates and the other queries change nothing."""
        gathered = self._gather(queries, candidates)
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

    Keys of the texts compared are at hand (``scr.scope.compared``), so that a memory asked often costs little more than
    the encoding of the query.

    Args:
        dense: whether evidence from keys counts; without it, ``DENSE`` columns are NaN and hardly anything is encoded.
    """

    def __init__(
        self, encoder: Encoder, weights: Weights, space: RelationSpace | None = None, *, dense: bool = True
    ) -> None:
        self._encoder = encoder
        self._weigh = weights.weigh
        self._space = space
        self._dense = dense
        self._at_hand = at_hand(encoder) if dense else KeysAtHand()

    def __call__(self, queries: Sequence[str], candidates: Sequence[Sequence[Candidate]]) -> list[Gathered]:
        """Return for each query its evidence.

        A query in one piece has one row a candidate, in their order; another one a row for each piece and likely
        candidate.
        """
        pieces = [parts(query) for query in queries]
        whole = [
            self._one_part(cut[0], found) if len(cut) == 1 else []
            for cut, found in zip(pieces, candidates, strict=True)
        ]
        keys = self._keys(compared(pair for group in whole for pair in group)) if self._dense else {}
        results: list[Gathered] = []
        for i, found in enumerate(candidates):
            if len(pieces[i]) > 1:
                results.append(self._long(pieces[i], found))
            else:
                scores = [(c.scores.get("statement", np.nan), c.scores.get("prompt", np.nan)) for c in found]
                rows = self._rows(whole[i], scores, keys)
                owners = np.arange(len(found))
                results.append(Gathered(rows, owners, np.zeros_like(owners), *_relations(whole[i])))
        return results

    def _one_part(self, text: str, found: Sequence[Candidate]) -> list[Pair]:
        return [pair_up(text, c.edit, self._weigh) for c in found]

    def _long(self, pieces: Sequence[str], found: Sequence[Candidate]) -> Gathered:
        known = self._keys(
            Compared(
                dict.fromkeys(pieces),
                dict.fromkeys(t for c in found for t in (c.edit.statement, c.edit.prompt) if t),
            )
        )
        chosen: list[tuple[list[int], list[Pair], list[tuple[float, float]]]] = []
        for piece in pieces:
            key = known[piece]
            scores = [
                (
                    float(key @ known[c.edit.statement]),
                    float(key @ known[c.edit.prompt]) if c.edit.prompt else float("nan"),
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
            chosen.append((order, [pairs[j] for j in order], [scores[j] for j in order]))
        judged = [pair for _, pairs, _ in chosen for pair in pairs]
        known = self._keys(compared(judged)) if self._dense else {}
        rows = [self._rows(pairs, scores, known) for _, pairs, scores in chosen]
        owners = [j for order, _, _ in chosen for j in order]
        evidence_of_all = np.concatenate(rows) if rows else np.zeros((0, len(NAMES)))
        part = [number for number, (order, _, _) in enumerate(chosen) for _ in order]
        return Gathered(evidence_of_all, np.array(owners, np.int64), np.array(part, np.int64), *_relations(judged))

    def _rows(self, pairs: Sequence[Pair], scores: Sequence[tuple[float, float]], keys: dict[str, Keys]) -> Matrix:
        cosines = np.full((len(pairs), 7), np.nan)
        if not self._dense:
            rows = evidence(pairs, cosines, self._weigh)
            rows[:, _DENSE] = np.nan  # without cosines, what is reckoned from several of them is no better
            return rows
        for row, (pair, (statement, prompt)) in enumerate(zip(pairs, scores, strict=True)):
            cosines[row, 0] = statement
            cosines[row, 1] = prompt
            whole = pair.clause == pair.query.text
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

    def _keys(self, texts: Compared) -> dict[str, Keys]:
        return self._at_hand.encoded(self._encoder, texts)[0]


def _relations(pairs: Sequence[Pair]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What each query asks and each edit states, the subject taken out; both empty where it was not found."""
    named = [bool(pair.edit.subjects) and pair.match.end > pair.match.start for pair in pairs]
    return (
        tuple(pair.crop if found else "" for pair, found in zip(pairs, named, strict=True)),
        tuple(pair.edit.relation if found else "" for pair, found in zip(pairs, named, strict=True)),
    )


__all__ = ["MOST_IN_SCOPE", "MOST_NEAR_MISSES", "EvidenceGatherer", "Gathered", "PairClassifier"]
