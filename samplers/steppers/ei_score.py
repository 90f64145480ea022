r"""Exponential integrator with frozen score, the EI of the convergence theory.

Freezing the score in d(x/alpha) = -sigma score d rho gives

    x' = (alpha'/alpha) x - alpha' J score,     J = int_rho^rho' sigma d rho,
    R' = R Exp((tau - tau')/2 score),

with J = 1/alpha' - 1/alpha for variance-preserving laws, hence
x' = e^h x + (e^h - 1) score with e^h = alpha'/alpha, and J = (sigma'^2 - sigma^2)/2 for
variance-exploding ones.

References
----------
.. [1] R. Li, Q. Di, Q. Gu, "Unified convergence analysis for score-based diffusion models with
   deterministic samplers", ICLR 2025, arXiv:2410.14237 (exponential integrator scheme).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from samplers.schedules import NoiseLaw
from samplers.steppers.base import Coefficients, Node, OneCall

__all__ = ["EIScore"]


@dataclass(frozen=True)
class EIScore(OneCall):
    """Frozen-score exponential integrator."""

    name: ClassVar[str] = "ei_score"
    order: ClassVar[int] = 1

    def coefficients(self, law: NoiseLaw, here: Node, there: Node) -> Coefficients:
        """Return alpha'/alpha and alpha' J / sigma (eps = -sigma score)."""
        integral = law.sigma_drho(here.t, there.t)
        return there.alpha / here.alpha, there.alpha * integral / here.sigma
