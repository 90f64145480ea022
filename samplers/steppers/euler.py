r"""Euler's method in the clock s = log rho.

    dx/ds = (d log alpha/ds) x + sigma eps,        dR/ds = R hat(sigma eps)

    x' = (1 + h d log alpha/ds) x + h sigma eps,   R' = R Exp(h sigma eps),   h = log(rho'/rho).

For variance-preserving laws this is Euler for dx/ds = alpha^2 x - alpha x0, with coefficients
bounded at every noise level; on SO(3) it is geodesic Euler in log tau.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from samplers.schedules import NoiseLaw
from samplers.steppers.base import Coefficients, Node, OneCall

__all__ = ["Euler"]


@dataclass(frozen=True)
class Euler(OneCall):
    """Explicit Euler in log rho."""

    name: ClassVar[str] = "euler"
    order: ClassVar[int] = 1

    def coefficients(self, law: NoiseLaw, here: Node, there: Node) -> Coefficients:
        """Return 1 + h d log alpha/ds and h sigma."""
        h = math.log(there.rho / here.rho)
        return 1 + h * here.drift, h * here.sigma
