"""Which edits could govern a query? Dense neighbours of its keys, and every edit whose subject the text names.

Where a pair decision follows, what it will compare of the named edits is encoded together with the query: one pass of
the encoder costs little more for three texts than for one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from memory_store.edit import DEFAULT_NAMESPACE, Edit
from scr.protocols import Candidate, Encoder, Keys
from scr.scope.compared import compared, looked_at
from scr.scope.features import WordWeights, pair_up
from scr.scope.pieces import parts

if TYPE_CHECKING:
    from memory_store.store import EditStore
    from scr.scope.overlay import Overlaid

KINDS = ("prompt", "statement")
DEFAULT_K = 4
_TIES = 4
_PLAIN = WordWeights()


def recall(
    store: EditStore | Overlaid,
    encoder: Encoder,
    queries: Sequence[str],
    *,
    namespace: str = DEFAULT_NAMESPACE,
    as_of: str | datetime | None = None,
    known_at: str | datetime | None = None,
    k: int = DEFAULT_K,
) -> list[list[Candidate]]:
    """Return each query's candidates, nearest first.

    They are the ``k`` nearest edits by prompt key, the ``k`` nearest by statement key (all that tie with the last of
    them included, so that the order of writing decides nothing), and the edits whose subject or alias the text names.
    A long text is searched part by part; its scores are those of its nearest part. One call encodes the whole batch.
    """
    cut = [parts(query) for query in queries]
    texts = [part for pieces in cut for part in pieces]
    if not texts:
        return [[] for _ in queries]
    named = store.mentioned(texts, namespace=namespace, as_of=as_of, known_at=known_at)
    edits = _edits(store, named, namespace)
    keys = _encoded(encoder, cut, [[edits[edit_id] for edit_id in of_text] for of_text in named])
    found: list[dict[str, None]] = [dict.fromkeys(ids) for ids in named]
    for kind in KINDS:
        search = partial(store.nearest, namespace=namespace, kind=kind, as_of=as_of, known_at=known_at)
        for row, hits in enumerate(search(keys, k + 1)):
            if len(hits) > k and hits[k].score >= hits[k - 1].score:
                (hits,) = search(keys[row : row + 1], k + _TIES)
            for hit in hits:
                if hit.score >= hits[min(k, len(hits)) - 1].score:
                    found[row][hit.edit_id] = None
    ids = [list(row) for row in found]
    scores = {kind: store.similarities(keys, ids, namespace=namespace, kind=kind) for kind in KINDS}
    edits |= _edits(store, [[edit_id for edit_id in row if edit_id not in edits] for row in ids], namespace)
    candidates = []
    row = 0
    for pieces in cut:
        best: dict[str, dict[str, float]] = {}
        for at in range(row, row + len(pieces)):
            for column, edit_id in enumerate(ids[at]):
                of_edit = best.setdefault(edit_id, {})
                for kind in KINDS:
                    if kind == "prompt" and not edits[edit_id].prompt:
                        continue  # a free fact is not asked in any one way
                    of_edit[kind] = max(of_edit.get(kind, -1.0), scores[kind][at][column])
        row += len(pieces)
        of_query = [Candidate(edits[edit_id], of_edit) for edit_id, of_edit in best.items()]
        of_query.sort(key=lambda c: (-max(c.scores.values(), default=-1.0), c.edit.edit_id))
        candidates.append(of_query)
    return candidates


def _edits(store: EditStore | Overlaid, ids: Sequence[Sequence[str]], namespace: str) -> dict[str, Edit]:
    wanted = sorted({edit_id for of_text in ids for edit_id in of_text})
    return dict(zip(wanted, store.get_many(wanted, namespace=namespace), strict=True))


def _encoded(encoder: Encoder, cut: Sequence[Sequence[str]], named: Sequence[Sequence[Edit]]) -> Keys:
    """Return the texts' keys; those that a decision will compare beside them are made in the same pass."""
    texts = [part for pieces in cut for part in pieces]
    keys_at_hand = looked_at(encoder)
    if keys_at_hand is None:
        return encoder.encode(texts)
    ahead = compared(pair_up(text, edit, _PLAIN) for text, edits in zip(texts, named, strict=True) for edit in edits)
    keys = keys_at_hand.encoded(encoder, ahead, texts)[1]
    row = 0
    for pieces in cut:  # the decision will compare the parts of a long text with each candidate
        if len(pieces) > 1:
            keys_at_hand.keep_asked(dict(zip(pieces, keys[row : row + len(pieces)].copy(), strict=True)))
        row += len(pieces)
    return keys


__all__ = ["DEFAULT_K", "KINDS", "recall"]
