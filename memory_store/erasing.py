"""How is something erased for good? The one place that deletes; the chain of events still verifies after it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from memory_store.batch import Batch
from memory_store.corrections import erase_said_for
from memory_store.versions import Stored, Versions


@dataclass(frozen=True, slots=True)
class Purged:
    """What ``purge`` erased."""

    edit_ids: tuple[str, ...]
    complete: bool
    """False while another process keeps old pages of the write-ahead log; purge again when it has ended."""


def erase(batch: Batch, versions: Versions, namespace: str, erased: Sequence[Stored]) -> None:
    """Delete versions with their keys, names and corrections, and the payloads of the events about them."""
    rows = [stored.row for stored in erased]
    if not rows:
        return
    db = batch.db
    events = db.rows_in(
        "SELECT e.seq, p.payload FROM events e JOIN payloads p ON p.seq = e.seq WHERE e.edit IN (?)", rows
    )
    # What a dropped payload says of other versions is said again by the purge, so that a replay still agrees.
    touched = {int(row) for _, payload in events for row in json.loads(payload).get("windows", {})}
    others = {str(row): [list(window) for window in versions.windows(row)] for row in sorted(touched - set(rows))}
    said = erase_said_for(db, rows, (payload for _, payload in events))
    db.execute_many("DELETE FROM payloads WHERE seq = ?", [(seq,) for seq, _ in events])
    for table in ("vectors", "names", "windows"):
        db.execute_many(f"DELETE FROM {table} WHERE edit = ?", [(row,) for row in rows])
    db.execute_many("DELETE FROM edits WHERE row = ?", [(row,) for row in rows])
    told = {"dropped": [seq for seq, _ in events], "rows": rows, "windows": others}
    batch.event("purge", namespace, told | ({"corrections": said} if said else {}))
