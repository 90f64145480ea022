r"""Heun's method in the clock s = log rho.

With v(x, s) = (d log alpha/ds) x + sigma eps on R^n and v = sigma eps on SO(3), h = log(rho'/rho):

    y  = Exp_x(h v(x, s)),
    x' = Exp_x(h/2 [v(x, s) + dexp^-1_{h v(x, s)} v(y, s')]).

On R^n this is the classical trapezoid; on SO(3) the second velocity is carried back to the
tangent space at x (Runge-Kutta-Munthe-Kaas of order 2). Two calls per step, none reused.

References
----------
.. [1] H. Munthe-Kaas, "High order Runge-Kutta methods on manifolds", Appl. Numer. Math. 29
   (1999) 115.
"""

from __future__ import annotations

from torch import Tensor

from samplers.steppers.stages import Moment, RungeKutta

__all__ = ["SAMPLERS", "Heun"]


class Heun(RungeKutta):
    """Trapezoid rule with an Euler predictor, in log rho."""

    def tableau(self, moment: Moment) -> list[list[Tensor | float]]:
        """Two stages, c = 0 and 1."""
        h = moment(0, 1.0)
        return [[h], [h / 2, h / 2]]


SAMPLERS = (Heun(name="heun", order=2, calls_per_step=2, kind="rate", abscissae=(0.0, 1.0)),)
