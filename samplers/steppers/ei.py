r"""Exponential integrators of order 1: one prediction frozen over the step, the rest exact.

Which papers mean which:

    ei_score    x' = (alpha'/alpha) x - alpha' J score,  J = int sigma d rho. "Exponential
                integrator" of the convergence theory ([1]_ and its relatives). For variance-
                preserving laws x' = e^h x + (e^h - 1) score with e^h = alpha'/alpha; on SO(3)
                R' = R Exp((tau - tau')/2 score).
    ei_eps      x' = (alpha'/alpha) x + alpha' (rho' - rho) eps = alpha' x0 + sigma' eps. This is
                deterministic DDIM ([2]_, eq. 12 with eta = 0), DPM-Solver-1 ([3]_) and tAB0-DEIS;
                the "DDIM scheme" of [1]_ with a variance-exploding law.
    ei_x0       x' = (sigma'/sigma) x + (alpha' - alpha sigma'/sigma) x0. DPM-Solver++ of order 1
                ([4]_): the same map as ei_eps.
    ei_v        x' = (m'/m) x + m' int rho/((1 + rho^2) m) ds v, m = sqrt(alpha^2 + sigma^2); for
                variance-preserving laws x' = x + (phi' - phi) v, phi = atan rho: Euler in the
                angle of [5]_. (The v-prediction form of DDIM in [5]_ is ei_eps again.)

    ei_flow     x' = (m'/m) x + m' (1/(1 + rho) - 1/(1 + rho')) flow, m = alpha + sigma; for the
                straight-line law x' = x + (t' - t) flow: Euler's method of flow matching ([6]_).

On SO(3) x0 stands for the coordinate of the clean estimate in the chart at R.

References
----------
.. [1] R. Li, Q. Di, Q. Gu, "Unified convergence analysis for score-based diffusion models with
   deterministic samplers", ICLR 2025, arXiv:2410.14237.
.. [2] J. Song, C. Meng, S. Ermon, "Denoising diffusion implicit models", ICLR 2021,
   arXiv:2010.02502.
.. [3] C. Lu et al., "DPM-Solver", NeurIPS 2022, arXiv:2206.00927, eq. 3.7.
.. [4] C. Lu et al., "DPM-Solver++", arXiv:2211.01095.
.. [5] T. Salimans, J. Ho, "Progressive distillation", ICLR 2022, arXiv:2202.00512, appendix D.
.. [6] X. Liu, C. Gong, Q. Liu, "Flow straight and fast", arXiv:2209.03003.
"""

from __future__ import annotations

from torch import Tensor

from samplers.steppers.stages import Moment, RungeKutta

__all__ = ["SAMPLERS", "ExponentialIntegrator"]


class ExponentialIntegrator(RungeKutta):
    """One prediction frozen; a stochastic one is `samplers.steppers.sde`."""

    def tableau(self, moment: Moment) -> list[list[Tensor | float]]:
        """One stage."""
        return [[moment(0, 1.0)]]


SAMPLERS = tuple(
    ExponentialIntegrator(name=f"ei_{kind}", order=1, kind=kind)
    for kind in ("score", "eps", "x0", "v", "flow")
)
