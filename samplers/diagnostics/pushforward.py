r"""The sampler's own density, and KL along its ODE.

A deterministic sampler maps y to F_k(y) after k steps, so its law is known exactly,

    log q_k(F_k(y)) = log q_0(y) - log |det DF_k(y)|,

and with it, by Monte Carlo over y ~ q_0,

    KL(q_k | p_k) = E[log q_k - log p_k],     TV(q_k, p_k) = E[(1 - p_k/q_k)_+],

at every grid point k at once. TV lies in [0, 1] and its estimator is bounded, so it is reliable in
any dimension where the Jacobian can be had. Both assume F_k one-to-one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from samplers.component import Component
from samplers.diagnostics.maps import value_and_jacobian
from samplers.integrate import Field, make_plan, run
from samplers.spaces import State
from samplers.steppers.base import Stepper
from samplers.targets.base import Target

__all__ = ["Carried", "Curve", "carry", "kl_curve", "tv_curve"]


@dataclass(frozen=True)
class Carried:
    """Points and log densities of the sampler's law along a run.

    Attributes
    ----------
    points : Tensor, shape=(N + 1, b, n)
    log_density : Tensor, shape=(N + 1, b)
        Log q_k at them.
    log_volume : Tensor, shape=(N + 1, b)
        log |det DF_k|.
    """

    points: Tensor
    log_density: Tensor
    log_volume: Tensor


@dataclass(frozen=True)
class Curve:
    """A mean along the run with its standard error, shapes (N + 1,)."""

    value: Tensor
    error: Tensor


def carry(
    field: Field,
    component: Component,
    stepper: Stepper,
    times: Sequence[float],
    start: Tensor,
    log_start: Tensor,
) -> Carried:
    """Run a deterministic sampler with its density.

    Parameters
    ----------
    field : callable (state, t) -> tuple of one Tensor
    component : Component
        On R^n.
    stepper : Stepper
        Deterministic, with or without memory.
    times : sequence of float
    start : Tensor, shape=(b, n)
    log_start : Tensor, shape=(b,)
        Log density of the law that ``start`` was drawn from.

    Returns
    -------
    Carried
    """
    if not stepper.deterministic:
        raise ValueError(f"sampler {stepper.name!r} is stochastic; its law has no map")
    plan = make_plan(stepper, (component,), times)

    def trajectory(y: Tensor) -> Tensor:
        points: list[Tensor] = []

        def keep(k: int, t: float, state: State) -> None:
            points.append(state[0])

        run(plan, stepper, field, (y,), on_step=keep)
        return torch.stack(points, -2)  # (b, N + 1, n)

    points, jacobian = value_and_jacobian(trajectory, start)
    volume = torch.linalg.slogdet(jacobian)[1].mT
    return Carried(points.transpose(0, 1), log_start - volume, volume)


def _log_ratio(carried: Carried, target: Target, levels: Sequence[tuple[float, float]]) -> Tensor:
    """Log q_k / p_k at the points, shape (N + 1, b)."""
    log_p = [
        target.log_density(x, alpha, sigma)
        for x, (alpha, sigma) in zip(carried.points, levels, strict=True)
    ]
    return carried.log_density - torch.stack(log_p)


def _curve(values: Tensor) -> Curve:
    return Curve(values.mean(-1), values.std(-1) / math.sqrt(values.shape[-1]))


def kl_curve(carried: Carried, target: Target, levels: Sequence[tuple[float, float]]) -> Curve:
    """KL(q_k | p_k) at every grid point.

    Parameters
    ----------
    carried : Carried
    target : Target
    levels : sequence of (alpha, sigma), length N + 1

    Returns
    -------
    Curve
    """
    return _curve(_log_ratio(carried, target, levels))


def tv_curve(carried: Carried, target: Target, levels: Sequence[tuple[float, float]]) -> Curve:
    """TV(q_k, p_k) at every grid point; see `kl_curve`."""
    return _curve(-torch.expm1(-_log_ratio(carried, target, levels).clamp(min=0)))
