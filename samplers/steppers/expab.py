r"""Exponential Adams-Bashforth methods of order 2 to 4, in every prediction.

The prediction's interpolation polynomial in log rho through the last p grid points is integrated
exactly against the kernel of its linear equation (`samplers.steppers.weights`), for any step
sizes. The x0 form is the method of [1]_ and, with exact weights, what multistep DPM-Solver++
approximates; the eps form in this clock is log-rho DEIS ([2]_).

References
----------
.. [1] M. Hochbruck, A. Ostermann, "Exponential integrators", Acta Numerica 19 (2010) 209,
   sec. 2.5.
.. [2] Q. Zhang, Y. Chen, "Fast sampling of diffusion models with exponential integrator",
   ICLR 2023, arXiv:2204.13902, sec. 3.
"""

from __future__ import annotations

from samplers.steppers.multistep import Multistep

__all__ = ["SAMPLERS"]

SAMPLERS = tuple(
    Multistep(name=f"expab{nodes}_{kind}", nodes=nodes, kind=kind)
    for nodes in (2, 3, 4)
    for kind in ("x0", "eps", "v", "score")
)
