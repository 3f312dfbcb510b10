"""How are zsRE's rows read, as MEND publishes them? Question, paraphrase, an unrelated question, perhaps one more hop.

The unrelated question's prefix ``nq question:`` is a habit of T5 models and is taken off. Source: arXiv:2110.11309.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eval.benchmarks.main_job import normalised
from eval.cases import EvalCase, Probe
from eval.datasets.reading import DroppedError, hop, made_case, text_of, texts_of

_PREFIX = "nq question: "


def read(number: int, row: Mapping[str, Any]) -> EvalCase:
    """One row.

    Raises:
        DroppedError: it makes no case, or its new answer is a true one, so that there is nothing to edit.
    """
    new, old = text_of(row, "alt"), texts_of(row, "answers")
    if normalised(new) in {normalised(answer) for answer in old}:
        raise DroppedError("new answer among the true ones")
    truth = old[0] if old else ""
    probes = [Probe(kind="paraphrase", prompt=text_of(row, "rephrase"), accepted=(new,), rival=truth), *hop(row)]
    if "loc" in row:
        question = text_of(row, "loc").removeprefix(_PREFIX)
        probes.append(Probe(kind="unrelated", prompt=question, accepted=(text_of(row, "loc_ans"),)))
    subject, prompt = text_of(row, "subject"), text_of(row, "src")
    return made_case(f"zsre-{number}", subject=subject, prompt=prompt, target=new, truth=truth, probes=probes)
