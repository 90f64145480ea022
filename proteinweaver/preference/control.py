"""What keeps a policy near where it began: a pull of adaptive strength, and a look for collapse.

The pull adds ``beta KL(policy, first reference)`` to the loss. Its strength follows the measured
divergence in log space, so that the divergence, not the strength, is what is asked for.

A leg has collapsed when held-out pairs are judged worse than before, or the policy is too far
away, several measurements in a row; it then returns to its best state. Pure functions of figures.

References
----------
Ziegler et al. 2019, arXiv 1909.08593, section 2.2 (the controller).
"""

import math
from dataclasses import dataclass

from proteinweaver.errors import UserError

__all__ = ["CollapseConfig", "PullConfig", "Standing", "judged", "next_strength"]

_COIN = 0.5  # accuracy of a policy that has learned nothing


@dataclass(frozen=True)
class PullConfig:
    """Pull towards the first reference.

    Parameters
    ----------
    strength : float
        First strength beta; 0: no pull.
    target : float
        Divergence that is asked for, in units of log-probability; 0: the strength stays.
    gain : float
        Share K by which the strength changes at most with a relative error of one.
    bound : float
        Greatest relative error that counts.
    """

    strength: float = 0.0
    target: float = 0.0
    gain: float = 0.1
    bound: float = 0.2

    def __post_init__(self) -> None:
        """Refuse what no controller can use."""
        for name in ("strength", "target", "gain", "bound"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UserError(f"pull.{name} is {getattr(self, name)}; give 0 or more")
        if self.gain * self.bound >= 1:
            raise UserError(f"pull: gain * bound is {self.gain * self.bound}; give less than 1")
        if self.target and not self.strength:
            raise UserError("pull.target needs a first pull.strength above 0")


def next_strength(strength: float, divergence: float, config: PullConfig) -> float:
    """One step of the controller.

    Parameters
    ----------
    strength, divergence : float
        Present strength, and what was measured with it.
    config : PullConfig

    Returns
    -------
    float
        ``beta (1 + K e)``, e the relative error ``divergence / target - 1`` clipped to +- bound;
        beta where there is no target or no finite measurement.

    References
    ----------
    Ziegler et al. 2019, arXiv 1909.08593, section 2.2: K = 0.1, bound 0.2.
    """
    if not config.target or not math.isfinite(divergence):
        return strength
    error = max(-config.bound, min(config.bound, divergence / config.target - 1.0))
    return strength * (1.0 + config.gain * error)


@dataclass(frozen=True)
class CollapseConfig:
    """When a leg has collapsed.

    Parameters
    ----------
    patience : int
        Bad measurements in a row that end the leg; 0: nobody looks.
    drop : float
        A measurement is bad if the share of held-out pairs judged rightly is this much below the
        best so far,
    kl : float
        or if the divergence on held-out pairs is greater; 0: no such bound.
    """

    patience: int = 0
    drop: float = 0.1
    kl: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what cannot be met."""
        if self.patience < 0:
            raise UserError(f"collapse.patience is {self.patience}; give 0 for never, or more")
        if not 0 <= self.drop < 1:
            raise UserError(f"collapse.drop is {self.drop}; give 0 to below 1")
        if not 0 <= self.kl < math.inf:
            raise UserError(f"collapse.kl is {self.kl}; give 0 for no bound, or more")


@dataclass(frozen=True)
class Standing:
    """How a leg stands.

    Parameters
    ----------
    accuracy, kl : float
        Of the best state; the first one judges like a coin.
    step : int
        Its step.
    bad : int
        Bad measurements in a row.
    collapsed : bool
        Stays once it is True.
    """

    accuracy: float = _COIN
    kl: float = 0.0
    step: int = 0
    bad: int = 0
    collapsed: bool = False


def judged(
    standing: Standing, step: int, accuracy: float, kl: float, config: CollapseConfig
) -> Standing:
    """Take in a measurement.

    Parameters
    ----------
    standing : Standing
    step : int
    accuracy : float
        Share of held-out pairs judged rightly.
    kl : float
        Divergence on them.
    config : CollapseConfig

    Returns
    -------
    Standing
        Its `step` is ``step`` if this state is the best: more accurate than every other one within
        the bounds, or as accurate and nearer. What is not finite is bad.
    """
    finite = math.isfinite(accuracy) and math.isfinite(kl)
    is_bad = not finite or accuracy < standing.accuracy - config.drop
    is_bad = is_bad or 0 < config.kl < kl
    if is_bad:
        bad = standing.bad + 1
        over = standing.collapsed or 0 < config.patience <= bad
        return Standing(standing.accuracy, standing.kl, standing.step, bad, over)
    is_best = (accuracy, -kl) > (standing.accuracy, -standing.kl)
    if is_best:
        return Standing(accuracy, kl, step, 0, standing.collapsed)
    return Standing(standing.accuracy, standing.kl, standing.step, 0, standing.collapsed)
