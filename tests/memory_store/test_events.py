import sqlite3
from contextlib import closing

import pytest

from memory_store.errors import ConfigError, EditNotFoundError
from memory_store.events import GENESIS
from memory_store.store import EditStore, was_asked


@pytest.fixture
def path(tmp_path, put, capital):
    path = tmp_path / "s.scr"
    with EditStore.open(path, encoder="toy") as store:
        put(store, capital("France", "Lyon", edit_id="a"), capital("Spain", "Vigo", edit_id="b"), actor="ann")
        put(store, capital("France", "Nice", edit_id="c"), actor="ben")
        store.forget(["b"], actor="ann")
        store.undo(actor="eve")
    return path


def test_every_step_is_an_event_with_its_actor_the_newest_first(path):
    with EditStore.open(path) as store:
        events = store.log()
        assert [(e.seq, e.kind, e.actor, e.batch, e.edit_id, e.target) for e in events] == [
            (5, "undo", "eve", 4, None, 3),
            (4, "forget", "ann", 3, "b", None),
            (3, "put", "ben", 2, "c", None),
            (2, "put", "ann", 1, "b", None),
            (1, "put", "ann", 1, "a", None),
        ]
        assert events[-1].payload["edit"]["target_new"] == "Lyon"
        assert [event.seq for event in store.log(limit=2)] == [5, 4]
        assert store.log(namespace="other") == []
        assert store.head() == events[0].hash


def test_an_untouched_log_verifies(path):
    with EditStore.open(path) as store:
        report = store.verify()
        assert report.ok and report.events == 5 and report.head == store.head()
    with EditStore.open(":memory:") as empty:
        assert empty.verify().ok and empty.head() == GENESIS


@pytest.mark.parametrize("table", ["events", "payloads"])
def test_the_database_itself_refuses_to_change_events(path, table):
    with closing(sqlite3.connect(path)) as raw:
        with pytest.raises(sqlite3.IntegrityError, match="append-only|only purged"):
            raw.execute(f"UPDATE {table} SET seq = 99 WHERE seq = 1")
    with closing(sqlite3.connect(path)) as raw, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw.execute("DELETE FROM events WHERE seq = 5")


TAMPERINGS = {
    "actor": ("UPDATE events SET actor = 'eve' WHERE seq = 2", 2, "event 2 was changed"),
    "time": ("UPDATE events SET time = '2020' WHERE seq = 1", 1, "event 1 was changed"),
    "kind": ("UPDATE events SET kind = 'put' WHERE seq = 4", 4, "event 4 was changed"),
    "namespace": ("UPDATE events SET namespace = 'x' WHERE seq = 3", 3, "event 3 was changed"),
    "subject of": ("UPDATE events SET edit = 2 WHERE seq = 3", 3, "event 3 was changed"),
    "hash": (f"UPDATE events SET hash = '{'0' * 64}' WHERE seq = 3", 3, "event 3 was changed"),
    "payload": (
        "UPDATE payloads SET payload = replace(payload, 'Lyon', 'Metz') WHERE seq = 1",
        1,
        "payload of event 1",
    ),
    "no payload": ("DELETE FROM payloads WHERE seq = 2", 2, "payload of event 2 is missing"),
    "gap": ("DELETE FROM events WHERE seq = 2", 3, "event 2 is missing"),
    "order": ("UPDATE events SET seq = 9 WHERE seq = 2", 3, "event 2 is missing"),
    "edit": ("UPDATE edits SET target_new = 'Metz', statement = 'x' WHERE edit_id = 'a'", 3, "edit 'a' is not what"),
    "no edit": ("DELETE FROM edits WHERE edit_id = 'b'", 5, "an edit that event 5 is about is missing"),
    "window": ("UPDATE windows SET valid_until = NULL WHERE edit = 1", 3, "the validity of edit 'a'"),
    "no window": ("DELETE FROM windows WHERE edit = 3", 3, "the validity of edit 'c'"),
}


