r"""Commutator-free method of order 4 in log rho.

With k_i the velocities at Y_1 = R, Y_2 = R Exp(h/2 k_1), Y_3 = R Exp(h/2 k_2) and
Y_4 = Y_2 Exp(h k_3 - h/2 k_1),

    R' = R Exp(h/12 [3 k_1 + 2 k_2 + 2 k_3 - k_4]) Exp(h/12 [-k_1 + 2 k_2 + 2 k_3 + 3 k_4]).

Four calls and five exponentials; no dexp^-1, so no bound on the angle of a step but that of the
field. On R^n it is the classical Runge-Kutta method.

References
----------
.. [1] E. Celledoni, A. Marthinsen, B. Owren, "Commutator-free Lie group methods", Future
   Generation Computer Systems 19 (2003) 341, sec. 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from samplers.noise import NoiseSource
from samplers.spaces import Space, State
from samplers.steppers.base import Evaluate, Plan, Stepper, Track, floats
from samplers.steppers.stages import rates, stage_times

__all__ = ["SAMPLERS", "CF4"]


@dataclass(frozen=True, kw_only=True)
class CF4(Stepper):
    """Celledoni, Marthinsen and Owren's method on four stages."""

    def prepare(
        self, tracks: tuple[Track, ...], times: Tensor
    ) -> tuple[tuple[tuple[float, ...], tuple[tuple[tuple[float, ...], ...], ...]], ...]:
        """Give the times; for every component h times, and the shift of, each velocity."""
        at = stage_times(tracks, times, (0.0, 0.5, 0.5, 1.0))
        parts = []
        for track in tracks:
            p, q, h = rates(track, tracks, times, at)
            scale, shift = floats(h[:, None] * q), floats(p / q)
            parts.append([(tuple(a), tuple(b)) for a, b in zip(scale, shift, strict=True)])
        by_step = zip(*parts, strict=True)
        return tuple((tuple(t), row) for t, row in zip(floats(at), by_step, strict=True))

    def step(
        self,
        evaluate: Evaluate,
        plan: Plan,
        k: int,
        state: State,
        memory: Any,
        noise: NoiseSource | None,
    ) -> tuple[State, Any]:
        """Advance through four stages and two half ways."""
        times, parts = plan.steps[k]
        factors = plan.space.factors
        velocities: list[State] = []

        def move(origin: State, *weights: float) -> State:
            return tuple(
                _move(space, x, [w * f for w, f in zip(weights, scale, strict=False)], ks)
                for space, x, (scale, _), ks in zip(
                    factors, origin, parts, zip(*velocities, strict=True), strict=True
                )
            )

        def call(point: State, stage: int) -> None:
            values = evaluate(point, times[stage])
            velocities.append(
                tuple(
                    space.recall(x, (space.record(x, v, shift[stage]),), shift[stage:])[0]
                    for space, x, v, (_, shift) in zip(factors, point, values, parts, strict=True)
                )
            )

        call(state, 0)
        second = move(state, 1 / 2)
        call(second, 1)
        call(move(state, 0.0, 1 / 2), 2)
        call(move(second, -1 / 2, 0.0, 1.0), 3)
        middle = move(state, 1 / 4, 1 / 6, 1 / 6, -1 / 12)
        return move(middle, -1 / 12, 1 / 6, 1 / 6, 1 / 4), None


def _move(space: Space, x: Tensor, weights: list[float], entries: State) -> Tensor:
    used = [i for i, w in enumerate(weights) if w != 0.0]
    return space.reach(x, 1.0, [weights[i] for i in used], [entries[i] for i in used])[1]


SAMPLERS = (CF4(name="cf4", order=4, calls_per_step=4),)
