r"""How many steps a total variation of epsilon takes, against the dimension.

On product Gaussians everything is exact: the sampler is affine along each axis
(`samplers.diagnostics.gaussian_law`) and the TV between two diagonal Gaussians is one integral
(`samplers.diagnostics.variation.diagonal_tv`), so N(d, eps) has no noise and its exponents

    N ~ d^a eps^-b

can be read off. Published upper bounds for the exponential integrator are d^2/eps and d/eps; on
these targets a method of order p shows a = 1/(2p), b = 1/p. The study reports what is fitted, with
its interval, and claims nothing about other targets.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student
from torch import Tensor

from samplers import grids, steppers
from samplers.component import Component
from samplers.diagnostics.gaussian_law import (
    DiagonalGaussian,
    diagonal_field,
    power_variances,
    sampler_law,
)
from samplers.diagnostics.maps import sampler_map
from samplers.diagnostics.variation import diagonal_tv
from samplers.schedules import NoiseLaw
from samplers.spaces import Euclidean

__all__ = [
    "Exponent",
    "fit_exponent",
    "gaussian_tv_of_steps",
    "product_steps",
    "steps_needed",
]


@dataclass(frozen=True)
class Exponent:
    """A fitted power with its 95 % interval."""

    value: float
    low: float
    high: float


def gaussian_tv_of_steps(
    sampler: str,
    law: NoiseLaw,
    variances: Tensor,
    *,
    grid: str = "log_snr",
    rho_max: float = 157.4,
    rho_min: float = 0.01,
) -> Callable[[int], float]:
    """TV at the end of a run as a function of the number of steps.

    Parameters
    ----------
    sampler : str
        Name in `samplers.steppers`; deterministic.
    law : NoiseLaw
    variances : Tensor, shape=(d,)
        Of the product Gaussian target; see `gaussian_law.power_variances`.
    grid : str
        Name in `samplers.grids`.
    rho_max, rho_min : float
        Ends of the run, as far as the law reaches; it starts from the exact law.

    Returns
    -------
    callable (steps) -> float
    """
    data = DiagonalGaussian(0 * variances, variances)
    t_max, t_min = min(law.t_from_rho(rho_max), 1.0), law.t_from_rho(rho_min)
    start = data.noised(law.alpha(t_max), law.sigma(t_max))
    truth = data.noised(law.alpha(t_min), law.sigma(t_min))
    component = Component(Euclidean(), law, "score")
    field = diagonal_field(data, law)
    stepper = steppers.make(sampler)

    def tv(steps: int) -> float:
        times = grids.make(grid, steps, law, t_min=t_min, t_max=t_max)
        out = sampler_law(sampler_map(field, component, stepper), times, start)
        return diagonal_tv(truth.variance, out.variance.clamp(min=1e-300))

    return tv


def steps_needed(tv: Callable[[int], float], epsilon: float, most: int = 1 << 15) -> float:
    """Find the steps after which the TV stays at epsilon, interpolated in logarithms.

    Doubles until the TV is below epsilon, then halves the bracket; assumes that the TV falls from
    there on.

    Parameters
    ----------
    tv : callable (steps) -> float
    epsilon : float
        In (0, 1).
    most : int

    Returns
    -------
    float
        nan if ``most`` steps do not suffice.
    """
    high = 1
    low, at_low = 0, 1.0
    at_high = tv(high)
    while at_high > epsilon:
        low, at_low = high, at_high
        high *= 2
        if high > most:
            return float("nan")
        at_high = tv(high)
    while high - low > 1:
        middle = (low + high) // 2
        value = tv(middle)
        if value > epsilon:
            low, at_low = middle, value
        else:
            high, at_high = middle, value
    if low == 0 or at_high <= 0:
        return float(high)
    part = math.log(at_low / epsilon) / math.log(at_low / at_high)
    return math.exp(math.log(low) + part * math.log(high / low))


def product_steps(
    sampler: str,
    law: NoiseLaw,
    dims: Sequence[int],
    epsilon: float,
    *,
    grid: str = "log_snr",
    rho_max: float = 157.4,
    rho_min: float = 0.01,
) -> list[float]:
    """Field calls needed on product Gaussians of each dimension; see `gaussian_tv_of_steps`."""
    stepper = steppers.make(sampler)
    needed = []
    for dim in dims:
        tv = gaussian_tv_of_steps(
            sampler, law, power_variances(dim), grid=grid, rho_max=rho_max, rho_min=rho_min
        )
        needed.append(stepper.calls_per_step * steps_needed(tv, epsilon))
    return needed


def fit_exponent(x: Sequence[float], y: Sequence[float], level: float = 0.95) -> Exponent:
    """Power a of y = C x^a by least squares in logarithms, with Student's interval.

    Parameters
    ----------
    x, y : sequence of float, length at least 3
        Positive.
    level : float
        Confidence of the interval.

    Returns
    -------
    Exponent

    Raises
    ------
    ValueError
        If there are fewer than 3 finite pairs.
    """
    u, v = np.log(np.asarray(x, dtype=float)), np.log(np.asarray(y, dtype=float))
    keep = np.isfinite(u) & np.isfinite(v)
    u, v = u[keep], v[keep]
    if len(u) < 3:
        raise ValueError(f"an exponent needs at least 3 points, got {len(u)}")
    u = u - u.mean()
    slope = float((u * v).sum() / (u**2).sum())
    rest = v - v.mean() - slope * u
    error = math.sqrt(float((rest**2).sum()) / (len(u) - 2) / float((u**2).sum()))
    half = float(student.ppf(0.5 + level / 2, len(u) - 2)) * error
    return Exponent(slope, slope - half, slope + half)
