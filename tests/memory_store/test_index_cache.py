"""The file of codes beside a large store: used when it is right, ignored when it is not, never needed."""

import shutil

import numpy as np
import pytest

from memory_store import live_index
from memory_store.codes_index import CodesIndex
from memory_store.edit import Edit
from memory_store.index_cache import Cached, read_cache, write_cache
from memory_store.live_index import LiveIndex
from memory_store.store import EditStore

D_KEY = 16


def keys(numbers):
    rows = [np.random.default_rng(number).normal(size=D_KEY) for number in numbers]
    return np.array([row / np.linalg.norm(row) for row in rows], np.float32).reshape(-1, D_KEY)


def fill(store, numbers, **more):
    numbers = list(numbers)
    edits = [Edit(statement=f"Box {n} is red.", edit_id=f"b{n}", **more) for n in numbers]
    store.put(edits, {"statement": keys(numbers)})


def found(store, number, k=3):
    return [hit.edit_id for hit in store.nearest(keys([number]), k)[0]]


def caches(path):
    return sorted(path.parent.glob(f"{path.name}.index-*"))


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(live_index, "EXACT_UP_TO", 20)
    path = tmp_path / "s.scr"
    with EditStore.open(path, encoder="toy") as store:
        fill(store, range(60))
        assert found(store, 7)[0] == "b7"
    return path


@pytest.fixture
def no_rebuild(monkeypatch):
    def refuse(self, moment):
        raise AssertionError("the index was built from the beginning")

    monkeypatch.setattr(LiveIndex, "_rebuild", refuse)


def test_opening_with_a_cache_reads_only_later_events(path, no_rebuild):
    with EditStore.open(path, encoder="toy") as store:
        assert found(store, 7)[0] == "b7"
        fill(store, [60])
        store.forget(["b7"])
    with EditStore.open(path, encoder="toy") as store:
        assert found(store, 60)[0] == "b60" and "b7" not in found(store, 7, 99)
        assert len(found(store, 7, 99)) == 60


def test_the_cache_gives_the_answers_of_an_exact_search(path):
    with EditStore.open(path, encoder="toy") as cached, EditStore.open(path, encoder="toy", index="exact") as exact:
        queries = keys(range(100, 120))
        assert cached.nearest(queries, 10) == exact.nearest(queries, 10)


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-64],
        lambda data: data[:-70] + bytes([data[-70] ^ 1]) + data[-69:],
        lambda data: b"no JSON\n" + data,
        lambda data: b"[" * 100_000 + b"\n",
        lambda data: data.replace(b'"format": 2', b'"format": 9'),
        lambda data: data.replace(b'"rows": 60', b'"rows": -1'),
        lambda data: data + b"more",
    ],
)
def test_a_damaged_cache_is_ignored_and_written_again(path, damage):
    (cache,) = caches(path)
    good = cache.read_bytes()
    cache.write_bytes(damage(good))
    with EditStore.open(path, encoder="toy") as store:
        assert found(store, 7)[0] == "b7" and len(found(store, 7, 99)) == 60
    assert cache.read_bytes() == good


def test_codes_of_two_parts_come_back_from_the_file_as_they_were(tmp_path):
    random = np.random.default_rng(0)
    rows = random.normal(size=(700, 300)).astype(np.float32)
    index = CodesIndex(300, lambda ids: rows[ids])
    index.add(range(700), rows / np.linalg.norm(rows, axis=1, keepdims=True))
    written = Cached(7, "head", {3: (None, "2030")}, index.centre, index.ids, index.codes)
    write_cache(tmp_path / "cache", written, {"d_key": 300})
    read = read_cache(tmp_path / "cache", {"d_key": 300}, 300)
    assert (read.seq, read.head, read.dated) == (7, "head", {3: (None, "2030")})
    assert [part.shape for part in read.codes] == [(700, 32), (700, 8)]
    for one, other in zip((read.centre, read.ids, *read.codes), (index.centre, index.ids, *index.codes), strict=True):
        assert np.array_equal(one, other)
    assert read_cache(tmp_path / "cache", {"d_key": 299}, 299) is None


