"""What people say about when an edit fires: kept by the fact, undone like any write, erased with its version."""

import sqlite3
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory_store import sqlite
from memory_store.corrections import Said
from memory_store.errors import BatchNotFoundError, ConflictError, EditNotFoundError, InvalidEditError
from memory_store.store import EditStore

ASKED = "Which city governs France?"


def said(store, **more):
    return [(c.kind, c.text) for c in store.corrections(**more)]


def events(store):
    return [(event.kind, event.edit_id) for event in reversed(store.log())]


def test_an_allowance_is_an_event_with_its_query_and_who_gave_it(store, put, capital):
    put(store, capital("France", "Lyon", edit_id="a"))
    (correction,) = store.allow("a", ASKED, actor="ann")
    assert (correction.kind, correction.text, correction.edit_id, correction.batch) == ("allow", ASKED, "a", 2)
    event = store.log(limit=1)[0]
    assert (event.kind, event.edit_id, event.actor, event.payload["text"]) == ("allow", "a", "ann", ASKED)
    assert said(store) == said(store, edit_id="a") == [("allow", ASKED)]
    assert store.verify().ok and store.doctor() == []


def test_the_same_again_writes_nothing_and_the_opposite_takes_its_place(store, put, capital):
    put(store, capital("France", "Lyon", edit_id="a"))
    store.allow("a", ASKED)
    (again,) = store.allow("a", "which CITY governs  France")
    assert again.batch == 0 and again.text == ASKED and len(store.log()) == 2
    store.deny("a", "which city governs France")
    assert said(store) == [("deny", "which city governs France")]
    assert store.verify().ok


def test_a_correction_belongs_to_the_fact_and_its_namespace(store, put, capital):
    put(store, capital("France", "Lyon", edit_id="a"), capital("Spain", "Vigo", edit_id="s"))
    put(store, capital("France", "Lyon", edit_id="a", namespace="b"))
    store.allow("a", ASKED)
    put(store, capital("France", "Nice", edit_id="a2"))
    assert said(store, edit_id="a2") == [("allow", ASKED)] and said(store, edit_id="s") == []
    assert store.allowed([ASKED]) == [["a2"]]
    assert said(store, namespace="b") == [] and store.allowed([ASKED], namespace="b") == [[]]


def test_an_allowance_brings_up_its_edit_for_texts_of_nearly_the_same_words(store, put, capital):
    put(store, capital("France", "Lyon", edit_id="a"))
    store.allow("a", ASKED)
    texts = ["which city governs France??", "Which town governs France?", "Who wrote Hamlet?"]
    assert store.allowed(texts) == [["a"], ["a"], []]


def test_a_forgotten_fact_keeps_its_corrections_inert(store, put, capital):
    put(store, capital("France", "Lyon", edit_id="a"))
    store.allow("a", ASKED)
    store.forget(["a"])
    assert store.allowed([ASKED]) == [[]]
    with pytest.raises(EditNotFoundError, match="'a'"):
        store.deny("a", ASKED)
    store.undo()
    assert store.allowed([ASKED]) == [["a"]]


def test_undo_and_redo_take_corrections_like_any_write(store, put, capital):
    put(store, capital("France", "Lyon", edit_id="a"))
    store.allow("a", ASKED)
    store.deny("a", [ASKED, "Lyon?"])
    assert [r.kind for r in store.undo()] == ["deny"] and said(store) == [("allow", ASKED)]
    store.redo()
    assert said(store) == [("deny", ASKED), ("deny", "Lyon?")]
    assert [r.kind for r in store.undo(9)] == ["deny", "allow", "put"] and said(store) == []
    store.redo(9)
    assert said(store) == [("deny", ASKED), ("deny", "Lyon?")] and store.verify().ok


def test_a_correction_in_the_middle_is_reverted_unless_a_later_one_changed_it(store, put, capital):
    put(store, capital("France", "Lyon", edit_id="a"))
    store.allow("a", "One?")
    store.allow("a", "Two?")
    store.revert(2)
    assert said(store) == [("allow", "Two?")]
    store.deny("a", "two")
    with pytest.raises(ConflictError, match=r"batch 5 \(deny 'a'\) changed the same correction.*scr revert 5"):
        store.revert(3)
    with pytest.raises(BatchNotFoundError):
        store.revert(99)
    assert store.verify().ok


