"""What is purged is gone from every byte of the store, and the rest still verifies."""

import pytest

from memory_store.edit import Edit
from memory_store.errors import EditNotFoundError, StoreError
from memory_store.store import EditStore


def secret(n=0):
    return Edit(
        statement=f"Zaphod{n} lives at Secretstreet{n} and nobody may know it.",
        subject=f"Zaphod{n}",
        prompt=f"Where does Zaphod{n} live?",
        target_new=f"Secretstreet{n}",
        aliases=(f"Beeblebrox{n}",),
        source=f"Vogon{n}",
        tags=(f"Magrathea{n}",),
    )


MARKS = [b"zaphod", b"secretstreet", b"beeblebrox", b"vogon", b"magrathea"]


def everything(store_path):
    return b"".join(file.read_bytes() for file in store_path.parent.glob(store_path.name + "*"))


@pytest.mark.parametrize("beside", [0, 40, 1500])
def test_the_bytes_of_a_purged_edit_are_in_no_file_of_the_store(tmp_path, put, capital, keys_of, beside):
    path = tmp_path / "s.scr"
    with EditStore.open(path, encoder="toy") as store:
        others = [capital(f"Country {n}", f"City {n % 7} " * (n % 30 + 1)) for n in range(beside)]
        put(store, *others[::2])
        secrets = [secret(n) for n in range(25)]
        ids = [result.edit.edit_id for result in put(store, *secrets, actor="ann")]
        put(store, *others[1::2])
        store.forget(ids[:5])
        store.undo()
        for n in range(5):
            store.record("apply", {"query": f"Is Zaphod{n} at home?"}, edit_id=ids[n])
        keys = keys_of([edit.statement for edit in secrets])
        before = everything(path)
        assert all(mark in before.lower() for mark in MARKS) and keys[3].tobytes() in before
        found = store.nearest(keys[:1], 5)
        assert found[0][0].edit_id == ids[0]

        purged = store.purge(ids)
        assert purged.complete and purged.edit_ids == tuple(ids)
        after = everything(path)
        assert [mark for mark in MARKS if mark in after.lower()] == []
        assert not any(key.tobytes() in after for key in keys)
        assert not set(ids) & {hit.edit_id for hit in store.nearest(keys[:1], 50)[0]}
        assert store.mentioned(["zaphod1"]) == [[]]
        assert len(store) == beside and store.verify().ok and store.doctor() == []
    assert [mark for mark in MARKS if mark in everything(path).lower()] == []


def test_the_log_keeps_that_something_happened_and_not_what(store, put):
    [result] = put(store, secret(), actor="ann")
    hashes = [event.hash for event in store.log()]
    store.purge([result.edit.edit_id], actor="eve")
    events = store.log()
    assert [(event.kind, event.actor) for event in events] == [("purge", "eve"), ("put", "ann")]
    assert events[1].payload is None and events[1].edit_id is None and events[1].hash == hashes[0]
    assert store.verify(expect=hashes[0]).ok


def test_a_purge_leaves_the_other_versions_as_they_were(store, put, capital, clock):
    for edit_id, city in (("a", "Lyon"), ("b", "Nice"), ("c", "Metz")):
        put(store, capital("France", city, edit_id=edit_id))
        clock.tick()
    store.purge(["b"])
    assert [version.edit.edit_id for version in store.history("c")] == ["a", "c"]
    assert [edit.edit_id for edit in store.edits()] == ["c"]
    assert store.verify().ok
    assert store.undo()[0].closed == ("c",)
    assert store.edits() == []
    assert store.undo()[0].reopened == ("a",)
    assert store.verify().ok


def test_a_purge_cannot_be_undone(store, put):
    [result] = put(store, secret())
    store.purge([result.edit.edit_id])
    store.undo(9)
    store.redo(9)
    assert store.edits(include_closed=True) == []
    assert put(store, secret())[0].status == "added"