def test_the_cache_of_another_store_is_not_believed(path, tmp_path):
    other = tmp_path / "other.scr"
    with EditStore.open(other, encoder="toy") as store:
        fill(store, range(100, 160))
        found(store, 100)
    shutil.copy(caches(other)[0], caches(path)[0])
    with EditStore.open(path, encoder="toy") as store:
        assert found(store, 7)[0] == "b7" and found(store, 100)[0] != "b100"


def test_a_cache_from_after_a_restored_backup_is_not_believed(path, tmp_path):
    copy = tmp_path / "copy.scr"
    with EditStore.open(path, encoder="toy") as store:
        store.backup(copy)
        fill(store, range(60, 99))
        found(store, 60)
    for name in ("", "-wal", "-shm"):
        path.with_name(path.name + name).unlink(missing_ok=True)
    copy.rename(path)
    with EditStore.open(path, encoder="toy") as store:
        fill(store, range(200, 239))
        assert found(store, 201)[0] == "b201" and "b60" not in found(store, 60, 99)


def test_a_purge_and_a_reindex_delete_the_cache(path):
    with EditStore.open(path, encoder="toy") as store:
        store.purge(["b7"])
        assert caches(path) == [] and "b7" not in found(store, 7, 99) and len(caches(path)) == 1
        store.reindex("other", lambda edits: {"statement": keys(int(e.edit_id[1:]) + 500 for e in edits)})
        assert caches(path) == [] and found(store, 508)[0] == "b8"


def test_a_cache_that_cannot_be_written_is_no_error(path, monkeypatch):
    from memory_store import index_cache

    (cache,) = caches(path)
    cache.unlink()

    def full(*_):
        raise OSError("disk full")

    monkeypatch.setattr(index_cache.os, "replace", full)
    with EditStore.open(path, encoder="toy") as store:
        assert found(store, 7)[0] == "b7"
    assert caches(path) == []


def test_what_a_killed_process_left_of_a_cache_goes_with_the_next_one(path):
    import os

    (cache,) = caches(path)
    cache.unlink()
    old, new = (cache.with_name(f"{cache.name}.{pid}.tmp") for pid in (1, 2))
    for left in (old, new):
        left.write_bytes(b"half")
    os.utime(old, (0, 0))
    with EditStore.open(path, encoder="toy") as store:
        found(store, 7)
    assert not old.exists() and new.exists() and cache.exists()


def test_a_small_namespace_is_searched_exactly_and_needs_no_cache(path):
    before = caches(path)
    with EditStore.open(path, encoder="toy") as store:
        fill(store, range(5), namespace="small")
        assert [h.edit_id for h in store.nearest(keys([3]), 1, namespace="small")[0]] == ["b3"]
        assert caches(path) == before
        store.forget([f"b{n}" for n in range(45)])
        assert found(store, 50, 99)[0] == "b50" and len(found(store, 50, 99)) == 15


def test_doctor_finds_a_cache_of_no_use_and_deletes_it(path, tmp_path):
    (cache,) = caches(path)
    before = cache.read_bytes()
    with EditStore.open(path, encoder="toy") as store:
        fill(store, [60])
        assert store.doctor() == []  # behind, and good to go on from
        for spoilt in (before[:-1], b"[]\n", before.replace(b'"head": "', b'"head": "0')):
            cache.write_bytes(spoilt)
            assert [(cache.name in f.what, f.repaired) for f in store.doctor()] == [(True, False)]
            assert [f.repaired for f in store.doctor(repair=True)] == [True] and caches(path) == []
        store.purge(["b7"])
        cache.write_bytes(before)  # as by a reader that was killed right after it wrote what it had seen before
        assert "from before a purge" in store.doctor(repair=True)[0].what
        assert caches(path) == [] and store.doctor() == []
