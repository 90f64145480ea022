r"""What a stepper is.

A stepper turns predictions at some grid points into one step. It declares its order, its field
calls per step, the spaces it serves and whether it is deterministic, and gives

- `Stepper.coefficients`: floats of one step of one component, from the law and two nodes;
- `Stepper.step`: the step, written for a product space; it has no state of its own (what a
  multistep method must remember travels as ``memory``).

Most one-call methods have the form x' = move(x, a, b eps): `OneCall` implements it and the
subclass is only its two coefficients.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from samplers.noise import NoiseSource
from samplers.schedules import NoiseLaw
from samplers.spaces import Product, State

__all__ = ["BOTH_SPACES", "Coefficients", "Evaluate", "Node", "OneCall", "Plan", "Stepper"]

BOTH_SPACES = frozenset({"euclidean", "rotation"})

Coefficients = tuple[float, ...]
# (state, k) -> canonical eps = -sigma lambda_t score at grid point k, one per component
Evaluate = Callable[[State, int], State]


@dataclass(frozen=True)
class Node:
    """Coefficients of one component at one grid point, in float64.

    Attributes
    ----------
    t, alpha, sigma, rho : float
    drift : float
        d log alpha / d log rho.
    temperature : float
        lambda_t, see `samplers.integrate`.
    """

    t: float
    alpha: float
    sigma: float
    rho: float
    drift: float
    temperature: float


@dataclass(frozen=True)
class Plan:
    """Everything about a run that does not depend on the state.

    Attributes
    ----------
    times : tuple of float, length N + 1
    space : Product
    nodes : tuple, [N + 1][components]
    steps : tuple, [N][components]
        What `Stepper.coefficients` gave.
    """

    times: tuple[float, ...]
    space: Product
    nodes: tuple[tuple[Node, ...], ...]
    steps: tuple[tuple[Coefficients, ...], ...]


@dataclass(frozen=True)
class Stepper(ABC):
    """A method; see the module docstring."""

    name: ClassVar[str]
    order: ClassVar[int]
    calls_per_step: ClassVar[int]
    spaces: ClassVar[frozenset[str]] = BOTH_SPACES
    deterministic: ClassVar[bool] = True

    @abstractmethod
    def coefficients(self, law: NoiseLaw, here: Node, there: Node) -> Coefficients:
        """Floats of the step of one component from ``here`` down to ``there``."""

    @abstractmethod
    def step(
        self,
        evaluate: Evaluate,
        plan: Plan,
        k: int,
        state: State,
        memory: object,
        noise: NoiseSource | None,
    ) -> tuple[State, object]:
        """Advance from grid point k to k + 1.

        Parameters
        ----------
        evaluate : callable (state, k) -> tuple of Tensor
            Canonical eps at a grid point; each use is one field call.
        plan : Plan
        k : int
        state : tuple of Tensor
        memory : object
            What the previous step returned; None at the first.
        noise : NoiseSource or None

        Returns
        -------
        state : tuple of Tensor
        memory : object
        """


@dataclass(frozen=True)
class OneCall(Stepper):
    """Methods x' = a x + b eps on R^n and R' = R Exp(b eps) on SO(3)."""

    calls_per_step: ClassVar[int] = 1

    def step(
        self,
        evaluate: Evaluate,
        plan: Plan,
        k: int,
        state: State,
        memory: object,
        noise: NoiseSource | None,
    ) -> tuple[State, object]:
        """Advance by the two coefficients of each component."""
        steps = plan.steps[k]
        eps = evaluate(state, k)
        u = tuple(b * e for (_, b), e in zip(steps, eps, strict=True))
        return plan.space.move(state, tuple(a for a, _ in steps), u), None
