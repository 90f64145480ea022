r"""Mixtures of IGSO(3) on SO(3).

Heat kernels form a semigroup, so a mode of variance tau_0 noised by sigma is an IGSO(3) of
variance tau_0 + sigma^2 about the same centre: the score of the mixture is the posterior mean of
the modes' scores.

The score of one mode is s = g(w) v with v = Log(R_0^T R), w = |v| and g = (d log f/dw) / w. Moving
R by R Exp(e u) moves v by e J_r(v)^-1 u, whose part along v is <v, u>, hence the body-frame
derivative

    D s u = (g J_r(v)^-1 + (dg/dw) v v^T / w) u.

It is not symmetric (left-invariant fields do not commute); its symmetric part is the Riemannian
Hessian of the log density and its trace the Laplacian.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from samplers import heat_kernel, igso3, so3
from samplers.smooth import safe_norm
from samplers.targets.base import check_weights, mixture_divergence, mixture_score

__all__ = ["IGSO3Mixture", "mode_jacobian"]


def mode_jacobian(rotvec: Tensor, variance: Tensor) -> Tensor:
    """Body-frame derivative of the score of one IGSO(3).

    Parameters
    ----------
    rotvec : Tensor, shape=(..., 3)
        Log(R_0^T R), float64.
    variance : Tensor
        Heat-kernel variance; broadcasts with shape (...).

    Returns
    -------
    Tensor, shape=(..., 3, 3)
        Column a is the derivative along R Exp(e e_a).
    """
    w = safe_norm(rotvec)
    tau = variance.expand(w.shape)
    with torch.enable_grad():
        leaf = w if w.requires_grad else w.detach().requires_grad_()
        g = heat_kernel.radial_score_over_angle(leaf, tau)
        (slope,) = torch.autograd.grad(g.sum(), leaf, create_graph=w.requires_grad)
    g = g if w.requires_grad else g.detach()
    axis = rotvec / w.clamp(min=1e-300).unsqueeze(-1)
    radial = (slope * w)[..., None, None] * axis.unsqueeze(-1) * axis.unsqueeze(-2)
    return g[..., None, None] * so3.right_jacobian_inverse(rotvec) + radial


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
        check_weights(self.weights, k, "centres")

    def parts(self, rot: Tensor, sigma: float) -> tuple[Tensor, Tensor, Tensor]:
        """Log densities of the modes (weights included), rotation vectors and variances.

        Returns
        -------
        log_parts : Tensor, shape=(..., k)
        rotvecs : Tensor, shape=(..., k, 3)
        variances : Tensor, shape=(k,)
        """
        rotvec = so3.log(self.centres.mT @ rot.unsqueeze(-3))
        variance = self.variances + sigma**2
        log_density = igso3.log_density(safe_norm(rotvec), variance.sqrt())
        return self.weights.log() + log_density, rotvec, variance

    def score(self, rot: Tensor, sigma: float) -> Tensor:
        """Body-frame score at noise ``sigma``; shape (..., 3, 3) -> (..., 3)."""
        log_parts, rotvec, variance = self.parts(rot, sigma)
        return mixture_score(log_parts, igso3.score_from_rotvec(rotvec, variance.sqrt()))

    def jacobian(self, rot: Tensor, sigma: float) -> Tensor:
        """Body-frame derivative of the score, shape (..., 3, 3); see the module docstring."""
        log_parts, rotvec, variance = self.parts(rot, sigma)
        scores = igso3.score_from_rotvec(rotvec, variance.sqrt())
        posterior = log_parts.softmax(-1).unsqueeze(-1)
        centred = scores - (posterior * scores).sum(-2, keepdim=True)
        own = (posterior.unsqueeze(-1) * mode_jacobian(rotvec, variance)).sum(-3)
        return own + (posterior * centred).mT @ centred

    def divergence(self, rot: Tensor, sigma: float) -> Tensor:
        """Divergence of the score (Laplacian of the log density), shape (...)."""
        log_parts, rotvec, variance = self.parts(rot, sigma)
        scores = igso3.score_from_rotvec(rotvec, variance.sqrt())
        traces = mode_jacobian(rotvec, variance).diagonal(dim1=-2, dim2=-1).sum(-1)
        return mixture_divergence(log_parts, scores, traces)

    def log_density(self, rot: Tensor, sigma: float) -> Tensor:
        """Log density relative to Haar measure at noise ``sigma``, shape=(...)."""
        return self.parts(rot, sigma)[0].logsumexp(-1)

    def sample(
        self, count: int, sigma: float = 0.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """``count`` exact draws of R_t at noise ``sigma``, shape=(count, 3, 3)."""
        mode = torch.multinomial(self.weights, count, replacement=True, generator=generator)
        width = (self.variances[mode] + sigma**2).sqrt()
        noise = igso3.sample(width, (count,), generator=generator, dtype=self.centres.dtype)
        return self.centres[mode] @ noise