@pytest.mark.parametrize("what", TAMPERINGS)
def test_tampering_is_noticed_and_located(path, what):
    sql, seq, why = TAMPERINGS[what]
    with closing(sqlite3.connect(path)) as raw, raw:
        for (trigger,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            raw.execute(f"DROP TRIGGER {trigger}")
        raw.execute(sql)
    with EditStore.open(path) as store:
        report = store.verify()
        assert not report.ok and report.bad_seq == seq and why in report.why
        assert any("does not verify" in finding.what for finding in store.doctor())


def test_a_log_cut_short_is_noticed_by_a_head_kept_elsewhere(path):
    with EditStore.open(path) as store:
        head = store.head()
        assert store.verify(expect=head).ok and store.verify(expect=store.log()[3].hash).ok
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("DROP TRIGGER events_are_not_deleted")
        raw.execute("DELETE FROM payloads WHERE seq = 5")
        raw.execute("DELETE FROM events WHERE seq = 5")
    with EditStore.open(path) as store:
        assert "cut short" in store.verify(expect=head).why


def test_callers_record_events_of_their_own(path):
    with EditStore.open(path) as store:
        store.record("apply", {"query_hash": "abc", "score": 0.5}, edit_id="a", actor="server")
        store.record("calibration", {"threshold": 0.4})
        [event] = store.log(kind="apply")
        assert (event.edit_id, event.payload, event.actor) == ("a", {"query_hash": "abc", "score": 0.5}, "server")
        assert store.verify().ok
        with pytest.raises(ConfigError, match="the store's own"):
            store.record("put", {})
        assert [done.kind for done in store.undo(9)] == ["put", "put"]


def test_every_event_names_an_actor(tmp_path, put, capital, keys_of, monkeypatch):
    monkeypatch.setenv("LOGNAME", "eve")
    with EditStore.open(tmp_path / "s.scr", encoder="toy", actor="ann") as store:
        put(store, capital("France", "Lyon", edit_id="a"), capital("Spain", "Vigo", actor="ben"))
        store.forget(["a"], actor="cid")
        store.undo()
    with EditStore.open(tmp_path / "s.scr", encoder="toy") as store:
        store.redo()
        store.record("apply", {})
        store.purge(["a"])
        store.reindex("toy", lambda edits: {"statement": keys_of([edit.statement for edit in edits])})
        actors = [(event.kind, event.actor) for event in reversed(store.log())]
    assert actors == [
        ("put", "ann"), ("put", "ann"), ("forget", "cid"), ("undo", "ann"),
        ("redo", "eve"), ("apply", "eve"), ("purge", "eve"), ("reindex", "eve"),
    ]  # fmt: skip


def test_what_was_used_for_a_request_is_told_without_the_query(path):
    query = "Where does Zaphod bank?"
    with EditStore.open(path) as store:
        with pytest.raises(EditNotFoundError, match="'x'"):
            store.record_use([("Who?", ["c"]), (query, ["b", "x"])])
        assert store.log(kind="apply") == []
        store.record_use([(query, ["b", "c", "b"]), ("Out of scope?", [])], request="r-1", actor="server")
        one, other = store.log(kind="apply")
        assert {(e.edit_id, e.actor, e.payload["request"]) for e in (one, other)} == {
            ("b", "server", "r-1"),
            ("c", "server", "r-1"),
        }
        assert one.batch == other.batch and was_asked(one, query) and not was_asked(one, query + " ")
        store.record_use([("Who?", ["b"]), (query, ["b"])])
        assert store.log(kind="apply")[0].payload["query_hash"] != one.payload["query_hash"]
        assert [(e.edit_id, e.payload["request"]) for e in store.uses_of(query)] == [
            ("b", None), ("c", "r-1"), ("b", "r-1"),
        ]  # fmt: skip
        assert len(store.uses_of(query, limit=1)) == 1 and store.uses_of(query, namespace="other") == []
        assert b"Zaphod" not in b"".join(file.read_bytes() for file in path.parent.iterdir())
        assert store.purge(["b"]).complete and store.verify().ok
        left = [(event.edit_id, event.payload is None) for event in store.log(kind="apply")]
        assert left == [(None, True), (None, True), ("c", False), (None, True)]
        assert [e.edit_id for e in store.uses_of(query)] == ["c"]
