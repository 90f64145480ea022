r"""A discrete step seen as an ODE.

The total-variation lemma compares two ODE flows, so a step x_k -> x_{k+1} must be filled in by a
path of one-to-one maps G_theta, theta in [0, 1], with G_0 = 1 and G_1 = the step. Here

    G_theta(y) = sum_j L_j(theta) F_j(y),

with F_j the same method stopped at the j-th Chebyshev time of the step (F_0 = 1) and L_j the
Lagrange polynomials. This needs nothing of the method but its steps, is exact at both ends, and
inside it differs from the method's own continuous extension by a spectrally small amount, so the
order of the method is kept. It is *a* valid path whatever that difference: no error is hidden.

The velocity field of the path at x is found by inverting the map,

    y = G_theta^{-1}(x),  v(x) = (d/ds) G_theta(y),  div v(x) = tr[(d/ds DG_theta) DG_theta^{-1}],

s = log rho being the clock. Everything is in x/alpha, where the exact flow is
d(x/alpha)/ds = -rho^2 score. A multistep method remembers more than the last point: its path is
taken from the start of the run, F_j(y) being the run up to the j-th time of the step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from samplers.diagnostics.maps import Advance, value_and_jacobian
from samplers.schedules import NoiseLaw

__all__ = ["Path", "Velocity", "gauss_legendre", "lagrange", "lobatto", "prefixes"]

Array = NDArray[np.float64]


def lobatto(degree: int) -> Array:
    """Chebyshev-Lobatto points on [0, 1], both ends included, increasing."""
    return 0.5 * (1 - np.cos(np.pi * np.arange(degree + 1) / degree))


def gauss_legendre(count: int) -> tuple[Array, Array]:
    """Gauss-Legendre nodes and weights on [0, 1]."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return 0.5 * (nodes + 1), 0.5 * weights


def lagrange(nodes: Array, at: Array) -> tuple[Array, Array]:
    """Lagrange polynomials and their derivatives.

    Parameters
    ----------
    nodes : ndarray, shape=(m,)
    at : ndarray, shape=(q,)

    Returns
    -------
    values, slopes : ndarray, shape=(q, m)
    """
    powers = np.arange(len(nodes))
    inverse = np.linalg.inv(nodes[:, None] ** powers)
    values = at[:, None] ** powers @ inverse
    lowered = np.where(powers > 0, powers, 0) * at[:, None] ** np.maximum(powers - 1, 0)
    return values, lowered @ inverse


@dataclass(frozen=True)
class Velocity:
    """The path's velocity field at given points.

    Attributes
    ----------
    value : Tensor, shape=(q, b, n)
        d/ds of the path, in x/alpha.
    divergence : Tensor, shape=(q, b)
    residual : Tensor, shape=(q, b)
        |G(y) - x| relative to the width sqrt(1 + rho^2): 0 where the inversion worked.
    stretch : Tensor, shape=(q, b)
        Smallest singular value of DG, positive where the path is locally one-to-one, negated
        where the map turns orientation.
    """

    value: Tensor
    divergence: Tensor
    residual: Tensor
    stretch: Tensor


