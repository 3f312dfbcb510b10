"""Claims about the space in which wordings that ask for the same lie near each other."""

import numpy as np

from scr.scope.relation_space import RelationSpace, learn


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_nearness_is_the_cosine_of_points() -> None:
    space = RelationSpace(np.eye(2, dtype=np.float32), np.zeros((2, 1), np.float32), np.zeros((1, 2), np.float32))
    asked = np.array([[3.0, 4.0], [1.0, 0.0]], np.float32)
    stated = np.array([[4.0, 3.0], [0.0, 1.0]], np.float32)
    np.testing.assert_allclose(space.near(asked, stated), [0.96, 0.0], atol=1e-6)


def test_the_hidden_part_is_added() -> None:
    space = RelationSpace(
        np.zeros((1, 2), np.float32), np.array([[2.0]], np.float32), np.array([[3.0, 4.0]], np.float32)
    )
    np.testing.assert_allclose(space.points(np.array([[0.5]], np.float32)), [[0.6, 0.8]], atol=1e-6)


def made(rng: np.random.Generator, meanings: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Keys that say a meaning in 8 dimensions, and a style, twice as loud, in 24 others."""
    which = rng.integers(len(meanings), size=count)
    style = rng.normal(size=(count, 24)) * 2 / np.sqrt(24)
    return unit(np.hstack([meanings[which], style])), which


def test_a_space_learns_to_hear_what_is_asked_and_not_how() -> None:
    rng = np.random.default_rng(0)
    meanings = unit(rng.normal(size=(12, 8)))
    keys, which = made(rng, meanings, 600)
    asked, stated = rng.integers(600, size=(2, 4000))
    same = which[asked] == which[stated]
    space = learn(keys, asked, stated, same, np.ones(4000), seed=0, dimensions=8, hidden=16, steps=200, batch=128)
    new, which = made(rng, meanings, 400)
    one, other = np.arange(200), np.arange(200, 400)
    near, plain = space.near(new[one], new[other]), (new[one] * new[other]).sum(1)
    alike = which[one] == which[other]

    def told_apart(score: np.ndarray) -> float:
        return float((score[alike][:, None] > score[~alike]).mean())

    assert told_apart(plain) < 0.85
    assert told_apart(near) > 0.95


def test_the_same_rows_and_seed_give_the_same_space() -> None:
    rng = np.random.default_rng(1)
    keys, which = made(rng, unit(rng.normal(size=(5, 8))), 60)
    asked, stated = rng.integers(60, size=(2, 300))
    same = which[asked] == which[stated]
    one, other = (
        learn(keys, asked, stated, same, np.ones(300), seed=3, dimensions=4, hidden=8, steps=20, batch=32)
        for _ in range(2)
    )
    np.testing.assert_array_equal(one.points(keys), other.points(keys))
