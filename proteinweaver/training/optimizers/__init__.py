"""Optimizers by name, with the settings each is started from."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch

from proteinweaver.training.config import OptimizerConfig, OptimizerName
from proteinweaver.training.optimizers.adagradpp import AdaGradPP
from proteinweaver.training.optimizers.adampp import AdamPP
from proteinweaver.training.optimizers.mars import Mars
from proteinweaver.training.optimizers.mars_adamw import MarsAdamW
from proteinweaver.training.optimizers.mars_lion import MarsLion
from proteinweaver.training.optimizers.mars_shampoo import MarsShampoo

__all__ = ["SETTINGS", "make_optimizer", "with_optimizer"]

#: What differs from the defaults of `OptimizerConfig`, which are AdamW's. Rates of MARS stand to
#: AdamW's about as in its paper; none is tuned for our networks (scripts/compare_optimizers.py).
SETTINGS: dict[OptimizerName, dict[str, Any]] = {
    "adamw": {},
    "mars_adamw": {"lr": 2e-3, "beta1": 0.95, "beta2": 0.99},
    "mars_lion": {"lr": 2e-4, "beta1": 0.95, "weight_decay": 0.05},
    "mars_shampoo": {"lr": 5e-3, "beta1": 0.95, "beta2": 0.99},
    "adagradpp": {"lr": 1.0, "weight_decay": 0.0},
    "adampp": {"lr": 1.0, "beta2": 0.999, "weight_decay": 0.0},
}
_MARS: dict[str, type[Mars]] = {
    "mars_adamw": MarsAdamW,
    "mars_lion": MarsLion,
    "mars_shampoo": MarsShampoo,
}


def with_optimizer(config: OptimizerConfig, name: OptimizerName) -> OptimizerConfig:
    """Change to another optimizer and to the settings it is started from."""
    return replace(config, name=name, **SETTINGS[name])


def make_optimizer(
    parameters: Iterable[torch.nn.Parameter], config: OptimizerConfig
) -> torch.optim.Optimizer:
    """Make the optimizer of a config.

    Parameters
    ----------
    parameters : iterable of Parameter
    config : OptimizerConfig

    Returns
    -------
    torch.optim.Optimizer
    """
    rate, beta1, beta2 = config.lr, config.beta1, config.beta2
    if config.name == "adagradpp":
        return AdaGradPP(parameters, lr=rate)
    if config.name == "adampp":
        return AdamPP(parameters, lr=rate, beta1=beta1, beta2=beta2)
    if config.name in _MARS:
        return _MARS[config.name](
            parameters,
            lr=rate,
            beta1=beta1,
            beta2=beta2,
            gamma=config.gamma,
            weight_decay=config.weight_decay,
        )
    return torch.optim.AdamW(
        parameters, lr=rate, betas=(beta1, beta2), weight_decay=config.weight_decay
    )
