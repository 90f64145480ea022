"""MARS-Lion: the sign of the corrected momentum.

    x_{t+1} = x_t - eta_t ( sign(m_t) + lambda x_t ),

which is the preconditioner H_t = diag(|m_t|).

References
----------
Yuan, Liu, Wu, Zhou, Gu 2024, arXiv:2411.10438: Algorithm 3 (MARS-Lion).
"""

from typing import Any

from torch import Tensor

from proteinweaver.training.optimizers.mars import Mars

__all__ = ["MarsLion"]


class MarsLion(Mars):
    """MARS-Lion; parameters as `Mars`, of which ``beta2`` and ``eps`` have no effect."""

    def direction(self, state: dict[str, Any], corrected: Tensor, group: dict[str, Any]) -> Tensor:
        """Take the sign."""
        return state["moment"].sign()
