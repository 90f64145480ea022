r"""Where states live: R^n, SO(3), and products of them, behind one interface.

A *point* is a tensor ([..., n], or [..., 3, 3] for a rotation); a *tangent vector* at it is a
tensor of `tangent_shape` (on SO(3) in the body frame). Beside the geometry every stepper needs
one operation, the step itself,

    move(x, a, u):   a x + u  on R^n,      R Exp(u)  on SO(3), where a must be 1,

because the linear part of a diffusion only rescales R^n. `Product` has the same methods on
tuples, so that a stepper is written once for any product of spaces.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from samplers import so3
from samplers.smooth import safe_norm

__all__ = ["SO3", "Euclidean", "Product", "Space", "State"]

State = tuple[Tensor, ...]


@dataclass(frozen=True)
class Space(ABC):
    """A manifold whose points and tangent vectors are tensors."""

    name: ClassVar[str]

    @abstractmethod
    def tangent_shape(self, x: Tensor) -> tuple[int, ...]:
        """Shape of tangent vectors at the points ``x``."""

    @abstractmethod
    def exp(self, x: Tensor, u: Tensor) -> Tensor:
        """Point reached from ``x`` along the geodesic with velocity ``u`` after unit time."""

    @abstractmethod
    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """Shortest tangent vector with ``exp(x, log(x, y)) == y``."""

    @abstractmethod
    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Geodesic distance, one number per point; shape=(...)."""

    @abstractmethod
    def tangent_noise(self, x: Tensor, normal: Tensor) -> Tensor:
        """Isotropic unit Gaussian tangent vectors at ``x`` from standard normal numbers."""

    @abstractmethod
    def transport(self, x: Tensor, u: Tensor, w: Tensor) -> Tensor:
        """Parallel transport of ``w`` at ``x`` along the geodesic to ``exp(x, u)``."""

    @abstractmethod
    def pullback(self, u: Tensor, w: Tensor) -> Tensor:
        """Velocity in the chart y = exp(x, u) at ``x`` of a curve with velocity ``w`` at y.

        It is what Runge-Kutta and multistep methods must average on a curved space (dexp^-1).
        """

    @abstractmethod
    def move(self, x: Tensor, a: float, u: Tensor) -> Tensor:
        """One step: rescale by ``a`` (R^n only), then add the tangent vector ``u``."""

    @abstractmethod
    def velocity(self, x: Tensor, a: float, u: Tensor) -> Tensor:
        """Tangent vector a x + u of the linear drift ``a`` (R^n only) plus ``u``."""


@dataclass(frozen=True)
class Euclidean(Space):
    """R^n, points [..., n]."""

    name: ClassVar[str] = "euclidean"

    def tangent_shape(self, x: Tensor) -> tuple[int, ...]:
        """Return the shape of ``x``."""
        return tuple(x.shape)

    def exp(self, x: Tensor, u: Tensor) -> Tensor:
        """Return x + u."""
        return x + u

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """Return y - x."""
        return y - x

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Return |y - x| over the last axis."""
        return safe_norm(y - x)

    def tangent_noise(self, x: Tensor, normal: Tensor) -> Tensor:
        """Return ``normal`` itself."""
        return normal

    def transport(self, x: Tensor, u: Tensor, w: Tensor) -> Tensor:
        """Return ``w`` itself."""
        return w

    def pullback(self, u: Tensor, w: Tensor) -> Tensor:
        """Return ``w`` itself."""
        return w

    def move(self, x: Tensor, a: float, u: Tensor) -> Tensor:
        """Return a x + u."""
        return torch.add(u, x, alpha=a)

    def velocity(self, x: Tensor, a: float, u: Tensor) -> Tensor:
        """Return a x + u."""
        return torch.add(u, x, alpha=a)


@dataclass(frozen=True)
class SO3(Space):
    """Rotations, points [..., 3, 3], tangent vectors [..., 3] in the body frame."""

    name: ClassVar[str] = "rotation"

    def tangent_shape(self, x: Tensor) -> tuple[int, ...]:
        """Return the shape of ``x`` without its last axis."""
        return tuple(x.shape[:-1])

    def exp(self, x: Tensor, u: Tensor) -> Tensor:
        """Return R Exp(u), with the rounding of long products removed."""
        return so3.polish(x @ so3.exp(u))

    def log(self, x: Tensor, y: Tensor) -> Tensor:
        """Return Log(x^T y)."""
        return so3.log(x.transpose(-1, -2) @ y)

    def distance(self, x: Tensor, y: Tensor) -> Tensor:
        """Angle between two rotations, radians."""
        return so3.distance(x, y)

    def tangent_noise(self, x: Tensor, normal: Tensor) -> Tensor:
        """Return ``normal`` itself: the body frame is orthonormal."""
        return normal

    def transport(self, x: Tensor, u: Tensor, w: Tensor) -> Tensor:
        """Return Exp(-u/2) w, the Levi-Civita transport of the bi-invariant metric."""
        return (so3.exp(-0.5 * u) @ w.unsqueeze(-1)).squeeze(-1)

    def pullback(self, u: Tensor, w: Tensor) -> Tensor:
        """Return dexp_u^-1 w."""
        return so3.dexpinv(u, w)

    def move(self, x: Tensor, a: float, u: Tensor) -> Tensor:
        """Return R Exp(u)."""
        return self.exp(x, u)

    def velocity(self, x: Tensor, a: float, u: Tensor) -> Tensor:
        """Return ``u`` itself."""
        return u


@dataclass(frozen=True)
class Product:
    """Product of spaces; points and tangent vectors are tuples, one entry per factor."""

    factors: tuple[Space, ...]

    def tangent_shape(self, x: State) -> tuple[tuple[int, ...], ...]:
        """Shapes of the tangent vectors at ``x``."""
        return tuple(s.tangent_shape(p) for s, p in zip(self.factors, x, strict=True))

    def exp(self, x: State, u: State) -> State:
        """Geodesic end point, factor by factor."""
        return tuple(s.exp(p, v) for s, p, v in zip(self.factors, x, u, strict=True))

    def log(self, x: State, y: State) -> State:
        """Shortest tangent vector, factor by factor."""
        return tuple(s.log(p, q) for s, p, q in zip(self.factors, x, y, strict=True))

    def distance(self, x: State, y: State) -> State:
        """Geodesic distances, one tensor per factor."""
        return tuple(s.distance(p, q) for s, p, q in zip(self.factors, x, y, strict=True))

    def tangent_noise(self, x: State, normal: State) -> State:
        """Return unit Gaussian tangent vectors, factor by factor."""
        return tuple(
            s.tangent_noise(p, z) for s, p, z in zip(self.factors, x, normal, strict=True)
        )

    def transport(self, x: State, u: State, w: State) -> State:
        """Parallel transport, factor by factor."""
        return tuple(
            s.transport(p, v, z) for s, p, v, z in zip(self.factors, x, u, w, strict=True)
        )

    def pullback(self, u: State, w: State) -> State:
        """Chart velocity, factor by factor."""
        return tuple(s.pullback(v, z) for s, v, z in zip(self.factors, u, w, strict=True))

    def move(self, x: State, a: Sequence[float], u: State) -> State:
        """One step, factor by factor."""
        return tuple(s.move(p, c, v) for s, p, c, v in zip(self.factors, x, a, u, strict=True))

    def velocity(self, x: State, a: Sequence[float], u: State) -> State:
        """Linear drift plus tangent vector, factor by factor."""
        return tuple(s.velocity(p, c, v) for s, p, c, v in zip(self.factors, x, a, u, strict=True))
