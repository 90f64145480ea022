r"""The reverse SDE family: churn c, noise scale nu.

dx = [f x - (1+c)/2 g^2 score] dt + sqrt(c) nu g dw reads, in x/alpha and rho,

    d(x/alpha) = (1 + c) eps d rho + nu sqrt(2 c rho |d rho|) dw.

With the clean estimate x0 = x/alpha - rho eps frozen over the step it is linear and is solved
exactly:

    x'/alpha' = x/alpha + ((rho'/rho)^(1+c) - 1) rho eps
                + nu rho' sqrt(1 - (rho'/rho)^(2c)) z.

c = 0 is DDIM, c = 1 the ancestral sampler (the exact posterior of x' given x and x0). On SO(3)
the same tangent vector is applied by Exp: a geodesic random walk.

References
----------
.. [1] J. Ho, A. Jain, P. Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020,
   arXiv:2006.11239, eq. 7.
.. [2] C. Lu et al., "DPM-Solver++", arXiv:2211.01095, eq. 18 (SDE-DPM-Solver++ 1, c = 1).
.. [3] V. De Bortoli et al., "Riemannian score-based generative modelling", NeurIPS 2022,
   arXiv:2202.02763, algorithm 1 (geodesic random walk).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any

import torch
from torch import Tensor

from samplers.noise import NoiseSource
from samplers.spaces import State
from samplers.steppers.base import Evaluate, Plan, Stepper, Track, floats

__all__ = ["SAMPLERS", "SDE"]


@dataclass(frozen=True, kw_only=True)
class SDE(Stepper):
    """Exponential integrator of the reverse SDE with frozen clean estimate; weak order 1.

    Attributes
    ----------
    churn : float
        c >= 0; 0 is the probability-flow ODE, 1 the reverse SDE.
    noise_scale : float
        nu >= 0; scales the noise alone (1 keeps the marginals, less is colder).
    """

    churn: float = 1.0
    noise_scale: float = 1.0

    def __post_init__(self) -> None:
        """Check the parameters."""
        for what, value in (("churn", self.churn), ("noise_scale", self.noise_scale)):
            if not 0 <= value < inf:
                raise ValueError(f"{what} must be 0 or more, got {value}")

    def prepare(
        self, tracks: tuple[Track, ...], times: Tensor
    ) -> tuple[tuple[float, tuple[tuple[float, float, float], ...]], ...]:
        """Time, and for every component the factors of x, of the prediction and of the noise.

        Raises
        ------
        ValueError
            If the times increase: a diffusion cannot be run backwards.
        """
        if bool((times.diff() > 0).any()):
            raise ValueError(f"sampler {self.name!r} is stochastic and has no inverse")
        parts = []
        for track in tracks:
            nodes = track.at(times)
            p, q = (z[:-1] for z in nodes.reading(track.component.predicts, "eps"))
            alpha, sigma, log_ratio = nodes.alpha[1:], nodes.sigma[1:], nodes.log_rho.diff()
            rho = nodes.log_rho[:-1].exp()
            eps = alpha * rho * torch.expm1((1 + self.churn) * log_ratio)
            spread = (-torch.expm1(2 * self.churn * log_ratio)).clamp(min=0).sqrt()
            rows = (alpha / nodes.alpha[:-1] + eps * p, eps * q, self.noise_scale * sigma * spread)
            parts.append([tuple(row) for row in floats(torch.stack(rows, -1))])
        return tuple(
            (t, tuple(row))
            for t, row in zip(floats(times)[:-1], zip(*parts, strict=True), strict=True)
        )

    def step(
        self,
        evaluate: Evaluate,
        plan: Plan,
        k: int,
        state: State,
        memory: Any,
        noise: NoiseSource | None,
    ) -> tuple[State, Any]:
        """Advance by drift and noise together."""
        t, rows = plan.steps[k]
        values = evaluate(state, t)
        noisy = noise is not None and any(c > 0 for _, _, c in rows)
        result = []
        for part, (space, x, value) in enumerate(
            zip(plan.space.factors, state, values, strict=True)
        ):
            a, b, c = rows[part]
            weights, entries = [b], [value]
            if noise is not None and noisy:
                weights.append(c)
                entries.append(space.tangent_noise(x, noise.draw(part, k, value)))
            result.append(space.reach(x, a, weights, entries)[1])
        return tuple(result), None


SAMPLERS = (SDE(name="sde", order=1, deterministic=False),)
