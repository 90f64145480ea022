r"""Weights of exponential integrators: integrals of polynomials against a kernel, in float64.

In the clock s = log rho every prediction P in {eps, x0, score, v, flow} turns the flow into a
linear equation with a known integrating factor m,

    x(b) = (m_b / m_a) x(a) + int_a^b K_b(s) P(s) ds,

    P        m                         K_b(s)
    eps      alpha                     alpha_b rho
    x0       sigma                     -sigma_b / rho
    score    alpha                     -alpha_b rho^2 alpha(s)
    v        sqrt(alpha^2 + sigma^2)   m_b rho / ((1 + rho^2) m(s))
    flow     alpha + sigma             m_b rho / (1 + rho)^2
    rate     1                         1                              (P = dx/ds itself)

Replacing P by its interpolation polynomial in some clock q(s) gives a method whose weights are
int K_b L_j(q(s)) ds. They are found by composite Gauss-Legendre quadrature with the Lagrange
polynomials in product form: outside the nodes L_j keeps its sign and K_b always does, so nothing
cancels, however short the step. (Closed forms in exp and phi-functions lose all digits there.)

References
----------
.. [1] M. Hochbruck, A. Ostermann, "Exponential integrators", Acta Numerica 19 (2010) 209,
   sec. 2.5 (exponential Adams methods).
.. [2] Q. Zhang, Y. Chen, "Fast sampling of diffusion models with exponential integrator",
   ICLR 2023, arXiv:2204.13902, eq. 15 (the eps row, polynomials in t).
.. [3] C. Lu et al., "DPM-Solver++", arXiv:2211.01095, prop. 4.1 (the x0 row).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from samplers.law import NoiseLaw

__all__ = ["CLOCKS", "KINDS", "Clock", "growth", "integrate_kernel", "interpolation_weights"]

KINDS = ("eps", "x0", "score", "v", "flow", "rate")
Clock = Callable[[NoiseLaw, Tensor], Tensor]

# Clocks q(s) in which predictions may be interpolated.
CLOCKS: dict[str, Clock] = {
    "log_rho": lambda law, s: s,
    "rho": lambda law, s: s.exp(),
    "t": lambda law, s: law.t_from_rho(s.exp()),
    "angle": lambda law, s: s.exp().atan(),
}

_NODES, _WEIGHTS = (torch.from_numpy(a) for a in np.polynomial.legendre.leggauss(16))
_PANEL = 1.0  # longest panel in log rho: the nearest pole of K is then at |y| = pi > 1 half-panel


def _factor(law: NoiseLaw, kind: str, s: Tensor) -> Tensor:
    """Integrating factor m."""
    if kind == "rate":
        return torch.ones_like(s)
    rho = s.exp()
    alpha = law.alpha_from_rho(rho)
    if kind == "x0":
        return rho * alpha
    if kind == "v":
        return alpha * (1 + rho.square()).sqrt()
    if kind == "flow":
        return alpha * (1 + rho)
    return alpha


def _kernel(law: NoiseLaw, kind: str, s: Tensor) -> Tensor:
    """K_b(s) / m_b."""
    if kind == "rate":
        return torch.ones_like(s)
    if kind == "eps":
        return s.exp()
    if kind == "x0":
        return -(-s).exp()
    rho = s.exp()
    if kind == "score":
        return -rho.square() * law.alpha_from_rho(rho)
    if kind == "flow":
        return rho / (1 + rho).square()
    return rho / ((1 + rho.square()) * _factor(law, "v", s))


def growth(law: NoiseLaw, kind: str, a: Tensor, b: Tensor) -> Tensor:
    """m_b / m_a, shape of ``a`` and ``b`` (log rho)."""
    return _factor(law, kind, b) / _factor(law, kind, a)


def integrate_kernel(
    law: NoiseLaw,
    kind: str,
    a: Tensor,
    b: Tensor,
    basis: Callable[[Tensor], Tensor],
) -> Tensor:
    """Integrals from ``a`` to ``b`` of K_b times some functions.

    Parameters
    ----------
    law : NoiseLaw
    kind : str
        One of `KINDS`.
    a, b : Tensor, shape=(n,)
        Log rho.
    basis : callable, (n, q) -> (m, n, q)
        The m functions at q points of each of the n intervals.

    Returns
    -------
    Tensor, shape=(n, m)
    """
    longest = float((b - a).abs().max())
    panels = max(1, math.ceil(longest / _PANEL))
    start = torch.arange(panels, dtype=torch.float64)
    unit = ((start[:, None] + 0.5 * (1 + _NODES)) / panels).flatten()
    weights = (0.5 * _WEIGHTS / panels).repeat(panels)
    s = a[:, None] + (b - a)[:, None] * unit
    values = basis(s) * (weights * _kernel(law, kind, s))
    scale = (b - a) * _factor(law, kind, b)
    return (values.sum(-1) * scale).mT


def interpolation_weights(
    law: NoiseLaw,
    kind: str,
    clock: Clock,
    nodes: Tensor,
    a: Tensor,
    b: Tensor,
) -> Tensor:
    """Weights of the predictions at ``nodes`` in the step from ``a`` to ``b``.

    Parameters
    ----------
    law : NoiseLaw
    kind : str
        One of `KINDS`: what is interpolated.
    clock : callable
        One of `CLOCKS`: in which variable.
    nodes : Tensor, shape=(n, m)
        Log rho of the nodes, distinct in each row.
    a, b : Tensor, shape=(n,)
        Log rho of the ends.

    Returns
    -------
    Tensor, shape=(n, m)
    """
    q = clock(law, nodes)
    order = nodes.shape[-1]

    def lagrange(s: Tensor) -> Tensor:
        x = clock(law, s)
        rows: Sequence[Tensor] = [
            torch.stack(
                [
                    (x - q[:, i, None]) / (q[:, j] - q[:, i])[:, None]
                    for i in range(order)
                    if i != j
                ]
                or [torch.ones_like(x)]
            ).prod(0)
            for j in range(order)
        ]
        return torch.stack(tuple(rows))

    return integrate_kernel(law, kind, a, b, lagrange)
