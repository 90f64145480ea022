"""Watching rounds of alignment: what fresh samples say of the weights, and when to go back.

A policy that is driven by a reward may win it with samples that fail the checks or are all alike.
Every round's samples are made by the weights of the round before it and so judge them, against
those of the first round, which come from the weights that everything began with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from proteinweaver.errors import UserError
from proteinweaver.preference.contest import describe, entrant
from proteinweaver.preference.trials import Trial

__all__ = ["Limits", "collapse", "round_figures"]


@dataclass(frozen=True)
class Limits:
    """What is still good.

    Parameters
    ----------
    failures : float
        Most by which the share of samples that fail a hard check may rise above the first round's.
    diversity : float
        Most that diversity may fall, as a share of the first round's.
    """

    failures: float = 0.15
    diversity: float = 0.2

    def __post_init__(self) -> None:
        """Refuse limits that nothing or everything breaks."""
        if not 0 <= self.failures <= 1 or not 0 <= self.diversity <= 1:
            raise UserError("limits of failures and diversity are shares from 0 to 1")


def round_figures(trials: Sequence[Trial], k: int) -> dict[str, float]:
    """Sum the samples of a round up.

    Parameters
    ----------
    trials : sequence of Trial
        Of one model.
    k : int
        Samples of a set.

    Returns
    -------
    dict of str to float
        ``training``, ``held_out``, ``failed``, ``diversity`` (means over sets), ``drift``,
        ``contacts`` (medians), ``agreement`` of the rewards, ``sets``; what cannot be told is
        left out.

    Raises
    ------
    UserError
        If no set has all its samples.
    """
    one = entrant(trials, k)
    if not one.sets:
        raise UserError(f"no set has {k} samples yet")
    told = {key: cell.value for key, cell in describe(one).items()}
    return {"sets": len(one.sets)} | {
        key: round(value, 5) for key, value in told.items() if np.isfinite(value)
    }


def collapse(first: Mapping[str, float], now: Mapping[str, float], limits: Limits) -> str:
    """Say why weights are no longer good; empty if they are.

    Parameters
    ----------
    first, now : mapping
        Figures of the first round and of this one.
    limits : Limits

    Returns
    -------
    str
    """
    rise = now["failed"] - first["failed"]
    if rise > limits.failures:
        return f"failures rose by {rise:.3f}, limit {limits.failures:g}"
    if first.get("diversity"):
        fall = 1.0 - now.get("diversity", 0.0) / first["diversity"]
        if fall > limits.diversity:
            return f"diversity fell by {fall:.1%}, limit {limits.diversity:.0%}"
    return ""
