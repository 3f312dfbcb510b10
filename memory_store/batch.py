"""What is one write? Events that share time, actor and number, inside one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from memory_store.events import EventLog
from memory_store.sqlite import Database
from memory_store.timeline import Window


@dataclass(frozen=True, slots=True)
class Batch:
    """An open transaction. Its events are the only thing that changes when a version is valid."""

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
    ) -> None:
        """Append an event and give versions, by row, the windows they have from it on."""
        windows = windows or {}
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
