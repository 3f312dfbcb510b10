"""Which queries outside an edit's scope are worth learning from? Those that look like its own.

An edit's own ``out_of_scope`` (the same subject, a neighbour) come first. The others are mined: of the other edits'
queries, by our encoder's cosine with the statement, those of rank 25 to 100; the nearest 25 may well be in scope in
other words. The nearer, the likelier (temperature 0.1).

Source: SERAC, arXiv:2206.06520 (the ranks and the temperature).
"""

import random
from collections.abc import Sequence

import numpy as np

from memory_store.identity import fold
from scr.protocols import Encoder
from scr.serac.examples import Example

NEAREST, FARTHEST, TEMPERATURE = 25, 100, 0.1
MINED = 4
"""Queries that are mined for an edit."""
_ROWS = 512


def mined(examples: Sequence[Example], encoder: Encoder, seed: int = 0) -> list[tuple[str, ...]]:
    """For each example, up to four queries of other examples that lie near its statement; none of its own subject."""
    asked = [(number, e.in_scope[0].query) for number, e in enumerate(examples) if e.in_scope]
    if len(asked) <= NEAREST:
        return [() for _ in examples]
    keys = encoder.encode([query for _, query in asked])
    statements = encoder.encode([e.statement for e in examples])
    subjects = [fold(e.subject) for e in examples]
    rng = random.Random(f"negatives {seed}")
    found: list[tuple[str, ...]] = []
    for start in range(0, len(examples), _ROWS):
        scores = statements[start : start + _ROWS] @ keys.T  # (examples, queries)
        wanted = min(FARTHEST, scores.shape[1])
        for offset, row in enumerate(scores):
            number = start + offset
            nearest = np.argpartition(-row, wanted - 1)[:wanted]
            ranked = nearest[np.lexsort((nearest, -row[nearest]))][NEAREST:]
            others = [
                at
                for at in ranked.tolist()
                if asked[at][0] != number and not (subjects[number] and subjects[asked[at][0]] == subjects[number])
            ]
            if others:
                weights = np.exp((row[others] - row[others].max()) / TEMPERATURE).tolist()
                drawn = rng.choices(others, weights, k=MINED)
                found.append(tuple(dict.fromkeys(asked[at][1] for at in drawn)))
            else:
                found.append(())
    return found


__all__ = ["FARTHEST", "MINED", "NEAREST", "TEMPERATURE", "mined"]
