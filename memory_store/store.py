"""EditStore: what is remembered, with one way in.

An edit enters by ``put``, is found by ``nearest`` and ``mentioned``, leaves by ``forget``, and every step can be taken
back by ``undo``. SQLite is the truth (``sqlite.py`` has the schema); each change is an event (``events.py``) that sets
the windows in which versions are valid (``timeline.py``). Reading leaves no trace. Neither numpy nor faiss is imported
before vectors are needed.
"""

import getpass
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

from memory_store.audit import Finding, examined, verified
from memory_store.batch import Batch
from memory_store.cache_files import drop_caches
from memory_store.corrections import APPLIES, EVERY_EDIT, Correction, Said, allowed, correct, said_of, standing
from memory_store.edit import DEFAULT_NAMESPACE, Diff, Edit, Hit, PutResult, Status, Version
from memory_store.erasing import Purged, erase
from memory_store.errors import BatchNotFoundError, ConfigError, EncoderMismatchError
from memory_store.events import Event, EventLog, VerifyReport
from memory_store.identity import claim_of, fold, identity_of, is_free, names_of, same_text, spans_of
from memory_store.naming import proposed_ids
from memory_store.records import COLUMNS, as_edit, as_json, as_row
from memory_store.reverting import WRITES, Reverted, redo, revert, undo
from memory_store.sqlite import IN_MEMORY, SCHEMA_VERSION, Database
from memory_store.timeline import Window, contains, effective, instant, make_room, merged
from memory_store.validation import validated, validated_kind, validated_namespace, validated_query
from memory_store.versions import EDIT_COLUMNS, KNOWN_NOW, VALID, Versions, not_found

if TYPE_CHECKING:
    from memory_store.index import Keys
    from memory_store.live_index import LiveIndex

IndexKind = Literal["auto", "exact", "faiss", "codes"]
LONGEST_MENTION = 12
"""Names of more words than this are not looked for in a text."""


def utc_now() -> datetime:
    return datetime.now(UTC)


