import stat
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from memory_store.edit import Edit
from memory_store.errors import (
    ConfigError,
    DimensionMismatchError,
    EditNotFoundError,
    EncoderMismatchError,
    InvalidEditError,
)
from memory_store.store import EditStore


def targets(store, **how):
    return [edit.target_new or edit.statement for edit in store.edits(**how)]


# -- what a write says ------------------------------------------------------------------------------------------------


def test_an_edit_is_kept_as_given_and_gets_an_id_and_a_time(store, put, capital):
    given = capital("France", "Lyon", aliases=("La France",), source="a map", actor="ann", tags=("geo",))
    [result] = put(store, given)
    assert result.status == "added" and result.superseded == ()
    assert result.edit.edit_id.startswith("france-")
    assert result.edit == replace(given, edit_id=result.edit.edit_id, recorded_at="2026-01-01T00:00:00.000000+00:00")
    assert store.get(result.edit.edit_id) == result.edit
    assert store.edits() == [result.edit]
    assert len(store) == 1


def test_the_callers_own_id_is_kept(store, put, capital):
    put(store, capital("France", "Lyon", edit_id="case 17/ä"))
    assert store.get("case 17/ä").target_new == "Lyon"


def test_a_new_target_supersedes_and_says_so(store, put, capital, clock):
    [first] = put(store, capital("France", "Lyon"))
    clock.tick()
    [second] = put(store, capital("FRANCE ", "Nice"))
    assert second.status == "superseded" and second.superseded == (first.edit.edit_id,)
    assert targets(store) == ["Nice"]
    assert store.status(first.edit.edit_id) == "superseded"
    assert store.get(first.edit.edit_id).valid_until == second.edit.valid_from == "2026-01-01T00:00:01.000000+00:00"


def test_the_same_fact_twice_is_a_no_op(store, put, capital):
    [first] = put(store, capital("France", "Lyon"))
    head = store.head()
    [second] = put(store, capital("france", "Lyon", tags=("again",)), actor="ben")
    assert (second.status, second.edit) == ("duplicate", first.edit)
    assert store.head() == head


def test_a_new_wording_of_the_same_answer_replaces_the_old_wording(store, put, capital):
    [first] = put(store, capital("France", "Lyon"))
    [second] = put(store, replace(capital("France", "Lyon"), statement="Lyon is France's capital."))
    assert second.superseded == (first.edit.edit_id,)
    assert [edit.statement for edit in store.edits()] == ["Lyon is France's capital."]


def test_capitals_in_a_target_are_worth_a_correction(store, put):
    asked = {"statement": "It runs on the phone.", "prompt": "What does it run on?"}
    put(store, Edit(target_new="iphone", **asked))
    assert put(store, Edit(target_new="iPhone", **asked))[0].status == "superseded"


def test_a_fact_may_be_exchanged_again_and_again(store, put, capital, clock):
    for city in ("A", "B", "C", "A"):
        put(store, capital("France", city))
        clock.tick()
    assert targets(store) == ["A"]
    [live] = store.edits()
    history = store.history(live.edit_id)
    assert [(version.edit.target_new, version.status) for version in history] == [
        ("A", "superseded"),
        ("B", "superseded"),
        ("C", "superseded"),
        ("A", "live"),
    ]
    for earlier, later in zip(history, history[1:], strict=False):
        assert earlier.edit.valid_until == later.edit.valid_from


def test_free_facts_supersede_nothing(store, put):
    facts = ["France is big.", "France is small.", "Our window is 30 days."]
    for fact in facts:
        assert put(store, Edit(statement=fact))[0].status == "added"
    assert put(store, Edit(statement="france is BIG"))[0].status == "duplicate"
    assert targets(store) == facts


def test_unrelated_facts_retire_each_other_never(store, put, capital):
    results = put(store, *[capital(f"Country {n}", "Lyon") for n in range(300)])
    assert {result.status for result in results} == {"added"}
    assert len({result.edit.edit_id for result in results}) == 300
    assert len(store) == 300


