r"""Exponential integrator with frozen eps, that is deterministic DDIM.

Freezing eps in d(x/alpha) = eps d rho gives

    x' = (alpha'/alpha) x + alpha' (rho' - rho) eps = alpha' x0 + sigma' eps,
    R' = R Exp((sigma' - sigma) eps) = R Exp((sigma - sigma') sigma score).

Freezing x0 instead gives the same map on R^n (DPM-Solver++ of order 1).

References
----------
.. [1] J. Song, C. Meng, S. Ermon, "Denoising diffusion implicit models", ICLR 2021,
   arXiv:2010.02502, eq. 12 with eta = 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from samplers.schedules import NoiseLaw
from samplers.steppers.base import Coefficients, Node, OneCall

__all__ = ["EIEps"]


@dataclass(frozen=True)
class EIEps(OneCall):
    """DDIM."""

    name: ClassVar[str] = "ei_eps"
    order: ClassVar[int] = 1

    def coefficients(self, law: NoiseLaw, here: Node, there: Node) -> Coefficients:
        """Return alpha'/alpha and alpha' (rho' - rho)."""
        return there.alpha / here.alpha, there.alpha * (there.rho - here.rho)
