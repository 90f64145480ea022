r"""Exponential Runge-Kutta methods that meet the order conditions of [1]_.

Conditions ([1]_, table 2) with the moments M_j of `samplers.steppers.stages` in place of
j! phi_{j+1}, and psi_{j,i} = M_{j-1}(c_i) - sum_k a_ik c_k^{j-1}:

    order 2   sum b_i = M_0(1),  sum b_i c_i = M_1(1)
    order 3   sum b_i c_i^2 = M_2(1) as h -> 0,  sum b_i psi_{2,i} = 0
    order 4   sum b_i c_i^3 = M_3(1) as h -> 0,  sum b_i psi_{3,i} = 0,
              sum b_i sum_j a_ij psi_{2,j} = 0,  sum b_i c_i psi_{2,i} = 0

    exprk2   c = 0, 1: the trapezoid that is exact for linear P (ETD2RK)
    exprk3   c = 0, 1/3, 2/3 with b_2 = 0. In eps this is DPM-Solver-3 ([2]_, algorithm 2), in
             x0 DPM-Solver++ 3S ([3]_)
    exprk4   five stages, c = 0, 1/2, 1/2, 1, 1/2: the scheme (5.19) of [1]_, its a_ij solved from
             the conditions above for the law's own kernel. Four stages cannot meet them.

dpm_solver_2 is DPM-Solver-2 ([2]_, algorithm 1): c = 0, 1/2 and b_2 = M_0(1), the exponential
midpoint rule in eps, whose second condition holds as h -> 0.

References
----------
.. [1] M. Hochbruck, A. Ostermann, "Explicit exponential Runge-Kutta methods for semilinear
   parabolic problems", SIAM J. Numer. Anal. 43 (2005) 1069.
.. [2] C. Lu et al., "DPM-Solver", NeurIPS 2022, arXiv:2206.00927.
.. [3] C. Lu et al., "DPM-Solver++", arXiv:2211.01095.
"""

from __future__ import annotations

from torch import Tensor

from samplers.steppers.stages import Moment, RungeKutta

__all__ = ["SAMPLERS", "ExpMidpoint", "ExpRK2", "ExpRK3", "ExpRK4"]


class ExpMidpoint(RungeKutta):
    """Two stages, the second at half the step."""

    def tableau(self, moment: Moment) -> list[list[Tensor | float]]:
        """Weight the midpoint alone."""
        return [[moment(0, 0.5)], [0.0, moment(0, 1.0)]]


class ExpRK2(RungeKutta):
    """Two stages, the second at the end."""

    def tableau(self, moment: Moment) -> list[list[Tensor | float]]:
        """Weight by linear interpolation."""
        m0, m1 = moment(0, 1.0), moment(1, 1.0)
        return [[m0], [m0 - m1, m1]]


class ExpRK3(RungeKutta):
    """Three stages, c = 0, 1/3, 2/3."""

    def tableau(self, moment: Moment) -> list[list[Tensor | float]]:
        """Interpolate linearly, twice."""
        c2, c3 = self.abscissae[1:]
        a32, b3 = moment(1, c3) / c2, moment(1, 1.0) / c3
        return [[moment(0, c2)], [moment(0, c3) - a32, a32], [moment(0, 1.0) - b3, 0.0, b3]]


class ExpRK4(RungeKutta):
    """Five stages, c = 0, 1/2, 1/2, 1, 1/2."""

    def tableau(self, moment: Moment) -> list[list[Tensor | float]]:
        """Solve the order conditions of the module docstring.

        psi_{2,3} = -psi_{2,2} and a_i2 = a_i3 settle the third condition of order 4; psi_{2,4} =
        psi_{2,5} = 0; the second one then fixes a_54.
        """
        half, full = (tuple(moment(j, c) for j in range(3)) for c in (0.5, 1.0))
        a32 = 4 * half[1]
        a42 = full[1]
        b4, b5 = 2 * full[2] - full[1], 4 * (full[1] - full[2])  # quadratic through 0, 1/2, 1
        balance = half[2] + b4 / b5 * (full[2] - full[1] / 2)
        a54 = 2 * balance - half[1]
        a52 = half[1] - a54
        return [
            [half[0]],
            [half[0] - a32, a32],
            [full[0] - 2 * a42, a42, a42],
            [half[0] - 2 * a52 - a54, a52, a52, a54],
            [full[0] - b4 - b5, 0.0, 0.0, b4, b5],
        ]


_THIRDS = (0.0, 1 / 3, 2 / 3)
SAMPLERS = (
    ExpRK2(name="exprk2_x0", order=2, calls_per_step=2, kind="x0", abscissae=(0.0, 1.0)),
    ExpRK3(name="exprk3_x0", order=3, calls_per_step=3, kind="x0", abscissae=_THIRDS),
    ExpRK4(
        name="exprk4_x0",
        order=4,
        calls_per_step=5,
        kind="x0",
        abscissae=(0.0, 0.5, 0.5, 1.0, 0.5),
    ),
    ExpMidpoint(name="dpm_solver_2", order=2, calls_per_step=2, kind="eps", abscissae=(0.0, 0.5)),
    ExpRK3(name="dpm_solver_3", order=3, calls_per_step=3, kind="eps", abscissae=_THIRDS),
)
