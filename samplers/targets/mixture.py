r"""Mixtures of isotropic Gaussians on R^n, and point masses.

Noise keeps the form: the part N(m_k, s_k^2 I) becomes N(alpha m_k, (alpha^2 s_k^2 + sigma^2) I),
and parts combine as in `samplers.targets.base`. With all s_k = 0 the data are *atoms*: a law of
bounded support whose score is (alpha E[x_0 | x] - x) / sigma^2 and blows up like 1/sigma, the case
that early stopping is for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from samplers.targets.base import (
    check_weights,
    mixture_divergence,
    mixture_jacobian,
    mixture_score,
)

__all__ = ["GaussianMixture", "atoms"]


@dataclass(frozen=True, eq=False)
class GaussianMixture:
    """Mixture of isotropic Gaussians, sum_k w_k N(mean_k, std_k^2 I).

    Attributes
    ----------
    weights : Tensor, shape=(k,)
        Positive, sum 1.
    means : Tensor, shape=(k, n)
    stds : Tensor, shape=(k,)
        Zero for an atom.
    """

    weights: Tensor
    means: Tensor
    stds: Tensor

    def __post_init__(self) -> None:
        """Check the shapes and the weights."""
        k = self.means.shape[0]
        if self.weights.shape != (k,) or self.stds.shape != (k,):
            raise ValueError(f"{k} means need {k} weights and {k} stds")
        check_weights(self.weights, k, "means")

    @property
    def dim(self) -> int:
        """Dimension n."""
        return self.means.shape[1]

    def parts(self, x: Tensor, alpha: float, sigma: float) -> tuple[Tensor, Tensor, Tensor]:
        """Log densities of the parts (weights included), their scores and their variances.

        Returns
        -------
        log_parts : Tensor, shape=(..., k)
        scores : Tensor, shape=(..., k, n)
        variances : Tensor, shape=(k,)
        """
        difference = x.unsqueeze(-2) - alpha * self.means
        variance = (alpha * self.stds).square() + sigma**2
        log_parts = (
            self.weights.log()
            - 0.5 * difference.square().sum(-1) / variance
            - 0.5 * self.dim * (2 * math.pi * variance).log()
        )
        return log_parts, -difference / variance.unsqueeze(-1), variance

    def score(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Gradient of the log density of x_t, shape of ``x`` (..., n)."""
        log_parts, scores, _ = self.parts(x, alpha, sigma)
        return mixture_score(log_parts, scores)

    def jacobian(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Jacobian of the score, shape (..., n, n)."""
        log_parts, scores, variance = self.parts(x, alpha, sigma)
        return mixture_jacobian(log_parts, scores, -1 / variance.unsqueeze(-1))

    def divergence(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Divergence of the score, shape (...)."""
        log_parts, scores, variance = self.parts(x, alpha, sigma)
        return mixture_divergence(log_parts, scores, -self.dim / variance)

    def log_density(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Log density of x_t, shape=(...)."""
        return self.parts(x, alpha, sigma)[0].logsumexp(-1)

    def posterior(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Probabilities of the modes given x_t, shape=(..., k)."""
        return self.parts(x, alpha, sigma)[0].softmax(-1)

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """``count`` draws of x_0, shape=(count, n)."""
        mode = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        shape = (count, self.means.shape[1])
        z = torch.randn(shape, generator=generator, dtype=self.means.dtype)
        return self.means[mode] + self.stds[mode].unsqueeze(-1) * z


def atoms(points: Tensor, weights: Tensor | None = None) -> GaussianMixture:
    """Point masses: a mixture of zero width.

    Parameters
    ----------
    points : Tensor, shape=(k, n)
    weights : Tensor, shape=(k,), optional
        Positive, sum 1; default equal.

    Returns
    -------
    GaussianMixture
        Defined at every sigma > 0.
    """
    count = points.shape[0]
    if weights is None:
        weights = points.new_full((count,), 1 / count)
    return GaussianMixture(weights, points, points.new_zeros(count))
