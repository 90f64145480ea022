r"""Noise laws: t in [0, 1] -> alpha(t), sigma(t), t = 0 data and t = 1 noise.

What every law offers is in `samplers.law`. On SO(3) only sigma is used, with alpha = 1: R_t is
Brownian motion of variance tau = sigma^2 per tangent axis started at R_0. Proteins use
`TangentPower` for translations and `LinearSigma` for rotations.

References
----------
.. [1] Y. Song et al., "Score-based generative modeling through stochastic differential
   equations", ICLR 2021, arXiv:2011.13456, appendix B (VE, VP, sub-VP).
.. [2] A. Nichol, P. Dhariwal, "Improved denoising diffusion probabilistic models", ICML 2021,
   arXiv:2102.09672, eq. 17 (cosine).
.. [3] X. Liu, C. Gong, Q. Liu, "Flow straight and fast", arXiv:2209.03003 (rectified flow).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from samplers.law import NoiseLaw, VarianceExploding, VariancePreserving

__all__ = [
    "OU",
    "VE",
    "LinearSigma",
    "NoiseLaw",
    "RectifiedFlow",
    "SubVP",
    "TangentPower",
    "Unscaled",
    "VPCosine",
    "VPLinear",
]


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


@dataclass(frozen=True)
class TangentPower(VariancePreserving):
    """rho(t) = tan(k t)^gamma, variance preserving, with rho(1) = rho_max.

    k = atan(rho_max^(1/gamma)). Near both ends log rho moves like gamma log t and
    -gamma log(1 - t + const), slowly enough that a network sees every noise level;
    gamma = 1 is the cosine law without offset.

    Attributes
    ----------
    rho_max : float
        Noise-to-signal ratio at t = 1.
    gamma : float
        Exponent; at least 1 keeps g^2 finite at t = 0.
    """

    rho_max: float = 400.0
    gamma: float = 1.5

    def __post_init__(self) -> None:
        """Check the parameters."""
        _require(self.rho_max > 0, f"rho_max must be positive, got {self.rho_max}")
        _require(self.gamma > 0, f"gamma must be positive, got {self.gamma}")

    @property
    def _k(self) -> float:
        return math.atan(self.rho_max ** (1 / self.gamma))

    def _rho(self, t: Tensor) -> Tensor:
        return (self._k * t).tan().pow(self.gamma)

    def _rho_drho(self, t: Tensor) -> Tensor:
        tan = (self._k * t).tan()
        return self.gamma * self._k * tan.pow(2 * self.gamma - 1) * (1 + tan.square())

    def _inverse(self, rho: Tensor) -> Tensor:
        return rho.pow(1 / self.gamma).atan() / self._k


@dataclass(frozen=True)
class VPLinear(VariancePreserving):
    """Linear VP law, beta(t) = beta_min + (beta_max - beta_min) t ([1]_, eq. 33).

    rho^2 = exp(B) - 1 with B(t) = int_0^t beta.
    """

    beta_min: float = 0.1
    beta_max: float = 20.0

    def __post_init__(self) -> None:
        """Check the parameters."""
        _require(
            0 < self.beta_min < self.beta_max,
            f"need 0 < beta_min < beta_max, got {self.beta_min}, {self.beta_max}",
        )

    def _integral(self, t: Tensor) -> Tensor:
        return self.beta_min * t + 0.5 * (self.beta_max - self.beta_min) * t.square()

    def _rho(self, t: Tensor) -> Tensor:
        return torch.expm1(self._integral(t)).sqrt()

    def _rho_drho(self, t: Tensor) -> Tensor:
        beta = self.beta_min + (self.beta_max - self.beta_min) * t
        return 0.5 * beta * self._integral(t).exp()

    def _inverse(self, rho: Tensor) -> Tensor:
        integral = torch.log1p(rho.square())
        slope = self.beta_max - self.beta_min
        return 2 * integral / (self.beta_min + (self.beta_min**2 + 2 * slope * integral).sqrt())


@dataclass(frozen=True)
class VPCosine(VariancePreserving):
    """Squared-cosine law with offset s ([2]_), run up to rho(1) = rho_max instead of infinity.

    alpha(t) = cos(theta(t)) / cos(theta(0)), theta(t) = theta(0) + k t,
    theta(0) = (pi/2) s / (1 + s).
    """

    offset: float = 0.008
    rho_max: float = 1e3

    def __post_init__(self) -> None:
        """Check the parameters."""
        _require(0 <= self.offset < 1, f"offset must lie in [0, 1), got {self.offset}")
        _require(self.rho_max > 0, f"rho_max must be positive, got {self.rho_max}")

    @property
    def _start(self) -> float:
        return 0.5 * math.pi * self.offset / (1 + self.offset)

    @property
    def _k(self) -> float:
        end = math.acos(math.cos(self._start) / math.sqrt(1 + self.rho_max**2))
        return end - self._start

    def _rho(self, t: Tensor) -> Tensor:
        # rho^2 = (cos^2 a - cos^2 b) / cos^2 b = sin(b - a) sin(b + a) / cos^2 b
        theta = self._start + self._k * t
        square = (self._k * t).sin() * (theta + self._start).sin()
        return square.sqrt() / theta.cos()

    def _rho_drho(self, t: Tensor) -> Tensor:
        theta = self._start + self._k * t
        return self._k * math.cos(self._start) ** 2 * theta.tan() / theta.cos().square()

    def _inverse(self, rho: Tensor) -> Tensor:
        # sin b = sqrt((sin^2 a + rho^2) / (1 + rho^2)), as a tangent to keep digits at both ends
        sine = (math.sin(self._start) ** 2 + rho.square()).sqrt()
        return (torch.atan(sine / math.cos(self._start)) - self._start) / self._k


@dataclass(frozen=True)
class OU(VariancePreserving):
    """Ornstein-Uhlenbeck law alpha = exp(-T t): dX = -X ds + sqrt(2) dW with s = T t."""

    horizon: float = 6.0

    def __post_init__(self) -> None:
        """Check the parameters."""
        _require(self.horizon > 0, f"horizon must be positive, got {self.horizon}")

    def _rho(self, t: Tensor) -> Tensor:
        return torch.expm1(2 * self.horizon * t).sqrt()

    def _rho_drho(self, t: Tensor) -> Tensor:
        return self.horizon * (2 * self.horizon * t).exp()

    def _inverse(self, rho: Tensor) -> Tensor:
        return torch.log1p(rho.square()) / (2 * self.horizon)


@dataclass(frozen=True)
class VE(VarianceExploding):
    """Variance-exploding law with geometric sigma ([1]_, eq. 30)."""

    sigma_min: float = 0.01
    sigma_max: float = 50.0

    def __post_init__(self) -> None:
        """Check the parameters."""
        _require(
            0 < self.sigma_min < self.sigma_max,
            f"need 0 < sigma_min < sigma_max, got {self.sigma_min}, {self.sigma_max}",
        )

    @property
    def _rate(self) -> float:
        return math.log(self.sigma_max / self.sigma_min)

    def _rho(self, t: Tensor) -> Tensor:
        return self.sigma_min * (self._rate * t).exp()

    def _rho_drho(self, t: Tensor) -> Tensor:
        return self._rate * self._rho(t).square()

    def _inverse(self, rho: Tensor) -> Tensor:
        return (rho / self.sigma_min).log() / self._rate


@dataclass(frozen=True)
class LinearSigma(VarianceExploding):
    """Variance-exploding law with sigma linear in t; the rotations' clock.

    On SO(3) sigma_max = 2.5 leaves the relaxation factor exp(-sigma^2) = 2e-3 of the slowest
    mode, sigma_min = 0.02 is one degree.
    """

    sigma_min: float = 0.02
    sigma_max: float = 2.5

    def __post_init__(self) -> None:
        """Check the parameters."""
        _require(
            0 <= self.sigma_min < self.sigma_max,
            f"need 0 <= sigma_min < sigma_max, got {self.sigma_min}, {self.sigma_max}",
        )

    def _rho(self, t: Tensor) -> Tensor:
        return self.sigma_min + (self.sigma_max - self.sigma_min) * t

    def _rho_drho(self, t: Tensor) -> Tensor:
        return (self.sigma_max - self.sigma_min) * self._rho(t)

    def _inverse(self, rho: Tensor) -> Tensor:
        return (rho - self.sigma_min) / (self.sigma_max - self.sigma_min)


@dataclass(frozen=True)
class SubVP(NoiseLaw):
    """Sub-VP law: alpha of `VPLinear`, sigma = 1 - alpha^2 ([1]_, eq. 29)."""

    beta_min: float = 0.1
    beta_max: float = 20.0

    @property
    def _vp(self) -> VPLinear:
        return VPLinear(self.beta_min, self.beta_max)

    def __post_init__(self) -> None:
        """Check the parameters."""
        VPLinear(self.beta_min, self.beta_max)

    def _alpha(self, t: Tensor) -> Tensor:
        return self._vp._alpha(t)

    def _dlog_alpha(self, t: Tensor) -> Tensor:
        return self._vp._dlog_alpha(t)

    def _rho(self, t: Tensor) -> Tensor:
        return 2 * (0.5 * self._vp._integral(t)).sinh()  # 1/alpha - alpha

    def _rho_drho(self, t: Tensor) -> Tensor:
        beta = self.beta_min + (self.beta_max - self.beta_min) * t
        return beta * self._vp._integral(t).sinh()

    def _inverse(self, rho: Tensor) -> Tensor:
        integral = 2 * torch.asinh(rho / 2)
        return self._vp._inverse(torch.expm1(integral).sqrt())


@dataclass(frozen=True)
class RectifiedFlow(NoiseLaw):
    """Straight-line law alpha = 1 - t, sigma = t ([3]_); rho is infinite at t = 1."""

    def _alpha(self, t: Tensor) -> Tensor:
        return 1 - t

    def _rho(self, t: Tensor) -> Tensor:
        return t / (1 - t)

    def _dlog_alpha(self, t: Tensor) -> Tensor:
        return -1 / (1 - t)

    def _rho_drho(self, t: Tensor) -> Tensor:
        return t / (1 - t).pow(3)

    def _inverse(self, rho: Tensor) -> Tensor:
        return rho / (1 + rho)


@dataclass(frozen=True)
class Unscaled(VarianceExploding):
    """Variance-exploding law with the noise-to-signal ratio of another: the law of x/alpha.

    The clock of quantities that are carried along a run, such as a log density.
    """

    law: NoiseLaw

    def _rho(self, t: Tensor) -> Tensor:
        return self.law._rho(t)

    def _rho_drho(self, t: Tensor) -> Tensor:
        return self.law._rho_drho(t)

    def _inverse(self, rho: Tensor) -> Tensor:
        return self.law._inverse(rho)