def test_purge_erases_what_was_said_for_the_version_and_the_chain_still_holds(tmp_path, put, capital):
    path = tmp_path / "s.scr"
    with EditStore.open(path, encoder="toy") as store:
        put(store, capital("France", "Lyon", edit_id="a"))
        store.deny("a", "Is Zaphod the king?")
        put(store, capital("France", "Nice", edit_id="b"))
        store.allow("b", "is zaphod the KING")
        store.deny("b", "Else?")
        store.undo()
        assert store.purge(["b"]).complete
        assert said(store, edit_id="a") == [] and store.verify().ok and store.doctor() == []
        assert store.purge(["a"]).complete and store.verify().ok
        store.undo(9)
        assert store.verify().ok
    assert not any(word in path.read_bytes().lower() for word in (b"zaphod", b"else?"))


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("UPDATE corrections SET standing = 0", "correction 1 is not what"),
        ("UPDATE corrections SET about = 'x', text = 'x'", "correction 1 is not what"),
        ("UPDATE corrections SET identity = 'x'", "correction 1 is not what"),
        ("UPDATE corrections SET about = 'x'", "correction 1 is not what"),
        ("UPDATE corrections SET encoder = 'x'", "correction 2 is not what"),
        ("DELETE FROM corrections", "correction 1 is missing"),
    ],
)
def test_a_correction_that_was_tampered_with_is_noticed(tmp_path, put, capital, sql, why):
    with EditStore.open(tmp_path / "s.scr", encoder="toy") as store:
        put(store, capital("France", "Lyon", edit_id="a"))
        store.allow("a", ASKED)
        store.calibrate("pair", 0.5)
    with closing(sqlite3.connect(tmp_path / "s.scr")) as raw, raw:
        raw.execute(f"{sql} WHERE id = {2 if 'encoder' in sql else 1}")
    with EditStore.open(tmp_path / "s.scr") as store:
        report = store.verify()
        assert not report.ok and report.bad_seq in (2, 3) and why in report.why


def test_a_threshold_is_part_of_the_batch_that_puts_its_edit(store, put, capital):
    (result,) = put(store, capital("France", "Lyon", edit_id="a"), said={0: [Said("threshold", "pair", 0.75)]})
    (threshold,) = store.corrections(edit_id="a")
    assert (threshold.kind, threshold.text, threshold.value) == ("threshold", "pair", 0.75)
    assert events(store) == [("put", "a"), ("threshold", "a")] and {e.batch for e in store.log()} == {result.batch}
    store.undo()
    assert store.corrections() == [] and store.verify().ok
    put(store, capital("France", "Nice", edit_id="b"), said={0: [Said("threshold", "pair", 0.75)]}, dry_run=True)
    assert store.corrections() == []


def test_a_calibration_holds_for_its_namespace_and_is_replaced_by_the_next(store):
    store.calibrate("pair", 0.5, {"rows": 10}, actor="ann")
    store.calibrate("pair", 0.6)
    store.calibrate("cosine", 0.7)
    assert [(c.text, c.value) for c in store.corrections(identities=[])] == [("pair", 0.6), ("cosine", 0.7)]
    assert store.corrections("other") == [] and store.log()[-1].payload["rows"] == 10
    store.undo(2)
    assert [(c.text, c.value) for c in store.corrections()] == [("pair", 0.5)] and store.verify().ok


def test_a_threshold_says_nothing_with_the_keys_of_another_encoder_and_speaks_again_when_they_are_back(
    store, put, capital, keys_of
):
    def encode(edits):
        return {"statement": keys_of([e.statement for e in edits])}

    put(store, capital("France", "Lyon", edit_id="a"), said={0: [Said("threshold", "pair", 0.75)]})
    store.calibrate("pair", 0.5)
    store.calibrate("pair", 0.6)
    store.allow("a", ASKED)
    store.reindex("other", encode)
    assert said(store) == [("allow", ASKED)] and store.stats()["calibrated"] == {}
    assert [c.kind for c in store.corrections_of(["a"])["a"]] == ["allow"]
    assert store.undo(2)[1].said_again[0].value == 0.5 and said(store) == []  # what it replaced is not fit either
    store.calibrate("pair", 0.3)
    assert [(c.value, c.encoder) for c in store.corrections()] == [(0.3, "other")]
    store.reindex("toy", encode)
    assert {(c.kind, c.value) for c in store.corrections()} == {("threshold", 0.75), ("calibrate", 0.5)}
    assert store.verify().ok and store.doctor() == []


