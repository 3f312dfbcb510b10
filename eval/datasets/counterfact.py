"""How are CounterFact's rows read? In the original shape (``requested_rewrite``) or flattened, one question of a kind.

In most flattened rows ``rephrase_prompt`` is one of CounterFact's open-ended generation prompts ("… lives in") and no
paraphrase; it is scored as one all the same, as every published table on that file does. Source: arXiv:2202.05262.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eval.cases import EvalCase, Probe
from eval.datasets.reading import hop, made_case, text_of, texts_of


def read(number: int, row: Mapping[str, Any]) -> EvalCase:
    """One row of either shape.

    Raises:
        DroppedError: it makes no case.
    """
    return _original(number, row) if "requested_rewrite" in row else _flat(number, row)


def _original(number: int, row: Mapping[str, Any]) -> EvalCase:
    subject = text_of(row, "requested_rewrite", "subject")
    prompt = text_of(row, "requested_rewrite", "prompt").replace("{}", subject)
    new = text_of(row, "requested_rewrite", "target_new", "str")
    true = text_of(row, "requested_rewrite", "target_true", "str")
    probes = [
        *(Probe(kind="paraphrase", prompt=t, accepted=(new,), rival=true) for t in texts_of(row, "paraphrase_prompts")),
        *hop(row),
        # Neighbors are chosen to share the edit's old answer.
        *(Probe(kind="neighbor", prompt=t, accepted=(true,), rival=new) for t in texts_of(row, "neighborhood_prompts")),
    ]
    return made_case(_name(number, row), subject=subject, prompt=prompt, target=new, truth=true, probes=probes)


def _flat(number: int, row: Mapping[str, Any]) -> EvalCase:
    new, true = text_of(row, "target_new"), text_of(row, "ground_truth")
    neighbor_truth = text_of(row, "locality_ground_truth")
    probes = [
        Probe(kind="paraphrase", prompt=text_of(row, "rephrase_prompt"), accepted=(new,), rival=true),
        Probe(kind="neighbor", prompt=text_of(row, "locality_prompt"), accepted=(neighbor_truth,), rival=new),
    ]
    subject, prompt = text_of(row, "subject"), text_of(row, "prompt")
    return made_case(_name(number, row), subject=subject, prompt=prompt, target=new, truth=true, probes=probes)


def _name(number: int, row: Mapping[str, Any]) -> str:
    return f"counterfact-{row.get('case_id', f'row-{number}')}-{number}"
