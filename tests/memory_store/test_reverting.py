"""Taking back one write from the middle of the history, and what differs between two times."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory_store.edit import Edit
from memory_store.errors import BatchNotFoundError, ConflictError
from memory_store.identity import identity_of
from memory_store.store import EditStore


def ids(store, **more):
    return [edit.edit_id for edit in store.edits(**more)]


def test_a_result_names_the_batch_that_wrote_it_and_0_where_nothing_was_written(store, put, capital):
    (dry,) = put(store, capital("France", "Lyon"), dry_run=True)
    first = put(store, capital("France", "Lyon", edit_id="a"), capital("Spain", "Vigo"))
    again, conflict, new = put(
        store, capital("France", "Lyon"), capital("Peru", "Cusco", edit_id="a"), capital("France", "Nice")
    )
    assert (dry.batch, [r.batch for r in first]) == (0, [1, 1])
    assert [(r.status, r.batch) for r in (again, conflict)] == [("duplicate", 0), ("conflict", 0)]
    assert (new.status, new.batch) == ("conflict", 0)
    assert put(store, capital("France", "Nice"))[0].batch == 2 == store.log(limit=1)[0].batch


def test_a_reverted_put_brings_back_what_it_superseded_and_leaves_later_facts(store, put, capital):
    put(store, capital("France", "Paris", edit_id="old"))
    (result,) = put(store, capital("France", "Lyon", edit_id="new"))
    put(store, capital("Spain", "Vigo", edit_id="spain"))
    reverted = store.revert(result.batch)
    assert (reverted.batch, reverted.kind, reverted.closed, reverted.reopened) == (2, "put", ("new",), ("old",))
    assert ids(store) == ["old", "spain"]
    assert store.verify().ok and store.doctor() == []


def test_a_reverted_forget_brings_the_fact_back(store, put, capital):
    put(store, capital("France", "Lyon", edit_id="a"))
    store.forget(["a"])
    put(store, capital("Spain", "Vigo", edit_id="b"))
    assert store.revert(2).reopened == ("a",)
    assert ids(store) == ["a", "b"]


def test_a_later_write_about_the_same_fact_is_named_and_nothing_changes(store, put, capital):
    put(store, capital("France", "Paris", edit_id="a"), capital("Spain", "Vigo", edit_id="s"))
    put(store, capital("Peru", "Cusco"))
    put(store, capital("France", "Lyon", edit_id="b"))
    head = store.head()
    with pytest.raises(ConflictError, match=r"batch 3 \(put 'b'\) changed the same fact.*scr revert 3"):
        store.revert(1)
    assert store.head() == head
    store.revert(3)
    store.revert(1)
    assert "a" not in ids(store) and "s" not in ids(store) and len(store) == 1


def test_a_later_forget_of_the_same_version_is_a_conflict(store, put, capital):
    put(store, capital("France", "Paris", edit_id="a"))
    store.forget(["a"])
    with pytest.raises(ConflictError, match=r"batch 2 \(forget 'a'\)"):
        store.revert(1)


def test_a_batch_is_taken_back_once_and_redo_brings_it_back(store, put, capital):
    put(store, capital("France", "Paris", edit_id="a"))
    put(store, capital("Spain", "Vigo", edit_id="b"))
    store.revert(1)
    with pytest.raises(ConflictError, match="batch 1 is taken back already"):
        store.revert(1)
    assert [r.batch for r in store.redo()] == [1]
    assert ids(store) == ["a", "b"]
    store.revert(1)
    assert [r.batch for r in store.undo(9)] == [2]


def test_what_is_no_write_cannot_be_reverted(store, put, capital):
    put(store, capital("France", "Paris", edit_id="a"))
    store.undo()
    store.record("apply", {})
    for number, message in ((2, "is a undo.*scr redo"), (3, "is a apply")):
        with pytest.raises(ConflictError, match=message.replace("a undo", "an undo").replace("a apply", "an apply")):
            store.revert(number)
    with pytest.raises(BatchNotFoundError, match="no batch 9"):
        store.revert(9)
    assert store.redo()[0].batch == 1


def test_a_revert_in_one_namespace_leaves_the_others(store, put, capital):
    put(store, capital("France", "Lyon", edit_id="a"), capital("France", "Nice", edit_id="b", namespace="team"))
    with pytest.raises(BatchNotFoundError, match="in namespace 'other'"):
        store.revert(1, namespace="other")
    store.revert(1, namespace="team")
    assert ids(store) == ["a"] and ids(store, namespace="team") == []
    store.revert(1)
    assert ids(store) == []


steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.lists(st.tuples(st.sampled_from("XYZ"), st.sampled_from("12")), max_size=2)),
        st.tuples(st.just("forget"), st.integers(0, 3)),
        st.tuples(st.just("undo"), st.integers(1, 2)),
        st.tuples(st.just("redo"), st.integers(1, 2)),
        st.tuples(st.just("revert"), st.integers(1, 12)),
    ),
    max_size=14,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps)
def test_a_revert_gives_the_facts_of_its_batch_their_state_before_and_touches_no_other(life):
    with EditStore.open(":memory:") as store:
        before = {}  # batch -> what each fact was when it came, and the facts it changed

        def state():
            return {identity_of(edit): edit.edit_id for edit in store.edits()}

        for kind, how in life:
            was, number = state(), (store.log(limit=1) or [None])[0]
            if kind == "put":
                store.put([Edit(statement=f"{s} is {t}.", subject=s, prompt=f"{s} is", target_new=t) for s, t in how])
            elif kind == "forget" and was:
                store.forget([sorted(was.values())[how % len(was)]])
            elif kind in ("undo", "redo"):
                getattr(store, kind)(how)
            elif kind == "revert":
                try:
                    store.revert(how)
                except (ConflictError, BatchNotFoundError):
                    assert state() == was
                    continue
                touched, then = before[how]
                assert state() == {
                    **{i: e for i, e in was.items() if i not in touched},
                    **{i: e for i, e in then.items() if i in touched},
                }
            newest = (store.log(limit=1) or [None])[0]
            if kind in ("put", "forget") and newest != number:
                now = state()
                before[newest.batch] = {i for i in {*was, *now} if was.get(i) != now.get(i)}, was
        assert store.verify().ok


def test_a_diff_names_what_came_went_and_changed_between_two_times(store, put, capital, clock):
    put(store, capital("France", "Paris", edit_id="paris"), capital("Spain", "Vigo", edit_id="vigo"))
    start = clock.now
    clock.tick(days=1)
    put(store, capital("France", "Lyon", edit_id="lyon"), capital("Peru", "Cusco", edit_id="cusco"))
    clock.tick(days=1)
    store.forget(["vigo"])
    diff = store.diff(start)
    assert [e.edit_id for e in diff.added] == ["cusco"]
    assert [(one.edit_id, other.edit_id) for one, other in diff.changed] == [("paris", "lyon")]
    assert [e.edit_id for e in diff.removed] == ["vigo"]
    back = store.diff(3, 1)
    assert [e.edit_id for e in back.removed] == ["cusco"] and [e.edit_id for e in back.added] == ["vigo"]
    assert store.diff(2, clock.now).removed == diff.removed and store.diff(2, 2).changed == ()


def test_a_diff_sees_only_its_namespace_and_knows_its_batches(store, put, capital):
    put(store, capital("France", "Lyon", edit_id="a", namespace="team"))
    assert store.diff("2020").added == () and len(store.diff("2020", namespace="team").added) == 1
    with pytest.raises(BatchNotFoundError, match="no batch 7"):
        store.diff(7)
