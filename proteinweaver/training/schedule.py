"""Rates, times and seeds of a step: pure functions of the step number and of the budget used."""

import torch
from torch import Tensor

from proteinweaver.training.config import OptimizerConfig, TrainerConfig

__all__ = ["VALID_TIMES", "draw_times", "ema_decay", "learning_rate", "step_seed", "used_budget"]

#: Times at which the held-out loss is measured.
VALID_TIMES = (0.1, 0.3, 0.5, 0.7, 0.9)


def used_budget(step: int, minutes: float, config: TrainerConfig) -> float:
    """Share of the budget that is used, at least 0; 1 or more when training is over.

    Parameters
    ----------
    step : int
        Steps done.
    minutes : float
        Training time, resumed runs included.
    config : TrainerConfig
        Names a budget of steps, of minutes, or of both, whichever ends first.

    Returns
    -------
    float
        A pure function of the step where only steps are limited.
    """
    shares = [0.0]
    if config.max_steps > 0:
        shares.append((step - config.start_step) / config.max_steps)
    if config.max_minutes > 0:
        shares.append((minutes - config.start_minutes) / config.max_minutes)
    return max(shares)


def learning_rate(step: int, used: float, config: OptimizerConfig) -> float:
    """Linear warm-up by steps, flat, linear cooldown in the last share of the budget.

    Parameters
    ----------
    step : int
        Number of the step, from 0.
    used : float
        Share of the budget used before it.
    config : OptimizerConfig

    Returns
    -------
    float

    Examples
    --------
    >>> setup = OptimizerConfig(lr=1.0, warmup_steps=10, cooldown=0.5)
    >>> [learning_rate(s, u, setup) for s, u in ((0, 0.0), (50, 0.5), (75, 0.75), (99, 1.0))]
    [0.1, 1.0, 0.5, 0.01]
    """
    rise = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    fall = (1.0 - used) / config.cooldown if config.cooldown else 1.0
    return config.lr * rise * min(1.0, max(config.lr_floor, fall))


def ema_decay(updates: int, decay: float) -> float:
    """Decay of the moving average after n updates: ``min(decay, (1 + n) / (10 + n))``."""
    return min(decay, (1 + updates) / (10 + updates))


def step_seed(seed: int, number: int) -> int:
    """Seed of times, noise and self-conditioning of batch ``number``."""
    return seed * 1_000_003 + number


def draw_times(
    count: int, generator: torch.Generator, t_min: float, config: OptimizerConfig
) -> Tensor:
    """Draw evenly spread times: a share of them uniform below a bound, the others by a power law.

    With stratified uniform u, ``t_min + (t_focus - t_min) u / focus`` for u below ``focus``, and
    ``t_min + (1 - t_min) v^t_power`` with ``v = (u - focus) / (1 - focus)`` above.

    Parameters
    ----------
    count : int
        Items of the batch.
    generator : torch.Generator
        On the CPU.
    t_min : float
    config : OptimizerConfig
        Of its fields ``t_power``, ``focus`` and ``t_focus``.

    Returns
    -------
    Tensor, shape=(count,)
    """
    u = (torch.rand(1, generator=generator) + torch.arange(count) / count) % 1.0
    near = t_min + max(0.0, config.t_focus - t_min) * u / max(config.focus, 1e-9)
    v = (u - config.focus).clamp(min=0.0) / max(1.0 - config.focus, 1e-9)
    return torch.where(u < config.focus, near, t_min + (1 - t_min) * v**config.t_power)
