"""How does an edit stand in a row of the database and in an event? Two forms of one record, and nothing else."""

import json
from typing import Any

from memory_store.edit import Edit
from memory_store.events import canonical
from memory_store.sqlite import Row

COLUMNS = (
    "row",
    "namespace",
    "edit_id",
    "statement",
    "target_new",
    "prompt",
    "subject",
    "aliases",
    "relation",
    "verbatim",
    "source",
    "actor",
    "tags",
    "asked_from",
    "asked_until",
    "recorded_at",
)


def as_row(edit: Edit) -> tuple[Any, ...]:
    return (
        edit.namespace,
        edit.edit_id,
        edit.statement,
        edit.target_new,
        edit.prompt,
        edit.subject,
        canonical(edit.aliases),
        edit.relation,
        int(edit.verbatim),
        edit.source,
        edit.actor,
        canonical(edit.tags),
        edit.valid_from,
        edit.valid_until,
        edit.recorded_at,
    )


def as_edit(row: Row, window: tuple[str | None, str | None] | None = None) -> Edit:
    """Return the edit of a row that begins with ``COLUMNS``, with the validity asked for, or with ``window``."""
    return Edit(
        namespace=row[1],
        edit_id=row[2],
        statement=row[3],
        target_new=row[4],
        prompt=row[5],
        subject=row[6],
        aliases=_names(row[7]),
        relation=row[8],
        verbatim=bool(row[9]),
        source=row[10],
        actor=row[11],
        tags=_names(row[12]),
        valid_from=window[0] if window else row[13],
        valid_until=window[1] if window else row[14],
        recorded_at=row[15],
    )


def _names(text: str) -> tuple[str, ...]:
    return () if text == "[]" else tuple(json.loads(text))


def as_json(edit: Edit) -> dict[str, Any]:
    return {name: getattr(edit, name) for name in Edit.__dataclass_fields__}
