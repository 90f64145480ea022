r"""The loop: a field, a state, a grid and a stepper give the reverse process.

Every component of the state follows, with c the churn, nu the noise scale and l0 the step scale,

    dx = [f x - (1 + c)/2 g^2 lambda_t score] dt + sqrt(c) nu g dw,
    lambda_t = l0 (alpha^2 + sigma^2) / (alpha^2 + sigma^2 l0),

where lambda_t is the ratio between the scores of N(0, I/l0) and N(0, I) after noising: exact
low-temperature sampling for unit Gaussians, lambda = 1 at l0 = 1. (Variance-preserving laws have
alpha^2 + sigma^2 = 1.)

Steppers see one canonical prediction on every space, eps = -sigma lambda_t score. In x/alpha and
rho = sigma/alpha the deterministic flow is d(x/alpha) = eps d rho; on SO(3), alpha = 1 and
dR = R hat(eps) d sigma.

The field is called as ``field(state, t)`` with the state as it is and t a float; it returns
a tuple with one prediction per component. All coefficients are computed beforehand in float64.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from samplers.grids import check
from samplers.noise import NoiseSource
from samplers.prediction import Kind, require_kind, to_eps
from samplers.schedules import NoiseLaw
from samplers.spaces import SO3, Product, Space, State
from samplers.steppers.base import Node, Plan, Stepper

__all__ = ["Component", "Field", "OnStep", "integrate", "make_plan", "temperature"]

Field = Callable[[State, float], tuple[Tensor, ...]]
OnStep = Callable[[int, float, State], None]


@dataclass(frozen=True)
class Component:
    """One factor of the state: its space, its noise law and what the field predicts for it.

    Attributes
    ----------
    space : Space
    law : NoiseLaw
        On SO(3) a variance-exploding one (alpha = 1).
    predicts : {"x0", "eps", "score", "v"}
        On SO(3) "score" (body frame).
    """

    space: Space
    law: NoiseLaw
    predicts: Kind

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
        require_kind(self.predicts)
        if isinstance(self.space, SO3):
            if self.predicts != "score":
                raise ValueError(
                    f"on SO(3) the field predicts the body-frame score, not {self.predicts!r}"
                )
            if self.law.alpha(0.5) != 1.0:
                raise ValueError(f"on SO(3) the law must have alpha = 1, got {self.law}")


def temperature(alpha: float, sigma: float, step_scale: float) -> float:
    """Score multiplier lambda_t of the module docstring."""
    a2, s2 = alpha * alpha, sigma * sigma
    return step_scale * (a2 + s2) / (a2 + s2 * step_scale)


def _node(component: Component, t: float, step_scale: float) -> Node:
    law = component.law
    alpha, sigma, rho = law.alpha(t), law.sigma(t), law.rho(t)
    if not 0 < rho < float("inf"):
        raise ValueError(f"{law} has rho = {rho} at t = {t}; move the end of the grid inwards")
    # d log alpha / d log rho, with d rho/dt = g^2 / (2 alpha^2 rho)
    drift = law.dlog_alpha(t) * 2 * sigma * sigma / law.g2(t)
    return Node(t, alpha, sigma, rho, drift, temperature(alpha, sigma, step_scale))


def make_plan(
    stepper: Stepper,
    components: Sequence[Component],
    grid: Sequence[float],
    *,
    step_scale: float | Sequence[float] = 1.0,
) -> Plan:
    """Compute every coefficient of a run in float64.

    Parameters
    ----------
    stepper : Stepper
    components : sequence of Component
    grid : sequence of float
        Decreasing times; see `samplers.grids`.
    step_scale : float or sequence of float
        l0, one for all components or one each; positive.

    Returns
    -------
    Plan

    Raises
    ------
    ValueError
        If the grid, the step scale or a space does not suit.
    """
    times = check(grid)
    scales = (
        (float(step_scale),) * len(components)
        if isinstance(step_scale, (int, float))
        else tuple(float(s) for s in step_scale)
    )
    if len(scales) != len(components):
        raise ValueError(f"{len(scales)} step scales for {len(components)} components")
    if not all(s > 0 for s in scales):
        raise ValueError(f"step_scale must be positive, got {step_scale}")
    for c in components:
        if c.space.name not in stepper.spaces:
            raise ValueError(f"sampler {stepper.name!r} does not serve {c.space.name} states")
    nodes = tuple(
        tuple(_node(c, t, s) for c, s in zip(components, scales, strict=True)) for t in times
    )
    steps = tuple(
        tuple(
            stepper.coefficients(c.law, a, b)
            for c, a, b in zip(components, here, there, strict=True)
        )
        for here, there in itertools.pairwise(nodes)
    )
    return Plan(times, Product(tuple(c.space for c in components)), nodes, steps)


def integrate(
    field: Field,
    state: State,
    grid: Sequence[float],
    stepper: Stepper,
    components: Sequence[Component],
    noise: NoiseSource | None = None,
    *,
    step_scale: float | Sequence[float] = 1.0,
    on_step: OnStep | None = None,
) -> State:
    """Run the reverse process from ``grid[0]`` to ``grid[-1]``.

    Parameters
    ----------
    field : callable (state, t) -> tuple of Tensor
        Pure function; one prediction per component, of the kind the component declares.
    state : tuple of Tensor
        Start, one tensor per component; any batch shape, any float dtype.
    grid : sequence of float
        Decreasing times; see `samplers.grids.make`.
    stepper : Stepper
        See `samplers.steppers.make`.
    components : sequence of Component
    noise : NoiseSource, optional
        Required by stochastic steppers, ignored by deterministic ones.
    step_scale : float or sequence of float
        l0 of the module docstring, one for all components or one each.
    on_step : callable (k, t, state), optional
        Called with k = 0 before the first step and after every step k = 1 ... N.

    Returns
    -------
    tuple of Tensor
        State at ``grid[-1]``; no final denoising call.

    Raises
    ------
    ValueError
        If the parts do not fit together.
    """
    plan = make_plan(stepper, components, grid, step_scale=step_scale)
    if len(state) != len(components):
        raise ValueError(f"{len(state)} tensors for {len(components)} components")
    if noise is None and not stepper.deterministic:
        raise ValueError(f"sampler {stepper.name!r} is stochastic and needs a noise source")

    def evaluate(point: State, k: int) -> State:
        values = field(point, plan.times[k])
        if len(values) != len(components):
            raise ValueError(f"the field gave {len(values)} of {len(components)} predictions")
        return tuple(
            _eps(c, n, x, v)
            for c, n, x, v in zip(components, plan.nodes[k], point, values, strict=True)
        )

    memory: object = None
    if on_step is not None:
        on_step(0, plan.times[0], state)
    for k in range(len(plan.steps)):
        state, memory = stepper.step(evaluate, plan, k, state, memory, noise)
        if on_step is not None:
            on_step(k + 1, plan.times[k + 1], state)
    return state


def _eps(component: Component, node: Node, x: Tensor, value: Tensor) -> Tensor:
    """Canonical prediction -sigma lambda_t score."""
    eps = to_eps(value, component.predicts, x, node.alpha, node.sigma)
    return eps if node.temperature == 1.0 else node.temperature * eps
