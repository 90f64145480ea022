"""MARS-AdamW: the corrected gradient under Adam's diagonal preconditioner.

    v_t = beta2 v_{t-1} + (1 - beta2) c~_t^2,
    x_{t+1} = x_t - eta_t ( m^_t / (sqrt(v^_t) + eps) + lambda x_t ),

with the bias corrections m^_t = m_t / (1 - beta1^t), v^_t = v_t / (1 - beta2^t).

References
----------
Yuan, Liu, Wu, Zhou, Gu 2024, arXiv:2411.10438: Algorithm 2 (MARS-AdamW).
"""

from typing import Any

import torch
from torch import Tensor

from proteinweaver.training.optimizers.mars import Mars

__all__ = ["MarsAdamW", "adam_direction"]


def adam_direction(state: dict[str, Any], corrected: Tensor, group: dict[str, Any]) -> Tensor:
    """Divide the momentum by the root of the second moment, both free of bias.

    Parameters
    ----------
    state : dict
        Of the parameter; ``second`` is made or brought up to date.
    corrected : Tensor
        Clipped, corrected gradient.
    group : dict
        ``beta1``, ``beta2``, ``eps``.

    Returns
    -------
    Tensor
    """
    beta1, beta2, step = group["beta1"], group["beta2"], float(state["step"])
    if "second" not in state:
        state["second"] = torch.zeros_like(corrected)
    state["second"].mul_(beta2).addcmul_(corrected, corrected, value=1 - beta2)
    root = (state["second"] / (1 - beta2**step)).sqrt_().add_(group["eps"])
    return (state["moment"] / (1 - beta1**step)).div_(root)


class MarsAdamW(Mars):
    """MARS-AdamW; parameters as `Mars`."""

    def direction(self, state: dict[str, Any], corrected: Tensor, group: dict[str, Any]) -> Tensor:
        """Precondition by the second moment."""
        return adam_direction(state, corrected, group)