class EditStore:
    """An edit memory in one file. Use ``EditStore.open``; it is a context manager."""

    def __init__(
        self,
        db: Database,
        *,
        encoder: str | None,
        index: IndexKind,
        clock: Callable[[], datetime] = utc_now,
        actor: str | None = None,
    ) -> None:
        self._db = db
        self._log = EventLog(db)
        self._versions = Versions(db)
        self._encoder = encoder
        self._index_kind = index
        self._clock = clock
        self._actor = actor or _login()
        self._indexes: dict[tuple[str, str], LiveIndex] = {}
        self._check_encoder()

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        encoder: str | None = None,
        create: bool = True,
        index: IndexKind = "auto",
        timeout: float = 30.0,
        clock: Callable[[], datetime] = utc_now,
        actor: str | None = None,
    ) -> Self:
        """Open a store.

        Args:
            path: its file, or ``:memory:``.
            encoder: fingerprint of the encoder in use; without one, keys can neither be put nor searched.
            create: make the file when there is none.
            index: ``auto`` searches exactly up to 50,000 edits of a namespace, and beyond ranks the likeliest few
                exactly (``codes``); ``exact`` is the numpy reference.
            timeout: how long to wait for another process's write, in seconds.
            actor: who stands in the events of writes that do not say who wrote; by default the login name.

        Raises:
            EncoderMismatchError: another encoder filled the store.
            StoreFormatError: not a store, damaged, or written by a newer version.
            StoreError: the place cannot be read or written.
        """
        if index not in get_args(IndexKind):
            raise ConfigError(f"index is {index!r}, wanted one of {', '.join(get_args(IndexKind))}")
        db = Database(str(path), create=create, timeout=timeout)
        try:
            return cls(db, encoder=encoder, index=index, clock=clock, actor=actor)
        except BaseException:
            db.close()
            raise

    @property
    def path(self) -> str:
        return self._db.path

    @property
    def encoder(self) -> str | None:
        """Fingerprint of the encoder that filled the store."""
        return self._meta("encoder")

    @property
    def d_key(self) -> int | None:
        width = self._meta("d_key")
        return None if width is None else int(width)

    # -- writing ------------------------------------------------------------------------------------------------------

    def put(
        self,
        edits: Sequence[Edit],
        keys: Mapping[str, "Keys"] | None = None,
        *,
        actor: str | None = None,
        dry_run: bool = False,
        imported: Mapping[str, Any] | None = None,
        said: Mapping[int, Sequence[Said]] | None = None,
        replaces: Sequence[Sequence[Edit]] = (),
    ) -> list[PutResult]:
        """Store edits, all in one transaction; a failure leaves the store as it was.

        Args:
            keys: kind (``statement``, ``prompt``) to unit rows, shape (len(edits), d_key).
            actor: who writes, for edits that do not say.
            dry_run: return what would happen and keep nothing.
            imported: of which file these are a part; kept in the log beside them, as an ``import`` event.
            said: for edits by their place, corrections to be made with them, as events of the same batch.
            replaces: for each edit the facts, stored or earlier in the batch, whose place it takes as well as that of
                its own older versions; each names a fact by its identity. Empty: none.

        Returns:
            For each edit what became of it, and the batch to give to ``revert``; a conflict is reported, not raised,
            and stores nothing for that edit.

        Raises:
            InvalidEditError: a text or time is not fit to be stored.
            DimensionMismatchError, ConfigError: the keys do not fit.
        """
        if isinstance(edits, Edit):
            raise ConfigError("put takes a list of edits, got a single Edit; write [edit]")
        edits = [validated(edit, f"edit {n}: " if len(edits) > 1 else "") for n, edit in enumerate(edits, start=1)]
        edits = [replace(edit, actor=edit.actor or actor) for edit in edits]
        if keys and self._encoder is None:
            raise ConfigError("the store was opened without an encoder, so keys cannot be stored; name the encoder")
        blobs = self._blobs(keys, len(edits), self.d_key) if keys else {}
        with self._batch(actor, keep=not dry_run) as batch:
            if blobs and edits:
                from memory_store.live_index import width_of

                self._remember_encoder(width_of(next(iter(blobs.values()))[0]))
            written: dict[tuple[str, str], tuple[Edit, Window]] = {}
            results = []
            for number, edit in enumerate(edits):
                result, row = self._put_one(batch, edit, written, replaces[number] if replaces else ())
                if row is not None:
                    self._db.put_vectors((row, kind, rows[number]) for kind, rows in blobs.items())
                    for one in (said or {}).get(number, ()):
                        self._say(batch, edit.namespace, result.edit.edit_id, one)
                results.append(result if row is None or dry_run else replace(result, batch=batch.number))
            if imported is not None:
                batch.event("import", edits[0].namespace if edits else DEFAULT_NAMESPACE, dict(imported))
        return results

    def say(
        self,
        said: Sequence[tuple[str, str | None, Said]],
        *,
        actor: str | None = None,
        imported: Mapping[str, Any] | None = None,
    ) -> list[Correction]:
        """Make corrections of any kind, all in one batch, which ``undo`` takes back.

        Args:
            said: namespace, edit_id and correction; an edit_id of None is for what holds for every edit there.
            imported: as for ``put``.

        Returns:
            What stands now for each; its ``batch`` is 0 where it stood before.

        Raises:
            EditNotFoundError: an edit_id is unknown; nothing is stored.
        """
        with self._batch(actor) as batch:
            made = [self._say(batch, namespace, edit_id, one) for namespace, edit_id, one in said]
            if imported is not None:
                batch.event("import", said[0][0] if said else DEFAULT_NAMESPACE, dict(imported))
        return made

    def _say(self, batch: Batch, namespace: str, edit_id: str | None, one: Said) -> Correction:
        return correct(
            batch,
            one.kind,
            one.text,
            namespace=namespace,
            stored=None if edit_id is None else self._versions.found(namespace, edit_id),
            value=one.value,
            encoder=one.encoder or self.encoder,
            said=one.why,
        )

    def _put_one(
        self,
        batch: Batch,
        edit: Edit,
        written: dict[tuple[str, str], tuple[Edit, Window]],
        replaces: Sequence[Edit],
    ) -> tuple[PutResult, int | None]:
        """Return the result and, when something was stored, its row."""
        identity = identity_of(edit)
        held = self._versions.find(edit.namespace, edit.edit_id) if edit.edit_id else None
        if held and not (identity_of(held.edit) == identity and _same_version(held.edit, edit)):
            reason = f"edit_id {edit.edit_id!r} already names {held.edit.statement!r:.100}; give another id, or none"
            return PutResult(status="conflict", edit=edit, reason=reason), None

        facts = dict.fromkeys([identity, *map(identity_of, replaces)])
        others = [stored for fact in facts for stored in self._versions.standing(edit.namespace, fact)]
        window = effective(
            (edit.valid_from, edit.valid_until), [span for other in others for span in other.windows], batch.time
        )
        earlier = written.get((edit.namespace, identity))
        if earlier and not _same_fact(earlier[0], edit) and not _starts_after(edit, earlier[1]):
            return _clash(earlier[0], edit), None
        for other in others:
            if _same_fact(other.edit, edit) and _already(other.windows, edit, window, batch.time):
                there = self._versions.shown(other, batch.time)
                written[edit.namespace, identity] = there, window
                return PutResult(status="duplicate", edit=there, reason=f"already stored as {there.edit_id!r}"), None

        row, edit = self._new_row(batch, edit, identity) if held is None else (held.row, held.edit)
        changes, superseded = {}, []
        for other in others:
            kept, ended = make_room(other.windows, window, batch.time)
            if tuple(kept) != other.windows:
                changes[other.row] = kept
            if ended and other.row != row:
                superseded.append(other.edit.edit_id)
        changes[row] = merged([*changes.get(row, held.windows if held else ()), window])
        batch.event("put", edit.namespace, {"edit": as_json(edit)}, row=row, windows=changes)
        edit = replace(edit, valid_from=window[0], valid_until=window[1])
        written[edit.namespace, identity] = edit, window
        status: Literal["superseded", "added"] = "superseded" if superseded else "added"
        return PutResult(status=status, edit=edit, superseded=tuple(superseded)), row

    def _new_row(self, batch: Batch, edit: Edit, identity: str) -> tuple[int, Edit]:
        edit = replace(edit, edit_id=edit.edit_id or self._free_id(edit, identity), recorded_at=batch.time)
        row = self._db.execute(
            f"INSERT INTO edits (identity, {', '.join(COLUMNS[1:])}) VALUES ({', '.join('?' * len(COLUMNS))})",
            (identity, *as_row(edit)),
        )
        self._db.execute_many(
            "INSERT INTO names (namespace, name, edit, words) VALUES (?, ?, ?, ?)",
            [(edit.namespace, name, row, name.count(" ") + 1) for name in names_of(edit)],
        )
        return row, edit

    def _free_id(self, edit: Edit, identity: str) -> str:
        for edit_id in proposed_ids(edit, identity):
            if not self._db.value("SELECT 1 FROM edits WHERE namespace = ? AND edit_id = ?", (edit.namespace, edit_id)):
                return edit_id
        raise AssertionError("proposed_ids never ends")

    def forget(
        self, edit_ids: Sequence[str], *, namespace: str = DEFAULT_NAMESPACE, actor: str | None = None
    ) -> list[Edit]:
        """Take edits back, all or none; what they had replaced stays replaced (``undo`` reopens it).

        Raises:
            EditNotFoundError: names the edit_ids that are unknown here or already forgotten.
        """
        edit_ids = list(dict.fromkeys([edit_ids] if isinstance(edit_ids, str) else edit_ids))
        with self._batch(actor) as batch:
            found = self._versions.all_of(namespace, edit_ids, standing=True)
            for stored in found:
                batch.event("forget", namespace, {}, row=stored.row, windows={stored.row: []})
            return [self._versions.shown(stored, batch.time) for stored in found]

    def undo(self, count: int = 1, *, namespace: str | None = None, actor: str | None = None) -> list[Reverted]:
        """Take back the last ``count`` batches of facts or corrections that still stand, the last one first.

        Args:
            namespace: only what batches did there; ``None`` takes whole batches.

        Returns:
            What was reverted; fewer than ``count``, or none, when there is no more.
        """
        with self._batch(actor) as batch:
            return undo(batch, self._versions, count, namespace)

    def redo(self, count: int = 1, *, namespace: str | None = None, actor: str | None = None) -> list[Reverted]:
        """Take back the last ``count`` undos; a write since then ends what can be redone."""
        with self._batch(actor) as batch:
            return redo(batch, self._versions, count, namespace)

    def revert(self, batch: int, *, namespace: str | None = None, actor: str | None = None) -> Reverted:
        """Take back one batch of facts or corrections from anywhere in the history; ``redo`` brings it back.

        Args:
            batch: its number, from ``PutResult.batch`` or the log.
            namespace: only what it did there; ``None`` takes the whole batch.

        Raises:
            BatchNotFoundError: there is no such batch (there).
            ConflictError: a later write that stands changed the same facts or corrections (it is named), the batch is
                taken back already, or it wrote neither; nothing is changed.
        """
        with self._batch(actor) as open_batch:
            return revert(open_batch, self._versions, batch, namespace)

    def purge(self, edit_ids: Sequence[str], *, namespace: str = DEFAULT_NAMESPACE, actor: str | None = None) -> Purged:
        """Erase versions for good, whatever their status: texts, keys, names, the corrections given for them, and what
        events say of them.

        The events themselves stay, so that the chain still verifies; a purge cannot be undone. Copies made by
        ``backup`` or export are not touched.

        Raises:
            EditNotFoundError: names the edit_ids that are unknown here; then nothing is erased.
        """
        edit_ids = list(dict.fromkeys([edit_ids] if isinstance(edit_ids, str) else edit_ids))
        with self._batch(actor) as batch:
            erase(batch, self._versions, namespace, self._versions.all_of(namespace, edit_ids))
        self._drop_indexes()
        return Purged(tuple(edit_ids), complete=self._db.truncate_log())

    def reindex(
        self,
        encoder: str,
        encode: "Callable[[Sequence[Edit]], Mapping[str, Keys]]",
        *,
        actor: str | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> int:
        """Give every version new keys by another encoder, and name it in the store.

        Encoding happens outside the transaction, so others can read and write meanwhile; an interruption leaves the
        store as it was. Thresholds measured with the encoder before say nothing from then on; they do again when the
        store goes back to it.

        Args:
            encoder: its fingerprint.
            encode: edits to kind and unit rows, as for ``put``; called with at most 256 edits.
            progress: called with how many versions are encoded, and how many there are.

        Returns:
            How many versions there are.
        """
        from memory_store.reindexing import Reindexing

        work = Reindexing(self._db, lambda edits: self._blobs(encode(edits), len(edits), None), progress)
        work.encode_most()
        with self._batch(actor) as batch:
            work.encode_rest()
            before = self.encoder
            work.swap()
            self._name_encoder(encoder, work.d_key)
            batch.event("reindex", DEFAULT_NAMESPACE, {"from": before, "to": encoder, "versions": work.done})
        self._encoder = encoder
        self._drop_indexes()
        return work.done

    def record(
        self,
        kind: str,
        payload: Mapping[str, Any],
        *,
        edit_id: str | None = None,
        namespace: str = DEFAULT_NAMESPACE,
        actor: str | None = None,
    ) -> None:
        """Append an event of the caller's own kind, such as ``apply`` or ``review``."""
        if kind in (*WRITES, "undo", "redo", "purge", "reindex", "import"):
            raise ConfigError(f"event kind {kind!r} is the store's own; use another name")
        with self._batch(actor) as batch:
            stored = None if edit_id is None else self._versions.found(namespace, edit_id)
            row = None if stored is None else stored.row
            batch.event(validated_kind(kind), validated_namespace(namespace), dict(payload), row=row)

    def record_use(
        self,
        used: Sequence[tuple[str, Sequence[str]]],
        *,
        request: str | None = None,
        namespace: str = DEFAULT_NAMESPACE,
        actor: str | None = None,
    ) -> None:
        """Append what was used for a request: an event ``apply`` for each edit, so that a purge finds them all.

        Args:
            used: queries, each with the edit_ids used for it. A query is not kept; its salted hash is, so that
                ``uses_of`` finds it again. One without edits is passed over.
            request: the caller's own number or name of the request.

        Raises:
            EditNotFoundError: no version ever had one of these edit_ids here; then nothing is written.
        """
        used = [(query, list(dict.fromkeys(edit_ids))) for query, edit_ids in used if edit_ids]
        if not used:
            return
        with self._batch(actor) as batch:
            for query, edit_ids in used:
                salt = os.urandom(16).hex()
                payload = {"salt": salt, "query_hash": _query_hash(salt, query), "request": request}
                for stored in self._versions.all_of(namespace, edit_ids):
                    batch.event("apply", namespace, dict(payload), row=stored.row)

    def allow(
        self,
        edit_id: str,
        queries: str | Sequence[str],
        *,
        namespace: str = DEFAULT_NAMESPACE,
        actor: str | None = None,
    ) -> list[Correction]:
        """Say that queries are in the scope of a fact, whatever a decider thinks; one batch, which ``undo`` takes back.

        It holds for every version of the fact, also one that comes later, and stands in place of a denial of the same
        query.

        Returns:
            For each query what stands now; its ``batch`` is 0 where it stood before.

        Raises:
            EditNotFoundError: the edit_id is unknown here, or forgotten.
            InvalidEditError: a query is empty or no text; nothing is stored.
        """
        return self._correct("allow", edit_id, queries, namespace, actor)

    def deny(
        self,
        edit_id: str,
        queries: str | Sequence[str],
        *,
        namespace: str = DEFAULT_NAMESPACE,
        actor: str | None = None,
    ) -> list[Correction]:
        """Say that queries are out of the scope of a fact; otherwise as ``allow``."""
        return self._correct("deny", edit_id, queries, namespace, actor)

    def _correct(
        self,
        kind: Literal["allow", "deny"],
        edit_id: str,
        queries: str | Sequence[str],
        namespace: str,
        actor: str | None,
    ) -> list[Correction]:
        texts = [validated_query(query) for query in ([queries] if isinstance(queries, str) else queries)]
        with self._batch(actor) as batch:
            (stored,) = self._versions.all_of(namespace, [edit_id], standing=True)
            return [correct(batch, kind, text, namespace=namespace, stored=stored) for text in texts]

    def calibrate(
        self,
        decider: str,
        threshold: float,
        measured: Mapping[str, Any] | None = None,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        actor: str | None = None,
    ) -> Correction:
        """Say from which probability on a decider's edits fire in a namespace; ``undo`` takes it back.

        It says nothing while the store has the keys of another encoder (``reindex``).

        Args:
            decider: its name, such as ``pair``.
            threshold: a probability, in [0, 1].
            measured: what it rests on; kept in the event.
        """
        if not 0 <= threshold <= 1:
            raise ConfigError(f"threshold is {threshold}, wanted a probability in [0, 1]")
        namespace = validated_namespace(namespace)
        with self._batch(actor) as batch:
            one = Said("calibrate", decider, threshold, measured or {})
            return self._say(batch, namespace, None, one)

    # -- reading ------------------------------------------------------------------------------------------------------

    def get(self, edit_id: str, *, namespace: str = DEFAULT_NAMESPACE) -> Edit:
        """Return any version, also a closed one.

        Raises:
            EditNotFoundError: no version ever had this edit_id here.
        """
        with self._db.snapshot():
            return self._versions.shown(self._versions.found(namespace, edit_id), self._now())

    def get_many(self, edit_ids: Sequence[str], *, namespace: str = DEFAULT_NAMESPACE) -> list[Edit]:
        """Return versions in the order asked for, as ``get`` does."""
        with self._db.snapshot():
            now = self._now()
            found = {s.edit.edit_id: s for s in self._versions.all_of(namespace, edit_ids)}
            return [self._versions.shown(found[edit_id], now) for edit_id in edit_ids]

    def status(self, edit_id: str, *, namespace: str = DEFAULT_NAMESPACE) -> Status:
        """Return how a version stands now."""
        with self._db.snapshot():
            return self._versions.status(self._versions.found(namespace, edit_id), self._now())

    def history(self, edit_id: str, *, namespace: str = DEFAULT_NAMESPACE) -> list[Version]:
        """Return every version of the fact that ``edit_id`` is a version of, the oldest first."""
        with self._db.snapshot():
            now = self._now()
            identity = identity_of(self._versions.found(namespace, edit_id).edit)
            versions = self._versions.where("namespace = ? AND identity = ?", namespace, identity)
            return [
                Version(self._versions.shown(stored, now), self._versions.status(stored, now)) for stored in versions
            ]

    def edits(
        self,
        namespace: str = DEFAULT_NAMESPACE,
        *,
        as_of: str | datetime | None = None,
        known_at: str | datetime | None = None,
        include_closed: bool = False,
    ) -> list[Edit]:
        """Return the edits that are valid, in the order they were stored.

        Args:
            as_of: valid at this time, as known now (or at ``known_at``).
            known_at: as the store stood then; without ``as_of``, valid at that time too.
            include_closed: every version, whatever its status.
        """
        with self._db.snapshot():
            now = self._now()
            if include_closed:
                every = self._versions.where("namespace = ?", namespace)
                return [self._versions.shown(stored, now) for stored in every]
            counts, values = self._seen(as_of, known_at)
            rows = self._db.rows(
                f"SELECT {EDIT_COLUMNS}, w.valid_from, w.valid_until FROM edits e JOIN windows w ON w.edit = e.row"
                f" WHERE e.namespace = ? AND {counts} ORDER BY e.row",
                (namespace, *values),
            )
            return [as_edit(row, row[-2:]) for row in rows]

    def diff(
        self, a: str | datetime | int, b: str | datetime | int | None = None, namespace: str = DEFAULT_NAMESPACE
    ) -> Diff:
        """Return how what answered at one recorded time differs from what answered at another.

        Args:
            a, b: times, or numbers of batches: as the store stood right after that batch. ``b`` defaults to now.

        Raises:
            BatchNotFoundError: there is no such batch.
        """
        with self._db.snapshot():
            earlier, later = ({identity_of(e): e for e in self._stood(when, namespace)} for when in (a, b))
        return Diff(
            added=tuple(edit for identity, edit in later.items() if identity not in earlier),
            changed=tuple((e, later[i]) for i, e in earlier.items() if i in later and later[i] != e),
            removed=tuple(edit for identity, edit in earlier.items() if identity not in later),
        )

    def _stood(self, when: str | datetime | int | None, namespace: str) -> list[Edit]:
        if isinstance(when, int):
            time = self._db.value("SELECT max(time) FROM events WHERE batch = ?", (when,))
            if time is None:
                raise BatchNotFoundError(f"no batch {when}; see: scr log --all")
            return self.edits(namespace, known_at=time)
        return self.edits(namespace, known_at=when)

    def versions(self, namespace: str = DEFAULT_NAMESPACE) -> list[Version]:
        """Return every version with its status, in the order they were stored."""
        with self._db.snapshot():
            now = self._now()
            every = self._versions.where("namespace = ?", namespace)
            return [Version(self._versions.shown(one, now), self._versions.status(one, now)) for one in every]

    def holds(
        self,
        namespace: str = DEFAULT_NAMESPACE,
        *,
        as_of: str | datetime | None = None,
        known_at: str | datetime | None = None,
    ) -> bool:
        """Whether any edit is valid there (times as in ``edits``); fast, however many there are."""
        with self._db.snapshot():
            counts, values = self._seen(as_of, known_at)
            found = self._db.value(
                "SELECT 1 FROM edits e CROSS JOIN windows w ON w.edit = e.row"
                f" WHERE e.namespace = ? AND {counts} LIMIT 1",
                (namespace, *values),
            )
            return found is not None

    def nearest(
        self,
        queries: "Keys",
        k: int,
        *,
        namespace: str = DEFAULT_NAMESPACE,
        kind: str = "statement",
        as_of: str | datetime | None = None,
        known_at: str | datetime | None = None,
    ) -> list[list[Hit]]:
        """Return for each query its ``k`` nearest valid edits, fewer only where fewer exist; ties in stored order.

        Namespace and validity are applied inside the search, so neither can crowd out a hit.

        Args:
            queries: unit rows, shape (n, d_key).
            as_of, known_at: as in ``edits``; with either, all keys of the namespace are compared.
        """
        import numpy as np

        from memory_store.index import checked_keys

        with self._db.snapshot():
            d_key = self._width_for_search()
            queries = checked_keys(np.atleast_2d(queries), len(np.atleast_2d(queries)), d_key, "queries")
            if d_key is None:
                return [[] for _ in queries]
            if as_of is None and known_at is None:
                found = self._live_index(namespace, validated_kind(kind), d_key).search(queries, k, self._now())
            else:
                found = self._search_past(queries, k, namespace, kind, *self._seen(as_of, known_at))
            wanted = list({row for hits in found for row, _ in hits})
            names: dict[int, str] = dict(self._db.rows_in("SELECT row, edit_id FROM edits WHERE row IN (?)", wanted))
        return [[Hit(names[row], score) for row, score in hits] for hits in found]

    def _live_index(self, namespace: str, kind: str, d_key: int) -> "LiveIndex":
        from memory_store.live_index import LiveIndex

        live = self._indexes.get((namespace, kind))
        if live is None:
            live = LiveIndex(self._db, self._log, namespace, kind, self._index_kind, d_key, self.encoder)
            self._indexes[namespace, kind] = live
        return live

    def _search_past(
        self, queries: "Keys", k: int, namespace: str, kind: str, counts: str, values: Sequence[Any]
    ) -> list[list[tuple[int, float]]]:
        from memory_store.index import ExactIndex
        from memory_store.live_index import keys_from

        rows = self._db.rows(
            "SELECT e.row, v.data FROM edits e JOIN windows w ON w.edit = e.row JOIN vectors v ON v.edit = e.row"
            f" WHERE e.namespace = ? AND v.kind = ? AND {counts}",
            (namespace, kind, *values),
        )
        index = ExactIndex(queries.shape[1])
        index.add([row for row, _ in rows], keys_from([data for _, data in rows], queries.shape[1]))
        return index.search(queries, k)

    def similarities(
        self,
        queries: "Keys",
        edit_ids: Sequence[Sequence[str]],
        *,
        namespace: str = DEFAULT_NAMESPACE,
        kind: str = "statement",
    ) -> list[list[float]]:
        """Return the exact cosine of each query with each edit named for it; 0.0 where an edit has no such key."""
        import numpy as np

        from memory_store.index import checked_keys, exact_scores
        from memory_store.live_index import keys_from

        with self._db.snapshot():
            d_key = self._width_for_search()
            queries = checked_keys(np.atleast_2d(queries), len(edit_ids), d_key, "queries")
            wanted = list({edit_id for ids in edit_ids for edit_id in ids})
            rows = self._db.rows_in(
                "SELECT e.edit_id, v.data FROM edits e LEFT JOIN vectors v ON v.edit = e.row AND v.kind = ?"
                " WHERE e.namespace = ? AND e.edit_id IN (?)",
                wanted,
                (validated_kind(kind), namespace),
            )
            blobs: dict[str, bytes | None] = dict(rows)
            missing = [edit_id for edit_id in wanted if edit_id not in blobs]
            if missing:
                raise not_found(missing, namespace)
        scores: list[list[float]] = []
        for query, ids in zip(queries, edit_ids, strict=True):
            with_key = [(edit_id, blob) for edit_id in ids if (blob := blobs[edit_id]) is not None]
            keys = keys_from([blob for _, blob in with_key], len(query))
            known = dict(zip((edit_id for edit_id, _ in with_key), exact_scores(query, keys).tolist(), strict=True))
            scores.append([known.get(edit_id, 0.0) for edit_id in ids])
        return scores

    def mentioned(
        self,
        texts: Sequence[str],
        *,
        namespace: str = DEFAULT_NAMESPACE,
        as_of: str | datetime | None = None,
        known_at: str | datetime | None = None,
        limit: int = 16,
    ) -> list[list[str]]:
        """Return for each text the edit_ids whose subject or alias occurs in it as whole words, longest name first.

        Case, accents, punctuation and a possessive 's do not count.
        """
        with self._db.snapshot():
            counts, values = self._seen(as_of, known_at)
            longest = self._db.value("SELECT max(words) FROM names WHERE namespace = ?", (namespace,)) or 0
            found = []
            for text in texts:
                rows = self._db.rows_in(
                    "SELECT n.words, length(n.name), e.row, e.edit_id FROM names n JOIN edits e ON e.row = n.edit"
                    f" JOIN windows w ON w.edit = n.edit WHERE n.namespace = ? AND {counts}"
                    " AND n.name IN (?)",
                    spans_of(text, min(longest, LONGEST_MENTION)),
                    (namespace, *values),
                )
                rows.sort(key=lambda row: (-row[0], -row[1], row[2]))
                found.append(list(dict.fromkeys(row[3] for row in rows))[:limit])
            return found

    def corrections(
        self, namespace: str = DEFAULT_NAMESPACE, *, identities: Sequence[str] | None = None, edit_id: str | None = None
    ) -> list[Correction]:
        """Return the corrections that stand, in the order they were given; no thresholds of another encoder.

        Args:
            identities: of these facts only, and what holds for every edit.
            edit_id: of the fact of which this is a version.

        Raises:
            EditNotFoundError: no version ever had this edit_id here.
        """
        with self._db.snapshot():
            if edit_id is not None:
                identities = [identity_of(self._versions.found(namespace, edit_id).edit)]
            elif identities is not None:
                identities = [*identities, EVERY_EDIT]
            return standing(self._db, namespace, identities)

    def corrections_of(
        self, edit_ids: Sequence[str], *, namespace: str = DEFAULT_NAMESPACE
    ) -> dict[str, list[Correction]]:
        """Return what stands about each edit, and about every edit; fast where nothing was ever said."""
        with self._db.snapshot():
            return said_of(self._db, namespace, edit_ids)

    def allowed(
        self,
        texts: Sequence[str],
        *,
        namespace: str = DEFAULT_NAMESPACE,
        as_of: str | datetime | None = None,
        known_at: str | datetime | None = None,
    ) -> list[list[str]]:
        """Return for each text the edit_ids of facts allowed for it, or for a text of nearly the same words.

        Which facts are valid goes by the times, as in ``edits``; what is allowed stands as it does now.
        """
        with self._db.snapshot():
            return allowed(self._db, namespace, texts, *self._seen(as_of, known_at))

    def namespaces(self) -> list[str]:
        """Return the namespaces that hold or held an edit."""
        names: list[str] = []
        sql = "SELECT min(namespace) FROM edits WHERE namespace > ?"  # from one to the next by the index
        while (name := self._db.value(sql, (names[-1] if names else "",))) is not None:
            names.append(name)
        return names

    def __len__(self) -> int:
        """How many edits are valid now, in all namespaces."""
        with self._db.snapshot():
            return sum(self._live_counts().values())

    def stats(self) -> dict[str, Any]:
        """Return counts, the encoder, the index, calibrated thresholds and the files' sizes in bytes."""
        with self._db.snapshot():
            live = self._live_counts()
            totals: dict[str, int] = dict(
                self._db.rows("SELECT namespace, count(*) FROM edits GROUP BY namespace ORDER BY namespace")
            )
            files = {} if self.path == IN_MEMORY else _file_sizes(self._db.file)
            return {
                "path": self.path,
                "schema_version": SCHEMA_VERSION,
                "encoder": self.encoder,
                "d_key": self.d_key,
                "index": self._index_kind,
                "live": sum(live.values()),
                "closed": sum(totals.values()) - sum(live.values()),
                "namespaces": {
                    name: {"live": live.get(name, 0), "closed": total - live.get(name, 0)}
                    for name, total in totals.items()
                },
                "corrections": dict(
                    self._db.rows(
                        f"SELECT kind, count(*) FROM corrections c WHERE {APPLIES} GROUP BY kind ORDER BY kind"
                    )
                ),
                "calibrated": self._calibrated(),
                "events": self._log.last_seq(),
                "head": self.head(),
                "files": files,
            }

    def _calibrated(self) -> dict[str, dict[str, float]]:
        """Namespace to decider to the probability from which its edits fire there."""
        found: dict[str, dict[str, float]] = {}
        rows = self._db.rows(f"SELECT namespace, text, value FROM corrections c WHERE {APPLIES} AND kind = 'calibrate'")
        for namespace, decider, value in sorted(rows):
            found.setdefault(namespace, {})[decider] = value
        return found

    def log(
        self,
        *,
        limit: int | None = None,
        namespace: str | None = None,
        kind: str | None = None,
        edit_id: str | None = None,
        without: str | None = None,
    ) -> list[Event]:
        """Return what happened, the newest first; with ``edit_id``, to that version; ``without`` one kind of event."""
        with self._db.snapshot():
            row = None if edit_id is None else self._versions.found(namespace or DEFAULT_NAMESPACE, edit_id).row
            return list(self._log.each(limit=limit, namespace=namespace, kind=kind, edit=row, without=without))

    def uses_of(self, query: str, *, namespace: str | None = None, limit: int | None = None) -> list[Event]:
        """Return the recorded uses for a query, the newest first: events ``apply``, one for each edit used."""
        with self._db.snapshot():
            uses = self._log.each(namespace=namespace, kind="apply")
            return list(islice((event for event in uses if was_asked(event, query)), limit))

    def head(self) -> str:
        """Return the hash of the last event; noted elsewhere, it shows later that nothing before it was changed."""
        return self._log.last()[2]

    def verify(self, *, expect: str | None = None) -> VerifyReport:
        """Check the chain of events, and that edits and windows are what the events say.

        Args:
            expect: a head noted earlier; it must occur in the chain.
        """
        with self._db.snapshot():
            return verified(self._db, self._log, expect)

    def backup(self, path: str | Path) -> None:
        """Write a consistent copy to a new file, while others read and write."""
        self._db.backup(str(path))

    def doctor(self, *, repair: bool = False) -> list[Finding]:
        """Look for damage; with ``repair``, mend what can be derived again."""
        return examined(self._db, self._log, instant(self._clock()), repair=repair)

    def close(self) -> None:
        self._indexes.clear()
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # -- inside -------------------------------------------------------------------------------------------------------

    @contextmanager
    def _batch(self, actor: str | None, *, keep: bool = True) -> Iterator[Batch]:
        """One transaction whose events share a batch number and a time later than any before."""
        try:
            with self._db.transaction():
                _, last_time, _, last_batch = self._log.last()
                time = instant(self._clock())
                if last_time and time <= last_time:  # the clock was set back, or is coarse
                    time = instant(datetime.fromisoformat(last_time) + timedelta(microseconds=1))
                yield Batch(self._db, self._log, time, actor or self._actor, last_batch + 1)
                if not keep:
                    raise _NotKept
        except _NotKept:
            pass

    def _now(self) -> str:
        """The present, never before the last event: what was just written is visible."""
        return max(instant(self._clock()), self._log.last()[1])

    def _seen(self, as_of: str | datetime | None, known_at: str | datetime | None) -> tuple[str, list[Any]]:
        """Return the condition under which a window w counts, and its values."""
        moment = None if as_of is None else instant(as_of, "as_of")
        if known_at is None:
            moment = moment or self._now()
            return f"{KNOWN_NOW} AND {VALID}", [moment, moment]
        recorded = instant(known_at, "known_at")
        seq, moment = self._log.seq_at(recorded), moment or recorded
        known = "w.known_from <= ? AND (w.known_until IS NULL OR w.known_until > ?)"
        return f"{known} AND {VALID}", [seq, seq, moment, moment]

    def _meta(self, name: str) -> str | None:
        value: str | None = self._db.value("SELECT value FROM meta WHERE name = ?", (name,))
        return value

    def _check_encoder(self) -> None:
        filled_by = self.encoder
        if self._encoder is not None and filled_by not in (None, self._encoder):
            raise EncoderMismatchError(
                f"the store {self.path} was filled by the encoder {filled_by}, in use is {self._encoder}; "
                f"go back to that one, or run: scr store reindex --encoder {self._encoder}"
            )

    def _remember_encoder(self, d_key: int) -> None:
        self._check_encoder()
        if self.encoder is None:
            assert self._encoder is not None
            self._name_encoder(self._encoder, d_key)

    def _name_encoder(self, encoder: str, d_key: int | None) -> None:
        self._db.execute("DELETE FROM meta WHERE name IN ('encoder', 'd_key')")
        if d_key is not None:
            self._db.execute("INSERT INTO meta VALUES ('encoder', ?), ('d_key', ?)", (encoder, str(d_key)))

    def _drop_indexes(self) -> None:
        """Forget what is derived from keys that are gone, on disk too."""
        self._indexes.clear()
        if self.path != IN_MEMORY:
            drop_caches(self._db.file)

    def _width_for_search(self) -> int | None:
        if self._encoder is None:
            raise ConfigError("the store was opened without an encoder, so keys cannot be searched; name the encoder")
        self._check_encoder()
        return self.d_key

    def _live_counts(self) -> dict[str, int]:
        now = self._now()
        return dict(
            self._db.rows(
                "SELECT e.namespace, count(*) FROM edits e JOIN windows w ON w.edit = e.row"
                f" WHERE {KNOWN_NOW} AND {VALID} GROUP BY e.namespace",
                (now, now),
            )
        )

    def _blobs(self, keys: Mapping[str, "Keys"], rows: int, width: int | None) -> dict[str, list[bytes]]:
        """Return keys as stored, by kind; they must be unit rows, all of one width."""
        from memory_store.index import checked_keys
        from memory_store.live_index import to_blob

        blobs: dict[str, list[bytes]] = {}
        for kind, given in keys.items():
            checked = checked_keys(given, rows, width, f"{validated_kind(kind)} keys")
            width = checked.shape[1]
            blobs[kind] = [to_blob(key) for key in checked]
        return blobs


def _login() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user without a name
        return None


def was_asked(event: Event, query: str) -> bool:
    """Whether an event ``apply`` is about this query."""
    said = event.payload or {}
    return event.kind == "apply" and said.get("query_hash") == _query_hash(str(said.get("salt", "")), query)


def _query_hash(salt: str, query: str) -> str:
    return hashlib.sha256((salt + query).encode("utf-8", "surrogatepass")).hexdigest()


class _NotKept(Exception):
    """Ends a dry run's transaction."""


def _same_fact(one: Edit, other: Edit) -> bool:
    """Whether two edits of one identity say the same in the same words; source, actor and tags do not count."""
    if one.verbatim or other.verbatim:
        same_words = one.verbatim == other.verbatim and same_text(one.statement, other.statement)
    else:
        same_words = fold(one.statement) == fold(other.statement)
    same_claim = (is_free(one) and is_free(other)) or same_text(claim_of(one), claim_of(other))
    return same_words and same_claim and set(one.aliases) == set(other.aliases)


def _starts_after(edit: Edit, window: Window) -> bool:
    return edit.valid_from is not None and edit.valid_from > (window[0] or "")


def _clash(earlier: Edit, edit: Edit) -> PutResult:
    """The result for an edit whose question the same batch has answered already."""
    if same_text(claim_of(earlier), claim_of(edit)):
        reason = f"this batch already says so as {earlier.edit_id!r}, in other words"
        return PutResult(status="duplicate", edit=earlier, reason=reason)
    reason = (
        f"the same batch says {claim_of(earlier)!r:.100} of the same thing ({earlier.edit_id!r}); "
        "keep one, or give the later one a later valid_from"
    )
    return PutResult(status="conflict", edit=edit, reason=reason)


def _same_version(held: Edit, edit: Edit) -> bool:
    return _same_fact(held, edit) and (held.valid_from, held.valid_until) == (edit.valid_from, edit.valid_until)


def _already(windows: Sequence[Window], edit: Edit, window: Window, now: str) -> bool:
    """Whether a version with these windows already holds when the edit asks it to."""
    if window in windows:
        return True
    return edit.valid_from is None and any(contains(have, now) and have[1] == window[1] for have in windows)


def _file_sizes(path: Path) -> dict[str, int]:
    """Of the store's own files: the database, its log, and the caches."""
    own = re.compile(re.escape(path.name) + r"(-wal|-shm|\.index-.*)?")
    return {file.name: file.stat().st_size for file in sorted(path.parent.iterdir()) if own.fullmatch(file.name)}
