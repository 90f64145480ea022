r"""DEIS with polynomials in t: tAB ([1]_).

eps is interpolated in the law's own time t and integrated exactly over d rho: ``deis<p>`` has
order p and is tAB-DEIS of degree p - 1. The weights depend on how the law puts its time; for
polynomials in log rho see ``expab<p>_eps``.

References
----------
.. [1] Q. Zhang, Y. Chen, "Fast sampling of diffusion models with exponential integrator",
   ICLR 2023, arXiv:2204.13902, eq. 14-15.
"""

from __future__ import annotations

from samplers.steppers.multistep import Multistep

__all__ = ["SAMPLERS"]

SAMPLERS = tuple(
    Multistep(name=f"deis{nodes}", nodes=nodes, kind="eps", clock="t") for nodes in (2, 3, 4)
)
