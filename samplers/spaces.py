r"""Where states live: R^n, SO(3), and products of them, behind one interface.

A *point* is a tensor ([..., n], or [..., 3, 3] for a rotation); a *tangent vector* at it is a
tensor of `tangent_shape` (on SO(3) in the body frame).

Steppers work in the *chart* at a base point x, where every space looks like R^n:

    R^n     coordinate of y: y itself;       a x + sum w e is a point
    SO(3)   coordinate u of R Exp(u): u, so the base is at 0;   a is idle, sum w e is a coordinate

In the chart at R the flow R' = R' hat(omega) is u' = dexp_u^-1 omega(R Exp(u)), an ordinary
equation in R^3. So a method for R^n, given entries dexp_u^-1 omega in place of omega, keeps its
order on SO(3), whatever it is: Runge-Kutta, multistep, exponential (Munthe-Kaas [1]_). `reach`,
`coordinate` and `entry` are all a stepper needs; `Product` gives the geometry on tuples.

References
----------
.. [1] H. Munthe-Kaas, "High order Runge-Kutta methods on manifolds", Appl. Numer. Math. 29
   (1999) 115.
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
    def reach(
        self, x: Tensor, a: float, weights: Sequence[float], entries: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Chart coordinate and point of a x + sum of weights times entries.

        Entries are quantities in the chart at ``x``, see `entry`.
        """

    @abstractmethod
    def coordinate(self, x: Tensor, y: Tensor) -> Tensor:
        """Coordinate of ``y`` in the chart at ``x``."""

    @abstractmethod
    def entry(self, coordinate: Tensor | None, value: Tensor, shift: float) -> Tensor:
        """Prediction found at a point of the chart, as the chart sees it, + shift * coordinate.

        ``coordinate`` None is the base point, on SO(3) at 0.
        """

    @abstractmethod
    def record(self, y: Tensor, value: Tensor, shift: float) -> tuple[Tensor, ...]:
        """Keep what any later chart needs to have the entry of a prediction at ``y``."""

    @abstractmethod
    def recall(
        self, x: Tensor, records: Sequence[tuple[Tensor, ...]], shifts: Sequence[float]
    ) -> list[Tensor]:
        """Entries of remembered predictions in the chart at ``x``."""


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

    def reach(
        self, x: Tensor, a: float, weights: Sequence[float], entries: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return a x + sum w e, twice: points are their own coordinates."""
        point = x * a
        for w, e in zip(weights, entries, strict=True):
            point.add_(e, alpha=w)
        return point, point

    def coordinate(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ``y`` itself."""
        return y

    def entry(self, coordinate: Tensor | None, value: Tensor, shift: float) -> Tensor:
        """Return value + shift * coordinate."""
        if shift == 0.0 or coordinate is None:
            return value
        return torch.add(value, coordinate, alpha=shift)

    def record(self, y: Tensor, value: Tensor, shift: float) -> tuple[Tensor, ...]:
        """Return the entry, the same in every chart."""
        return (self.entry(y, value, shift),)

    def recall(
        self, x: Tensor, records: Sequence[tuple[Tensor, ...]], shifts: Sequence[float]
    ) -> list[Tensor]:
        """Return the entries."""
        return [record[0] for record in records]


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

    def reach(
        self, x: Tensor, a: float, weights: Sequence[float], entries: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return u = sum w e and R Exp(u)."""
        u = entries[0] * weights[0]
        for w, e in zip(weights[1:], entries[1:], strict=True):
            u.add_(e, alpha=w)
        return u, self.exp(x, u)

    def coordinate(self, x: Tensor, y: Tensor) -> Tensor:
        """Return Log(x^T y)."""
        return self.log(x, y)

    def entry(self, coordinate: Tensor | None, value: Tensor, shift: float) -> Tensor:
        """Return dexp_u^-1 value + shift u."""
        if coordinate is None:
            return value
        carried = so3.dexpinv(coordinate, value)
        return carried if shift == 0.0 else torch.add(carried, coordinate, alpha=shift)

    def record(self, y: Tensor, value: Tensor, shift: float) -> tuple[Tensor, ...]:
        """Return point and value."""
        return y, value

    def recall(
        self, x: Tensor, records: Sequence[tuple[Tensor, ...]], shifts: Sequence[float]
    ) -> list[Tensor]:
        """Return the entries, all but that of ``x`` itself in one pass."""
        entries = [value for _, value in records]
        away = [i for i, (y, _) in enumerate(records) if y is not x]
        if away:
            u = self.coordinate(x, torch.stack([records[i][0] for i in away]))
            carried = so3.dexpinv(u, torch.stack([entries[i] for i in away]))
            for i, v, w in zip(away, carried.unbind(), u.unbind(), strict=True):
                entries[i] = v if shifts[i] == 0.0 else torch.add(v, w, alpha=shifts[i])
        return entries


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
