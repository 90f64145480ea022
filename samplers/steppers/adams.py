r"""Adams-Bashforth methods in log rho, orders 2 to 4; on SO(3) with transported history.

The velocity dx/d log rho itself is interpolated, without an exponential. On SO(3) the velocity
found at R_j enters as dexp_{u_j}^-1 of itself, u_j = Log(R^T R_j); used as it is, it would cap
the order at 2 (see `samplers.steppers.multistep`, also for the start).

References
----------
.. [1] E. Hairer, S. Norsett, G. Wanner, "Solving ordinary differential equations I", sec. III.1.
.. [2] A. Iserles, H. Munthe-Kaas, S. Norsett, A. Zanna, "Lie-group methods", Acta Numerica 9
   (2000) 215, sec. 3 (multistep methods in the chart).
"""

from __future__ import annotations

from samplers.steppers.multistep import Multistep

__all__ = ["SAMPLERS"]

SAMPLERS = tuple(Multistep(name=f"ab{nodes}", nodes=nodes, kind="rate") for nodes in (2, 3, 4))