def test_the_relation_makes_two_prompts_one_question(store, put, capital):
    put(store, replace(capital("France", "Lyon"), relation="capital"))
    other = Edit(statement="Nice is it.", subject="France", prompt="Name its capital", target_new="Nice")
    assert put(store, other)[0].status == "added"
    assert put(store, replace(other, relation="Capital"))[0].status == "superseded"
    assert targets(store) == ["Nice", "Nice"]


def test_an_id_in_use_with_other_content_is_a_conflict(store, put, capital):
    put(store, capital("France", "Lyon", edit_id="x"))
    results = put(store, capital("Spain", "Lyon", edit_id="x"), capital("Italy", "Bari"))
    assert [result.status for result in results] == ["conflict", "added"]
    assert "'x' already names" in results[0].reason
    assert targets(store) == ["Lyon", "Bari"]


def test_an_id_given_again_with_the_same_content_is_a_duplicate(store, put, capital):
    put(store, capital("France", "Lyon", edit_id="x"))
    assert put(store, capital("France", "Lyon", edit_id="x"))[0].status == "duplicate"


def test_a_forgotten_version_comes_back_under_its_own_id(store, put, capital, keys_of):
    edit = capital("France", "Lyon", edit_id="x")
    put(store, edit)
    store.forget(["x"])
    assert put(store, edit)[0].status == "added"
    assert store.status("x") == "live"
    assert [hits[0].edit_id for hits in store.nearest(keys_of([edit.statement]), 1)] == ["x"]


def test_two_targets_for_one_question_in_one_batch_are_a_conflict(store, put, capital):
    results = put(store, capital("France", "Lyon"), capital("France", "Nice"), capital("France", "Lyon"))
    assert [result.status for result in results] == ["added", "conflict", "duplicate"]
    assert "'Lyon'" in results[1].reason
    assert targets(store) == ["Lyon"]
    assert len(store.edits(include_closed=True)) == 1


def test_a_conflict_is_seen_also_beside_a_duplicate(store, put, capital):
    put(store, capital("France", "Lyon"))
    results = put(store, capital("France", "Lyon"), capital("France", "Nice"))
    assert [result.status for result in results] == ["duplicate", "conflict"]


def test_a_dated_history_is_no_conflict(store, put, capital):
    results = put(
        store,
        capital("France", "Tours"),
        capital("France", "Paris", valid_from="1594"),
        capital("France", "Vichy", valid_from="1940-07-01", valid_until="1944-08-20"),
        capital("France", "Paris", valid_from="1944-08-20"),
    )
    assert "conflict" not in {result.status for result in results}
    assert targets(store, as_of="1500") == ["Tours"]
    assert targets(store, as_of="1900") == ["Paris"]
    assert targets(store, as_of="1942") == ["Vichy"]
    assert targets(store) == ["Paris"]


def test_one_answer_in_two_wordings_is_kept_once_in_a_batch_unless_they_are_dated(store, put, capital):
    other = replace(capital("France", "Lyon"), statement="Lyon it is.")
    results = put(store, capital("France", "Lyon"), other, replace(other, valid_from="2030"))
    assert [result.status for result in results] == ["added", "duplicate", "superseded"]
    assert "in other words" in results[1].reason


def test_a_verbatim_text_is_the_answer_to_the_letter(store, put):
    put(store, Edit(statement="ok", verbatim=True))
    assert put(store, Edit(statement="ok", verbatim=True))[0].status == "duplicate"
    assert put(store, Edit(statement="OK", verbatim=True))[0].status == "superseded"
    assert targets(store) == ["OK"]


def test_one_batch_may_write_to_many_namespaces(store, put, capital):
    put(store, capital("France", "Lyon"), capital("France", "Nice", namespace="b"))
    assert targets(store) == ["Lyon"] and targets(store, namespace="b") == ["Nice"]
    assert store.namespaces() == ["b", "default"]


