r"""Injected score error, with its L2 size and its divergence size set independently.

An ODE sampler feels not only how large the score error e is but also how fast it turns: the lemma
of `samplers.diagnostics.certificate` charges E|div e| beside E|grad log p||e|. To tell them apart,
an error field is built of two smooth random fields of random Fourier features ([1]_) in the
normalised point z = x / sqrt(alpha^2 + sigma^2),

    e(z) = a T(z) + b L(z),   T = sum_m t_m cos(k_m z + phase),   L = sum_m l_m cos(k_m z + phase),

with t_m orthogonal to k_m (T has no divergence) and l_m along k_m (L carries all of it; in one
dimension T is a constant). Given points of the law, b sets the RMS of the divergence and a then
the L2 size: both are exact on those points. The wave number decides how large a divergence is
possible at a given size.

References
----------
.. [1] A. Rahimi, B. Recht, "Random features for large-scale kernel machines", NeurIPS 2007.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from samplers.integrate import Field
from samplers.schedules import NoiseLaw
from samplers.spaces import State
from samplers.targets.base import Target

__all__ = ["ErrorField", "Perturbed", "make_error", "perturbed_field"]


@dataclass(frozen=True, eq=False)
class ErrorField:
    """A smooth random vector field on R^n.

    Attributes
    ----------
    waves : Tensor, shape=(m, n)
    phases : Tensor, shape=(2, m)
        Of the divergence-free and of the gradient part.
    across, along : Tensor, shape=(m, n)
        Amplitudes of both parts, scaled.
    constant : Tensor, shape=(n,)
        Added everywhere (the divergence-free part in one dimension).
    """

    waves: Tensor
    phases: Tensor
    across: Tensor
    along: Tensor
    constant: Tensor

    def value(self, z: Tensor) -> Tensor:
        """Field at points (..., n), same shape."""
        angle = z @ self.waves.mT
        first, second = ((angle + p).cos() for p in self.phases)
        field: Tensor = first @ self.across + second @ self.along + self.constant
        return field

    def jacobian(self, z: Tensor) -> Tensor:
        """Jacobian, shape (..., n, n)."""
        angle = z @ self.waves.mT
        first, second = (-(angle + p).sin() for p in self.phases)
        rows = first.unsqueeze(-1) * self.across + second.unsqueeze(-1) * self.along
        matrix: Tensor = rows.mT @ self.waves
        return matrix

    def divergence(self, z: Tensor) -> Tensor:
        """Divergence, shape (...)."""
        angle = z @ self.waves.mT
        return -(angle + self.phases[1]).sin() @ (self.along * self.waves).sum(-1)


def make_error(
    z: Tensor,
    *,
    l2: float,
    divergence: float,
    wave: float = 2.0,
    features: int = 32,
    generator: torch.Generator | None = None,
) -> ErrorField:
    """Random error field of given sizes.

    Parameters
    ----------
    z : Tensor, shape=(b, n)
        Points of the law (normalised) on which the sizes are exact.
    l2 : float
        sqrt(E|e|^2).
    divergence : float
        sqrt(E (div e)^2).
    wave : float
        RMS wave number of the features; the smaller, the smoother.
    features : int
    generator : torch.Generator, optional
        On the CPU.

    Returns
    -------
    ErrorField

    Raises
    ------
    ValueError
        If a divergence that large needs a larger L2 size at this wave number.
    """
    n = z.shape[-1]
    waves = torch.randn(features, n, generator=generator, dtype=torch.float64).to(z)
    waves = waves * (wave / math.sqrt(n))
    normal = torch.randn(2, features, n, generator=generator, dtype=torch.float64).to(z)
    phases = 2 * math.pi * torch.rand(2, features, generator=generator, dtype=torch.float64).to(z)
    unit = waves / waves.norm(dim=-1, keepdim=True)
    along = (normal[0] * unit).sum(-1, keepdim=True) * unit
    across = normal[1] - (normal[1] * unit).sum(-1, keepdim=True) * unit
    constant = waves.new_zeros(n)
    if n == 1:
        across, constant = torch.zeros_like(across), waves.new_ones(1)
    none = torch.zeros_like(along), waves.new_zeros(n)
    curl = ErrorField(waves, phases, across, none[0], constant)
    gradient = ErrorField(waves, phases, none[0], along, none[1])
    b = divergence / gradient.divergence(z).square().mean().sqrt()
    t, g = curl.value(z), b * gradient.value(z)
    # a^2 E|T|^2 + 2 a E<T, bL> + E|bL|^2 = l2^2
    p, q, r = t.square().sum(-1).mean(), (t * g).sum(-1).mean(), g.square().sum(-1).mean() - l2**2
    root = q.square() - p * r
    if float(root) < 0:
        least = math.sqrt(float(r + l2**2 - q.square() / p))
        raise ValueError(
            f"divergence {divergence} needs an L2 size of {least:.3g} or more at wave number "
            f"{wave}, got {l2}; raise the wave number"
        )
    a = (-q + root.sqrt()) / p
    return ErrorField(waves, phases, a * across, b * along, a * constant)


@dataclass(frozen=True, eq=False)
class Perturbed:
    """A target whose score is wrong by a known field; density and draws stay the target's.

    The score error at x_t is e(x / w) / w with w = sqrt(alpha^2 + sigma^2).

    Attributes
    ----------
    target : Target
    error : ErrorField
    """

    target: Target
    error: ErrorField

    @property
    def dim(self) -> int:
        """Dimension n."""
        return self.target.dim

    def score(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Wrong score, shape of ``x``."""
        w = math.hypot(alpha, sigma)
        return self.target.score(x, alpha, sigma) + self.error.value(x / w) / w

    def jacobian(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Jacobian of the wrong score, shape (..., n, n)."""
        w = math.hypot(alpha, sigma)
        return self.target.jacobian(x, alpha, sigma) + self.error.jacobian(x / w) / w**2

    def divergence(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Divergence of the wrong score, shape (...)."""
        w = math.hypot(alpha, sigma)
        return self.target.divergence(x, alpha, sigma) + self.error.divergence(x / w) / w**2

    def log_density(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Log density of the *true* noised law."""
        return self.target.log_density(x, alpha, sigma)

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """Draws of the true law."""
        return self.target.sample(count, generator)


def perturbed_field(
    target: Target,
    law: NoiseLaw,
    times: Sequence[float],
    *,
    l2: float,
    divergence: float,
    wave: float = 2.0,
    count: int = 1000,
    generator: torch.Generator | None = None,
) -> Field:
    """Score field whose error has the given sizes at *every* time of a grid.

    One random field is rescaled at each time on draws of the law there, so that a study can hold
    the L2 size constant along the whole run while the divergence varies.

    Parameters
    ----------
    target : Target
    law : NoiseLaw
    times : sequence of float
        All the times at which a sampler will call the field.
    l2, divergence, wave : float
        See `make_error`; sizes are those of the normalised field.
    count : int
        Draws per time.
    generator : torch.Generator, optional

    Returns
    -------
    callable (state, t) -> tuple of one Tensor
    """
    seed = int(torch.randint(2**62, (1,), generator=generator))
    clean = target.sample(count, generator)
    z = torch.randn(clean.shape, generator=generator, dtype=clean.dtype)
    wrong: dict[float, tuple[Perturbed, float, float]] = {}
    for t in times:
        alpha, sigma = law.alpha(t), law.sigma(t)
        points = (alpha * clean + sigma * z) / math.hypot(alpha, sigma)
        same = torch.Generator().manual_seed(seed)
        error = make_error(points, l2=l2, divergence=divergence, wave=wave, generator=same)
        wrong[float(t)] = Perturbed(target, error), alpha, sigma

    def field(state: State, t: float) -> State:
        perturbed, alpha, sigma = wrong[t]
        return (perturbed.score(state[0], alpha, sigma),)

    return field
