"""Closed forms on random matrices."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.editors.solvers import NullSpaceSolver, Preserved, equality_update, least_squares_update, null_space_basis
from memory_store.errors import ConfigError

D, OUT = 12, 5
seeds = st.integers(0, 10_000)
counts = st.integers(1, 20)


def random(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def moment(seed: int) -> torch.Tensor:
    keys = random(seed, D, 3 * D)
    return keys @ keys.T / (3 * D)


def low_rank_moment(seed: int, rank: int = 5) -> torch.Tensor:
    keys = random(seed, D, rank)
    return keys @ keys.T


@given(seeds, counts)
@settings(max_examples=30, deadline=None)
def test_the_small_system_equals_the_large_one(seed: int, n: int) -> None:
    c, k, r = moment(seed), random(seed + 1, D, n), random(seed + 2, OUT, n)
    wanted = r @ torch.linalg.solve(2.5 * c + k @ k.T, k).T
    assert torch.allclose(least_squares_update(Preserved(c, 2.5), k, r), wanted, rtol=1e-8, atol=1e-10)


@given(seeds, st.integers(1, 8))
@settings(max_examples=20, deadline=None)
def test_keys_reach_their_residuals_as_lambda_vanishes(seed: int, n: int) -> None:
    c, k, r = moment(seed), random(seed + 1, D, n), random(seed + 2, OUT, n)
    update = least_squares_update(Preserved(c, 1e-8), k, r)
    assert torch.allclose(update @ k, r, atol=1e-3)


@given(seeds, st.integers(1, 8))
@settings(max_examples=20, deadline=None)
def test_emmet_without_ridge_maps_keys_exactly_whatever_lambda(seed: int, n: int) -> None:
    c, k, r = moment(seed), random(seed + 1, D, n), random(seed + 2, OUT, n)
    first, second = (equality_update(Preserved(c, weight), k, r, 0.0) for weight in (1.0, 50.0))
    assert torch.allclose(first @ k, r, atol=1e-6)
    assert torch.allclose(first, second, atol=1e-6)


@given(seeds, counts, st.sampled_from([0.1, 2.0]))
@settings(max_examples=20, deadline=None)
def test_emmet_with_ridge_is_a_least_squares_of_large_systems(seed: int, n: int, ridge: float) -> None:
    """R (Kᵀ C⁻¹ K + ε I)⁻¹ Kᵀ C⁻¹ = R Kᵀ (ε C + K Kᵀ)⁻¹, the n × n form and the d × d form."""
    c, k, r = moment(seed), random(seed + 1, D, n), random(seed + 2, OUT, n)
    wanted = r @ torch.linalg.solve(ridge * c + k @ k.T, k).T
    assert torch.allclose(equality_update(Preserved(c, 1.0), k, r, ridge), wanted, rtol=1e-7, atol=1e-9)


@given(seeds, st.integers(1, 11))
@settings(max_examples=20, deadline=None)
def test_the_projector_is_one_and_spares_preserved_keys(seed: int, rank: int) -> None:
    keys = random(seed, D, rank)
    basis = null_space_basis(keys @ keys.T, 1e-8)
    p = basis @ basis.T
    assert torch.allclose(p, p.T)
    assert torch.allclose(p @ p, p, atol=1e-10)
    assert torch.allclose(p @ keys, torch.zeros_like(keys), atol=1e-6)
    assert basis.shape == (D, D - rank)


@given(seeds, st.lists(st.integers(1, 5), min_size=1, max_size=4))
@settings(max_examples=30, deadline=None)
def test_null_space_batches_equal_the_published_system(seed: int, sizes: list[int]) -> None:
    """X = solve(P (K Kᵀ + cache) + L2 I, P K Rᵀ), whichever form is at work and when it changes."""
    basis = null_space_basis(low_rank_moment(seed), 1e-8)
    p, cache = basis @ basis.T, torch.zeros(D, D, dtype=torch.float64)
    solver = NullSpaceSolver(basis, 0.7)
    for number, n in enumerate(sizes):
        k, r = random(seed + 10 + number, D, n), random(seed + 90 + number, OUT, n)
        system = p @ (k @ k.T + cache) + 0.7 * torch.eye(D, dtype=torch.float64)
        wanted = torch.linalg.solve(system, p @ k @ r.T).T
        assert torch.allclose(solver.update(k, r), wanted, atol=1e-9)
        solver.remember(k)
        cache += k @ k.T


def test_singular_and_misshapen_systems_are_refused() -> None:
    with pytest.raises(ConfigError, match="singular"):
        Preserved(low_rank_moment(0), 1.0)
    twice = random(1, D, 1).repeat(1, 2)
    with pytest.raises(ConfigError, match="singular"):
        equality_update(Preserved(moment(0), 1.0), twice, random(2, OUT, 2), 0.0)
    with pytest.raises(ConfigError, match="not finite"):
        Preserved(torch.full((2, 2), float("nan")), 1.0)
    with pytest.raises(ConfigError, match="square"):
        null_space_basis(random(0, 3, 4), 1.0)
    with pytest.raises(ConfigError, match="smallest eigenvalue"):
        null_space_basis(torch.eye(3), 0.5)
    with pytest.raises(ConfigError, match="L2"):
        NullSpaceSolver(torch.eye(3), 0.0)


def test_projector_ranks_are_the_published_ones(golden: object) -> None:
    ranks = [null_space_basis(golden.moments[layer], 0.02).shape[1] for layer in (1, 2, 3)]  # type: ignore[attr-defined]
    assert ranks == [478, 462, 505]