def test_a_dry_run_tells_all_and_keeps_nothing(store, put, capital):
    put(store, capital("France", "Lyon"))
    head = store.head()
    [result] = put(store, capital("France", "Nice"), dry_run=True)
    assert result.status == "superseded" and len(result.superseded) == 1
    assert store.head() == head and targets(store) == ["Lyon"]
    with EditStore.open(":memory:", encoder="toy") as other:
        put(other, capital("France", "Lyon"), dry_run=True)
        assert other.encoder is None and other.nearest(np.eye(16, dtype=np.float32)[:1], 3) == [[]]


def test_a_bad_edit_in_a_batch_keeps_the_whole_batch_out(store, put, capital):
    with pytest.raises(InvalidEditError, match="^edit 2: the statement is empty"):
        put(store, capital("France", "Lyon"), Edit(statement=" "))
    assert len(store) == 0 and store.log() == []


def test_an_empty_batch_does_nothing(store):
    assert store.put([]) == []
    assert store.forget([]) == []
    assert store.log() == []


def test_a_single_edit_instead_of_a_list_is_refused(store, capital):
    with pytest.raises(ConfigError, match="list of edits"):
        store.put(capital("France", "Lyon"))


# -- keys -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda keys: keys * 2, ConfigError),
        (lambda keys: keys * 0, ConfigError),
        (lambda keys: keys * np.nan, ConfigError),
        (lambda keys: keys[:1], ConfigError),
        (lambda keys: keys[0], ConfigError),
        (lambda keys: keys[:, :8] / np.linalg.norm(keys[:, :8], axis=1, keepdims=True), DimensionMismatchError),
    ],
)
def test_keys_that_do_not_fit_are_refused_and_nothing_is_stored(store, put, capital, keys_of, change, error):
    put(store, capital("Spain", "Vigo"))
    head = store.head()
    edits = [capital("France", "Lyon"), capital("Italy", "Bari")]
    with pytest.raises(error):
        store.put(edits, {"statement": change(keys_of([edit.statement for edit in edits]))})
    assert store.head() == head


def test_kinds_of_different_width_are_refused(store, capital):
    keys = {"statement": np.eye(4, dtype=np.float32)[:1], "prompt": np.eye(5, dtype=np.float32)[:1]}
    with pytest.raises(DimensionMismatchError):
        store.put([capital("France", "Lyon")], keys)
    assert store.encoder is None


def test_keys_need_a_named_encoder(capital, keys_of):
    with EditStore.open(":memory:") as store:
        with pytest.raises(ConfigError, match="without an encoder"):
            store.put([capital("France", "Lyon")], {"statement": keys_of(["x"])})
        with pytest.raises(ConfigError, match="without an encoder"):
            store.nearest(keys_of(["x"]), 1)


def test_a_store_of_another_encoder_is_refused_and_can_still_be_read(tmp_path, put, capital):
    path = tmp_path / "s.scr"
    with EditStore.open(path, encoder="one") as store:
        put(store, capital("France", "Lyon"))
    with pytest.raises(EncoderMismatchError, match="one.*two.*scr store reindex --encoder two"):
        EditStore.open(path, encoder="two")
    with EditStore.open(path) as store:
        assert targets(store) == ["Lyon"] and store.encoder == "one"


def test_the_first_keys_decide_also_between_two_open_stores(tmp_path, put, capital):
    path = tmp_path / "s.scr"
    with EditStore.open(path, encoder="one") as one, EditStore.open(path, encoder="two") as two:
        put(one, capital("France", "Lyon"))
        with pytest.raises(EncoderMismatchError):
            put(two, capital("France", "Nice"))
        assert targets(two) == ["Lyon"]


# -- search -----------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["exact", "faiss"])
def searching(request, clock):
    with EditStore.open(":memory:", encoder="toy", index=request.param, clock=clock) as store:
        yield store


def found(store, keys, k=50, **how):
    return [hit.edit_id for hit in store.nearest(keys, k, **how)[0]]


def test_an_empty_store_finds_nothing(searching, keys_of):
    assert searching.nearest(keys_of(["x", "y"]), 3) == [[], []]
    assert searching.nearest(keys_of([]), 3) == []
    assert searching.mentioned(["x", ""]) == [[], []]
    assert searching.edits() == [] and len(searching) == 0 and searching.namespaces() == []


