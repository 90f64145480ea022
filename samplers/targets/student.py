r"""Student t and Neal's funnel: laws with no closed form after noising, by quadrature to rounding.

**Student.** x_0 = m + s sqrt(w) z with w ~ InverseGamma(nu/2, nu/2) is a multivariate t of nu
degrees of freedom; given w it is Gaussian, so

    p_t(x) = int N(x; alpha m, (alpha^2 s^2 w + sigma^2) I) dP(w).

In u = log w the integrand is analytic in a strip of half-width pi/2 and decays on both sides, so
the trapezoid rule of step h errs by exp(-pi^2/h): h = 0.2 is exact to rounding ([1]_). The nodes
do not depend on x: the law used is a scale mixture of Gaussians in its own right.

**Funnel.** v ~ N(0, s^2), x_i | v ~ N(0, e^v) for i = 1 ... m ([2]_). Given the noised v' the
latent v is N(mu, tau^2) with tau = s sigma / sqrt(alpha^2 s^2 + sigma^2), and given v each x_i'
is N(0, alpha^2 e^v + sigma^2). The trapezoid rule over v in mu +- 9 tau needs no tuning as long
as its step resolves the width sqrt(2/m) that m coordinates leave to v.

References
----------
.. [1] L. Trefethen, J. Weideman, "The exponentially convergent trapezoidal rule", SIAM Review 56
   (2014) 385, theorem 5.1.
.. [2] R. Neal, "Slice sampling", Annals of Statistics 31 (2003) 705, section 8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from samplers.targets.base import mixture_divergence, mixture_jacobian, mixture_score

__all__ = ["Funnel", "Student"]

_STEP = 0.2
_LOG_TAIL = 60.0  # both tails are cut where the weight is below exp(-60)


@dataclass(frozen=True, eq=False)
class Student:
    """Multivariate Student t on R^n.

    Attributes
    ----------
    mean : Tensor, shape=(n,)
    scale : float
        s > 0.
    freedom : float
        nu > 0, degrees of freedom.
    """

    mean: Tensor
    scale: float = 1.0
    freedom: float = 3.0

    def __post_init__(self) -> None:
        """Check the parameters."""
        if not (self.scale > 0 and self.freedom > 0):
            raise ValueError(f"need scale > 0 and freedom > 0, got {self.scale}, {self.freedom}")

    @property
    def dim(self) -> int:
        """Dimension n."""
        return len(self.mean)

    @cached_property
    def _nodes(self) -> tuple[Tensor, Tensor]:
        """Log weights and values w of the mixing law."""
        a = 0.5 * self.freedom
        low, high = -math.log(_LOG_TAIL / a), _LOG_TAIL / a
        u = torch.arange(low, high, _STEP, dtype=self.mean.dtype, device=self.mean.device)
        log_weight = -a * u - a * torch.exp(-u)
        return log_weight - log_weight.logsumexp(-1), u.exp()

    def _parts(self, x: Tensor, alpha: float, sigma: float) -> tuple[Tensor, Tensor, Tensor]:
        log_weight, w = self._nodes
        variance = (alpha * self.scale) ** 2 * w + sigma**2
        y = x - alpha * self.mean
        square = y.square().sum(-1, keepdim=True)
        log_parts = (
            log_weight - 0.5 * square / variance - 0.5 * self.dim * (2 * math.pi * variance).log()
        )
        return log_parts, -y.unsqueeze(-2) / variance.unsqueeze(-1), variance

    def score(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Gradient of the log density of x_t, shape of ``x`` (..., n)."""
        log_parts, _, variance = self._parts(x, alpha, sigma)
        shrink = (log_parts.softmax(-1) / variance).sum(-1, keepdim=True)
        return -shrink * (x - alpha * self.mean)

    def jacobian(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Jacobian of the score, shape (..., n, n)."""
        log_parts, scores, variance = self._parts(x, alpha, sigma)
        return mixture_jacobian(log_parts, scores, -1 / variance.unsqueeze(-1))

    def divergence(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Divergence of the score, shape (...)."""
        log_parts, scores, variance = self._parts(x, alpha, sigma)
        return mixture_divergence(log_parts, scores, -self.dim / variance)

    def log_density(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Log density of x_t, shape=(...)."""
        return self._parts(x, alpha, sigma)[0].logsumexp(-1)

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """``count`` draws of x_0 (of the law that the nodes define), shape=(count, n)."""
        log_weight, w = self._nodes
        node = torch.multinomial(log_weight.exp(), count, replacement=True, generator=generator)
        z = torch.randn(count, self.dim, generator=generator, dtype=self.mean.dtype)
        return self.mean + self.scale * w[node].sqrt().unsqueeze(-1) * z


@dataclass(frozen=True, eq=False)
class Funnel:
    """Neal's funnel on R^(1 + m): points (v, x_1 ... x_m).

    Attributes
    ----------
    width : int
        m >= 1.
    spread : float
        s > 0, standard deviation of v.
    nodes : int
        Quadrature nodes over +- 9 tau.
    """

    width: int = 1
    spread: float = 1.5
    nodes: int = 241

    def __post_init__(self) -> None:
        """Check the parameters."""
        if self.width < 1 or not self.spread > 0:
            raise ValueError(f"need width >= 1 and spread > 0, got {self.width}, {self.spread}")

    @property
    def dim(self) -> int:
        """Dimension n = 1 + m."""
        return 1 + self.width

    def _parts(self, x: Tensor, alpha: float, sigma: float) -> tuple[Tensor, Tensor, Tensor]:
        total = (alpha * self.spread) ** 2 + sigma**2
        tau = self.spread * sigma / math.sqrt(total)
        z = torch.linspace(-9, 9, self.nodes, dtype=x.dtype, device=x.device)
        log_weight = (-0.5 * z.square()).log_softmax(-1)
        first, rest = x[..., :1], x[..., 1:]
        v = alpha * self.spread**2 / total * first + tau * z
        variance = alpha**2 * v.exp() + sigma**2
        log_parts = (
            log_weight
            - 0.5 * (first.square() / total + math.log(2 * math.pi * total))
            - 0.5 * rest.square().sum(-1, keepdim=True) / variance
            - 0.5 * self.width * (2 * math.pi * variance).log()
        )
        along = ((alpha * v - first) / sigma**2).unsqueeze(-1)
        scores = torch.cat((along, -rest.unsqueeze(-2) / variance.unsqueeze(-1)), -1)
        curvature = (-1 / variance).unsqueeze(-1).expand(*variance.shape, self.width)
        noise = torch.full_like(curvature[..., :1], -1 / sigma**2)
        return log_parts, scores, torch.cat((noise, curvature), -1)

    def score(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Gradient of the log density of x_t, shape of ``x`` (..., 1 + m)."""
        log_parts, scores, _ = self._parts(x, alpha, sigma)
        return mixture_score(log_parts, scores)

    def jacobian(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Jacobian of the score, shape (..., n, n)."""
        return mixture_jacobian(*self._parts(x, alpha, sigma))

    def divergence(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Divergence of the score, shape (...)."""
        log_parts, scores, diagonal = self._parts(x, alpha, sigma)
        return mixture_divergence(log_parts, scores, diagonal.sum(-1))

    def log_density(self, x: Tensor, alpha: float, sigma: float) -> Tensor:
        """Log density of x_t, shape=(...)."""
        return self._parts(x, alpha, sigma)[0].logsumexp(-1)

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """``count`` draws of x_0, shape=(count, 1 + m), float64."""
        z = torch.randn(count, self.dim, generator=generator, dtype=torch.float64)
        v = self.spread * z[:, :1]
        return torch.cat((v, (0.5 * v).exp() * z[:, 1:]), -1)
