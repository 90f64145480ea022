r"""The classical Runge-Kutta method in log rho; on SO(3) Munthe-Kaas' RKMK4.

c = 0, 1/2, 1/2, 1 and b = 1/6, 1/3, 1/3, 1/6. On SO(3) every velocity is carried into the chart
at R by the full dexp^-1: averaging the tangent vectors as they are has order 2 only.

References
----------
.. [1] H. Munthe-Kaas, "High order Runge-Kutta methods on manifolds", Appl. Numer. Math. 29
   (1999) 115.
"""

from __future__ import annotations

from torch import Tensor

from samplers.steppers.stages import Moment, RungeKutta

__all__ = ["SAMPLERS", "RK4"]


class RK4(RungeKutta):
    """Classical Runge-Kutta."""

    def tableau(self, moment: Moment) -> list[list[Tensor | float]]:
        """Four stages."""
        h = moment(0, 1.0)
        return [[h / 2], [0.0, h / 2], [0.0, 0.0, h], [h / 6, h / 3, h / 3, h / 6]]


SAMPLERS = (
    RK4(name="rk4", order=4, calls_per_step=4, kind="rate", abscissae=(0.0, 0.5, 0.5, 1.0)),
)