def test_an_edit_is_nearest_to_its_own_statement_and_to_its_own_prompt(searching, put, capital, keys_of):
    edits = [capital(f"Country {n}", "Lyon", edit_id=str(n)) for n in range(30)]
    put(searching, *edits)
    hits = searching.nearest(keys_of([edit.statement for edit in edits]), 1)
    assert [(hit.edit_id, hit.score) for [hit] in hits] == [(str(n), pytest.approx(1, abs=1e-6)) for n in range(30)]
    hits = searching.nearest(keys_of([edit.prompt for edit in edits]), 1, kind="prompt")
    assert [hit.edit_id for [hit] in hits] == [str(n) for n in range(30)]


def test_equal_scores_come_in_stored_order(searching, put):
    edits = [Edit(statement="Same.", prompt=f"Q{n}?", target_new="x", edit_id=str(n)) for n in range(20)]
    put(searching, *edits)
    key = searching.nearest
    with_key = np.eye(16, dtype=np.float32)[:1]
    assert [hit.edit_id for hit in key(with_key, 5)[0]] == ["0", "1", "2", "3", "4"]


def test_a_small_namespace_is_searched_whole_beside_a_large_one(searching, put, capital, keys_of):
    put(searching, *[capital(f"C{n}", "Lyon", namespace="large") for n in range(200)])
    put(searching, capital("France", "Lyon", namespace="small", edit_id="x"))
    key = keys_of(["The capital of C7 is Lyon."])
    assert found(searching, key, 5, namespace="small") == ["x"]
    assert "x" not in found(searching, key, 500, namespace="large")
    assert found(searching, key, 5) == []


def test_forgotten_and_replaced_edits_are_found_no_more(searching, put, capital, keys_of):
    key = keys_of(["The capital of France is Lyon."])
    put(searching, capital("France", "Lyon", edit_id="a"), capital("Spain", "Vigo", edit_id="b"))
    assert found(searching, key) == ["a", "b"]
    put(searching, capital("France", "Nice", edit_id="c"))
    assert set(found(searching, key)) == {"b", "c"}
    searching.forget(["c"])
    assert found(searching, key) == ["b"]
    assert searching.mentioned(["france and spain"]) == [["b"]]


def test_validity_begins_and_ends_inside_the_search(searching, put, capital, keys_of, clock):
    start, end = clock.now + timedelta(days=1), clock.now + timedelta(days=2)
    key = keys_of(["x"])
    put(searching, capital("Spain", "Vigo", edit_id="always"))
    put(searching, capital("France", "Lyon", edit_id="a", valid_from=start.isoformat(), valid_until=end.isoformat()))
    assert found(searching, key) == ["always"] and searching.status("a") == "scheduled"
    clock.tick(days=1)
    assert set(found(searching, key, 1)) < {"a", "always"} and set(found(searching, key)) == {"a", "always"}
    assert searching.status("a") == "live" and searching.mentioned(["France"]) == [["a"]]
    clock.tick(days=1)
    assert found(searching, key) == ["always"] and searching.status("a") == "expired"
    assert searching.mentioned(["France"]) == [[]]
    assert set(found(searching, key, as_of=start)) == {"a", "always"}
    assert found(searching, key, as_of=end) == ["always"]
    assert searching.mentioned(["France"], as_of=start) == [["a"]]


def test_named_candidates_get_the_same_score_as_in_a_search(searching, put, capital, keys_of):
    put(searching, *[capital(f"C{n}", "Lyon", edit_id=str(n)) for n in range(9)])
    queries = keys_of(["x", "y"])
    hits = searching.nearest(queries, 9)
    named = searching.similarities(queries, [[hit.edit_id for hit in row] for row in hits])
    assert named == [[hit.score for hit in row] for row in hits]
    assert searching.similarities(queries, [[], ["3", "3"]])[1] == searching.similarities(queries[1:], [["3", "3"]])[0]
    with pytest.raises(EditNotFoundError, match="'nope'"):
        searching.similarities(queries[:1], [["nope"]])


