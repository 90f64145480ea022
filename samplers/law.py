r"""What a noise law is.

A law fixes x_t = alpha(t) x_0 + sigma(t) eps, that is the forward diffusion
dx = (d log alpha/dt) x dt + g dw. Everything follows from alpha and from the noise-to-signal
ratio rho = sigma / alpha:

    sigma = rho alpha,   log SNR = -2 log rho,
    g^2 = d sigma^2/dt - 2 sigma^2 d log alpha/dt = 2 alpha^2 rho (d rho/dt).

In x/alpha the probability-flow ODE is d(x/alpha)/d rho = eps for every law, so laws differ in
where they put their time, not in the paths they follow.

Every method takes a float (and returns a float) or a tensor (computed in float64, returned in
the dtype of t).

References
----------
.. [1] D. Kingma et al., "Variational diffusion models", arXiv:2107.00630, sec. 3.2 (log SNR).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import overload

import torch
from torch import Tensor

__all__ = ["NoiseLaw", "VarianceExploding", "VariancePreserving"]


@overload
def _evaluate(f: Callable[[Tensor], Tensor], x: float) -> float: ...
@overload
def _evaluate(f: Callable[[Tensor], Tensor], x: Tensor) -> Tensor: ...
def _evaluate(f: Callable[[Tensor], Tensor], x: float | Tensor) -> float | Tensor:
    """Apply ``f`` in float64; a float stays a float and a tensor keeps its dtype."""
    if isinstance(x, Tensor):
        return f(x.to(torch.float64)).to(x.dtype)
    return float(f(torch.tensor(x, dtype=torch.float64)))


@dataclass(frozen=True)
class NoiseLaw(ABC):
    """A noise law; subclasses give alpha, rho, their derivatives and the inverse of rho."""

    @abstractmethod
    def _alpha(self, t: Tensor) -> Tensor: ...

    @abstractmethod
    def _rho(self, t: Tensor) -> Tensor: ...

    @abstractmethod
    def _dlog_alpha(self, t: Tensor) -> Tensor: ...

    @abstractmethod
    def _rho_drho(self, t: Tensor) -> Tensor:
        """Give rho d rho/dt, finite where d rho/dt alone is not."""

    @abstractmethod
    def _inverse(self, rho: Tensor) -> Tensor: ...

    @overload
    def alpha(self, t: float) -> float: ...
    @overload
    def alpha(self, t: Tensor) -> Tensor: ...
    def alpha(self, t: float | Tensor) -> float | Tensor:
        """Signal coefficient alpha(t)."""
        return _evaluate(self._alpha, t)

    @overload
    def sigma(self, t: float) -> float: ...
    @overload
    def sigma(self, t: Tensor) -> Tensor: ...
    def sigma(self, t: float | Tensor) -> float | Tensor:
        """Noise coefficient sigma(t) = rho(t) alpha(t)."""
        return _evaluate(lambda u: self._rho(u) * self._alpha(u), t)

    @overload
    def rho(self, t: float) -> float: ...
    @overload
    def rho(self, t: Tensor) -> Tensor: ...
    def rho(self, t: float | Tensor) -> float | Tensor:
        """Noise-to-signal ratio rho(t) = sigma(t) / alpha(t), increasing in t."""
        return _evaluate(self._rho, t)

    @overload
    def log_snr(self, t: float) -> float: ...
    @overload
    def log_snr(self, t: Tensor) -> Tensor: ...
    def log_snr(self, t: float | Tensor) -> float | Tensor:
        """log(alpha^2 / sigma^2) = -2 log rho; +inf where rho = 0."""
        return _evaluate(lambda u: -2 * self._rho(u).log(), t)

    @overload
    def dlog_alpha(self, t: float) -> float: ...
    @overload
    def dlog_alpha(self, t: Tensor) -> Tensor: ...
    def dlog_alpha(self, t: float | Tensor) -> float | Tensor:
        """Drift coefficient f(t) = d log alpha / dt, at most 0."""
        return _evaluate(self._dlog_alpha, t)

    @overload
    def g2(self, t: float) -> float: ...
    @overload
    def g2(self, t: Tensor) -> Tensor: ...
    def g2(self, t: float | Tensor) -> float | Tensor:
        """Squared diffusion coefficient g^2(t) = 2 alpha^2 rho d rho/dt ([1]_)."""
        return _evaluate(lambda u: 2 * self._alpha(u).square() * self._rho_drho(u), t)

    def alpha_from_rho(self, rho: Tensor) -> Tensor:
        """Signal coefficient at the noise-to-signal ratio ``rho``."""
        return self.alpha(self.t_from_rho(rho))

    @overload
    def t_from_rho(self, rho: float) -> float: ...
    @overload
    def t_from_rho(self, rho: Tensor) -> Tensor: ...
    def t_from_rho(self, rho: float | Tensor) -> float | Tensor:
        """Time at which the noise-to-signal ratio is ``rho``."""
        return _evaluate(self._inverse, rho)


@dataclass(frozen=True)
class VarianceExploding(NoiseLaw):
    """Laws with alpha = 1, so rho = sigma."""

    def _alpha(self, t: Tensor) -> Tensor:
        return torch.ones_like(t)

    def _dlog_alpha(self, t: Tensor) -> Tensor:
        return torch.zeros_like(t)

    def alpha_from_rho(self, rho: Tensor) -> Tensor:
        """One."""
        return torch.ones_like(rho)


@dataclass(frozen=True)
class VariancePreserving(NoiseLaw):
    """Laws with alpha^2 + sigma^2 = 1, so alpha = 1 / sqrt(1 + rho^2)."""

    def _alpha(self, t: Tensor) -> Tensor:
        return (1 + self._rho(t).square()).rsqrt()

    def _dlog_alpha(self, t: Tensor) -> Tensor:
        return -self._rho_drho(t) / (1 + self._rho(t).square())

    def alpha_from_rho(self, rho: Tensor) -> Tensor:
        """1 / sqrt(1 + rho^2)."""
        return (1 + rho.square()).rsqrt()
