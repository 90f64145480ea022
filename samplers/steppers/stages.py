r"""One-step methods: explicit Runge-Kutta and exponential Runge-Kutta, in a chart.

With entries P_i of the stage points (predictions of one kind, see `samplers.steppers.weights`)

    x_i  = (m_i / m_0) x + sum_{j<i} a_ij P_j,      i = 1 ... s - 1,
    x'   = (m'  / m_0) x + sum_j b_j P_j.

A subclass gives the abscissae c_i and, from the moments

    M_j(c) = int_0^c K_c tau^j,       tau = (w - w_k) / (w_{k+1} - w_k) in [0, 1],

the weights. On a flat space with constant kernel M_j(c_i) / c_i^(j+1) = j! h phi_{j+1}, so the
order conditions of [1]_ are written with M_j in place of j! phi_{j+1}, and hold for every law.

The clock is w = log rho. One time t serves all components of a product, so inner stages must lie
at one fraction tau of the step for all of them: then w is the mean of log rho over the components.

References
----------
.. [1] M. Hochbruck, A. Ostermann, "Explicit exponential Runge-Kutta methods for semilinear
   parabolic problems", SIAM J. Numer. Anal. 43 (2005) 1069, table 2 (order conditions).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from samplers.noise import NoiseSource
from samplers.spaces import State
from samplers.steppers.base import Evaluate, Plan, Stepper, Track, floats
from samplers.steppers.weights import growth, integrate_kernel

__all__ = ["Moment", "RungeKutta", "StagePlan", "rates", "stage_times"]

Moment = Callable[[int, float], Tensor]  # (power j, abscissa c) -> M_j(c), one number per step
# factor of x, weights of entries, which entries
Row = tuple[float, tuple[float, ...], tuple[int, ...]]


@dataclass(frozen=True)
class StagePlan:
    """One step.

    Attributes
    ----------
    times : tuple of float
        Of the field calls.
    rows : tuple, [components][stages]
        Stage points after the first, then the end point.
    shifts : tuple, [components][stages]
        Entry = prediction + shift * coordinate.
    """

    times: tuple[float, ...]
    rows: tuple[tuple[Row, ...], ...]
    shifts: tuple[tuple[float, ...], ...]


def _common(tracks: Sequence[Track], t: Tensor) -> Tensor:
    """Clock w of the module docstring."""
    return torch.stack([track.component.law.rho(t).log() for track in tracks]).mean(0)


def stage_times(tracks: Sequence[Track], times: Tensor, abscissae: Sequence[float]) -> Tensor:
    """Return the times of the stages.

    Parameters
    ----------
    tracks : sequence of Track
    times : Tensor, shape=(N + 1,)
    abscissae : sequence of float
        Fractions of the step in [0, 1].

    Returns
    -------
    Tensor, shape=(N, stages)
    """
    w = _common(tracks, times)
    found = {0.0: times[:-1], 1.0: times[1:]}
    for c in abscissae:
        if c not in found:
            found[c] = _solve(tracks, w[:-1] + c * w.diff(), times)
    return torch.stack([found[c] for c in abscissae], -1)


def _solve(tracks: Sequence[Track], goal: Tensor, times: Tensor) -> Tensor:
    """Find the times between neighbouring grid points at which the common clock reads ``goal``."""
    low, high = torch.minimum(times[:-1], times[1:]), torch.maximum(times[:-1], times[1:])
    if len(tracks) == 1:
        law = tracks[0].component.law
        return torch.clamp(law.t_from_rho(goal.exp()), low, high)
    for _ in range(55):  # bisection: the clock increases with t
        middle = 0.5 * (low + high)
        below = _common(tracks, middle) < goal
        low, high = torch.where(below, middle, low), torch.where(below, high, middle)
    return 0.5 * (low + high)


def rates(
    track: Track, clocked: Sequence[Track], times: Tensor, at: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Velocity dx/dw = p x + q prediction of one component in the common clock, and step lengths.

    Parameters
    ----------
    track : Track
    clocked : sequence of Track
        Components that share the clock.
    times : Tensor, shape=(N + 1,)
    at : Tensor, shape=(N, stages)

    Returns
    -------
    p, q : Tensor, shape=(N, stages)
    lengths : Tensor, shape=(N,)
    """
    nodes = track.at(at)
    speed = nodes.slope / torch.stack([t.at(at).slope for t in clocked]).mean(0)
    p, q = nodes.reading(track.component.predicts, "rate")
    return p * speed, q * speed, _common(clocked, times).diff()