def test_an_edit_without_key_is_not_near_anything(searching, put, capital, keys_of):
    searching.put([capital("France", "Lyon", edit_id="bare")])
    put(searching, capital("Spain", "Vigo", edit_id="b"))
    assert found(searching, keys_of(["x"])) == ["b"]
    assert searching.similarities(keys_of(["x"]), [["bare"]]) == [[0.0]]


def test_a_query_of_another_width_is_refused(searching, put, capital):
    put(searching, capital("France", "Lyon"))
    with pytest.raises(DimensionMismatchError):
        searching.nearest(np.eye(4, dtype=np.float32)[:1], 1)


# -- names in a text --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "mentioned"),
    [
        ("France", "What is france's capital?", True),
        ("France", "What is FRANCE’S capital?", True),
        ("France", "Frances was here", False),
        ("York", "New York is large", True),
        ("Beyoncé", "who is beyonce", True),
        ("AT&T", "Who runs AT&T?", True),
        ("C++", "Who made C++?", True),
        ("C", "Who made C++?", False),
        ("Dr. No", "Who played Dr No", True),
        ("東京", "東京の人口は?", True),
        ("ירושלים", "מה הבירה: ירושלים?", True),
        ("O'Brien", "Where was O’Brien born?", True),
        ("%", "100 %", True),
        ("' OR 1=1 --", "nothing here", False),
        ("x " * 13, "x " * 13, False),
    ],
)
def test_a_name_is_found_as_whole_words_whatever_its_dress(store, put, name, text, mentioned):
    put(store, Edit(statement="s", subject=name, edit_id="it"))
    assert store.mentioned([text]) == [["it"] if mentioned else []]


def test_the_longest_name_comes_first_then_the_older_edit(store, put, capital):
    put(store, capital("York", "A", edit_id="y"), capital("New York City", "B", edit_id="nyc"))
    put(store, capital("New York", "C", edit_id="ny", aliases=("Big Apple",)), capital("Gotham", "D", edit_id="g"))
    put(store, Edit(statement="York is old.", subject="York", edit_id="y2"))
    text = "Is New York City, the Big Apple, like York?"
    assert store.mentioned([text]) == [["nyc", "ny", "y", "y2"]]
    assert store.mentioned([text], limit=2) == [["nyc", "ny"]]
    assert store.mentioned([text], namespace="other") == [[]]


def test_a_very_long_text_is_searched_too(store, put, capital):
    put(store, capital("New York City", "A", edit_id="nyc"))
    assert store.mentioned(["word " * 20_000 + "New York City"]) == [["nyc"]]


# -- taking back ------------------------------------------------------------------------------------------------------


def test_forget_takes_all_or_none(store, put, capital):
    put(store, capital("France", "Lyon", edit_id="a"), capital("Spain", "Vigo", edit_id="b"))
    with pytest.raises(EditNotFoundError, match="namespace 'default': 'x', 'y'; see: scr ls") as caught:
        store.forget(["a", "x", "y"])
    assert "\n" not in str(caught.value) and caught.value.exit_code == 3
    assert len(store) == 2
    assert [edit.edit_id for edit in store.forget(["b", "a", "b"])] == ["b", "a"]
    assert len(store) == 0 and store.status("a") == "forgotten"
    with pytest.raises(EditNotFoundError):
        store.forget(["a"])


def test_forget_stays_in_its_namespace(store, put, capital):
    put(store, capital("France", "Lyon", edit_id="a", namespace="one"), capital("France", "Nice", edit_id="a"))
    store.forget(["a"], namespace="one")
    assert targets(store) == ["Nice"] and targets(store, namespace="one") == []
    with pytest.raises(EditNotFoundError):
        store.get("a", namespace="two")


