r"""Gaussians and Gaussian mixtures on R^n.

If x_0 ~ N(m, C) then x_t ~ N(alpha m, alpha^2 C + sigma^2 I), so score and density are closed
forms; for a mixture they combine with the posterior weights of the modes. The probability-flow
ODE of one Gaussian is solved exactly: along each eigenvector of C with eigenvalue c,
x/alpha - m scales like sqrt(c + rho^2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Gaussian", "GaussianMixture"]


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

    def _eigen(self) -> tuple[Tensor, Tensor]:
        values: Tensor
        vectors: Tensor
        values, vectors = torch.linalg.eigh(self.covariance)
        return values.clamp(min=0), vectors

    def score(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Gradient of the log density of x_t, shape of ``x`` (..., n)."""
        values, vectors = self._eigen()
        y = (x - alpha * self.mean) @ vectors
        return (-y / (alpha**2 * values + sigma**2)) @ vectors.mT

    def log_density(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Log density of x_t, shape=(...)."""
        values, vectors = self._eigen()
        y = (x - alpha * self.mean) @ vectors
        variance = alpha**2 * values + sigma**2
        return -0.5 * (y.square() / variance + (2 * math.pi * variance).log()).sum(-1)

    def flow(self, x: Tensor, start: tuple[float, float], end: tuple[float, float]) -> Tensor:
        """Exact probability-flow map from (alpha, sigma) = ``start`` to ``end``."""
        values, vectors = self._eigen()
        (a0, s0), (a1, s1) = start, end
        y = (x / a0 - self.mean) @ vectors
        y = y * ((values + (s1 / a1) ** 2) / (values + (s0 / a0) ** 2)).sqrt()
        return a1 * (self.mean + y @ vectors.mT)

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """``count`` draws of x_0, shape=(count, n)."""
        values, vectors = self._eigen()
        z = torch.randn(count, len(self.mean), generator=generator, dtype=self.mean.dtype)
        return self.mean + (z * values.sqrt()) @ vectors.mT


@dataclass(frozen=True, eq=False)
class GaussianMixture:
    """Mixture of isotropic Gaussians, sum_k w_k N(mean_k, std_k^2 I).

    Attributes
    ----------
    weights : Tensor, shape=(k,)
        Positive, sum 1.
    means : Tensor, shape=(k, n)
    stds : Tensor, shape=(k,)
    """

    weights: Tensor
    means: Tensor
    stds: Tensor

    def __post_init__(self) -> None:
        """Check the shapes and the weights."""
        k = self.means.shape[0]
        if self.weights.shape != (k,) or self.stds.shape != (k,):
            raise ValueError(f"{k} means need {k} weights and {k} stds")
        if not bool((self.weights > 0).all()) or abs(float(self.weights.sum()) - 1) > 1e-6:
            raise ValueError("mixture weights must be positive and sum to 1")

    def _log_parts(self, x: Tensor, alpha: float, sigma: float) -> tuple[Tensor, Tensor, Tensor]:
        difference = x.unsqueeze(-2) - alpha * self.means
        variance = (alpha * self.stds).square() + sigma**2
        n = x.shape[-1]
        log_parts = (
            self.weights.log()
            - 0.5 * difference.square().sum(-1) / variance
            - 0.5 * n * (2 * math.pi * variance).log()
        )
        return log_parts, difference, variance

    def score(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Gradient of the log density of x_t, shape of ``x`` (..., n)."""
        log_parts, difference, variance = self._log_parts(x, alpha, sigma)
        posterior = log_parts.softmax(-1)
        return -((posterior / variance).unsqueeze(-1) * difference).sum(-2)

    def log_density(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Log density of x_t, shape=(...)."""
        return self._log_parts(x, alpha, sigma)[0].logsumexp(-1)

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """``count`` draws of x_0, shape=(count, n)."""
        mode = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        shape = (count, self.means.shape[1])
        z = torch.randn(shape, generator=generator, dtype=self.means.dtype)
        return self.means[mode] + self.stds[mode].unsqueeze(-1) * z
