"""How are HalluEditBench's rows read? A model's wrong answers corrected, with yes/no, reversed, chained questions.

The old answer is what the model of the file said. Of the chains only the one through two facts is asked; robustness
under pushback is not. Source: Huang et al., HalluEditBench, arXiv:2410.16251.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eval.benchmarks.main_job import normalised
from eval.cases import EvalCase, Kind, Probe
from eval.datasets.reading import DroppedError, made_case, text_of


def read(number: int, row: Mapping[str, Any]) -> EvalCase:
    """One row.

    Raises:
        DroppedError: it makes no case, or the model's answer was right.
    """
    new, subject, prompt = text_of(row, "object"), text_of(row, "subject"), text_of(row, "question")
    said = next((value for name, value in row.items() if name.startswith("output_") and isinstance(value, str)), "")
    if normalised(said) == normalised(new):
        raise DroppedError("the model's answer was right already")
    probes = [
        Probe(kind="paraphrase", prompt=text_of(row, "paraphrased_question"), accepted=(new,), rival=said),
        Probe(kind="yes_no", prompt=text_of(row, "yes_question"), accepted=("Yes",)),
        Probe(kind="yes_no", prompt=text_of(row, "no_question"), accepted=("No",)),
    ]
    kinds: tuple[tuple[Kind, str, str], ...] = (
        ("reversed", "reversed_relation_question", "subject"),
        ("two_hop", "question_2hop", "answer_2hop"),
    )
    for kind, question, answer in kinds:
        if isinstance(row.get(question), str) and row[question].strip() and str(row.get(answer) or "").strip():
            probes.append(Probe(kind=kind, prompt=text_of(row, question), accepted=(text_of(row, answer),)))
    # It asks for something else about the edited subject; the benchmark gives no answer to it.
    probes.append(Probe(kind="same_subject", prompt=text_of(row, "locality_question")))
    return made_case(f"halluedit-{number}", subject=subject, prompt=prompt, target=new, truth=said, probes=probes)
