"""MARS: variance-reduced momentum under any preconditioner.

With x_t the parameters, g_t the gradient of the batch of step t, and strength gamma,

    c_t  = g_t + gamma beta1 / (1 - beta1) (g_t - g_{t-1}),
    c~_t = c_t / max(1, |c_t|),
    m_t  = beta1 m_{t-1} + (1 - beta1) c~_t,
    x_{t+1} = x_t - eta_t (H_t^-1 m_t + lambda x_t).

Here g_{t-1} is the gradient of the step before, on its own batch (the paper's MARS-approx; the
exact form evaluates the new batch at the old parameters, a second backward pass). Norms are taken
tensor by tensor. At the first step c_1 = g_1.

References
----------
Yuan, Liu, Wu, Zhou, Gu 2024, arXiv:2411.10438: Algorithm 1 and its approximate form.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

__all__ = ["Mars"]


class Mars(torch.optim.Optimizer, ABC):
    """What the MARS optimizers share; a subclass gives ``H_t^-1 m_t``.

    Parameters
    ----------
    params : iterable of Parameter or of dict
    lr : float
    beta1, beta2 : float
        Of the first and of the second moment.
    gamma : float
        Strength of the correction; 0 for none.
    eps : float
        Added to the root of the second moment.
    weight_decay : float
        lambda.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float,
        beta1: float = 0.95,
        beta2: float = 0.99,
        gamma: float = 0.025,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        settings = {"lr": lr, "beta1": beta1, "beta2": beta2, "gamma": gamma, "eps": eps}
        super().__init__(params, {**settings, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:  # type: ignore[override]
        """Make one step; parameters without a gradient stay."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)
        return loss

    def _update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros(())
            state["moment"] = torch.zeros_like(parameter)
            state["previous"] = gradient.clone()
        state["step"] += 1
        beta1 = group["beta1"]
        difference = gradient - state["previous"]
        corrected = gradient.add(difference, alpha=group["gamma"] * beta1 / (1 - beta1))
        corrected.div_(corrected.norm().clamp_min(1.0))
        state["moment"].mul_(beta1).add_(corrected, alpha=1 - beta1)
        state["previous"].copy_(gradient)
        direction = self.direction(state, corrected, group)
        parameter.mul_(1 - group["lr"] * group["weight_decay"])
        parameter.sub_(direction, alpha=group["lr"])

    @abstractmethod
    def direction(self, state: dict[str, Any], corrected: Tensor, group: dict[str, Any]) -> Tensor:
        """Precondition the momentum.

        Parameters
        ----------
        state : dict
            Of the parameter: ``step``, ``moment``, and what the subclass keeps.
        corrected : Tensor
            The clipped, corrected gradient.
        group : dict
            Settings.

        Returns
        -------
        Tensor
            In the shape of the parameter.
        """
