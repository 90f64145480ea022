r"""Embedded Runge-Kutta pairs with error control per sample.

Every sample of the batch (the leading axis) has its own time and its own step, so a result does
not depend on the company it was computed in. The clock is w = log rho of the first component; in
it the flow is

    dx/dw = (ds/dw) [(d log alpha/ds) x + sigma eps],     s = log rho of the component,

solved in the chart at the current point on SO(3) (`samplers.spaces`). Two weighted sums of the
same velocities differ by the local error; a step is accepted where

    |error| = rms of error / (atol + rtol max(|x|, |x'|)) <= 1     (radians count as scale 1),

and the next one is scaled by 0.9 |error|^(-0.7/q) |error before|^(0.4/q), q the order of the
pair ([2]_, sec. IV.2). The last velocity of an accepted step is the first of the next. Finished
samples are masked; the number of calls is bounded. Unlike the loop over a fixed grid this one
asks the device whether all samples are done.

References
----------
.. [1] J. Dormand, P. Prince, "A family of embedded Runge-Kutta formulae", J. Comput. Appl. Math.
   6 (1980) 19; P. Bogacki, L. Shampine, "A 3(2) pair of Runge-Kutta formulas", Appl. Math.
   Lett. 2 (1989) 321.
.. [2] E. Hairer, G. Wanner, "Solving ordinary differential equations II", Springer 1996.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from samplers.component import Component
from samplers.spaces import State
from samplers.steppers.base import Track

__all__ = ["PAIRS", "Adapted", "Pair", "integrate_adaptive"]

BatchField = Callable[[State, Tensor], State]  # times of shape (B,)


@dataclass(frozen=True)
class Pair:
    """Embedded pair whose last stage is the new point.

    Attributes
    ----------
    order : int
        Of the solution that is kept.
    nodes : tuple of float
    rows : tuple of tuple of float
        a_ij from the second stage on; the last row is b.
    error : tuple of float
        b minus the weights of the lower order.
    """

    order: int
    nodes: tuple[float, ...]
    rows: tuple[tuple[float, ...], ...]
    error: tuple[float, ...]


PAIRS = {
    "bosh3": Pair(
        3,
        (0.0, 1 / 2, 3 / 4, 1.0),
        ((1 / 2,), (0.0, 3 / 4), (2 / 9, 1 / 3, 4 / 9)),
        (2 / 9 - 7 / 24, 1 / 3 - 1 / 4, 4 / 9 - 1 / 3, -1 / 8),
    ),
    "dopri5": Pair(
        5,
        (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0),
        (
            (1 / 5,),
            (3 / 40, 9 / 40),
            (44 / 45, -56 / 15, 32 / 9),
            (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
            (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
            (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
        ),
        (
            35 / 384 - 5179 / 57600,
            0.0,
            500 / 1113 - 7571 / 16695,
            125 / 192 - 393 / 640,
            -2187 / 6784 + 92097 / 339200,
            11 / 84 - 187 / 2100,
            -1 / 40,
        ),
    ),
}


@dataclass(frozen=True, eq=False)
class Adapted:
    """End of an adaptive run.

    Attributes
    ----------
    state : tuple of Tensor
        At ``t_min`` where ``finished``.
    finished : Tensor, dtype=bool, shape=(B,)
    accepted, rejected : Tensor, dtype=int64, shape=(B,)
        Steps of each sample.
    calls : Tensor, dtype=int64, shape=(B,)
        Field calls that each sample needed.
    batch_calls : int
        Field calls of the whole batch.
    """

    state: State
    finished: Tensor
    accepted: Tensor
    rejected: Tensor
    calls: Tensor
    batch_calls: int


def _spread(value: Tensor, like: Tensor) -> Tensor:
    """One number per sample, broadcast to a state tensor."""
    return value.to(like).reshape(-1, *[1] * (like.ndim - 1))


def integrate_adaptive(
    field: BatchField,
    state: State,
    t_max: float,
    t_min: float,
    components: Sequence[Component],
    *,
    rtol: float = 1e-3,
    atol: float = 1e-3,
    pair: str = "dopri5",
    max_calls: int = 1000,
    step_scale: float = 1.0,
) -> Adapted:
    """Solve the probability-flow ODE from ``t_max`` down to ``t_min``.

    Parameters
    ----------
    field : callable (state, t) -> tuple of Tensor
        Like the field of a fixed grid, but ``t`` is a float64 tensor of shape (B,).
    state : tuple of Tensor
        At ``t_max``; one leading axis of length B.
    t_max, t_min : float
    components : sequence of Component
    rtol, atol : float
        Tolerances of the local error.
    pair : str
        Key of `PAIRS`.
    max_calls : int
        Bound on the field calls of the batch.
    step_scale : float
        See `samplers.component`.

    Returns
    -------
    Adapted

    Raises
    ------
    ValueError
        If the pair is unknown, a tolerance is not positive or the ends are out of order.
    """
    if pair not in PAIRS:
        raise ValueError(f"unknown pair {pair!r}; one of {', '.join(PAIRS)}")
    if not (rtol > 0 and atol > 0):
        raise ValueError(f"tolerances must be positive, got rtol {rtol} and atol {atol}")
    if not 0 <= t_min < t_max <= 1:
        raise ValueError(f"need 0 <= t_min < t_max <= 1, got {t_min} and {t_max}")
    method, tracks = PAIRS[pair], tuple(Track(c, step_scale) for c in components)
    spaces, law = [c.space for c in components], components[0].law
    batch, device = len(state[0]), state[0].device
    start, stop = (float(Track(components[0]).at(torch.tensor(t)).log_rho) for t in (t_max, t_min))
    origin = torch.full((batch,), start, dtype=torch.float64, device=device)
    batch_calls = 0

    def velocity(points: State, w: Tensor) -> State:
        nonlocal batch_calls
        batch_calls += 1
        t = law.t_from_rho(w.exp()).clamp(t_min, t_max)
        values, nodes = field(points, t), [track.at(t) for track in tracks]
        rates = []
        for track, n, x, value in zip(tracks, nodes, points, values, strict=True):
            p, q = n.reading(track.component.predicts, "rate")
            speed = n.slope / nodes[0].slope
            rate = _spread(speed * q, value) * value
            rates.append(rate if track.curved else rate + _spread(speed * p, x) * x)
        return tuple(rates)

    def size(u: State, x: State, y: State) -> Tensor:
        parts = []
        for space, e, a, b in zip(spaces, u, x, y, strict=True):
            flat = space.name == "euclidean"
            scale = torch.maximum(a.abs(), b.abs()) if flat else torch.ones_like(e)
            ratio = e / (atol + rtol * scale)
            parts.append(ratio.flatten(1).square().mean(1).sqrt())
        return torch.stack(parts).amax(0).to(torch.float64)

    w, x, first = origin, state, velocity(state, origin)
    tiny = torch.finfo(torch.float64).tiny
    pace = size(first, state, state).clamp(min=tiny)  # |dx/dw| in units of the tolerance
    h = -(0.5 * pace.pow(-1.0 / method.order)).clamp(1e-3, 0.5)
    before = torch.ones_like(w)
    accepted, rejected = (torch.zeros(batch, dtype=torch.int64, device=device) for _ in range(2))
    busy = w > stop
    while batch_calls + len(method.rows) <= max_calls and bool(busy.any()):
        h = torch.where(busy, torch.maximum(h, stop - w), 0.0)
        entries = [[v] for v in first]
        for c, row in zip(method.nodes[1:], method.rows, strict=True):
            coordinates = tuple(
                _spread(h, ks[0]) * sum(a * k for a, k in zip(row, ks, strict=True) if a)
                for ks in entries
            )
            points = tuple(
                space.exp(p, u) for space, p, u in zip(spaces, x, coordinates, strict=True)
            )
            raw = velocity(points, w + c * h)
            for space, ks, u, v in zip(spaces, entries, coordinates, raw, strict=True):
                ks.append(space.entry(u, v, 0.0))
        error = tuple(
            _spread(h, ks[0]) * sum(b * k for b, k in zip(method.error, ks, strict=True) if b)
            for ks in entries
        )
        found = size(error, x, points).clamp(min=1e-10)
        good = busy & (found <= 1)
        x = tuple(torch.where(_mask(good, p), q, p) for p, q in zip(x, points, strict=True))
        first = tuple(torch.where(_mask(good, p), q, p) for p, q in zip(first, raw, strict=True))
        w = torch.where(good, w + h, w)
        accepted, rejected = accepted + good, rejected + (busy & ~good)
        memory = torch.where(good, before.pow(0.4 / method.order), 1.0)
        factor = (0.9 * found.pow(-0.7 / method.order) * memory).clamp(0.2, 5.0)
        factor = torch.where(good, factor, factor.clamp(max=0.9))
        before = torch.where(good, found, before)
        busy = busy & (w > stop + 1e-12 * abs(stop))
        h = h * factor
    calls = 1 + len(method.rows) * (accepted + rejected)
    return Adapted(x, ~busy, accepted, rejected, calls, batch_calls)


def _mask(good: Tensor, like: Tensor) -> Tensor:
    return good.reshape(-1, *[1] * (like.ndim - 1))
