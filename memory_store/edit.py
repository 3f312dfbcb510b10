"""Edit: the record everyone passes round, and what a write says happened to it."""

from dataclasses import dataclass, field
from typing import Literal

DEFAULT_NAMESPACE = "default"

PutStatus = Literal["added", "duplicate", "superseded", "conflict"]

Status = Literal["live", "scheduled", "superseded", "expired", "forgotten", "undone"]
"""Of a version now: answering; valid from later on; replaced; past its own end; taken back by forget or by undo."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One fact to change. ``edit_id`` names this version, not the fact's identity.

    Times are UTC, ISO 8601 with offset, compared as instants; ``None`` is an open end.
    A *free fact* has no subject and no prompt: its statement is all there is, and it supersedes nothing.
    """

    statement: str
    """The fact as one sentence; this is what the model reads."""
    target_new: str = ""
    """The new answer alone; empty for a free fact."""
    prompt: str = ""
    """How the fact is asked for: a question, or a sentence up to the answer."""
    subject: str = ""
    """What the fact is about."""
    aliases: tuple[str, ...] = ()
    """Other names of the subject."""
    relation: str | None = None
    """The caller's own relation label; part of the identity when given."""
    edit_id: str = ""
    """Unique in its namespace; empty asks the store to make one."""
    namespace: str = DEFAULT_NAMESPACE
    verbatim: bool = False
    """The stored text itself is the answer; the model is not asked."""
    source: str | None = None
    """Where the fact comes from, for people."""
    actor: str | None = None
    """Who wrote it."""
    valid_from: str | None = None
    valid_until: str | None = None
    """Exclusive end of validity."""
    recorded_at: str = ""
    """When the store took it; set by the store."""
    tags: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class PutResult:
    """What a write did with one edit."""

    status: PutStatus
    edit: Edit
    """The edit as stored; for ``duplicate`` the one that was already there."""
    superseded: tuple[str, ...] = ()
    """edit_ids whose validity this write closed."""
    contradicts: tuple[str, ...] = ()
    """edit_ids of facts that say otherwise in other words, where the caller looked for them."""
    reason: str = ""
    """Why, for ``conflict`` and ``duplicate``, and what was done about facts it contradicts."""
    batch: int = 0
    """The write it was part of, as the log and ``revert`` number it; 0 where nothing was written for this edit."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version in the history of a fact."""

    edit: Edit
    status: Status


@dataclass(frozen=True, slots=True)
class Diff:
    """What answered at one time and what answered at another; a fact is named by its identity, not by a version."""

    added: tuple[Edit, ...]
    """Facts that hold later only."""
    changed: tuple[tuple[Edit, Edit], ...]
    """Before and after: another version of the fact, or the same one with another validity."""
    removed: tuple[Edit, ...]
    """Facts that held earlier only."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One neighbour: a larger score is nearer."""

    edit_id: str
    score: float
    """Cosine, in [-1, 1]."""