@dataclass(frozen=True, eq=False)
class Path:
    """Interpolation of one step of a sampler.

    Attributes
    ----------
    advance : callable (x, times) -> Tensor
    law : NoiseLaw
    prefix : tuple of float
        Times from the anchor to the start of the step; (t_k,) for a one-step method, the whole
        grid so far for a multistep one.
    end : float
        Time t_{k+1}.
    thetas : ndarray, shape=(q,)
        Where in the step the velocity is wanted.
    degree : int
        Of the interpolation; at least the order of the method.
    """

    advance: Advance
    law: NoiseLaw
    prefix: tuple[float, ...]
    end: float
    thetas: Array
    degree: int = 5

    @cached_property
    def ends(self) -> tuple[float, float]:
        """Clock s = log rho at both ends of the step."""
        rho = self.law.rho(torch.tensor((self.prefix[-1], self.end), dtype=torch.float64)).log()
        first, last = rho.tolist()
        return first, last

    @cached_property
    def levels(self) -> list[float]:
        """Noise-to-signal ratio at each theta."""
        first, last = self.ends
        return [float(np.exp(first + theta * (last - first))) for theta in self.thetas]

    @cached_property
    def anchor(self) -> tuple[float, float, float]:
        """Alpha and rho where the path begins, and alpha at the start of the step."""
        first = self.prefix[0]
        return self.law.alpha(first), self.law.rho(first), self.law.alpha(self.prefix[-1])

    @cached_property
    def _stops(self) -> list[tuple[float, float]]:
        """Inner times and the end of the step, with their alphas."""
        first, last = self.ends
        inner = np.exp(first + lobatto(self.degree)[1:-1] * (last - first))
        times: list[float] = [*self.law.t_from_rho(torch.from_numpy(inner)).tolist(), self.end]
        return [(t, self.law.alpha(t)) for t in times]

    def velocity(self, x: Tensor, guess: Tensor, iterations: int = 8) -> Velocity:
        """Velocity of the path at points, by Newton's method.

        Parameters
        ----------
        x : Tensor, shape=(q, b, n)
            Points in x/alpha, row i at ``thetas[i]``.
        guess : Tensor, shape=(q, b, n)
            First guess of their origins at the anchor, in x/alpha.
        iterations : int
            Newton steps, always all of them.

        Returns
        -------
        Velocity
        """
        first, last = self.ends
        values, slopes = lagrange(lobatto(self.degree), self.thetas)
        weight = torch.from_numpy(values).to(x)[:, None, None]
        slope = torch.from_numpy(slopes / (last - first)).to(x)[:, None, None]
        alpha, _, alpha_here = self.anchor

        def stages(y: Tensor) -> Tensor:
            point = alpha * y
            here = self.advance(point, self.prefix) / alpha_here if len(self.prefix) > 1 else y
            moved = [self.advance(point, (*self.prefix, t)) / a for t, a in self._stops]
            return torch.stack((here, *moved), -1)

        y = guess
        for _ in range(iterations):
            f, df = _stage_jacobian(stages, y)
            g, dg = (f * weight).sum(-1), (df * weight.unsqueeze(-2)).sum(-1)
            y = y - _solve(dg, g - x)
        f, df = _stage_jacobian(stages, y)
        g, dg = (f * weight).sum(-1), (df * weight.unsqueeze(-2)).sum(-1)
        rate = (df * slope.unsqueeze(-2)).sum(-1)
        width = x.new_tensor(self.levels).square().add(1).sqrt()
        divergence = _solve(dg.mT, rate.mT).diagonal(dim1=-2, dim2=-1).sum(-1)
        return Velocity(
            (f * slope).sum(-1),
            divergence,
            (g - x).norm(dim=-1) / width[:, None],
            _stretch(dg),
        )


def _stage_jacobian(stages: Callable[[Tensor], Tensor], y: Tensor) -> tuple[Tensor, Tensor]:
    """Values (q, b, n, m) and Jacobians (q, b, n, n, m) of the stages."""
    value, jacobian = value_and_jacobian(stages, y)
    return value, jacobian.transpose(-1, -2)


def _solve(matrix: Tensor, right: Tensor) -> Tensor:
    """Solve without asking the host whether it worked; singular gives inf, seen as residual."""
    vector = right.dim() == matrix.dim() - 1
    column = right.unsqueeze(-1) if vector else right
    if matrix.shape[-1] == 1:
        out = column / matrix
    else:
        out = torch.linalg.solve_ex(matrix, column)[0]
    return out.squeeze(-1) if vector else out


def _stretch(matrix: Tensor) -> Tensor:
    """Smallest singular value with the sign of the determinant."""
    if matrix.shape[-1] == 1:
        return matrix[..., 0, 0]
    smallest: Tensor = torch.linalg.svdvals(matrix)[..., -1]
    signed: Tensor = smallest * torch.linalg.det(matrix).sign()
    return signed


def prefixes(times: Sequence[float], one_step: bool) -> list[tuple[float, ...]]:
    """List the times from the anchor to each step's start; see `Path`."""
    if one_step:
        return [(t,) for t in times[:-1]]
    return [tuple(times[: k + 1]) for k in range(len(times) - 1)]
