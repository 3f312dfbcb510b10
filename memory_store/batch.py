"""What is one write? Events that share time, actor and number, inside one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memory_store.events import EventLog
from memory_store.sqlite import Database
from memory_store.timeline import Window


@dataclass(frozen=True, slots=True)
class Batch:
    """An open transaction. Its events alone change when a version is valid, and whether a correction stands."""

    db: Database
    log: EventLog
    time: str
    """Later than that of any batch before."""
    actor: str | None
    number: int

    def event(
        self,
        kind: str,
        namespace: str,
        payload: dict[str, Any],
        *,
        row: int | None = None,
        target: int | None = None,
        windows: Mapping[int, Sequence[Window]] | None = None,
        corrections: Mapping[int, bool] | None = None,
    ) -> None:
        """Append an event and give versions, by row, the windows they have from it on.

        Args:
            corrections: which corrections, by number, stand from it on, and which no longer do.
        """
        windows, corrections = windows or {}, corrections or {}
        if corrections:
            payload["corrections"] = {str(number): int(stands) for number, stands in corrections.items()}
        if windows:
            payload["windows"] = {str(edit): [list(window) for window in spans] for edit, spans in windows.items()}
        seq = self.log.append(
            kind,
            payload,
            time=self.time,
            actor=self.actor,
            batch=self.number,
            namespace=namespace,
            edit=row,
            target=target,
        )
        for edit, spans in windows.items():
            self.db.execute("UPDATE windows SET known_until = ? WHERE edit = ? AND known_until IS NULL", (seq, edit))
            self.db.execute_many(
                "INSERT INTO windows (edit, valid_from, valid_until, known_from) VALUES (?, ?, ?, ?)",
                [(edit, start, end, seq) for start, end in spans],
            )
        for number, stands in corrections.items():
            self.db.execute("UPDATE corrections SET standing = ? WHERE id = ?", (int(stands), number))
