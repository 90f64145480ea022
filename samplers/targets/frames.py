r"""Mixtures of rigid frames, on (R^3 x SO(3))^L.

A mode is a full arrangement of L frames: translation l is N(m_kl, s_k^2 I), rotation l is
IGSO3(C_kl, tau_k), all independent given the mode,

    p = sum_k w_k prod_l N(x_l; m_kl, s_k^2 I) IGSO3(R_l; C_kl, tau_k).

Translations are noised to (alpha, sigma), rotations by a heat kernel of standard deviation
sigma_rot; both keep the form. The posterior over modes reads every translation and every rotation,
so the score of each couples to all the others: neither factor can be sampled without the other.

Tangent vectors are ordered (3 L translations, 3 L body-frame rotations); densities are relative to
Lebesgue times Haar measure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from samplers import igso3, so3
from samplers.integrate import Field
from samplers.schedules import NoiseLaw
from samplers.smooth import safe_norm
from samplers.spaces import State
from samplers.targets.base import check_weights
from samplers.targets.rotation import mode_jacobian

__all__ = ["FrameMixture", "frame_field"]


@dataclass(frozen=True, eq=False)
class FrameMixture:
    """Mixture of arrangements of L frames; states are (x, R).

    Attributes
    ----------
    weights : Tensor, shape=(k,)
        Positive, sum 1.
    means : Tensor, shape=(k, L, 3)
    stds : Tensor, shape=(k,)
    centres : Tensor, shape=(k, L, 3, 3)
    variances : Tensor, shape=(k,)
        Heat-kernel variance of the rotations of each mode.

    Notes
    -----
    Points are x of shape (..., L, 3) and R of shape (..., L, 3, 3).
    """

    weights: Tensor
    means: Tensor
    stds: Tensor
    centres: Tensor
    variances: Tensor

    def __post_init__(self) -> None:
        """Check the shapes and the weights."""
        k, length = self.means.shape[:2]
        if self.means.shape != (k, length, 3) or self.centres.shape != (k, length, 3, 3):
            raise ValueError(
                f"means and centres have shapes {tuple(self.means.shape)} and "
                f"{tuple(self.centres.shape)}; need (k, L, 3) and (k, L, 3, 3)"
            )
        if self.stds.shape != (k,) or self.variances.shape != (k,):
            raise ValueError(f"{k} modes need {k} stds and {k} variances")
        check_weights(self.weights, k, "modes")

    @property
    def length(self) -> int:
        """Number of frames L."""
        return self.means.shape[1]

    def _parts(
        self, state: State, alpha: float, sigma: float, sigma_rot: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Log parts (..., k), both part scores (..., k, L, 3), rotvecs and both variances."""
        x, rot = state
        y = x.unsqueeze(-3) - alpha * self.means
        width = (alpha * self.stds).square() + sigma**2
        rotvec = so3.log(self.centres.mT @ rot.unsqueeze(-4))
        tau = self.variances + sigma_rot**2
        root = tau.sqrt().unsqueeze(-1)
        log_parts = (
            self.weights.log()
            - 0.5 * y.square().sum((-1, -2)) / width
            - 1.5 * self.length * (2 * math.pi * width).log()
            + igso3.log_density(safe_norm(rotvec), root).sum(-1)
        )
        return (
            log_parts,
            -y / width[:, None, None],
            igso3.score_from_rotvec(rotvec, root),
            rotvec,
            width,
            tau,
        )

    def score(self, state: State, alpha: float, sigma: float, sigma_rot: float) -> State:
        """Scores of translations (..., L, 3) and of rotations, body frame (..., L, 3)."""
        log_parts, along, turning, *_ = self._parts(state, alpha, sigma, sigma_rot)
        posterior = log_parts.softmax(-1)[..., None, None]
        return (posterior * along).sum(-3), (posterior * turning).sum(-3)

    def _mixed(self, log_parts: Tensor, along: Tensor, turning: Tensor) -> tuple[Tensor, Tensor]:
        """Posterior (..., k, 1) and centred part scores (..., k, 6 L)."""
        scores = torch.cat((along.flatten(-2), turning.flatten(-2)), -1)
        posterior = log_parts.softmax(-1).unsqueeze(-1)
        return posterior, scores - (posterior * scores).sum(-2, keepdim=True)

    def jacobian(self, state: State, alpha: float, sigma: float, sigma_rot: float) -> Tensor:
        """Jacobian of the score along tangent vectors, shape (..., 6 L, 6 L)."""
        log_parts, along, turning, rotvec, width, tau = self._parts(state, alpha, sigma, sigma_rot)
        posterior, centred = self._mixed(log_parts, along, turning)
        total = (posterior * centred).mT @ centred
        n = 3 * self.length
        flat = posterior.squeeze(-1)
        total[..., :n, :n] += torch.diag_embed(
            -(flat / width).sum(-1, keepdim=True).expand(*flat.shape[:-1], n)
        )
        own = (flat[..., None, None, None] * mode_jacobian(rotvec, tau.unsqueeze(-1))).sum(-4)
        for l in range(self.length):  # noqa: E741 - the formula's l
            block = slice(n + 3 * l, n + 3 * l + 3)
            total[..., block, block] += own[..., l, :, :]
        return total

    def divergence(self, state: State, alpha: float, sigma: float, sigma_rot: float) -> Tensor:
        """Divergence of the score on the product, shape (...)."""
        log_parts, along, turning, rotvec, width, tau = self._parts(state, alpha, sigma, sigma_rot)
        posterior, centred = self._mixed(log_parts, along, turning)
        turn = mode_jacobian(rotvec, tau.unsqueeze(-1)).diagonal(dim1=-2, dim2=-1).sum((-1, -2))
        own = turn - 3 * self.length / width
        return (posterior.squeeze(-1) * (own + centred.square().sum(-1))).sum(-1)

    def log_density(self, state: State, alpha: float, sigma: float, sigma_rot: float) -> Tensor:
        """Log density of the noised state, shape (...)."""
        return self._parts(state, alpha, sigma, sigma_rot)[0].logsumexp(-1)

    def mode(self, state: State, alpha: float, sigma: float, sigma_rot: float) -> Tensor:
        """Index of the most probable mode, shape (...)."""
        return self._parts(state, alpha, sigma, sigma_rot)[0].argmax(-1)

    def sample(
        self,
        count: int,
        alpha: float = 1.0,
        sigma: float = 0.0,
        sigma_rot: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> State:
        """``count`` exact draws at a noise level: (count, L, 3) and (count, L, 3, 3)."""
        mode = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        shape = (count, self.length)
        z = torch.randn(*shape, 3, generator=generator, dtype=self.means.dtype)
        width = ((alpha * self.stds).square() + sigma**2).sqrt()
        x = alpha * self.means[mode] + width[mode][:, None, None] * z
        root = (self.variances[mode] + sigma_rot**2).sqrt().unsqueeze(-1)
        turn = igso3.sample(root, shape, generator=generator, dtype=self.centres.dtype)
        return x, self.centres[mode] @ turn


def frame_field(target: FrameMixture, law: NoiseLaw, law_rot: NoiseLaw) -> Field:
    """Exact scores as a field of two components, (translations, rotations)."""

    @lru_cache(maxsize=65536)
    def level(t: float) -> tuple[float, float, float]:
        return law.alpha(t), law.sigma(t), law_rot.sigma(t)

    def field(state: State, t: float) -> State:
        return target.score(state, *level(t))

    return field
