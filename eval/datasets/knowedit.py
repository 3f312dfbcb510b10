"""How are KnowEdit's WikiData rows read? Counterfactual or recent facts with aliases, consequences and locality.

``Logical_Generalization`` (inverse and symmetric relations) is asked as ``reversed``, ``Reasoning`` as ``two_hop``,
``Relation_Specificity`` as ``same_subject``. ``Forgetfulness`` asks for the edited relation's other answers, which is
no locality of a relation with one answer, and is left out. Source: Zhang et al., arXiv:2401.01286.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from eval.cases import EvalCase, Kind, Probe
from eval.datasets.reading import made_case, text_of, texts_of

_PORTABLE: tuple[tuple[str, Kind], ...] = (
    ("Subject_Aliasing", "alias"),
    ("Logical_Generalization", "reversed"),
    ("Reasoning", "two_hop"),
)


def read(number: int, row: Mapping[str, Any]) -> EvalCase:
    """One row.

    Raises:
        DroppedError: it makes no case.
    """
    new, subject, prompt = text_of(row, "target_new"), text_of(row, "subject"), text_of(row, "prompt")
    truth = next(iter(_texts(row.get("ground_truth"))), "")
    rephrased = [re.sub(r"^\d+\.\s*", "", t) for t in texts_of(row, "generate_prompt")]
    if isinstance(row.get("rephrase"), str):
        rephrased.append(row["rephrase"].strip())
    probes = [Probe(kind="paraphrase", prompt=t, accepted=(new,), rival=truth) for t in rephrased if t]
    for name, kind in _PORTABLE:
        probes += [Probe(kind=kind, prompt=p, accepted=a) for p, a in _asked(row, "portability", name) if a]
    probes += [
        Probe(kind="same_subject", prompt=p, accepted=a) for p, a in _asked(row, "locality", "Relation_Specificity")
    ]
    return made_case(f"knowedit-{number}", subject=subject, prompt=prompt, target=new, truth=truth, probes=probes)


def _asked(row: Mapping[str, Any], part: str, name: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Prompts of one part with their accepted answers."""
    found = row.get(part)
    for item in (found.get(name) or ()) if isinstance(found, Mapping) else ():
        if isinstance(item, Mapping) and isinstance(item.get("prompt"), str) and item["prompt"].strip():
            yield item["prompt"].strip(), tuple(dict.fromkeys(_texts(item.get("ground_truth"))))


def _texts(found: Any) -> Iterator[str]:
    """All texts in a text, a list, or a list of lists."""
    if isinstance(found, str) and found.strip():
        yield found.strip()
    elif isinstance(found, list):
        for item in found:
            yield from _texts(item)
