r"""The exact law of a sampler on a Gaussian target.

The score of a diagonal Gaussian is affine along each axis, so any deterministic sampler, whatever
its order and memory, is an affine map x -> shift + gain x along each axis and carries a Gaussian
to a Gaussian. Two runs, from 0 and from 1, give shift and gain of every axis at once: no Monte
Carlo, and a run over n axes is a run of one point in R^n.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from samplers.diagnostics.maps import Advance
from samplers.integrate import Field
from samplers.schedules import NoiseLaw

__all__ = [
    "DiagonalGaussian",
    "diagonal_field",
    "diagonal_w2",
    "exact_gain",
    "power_variances",
    "sampler_gain",
    "sampler_law",
]


@dataclass(frozen=True, eq=False)
class DiagonalGaussian:
    """N(mean, diag variance).

    Attributes
    ----------
    mean, variance : Tensor, shape=(n,)
    """

    mean: Tensor
    variance: Tensor

    def noised(self, alpha: float, sigma: float) -> DiagonalGaussian:
        """Law of alpha x + sigma eps."""
        return DiagonalGaussian(alpha * self.mean, alpha**2 * self.variance + sigma**2)

    def mapped(self, shift: Tensor, gain: Tensor) -> DiagonalGaussian:
        """Law of shift + gain x."""
        return DiagonalGaussian(shift + gain * self.mean, gain.square() * self.variance)

    def score(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Score of the noised law, shape of ``x`` (..., n)."""
        return (alpha * self.mean - x) / (alpha**2 * self.variance + sigma**2)


def diagonal_field(target: DiagonalGaussian, law: NoiseLaw) -> Field:
    """Exact score as a field (``predicts="score"``) that costs three operations."""
    known: dict[float, tuple[float, float]] = {}

    def field(state: tuple[Tensor, ...], t: float) -> tuple[Tensor, ...]:
        if t not in known:
            known[t] = law.alpha(t), law.sigma(t)
        return (target.score(state[0], *known[t]),)

    return field


def exact_gain(
    target: DiagonalGaussian, start: tuple[float, float], end: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Shift and gain of the probability flow from (alpha, sigma) = ``start`` to ``end``."""
    (a0, s0), (a1, s1) = start, end
    ratio = (target.variance + (s1 / a1) ** 2) / (target.variance + (s0 / a0) ** 2)
    gain = (a1 / a0) * ratio.sqrt()
    return a1 * target.mean - gain * a0 * target.mean, gain


def sampler_gain(advance: Advance, times: Sequence[float], like: Tensor) -> tuple[Tensor, Tensor]:
    """Shift and gain of a sampler along each axis.

    Parameters
    ----------
    advance : callable (x, times) -> Tensor
        With a field that is affine along each axis.
    times : sequence of float
    like : Tensor, shape=(n,)
        Gives dimension, dtype and device.

    Returns
    -------
    shift, gain : Tensor, shape=(n,)
    """
    ends = advance(torch.stack((torch.zeros_like(like), torch.ones_like(like))), times)
    return ends[0], ends[1] - ends[0]


def sampler_law(
    advance: Advance, times: Sequence[float], start: DiagonalGaussian
) -> DiagonalGaussian:
    """Law of a sampler's output."""
    return start.mapped(*sampler_gain(advance, times, start.mean))


def diagonal_w2(p: DiagonalGaussian, q: DiagonalGaussian) -> Tensor:
    """W2 between diagonal Gaussians, shape ()."""
    shift = (p.mean - q.mean).square().sum()
    spread = (p.variance.sqrt() - q.variance.sqrt()).square().sum()
    return (shift + spread).sqrt()


def power_variances(dim: int, low: float = 0.01, high: float = 1.0) -> Tensor:
    """``dim`` variances, log-spaced from ``low`` to ``high``: the product targets of the study."""
    if dim == 1:
        return torch.tensor([math.sqrt(low * high)], dtype=torch.float64)
    return torch.logspace(math.log10(low), math.log10(high), dim, dtype=torch.float64)
