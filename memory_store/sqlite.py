"""Where is the truth on disk? One SQLite file; this is the only module that imports sqlite3.

``Database`` opens the file, brings its schema up to date, gives transactions, and turns every sqlite3 error into one of
ours with the file's path and the next step. The schema is meant to be read with the ``sqlite3`` shell by a stranger.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from memory_store.errors import ConfigError, StoreError, StoreFormatError, StoreLockedError

APPLICATION_ID = 0x53435245  # "SCRE"
IN_MEMORY = ":memory:"

# Each entry brings the schema one version further; user_version counts them.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID""",
        # One row for each version of a fact, as the caller gave it; rows are never changed, only purged.
        """CREATE TABLE edits (
            row INTEGER PRIMARY KEY AUTOINCREMENT,
            namespace TEXT NOT NULL, edit_id TEXT NOT NULL,
            identity TEXT NOT NULL,
            statement TEXT NOT NULL, target_new TEXT NOT NULL, prompt TEXT NOT NULL, subject TEXT NOT NULL,
            aliases TEXT NOT NULL, relation TEXT, verbatim INTEGER NOT NULL,
            source TEXT, actor TEXT, tags TEXT NOT NULL,
            asked_from TEXT, asked_until TEXT,
            recorded_at TEXT NOT NULL,
            UNIQUE (namespace, edit_id))""",
        """CREATE INDEX edits_by_identity ON edits (namespace, identity)""",
        # When each version is valid, and from which to which event that was known; open ends are NULL.
        """CREATE TABLE windows (
            id INTEGER PRIMARY KEY,
            edit INTEGER NOT NULL REFERENCES edits (row),
            valid_from TEXT, valid_until TEXT,
            known_from INTEGER NOT NULL, known_until INTEGER)""",
        """CREATE INDEX windows_by_edit ON windows (edit, known_until)""",
        """CREATE INDEX windows_by_known_from ON windows (known_from)""",
        """CREATE INDEX windows_by_known_until ON windows (known_until) WHERE known_until IS NOT NULL""",
        # Unit rows as little-endian float32.
        """CREATE TABLE vectors (
            edit INTEGER NOT NULL REFERENCES edits (row), kind TEXT NOT NULL, data BLOB NOT NULL,
            PRIMARY KEY (edit, kind))""",
        # Folded subjects and aliases, for finding them in a text.
        """CREATE TABLE names (
            namespace TEXT NOT NULL, name TEXT NOT NULL, edit INTEGER NOT NULL REFERENCES edits (row),
            words INTEGER NOT NULL,
            PRIMARY KEY (namespace, name, edit)) WITHOUT ROWID""",
        """CREATE INDEX names_by_edit ON names (edit)""",
        """CREATE INDEX names_by_words ON names (namespace, words)""",
        # What happened. Every column is covered by hash; the payload through its salted payload_hash, so that a
        # purge may drop it. target: the batch that an undo or a redo is about.
        """CREATE TABLE events (
            seq INTEGER PRIMARY KEY AUTOINCREMENT, time TEXT NOT NULL, actor TEXT, kind TEXT NOT NULL,
            batch INTEGER NOT NULL, namespace TEXT NOT NULL, edit INTEGER, target INTEGER,
            payload_hash TEXT NOT NULL, hash TEXT NOT NULL)""",
        """CREATE INDEX events_by_time ON events (time)""",
        """CREATE INDEX events_by_batch ON events (batch)""",
        """CREATE INDEX events_by_edit ON events (edit) WHERE edit IS NOT NULL""",
        """CREATE INDEX events_by_target ON events (target) WHERE target IS NOT NULL""",
        """CREATE INDEX events_by_kind ON events (kind, namespace)""",
        """CREATE TABLE payloads (
            seq INTEGER PRIMARY KEY REFERENCES events (seq), salt BLOB NOT NULL, payload TEXT NOT NULL)""",
        """CREATE TRIGGER events_are_not_changed BEFORE UPDATE ON events
            BEGIN SELECT RAISE(ABORT, 'events are append-only'); END""",
        """CREATE TRIGGER events_are_not_deleted BEFORE DELETE ON events
            BEGIN SELECT RAISE(ABORT, 'events are append-only'); END""",
        """CREATE TRIGGER payloads_are_not_changed BEFORE UPDATE ON payloads
            BEGIN SELECT RAISE(ABORT, 'payloads are only purged'); END""",
    ),
    (
        # What was said about when the versions of a fact fire (identity; empty: of every edit of the namespace).
        # kind: allow or deny, about a query; threshold or calibrate, about a decider, with the value.
        # about: text in its normal form. edit: the version for which it was said; with it, a purge erases it.
        """CREATE TABLE corrections (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            namespace TEXT NOT NULL, identity TEXT NOT NULL, kind TEXT NOT NULL,
            text TEXT NOT NULL, about TEXT NOT NULL, value REAL,
            edit INTEGER REFERENCES edits (row), standing INTEGER NOT NULL)""",
        """CREATE INDEX corrections_by_identity ON corrections (namespace, identity) WHERE standing""",
        """CREATE INDEX corrections_by_edit ON corrections (edit) WHERE edit IS NOT NULL""",
        """CREATE INDEX corrections_that_allow ON corrections (namespace) WHERE standing AND kind = 'allow'""",
    ),
    (
        # encoder: whose keys a threshold was measured with; with another encoder's it says nothing.
        """ALTER TABLE corrections ADD COLUMN encoder TEXT""",
        """UPDATE corrections SET encoder = (SELECT value FROM meta WHERE name = 'encoder') WHERE value IS NOT NULL""",
    ),
)
SCHEMA_VERSION = len(MIGRATIONS)

