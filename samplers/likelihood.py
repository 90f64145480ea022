r"""Log densities of a model by change of variables, on R^n, SO(3) and their products.

Along the flow d(x/alpha) = eps d rho the density of x/alpha obeys

    d log p / d rho = -div eps,     div = alpha tr(d eps / dx)  on R^n,

and on SO(3), dR = R hat(eps) d sigma, the same with the divergence in the body frame,
div = sum_i d/de eps_i(R Exp(e e_i)) (Haar measure has no other term). So each component gets a
companion on R with the clock of x/alpha (`samplers.schedules.Unscaled`) and the "prediction"
-div eps + n rho / (1 + rho^2), and any deterministic method integrates state and density together,
with its own order. The second term is what unit Gaussian data would give; it is known in closed
form, and without it the companion of R^n would grow like n log rho. So

    log p_0(x_0) = log p_T(x_T) + sum_c n_c log(m_T / m_0) - (companions at T),

with m = alpha sqrt(1 + rho^2) on R^n; on SO(3) there is no second term and m = 1.

The trace is exact (n backward passes) or Hutchinson's estimate v . J v with random signs v
([1]_, [2]_), kept fixed along a run so that the integrand is smooth; several probes give its
standard error. Densities are relative to Lebesgue times Haar measure (of total mass 1).

References
----------
.. [1] W. Grathwohl et al., "FFJORD", ICLR 2019, arXiv:1810.01367, sec. 3.1.
.. [2] Y. Song et al., "Score-based generative modeling through stochastic differential
   equations", ICLR 2021, arXiv:2011.13456, sec. 4.3.
.. [3] E. Mathieu, M. Nickel, "Riemannian continuous normalizing flows", NeurIPS 2020,
   arXiv:2006.10663, prop. 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from samplers.component import Component
from samplers.grids import check
from samplers.integrate import Field, make_plan, run
from samplers.schedules import Unscaled
from samplers.spaces import Euclidean, State
from samplers.steppers.base import Stepper, Track

__all__ = ["LogProb", "log_prob", "reference_log_prob"]


@dataclass(frozen=True, eq=False)
class LogProb:
    """Log density of each sample.

    Attributes
    ----------
    value : Tensor, shape=(B,)
    standard_error : Tensor, shape=(B,)
        Of the trace estimate; 0 for the exact trace.
    noise : tuple of Tensor
        State at ``grid[0]``.
    """

    value: Tensor
    standard_error: Tensor
    noise: State


def reference_log_prob(components: Sequence[Component], t: float) -> Callable[[State], Tensor]:
    """N(0, sigma(t)^2 I) on R^n and the uniform law on SO(3), as a prior.

    Parameters
    ----------
    components : sequence of Component
    t : float

    Returns
    -------
    callable, tuple of Tensor -> Tensor, shape=(B,)
    """

    def log_density(state: State) -> Tensor:
        total = torch.zeros(len(state[0]), dtype=state[0].dtype, device=state[0].device)
        for component, x in zip(components, state, strict=True):
            if isinstance(component.space, Euclidean):
                sigma = component.law.sigma(t)
                scaled = (x / sigma).flatten(1)
                norm = scaled.shape[1] * math.log(math.sqrt(2 * math.pi) * sigma)
                total = total - 0.5 * scaled.square().sum(1) - norm
        return total

    return log_density


def _divergence(
    field: Field, components: Sequence[Component], state: State, t: float, probes: State | None
) -> tuple[State, State]:
    """Predictions, and traces of their derivatives: shape (B, 1), or (B, probes)."""
    with torch.enable_grad():
        tangents = tuple(
            torch.zeros(c.space.tangent_shape(x), dtype=x.dtype, device=x.device)
            for c, x in zip(components, state, strict=True)
        )
        for e in tangents:
            e.requires_grad_()
        moved = (
            c.space.exp(x.detach(), e) for c, x, e in zip(components, state, tangents, strict=True)
        )
        values = field(tuple(moved), t)
        traces = []
        for part, (value, e) in enumerate(zip(values, tangents, strict=True)):
            flat = value.flatten(1)

            def slope(along: Tensor, value: Tensor = value, e: Tensor = e) -> Tensor:
                return torch.autograd.grad(
                    value, e, along.reshape(value.shape), retain_graph=True, allow_unused=True
                )[0]

            if probes is None:
                rows = torch.eye(flat.shape[1], dtype=e.dtype, device=e.device)
                terms = [slope(row.expand_as(flat)).flatten(1)[:, i] for i, row in enumerate(rows)]
                traces.append(torch.stack(terms).sum(0)[:, None])
            else:
                terms = [(slope(v) * v).flatten(1).sum(1) for v in probes[part]]
                traces.append(torch.stack(terms, -1))
    return tuple(v.detach() for v in values), tuple(x.detach() for x in traces)


def _width(component: Component, t: float) -> float:
    """Scale alpha sqrt(1 + rho^2) of unit Gaussian data."""
    return math.hypot(component.law.alpha(t), component.law.sigma(t))


def log_prob(
    field: Field,
    state: State,
    grid: Sequence[float],
    stepper: Stepper,
    components: Sequence[Component],
    prior: Callable[[State], Tensor] | None = None,
    *,
    probes: int | None = None,
    generator: torch.Generator | None = None,
) -> LogProb:
    """Log density of the model's law at ``grid[-1]``.

    Parameters
    ----------
    field : callable (state, t) -> tuple of Tensor
        Differentiable; samples (the leading axis) must not see each other.
    state : tuple of Tensor
        Points at ``grid[-1]``, one leading axis of length B.
    grid : sequence of float
        Decreasing times.
    stepper : Stepper
        A deterministic one; its order is the order of the error.
    components : sequence of Component
    prior : callable, tuple of Tensor -> Tensor of shape (B,), optional
        Log density at ``grid[0]``; None is `reference_log_prob`.
    probes : int, optional
        Hutchinson probes, at least 2; None is the exact trace.
    generator : torch.Generator, optional
        Of the probes.

    Returns
    -------
    LogProb

    Raises
    ------
    ValueError
        If the stepper is stochastic or fewer than 2 probes are asked for.
    """
    if probes is not None and probes < 2:
        raise ValueError(f"an estimate with its error needs at least 2 probes, got {probes}")
    times = check(grid)
    count, batch = len(components), len(state[0])
    signs = None
    if probes is not None:
        signs = tuple(
            2.0
            * torch.randint(0, 2, (probes, *c.space.tangent_shape(x)), generator=generator).to(x)
            - 1.0
            for c, x in zip(components, state, strict=True)
        )
    companions = tuple(Component(Euclidean(), Unscaled(c.law), "eps") for c in components)
    tracks = tuple(Track(c) for c in components)

    def augmented(points: State, t: float) -> State:
        values, traces = _divergence(field, components, points[:count], t, signs)
        rates = []
        for track, x, trace in zip(tracks, points, traces, strict=False):
            nodes = track.at(torch.tensor(t, dtype=torch.float64))
            p, q = (float(z) for z in nodes.reading(track.component.predicts, "eps"))
            alpha, size = float(nodes.alpha), 0 if track.curved else x[0].numel()
            rho = float(nodes.log_rho.exp())
            unit = size * rho / (1 + rho * rho)
            rates.append(unit - alpha * (p * size + q * trace))  # eps = p x + q prediction
        return (*values, *rates)

    width = probes or 1
    zeros = tuple(torch.zeros(batch, width, dtype=x.dtype, device=x.device) for x in state)
    plan = make_plan(stepper, (*components, *companions), times, upward=True)
    with torch.no_grad():
        end = run(plan, stepper, augmented, (*state, *zeros))
        noise, change = end[:count], torch.stack(end[count:]).sum(0)
        start = (prior or reference_log_prob(components, times[0]))(noise)
        shift = sum(
            x[0].numel() * math.log(_width(c, times[0]) / _width(c, times[-1]))
            for c, x in zip(components, state, strict=True)
            if c.space.name == "euclidean"
        )
        value = start + shift - change.mean(1)
        spread = change.var(1).div(width).sqrt() if width > 1 else torch.zeros_like(value)
    return LogProb(value, spread, noise)