def test_forgetting_does_not_bring_back_what_was_replaced(store, put, capital, clock):
    put(store, capital("France", "Lyon", edit_id="a"))
    clock.tick()
    put(store, capital("France", "Nice", edit_id="b"))
    store.forget(["b"])
    assert targets(store) == []
    assert targets(store, as_of="2025") == ["Lyon"]
    store.forget(["a"])
    assert targets(store, as_of="2025") == []


def test_undo_takes_back_the_last_batch_and_reopens_what_it_had_closed(store, put, capital, keys_of, clock):
    put(store, capital("France", "Lyon", edit_id="a"), capital("Spain", "Vigo", edit_id="s"))
    clock.tick()
    put(store, capital("France", "Nice", edit_id="b"), capital("Italy", "Bari", edit_id="i"))
    [done] = store.undo()
    assert (done.kind, done.closed, done.reopened) == ("put", ("b", "i"), ("a",))
    assert targets(store) == ["Lyon", "Vigo"] and store.get("a").valid_until is None
    assert store.status("b") == "undone"
    assert set(found(store, keys_of(["x"]))) == {"a", "s"}
    store.forget(["s"])
    assert store.undo()[0].reopened == ("s",)
    assert targets(store) == ["Lyon", "Vigo"]
    assert store.undo()[0].closed == ("a", "s")
    assert store.undo() == [] and len(store) == 0


def test_redo_takes_back_the_undo(store, put, capital):
    for city in ("A", "B", "C"):
        put(store, capital("France", city))
    assert len(store.undo(2)) == 2 and targets(store) == ["A"]
    assert store.redo()[0].batch == 2 and targets(store) == ["B"]
    assert store.redo()[0].batch == 3 and targets(store) == ["C"]
    assert store.redo() == []
    assert len(store.undo(99)) == 3 and len(store) == 0
    put(store, capital("Spain", "Vigo"))
    assert store.redo() == []


def test_undo_in_one_namespace_leaves_the_others(store, put, capital):
    put(store, capital("France", "Lyon"), capital("France", "Nice", namespace="b"))
    put(store, capital("Spain", "Vigo", namespace="b"))
    assert len(store.undo(namespace="default")) == 1
    assert targets(store) == [] and targets(store, namespace="b") == ["Nice", "Vigo"]
    assert len(store.undo(2)) == 2 and targets(store, namespace="b") == []
    assert len(store.redo(9)) == 3 and targets(store) == ["Lyon"] and targets(store, namespace="b") == ["Nice", "Vigo"]


# -- time -------------------------------------------------------------------------------------------------------------


def test_as_of_is_when_it_held_and_known_at_is_when_it_was_recorded(store, put, capital, clock):
    put(store, capital("France", "Lyon", edit_id="a", valid_from="2020"))
    monday = clock.now
    tuesday = clock.tick(days=1)
    put(store, capital("France", "Nice", edit_id="b", valid_from="2024"))
    wednesday = clock.tick(days=1)
    store.forget(["a"])
    clock.tick(days=1)
    assert targets(store) == ["Nice"]
    assert targets(store, as_of="2022") == []  # as known now, nothing held then
    assert targets(store, as_of="2022", known_at=tuesday) == ["Lyon"]
    assert targets(store, as_of="2019", known_at=tuesday) == []
    assert targets(store, known_at=monday) == ["Lyon"]
    assert targets(store, known_at=tuesday) == ["Nice"]
    assert targets(store, as_of="2025", known_at=monday) == ["Lyon"]
    assert targets(store, known_at=wednesday) == ["Nice"]
    assert targets(store, known_at="2025") == []


def test_a_fact_for_the_future_waits_for_its_day(store, put, capital, clock):
    put(store, capital("France", "Lyon", edit_id="a"))
    put(store, capital("France", "Nice", edit_id="b", valid_from="2026-02-01"))
    assert targets(store) == ["Lyon"] and store.get("a").valid_until == store.get("b").valid_from
    put(store, capital("France", "Metz", edit_id="c"))
    assert targets(store) == ["Metz"] and store.get("c").valid_until.startswith("2026-02-01")
    clock.tick(days=40)
    assert targets(store) == ["Nice"]


