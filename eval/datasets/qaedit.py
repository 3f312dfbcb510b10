"""How are QAEdit's rows read? Real questions whose true answer the model lacks; locality from Natural Questions.

Source: Yang et al., arXiv:2502.11177.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eval.cases import EvalCase, Probe
from eval.datasets.reading import DroppedError, made_case, text_of


def read(number: int, row: Mapping[str, Any]) -> EvalCase:
    """One row. The edit's answer is the truth, so there is no rival for the rank-based scores.

    Raises:
        DroppedError: it makes no case.
    """
    target = text_of(row, "target").removesuffix("*").strip()
    if not target:
        raise DroppedError("a field is missing or empty")
    probes = [Probe(kind="paraphrase", prompt=text_of(row, "rephrase"), accepted=(target,))]
    for item in row.get("locality") or ():
        if isinstance(item, Mapping) and item.get("loc") and item.get("loc_ans"):
            answer = text_of(item, "loc_ans")
            probes.append(Probe(kind="unrelated", prompt=text_of(item, "loc"), accepted=(answer,)))
    subject, prompt = text_of(row, "subject"), text_of(row, "prompt")
    name = f"qaedit-{row.get('id', 'row')}-{number}"
    return made_case(name, subject=subject, prompt=prompt, target=target, truth="", probes=probes)
