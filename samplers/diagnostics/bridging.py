r"""Mode bridging: samples left between the modes, where the data have none.

A deterministic sampler maps connected sets to connected sets, so between the samples of two modes
there are always some on the way from one to the other; coarse steps leave more. Noise in the
sampler (churn) lets them fall to one side. Under sum_k w_k N(m_k, v_k I) a point is *between* if
its squared distance to every mode, in units of v_k, exceeds the chi-square quantile of `level`:
the exact law puts at most 1 - level there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from scipy.stats import chi2
from torch import Tensor

from samplers import steppers
from samplers.component import Component
from samplers.integrate import integrate
from samplers.noise import NoiseKey, NoiseSource
from samplers.schedules import NoiseLaw
from samplers.spaces import Euclidean
from samplers.targets.base import noised, score_field
from samplers.targets.mixture import GaussianMixture

__all__ = ["Bridging", "between", "bridging_against_churn", "wilson"]


@dataclass(frozen=True)
class Bridging:
    """Shares of samples between the modes.

    Attributes
    ----------
    churns : tuple of float, length m
    share, low, high : Tensor, shape=(m,)
        With Wilson's 95 % interval.
    exact : Tensor, shape=()
        Share among as many exact draws.
    """

    churns: tuple[float, ...]
    share: Tensor
    low: Tensor
    high: Tensor
    exact: Tensor


def between(
    x: Tensor, target: GaussianMixture, alpha: float, sigma: float, level: float = 0.999
) -> Tensor:
    """Whether each point (..., n) lies between the modes of the noised law; bool (...)."""
    variance = (alpha * target.stds).square() + sigma**2
    square = (x.unsqueeze(-2) - alpha * target.means).square().sum(-1) / variance
    return square.amin(-1) > float(chi2.ppf(level, target.dim))


def wilson(share: Tensor, count: int, z: float = 1.959963984540054) -> tuple[Tensor, Tensor]:
    """Wilson's 95 % interval of a share among ``count``."""
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = (share * (1 - share) / count + z * z / (4 * count**2)).sqrt() * z / (1 + z * z / count)
    return (centre - half).clamp(min=0), (centre + half).clamp(max=1)


def bridging_against_churn(
    target: GaussianMixture,
    law: NoiseLaw,
    times: Sequence[float],
    churns: Sequence[float] = (0.0, 0.25, 1.0),
    *,
    count: int = 4000,
    seed: int = 0,
    level: float = 0.999,
) -> Bridging:
    """Share of samples between the modes for several amounts of noise in the sampler.

    Parameters
    ----------
    target : GaussianMixture
    law : NoiseLaw
    times : sequence of float
    churns : sequence of float
        0 is deterministic DDIM, 1 the reverse SDE.
    count : int
    seed : int
        Of the start (exact draws of p_t, the same for all) and of the noise.
    level : float

    Returns
    -------
    Bridging
    """
    generator = torch.Generator().manual_seed(seed)
    start = noised(target, count, law.alpha(times[0]), law.sigma(times[0]), generator)
    end = law.alpha(times[-1]), law.sigma(times[-1])
    component = Component(Euclidean(), law, "score")
    field = score_field(target, law)
    shares = []
    for churn in churns:
        noise = NoiseSource(NoiseKey(seed, f"churn {churn}"))
        stepper = steppers.make("sde", churn=churn)
        (x,) = integrate(field, (start,), times, stepper, (component,), noise)
        shares.append(between(x, target, *end, level).to(x.dtype).mean())
    share = torch.stack(shares)
    exact = between(noised(target, count, *end, generator), target, *end, level)
    return Bridging(tuple(churns), share, *wilson(share, count), exact.to(share.dtype).mean())
