r"""The best subset of a fine grid by dynamic programming ([1]_).

Along the true trajectory x(t_0), ..., x(t_M) of a pilot the cost of a step from i to j is the mean
deviation of one step of a first-order method from x(t_i) and the truth x(t_j). A grid with N steps
is a path of N edges from 0 to M; the cheapest is found exactly in O(N M^2). The field is called M
times on top of the trajectory (a run of `Pilot.fine` steps), however large N is.

Costs are local: how the flow grows or shrinks them on the way to the end is not seen, and a
multistep method's start is not either. `samplers.grids.refine` sees both and costs more.

References
----------
.. [1] D. Chen, Z. Zhou, C. Wang, C. Shen, S. Lyu, "On the trajectory regularity of ODE-based
   diffusion sampling", ICML 2024, arXiv:2405.11326, sec. 4 (GITS).
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from samplers.grids.fixed import Grid
from samplers.grids.pilot import Pilot, deviation
from samplers.integrate import integrate
from samplers.spaces import State
from samplers.steppers.base import Stepper

__all__ = ["cheapest_path", "shortest_path", "step_costs"]

_Array = NDArray[np.float64]


def step_costs(pilot: Pilot, stepper: Stepper, *, fine: int = 48) -> tuple[Grid, _Array]:
    """Cost of every step between points of a fine grid.

    Parameters
    ----------
    pilot : Pilot
    stepper : Stepper
        One call per step.
    fine : int
        Steps M of the fine grid, uniform in log rho.

    Returns
    -------
    times : tuple of float, length M + 1
    costs : ndarray, shape=(M + 1, M + 1)
        Entry (i, j) for the step from i to j > i; inf elsewhere.

    Raises
    ------
    ValueError
        If the sampler is stochastic or calls the field more than once a step.
    """
    if not stepper.deterministic or stepper.calls_per_step != 1:
        raise ValueError(
            f"costs need a deterministic sampler with one call per step, not {stepper.name!r}"
        )
    between = max(1, math.ceil(pilot.fine / fine))
    dense = pilot.grid(pilot.flat(2), fine * between)
    times = dense[::between]
    path: list[State] = []

    def keep(k: int, t: float, state: State) -> None:
        if k % between == 0:
            path.append(state)

    solve = partial(integrate, components=pilot.components, step_scale=pilot.step_scale)
    solve(pilot.field, pilot.start, dense, pilot.reference, on_step=keep)
    costs = np.full((fine + 1, fine + 1), np.inf)
    for i in range(fine):
        here = path[i]
        known = pilot.field(here, times[i])

        def frozen(state: State, t: float, known: tuple[Tensor, ...] = known) -> State:
            return known

        for j in range(i + 1, fine + 1):
            end = solve(frozen, here, (times[i], times[j]), stepper)
            error = deviation(pilot.components, end, path[j], pilot.scale)
            costs[i, j] = float(error.mean())
    return times, costs


def cheapest_path(costs: _Array, n: int) -> tuple[int, ...]:
    """Nodes of the cheapest path with ``n`` edges from the first to the last node.

    Raises
    ------
    ValueError
        If ``n`` is not between 1 and the number of nodes less one.
    """
    last = len(costs) - 1
    if not 1 <= n <= last:
        raise ValueError(f"a path over {last + 1} points has 1 to {last} steps, not {n}")
    best = np.full(last + 1, np.inf)
    best[0] = 0.0
    came = []
    for _ in range(n):
        total = best[:, None] + costs
        came.append(total.argmin(0))
        best = total.min(0)
    nodes = [last]
    for step in reversed(came):
        nodes.append(int(step[nodes[-1]]))
    return tuple(reversed(nodes))


def shortest_path(pilot: Pilot, stepper: Stepper, n: int, *, fine: int = 48) -> Grid:
    """Grid of ``n`` steps with the smallest sum of costs.

    Parameters
    ----------
    pilot, stepper, fine
        As for `step_costs`.
    n : int
        Steps, at most ``fine``.

    Returns
    -------
    tuple of float, length n + 1, decreasing
    """
    times, costs = step_costs(pilot, stepper, fine=fine)
    return tuple(times[k] for k in cheapest_path(costs, n))
