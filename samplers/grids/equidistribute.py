r"""Defect equidistribution: points where steps hurt.

A step of length h at s = log rho of a method of order p puts an error C(s) h^{p+1} into the *end
point* (its local defect carried along the flow). With N points the sum of the defects is smallest
where every step has the same share, that is for a density of points

    1 / h(s)  proportional to  C(s)^{1/(p+1)}.

C is measured by step doubling: in a fine uniform run one window of m steps is taken in a single
step, and the end points are compared. Every window costs one run. Nothing about the method is
used but its order, so multistep methods and curved spaces are served alike.

References
----------
.. [1] E. Hairer, S. Norsett, G. Wanner, "Solving ordinary differential equations I", sec. II.4
   (step control by local error), and [2]_ for equidistribution of a monitor function.
.. [2] C. de Boor, "Good approximation by splines with variable knots II", LNM 363 (1974) 12.
"""

from __future__ import annotations

import math

from samplers.grids.density import DensityClock
from samplers.grids.pilot import Pilot, deviation
from samplers.steppers.base import Stepper

__all__ = ["equidistribute", "window_defects"]

#: Relative size of a defect below which only rounding is seen.
_FLOOR = 1e-12


def window_defects(
    pilot: Pilot, stepper: Stepper, *, windows: int = 16, steps: int = 4
) -> tuple[tuple[float, float], ...]:
    """Error at the end caused by one long step in each window of log rho.

    Parameters
    ----------
    pilot : Pilot
        Its truth is not needed.
    stepper : Stepper
    windows : int
        Windows of equal length in log rho.
    steps : int
        Steps per window of the fine run, at least 2.

    Returns
    -------
    tuple of (float, float)
        Centre of the window in log rho and geometric mean over samples of the deviation; noise
        first.
    """
    if steps < 2 or windows < 1:
        raise ValueError(f"need a window or more of 2 steps or more, got {windows} of {steps}")
    fine = pilot.grid(pilot.flat(2), windows * steps)
    end = pilot.run(fine, stepper)
    high, low = pilot.span
    width = (low - high) / windows
    found = []
    for k in range(windows):
        coarse = fine[: k * steps + 1] + fine[(k + 1) * steps :]
        error = deviation(pilot.components, pilot.run(coarse, stepper), end, pilot.scale)
        found.append((high + (k + 0.5) * width, float((error + _FLOOR).log().mean().exp())))
    return tuple(found)


def equidistribute(
    pilot: Pilot, stepper: Stepper, *, windows: int = 16, steps: int = 4
) -> DensityClock:
    """Clock with the density that gives every step the same share of the error.

    Parameters
    ----------
    pilot, stepper, windows, steps
        As for `window_defects`.

    Returns
    -------
    DensityClock
        Knots at the centres of the windows.

    Raises
    ------
    ValueError
        If the sampler is stochastic, or a defect is not finite.
    """
    if not stepper.deterministic:
        raise ValueError(f"a grid is fitted to a deterministic sampler, not to {stepper.name!r}")
    defects = sorted(window_defects(pilot, stepper, windows=windows, steps=steps))
    if not all(math.isfinite(e) for _, e in defects):
        raise ValueError(f"sampler {stepper.name!r} is not finite on the pilot's fine grid")
    return DensityClock(
        tuple(s for s, _ in defects),
        tuple(math.log(e) / (stepper.order + 1) for _, e in defects),
    )
