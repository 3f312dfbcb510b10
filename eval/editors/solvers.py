"""Which change of a matrix maps keys to wanted outputs and spares the rest? The linear algebra, nothing else.

Notation: K (d_key, n) holds keys in columns, R (d_model, n) residuals, C (d_key, d_key) a second moment; a solution is
U (d_model, d_key), to be added to W. All in float64. Where there are fewer edits than key dimensions the systems are
written n × n (Woodbury); a test holds them equal to the d × d forms.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from eval.editors.errors import ConfigError, NumericalError


def cholesky(matrix: Tensor, what: str) -> Tensor:
    """Lower factor of a symmetric positive definite matrix.

    Raises:
        NumericalError: it is singular, or not finite; ``what`` names it.
    """
    if not bool(torch.isfinite(matrix).all()):
        raise NumericalError(f"{what} is not finite")
    factor, info = torch.linalg.cholesky_ex(matrix)
    diagonal = factor.diagonal()
    # A pivot that is rounding noise of the largest one means singular, though the factorisation went through.
    if int(info) != 0 or float(diagonal.min()) <= 1e-7 * float(diagonal.max()):
        raise NumericalError(f"{what} is singular, so the solve has no unique answer")
    return factor


class Preserved:
    """λC of one layer, factorised once: the keys an update should leave alone."""

    def __init__(self, second_moment: Tensor, weight: float, ridge: float = 0.0) -> None:
        """``ridge`` adds a multiple of the identity.

        Raises:
            ConfigError: not square, or a weight that is not positive.
            NumericalError: λC is singular.
        """
        if second_moment.dim() != 2 or second_moment.shape[0] != second_moment.shape[1]:
            raise ConfigError(f"a second moment is square, got shape {tuple(second_moment.shape)}")
        if weight <= 0:
            raise ConfigError(f"mom2_update_weight must be positive, got {weight}")
        self.matrix = weight * second_moment.double()
        if ridge:
            self.matrix.diagonal().add_(ridge)
        self.factor = cholesky(self.matrix, "the second moment of the preserved keys")

    def solve(self, right: Tensor) -> Tensor:
        """(λC)⁻¹ right."""
        return torch.cholesky_solve(right.double(), self.factor)


def least_squares_update(preserved: Preserved, keys: Tensor, residuals: Tensor) -> Tensor:
    """U = R Kᵀ (λC + K Kᵀ)⁻¹, shape (d_model, d_key).

    With Y = (λC)⁻¹ K it is R (I + Kᵀ Y)⁻¹ Yᵀ, an n × n system on a factor made once; for more edits than dimensions the
    d × d system is solved as it stands.

    Source: MEMIT, arXiv:2210.07229, equation 14.
    """
    keys, residuals = keys.double(), residuals.double()
    d_key, n = keys.shape
    if n > d_key:
        factor = cholesky(preserved.matrix + keys @ keys.T, "λC + K Kᵀ")
        return residuals @ torch.cholesky_solve(keys, factor).T
    spread = preserved.solve(keys)  # (d_key, n)
    inner = cholesky(torch.eye(n, dtype=keys.dtype, device=keys.device) + keys.T @ spread, "I + Kᵀ (λC)⁻¹ K")
    return residuals @ torch.cholesky_solve(spread.T, inner)


def equality_update(preserved: Preserved, keys: Tensor, residuals: Tensor, ridge: float) -> Tensor:
    """U = R (Kᵀ C⁻¹ K + ridge I)⁻¹ Kᵀ C⁻¹: with ridge 0 every key maps exactly.

    Source: EMMET, arXiv:2403.14236.
    """
    keys, residuals = keys.double(), residuals.double()
    spread = preserved.solve(keys)  # (d_key, n)
    inner = keys.T @ spread
    inner.diagonal().add_(ridge)
    return residuals @ torch.cholesky_solve(spread.T, cholesky(inner, "Kᵀ C⁻¹ K"))


def null_space_basis(second_moment: Tensor, threshold: float) -> Tensor:
    """Orthonormal directions that preserved keys hardly use, shape (d_key, rank), float64.

    The projector of the papers is P = basis basisᵀ.

    Args:
        second_moment: E[k kᵀ] of the keys to preserve, shape (d_key, d_key), not centred.
        threshold: eigenvalues below this count as unused; absolute, in the unit of ``second_moment``.

    Raises:
        ConfigError: not square, or nothing lies below the threshold.
        NumericalError: not finite.

    Source: AlphaEdit, arXiv:2410.02355.
    """
    if second_moment.dim() != 2 or second_moment.shape[0] != second_moment.shape[1]:
        raise ConfigError(f"a second moment is square, got shape {tuple(second_moment.shape)}")
    if not bool(torch.isfinite(second_moment).all()):
        raise NumericalError("the second moment of the preserved keys is not finite")
    values, vectors = torch.linalg.eigh(second_moment.double())
    unused = vectors[:, values < threshold]
    if unused.shape[1] == 0:
        raise ConfigError(
            f"no direction is below nullspace_threshold {threshold}; the smallest eigenvalue is {float(values[0]):.3g}"
        )
    return unused


@dataclass(slots=True)
class NullSpaceSolver:
    """AlphaEdit's solve for one layer, with the keys of former batches.

    The update lives in the null space, so that everything is written in its coordinates b = basisᵀ k, where the
    system is symmetric: U = R B_nowᵀ (B Bᵀ + L2 I)⁻¹ basisᵀ with B = [B_before, B_now]. While there are fewer keys than
    coordinates, the n × n form with B is used; then B Bᵀ is kept instead.
    """

    basis: Tensor
    l2: float
    before: Tensor = field(init=False)
    """Former keys in null space coordinates, shape (rank, keys), until there are more of them than coordinates."""
    gram: Tensor | None = field(init=False, default=None)
    """Then B Bᵀ, shape (rank, rank)."""

    def __post_init__(self) -> None:
        if self.l2 <= 0:
            raise ConfigError(f"L2 must be positive, got {self.l2}")
        self.before = self.basis.new_zeros(self.basis.shape[1], 0)

    def update(self, keys: Tensor, residuals: Tensor) -> Tensor:
        """U of shape (d_model, d_key); remembers nothing."""
        now = self.basis.T @ keys.double()  # (rank, n)
        rank = now.shape[0]
        if self.gram is None and self.before.shape[1] + now.shape[1] < rank:
            every = torch.cat([self.before, now], dim=1)
            inner = every.T @ every
            inner.diagonal().add_(self.l2)
            factor = cholesky(inner, "L2 I + Kᵀ P K")
            solved = (now - every @ torch.cholesky_solve(every.T @ now, factor)) / self.l2
        else:
            outer = self._gram() + now @ now.T
            outer.diagonal().add_(self.l2)
            solved = torch.cholesky_solve(now, cholesky(outer, "P K Kᵀ P + L2 I"))
        return residuals.double() @ (self.basis @ solved).T

    def remember(self, keys: Tensor) -> None:
        """Later updates leave these keys alone too."""
        now = self.basis.T @ keys.double()
        if self.gram is None and self.before.shape[1] + now.shape[1] < now.shape[0]:
            self.before = torch.cat([self.before, now], dim=1)
        else:
            self.gram = self._gram() + now @ now.T
            self.before = self.before[:, :0]

    def _gram(self) -> Tensor:
        return self.before @ self.before.T if self.gram is None else self.gram
