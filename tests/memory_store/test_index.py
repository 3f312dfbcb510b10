"""One suite for every VectorIndex; ExactIndex is the reference that the others must equal."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory_store.codes_index import CodesIndex
from memory_store.errors import ConfigError, DimensionMismatchError
from memory_store.faiss_index import FaissIndex
from memory_store.index import ExactIndex

AXES = np.eye(4, dtype=np.float32)


def unit(*rows):
    rows = np.array(rows, np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


class CodesWithKeys(CodesIndex):
    """Keeps the keys that a store would have on disk."""

    def __init__(self, d_key):
        self.kept = {}
        super().__init__(d_key, lambda ids: np.array([self.kept[row] for row in ids.tolist()]))

    def add(self, ids, keys):
        ids = list(ids)
        super().add(ids, keys)
        self.kept.update(zip(ids, keys, strict=True))


@pytest.fixture(params=[ExactIndex, FaissIndex, CodesWithKeys])
def index(request):
    return request.param(4)


def test_an_empty_index_finds_nothing(index):
    assert index.search(AXES[:2], 3) == [[], []]
    assert len(index) == 0


def test_no_queries_are_answered_by_no_results(index):
    index.add([1], AXES[:1])
    assert index.search(np.empty((0, 4), np.float32), 3) == []


def test_the_nearest_comes_first_and_its_score_is_the_cosine(index):
    index.add([7, 8], unit([1, 1, 0, 0], [1, 0, 0, 0]))
    [[first, second]] = index.search(AXES[:1], 2)
    assert first == (8, 1.0)
    assert second[0] == 7 and second[1] == pytest.approx(np.sqrt(0.5), abs=1e-6)


def test_more_asked_than_stored_gives_what_there_is(index):
    index.add([1, 2], AXES[:2])
    assert [found for found, _ in index.search(AXES[:1], 50)[0]] == [1, 2]


def test_nothing_asked_gives_nothing(index):
    index.add([1], AXES[:1])
    assert index.search(AXES[:1], 0) == [[]]


def test_ties_are_broken_by_the_smaller_id_also_at_the_cut(index):
    ids = list(range(40, 0, -1))
    index.add(ids, np.repeat(AXES[:1], 40, axis=0))
    assert [found for found, _ in index.search(AXES[:1], 5)[0]] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("row", [[0, 0, 0, 0], [2, 0, 0, 0], [np.nan, 0, 0, 0], [np.inf, 0, 0, 0]])
def test_a_row_that_is_no_unit_vector_is_refused_and_nothing_is_stored(index, row):
    with pytest.raises(ConfigError, match="row 1"):
        index.add([1, 2], np.array([[1, 0, 0, 0], row], np.float32))
    with pytest.raises(ConfigError):
        index.search(np.array([row], np.float32), 1)
    assert len(index) == 0


def test_another_width_is_refused_by_name(index):
    with pytest.raises(DimensionMismatchError, match="3 wide.*4"):
        index.add([1], np.eye(3, dtype=np.float32)[:1])
    with pytest.raises(DimensionMismatchError):
        index.search(np.eye(5, dtype=np.float32)[:1], 1)


def test_keys_and_ids_must_be_as_many(index):
    with pytest.raises(ConfigError, match="one row for each"):
        index.add([1, 2, 3], AXES[:2])


def test_of_one_id_twice_in_a_batch_the_last_key_stays(index):
    index.add([5, 5], AXES[:2])
    assert len(index) == 1
    assert index.search(AXES[1:2], 9) == [[(5, 1.0)]]


def test_adding_a_stored_id_replaces_its_key(index):
    index.add([5, 6], AXES[:2])
    index.add([5], AXES[2:3])
    assert len(index) == 2
    assert index.search(AXES[2:3], 1) == [[(5, 1.0)]]
    assert index.search(AXES[:1], 1)[0][0][1] == 0.0


def test_removed_ids_are_not_found_and_missing_ones_do_no_harm(index):
    index.add([1, 2, 3], AXES[:3])
    assert index.remove([2, 99, 2]) == 1
    assert index.remove([2]) == 0
    assert index.remove([]) == 0
    assert len(index) == 2
    assert {found for found, _ in index.search(AXES[1:2], 9)[0]} == {1, 3}


def test_a_removed_id_can_come_back(index):
    index.add([1], AXES[:1])
    index.remove([1])
    index.add([1], AXES[1:2])
    assert index.search(AXES[1:2], 9) == [[(1, 1.0)]]


def test_a_filter_acts_inside_the_search(index):
    index.add(list(range(100)), np.repeat(AXES[:1], 100, axis=0))
    index.add([500], AXES[1:2])
    assert index.search(AXES[:1], 3, among=np.array([500])) == [[(500, 0.0)]]
    assert index.search(AXES[:1], 3, without=np.arange(100)) == [[(500, 0.0)]]
    assert index.search(AXES[:1], 3, among=np.array([], np.int64)) == [[]]
    assert index.search(AXES[:1], 2, without=np.array([], np.int64)) == [[(0, 1.0), (1, 1.0)]]
    assert index.search(AXES[:1], 2, among=np.array([3, 4, 999]), without=np.array([3])) == [[(4, 1.0)]]


def test_searching_changes_nothing(index):
    index.add([1, 2], AXES[:2])
    before = index.search(AXES, 2)
    index.search(AXES[::-1], 1, among=np.array([2]))
    assert index.search(AXES, 2) == before


def test_a_query_is_answered_alike_alone_and_in_a_batch(index):
    rng = np.random.default_rng(0)
    index.add(range(200), unit(*rng.normal(size=(200, 4))))
    queries = unit(*rng.normal(size=(9, 4)))
    assert index.search(queries, 5) == [index.search(query[None], 5)[0] for query in queries]


operations = st.lists(
    st.tuples(
        st.sampled_from(["add", "remove", "search"]),
        st.lists(st.integers(0, 12), max_size=5),
        st.integers(0, 1000),
    ),
    max_size=25,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(operations)
def test_faiss_answers_as_the_reference_to_the_last_bit(steps):
    both = ExactIndex(4), FaissIndex(4)
    for step, ids, seed in steps:
        # Few distinct directions, so that there are many ties.
        keys = unit(*np.random.default_rng(seed).integers(-1, 2, size=(max(len(ids), 1), 4)) + [[0.1, 0, 0, 0]])
        if step == "add":
            for index in both:
                index.add(ids, keys[: len(ids)])
        elif step == "remove":
            assert both[0].remove(ids) == both[1].remove(ids)
        else:
            for how in ({}, {"among": np.array(ids, np.int64)}, {"without": np.array(ids, np.int64)}):
                assert both[0].search(keys, seed % 7, **how) == both[1].search(keys, seed % 7, **how)
        assert len(both[0]) == len(both[1])


@pytest.mark.parametrize("d_key", [64, 270, 384])
def test_codes_find_nearly_every_neighbour_among_many_also_after_a_fifth_is_removed(d_key):
    random = np.random.default_rng(0)
    centres = random.normal(size=(200, d_key))
    keys = unit(*(centres[random.integers(0, 200, 12_000)] + 0.7 * random.normal(size=(12_000, d_key)) + 0.5))
    exact, codes = ExactIndex(d_key), CodesWithKeys(d_key)
    for index in (exact, codes):
        for start in range(0, 12_000, 3_000):
            index.add(range(start, start + 3_000), keys[start : start + 3_000])
        assert index.remove(range(0, 12_000, 5)) == 2_400
    queries = unit(*(keys[1:200:2] + 0.05 * random.normal(size=(100, d_key))))
    hits = 0
    for reference, found in zip(exact.search(queries, 10), codes.search(queries, 10), strict=True):
        assert set(found) - set(reference) == set() or found[-1][1] <= reference[-1][1]
        hits += sum(score >= reference[-1][1] for _, score in found)
    assert hits >= 990
