"""What every training task shares: its optimizer, and a gradient that a bad batch cannot spoil."""

from collections.abc import Iterable
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor

from proteinweaver.training.config import OptimizerConfig
from proteinweaver.training.optimizers import make_optimizer

__all__ = ["OptimisedTask"]


class OptimisedTask(LightningModule):
    """A task that trains ``net`` with an optimizer described by an `OptimizerConfig`.

    Parameters
    ----------
    optimisation : OptimizerConfig
    """

    net: torch.nn.Module

    def __init__(self, optimisation: OptimizerConfig) -> None:
        super().__init__()
        self.optimisation = optimisation
        self.latest: dict[str, Tensor] = {}

    def trained_parameters(self) -> Iterable[torch.nn.Parameter]:
        """Parameters that learn; all of the network, unless a task says otherwise."""
        return self.net.parameters()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Make the optimizer; the rate is set before every step."""
        return make_optimizer(self.trained_parameters(), self.optimisation)

    def configure_gradient_clipping(self, *_: Any, **__: Any) -> None:
        """Bound the gradient; drop it if not finite, so that a bad batch costs one step."""
        learning = list(self.trained_parameters())
        norm = torch.nn.utils.clip_grad_norm_(learning, self.optimisation.clip)
        self.latest["norm"] = norm.detach()
        if not bool(torch.isfinite(norm)):
            for parameter in learning:
                parameter.grad = None
