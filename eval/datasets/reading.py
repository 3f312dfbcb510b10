"""What do all loaders need of a row? Its fields as text, or the reason why it makes no case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from eval.cases import EvalCase, Probe
from memory_store.edit import Edit


class DroppedError(Exception):
    """This row makes no case; the message is the reason, the same for all rows it holds for."""


def text_of(row: Mapping[str, Any], *path: str) -> str:
    """The text under a path of keys, stripped.

    Raises:
        DroppedError: there is none, or it is empty.
    """
    found: Any = row
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    if not isinstance(found, str) or not found.strip():
        raise DroppedError("a field is missing or empty")
    return found.strip()


def texts_of(row: Mapping[str, Any], key: str) -> list[str]:
    """The texts of a list, stripped, the empty ones left out; empty where there is no list."""
    found = row.get(key)
    return [t.strip() for t in found if isinstance(t, str) and t.strip()] if isinstance(found, list) else []


def filled(row: Mapping[str, Any], subject: str) -> str:
    """The row's ``prompt`` with its subject in the place of ``{}``, single spaces between words."""
    return " ".join(text_of(row, "prompt").replace("{}", subject).split())


def made_edit(name: str, *, subject: str, prompt: str, target: str) -> Edit:
    """An edit whose statement is its prompt and answer.

    Raises:
        DroppedError: the subject does not stand in the prompt, where weight editors have to find it.
    """
    if subject not in prompt:
        raise DroppedError("subject not in the prompt")
    question = prompt.endswith("?")
    return Edit(
        edit_id=name,
        subject=subject,
        prompt=prompt,
        target_new=target,
        statement=f"{prompt} {target}" if question else f"{prompt} {target}.",
    )


def made_case(name: str, *, subject: str, prompt: str, target: str, truth: str, probes: Sequence[Probe]) -> EvalCase:
    """A case whose own prompt is asked first.

    Raises:
        DroppedError: the subject does not stand in the prompt, where weight editors have to find it.
    """
    edit = made_edit(name, subject=subject, prompt=prompt, target=target)
    own = Probe(kind="prompt", prompt=prompt, accepted=(target,), rival=truth)
    return EvalCase(edit=edit, ground_truth=truth, probes=(own, *probes))


def hop(row: Mapping[str, Any]) -> list[Probe]:
    """The question through one more fact that EasyEdit added to some rows."""
    found = row.get("portability")
    if not isinstance(found, Mapping):
        return []
    try:
        question, answer = text_of(found, "New Question"), text_of(found, "New Answer")
    except DroppedError:
        return []
    return [Probe(kind="two_hop", prompt=question, accepted=(answer,))]
