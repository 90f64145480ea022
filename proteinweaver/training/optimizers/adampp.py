"""Adam++: Adam without a learning rate.

    m_t = beta1_t m_{t-1} + (1 - beta1_t) g_t,   beta1_t = beta1 decay^t,   t = 0, 1, ...,
    v_t = beta2 v_{t-1} + (1 - beta2) g_t^2,
    s_t = sqrt( (t + 1) max_{i <= t} v_i ),      x_{t+1} = x_t - eta_t (delta + s_t)^-1 m_t,

with eta_t of `proteinweaver.training.optimizers.distance`; the form of s_t is the paper's case 1.

References
----------
Tao, Yuan, Zhou, Cao, Gu 2024, arXiv:2412.19444: Algorithm 2 (Adam++), case 1.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from proteinweaver.training.optimizers.distance import DistanceScaled

__all__ = ["AdamPP"]


class AdamPP(DistanceScaled):
    """Adam++.

    Parameters
    ----------
    params, lr, eps, delta
        As `DistanceScaled`.
    beta1, beta2 : float
    decay : float
        Of beta1; the paper's proof asks for less than 1, practice takes 1.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        eps: float = 1e-6,
        delta: float = 1e-8,
        beta1: float = 0.9,
        beta2: float = 0.999,
        decay: float = 1.0,
    ) -> None:
        super().__init__(params, lr, eps, delta, beta1=beta1, beta2=beta2, decay=decay)

    def direction(
        self, state: dict[str, Any], gradient: Tensor, group: dict[str, Any]
    ) -> tuple[Tensor, Tensor]:
        """First moment, and root of (t + 1) times the largest second moment."""
        if "moment" not in state:
            for name in ("moment", "second", "largest"):
                state[name] = torch.zeros_like(gradient)
        step, beta2 = float(state["step"]), group["beta2"]
        beta1 = group["beta1"] * group["decay"] ** step
        state["moment"].mul_(beta1).add_(gradient, alpha=1 - beta1)
        state["second"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        torch.maximum(state["largest"], state["second"], out=state["largest"])
        return state["moment"], (state["largest"] * (step + 1)).sqrt_()
