r"""A pilot: the runs by which a grid is chosen.

A grid is fitted to a model, a sampler and a budget on *pilot* starts, which are other noises (and,
where the model is a closed form, other models) than those a result is reported on. A `Pilot`
holds what such a run needs and its truth, the end point of a run with many more steps; it measures
a grid by the deviation of its end points from the truth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from samplers.component import Component
from samplers.grids.density import DensityClock
from samplers.grids.fixed import Grid
from samplers.integrate import Field, integrate
from samplers.schedules import NoiseLaw
from samplers.spaces import State
from samplers.steppers.base import Stepper

__all__ = ["Pilot", "deviation"]


def deviation(
    components: Sequence[Component], x: State, y: State, scale: Sequence[float] | None = None
) -> Tensor:
    """Distance between two batches of states, one number per sample.

    Parameters
    ----------
    components : sequence of Component
    x, y : tuple of Tensor
        The first axis of every tensor counts samples.
    scale : sequence of float, optional
        Factor on each component's distance, default 1.

    Returns
    -------
    Tensor, shape=(samples,)
        Root of the sum over components of the squared distance, in each the root mean square over
        its points: coordinates of R^n, angles of SO(3).
    """
    factors = (1.0,) * len(components) if scale is None else tuple(scale)
    total = torch.zeros(x[0].shape[0], dtype=x[0].dtype, device=x[0].device)
    for c, a, b, factor in zip(components, x, y, factors, strict=True):
        if c.space.name == "euclidean":
            square = (a - b).square()
        else:
            square = c.space.distance(a, b).square()
        total = total + factor**2 * square.reshape(len(square), -1).mean(-1)
    return total.sqrt()


@dataclass(frozen=True, eq=False)
class Pilot:
    """A model with starts to try grids on.

    Attributes
    ----------
    field : callable (state, t) -> tuple of Tensor
        As for `samplers.integrate.integrate`.
    components : tuple of Component
    start : tuple of Tensor
        States at t_max; the first axis counts samples.
    t_min, t_max : float
        Ends of every grid.
    reference : Stepper
        Solves for the truth.
    fine : int
        Its steps, uniform in log rho.
    scale : tuple of float, optional
        Factor on each component's distance.
    step_scale : float
        Low-temperature factor of every run.
    """

    field: Field
    components: tuple[Component, ...]
    start: State
    t_min: float
    t_max: float
    reference: Stepper
    fine: int = 400
    scale: tuple[float, ...] | None = None
    step_scale: float = 1.0

    @property
    def law(self) -> NoiseLaw:
        """The law whose rho the clocks read: that of the first component."""
        return self.components[0].law

    @property
    def span(self) -> tuple[float, float]:
        """Ends of log rho, noise first."""
        return math.log(self.law.rho(self.t_max)), math.log(self.law.rho(self.t_min))

    def flat(self, knots: int) -> DensityClock:
        """Clock of constant density over the span."""
        high, low = self.span
        return DensityClock.flat(math.exp(low), math.exp(high), knots)

    def grid(self, clock: DensityClock, n: int) -> Grid:
        """Grid of ``n`` steps of a clock between the pilot's ends."""
        return clock.grid(n, self.law, t_min=self.t_min, t_max=self.t_max)

    def run(self, grid: Sequence[float], stepper: Stepper) -> State:
        """End points of all starts."""
        return integrate(
            self.field, self.start, grid, stepper, self.components, step_scale=self.step_scale
        )

    @cached_property
    def truth(self) -> State:
        """End points of the fine run."""
        return self.run(self.grid(self.flat(2), self.fine), self.reference)

    def deviation(self, grid: Sequence[float], stepper: Stepper) -> Tensor:
        """Deviation of the end points from the truth, shape=(samples,)."""
        return deviation(self.components, self.run(grid, stepper), self.truth, self.scale)

    def score(self, grid: Sequence[float], stepper: Stepper) -> float:
        """Mean log deviation, a smooth stand-in for the log median; inf where it blows up."""
        error = self.deviation(grid, stepper)
        value = float((error + 1e-12).log().mean())
        return value if math.isfinite(value) else math.inf
