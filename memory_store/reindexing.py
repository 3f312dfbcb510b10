"""How does a store move to another encoder? New keys are gathered beside the old ones and exchanged in one step."""

from collections.abc import Callable, Mapping, Sequence

from memory_store.edit import Edit
from memory_store.errors import DimensionMismatchError
from memory_store.live_index import width_of
from memory_store.records import as_edit
from memory_store.sqlite import Database, Row
from memory_store.versions import EDIT_COLUMNS

BATCH = 256


class Reindexing:
    """One run. What is gathered is private to the connection and vanishes with it.

    Args:
        encode: edits to their keys as stored, by kind.
        progress: called with how many versions are encoded, and how many there are.
    """

    def __init__(
        self,
        db: Database,
        encode: Callable[[Sequence[Edit]], Mapping[str, Sequence[bytes]]],
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self._db, self._encode, self._progress = db, encode, progress
        self._after = 0
        self.done = 0
        self.d_key: int | None = None
        db.execute("CREATE TEMP TABLE IF NOT EXISTS next_vectors (edit INTEGER, kind TEXT, data BLOB)")
        db.execute("DELETE FROM next_vectors")

    def encode_most(self) -> None:
        """Encode full batches, outside any transaction."""
        while len(rows := self._next()) == BATCH:
            self._take(rows)

    def encode_rest(self) -> None:
        """Encode what is left, and what others wrote meanwhile; inside the transaction that ends in ``swap``."""
        while rows := self._next():
            self._take(rows)

    def swap(self) -> None:
        self._db.execute("DELETE FROM vectors")
        sql = "SELECT edit, kind, data FROM next_vectors WHERE edit IN (SELECT row FROM edits)"
        self._db.put_vectors(self._db.each(sql))
        self._db.execute("DELETE FROM next_vectors")

    def _next(self) -> list[Row]:
        sql = f"SELECT {EDIT_COLUMNS} FROM edits e WHERE row > ? ORDER BY row LIMIT {BATCH}"
        return self._db.rows(sql, (self._after,))

    def _take(self, rows: list[Row]) -> None:
        for kind, blobs in self._encode([as_edit(row) for row in rows]).items():
            keys = [(row[0], kind, blob) for row, blob in zip(rows, blobs, strict=True)]
            self._db.execute_many("INSERT INTO next_vectors VALUES (?, ?, ?)", keys)
            self.d_key = self.d_key or width_of(blobs[0])
            if width_of(blobs[0]) != self.d_key:
                raise DimensionMismatchError(f"{kind} keys are {width_of(blobs[0])} wide, those before {self.d_key}")
        self.done, self._after = self.done + len(rows), rows[-1][0]
        if self._progress is not None:
            self._progress(self.done, max(self.done, self._db.value("SELECT count(*) FROM edits")))
