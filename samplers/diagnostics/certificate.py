r"""The total-variation certificate of a run.

For dX = v ds with law p and dY = v' ds with law q,

    d/ds TV(p, q) = int_{p > q} p (div(v' - v) + <grad log p, v' - v>)
                 <= E_p |div(v' - v)| + E_p[ |grad log p| |v' - v| ]                 (lemma)

([1]_, lemma 4.2; the Riemannian form is lemma 5.1 of [2]_). The integrand is div(p (v' - v)) / p,
whose integral over the whole space is 0, so the positive part is half of the whole and

    d/ds TV(p, q) <= 1/2 E_p |div(v' - v) + <grad log p, v' - v>|                    (sharp)

is never worse than half the lemma, and often equal to the truth to a few per cent. Both sides of
the comparison are at hand when the target is exact: v is its probability flow, and v' the sampler
filled in as an ODE (`samplers.diagnostics.interpolation`), whatever field the sampler was given,
so a wrong score is charged as well. Integrated over the run, with TV at the start added, each is
an upper bound of the sampler's error in total variation.

Expectations are over p, drawn exactly: x_t = alpha x_0 + sigma z with the same (x_0, z) along the
whole run, so each draw gives one independent number, its path integral, and the mean of these has
one confidence bound (one-sided 95 % by the central limit theorem). The time integral inside a step
is by Gauss-Legendre quadrature.

The lemma needs one-to-one maps. If at any draw the inversion fails or the Jacobian has no positive
determinant, the certificate is void: ``valid`` is false and the bounds are 1. This is seen by
sampling: a fold that no draw meets is missed; `samplers.diagnostics.margin` gives bounds where the
target allows.

References
----------
.. [1] R. Li, Q. Di, Q. Gu, "Unified convergence analysis for score-based diffusion models with
   deterministic samplers", ICLR 2025, arXiv:2410.14237.
.. [2] Y. Guan, K. Balasubramanian, S. Ma, "Total variation rates for Riemannian flow matching".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from scipy.stats import norm
from torch import Tensor

from samplers.diagnostics.interpolation import Path, gauss_legendre, prefixes
from samplers.diagnostics.maps import Advance, is_one_step
from samplers.schedules import NoiseLaw
from samplers.targets.base import Target

__all__ = ["Certificate", "certify"]

_RESIDUAL = 1e-7


@dataclass(frozen=True)
class Certificate:
    """Upper bounds of TV(sampler, target) at the end of a run; tensors without host copies.

    Attributes
    ----------
    initial : Tensor, shape=()
        TV at the start, estimated.
    drift, divergence, sharp : Tensor, shape=(N,)
        Each step's share of E|grad log p||v' - v|, of E|div(v' - v)| and of the sharp form.
    bound, sharp_bound : Tensor, shape=()
        initial + sum(drift + divergence), and initial + sum(sharp).
    upper, sharp_upper : Tensor, shape=()
        The same with the one-sided Monte-Carlo margin (95 %), at most 1; 1 if not valid. The sharp
        form can equal the truth, so its 95 % bound misses now and then; the lemma has room.
    stretch : Tensor, shape=(N,)
        Smallest singular value of the path's Jacobian met in each step (of the whole run so far
        for a multistep method).
    unsolved : Tensor, shape=(N,)
        Share of draws at which the map could not be inverted.
    valid : Tensor, shape=(), bool
    """

    initial: Tensor
    drift: Tensor
    divergence: Tensor
    sharp: Tensor
    bound: Tensor
    upper: Tensor
    sharp_bound: Tensor
    sharp_upper: Tensor
    stretch: Tensor
    unsolved: Tensor
    valid: Tensor


def certify(
    advance: Advance,
    target: Target,
    law: NoiseLaw,
    times: Sequence[float],
    *,
    count: int = 2000,
    generator: torch.Generator | None = None,
    prior: Callable[[Tensor], Tensor] | None = None,
    nodes: int = 3,
    degree: int = 5,
    iterations: int = 4,
    one_step: bool | None = None,
    level: float = 0.95,
) -> Certificate:
    """Certify a run of a deterministic sampler against an exact target.

    Parameters
    ----------
    advance : callable (x, times) -> Tensor
        The sampler with its field; see `samplers.diagnostics.maps.sampler_map`.
    target : Target
    law : NoiseLaw
    times : sequence of float
        The grid, decreasing.
    count : int
        Draws of p.
    generator : torch.Generator, optional
    prior : callable (..., n) -> (...), optional
        Log density of the law the sampler starts from; None: it starts from p itself.
    nodes : int
        Gauss-Legendre nodes per step.
    degree : int
        Of the interpolation inside a step; at least the order of the method.
    iterations : int
        Newton steps per inversion.
    one_step : bool, optional
        Whether the method has no memory; None finds out by trying.
    level : float
        One-sided confidence of ``upper`` and ``sharp_upper``.

    Returns
    -------
    Certificate
    """
    times = tuple(float(t) for t in times)
    clean = target.sample(count, generator)
    z = torch.randn(clean.shape, generator=generator, dtype=clean.dtype)
    alpha, sigma = law.alpha(times[0]), law.sigma(times[0])
    first = alpha * clean + sigma * z
    if one_step is None:
        one_step = is_one_step(advance, first[:8], times)
    start = torch.zeros_like(first[:, 0])
    if prior is not None:  # TV = E_p (1 - q/p)_+
        start = -torch.expm1((prior(first) - target.log_density(first, alpha, sigma)).clamp(max=0))
    thetas, weights = gauss_legendre(nodes)
    steps = []
    for k, prefix in enumerate(prefixes(times, one_step)):
        path = Path(advance, law, prefix, times[k + 1], thetas, degree)
        steps.append(_charge(path, target, clean, z, weights.tolist(), iterations))
    drift, divergence, sharp, stretch, unsolved = (
        torch.stack(c) for c in zip(*steps, strict=True)
    )
    valid = (unsolved.sum() == 0) & (stretch.min() > 0)
    lemma_paths, sharp_paths = start + (drift + divergence).sum(0), start + sharp.sum(0)

    quantile = float(norm.ppf(level))

    def upper(paths: Tensor) -> Tensor:
        margin = quantile * paths.std() / math.sqrt(count)
        return torch.where(valid, (paths.mean() + margin).clamp(max=1), torch.ones_like(margin))

    return Certificate(
        start.mean(),
        drift.mean(-1),
        divergence.mean(-1),
        sharp.mean(-1),
        lemma_paths.mean(),
        upper(lemma_paths),
        sharp_paths.mean(),
        upper(sharp_paths),
        stretch.amin(-1),
        unsolved.mean(-1),
        valid,
    )


def _charge(
    path: Path,
    target: Target,
    clean: Tensor,
    z: Tensor,
    weights: list[float],
    iterations: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Integrals over one step for each draw: drift, divergence, sharp; stretch; unsolved."""
    rhos = path.levels
    x = torch.stack([clean + rho * z for rho in rhos])
    _, anchor, _ = path.anchor
    guess = torch.stack([_origin(target, p, rho, anchor) for p, rho in zip(x, rhos, strict=True)])
    found = path.velocity(x, guess, iterations)
    score = torch.stack([target.score(p, 1.0, rho) for p, rho in zip(x, rhos, strict=True)])
    trace = torch.stack([target.divergence(p, 1.0, rho) for p, rho in zip(x, rhos, strict=True)])
    square = score.new_tensor(rhos).square()[:, None]
    difference = found.value + square.unsqueeze(-1) * score
    source = found.divergence + square * trace
    first, last = path.ends
    weight = score.new_tensor(weights)[:, None] * abs(last - first)
    drift = score.norm(dim=-1) * difference.norm(dim=-1)
    sharp = 0.5 * (source + (score * difference).sum(-1)).abs()
    bad = ~(found.residual < _RESIDUAL)  # nan is bad
    return (
        (weight * drift).sum(0),
        (weight * source.abs()).sum(0),
        (weight * sharp).sum(0),
        found.stretch.nan_to_num(-1.0).amin(0),
        bad.any(0).to(score.dtype),
    )


def _origin(target: Target, x: Tensor, rho: float, anchor: float) -> Tensor:
    """Where the exact flow to ``x`` came from, by classical Runge-Kutta steps; a first guess."""
    length = math.log(anchor / rho)
    count = max(1, math.ceil(abs(length) / 0.7))
    h = length / count

    def velocity(y: Tensor, s: float) -> Tensor:
        level = math.exp(s)
        return -(level**2) * target.score(y, 1.0, level)

    s = math.log(rho)
    for _ in range(count):
        k1 = velocity(x, s)
        k2 = velocity(x + 0.5 * h * k1, s + 0.5 * h)
        k3 = velocity(x + 0.5 * h * k2, s + 0.5 * h)
        k4 = velocity(x + h * k3, s + h)
        x = x + (h / 6) * (k1 + 2 * k2 + 2 * k3 + k4)
        s += h
    return x