@dataclass(frozen=True, kw_only=True)
class RungeKutta(Stepper):
    """Explicit one-step method in the prediction ``kind``.

    Attributes
    ----------
    kind : {"eps", "x0", "score", "v", "flow", "rate"}
        What is taken as slowly varying.
    abscissae : tuple of float
        c_i, the first 0.
    """

    kind: str
    abscissae: tuple[float, ...] = (0.0,)

    @abstractmethod
    def tableau(self, moment: Moment) -> list[list[Tensor | float]]:
        """Weights, row by row: stages 1 ... s - 1, then the end point.

        Parameters
        ----------
        moment : callable (j, c) -> Tensor, shape=(N,)
            M_j(c).
        """

    def prepare(self, tracks: tuple[Track, ...], times: Tensor) -> tuple[StagePlan, ...]:
        """Weights and readings of every stage of every step."""
        at = stage_times(tracks, times, self.abscissae)
        inner = any(0 < c < 1 for c in self.abscissae)
        per_track = [self._one(t, tracks if inner else (t,), times, at) for t in tracks]
        return tuple(
            StagePlan(
                tuple(stage),
                tuple(rows[k] for rows, _ in per_track),
                tuple(shifts[k] for _, shifts in per_track),
            )
            for k, stage in enumerate(floats(at))
        )

    def _one(
        self, track: Track, clocked: tuple[Track, ...], times: Tensor, at: Tensor
    ) -> tuple[list[tuple[Row, ...]], list[tuple[float, ...]]]:
        """Rows and shifts of one component, per step, in the common clock of ``clocked``."""
        law, ends = track.component.law, track.at(times)
        origin = _common(clocked, times)[:-1]
        nodes = track.at(at)
        targets = [*nodes.log_rho[:, 1:].unbind(-1), ends.log_rho[1:]]
        places = (*self.abscissae[1:], 1.0)
        start = ends.log_rho[:-1]
        p, q, lengths = rates(track, clocked, times, at)
        if self.kind != "rate":
            p, q = nodes.reading(track.component.predicts, self.kind)

        def moment(power: int, c: float) -> Tensor:
            if self.kind == "rate":
                return lengths * (c ** (power + 1) / (power + 1))

            def fraction(s: Tensor) -> Tensor:
                w = s if len(clocked) == 1 else _common(clocked, law.t_from_rho(s.exp()))
                return ((w - origin[:, None]) / lengths[:, None]).pow(power)[None]

            stop = targets[places.index(c)]
            return integrate_kernel(law, self.kind, start, stop, fraction)[:, 0]

        shift = p / q
        tableau = self.tableau(moment)
        rows: list[list[Any]] = []
        for stop, weights in zip(targets, tableau, strict=True):
            full = [w + torch.zeros_like(lengths) for w in weights]
            factor = growth(law, self.kind, start, stop)
            if not track.curved:  # the base point is x itself: no separate operation
                factor = factor + full[0] * p[:, 0]
            used = [j for j, w in enumerate(full) if bool(w.any())]
            scaled = floats(torch.stack([full[j] * q[:, j] for j in used], -1))
            rows.append(
                [(a, tuple(w), tuple(used)) for a, w in zip(floats(factor), scaled, strict=True)]
            )
        shift[:, 0] = 0.0
        return [tuple(row) for row in zip(*rows, strict=True)], [tuple(s) for s in floats(shift)]

    def step(
        self,
        evaluate: Evaluate,
        plan: Plan,
        k: int,
        state: State,
        memory: Any,
        noise: NoiseSource | None,
    ) -> tuple[State, Any]:
        """Advance through the stages."""
        step: StagePlan = plan.steps[k]
        factors = plan.space.factors
        point = state
        coordinates: list[Tensor | None] = [None] * len(state)
        entries: list[list[Tensor]] = [[] for _ in state]
        for stage, t in enumerate(step.times):
            values = evaluate(point, t)
            reached = []
            for c, space in enumerate(factors):
                shift = step.shifts[c][stage]
                entries[c].append(space.entry(coordinates[c], values[c], shift))
                a, weights, used = step.rows[c][stage]
                picked = [entries[c][j] for j in used]
                reached.append(space.reach(state[c], a, weights, picked))
            coordinates = [u for u, _ in reached]
            point = tuple(y for _, y in reached)
        return point, None