def test_purge_takes_all_or_none_and_stays_in_its_namespace(store, put, capital):
    put(store, capital("France", "Lyon", edit_id="a"), capital("France", "Nice", edit_id="a", namespace="b"))
    with pytest.raises(EditNotFoundError, match="'x'"):
        store.purge(["a", "x"])
    store.purge(["a"])
    assert store.edits() == [] and len(store.edits("b")) == 1


def test_another_process_sees_a_purge_at_its_next_search(tmp_path, put, keys_of):
    path = tmp_path / "s.scr"
    with EditStore.open(path, encoder="toy") as one, EditStore.open(path, encoder="toy") as other:
        [result, _] = put(one, secret(), secret(1))
        key = keys_of([secret().statement])
        assert other.nearest(key, 1)[0][0].edit_id == result.edit.edit_id
        one.purge([result.edit.edit_id])
        assert len(other.nearest(key, 5)[0]) == 1


def test_a_purge_says_when_a_reader_keeps_old_pages(tmp_path, put):
    path = tmp_path / "s.scr"
    with EditStore.open(path, encoder="toy", timeout=0.1) as one, EditStore.open(path) as other:
        [result, _] = put(one, secret(), secret(1))
        with other._db.snapshot():
            assert len(other.edits()) == 2
            assert not one.purge([result.edit.edit_id]).complete
        assert one.purge([]).complete
        assert b"zaphod0" not in everything(path).lower()


def test_reindex_moves_a_store_to_another_encoder(tmp_path, put, capital):
    import numpy as np

    path = tmp_path / "s.scr"
    with EditStore.open(path, encoder="toy") as store:
        put(store, *[capital(f"C{n}", "Lyon", edit_id=str(n)) for n in range(600)])
        store.forget(["7"])
    seen = []

    def encode(edits):
        return {"statement": np.eye(600, dtype=np.float32)[[int(edit.edit_id) for edit in edits]]}

    with EditStore.open(path) as store:
        assert store.reindex("new", encode, progress=lambda *counts: seen.append(counts)) == 600
        assert store.encoder == "new" and store.d_key == 600 and seen[-1] == (600, 600)
        assert store.nearest(np.eye(600, dtype=np.float32)[[5]], 1)[0][0].edit_id == "5"
        assert store.log()[0].payload == {"from": "toy", "to": "new", "versions": 600}
        assert store.verify().ok and store.doctor() == []
        with pytest.raises(ZeroDivisionError):
            store.reindex("broken", lambda edits: {"statement": 1 / 0})
        assert store.encoder == "new"
    with EditStore.open(path, encoder="new") as store:
        assert store.nearest(np.eye(600, dtype=np.float32)[[7]], 1)[0][0].edit_id != "7"


def test_a_backup_is_a_whole_store_and_overwrites_nothing(tmp_path, put, capital):
    with EditStore.open(tmp_path / "s.scr", encoder="toy") as store:
        put(store, capital("France", "Lyon"))
        store.backup(tmp_path / "copy.scr")
        put(store, capital("Spain", "Vigo"))
        with pytest.raises(StoreError, match="there already"):
            store.backup(tmp_path / "copy.scr")
    with EditStore.open(tmp_path / "copy.scr", encoder="toy") as copy:
        assert [edit.target_new for edit in copy.edits()] == ["Lyon"] and copy.verify().ok


def test_a_backup_that_cannot_be_finished_leaves_nothing_behind(tmp_path, put, capital, monkeypatch):
    from memory_store import sqlite

    def full(*_):
        raise OSError(28, "No space left on device")

    with EditStore.open(tmp_path / "s.scr", encoder="toy") as store:
        put(store, capital("France", "Lyon"))
        monkeypatch.setattr(sqlite.os, "rename", full)
        with pytest.raises(StoreError, match="cannot write the backup .*copy.scr: No space left"):
            store.backup(tmp_path / "copy.scr")
    assert [file.name for file in tmp_path.iterdir()] == ["s.scr"]
