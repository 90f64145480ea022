r"""The benchmark mixture (`samplers.targets.benchmark`) on two laws, and its fast fields.

Anything fitted is fitted on mixtures and starts from other generators than those reported on
(`fit_mixtures`).

The ends are rho = 157.4 and 0.01 on the linear law, the range of the usual table of 1000 steps,
and 2.0e4 and 0.0064 on the cosine one. The start is x/alpha = z sqrt(1 + rho^2).

The flow depends on (rho_start, rho_end) alone, so methods on other clocks can be compared by
giving them the same ends. Errors are per sample, the root mean square over coordinates of the
difference at the end in variance-preserving coordinates.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from samplers import steppers
from samplers.component import Component
from samplers.grids.pilot import Pilot
from samplers.integrate import Field
from samplers.schedules import NoiseLaw, VPCosine, VPLinear
from samplers.spaces import Euclidean, State
from samplers.targets import GaussianMixture
from samplers.targets.benchmark import mixture

__all__ = ["LAWS", "Setting", "clean_estimate", "fit_mixtures", "mixture_field", "other_mixture"]

_BETA_MIN = 0.1


@dataclass(frozen=True)
class Setting:
    """A law with the ends of the flow.

    Attributes
    ----------
    law : NoiseLaw
        rho(1) is the start.
    rho_start, rho_end : float
    """

    law: NoiseLaw
    rho_start: float
    rho_end: float

    @property
    def t_min(self) -> float:
        """Time of the end."""
        return self.law.t_from_rho(self.rho_end)

    @property
    def component(self) -> Component:
        """R^n with this law and a field that gives the clean estimate."""
        return Component(Euclidean(), self.law, "x0")

    def start(self, z: Tensor) -> Tensor:
        """Start of noise ``z``: x = alpha z sqrt(1 + rho^2), which is z."""
        return self.law.alpha(1.0) * math.hypot(1.0, self.rho_start) * z


LAWS: dict[str, Setting] = {
    "linear": Setting(
        VPLinear(_BETA_MIN, 2 * math.log1p(157.4**2) - _BETA_MIN), rho_start=157.4, rho_end=0.01
    ),
    "cosine": Setting(VPCosine(rho_max=2.0e4), rho_start=2.0e4, rho_end=0.0064),
}


def other_mixture(dim: int, seed: Sequence[int]) -> GaussianMixture:
    """Mixture of the same kind with other means."""
    reported = mixture(dim)
    means = 0.95 * np.random.default_rng(list(seed)).standard_normal((len(reported.weights), dim))
    return replace(reported, means=torch.from_numpy(means))


def clean_estimate(target: GaussianMixture, x: Tensor, alpha: float, sigma: float) -> Tensor:
    """E[x_0 | x_t = x] of a mixture without an array of (samples, modes, n).

    Parameters
    ----------
    target : GaussianMixture
    x : Tensor, shape=(m, n)
    alpha, sigma : float

    Returns
    -------
    Tensor, shape=(m, n)
    """
    within = (alpha * target.stds).square()
    variance = within + sigma**2
    square = (
        x.square().sum(-1, keepdim=True)
        - 2 * alpha * (x @ target.means.mT)
        + alpha**2 * target.means.square().sum(-1)
    )
    log_parts = target.weights.log() - 0.5 * (square / variance + target.dim * variance.log())
    share = log_parts.softmax(-1)
    to_mean = share * (sigma**2 / variance)
    to_point = (share * (within / variance)).sum(-1, keepdim=True) / alpha
    return to_mean @ target.means + to_point * x


def mixture_field(targets: Sequence[GaussianMixture], law: NoiseLaw) -> Field:
    """Clean estimates of a batch whose equal parts belong to different mixtures."""

    def field(state: State, t: float) -> State:
        alpha, sigma = law.alpha(t), law.sigma(t)
        parts = state[0].chunk(len(targets))
        found = [clean_estimate(m, x, alpha, sigma) for m, x in zip(targets, parts, strict=True)]
        return (torch.cat(found),)

    return field


def fit_mixtures(
    setting: Setting, dim: int, *, count: int = 4, starts: int = 48, seed: int = 1
) -> Pilot:
    """Pilot on mixtures and noises that are never reported on.

    Parameters
    ----------
    setting : Setting
    dim : int
    count : int
        Mixtures.
    starts : int
        Noises for each.
    seed : int
        At least 1.

    Returns
    -------
    Pilot
    """
    if seed < 1:
        raise ValueError(f"seed {seed} is of the reported mixture; take 1 or more")
    targets = [other_mixture(dim, (seed, dim, 8, k)) for k in range(count)]
    z = np.random.default_rng([seed, dim, 99]).standard_normal((count * starts, dim))
    return Pilot(
        mixture_field(targets, setting.law),
        (setting.component,),
        (setting.start(torch.from_numpy(z)),),
        t_min=setting.t_min,
        t_max=1.0,
        reference=steppers.make("expab4_x0"),
        fine=600,
    )
