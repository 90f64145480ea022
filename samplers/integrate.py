r"""The loop: a field, a state, a grid and a stepper give the reverse process.

The field is called as ``field(state, t)`` with the state as it is and t a float; it returns
a tuple with one prediction per component (`samplers.component` has the equations). All
coefficients are computed beforehand, in float64, by `make_plan`; `run` then only multiplies and
adds. It reads no value of a tensor and moves none, so it compiles as one graph
(``torch.compile(fullgraph=True)`` of a function of the state) and can be captured in a CUDA graph,
as far as the field can. Times reach the field as Python floats: constants of the compiled loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from samplers.component import Component
from samplers.grids import check
from samplers.noise import NoiseSource
from samplers.spaces import Product, State
from samplers.steppers.base import Plan, Stepper, Track

__all__ = ["Component", "Field", "OnStep", "integrate", "make_plan", "run"]

Field = Callable[[State, float], tuple[Tensor, ...]]
OnStep = Callable[[int, float, State], None]


def make_plan(
    stepper: Stepper,
    components: Sequence[Component],
    grid: Sequence[float],
    *,
    step_scale: float | Sequence[float] = 1.0,
    upward: bool = False,
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
    upward : bool
        Visit the grid from its last time to its first: from data to noise.

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
    tracks = tuple(Track(c, s) for c, s in zip(components, scales, strict=True))
    visited = times[::-1] if upward else times
    at = torch.tensor(visited, dtype=torch.float64)
    return Plan(
        visited,
        Product(tuple(c.space for c in components)),
        tuple(track.at(at) for track in tracks),
        stepper.prepare(tracks, at),
    )


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
    return run(plan, stepper, field, state, noise, on_step=on_step)


def run(
    plan: Plan,
    stepper: Stepper,
    field: Field,
    state: State,
    noise: NoiseSource | None = None,
    *,
    on_step: OnStep | None = None,
) -> State:
    """Run a plan; see `integrate`.

    Parameters
    ----------
    plan : Plan
        Of the same stepper.
    stepper : Stepper
    field : callable (state, t) -> tuple of Tensor
    state : tuple of Tensor
    noise : NoiseSource, optional
    on_step : callable (k, t, state), optional

    Returns
    -------
    tuple of Tensor

    Raises
    ------
    ValueError
        If the parts do not fit together.
    """
    count = len(plan.space.factors)
    if len(state) != count:
        raise ValueError(f"{len(state)} tensors for {count} components")
    if noise is None and not stepper.deterministic:
        raise ValueError(f"sampler {stepper.name!r} is stochastic and needs a noise source")

    def evaluate(point: State, t: float) -> State:
        values = field(point, t)
        if len(values) != count:
            raise ValueError(f"the field gave {len(values)} of {count} predictions")
        return values

    memory = None
    if on_step is not None:
        on_step(0, plan.times[0], state)
    for k in range(len(plan.steps)):
        state, memory = stepper.step(evaluate, plan, k, state, memory, noise)
        if on_step is not None:
            on_step(k + 1, plan.times[k + 1], state)
    return state
