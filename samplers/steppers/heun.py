r"""Heun's method in the clock s = log rho.

With v(x, s) = (d log alpha/ds) x + sigma eps on R^n and v = sigma eps on SO(3), h = log(rho'/rho):

    y  = Exp_x(h v(x, s)),
    x' = Exp_x(h/2 [v(x, s) + dexp^-1_{h v(x, s)} v(y, s')]).

On R^n this is the classical trapezoid; on SO(3) the second velocity is carried back to the
tangent space at x (Runge-Kutta-Munthe-Kaas of order 2). Two calls per step, none reused.

References
----------
.. [1] H. Munthe-Kaas, "High order Runge-Kutta methods on manifolds", Appl. Numer. Math. 29
   (1999) 115.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from samplers.noise import NoiseSource
from samplers.schedules import NoiseLaw
from samplers.spaces import State
from samplers.steppers.base import Coefficients, Evaluate, Node, Plan, Stepper

__all__ = ["Heun"]


@dataclass(frozen=True)
class Heun(Stepper):
    """Trapezoid rule with an Euler predictor, in log rho."""

    name: ClassVar[str] = "heun"
    order: ClassVar[int] = 2
    calls_per_step: ClassVar[int] = 2

    def coefficients(self, law: NoiseLaw, here: Node, there: Node) -> Coefficients:
        """Return h times (drift, sigma) at both ends."""
        h = math.log(there.rho / here.rho)
        return h * here.drift, h * here.sigma, h * there.drift, h * there.sigma

    def step(
        self,
        evaluate: Evaluate,
        plan: Plan,
        k: int,
        state: State,
        memory: object,
        noise: NoiseSource | None,
    ) -> tuple[State, object]:
        """Advance by predictor and corrector."""
        space, steps = plan.space, plan.steps[k]
        drift0, sigma0, drift1, sigma1 = zip(*steps, strict=True)

        def velocity(x: State, node: int, drift: Coefficients, sigma: Coefficients) -> State:
            eps = evaluate(x, node)
            return space.velocity(x, drift, tuple(s * e for s, e in zip(sigma, eps, strict=True)))

        first = velocity(state, k, drift0, sigma0)
        second = velocity(space.exp(state, first), k + 1, drift1, sigma1)
        second = space.pullback(first, second)
        mean = tuple(0.5 * (p + q) for p, q in zip(first, second, strict=True))
        return space.exp(state, mean), None