def test_a_replaced_fact_does_not_come_back_when_its_successor_ends(store, put, capital, clock):
    put(store, capital("France", "Lyon"))
    put(store, capital("France", "Nice", valid_until="2026-06-01"))
    assert targets(store) == ["Nice"]
    clock.tick(days=365)
    assert targets(store) == []


def test_a_bad_time_says_what_is_wanted(store):
    with pytest.raises(ConfigError, match="as_of is not a time: 'soon'; write it like"):
        store.edits(as_of="soon")
    with pytest.raises(ConfigError, match="known_at"):
        store.edits(known_at="soon")


def test_a_clock_that_is_set_back_hides_nothing(store, put, capital, clock):
    put(store, capital("France", "Lyon"))
    clock.tick(days=-9)
    assert targets(store) == ["Lyon"]
    put(store, capital("France", "Nice"))
    assert targets(store) == ["Nice"]
    times = [event.time for event in store.log()]
    assert times == sorted(set(times), reverse=True)


# -- text, files, looking around --------------------------------------------------------------------------------------

NASTY = [
    "'; DROP TABLE edits; --",
    '" OR ""="',
    "%_*?[a]",
    "NULL",
    "\\0 \\x00",
    "${HOME} $(id) `id`",
    "עברית العربية ‮abc‬",
    "👩‍👩‍👧‍👦🇫🇷",
    "é̂̃ ﷺ 𝔘",
    "-1",
    "--help",
]


@pytest.mark.parametrize("text", NASTY)
def test_any_text_goes_in_and_comes_out_unchanged(store, put, text):
    edit = Edit(
        statement=text, subject=text, prompt=text, target_new=text, aliases=(text,), relation=text, edit_id=text,
        source=text, actor=text, tags=(text,),
    )  # fmt: skip
    [result] = put(store, edit)
    assert result.status == "added"
    kept = store.get(text)
    assert replace(kept, recorded_at="") == edit
    assert store.edits() == [kept]
    store.mentioned([text, f"before {text} after"])
    store.forget([text], actor=text)
    assert store.log()[0].actor == text and len(store) == 0
    assert store.verify().ok


def test_an_injected_namespace_or_kind_is_harmless(store, put, capital, keys_of):
    put(store, capital("France", "Lyon"))
    assert store.edits("x' OR '1'='1") == []
    assert store.mentioned(["France"], namespace="' OR 1=1 --") == [[]]
    with pytest.raises(ConfigError):
        store.nearest(keys_of(["x"]), 1, kind="a' OR 1=1 --")


def test_reading_leaves_no_trace(store, put, capital, keys_of):
    put(store, capital("France", "Lyon", edit_id="a"))
    before = store.head()
    for _ in range(2):
        store.nearest(keys_of(["x"]), 3), store.mentioned(["France"]), store.edits(as_of="2020"), store.get("a")
        store.history("a"), store.stats(), store.verify(), store.doctor(), store.log()
    assert store.head() == before


def test_what_was_stored_is_there_after_reopening(tmp_path, put, capital, keys_of):
    path = tmp_path / "deep" / "er" / "s.scr"
    with EditStore.open(path, encoder="toy") as store:
        put(store, *[capital(f"C{n}", "Lyon") for n in range(20)])
        store.forget([store.edits()[3].edit_id])
        before = store.edits(), store.nearest(keys_of(["x"]), 9), store.head(), store.mentioned(["c7"])
    with EditStore.open(path, encoder="toy", create=False) as store:
        assert (store.edits(), store.nearest(keys_of(["x"]), 9), store.head(), store.mentioned(["c7"])) == before
        assert store.verify().ok and store.doctor() == []
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_stats_count_what_lives_and_what_is_closed(tmp_path, put, capital):
    with EditStore.open(tmp_path / "s.scr", encoder="toy") as store:
        put(store, capital("France", "Lyon"), capital("Spain", "Vigo", namespace="b"))
        put(store, capital("France", "Nice"))
        stats = store.stats()
    assert stats["live"] == 2 and stats["closed"] == 1
    assert stats["namespaces"] == {"b": {"live": 1, "closed": 0}, "default": {"live": 1, "closed": 1}}
    assert stats["encoder"] == "toy" and stats["d_key"] == 16 and stats["events"] == 3
    assert stats["files"]["s.scr"] > 0


