"""Does the frozen model say a fact that it is given? Asked once for an edit and a model, and remembered in the store.

An edit's own prompt goes to the model alone, which shows whether the fact is known by now, and with the fact before it,
which shows whether it is obeyed: as it stands, and behind words that say nothing, for one right answer may be
chance. The result is an event ``verify`` of the edit's, under the model's
fingerprint, so that another model, or the same one after an upgrade, is asked anew. Free facts and verbatim edits have
no answer to look for and are left out.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from memory_store.edit import Edit
from memory_store.identity import fold
from memory_store.store import EditStore
from scr.protocols import Decision, Judged

if TYPE_CHECKING:
    from scr.edited_model import EditedModel

EVENT = "verify"
BATCH = 64
MAX_NEW_TOKENS = 32
WORDINGS = ("{}", "Now tell me: {}")
"""How a prompt is put; a fact is obeyed where every answer gives it."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What one model made of one edit."""

    edit: Edit
    known: bool
    """It gives the new answer without the fact."""
    obeyed: bool
    """It gives the new answer when the fact stands before the question, however that is put."""
    alone: str
    """Its answer without the fact."""
    shown: str
    """Its answer with it; where one was wrong, that one."""


def can_be_verified(edit: Edit) -> bool:
    return bool(edit.prompt and edit.target_new) and not edit.verbatim


def verify(
    model: "EditedModel", edits: Sequence[Edit], *, progress: Callable[[int, int], None] | None = None
) -> list[Verified]:
    """Ask the frozen model about each edit that can be verified; whether an edit fires has no part in it.

    Args:
        progress: called with how many are done, and how many there are.
    """
    wanted = [edit for edit in edits if can_be_verified(edit)]
    found: list[Verified] = []
    for start in range(0, len(wanted), BATCH):
        part = wanted[start : start + BATCH]
        nothing = [Decision() for _ in part]
        alone = model.said([e.prompt for e in part], nothing, max_new_tokens=MAX_NEW_TOKENS)
        given = [Decision(in_scope=(Judged(edit, 1.0),)) for edit in part]
        shown = [
            model.said([wording.replace("{}", e.prompt) for e in part], given, max_new_tokens=MAX_NEW_TOKENS)
            for wording in WORDINGS
        ]
        for edit, before, *after in zip(part, alone, *shown, strict=True):
            wrong = [text for text in after if not states(text, edit.target_new, begins=not model.chats)]
            known = states(before, edit.target_new, begins=not model.chats)
            found.append(Verified(edit, known, not wrong, before, (wrong or after)[0]))
        if progress is not None:
            progress(len(found), len(wanted))
    return found


def remember(store: EditStore, verified: Sequence[Verified], fingerprint: str, *, actor: str | None = None) -> None:
    """Append to the log what differs from what was remembered last, of this model or another."""
    for one in verified:
        payload = {"model": fingerprint, "known": one.known, "obeyed": one.obeyed}
        if payload != next(_said(store, one.edit), None):
            store.record(EVENT, payload, edit_id=one.edit.edit_id, namespace=one.edit.namespace, actor=actor)


def remembered(store: EditStore, edit: Edit, fingerprint: str) -> bool | None:
    """Whether the model obeyed the edit when it was last asked; None where it never was."""
    return next((said["obeyed"] for said in _said(store, edit) if said["model"] == fingerprint), None)


def of_another(store: EditStore, edit: Edit, fingerprint: str) -> dict[str, bool] | None:
    """``known`` and ``obeyed`` of the model that was asked last before this one; None where none was."""
    for said in _said(store, edit):
        if said["model"] != fingerprint:
            return {"known": said["known"], "obeyed": said["obeyed"]}
    return None


def _said(store: EditStore, edit: Edit) -> Iterator[dict[str, Any]]:
    """What was remembered of an edit, the latest first."""
    for event in store.log(namespace=edit.namespace, kind=EVENT, edit_id=edit.edit_id):
        if event.payload is not None:
            names = {"model": event.payload.get("model"), "known": bool(event.payload.get("known"))}
            yield {**names, "obeyed": bool(event.payload["obeyed"])}


def states(text: str, target: str, *, begins: bool = False) -> bool:
    """Whether an answer gives ``target``, in whole words; ``begins``: it must begin with it, as a bare continuation.

    >>> states("The capital is Lyon.", "lyon"), states("Lyonnaise", "Lyon")
    (True, False)
    >>> states("Paris, not Lyon", "Lyon", begins=True)
    False
    """
    said, wanted = fold(text), fold(target)
    if not wanted:
        return False
    return f"{said} ".startswith(f"{wanted} ") if begins else f" {wanted} " in f" {said} "


__all__ = ["EVENT", "Verified", "can_be_verified", "of_another", "remember", "remembered", "states", "verify"]
