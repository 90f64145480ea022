"""Steppers by name; one family per file.

To add one: write its file with a tuple ``SAMPLERS`` and name the file in ``_FILES``. The tests
of order, rounding, purity and host copies then cover it by themselves.
"""

from __future__ import annotations

import dataclasses

from samplers.steppers import (
    adams,
    cf4,
    deis,
    dpmpp,
    ei,
    euler,
    expab,
    exprk,
    heun,
    rk4,
    sde,
    unipc,
)
from samplers.steppers.base import Stepper
from samplers.steppers.multistep import Multistep
from samplers.steppers.sde import SDE

__all__ = ["ALIASES", "STEPPERS", "Stepper", "make"]

_FILES = (euler, heun, rk4, cf4, ei, expab, unipc, exprk, adams, dpmpp, deis, sde)

STEPPERS: dict[str, Stepper] = {s.name: s for file in _FILES for s in file.SAMPLERS}
ALIASES: dict[str, str] = {
    "ddim": "ei_eps",
    "ei": "ei_score",
    "expab2": "expab2_x0",
    "expab3": "expab3_x0",
    "expab4": "expab4_x0",
    "unipc1": "unipc1_x0",
    "unipc2": "unipc2_x0",
    "unipc3": "unipc3_x0",
}


def make(
    name: str,
    *,
    churn: float | None = None,
    noise_scale: float | None = None,
    cheap_start: bool = False,
) -> Stepper:
    """Stepper of a name or alias.

    Parameters
    ----------
    name : str
        Key of `STEPPERS` or `ALIASES`.
    churn, noise_scale : float, optional
        For the stochastic family only; None is the method's default.
    cheap_start : bool
        For multistep methods of order 4 only: no additional call at the start, order 3.

    Returns
    -------
    Stepper

    Raises
    ------
    ValueError
        If the name is unknown, a deterministic method is given a churn other than 0 or any
        noise scale, or a method without such a start is asked for a cheap one.
    """
    full = ALIASES.get(name, name)
    if full not in STEPPERS:
        known = ", ".join((*STEPPERS, *(f"{a} (= {b})" for a, b in ALIASES.items())))
        raise ValueError(f"unknown sampler {name!r}; one of {known}")
    stepper = STEPPERS[full]
    if cheap_start:
        if not isinstance(stepper, Multistep):
            raise ValueError(f"sampler {name!r} has no start that could be cheaper")
        return dataclasses.replace(stepper, cheap_start=True)
    if isinstance(stepper, SDE):
        return dataclasses.replace(
            stepper,
            churn=stepper.churn if churn is None else churn,
            noise_scale=stepper.noise_scale if noise_scale is None else noise_scale,
        )
    if churn:
        raise ValueError(f"sampler {name!r} is deterministic: drop churn, or use 'sde'")
    if noise_scale is not None:
        raise ValueError(f"sampler {name!r} is deterministic: drop noise_scale, or use 'sde'")
    return stepper
