r"""Step doubling: a run-time estimate of the error at the end, for any sampler.

A method of order p has error C N^-p, so a run of N steps and one of 2 N give

    error(N)  ~ |x_2N - x_N| 2^p / (2^p - 1),      error(2N) ~ |x_2N - x_N| / (2^p - 1)

and on R^n the better value x_2N + (x_2N - x_N) / (2^p - 1) (Richardson, [1]_). The fine grid
halves every step in the clock log rho. How far the estimate can be trusted is to be measured:
`calibrate` compares it with the true error, sample by sample.

References
----------
.. [1] E. Hairer, S. Norsett, G. Wanner, "Solving ordinary differential equations I", II.4.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from samplers.diagnostics.maps import Advance
from samplers.diagnostics.strong import distances
from samplers.schedules import NoiseLaw

__all__ = ["Calibration", "Doubling", "calibrate", "double_steps", "refine"]


@dataclass(frozen=True)
class Doubling:
    """A run and the run with twice the steps.

    Attributes
    ----------
    coarse, fine : Tensor, shape=(b, ...)
        End points.
    coarse_error, fine_error : Tensor, shape=(b,)
        Estimated errors.
    """

    coarse: Tensor
    fine: Tensor
    coarse_error: Tensor
    fine_error: Tensor


@dataclass(frozen=True)
class Calibration:
    """Estimated against true errors.

    Attributes
    ----------
    ratio : Tensor, shape=(3,)
        Quantiles 5 %, 50 %, 95 % of estimate / truth.
    factors : Tensor, shape=(k,)
    coverage : Tensor, shape=(k,)
        Share of samples whose true error is at most factor times the estimate.
    """

    ratio: Tensor
    factors: Tensor
    coverage: Tensor


def refine(times: Sequence[float], law: NoiseLaw) -> tuple[float, ...]:
    """Halve every step of a grid in log rho."""
    rho = law.rho(torch.tensor(tuple(times), dtype=torch.float64))
    middle = law.t_from_rho((rho[:-1] * rho[1:]).sqrt()).tolist()
    pairs = itertools.chain.from_iterable(zip(times[:-1], middle, strict=True))
    return (*pairs, times[-1])


def double_steps(
    advance: Advance,
    x: Tensor,
    times: Sequence[float],
    law: NoiseLaw,
    order: int,
    distance: Callable[[Tensor, Tensor], Tensor] = distances,
) -> Doubling:
    """Run twice and estimate both errors.

    Parameters
    ----------
    advance : callable (x, times) -> Tensor
        On any space.
    x : Tensor, shape=(b, ...)
        Start.
    times : sequence of float
        The coarse grid.
    law : NoiseLaw
    order : int
        Of the method.
    distance : callable
        Default: RMS difference per coordinate.

    Returns
    -------
    Doubling
    """
    coarse, fine = advance(x, times), advance(x, refine(times, law))
    gap = distance(coarse, fine)
    better = gap / (2**order - 1)
    return Doubling(coarse, fine, better * 2**order, better)


def calibrate(
    estimate: Tensor, error: Tensor, factors: Sequence[float] = (0.5, 1.0, 1.5, 2.0, 3.0)
) -> Calibration:
    """Compare estimated with true errors, shapes (b,)."""
    ratio = estimate / error
    levels = torch.tensor((0.05, 0.5, 0.95), dtype=ratio.dtype, device=ratio.device)
    scale = torch.tensor(tuple(factors), dtype=ratio.dtype, device=ratio.device)
    covered = (error <= scale[:, None] * estimate).to(ratio.dtype).mean(-1)
    return Calibration(torch.quantile(ratio, levels), scale, covered)
