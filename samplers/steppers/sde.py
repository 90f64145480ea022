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

import math
from dataclasses import dataclass
from typing import ClassVar

from samplers.noise import NoiseSource
from samplers.schedules import NoiseLaw
from samplers.spaces import State
from samplers.steppers.base import Coefficients, Evaluate, Node, Plan, Stepper

__all__ = ["SDE"]


@dataclass(frozen=True)
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

    name: ClassVar[str] = "sde"
    order: ClassVar[int] = 1
    calls_per_step: ClassVar[int] = 1
    deterministic: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Check the parameters."""
        for what, value in (("churn", self.churn), ("noise_scale", self.noise_scale)):
            if not 0 <= value < math.inf:
                raise ValueError(f"{what} must be 0 or more, got {value}")

    def coefficients(self, law: NoiseLaw, here: Node, there: Node) -> Coefficients:
        """Return the factors of x, of eps and of the noise."""
        log_ratio = math.log(there.rho / here.rho)
        eps = there.alpha * here.rho * math.expm1((1 + self.churn) * log_ratio)
        spread = math.sqrt(-math.expm1(2 * self.churn * log_ratio))
        return there.alpha / here.alpha, eps, self.noise_scale * there.sigma * spread

    def step(
        self,
        evaluate: Evaluate,
        plan: Plan,
        k: int,
        state: State,
        memory: object,
        noise: NoiseSource | None,
    ) -> tuple[State, object]:
        """Advance by drift and noise together."""
        steps = plan.steps[k]
        eps = evaluate(state, k)
        u = tuple(b * e for (_, b, _), e in zip(steps, eps, strict=True))
        if noise is not None and any(c > 0 for _, _, c in steps):
            normal = tuple(noise.draw(part, k, e) for part, e in enumerate(eps))
            normal = plan.space.tangent_noise(state, normal)
            u = tuple(v + c * z for v, (_, _, c), z in zip(u, steps, normal, strict=True))
        return plan.space.move(state, tuple(a for a, _, _ in steps), u), None
