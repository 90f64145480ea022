r"""What a target is: a data law whose noised versions are known exactly.

A target gives, for x_t = alpha x_0 + sigma eps at any (alpha, sigma) with sigma > 0,

    score(x, alpha, sigma)        grad log p_t                        shape (..., n)
    jacobian(x, alpha, sigma)     J_ij = d score_i / d x_j            shape (..., n, n)
    divergence(x, alpha, sigma)   trace J = Laplacian of log p_t      shape (...)
    log_density(x, alpha, sigma)  log p_t                             shape (...)
    sample(count, generator)      draws of x_0                        shape (count, n)

in the dtype of its parameters (float64 for truth). Most targets are mixtures
p = sum_k p_k, finite or by quadrature; with posterior weights pi_k = p_k / p, part scores a_k and
part Jacobians B_k,

    score = sum_k pi_k a_k,
    J = sum_k pi_k (B_k + (a_k - score)(a_k - score)^T),

the centred form of E[B + a a^T] - s s^T, which keeps its digits where the scores are large.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor

from samplers.integrate import Field
from samplers.schedules import NoiseLaw
from samplers.spaces import State

__all__ = [
    "Target",
    "check_weights",
    "mixture_divergence",
    "mixture_jacobian",
    "mixture_score",
    "noised",
    "score_field",
]


class Target(Protocol):
    """A law on R^n; see the module docstring."""

    @property
    def dim(self) -> int:
        """Dimension n."""

    def score(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Gradient of the log density of x_t, shape (..., n)."""

    def jacobian(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Jacobian of the score, shape (..., n, n)."""

    def divergence(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Trace of the Jacobian, shape (...)."""

    def log_density(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Log density of x_t, shape (...)."""

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """``count`` draws of x_0, shape (count, n)."""


def noised(
    target: Target,
    count: int,
    alpha: float,
    sigma: float,
    generator: torch.Generator | None = None,
) -> Tensor:
    """``count`` exact draws of x_t, shape (count, n)."""
    x = target.sample(count, generator)
    return alpha * x + sigma * torch.randn(x.shape, generator=generator, dtype=x.dtype)


def score_field(target: Target, law: NoiseLaw) -> Field:
    """Exact score as a field for `samplers.integrate` (``predicts="score"``).

    The law's coefficients are remembered per time, so that a second run over the same grid
    computes none.
    """

    @lru_cache(maxsize=65536)
    def level(t: float) -> tuple[float, float]:
        return law.alpha(t), law.sigma(t)

    def field(state: State, t: float) -> State:
        return (target.score(state[0], *level(t)),)

    return field


def check_weights(weights: Tensor, count: int, what: str) -> None:
    """Raise ValueError unless there are ``count`` positive weights of sum 1."""
    if weights.shape != (count,):
        raise ValueError(f"{count} {what} need {count} weights, got {tuple(weights.shape)}")
    if not bool((weights > 0).all()) or abs(float(weights.sum()) - 1) > 1e-6:
        raise ValueError("mixture weights must be positive and sum to 1")


def mixture_score(log_parts: Tensor, scores: Tensor) -> Tensor:
    """Score of a mixture.

    Parameters
    ----------
    log_parts : Tensor, shape=(..., k)
        Log densities of the parts, weights included.
    scores : Tensor, shape=(..., k, n)
        Their scores.

    Returns
    -------
    Tensor, shape=(..., n)
    """
    return (log_parts.softmax(-1).unsqueeze(-1) * scores).sum(-2)


def mixture_jacobian(log_parts: Tensor, scores: Tensor, diagonal: Tensor) -> Tensor:
    """Jacobian of the score of a mixture whose parts have diagonal ones.

    Parameters
    ----------
    log_parts : Tensor, shape=(..., k)
    scores : Tensor, shape=(..., k, n)
    diagonal : Tensor, shape=(..., k, n)
        Diagonals of the parts' Jacobians; broadcasts.

    Returns
    -------
    Tensor, shape=(..., n, n)
    """
    posterior = log_parts.softmax(-1).unsqueeze(-1)
    centred = scores - (posterior * scores).sum(-2, keepdim=True)
    mean = (posterior * diagonal).sum(-2).expand(scores[..., 0, :].shape)
    return (posterior * centred).mT @ centred + torch.diag_embed(mean)


def mixture_divergence(log_parts: Tensor, scores: Tensor, traces: Tensor) -> Tensor:
    """Divergence of the score of a mixture.

    Parameters
    ----------
    log_parts : Tensor, shape=(..., k)
    scores : Tensor, shape=(..., k, n)
    traces : Tensor, shape=(..., k)
        Divergences of the parts' scores; broadcasts.

    Returns
    -------
    Tensor, shape=(...)
    """
    posterior = log_parts.softmax(-1)
    mean = (posterior.unsqueeze(-1) * scores).sum(-2, keepdim=True)
    return (posterior * (traces + (scores - mean).square().sum(-1))).sum(-1)
