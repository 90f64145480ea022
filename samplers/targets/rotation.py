r"""Mixtures of IGSO(3) on SO(3).

Heat kernels form a semigroup, so a mode of variance tau_0 noised by sigma is an IGSO(3) of
variance tau_0 + sigma^2 about the same centre: the score of the mixture is the posterior mean of
the modes' scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from samplers import igso3, so3
from samplers.smooth import safe_norm

__all__ = ["IGSO3Mixture"]


@dataclass(frozen=True, eq=False)
class IGSO3Mixture:
    """Mixture sum_k w_k IGSO3(centre_k, tau_k).

    Attributes
    ----------
    weights : Tensor, shape=(k,)
        Positive, sum 1.
    centres : Tensor, shape=(k, 3, 3)
    variances : Tensor, shape=(k,)
        Heat-kernel variance tau of each mode, at least 0.
    """

    weights: Tensor
    centres: Tensor
    variances: Tensor

    def __post_init__(self) -> None:
        """Check the shapes and the weights."""
        k = self.centres.shape[0]
        if self.weights.shape != (k,) or self.variances.shape != (k,):
            raise ValueError(f"{k} centres need {k} weights and {k} variances")
        if not bool((self.weights > 0).all()) or abs(float(self.weights.sum()) - 1) > 1e-6:
            raise ValueError("mixture weights must be positive and sum to 1")

    def _log_parts(self, rot: Tensor, sigma: float) -> tuple[Tensor, Tensor, Tensor]:
        rotvec = so3.log(self.centres.mT @ rot.unsqueeze(-3))
        width = (self.variances + sigma**2).sqrt()
        log_density = igso3.log_density(safe_norm(rotvec), width)
        return self.weights.log() + log_density, rotvec, width

    def score(self, rot: Tensor, sigma: float) -> Tensor:
        """Body-frame score at noise ``sigma``; shape (..., 3, 3) -> (..., 3)."""
        log_parts, rotvec, width = self._log_parts(rot, sigma)
        scores = igso3.score_from_rotvec(rotvec, width)
        return (log_parts.softmax(-1).unsqueeze(-1) * scores).sum(-2)

    def log_density(self, rot: Tensor, sigma: float) -> Tensor:
        """Log density relative to Haar measure at noise ``sigma``, shape=(...)."""
        return self._log_parts(rot, sigma)[0].logsumexp(-1)

    def sample(
        self, count: int, sigma: float = 0.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """``count`` exact draws of R_t at noise ``sigma``, shape=(count, 3, 3)."""
        mode = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        width = (self.variances[mode] + sigma**2).sqrt()
        noise = igso3.sample(width, (count,), generator=generator, dtype=self.centres.dtype)
        return self.centres[mode] @ noise
