r"""Euler's method in the clock s = log rho.

    dx/ds = (d log alpha/ds) x + sigma eps,        dR/ds = R hat(sigma eps)

    x' = (1 + h d log alpha/ds) x + h sigma eps,   R' = R Exp(h sigma eps),   h = log(rho'/rho).

For variance-preserving laws this is Euler for dx/ds = alpha^2 x - alpha x0, with coefficients
bounded at every noise level; on SO(3) it is geodesic Euler in log tau.
"""

from __future__ import annotations

from torch import Tensor

from samplers.steppers.stages import Moment, RungeKutta

__all__ = ["SAMPLERS", "Euler"]


class Euler(RungeKutta):
    """Explicit Euler in log rho."""

    def tableau(self, moment: Moment) -> list[list[Tensor | float]]:
        """One stage."""
        return [[moment(0, 1.0)]]


SAMPLERS = (Euler(name="euler", order=1, kind="rate"),)
