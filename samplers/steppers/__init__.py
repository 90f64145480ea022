"""Steppers by name; one method per file.

To add one: write its file with a `Stepper` subclass and list the class in ``_CLASSES``. The order
tests then cover it by themselves.
"""

from __future__ import annotations

from samplers.steppers.base import Stepper
from samplers.steppers.ei_eps import EIEps
from samplers.steppers.ei_score import EIScore
from samplers.steppers.euler import Euler
from samplers.steppers.heun import Heun
from samplers.steppers.sde import SDE

__all__ = ["ALIASES", "STEPPERS", "Stepper", "make"]

_CLASSES: tuple[type[Stepper], ...] = (Euler, Heun, EIScore, EIEps, SDE)

STEPPERS: dict[str, type[Stepper]] = {c.name: c for c in _CLASSES}
ALIASES: dict[str, str] = {"ddim": "ei_eps", "ei": "ei_score"}


def make(name: str, *, churn: float | None = None, noise_scale: float | None = None) -> Stepper:
    """Stepper of a name or alias.

    Parameters
    ----------
    name : str
        Key of `STEPPERS` or `ALIASES`.
    churn, noise_scale : float, optional
        For the stochastic family only; None is the method's default.

    Returns
    -------
    Stepper

    Raises
    ------
    ValueError
        If the name is unknown, or a deterministic method is given a churn other than 0 or any
        noise scale.
    """
    full = ALIASES.get(name, name)
    if full not in STEPPERS:
        known = ", ".join((*STEPPERS, *(f"{a} (= {b})" for a, b in ALIASES.items())))
        raise ValueError(f"unknown sampler {name!r}; one of {known}")
    if full == SDE.name:
        default = SDE()
        return SDE(
            default.churn if churn is None else churn,
            default.noise_scale if noise_scale is None else noise_scale,
        )
    if churn:
        raise ValueError(f"sampler {name!r} is deterministic: drop churn, or use 'sde'")
    if noise_scale is not None:
        raise ValueError(f"sampler {name!r} is deterministic: drop noise_scale, or use 'sde'")
    return STEPPERS[full]()
