r"""A clock with a free density of points over s = log rho.

The density is the exponential of a function that is linear between knots and constant outside
them. Its integral W(s) is monotone and has a closed form, and so has its inverse: on a piece from
s_i, where the log density is a + b (s - s_i),

    W(s) - W(s_i) = e^a (e^{b (s - s_i)} - 1) / b,     s - s_i = log(1 + b e^-a (W - W(s_i))) / b.

Any density gives a valid grid for any number of steps between any two ends, which makes the
log densities a good set of unknowns for `samplers.grids.refine`: few, unconstrained, and with a
meaning at every budget.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from samplers.grids.fixed import Grid, check, require_range
from samplers.schedules import NoiseLaw

__all__ = ["DensityClock"]

_Array = NDArray[np.float64]


@dataclass(frozen=True)
class DensityClock:
    """Density of grid points over log rho.

    Attributes
    ----------
    knots : tuple of float
        Places s = log rho, strictly increasing, at least two.
    log_density : tuple of float
        Natural logarithm of the density at the knots, up to a constant.
    """

    knots: tuple[float, ...]
    log_density: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check the knots."""
        if len(self.knots) < 2 or len(self.knots) != len(self.log_density):
            raise ValueError(
                f"a clock needs two knots or more with a density each, got {len(self.knots)} "
                f"knots and {len(self.log_density)} densities"
            )
        if not all(a < b for a, b in itertools.pairwise(self.knots)):
            raise ValueError("the knots of a clock must increase strictly")
        if not all(math.isfinite(v) for v in (*self.knots, *self.log_density)):
            raise ValueError("knots and log densities of a clock must be finite")

    @classmethod
    def flat(cls, rho_min: float, rho_max: float, knots: int) -> DensityClock:
        """Clock of constant density (uniform in log rho), with evenly spaced knots."""
        places = np.linspace(math.log(rho_min), math.log(rho_max), knots)
        return cls(tuple(places.tolist()), (0.0,) * knots)

    def grid(self, n: int, law: NoiseLaw, *, t_min: float, t_max: float = 1.0) -> Grid:
        """Grid of ``n`` steps with this density.

        Parameters
        ----------
        n : int
            Number of steps, at least 1.
        law : NoiseLaw
            Law whose rho the clock reads.
        t_min, t_max : float
            End points, 0 <= t_min < t_max <= 1; exact in the result.

        Returns
        -------
        tuple of float, length n + 1, decreasing

        Raises
        ------
        ValueError
            If n < 1, an end is out of range, or rho is 0 or infinite there.
        """
        require_range(n, t_min, t_max)
        low, high = law.rho(t_min), law.rho(t_max)
        if not 0 < low < high < math.inf:
            raise ValueError(f"rho runs from {high} to {low}: move the ends of the grid inwards")
        places = torch.from_numpy(self.places(n, math.log(high), math.log(low)))
        inner: list[float] = law.t_from_rho(places[1:-1].exp()).tolist()
        return check((t_max, *inner, t_min))

    def places(self, n: int, start: float, end: float) -> _Array:
        """Values of log rho of a grid with ``n`` steps between two ends, shape=(n + 1,)."""
        ends = self.measure([start, end])
        places = self._inverse(np.linspace(ends[0], ends[1], n + 1))
        places[0], places[-1] = start, end
        return places

    def measure(self, s: Sequence[float] | _Array) -> _Array:
        """Integral W(s) of the density from the first knot (negative before it)."""
        s = np.asarray(s, dtype=np.float64)
        piece, edges, slope, height, cumulative = self._pieces(s)
        x = s - edges[piece]
        grown: _Array = cumulative[piece] + height[piece] * _expm1_over(slope[piece], x)
        return grown

    def _inverse(self, w: _Array) -> _Array:
        edges, slope, height, cumulative = self._tables()
        piece = np.searchsorted(cumulative[1:], w, side="right")
        q = (w - cumulative[piece]) / height[piece]
        b = slope[piece]
        flat = np.abs(b * q) < 1e-12
        safe = np.where(flat, 1.0, b)
        step = np.where(flat, q, np.log1p(np.where(flat, 0.0, safe * q)) / safe)
        places: _Array = edges[piece] + step
        return places

    def _tables(self) -> tuple[_Array, _Array, _Array, _Array]:
        """Left edge, slope, density and W there, of every piece; the outer two are flat."""
        s, a = np.array(self.knots), np.array(self.log_density)
        a = a - a.mean()
        slope = np.diff(a) / np.diff(s)
        inside = np.exp(a[:-1]) * _expm1_over(slope, np.diff(s))
        cumulative = np.concatenate(([0.0, 0.0], np.cumsum(inside)))
        edges = np.concatenate((s[:1], s))
        height = np.exp(np.concatenate((a[:1], a)))
        return edges, np.concatenate(([0.0], slope, [0.0])), height, cumulative

    def _pieces(self, s: _Array) -> tuple[NDArray[np.intp], _Array, _Array, _Array, _Array]:
        edges, slope, height, cumulative = self._tables()
        return np.searchsorted(edges[1:], s, side="right"), edges, slope, height, cumulative


def _expm1_over(b: _Array, x: _Array) -> _Array:
    """(e^{b x} - 1) / b, which is x where b = 0."""
    flat = np.abs(b * x) < 1e-12
    safe = np.where(flat, 1.0, b)
    value: _Array = np.where(flat, x, np.expm1(np.where(flat, 0.0, b * x)) / safe)
    return value