def test_versions_say_how_each_stands_and_holds_whether_any_does(store, put, capital):
    assert not store.holds()
    put(store, capital("France", "Lyon", edit_id="a"), capital("Spain", "Vigo", edit_id="s"))
    put(store, capital("France", "Nice", edit_id="b"))
    store.forget(["s"])
    assert [(one.edit.edit_id, one.status) for one in store.versions()] == [
        ("a", "superseded"),
        ("s", "forgotten"),
        ("b", "live"),
    ]
    assert store.holds() and not store.holds("other")
    store.forget(["b"])
    assert not store.holds() and store.holds(as_of="2020")
    assert [event.kind for event in store.log(edit_id="b")] == ["forget", "put"]
    with pytest.raises(EditNotFoundError):
        store.log(edit_id="nope")


def test_doctor_finds_missing_keys_and_mends_the_table_of_names(tmp_path, put, capital):
    import sqlite3

    path = tmp_path / "s.scr"
    with EditStore.open(path, encoder="toy") as store:
        put(store, capital("France", "Lyon", edit_id="a"), capital("Spain", "Vigo"))
    with sqlite3.connect(path) as raw:
        raw.execute("DELETE FROM names")
        raw.execute("DELETE FROM vectors WHERE kind = 'prompt' AND edit = 1")
    raw.close()
    with EditStore.open(path, encoder="toy") as store:
        assert store.mentioned(["France"]) == [[]]
        assert len(store.doctor()) == 2
        findings = store.doctor(repair=True)
        assert [finding.repaired for finding in findings] == [True, False]
        assert "1 edits have no prompt key" in findings[1].what
        assert store.mentioned(["France"]) == [["a"]]
        assert len(store.doctor()) == 1


def test_doctor_notices_a_clock_that_ran_ahead(tmp_path, put, capital, clock):
    with EditStore.open(tmp_path / "s.scr", encoder="toy", clock=lambda: clock.now + timedelta(days=400)) as ahead:
        put(ahead, capital("France", "Lyon"))
    with EditStore.open(tmp_path / "s.scr", clock=clock) as store:
        (finding,) = store.doctor()
        assert "the last event is dated 2027-02-05" in finding.what and not finding.repaired
        clock.tick(days=400)
        assert store.doctor() == []


def test_vectors_are_found_wherever_they_stand_in_their_table(tmp_path, put, capital, keys_of):
    """By their place, in a store from before places, and of kinds that have none."""
    path = tmp_path / "s.scr"
    edits = [capital(f"C{n}", "Lyon", edit_id=str(n)) for n in range(30)]
    keys = keys_of([edit.statement for edit in edits])
    with EditStore.open(path, encoder="toy", index="codes") as store:
        for kinds in (("statement", "prompt"), ("answer", "statement"), ("name", "answer")):
            store.put(edits, {kind: keys for kind in kinds})
            store.forget([edit.edit_id for edit in edits])
        store.put(edits, {kind: keys for kind in ("statement", "prompt", "answer", "name")})
        kinds = dict(store._db.rows("SELECT kind, count(*) FROM vectors GROUP BY kind"))
        assert kinds == dict.fromkeys(("statement", "prompt", "answer", "name"), 30)
        for old in (False, True):
            if old:
                store._db.execute("UPDATE vectors SET rowid = (abs(rowid) % 1000) * 7 + 1 + edit * 10000")
            for kind in kinds:
                found = [hits[0].edit_id for hits in store.nearest(keys, 1, kind=kind)]
                assert found == [str(n) for n in range(30)]
        store.reindex("toy", lambda edits: {"statement": keys_of([edit.statement for edit in edits])})
        assert [hits[0].edit_id for hits in store.nearest(keys, 1)] == [str(n) for n in range(30)]