def test_many_things_are_said_in_one_batch_or_none(store, put, capital):
    put(store, capital("France", "Lyon", edit_id="a"))
    what = [("default", "a", Said("deny", ASKED)), ("default", None, Said("calibrate", "pair", 0.5))]
    assert {c.batch for c in store.say(what)} == {2} and [c.batch for c in store.say(what)] == [0, 0]
    store.undo()
    assert store.corrections() == []
    with pytest.raises(EditNotFoundError, match="'x'"):
        store.say([*what, ("default", "x", Said("deny", ASKED))])
    assert store.corrections() == []


@pytest.mark.parametrize("query", ["", " \n", "a\x07b", "x" * 9000])
def test_what_is_no_query_is_refused_and_nothing_is_stored(store, put, capital, query):
    put(store, capital("France", "Lyon", edit_id="a"))
    with pytest.raises(InvalidEditError, match="the query"):
        store.allow("a", ["Fine?", query])
    assert len(store.log()) == 1


def test_a_threshold_of_a_store_from_before_belongs_to_the_encoder_of_that_store(
    tmp_path, put, capital, keys_of, monkeypatch
):
    path = tmp_path / "old.scr"
    with monkeypatch.context() as old:
        old.setattr(sqlite, "MIGRATIONS", sqlite.MIGRATIONS[:2])
        old.setattr(sqlite, "SCHEMA_VERSION", 2)
        with EditStore.open(path, encoder="toy") as store:
            put(store, capital("France", "Lyon", edit_id="a"))
    with closing(sqlite3.connect(path)) as raw, raw:  # as that version wrote a calibration, less its event
        raw.execute("INSERT INTO corrections VALUES (1, 'default', '', 'calibrate', 'pair', 'pair', 0.5, NULL, 1)")
    with EditStore.open(path, encoder="toy") as store:
        assert [(c.value, c.encoder) for c in store.corrections()] == [(0.5, "toy")]
        store.reindex("other", lambda edits: {"statement": keys_of([e.statement for e in edits])})
        assert store.corrections() == []


def test_a_store_of_the_first_version_is_brought_up_and_takes_corrections(tmp_path, put, capital, monkeypatch):
    path = tmp_path / "old.scr"
    with monkeypatch.context() as old:
        old.setattr(sqlite, "MIGRATIONS", sqlite.MIGRATIONS[:1])
        old.setattr(sqlite, "SCHEMA_VERSION", 1)
        with EditStore.open(path, encoder="toy") as store:
            put(store, capital("France", "Paris", edit_id="a"))
            put(store, capital("France", "Lyon", edit_id="b"))
            head = store.head()
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA user_version").fetchone() == (1,)
    with EditStore.open(path, encoder="toy") as store:
        assert [e.edit_id for e in store.edits()] == ["b"] and store.head() == head
        assert store.corrections() == [] and store.allowed([ASKED]) == [[]]
        store.allow("b", ASKED)
        assert store.allowed([ASKED]) == [["b"]] and store.verify(expect=head).ok
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA user_version").fetchone() == (sqlite.SCHEMA_VERSION,)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["allow", "deny"]), st.sampled_from("pq")),
        st.tuples(st.sampled_from(["undo", "redo"]), st.integers(1, 2)),
    ),
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_undo_and_redo_lead_through_the_same_states(put, capital, steps):
    """Beside a model: a list of states, and a place in it."""
    with EditStore.open(":memory:", encoder="toy") as store:
        put(store, capital("France", "Lyon", edit_id="a"))
        states, at = [{}], 0
        for kind, what in steps:
            if kind in ("allow", "deny"):
                getattr(store, kind)("a", what)
                if states[at].get(what) != kind:
                    states, at = [*states[: at + 1], {**states[at], what: kind}], at + 1
            elif kind == "undo":
                at -= len(store.undo(min(what, at))) if at else 0
            else:
                at += len(store.redo(what))
            assert {c.text: c.kind for c in store.corrections()} == states[at]
        assert store.verify().ok
