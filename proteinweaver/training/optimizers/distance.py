"""Step sizes from the distance travelled: what AdaGrad++ and Adam++ share.

With x_0 the first parameters and d their number,

    r_t = |x_t - x_0| / sqrt(d),   eta_t = max(eta_{t-1}, r_t),   eta_{-1} = eps,
    x_{t+1} = x_t - eta_t (delta + s_t)^-1 m_t,

where m_t is a first moment and s_t a scale of the gradients. Nothing is to be tuned: eps only has
to be small. The rate of a group multiplies eta_t; 1 is the paper's algorithm, and a cooldown may
bring it to zero.

References
----------
Tao, Yuan, Zhou, Cao, Gu 2024, arXiv:2412.19444: Algorithms 1 and 2.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

__all__ = ["DistanceScaled"]


class DistanceScaled(torch.optim.Optimizer, ABC):
    """An optimizer whose step size is the largest root mean square displacement so far.

    Parameters
    ----------
    params : iterable of Parameter or of dict
    lr : float
        Multiplies the step size.
    eps : float
        First step size.
    delta : float
        Added to the scale.
    **settings
        What a subclass needs besides.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        eps: float = 1e-6,
        delta: float = 1e-8,
        **settings: float,
    ) -> None:
        super().__init__(params, {"lr": lr, "eps": eps, "delta": delta, **settings})

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:  # type: ignore[override]
        """Make one step; parameters without a gradient stay."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        every = [p for group in self.param_groups for p in group["params"]]
        for parameter in every:
            state = self.state[parameter]
            if not state:
                state["step"] = torch.zeros(())
                state["first"] = parameter.clone()
                state["eta"] = parameter.new_tensor(self.defaults["eps"])
        eta = self._step_size(every)
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    state = self.state[parameter]
                    direction, scale = self.direction(state, parameter.grad, group)
                    state["step"] += 1
                    parameter.sub_(direction / (scale + group["delta"]) * (group["lr"] * eta))
        return loss

    def _step_size(self, every: list[Tensor]) -> Tensor:
        """eta_t; every parameter keeps a copy, so that it is saved wherever states are."""
        moved = torch.stack([(p - self.state[p]["first"]).square().sum() for p in every]).sum()
        size = sum(parameter.numel() for parameter in every)
        eta = torch.maximum(self.state[every[0]]["eta"], (moved / size).sqrt())
        for parameter in every:
            self.state[parameter]["eta"] = eta.to(parameter)
        return eta

    @abstractmethod
    def direction(
        self, state: dict[str, Any], gradient: Tensor, group: dict[str, Any]
    ) -> tuple[Tensor, Tensor]:
        """First moment and scale of a parameter.

        Parameters
        ----------
        state : dict
            Of the parameter: ``step`` (steps before this one), and what the subclass keeps.
        gradient : Tensor
        group : dict
            Settings.

        Returns
        -------
        direction, scale : Tensor
            m_t and s_t, in the shape of the parameter.
        """
