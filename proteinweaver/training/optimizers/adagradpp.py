"""AdaGrad++: AdaGrad without a learning rate.

    s_t = sqrt( sum_{i <= t} g_i^2 ),   x_{t+1} = x_t - eta_t (delta + s_t)^-1 g_t,

with eta_t of `proteinweaver.training.optimizers.distance`.

References
----------
Tao, Yuan, Zhou, Cao, Gu 2024, arXiv:2412.19444: Algorithm 1 (AdaGrad++).
"""

from typing import Any

import torch
from torch import Tensor

from proteinweaver.training.optimizers.distance import DistanceScaled

__all__ = ["AdaGradPP"]


class AdaGradPP(DistanceScaled):
    """AdaGrad++; parameters as `DistanceScaled`."""

    def direction(
        self, state: dict[str, Any], gradient: Tensor, group: dict[str, Any]
    ) -> tuple[Tensor, Tensor]:
        """Gradient, and root of the sum of squares."""
        if "squares" not in state:
            state["squares"] = torch.zeros_like(gradient)
        state["squares"].addcmul_(gradient, gradient)
        return gradient, state["squares"].sqrt()
