r"""From data to noise: the probability-flow ODE upwards, and how well it comes back.

The flow is the same in both directions, so every deterministic method runs on the reversed grid
with its own order p. The way up and the way down are different maps, both h^p from the flow:
running down again misses the start by O(h^p), which is measured and returned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from samplers.component import Component
from samplers.integrate import Field, make_plan, run
from samplers.spaces import State
from samplers.steppers.base import Stepper

__all__ = ["Inversion", "invert"]


@dataclass(frozen=True, eq=False)
class Inversion:
    """Noise that a method leads back to the data.

    Attributes
    ----------
    noise : tuple of Tensor
        State at ``grid[0]``.
    back : tuple of Tensor
        Where the method ends when it starts from ``noise``.
    round_trip : tuple of Tensor
        Geodesic distances of ``back`` from the given state, one tensor per component.
    """

    noise: State
    back: State
    round_trip: tuple[Tensor, ...]


def invert(
    field: Field,
    state: State,
    grid: Sequence[float],
    stepper: Stepper,
    components: Sequence[Component],
    *,
    step_scale: float | Sequence[float] = 1.0,
) -> Inversion:
    """Carry a state from ``grid[-1]`` (data) up to ``grid[0]`` (noise).

    Parameters
    ----------
    field : callable (state, t) -> tuple of Tensor
    state : tuple of Tensor
        At ``grid[-1]``.
    grid : sequence of float
        Decreasing times, as for `samplers.integrate.integrate`.
    stepper : Stepper
        A deterministic one.
    components : sequence of Component
    step_scale : float or sequence of float

    Returns
    -------
    Inversion

    Raises
    ------
    ValueError
        If the stepper is stochastic or cannot use the grid in one of the two directions.
    """
    up, down = (
        make_plan(stepper, components, grid, step_scale=step_scale, upward=upward)
        for upward in (True, False)
    )
    noise = run(up, stepper, field, state)
    back = run(down, stepper, field, noise)
    return Inversion(noise, back, down.space.distance(state, back))
