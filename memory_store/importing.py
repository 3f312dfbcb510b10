"""How do the rows of a file enter the store? In batches, one transaction each, so that an interruption loses no row.

Each batch carries an event ``import`` that names the file's content and how many of its records are in. When the same
file comes again and nothing else has happened since (answering aside), the import goes on from there; otherwise it
starts again, and what is stored already is a duplicate that changes nothing. What people said of the facts of a batch
is a batch of its own, right after it.
"""

import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, BinaryIO

from memory_store.corrections import Said
from memory_store.edit import Edit, PutResult
from memory_store.identity import identity_of
from memory_store.transfer import CALIBRATED, Row, read_rows

if TYPE_CHECKING:
    from memory_store.index import Keys
    from memory_store.store import EditStore

BATCH = 256
"""Rows in one transaction."""


@dataclass(slots=True)
class Imported:
    """What an import has done so far."""

    rows: int = 0
    """Records read, bad ones included; not those ``resumed_after``."""
    counts: Counter[str] = field(default_factory=Counter)
    """Edits by what became of them: added, superseded, duplicate, conflict."""
    contradicting: int = 0
    """Of those stored, how many say otherwise than another fact in other words."""
    errors: list[str] = field(default_factory=list)
    """One line each, with the line's number."""
    committed: int = 0
    """Edits in transactions that are done (in a dry run: that would be)."""
    resumed_after: int = 0
    """Records that an interrupted import had taken; 0 where it began at the beginning."""
    stopped: bool = False
    """An error ended it, as asked for."""


def import_file(
    store: "EditStore",
    file: BinaryIO,
    *,
    kind: str = "auto",
    namespace: str | None = None,
    encode: "Callable[[Sequence[Edit]], Mapping[str, Keys]] | None" = None,
    write: Callable[..., list[PutResult]] | None = None,
    on_conflict: str | None = None,
    skip_errors: bool = False,
    dry_run: bool = False,
    actor: str | None = None,
    progress: Callable[[Imported, int], None] | None = None,
) -> Imported:
    """Store what a file holds, in its order.

    Args:
        file: seekable, at its beginning.
        kind: as for ``read_rows``.
        namespace: put everything there; ``None`` leaves edits where they say.
        encode: edits to kind and unit rows, as for ``put``; called with at most 256 edits.
        write: stores a batch in place of ``store.put``; called with the edits, ``actor``, ``dry_run`` and ``imported``.
        on_conflict: what ``write`` does about contradictions; another policy begins the file again.
        skip_errors: go on after a bad row; otherwise the rows before the first bad one are stored, and none after it.
            A conflict with what is stored shows when its batch is, so that batch is the last then.
        progress: called after each batch with what was done so far and the byte reached in the file.

    Raises:
        ConfigError: the file as a whole cannot be read; nothing was stored.
        StoreError: the store refused a batch; the batches before it are kept.
    """
    what = {"file": _digest(file), "from": kind, "into": namespace}
    what |= {} if on_conflict is None else {"on_conflict": on_conflict}
    done = Imported(resumed_after=0 if dry_run else _reached(store, what))
    taken = done.resumed_after
    rows = itertools.islice(read_rows(file, kind), taken, None)
    for batch in _batches(row if namespace is None else _placed(row, namespace) for row in rows):
        good = _until_error(batch, done, skip_errors)
        edits = [(row.number, edit) for row in good for edit in row.edits]
        before, taken = taken, taken + (len(good) if done.stopped else len(batch))
        if good or not done.stopped:
            wanted = [edit for _, edit in edits]
            note, so_far = {**what, "records": taken}, {**what, "records": before}
            # Facts count as taken only when what was said of them is in too.
            later = not dry_run and any(row.said for row in good)
            options: dict[str, Any] = {"actor": actor, "dry_run": dry_run, "imported": so_far if later else note}
            if write is not None and wanted:
                results = write(wanted, **options)
            else:
                keys = encode(wanted) if encode is not None and wanted else None
                results = store.put(wanted, keys, **options)
            _count(done, edits, results)
            if later:
                store.say(_said(good, results), actor=actor, imported=note)
            done.committed += len(edits)
            done.stopped |= bool(done.errors) and not skip_errors
        if progress is not None:
            progress(done, file.tell())
        if done.stopped:
            break
    return done


def _said(rows: Sequence[Row], results: Sequence[PutResult]) -> list[tuple[str, str | None, Said]]:
    """Return what the rows say about when their edits fire, of all that are in the store, and of whole namespaces."""
    said: list[tuple[str, str | None, Said]] = []
    left = iter(results)
    for row in rows:
        if not row.edits:
            said += [(row.namespace, None, one) for one in row.said if one.kind == CALIBRATED]
        for result in itertools.islice(left, len(row.edits)):
            if result.status != "conflict":
                said += [(result.edit.namespace, result.edit.edit_id, one) for one in row.said]
    return said


def _digest(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while part := file.read(1 << 20):
        digest.update(part)
    file.seek(0)
    return digest.hexdigest()


def _reached(store: "EditStore", what: Mapping[str, Any]) -> int:
    """Return how many records an interrupted import of the same file took, where nothing has happened since."""
    for last in store.log(limit=1, without="apply"):
        said = dict(last.payload or {})
        records = said.pop("records", 0)
        if last.kind == "import" and said == what:
            return int(records)
    return 0


def _placed(row: Row, namespace: str) -> Row:
    return replace(row, edits=tuple(replace(edit, namespace=namespace) for edit in row.edits), namespace=namespace)


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows in runs of at most 256 edits; a fact that comes again begins a new run, so that the later row wins."""
    batch: list[Row] = []
    seen: dict[tuple[str, str], Edit] = {}
    size = 0
    for row in rows:
        facts = {(edit.namespace, identity_of(edit)): edit for edit in row.edits}
        again = any(seen.get(fact, edit) != edit for fact, edit in facts.items())
        if batch and (again or size + max(1, len(row.edits)) > BATCH):
            yield batch
            batch, seen, size = [], {}, 0
        batch.append(row)
        seen |= facts
        size += max(1, len(row.edits))
    if batch:
        yield batch


def _until_error(batch: Sequence[Row], done: Imported, skip_errors: bool) -> list[Row]:
    """Return the rows to store, and note the errors."""
    good: list[Row] = []
    for row in batch:
        done.rows += 1
        if row.error:
            done.errors.append(row.error)
            if not skip_errors:
                done.stopped = True
                break
        else:
            good.append(row)
    return good


def _count(done: Imported, edits: Sequence[tuple[int, Edit]], results: Sequence[PutResult]) -> None:
    for (number, _), result in zip(edits, results, strict=True):
        done.counts[result.status] += 1
        done.contradicting += bool(result.contradicts) and result.status != "conflict"
        if result.status == "conflict":
            done.errors.append(f"line {number}: {result.reason}")
