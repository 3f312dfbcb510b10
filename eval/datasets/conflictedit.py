"""How are ConflictEdit's rows read? Two edits of one fact in order: the second has to overwrite the first.

The first is written before; the case's own edit is the second, its rival what the first one said. Rows of the
benchmark's other types (edits that contradict each other through a rule or in reverse) overwrite nothing and are left
out. Source: Li et al., arXiv:2310.02129.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eval.cases import EvalCase, Probe
from eval.datasets.reading import DroppedError, filled, made_case, made_edit, text_of


def read(number: int, row: Mapping[str, Any]) -> EvalCase:
    """One row.

    Raises:
        DroppedError: it makes no case, or the second edit is of another fact.
    """
    edits = row.get("edits")
    if not isinstance(edits, list) or len(edits) != 2 or not all(isinstance(edit, Mapping) for edit in edits):
        raise DroppedError("not two edits of one fact")
    first, second = edits
    same = [text_of(edit, "subject", "label") + "\n" + text_of(edit, "relation", "prompt") for edit in edits]
    if same[0] != same[1]:
        raise DroppedError("not two edits of one fact")
    subject, prompt = (
        text_of(second, "subject", "label"),
        filled(second["relation"], text_of(second, "subject", "label")),
    )
    old, new = text_of(first, "new_object", "label"), text_of(second, "new_object", "label")
    if old == new:
        raise DroppedError("the second edit says what the first one says")
    question = text_of(second, "relation", "query").replace("{}", subject)
    probes = [Probe(kind="paraphrase", prompt=question, accepted=(new,), rival=old)]
    name = f"conflictedit-{number}"
    case = made_case(name, subject=subject, prompt=prompt, target=new, truth=old, probes=probes)
    before = made_edit(f"{name}-first", subject=subject, prompt=prompt, target=old)
    return EvalCase(edit=case.edit, ground_truth=old, probes=case.probes, before=(before,))
