r"""Multistep methods with one call per step: Adams-Bashforth, and predictor-corrector, in a chart.

At grid point k the field is called once, at the predicted point. With p the number of nodes and
P_j the entry of grid point j (a prediction of one kind, interpolated in a clock; weights in
`samplers.steppers.weights`),

    correct   x_k    = (m_k / m_{k-1}) x_{k-1} + int K_k  [P through k, k-1, ..., k-p],
    predict   x_{k+1} = (m_{k+1} / m_k) x_k    + int K_{k+1} [P through k, ..., k-p+1].

Without the corrector this is an exponential Adams-Bashforth method of order p. With it the order
is p + 1: P_k is taken at the predicted point, whose error h^{p+1} enters multiplied by h, and
the last prediction loses one power of h once.

On SO(3) every entry is carried into the chart at the current base point: its coordinate is
u_j = Log(R^T R_j), its value dexp_{u_j}^-1 of the velocity found at R_j. History used as it is
would cap the order at 2.

Start. A run of order K needs first steps of local order K. The Euler start of textbooks caps the
order at 2. Here

    K <= 2   nothing is needed;
    K = 3    x_1 is corrected with P_1 once it is known, no additional call;
    K = 4    x_1 is corrected and evaluated anew (one additional call), x_2 is corrected from x_0
             over two steps with P_0, P_1, P_2.

``cheap_start`` leaves out the additional call; the order is then 3, with the small error
constants of the fourth-order weights, which is what counts at few calls.

References
----------
.. [1] W. Zhao et al., "UniPC: a unified predictor-corrector framework for fast sampling of
   diffusion models", NeurIPS 2023, arXiv:2302.04867 (one call for predictor and corrector).
.. [2] E. Hairer, S. Norsett, G. Wanner, "Solving ordinary differential equations I", sec. III.1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from samplers.component import Nodes
from samplers.noise import NoiseSource
from samplers.spaces import State
from samplers.steppers.base import Evaluate, Plan, Stepper, Track, floats
from samplers.steppers.blends import Blend, Moves, blended, folded
from samplers.steppers.weights import CLOCKS, KINDS, growth, interpolation_weights

__all__ = ["Multistep"]

_MOST = 1e3  # sum |b_j| / |sum b_j| beyond which extrapolation only magnifies errors


@dataclass(frozen=True)
class _Step:
    """One step: its time and the next, the moves, and the base of the next correction.

    ``hold`` is "here", "old" (the base remembered so far) or "none".
    """

    t: float
    next_t: float
    moves: tuple[Moves, ...]
    refine: bool
    hold: str


@dataclass(frozen=True)
class _Shape:
    """How many entries a step uses to correct (over how many steps) and to predict."""

    nodes: int
    correct: int = 0
    lag: int = 1
    refine: bool = False
    hold: str = "none"


@dataclass(frozen=True)
class _Memory:
    """What one step leaves for the next: a base point, and past calls, newest first."""

    base: State | None
    past: tuple[tuple[tuple[Tensor, ...], ...], ...]


@dataclass(frozen=True, kw_only=True)
class Multistep(Stepper):
    """One-call multistep method; the order follows from the other fields.

    Attributes
    ----------
    nodes : int
        Grid points p that the predictor interpolates, 1 to 4.
    kind : {"eps", "x0", "score", "v", "flow", "rate"}
        What is interpolated.
    clock : {"log_rho", "rho", "t", "angle"}
        In which variable (angle = atan rho).
    corrector : bool
        Whether every point is corrected once its prediction is known.
    cheap_start : bool
        For order 4 only, see the module docstring.
    """

    order: int = field(init=False)
    start_calls: int = field(init=False)
    nodes: int
    kind: str
    clock: str = "log_rho"
    corrector: bool = False
    cheap_start: bool = False

    def __post_init__(self) -> None:
        """Derive the order and check the fields."""
        if self.kind not in KINDS:
            raise ValueError(f"unknown prediction {self.kind!r}; one of {', '.join(KINDS)}")
        if self.clock not in CLOCKS:
            raise ValueError(f"unknown clock {self.clock!r}; one of {', '.join(CLOCKS)}")
        full = self.full_order()
        if self.nodes < 1 or full > 4:
            raise ValueError(f"multistep methods have order 1 to 4, not {full}")
        if self.cheap_start and full < 4:
            raise ValueError(f"sampler {self.name!r} has no start that could be cheaper")
        object.__setattr__(self, "order", 3 if self.cheap_start else full)
        object.__setattr__(self, "start_calls", int(full == 4 and not self.cheap_start))

    def full_order(self) -> int:
        """Order without regard to the start."""
        return self.nodes + self.corrector

    def weights(self, track: Track, log_rho: Tensor, used: Tensor, a: Tensor, b: Tensor) -> Tensor:
        """Weights of the predictions at grid points ``used`` between grid points a and b.

        Parameters
        ----------
        track : Track
        log_rho : Tensor, shape=(N + 1,)
        used : Tensor, dtype=int, shape=(n, m)
            Newest first.
        a, b : Tensor, dtype=int, shape=(n,)

        Returns
        -------
        Tensor, shape=(n, m)
        """
        s, clock = log_rho, CLOCKS[self.clock]
        return interpolation_weights(track.component.law, self.kind, clock, s[used], s[a], s[b])

    def _shape(self, k: int) -> _Shape:
        full, nodes = self.full_order(), min(self.nodes, k + 1)
        hold = "here" if self.corrector else "none"
        if full == 3 and k < 2:
            return _Shape(nodes, 2 * k, hold="here" if k == 0 else hold)
        if full == 4 and k < 3:
            return (
                _Shape(1, refine=not self.cheap_start, hold="here"),
                _Shape(2, 2 if self.cheap_start else 0, hold="old"),
                _Shape(3, 3, lag=2, hold=hold),
            )[k]
        correct = min(self.nodes, k) + 1 if self.corrector and k > 0 else 0
        return _Shape(nodes, correct, hold=hold)

    def prepare(self, tracks: tuple[Track, ...], times: Tensor) -> tuple[_Step, ...]:
        """Compute the moves of every step."""
        shapes = [self._shape(k) for k in range(len(times) - 1)]
        moves = zip(*(self._moves(track, times, shapes) for track in tracks), strict=True)
        at = floats(times)
        return tuple(
            _Step(t, following, parts, shape.refine, shape.hold)
            for t, following, parts, shape in zip(at[:-1], at[1:], moves, shapes, strict=True)
        )

    def _moves(self, track: Track, times: Tensor, shapes: Sequence[_Shape]) -> list[Moves]:
        nodes, depth = track.at(times), self.nodes + self.corrector
        p, q = nodes.reading(track.component.predicts, self.kind)
        shifts = [0.0] * depth + floats(p / q)
        correct, predict, refine = (self._blends(track, nodes, q, shapes, use) for use in _USES)
        plain = dict(predict)
        for k, shape in enumerate(shapes):
            if k in correct and shape.lag == 1 and not track.curved:
                predict[k] = folded(plain[k - 1], correct.pop(k), plain[k])
        return [
            Moves(
                correct.get(k),
                predict[k],
                refine.get(k),
                tuple(shifts[k + 1 + depth : k : -1]),
            )
            for k in range(len(shapes))
        ]

    def _blends(
        self,
        track: Track,
        nodes: Nodes,
        q: Tensor,
        shapes: Sequence[_Shape],
        use: Callable[[_Shape], _Use | None],
    ) -> dict[int, Blend]:
        """Blends of one use by step, computed in groups of steps of one shape."""
        groups: dict[_Use, list[int]] = {}
        for step, shape in enumerate(shapes):
            which = use(shape)
            if which is not None:
                groups.setdefault(which, []).append(step)
        result, s = {}, nodes.log_rho
        for (newest, count, start, stop), steps in groups.items():
            k = torch.tensor(steps)
            used, a, b = k[:, None] + newest - torch.arange(count), k + start, k + stop
            weights = self.weights(track, s, used, a, b)
            self._refuse_wild(weights, s, a, b)
            factors = growth(track.component.law, self.kind, s[a], s[b])
            rows = zip(steps, floats(factors), floats(weights * q[used]), strict=True)
            result.update({step: Blend(f, tuple(w)) for step, f, w in rows})
        return result

    def _refuse_wild(self, weights: Tensor, s: Tensor, a: Tensor, b: Tensor) -> None:
        size = weights.abs().sum(-1) / weights.sum(-1).abs()
        worst = int(size.argmax())
        if float(size[worst]) > _MOST:
            i, j = int(a[worst]), int(b[worst])
            ratio = float((s[j] - s[i]).abs() / (s[i] - s[max(i - 1, 0)]).abs())
            raise ValueError(
                f"sampler {self.name!r} cannot use this grid: step {i + 1} is {ratio:.0f} times "
                f"longer in log rho than the one before, and extrapolating over it would magnify "
                f"errors {float(size[worst]):.0f} times; take the grid 'log_snr' or a lower order"
            )

    def step(
        self,
        evaluate: Evaluate,
        plan: Plan,
        k: int,
        state: State,
        memory: Any,
        noise: NoiseSource | None,
    ) -> tuple[State, Any]:
        """Call, correct, predict."""
        step: _Step = plan.steps[k]
        factors = plan.space.factors
        depth = self.nodes + self.corrector
        values = evaluate(state, step.t)
        here, after, coordinates, past = [], [], [], []
        for c, (space, moves) in enumerate(zip(factors, step.moves, strict=True)):
            x = state[c]
            records = (space.record(x, values[c], moves.shifts[1]),)
            if memory is not None:
                records += memory.past[c]
            if moves.correct is not None:
                _, x = blended(space, memory.base[c], moves.correct, records, moves.shifts)
            u, y = blended(space, x, moves.predict, records, moves.shifts)
            here.append(x)
            after.append(y)
            coordinates.append(u)
            past.append(records[: depth - 1])
        if step.refine:
            values = evaluate(tuple(after), step.next_t)
            for c, (space, moves) in enumerate(zip(factors, step.moves, strict=True)):
                first = space.entry(coordinates[c], values[c], moves.shifts[0])
                entries = [first, *space.recall(here[c], past[c][:1], moves.shifts[1:])]
                blend = moves.refine or moves.predict
                _, after[c] = space.reach(here[c], blend.factor, blend.weights, entries)
        base = {"here": tuple(here), "old": memory and memory.base, "none": None}[step.hold]
        return tuple(after), _Memory(base, tuple(past))


_Use = tuple[int, int, int, int]  # newest entry, entries, start and end, relative to the step

_USES: tuple[Callable[[_Shape], _Use | None], ...] = (
    lambda shape: (0, shape.correct, -shape.lag, 0) if shape.correct else None,
    lambda shape: (0, shape.nodes, 0, 1),
    lambda shape: (1, 2, 0, 1) if shape.refine else None,
)
