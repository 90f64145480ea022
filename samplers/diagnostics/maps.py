r"""A sampler as a map of R^n, with its Jacobian.

Diagnostics treat a deterministic sampler as a black box ``advance(x, times)`` that carries points
at times[0] to times[-1]; `sampler_map` makes one from a field, a component and a stepper. Its
Jacobian costs one pass per dimension, so it suits small n.

Densities are carried by the change of variables

    log q_N(F(y)) = log q_0(y) - log |det DF(y)|,

exact for the law of the *discrete* sampler as long as F is one-to-one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor

from samplers.component import Component
from samplers.integrate import Field, make_plan, run
from samplers.steppers.base import Plan, Stepper

__all__ = ["Advance", "is_one_step", "log_normal", "sampler_map", "value_and_jacobian"]

Advance = Callable[[Tensor, Sequence[float]], Tensor]


def sampler_map(
    field: Field,
    component: Component,
    stepper: Stepper,
    *,
    step_scale: float = 1.0,
) -> Advance:
    """Bind everything but the points and the times.

    Plans are remembered by their times, so a second run over the same grid computes no
    coefficient and copies nothing to the host.

    Parameters
    ----------
    field : callable (state, t) -> tuple of one Tensor
    component : Component
        On R^n.
    stepper : Stepper
        Deterministic.
    step_scale : float

    Returns
    -------
    callable (x, times) -> Tensor
    """
    if not stepper.deterministic:
        raise ValueError(f"sampler {stepper.name!r} is stochastic; it is no map")

    @lru_cache(maxsize=4096)
    def plan(times: tuple[float, ...]) -> Plan:
        return make_plan(stepper, (component,), times, step_scale=step_scale)

    def advance(x: Tensor, times: Sequence[float]) -> Tensor:
        return run(plan(tuple(times)), stepper, field, (x,))[0]

    return advance


def value_and_jacobian(function: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """Values and Jacobians of a map that treats the points of a batch one by one.

    J^T u is linear in u, and its derivative along u is J: one pass forward, one backward and one
    more for each dimension of the *input*, however large the output.

    Parameters
    ----------
    function : callable, (..., n) -> (..., m)
    x : Tensor, shape=(..., n)

    Returns
    -------
    value : Tensor, shape=(..., m)
    jacobian : Tensor, shape=(..., m, n)
    """
    with torch.enable_grad():
        x = x.detach().clone().requires_grad_()
        value = function(x)
        dual = torch.zeros_like(value, requires_grad=True)
        (pulled,) = torch.autograd.grad(value, x, dual, create_graph=True)
    columns = []
    for axis in range(x.shape[-1]):
        direction = torch.zeros_like(x)
        direction[..., axis] = 1
        (column,) = torch.autograd.grad(pulled, dual, direction, retain_graph=True)
        columns.append(column)
    return value.detach(), torch.stack(columns, -1)


def is_one_step(advance: Advance, x: Tensor, times: Sequence[float]) -> bool:
    """Whether a sampler forgets: two steps at once equal two runs of one step.

    Parameters
    ----------
    advance : callable
    x : Tensor, shape=(..., n)
        A few points at ``times[0]``.
    times : sequence of float
        Of which the first three are used; a grid of one step counts as one-step.
    """
    if len(times) < 3:
        return True
    first, second, third = times[:3]
    together = advance(x, (first, second, third))
    apart = advance(advance(x, (first, second)), (second, third))
    return bool(torch.allclose(together, apart, rtol=1e-9, atol=1e-12))


def log_normal(x: Tensor, scale: float) -> Tensor:
    """Log density of N(0, scale^2 I), shape (..., n) -> (...): the usual prior of a sampler."""
    n = x.shape[-1]
    return -0.5 * (x / scale).square().sum(-1) - n * (
        math.log(scale) + 0.5 * math.log(2 * math.pi)
    )