Row = tuple[Any, ...]

_PLACES = {"statement": 0, "prompt": 1}
_PLACES_FROM = 1 << 40


def place_of(edit: int, kind: str) -> int | None:
    """Return the rowid under which a vector is stored, where it follows from what it is: that is found fastest.

    Other kinds, and the vectors of stores from before, are found through the table's index only.
    """
    return _PLACES_FROM + 2 * edit + _PLACES[kind] if kind in _PLACES else None


class Database:
    """One connection to a store's file, usable from several threads one at a time.

    Args:
        path: the file, or ``:memory:``.
        create: make the file, and its folder, when there is none.
        timeout: how long to wait for another process's write, in seconds.
    """

    def __init__(self, path: str, *, create: bool = True, timeout: float = 30.0) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._process = os.getpid()
        if path != IN_MEMORY:
            self._prepare_file(create)
        self.file = Path(os.path.realpath(path))
        """Where it is, whatever links lead there and wherever the process goes; what is derived lies beside it."""
        writable = path == IN_MEMORY or (os.access(path, os.W_OK) and os.access(Path(path).parent, os.W_OK))
        self._connection = self._connect(timeout, "" if writable else "mode=ro")
        try:
            if not writable:
                self._open_for_reading(timeout)
            self._check_ours()
            if writable:
                self.execute("PRAGMA foreign_keys = ON")
                self.execute("PRAGMA secure_delete = ON")
                if path != IN_MEMORY:
                    self._use_wal(timeout)
                    self.execute("PRAGMA synchronous = FULL")
                self._migrate()
        except BaseException:
            self._connection.close()
            raise

    @property
    def lock(self) -> threading.RLock:
        """Held around every use of the connection.

        Raises:
            StoreError: the process is a fork of the one that opened the store; used by both, the file would be damaged.
        """
        if os.getpid() != self._process:
            raise StoreError(f"the store {self.path} was opened before this process was forked; open it again here")
        return self._lock

    def _connect(self, timeout: float, how: str = "") -> sqlite3.Connection:
        place = f"file:{quote(self.path)}?{how}" if how else self.path
        with self._translated():
            return sqlite3.connect(place, timeout=timeout, isolation_level=None, check_same_thread=False, uri=bool(how))

    def _open_for_reading(self, timeout: float) -> None:
        """Read a store that may not be written: beside others, or alone where not even their files can be made."""
        try:
            self.value("PRAGMA schema_version")
        except StoreError:
            log = Path(f"{self.file}-wal")
            if log.exists() and log.stat().st_size:
                raise
            self._connection.close()
            self._connection = self._connect(timeout, "immutable=1")
        version = self.value("PRAGMA user_version")
        if version < SCHEMA_VERSION:
            raise StoreError(f"{self.path} has to be brought up to date first; open it once where it can be written")

    def _prepare_file(self, create: bool) -> None:
        """Make sure the file is there, readable by its owner alone when it is new."""
        path = Path(self.path)
        try:
            if path.is_dir():
                raise StoreError(f"{path} is a folder; name a file in it, such as {path / 'store.scr'}")
            if path.exists():
                return
            if not create:
                raise StoreError(f"there is no store at {path}; make one with: scr store init --store {path}")
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            if path.is_file():
                return  # another process was faster
            raise StoreError(f"cannot make a store at {path}: a file is in the way; name another place") from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise StoreError(f"cannot make a store at {path}: {reason}; name a place you may write to") from error

    def _check_ours(self) -> None:
        with self.snapshot():  # another process may be making the schema just now
            application = self.value("PRAGMA application_id")
            version = self.value("PRAGMA user_version")
            tables = self.value("SELECT count(*) FROM sqlite_master")
        if application not in (0, APPLICATION_ID) or (application == 0 and tables):
            raise StoreFormatError(f"{self.path} is a SQLite database of another program; name another file")
        if version > SCHEMA_VERSION:
            raise StoreFormatError(
                f"{self.path} was written by a newer version (schema {version}, this one knows {SCHEMA_VERSION}); "
                "upgrade scr"
            )

    def _use_wal(self, timeout: float) -> None:
        # The change of mode does not wait for other connections by itself.
        deadline = time.monotonic() + timeout
        while self.value("PRAGMA journal_mode") != "wal":
            try:
                self.value("PRAGMA journal_mode = WAL")
            except StoreLockedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def _migrate(self) -> None:
        if self.value("PRAGMA user_version") == SCHEMA_VERSION:
            return
        with self.transaction():
            version = self.value("PRAGMA user_version")  # again: another process may have been faster
            for statements in MIGRATIONS[version:]:
                for statement in statements:
                    self.execute(statement)
            self.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run one statement; return the row id of an insert."""
        return self._run(sql, values).lastrowid or 0

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        with self.lock, self._translated():
            self._connection.executemany(sql, rows)

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[Row]:
        with self.lock, self._translated():
            return self._connection.execute(sql, values).fetchall()

    def _run(self, sql: str, values: Sequence[Any]) -> sqlite3.Cursor:
        with self.lock, self._translated():
            return self._connection.execute(sql, values)

    def each(self, sql: str, values: Sequence[Any] = ()) -> Iterator[Row]:
        """Rows one by one, for results that need not fit in memory; for use inside a snapshot."""
        with self._translated():
            yield from self._connection.execute(sql, values)

    def first(self, sql: str, values: Sequence[Any] = ()) -> Row | None:
        found = self.rows(sql, values)
        return found[0] if found else None

    def value(self, sql: str, values: Sequence[Any] = ()) -> Any:
        row = self.first(sql, values)
        return None if row is None else row[0]

    def rows_in(self, sql: str, keys: Sequence[Any], values: Sequence[Any] = ()) -> list[Row]:
        """Rows of a query with one ``IN (?)``, whose keys come after ``values``; any number of keys."""
        found: list[Row] = []
        for start in range(0, len(keys), 500):
            part = keys[start : start + 500]
            found += self.rows(sql.replace("IN (?)", f"IN ({','.join('?' * len(part))})"), [*values, *part])
        return found

    def put_vectors(self, vectors: Iterable[tuple[int, str, bytes]]) -> None:
        """Store (edit, kind, data), each in its place, instead of what was there."""
        sql = (
            "INSERT OR REPLACE INTO vectors (rowid, edit, kind, data) VALUES"
            " (coalesce(?, (SELECT min(0, min(rowid)) - 1 FROM vectors), -1), ?, ?, ?)"
        )
        self.execute_many(sql, ((place_of(edit, kind), edit, kind, data) for edit, kind, data in vectors))

    def vectors(self, edits: Sequence[int], kind: str) -> dict[int, bytes]:
        """Return the data of edits; those that have none of this kind are left out."""
        first = place_of(0, kind)
        found: dict[int, bytes] = {}
        if first is not None:
            sql = "SELECT rowid, edit, data FROM vectors WHERE kind = ? AND rowid IN (?)"
            rows = self.rows_in(sql, [first + 2 * edit for edit in edits], (kind,))
            found = {edit: data for place, edit, data in rows if place == first + 2 * edit}
        if len(found) < len(edits) and (missing := [edit for edit in edits if edit not in found]):
            sql = "SELECT edit, data FROM vectors WHERE kind = ? AND edit IN (?)"
            found |= dict(self.rows_in(sql, missing, (kind,)))
        return found

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, one writer at a time among all processes."""
        with self.lock:
            self.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.execute("COMMIT")
            except BaseException:
                with self._translated():
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Several reads that see one state; may be nested."""
        with self.lock:
            with self._translated():
                nested = self._connection.in_transaction
            if nested:
                yield
                return
            self.execute("BEGIN")
            try:
                yield
            finally:
                self.execute("COMMIT")

    def backup(self, path: str) -> None:
        """Write a consistent copy to a new file while others read and write; the file is there when it is whole."""
        if "\0" in path:
            raise StoreError("the backup's name holds a NUL byte; name another file")
        if os.path.lexists(path):
            raise StoreError(f"{path} is there already; name a new file for the backup")
        aside = f"{path}.{os.getpid()}.tmp"
        try:
            copy = Database(aside)
            copy.path = path
            try:
                with self.lock, copy._translated():
                    self._connection.backup(copy._connection)
            finally:
                copy.close()
            os.rename(aside, path)
        except OSError as error:
            raise StoreError(f"cannot write the backup {path}: {error.strerror}; name another place") from error
        finally:
            for left in ("", "-wal", "-shm"):
                Path(aside + left).unlink(missing_ok=True)

    def truncate_log(self) -> bool:
        """Move the write-ahead log into the file and empty it; return False while another process holds it."""
        return self.path == IN_MEMORY or self.value("PRAGMA wal_checkpoint(TRUNCATE)") == 0

    def close(self) -> None:
        with self.lock, self._translated():
            self._connection.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._ours(error) from error
        except UnicodeEncodeError as error:
            raise ConfigError(
                f"a text holds half a character (surrogate U+{ord(error.object[error.start]):04X}); decode it as UTF-8"
            ) from error
        except OverflowError as error:
            raise ConfigError("a number is larger than any in a store; give a smaller one") from error

    def _ours(self, error: sqlite3.Error) -> StoreError:
        name = getattr(error, "sqlite_errorname", "")
        where = f"the store {self.path}"
        if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
            return StoreFormatError(
                f"{where} is damaged or not a store ({error}); restore a backup or name another file"
            )
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return StoreLockedError(
                f"{where} is being written by another process; wait for it to end, or stop it, and try again"
            )
        if name.startswith("SQLITE_FULL"):
            return StoreError(f"the disk of {where} is full; nothing of this write was kept; free space and try again")
        if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
            return StoreError(f"{where} cannot be opened or written ({error}); check the rights of the file and folder")
        if name.startswith("SQLITE_IOERR"):
            return StoreError(f"the disk failed under {where} ({error}); check it and try again")
        if isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error):
            return StoreError(f"{where} is closed; open it again")
        if name == "SQLITE_ERROR" and str(error).startswith("no such"):
            return StoreFormatError(f"{where} lacks a part ({error}); restore a backup or name another file")
        return StoreError(f"{where} refused: {error}")
