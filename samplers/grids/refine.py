r"""The grid that makes the error at the end smallest.

The unknowns are the log densities of a `DensityClock` at a few knots; the objective is the mean
log deviation of the end points from the truth of a pilot, plus a small ridge that takes out the
free constant of the log density and keeps unimportant pieces flat:

    min over a of   E log |x_N(a) - x(t_min)| + ridge mean(a^2).

The objective is smooth in a, so a quasi-Newton method (L-BFGS-B) with gradients by finite
differences finds a minimum in some tens of runs per unknown. No derivative of the field is needed,
and any sampler on any product of spaces can be served.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from samplers.grids.density import DensityClock
from samplers.grids.pilot import Pilot
from samplers.steppers.base import Stepper

__all__ = ["Fitted", "refine"]

#: Value of the objective where a run is not finite.
_LOST = 50.0
#: Largest log density, either way: points e^12 times denser in one place than in another.
_STEEPEST = 6.0


@dataclass(frozen=True)
class Fitted:
    """A fitted clock and how it did on the pilot.

    Attributes
    ----------
    clock : DensityClock
    before, after : float
        exp of the mean log deviation on the pilot, with the start clock and with the fitted one.
    runs : int
        Runs of the sampler that were spent.
    """

    clock: DensityClock
    before: float
    after: float
    runs: int


def refine(
    pilot: Pilot,
    stepper: Stepper,
    n: int,
    *,
    start: DensityClock | None = None,
    knots: int = 9,
    iterations: int = 30,
    ridge: float = 1e-3,
    tolerance: float = 1e-3,
    on_run: Callable[[int, float], None] | None = None,
) -> Fitted:
    """Fit the density of a grid of ``n`` steps.

    Parameters
    ----------
    pilot : Pilot
    stepper : Stepper
        Deterministic.
    n : int
        Steps.
    start : DensityClock, optional
        Where to begin, such as the clock of a neighbouring budget; default uniform in log rho.
    knots : int
        Number of unknowns of the default start.
    iterations : int
        Quasi-Newton iterations at most.
    ridge : float
        Weight of the mean squared log density.
    tolerance : float
        Relative progress of the objective below which the search ends.
    on_run : callable (runs, objective), optional
        Called after every run.

    Returns
    -------
    Fitted

    Raises
    ------
    ValueError
        If the sampler is stochastic.
    """
    if not stepper.deterministic:
        raise ValueError(f"a grid is fitted to a deterministic sampler, not to {stepper.name!r}")
    first = pilot.flat(knots) if start is None else start
    runs = 0

    def value(clock: DensityClock) -> float:
        nonlocal runs
        runs += 1
        try:
            score = pilot.score(pilot.grid(clock, n), stepper)
        except ValueError:  # two points fell together
            score = math.inf
        if on_run is not None:
            on_run(runs, score)
        return min(score, _LOST)

    def objective(a: NDArray[np.float64]) -> float:
        clock = DensityClock(first.knots, tuple(a.tolist()))
        return value(clock) + ridge * float(np.square(a).mean())

    before = value(first)
    a0 = np.array(first.log_density)
    found = minimize(
        objective,
        np.clip(a0 - a0.mean(), -_STEEPEST, _STEEPEST),
        method="L-BFGS-B",
        jac="2-point",
        bounds=[(-_STEEPEST, _STEEPEST)] * len(a0),
        options={"maxiter": iterations, "eps": 1e-4, "ftol": tolerance},
    )
    clock = DensityClock(first.knots, tuple(np.asarray(found.x).tolist()))
    after = value(clock)
    if after > before:
        clock, after = first, before
    return Fitted(clock, math.exp(before), math.exp(after), runs)
