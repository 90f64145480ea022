r"""Gaussians on R^n, full, low-rank and isotropic, with their exact flow.

If x_0 ~ N(m, C) then x_t ~ N(alpha m, alpha^2 C + sigma^2 I), so everything is a closed form. The
probability-flow ODE is solved exactly: along each eigenvector of C with eigenvalue c,
x/alpha - m scales like sqrt(c + rho^2).

`LowRankGaussian` has C = U diag(c) U^T with few columns in U: data on a k-dimensional subspace of
R^n, where the score has the two scales 1/(alpha^2 c + sigma^2) and 1/sigma^2. No n x n matrix is
formed except by `jacobian`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

__all__ = ["Gaussian", "LowRankGaussian"]

Level = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Gaussian:
    """N(mean, covariance) on R^n.

    Attributes
    ----------
    mean : Tensor, shape=(n,)
    covariance : Tensor, shape=(n, n)
        Symmetric positive semi-definite.
    """

    mean: Tensor
    covariance: Tensor

    def __post_init__(self) -> None:
        """Check the shapes."""
        n = self.mean.shape[-1]
        if self.mean.shape != (n,) or self.covariance.shape != (n, n):
            raise ValueError(
                f"mean and covariance have shapes {tuple(self.mean.shape)} and "
                f"{tuple(self.covariance.shape)}; need (n,) and (n, n)"
            )

    @property
    def dim(self) -> int:
        """Dimension n."""
        return len(self.mean)

    @cached_property
    def _eigen(self) -> tuple[Tensor, Tensor]:
        values: Tensor
        vectors: Tensor
        values, vectors = torch.linalg.eigh(self.covariance)
        return values.clamp(min=0), vectors

    def score(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Gradient of the log density of x_t, shape of ``x`` (..., n)."""
        values, vectors = self._eigen
        y = (x - alpha * self.mean) @ vectors
        return (-y / (alpha**2 * values + sigma**2)) @ vectors.mT

    def jacobian(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Jacobian of the score, the same at every point; shape (..., n, n)."""
        values, vectors = self._eigen
        matrix = -(vectors / (alpha**2 * values + sigma**2)) @ vectors.mT
        return matrix.expand(*x.shape, self.dim)

    def divergence(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Divergence of the score, the same at every point; shape (...)."""
        values, _ = self._eigen
        return -(1 / (alpha**2 * values + sigma**2)).sum().expand(x.shape[:-1])

    def log_density(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Log density of x_t, shape=(...)."""
        values, vectors = self._eigen
        y = (x - alpha * self.mean) @ vectors
        variance = alpha**2 * values + sigma**2
        return -0.5 * (y.square() / variance + (2 * math.pi * variance).log()).sum(-1)

    def flow(self, x: Tensor, start: Level, end: Level) -> Tensor:
        """Exact probability-flow map from (alpha, sigma) = ``start`` to ``end``."""
        values, vectors = self._eigen
        (a0, s0), (a1, s1) = start, end
        y = (x / a0 - self.mean) @ vectors
        y = y * ((values + (s1 / a1) ** 2) / (values + (s0 / a0) ** 2)).sqrt()
        return a1 * (self.mean + y @ vectors.mT)

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """``count`` draws of x_0, shape=(count, n)."""
        values, vectors = self._eigen
        z = torch.randn(count, len(self.mean), generator=generator, dtype=self.mean.dtype)
        return self.mean + (z * values.sqrt()) @ vectors.mT


@dataclass(frozen=True, eq=False)
class LowRankGaussian:
    """N(mean, U diag(variances) U^T) on R^n with k < n orthonormal columns in U.

    Attributes
    ----------
    mean : Tensor, shape=(n,)
    basis : Tensor, shape=(n, k)
        U, orthonormal columns.
    variances : Tensor, shape=(k,)
        Non-negative.
    """

    mean: Tensor
    basis: Tensor
    variances: Tensor

    def __post_init__(self) -> None:
        """Check the shapes and the basis."""
        n, k = self.basis.shape
        if self.mean.shape != (n,) or self.variances.shape != (k,):
            raise ValueError(f"a basis of shape {(n, k)} needs {n} means and {k} variances")
        eye = torch.eye(k, dtype=self.basis.dtype, device=self.basis.device)
        if not bool(((self.basis.mT @ self.basis - eye).abs() < 1e-5).all()):
            raise ValueError("the columns of the basis must be orthonormal")

    @property
    def dim(self) -> int:
        """Dimension n."""
        return len(self.mean)

    def _shrink(self, y: Tensor, inside: Tensor, outside: float) -> Tensor:
        """U diag(inside) U^T y + outside (1 - U U^T) y."""
        return outside * y + ((y @ self.basis) * (inside - outside)) @ self.basis.mT

    def score(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Gradient of the log density of x_t, shape of ``x`` (..., n)."""
        inside = -1 / (alpha**2 * self.variances + sigma**2)
        return self._shrink(x - alpha * self.mean, inside, -1 / sigma**2)

    def jacobian(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Jacobian of the score, the same at every point; shape (..., n, n)."""
        inside = -1 / (alpha**2 * self.variances + sigma**2)
        eye = torch.eye(self.dim, dtype=x.dtype, device=x.device)
        return self._shrink(eye, inside, -1 / sigma**2).expand(*x.shape, self.dim)

    def divergence(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Divergence of the score, the same at every point; shape (...)."""
        inside = -1 / (alpha**2 * self.variances + sigma**2)
        n, k = self.basis.shape
        return (inside.sum() - (n - k) / sigma**2).expand(x.shape[:-1])

    def log_density(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Log density of x_t, shape=(...)."""
        y = x - alpha * self.mean
        variance = alpha**2 * self.variances + sigma**2
        square = -(y * self._shrink(y, -1 / variance, -1 / sigma**2)).sum(-1)
        n, k = self.basis.shape
        volume = variance.log().sum() + 2 * (n - k) * math.log(sigma)
        return -0.5 * (square + volume + n * math.log(2 * math.pi))

    def flow(self, x: Tensor, start: Level, end: Level) -> Tensor:
        """Exact probability-flow map from (alpha, sigma) = ``start`` to ``end``."""
        rho0, rho1 = start[1] / start[0], end[1] / end[0]
        inside = ((self.variances + rho1**2) / (self.variances + rho0**2)).sqrt()
        y = self._shrink(x / start[0] - self.mean, inside, rho1 / rho0)
        return end[0] * (self.mean + y)

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """``count`` draws of x_0, shape=(count, n)."""
        shape = (count, len(self.variances))
        z = torch.randn(shape, generator=generator, dtype=self.mean.dtype)
        return self.mean + (z * self.variances.sqrt()) @ self.basis.mT
