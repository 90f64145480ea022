r"""Total variation TV(p, q) = 1/2 int |p - q|: closed forms, grids, and bounds from samples.

**Gaussians of one mean and commuting covariances.** With variances a_i of p and b_i of q along the
common axes, log p/q = c + sum_i l_i z_i^2 in standard normals z, c = 1/2 sum log(b_i/a_i) and
l_i = 1/2 (a_i/b_i - 1) under p, 1/2 (1 - b_i/a_i) under q, and

    TV = P_p(log p/q > 0) - P_q(log p/q > 0).

Each probability is 1/2 + 1/pi Im int_0^inf exp(iuc) prod_i (1 - 2iu l_i)^(-1/2) du/u ([1]_). The
path is turned by pi/8 into the half-plane where exp(iuc) decays (not by pi/4, where the product
would grow with the dimension); the singularities lie on the imaginary axis and are not met, the
small arc at 0 adds the angle, and with u = e^w the trapezoid rule is exact to about 1e-12. In
the isotropic case it is a difference of chi-square probabilities, `isotropic_tv`.

**Two samples.** Any set A gives TV >= p(A) - q(A). `projected_tv` takes half-lines of projections
(a Kolmogorov-Smirnov distance), `classifier_tv` the region a classifier trained on one half of the
samples chooses, judged on the other half; both return the estimate and a 95 % lower bound.

References
----------
.. [1] J. Gil-Pelaez, "Note on the inversion theorem", Biometrika 38 (1951) 481.
.. [2] P. Massart, "The tight constant in the Dvoretzky-Kiefer-Wolfowitz inequality", Annals of
   Probability 18 (1990) 1269.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.special import erf
from scipy.stats import chi2
from torch import Tensor

from samplers.diagnostics.maps import Advance, value_and_jacobian

__all__ = [
    "classifier_tv",
    "diagonal_tv",
    "flow_tv",
    "grid_tv",
    "isotropic_tv",
    "projected_tv",
    "shifted_tv",
]

LogDensity = Callable[[Tensor], Tensor]


def isotropic_tv(a: float, b: float, dim: int) -> float:
    """TV of N(0, a I) and N(0, b I) in ``dim`` dimensions."""
    small, large = min(a, b), max(a, b)
    if large / small - 1 < 1e-14:
        return 0.0
    excess = (large - small) / small  # as a difference: variances may be close
    square = dim * large * math.log1p(excess) / excess
    return float(chi2.cdf(square / small, dim) - chi2.cdf(square / large, dim))


def shifted_tv(distance: float) -> float:
    """TV of two Gaussians of one covariance whose means differ by ``distance`` (Mahalanobis)."""
    return float(erf(distance / math.sqrt(8)))


def _positive(c: float, l: np.ndarray) -> float:  # noqa: E741 - the formula's l
    """P(c + sum l_i z_i^2 > 0)."""
    angle = math.copysign(math.pi / 8, c)
    scale = max(float(np.abs(l).max()), abs(c) / max(len(l), 1), 1e-300)
    w = np.arange(-32.0, 32.0, 0.05)
    u = np.exp(w) / scale * complex(math.cos(angle), math.sin(angle))
    log_f = 1j * u * c - 0.5 * np.log(1 - 2j * u[:, None] * l).sum(-1)
    integral = np.exp(log_f).imag.sum() * 0.05
    return float(0.5 + (angle + integral) / math.pi)


def diagonal_tv(a: Tensor | np.ndarray, b: Tensor | np.ndarray) -> float:
    """TV of N(m, diag a) and N(m, diag b), shapes (n,); about 1e-12 absolute.

    Raises
    ------
    ValueError
        If a variance is not positive.
    """
    p, q = (np.asarray(v, dtype=np.float64) for v in (a, b))
    if not ((p > 0).all() and (q > 0).all()):
        raise ValueError("variances must be positive")
    excess = (p - q)[p != q] / q[p != q]  # as a difference: variances may be close
    if not excess.size:
        return 0.0
    c = float(-0.5 * np.log1p(excess).sum())
    value = _positive(c, 0.5 * excess) - _positive(c, 0.5 * excess / (1 + excess))
    return min(max(value, 0.0), 1.0)


def grid_tv(
    log_p: LogDensity,
    log_q: LogDensity,
    bounds: Sequence[tuple[float, float]],
    points: int = 400,
) -> Tensor:
    """TV by the midpoint rule on a box, for one or two dimensions.

    Parameters
    ----------
    log_p, log_q : callable (..., n) -> (...)
    bounds : sequence of (low, high), length n
    points : int
        Per axis.

    Returns
    -------
    Tensor, shape=()
    """
    x, cell = _mesh(bounds, points)
    return 0.5 * cell * (log_p(x).exp() - log_q(x).exp()).abs().sum()


def _mesh(bounds: Sequence[tuple[float, float]], points: int) -> tuple[Tensor, float]:
    axes = [
        low + (high - low) * (torch.arange(points, dtype=torch.float64) + 0.5) / points
        for low, high in bounds
    ]
    cell = math.prod((high - low) / points for low, high in bounds)
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, -2), cell


def flow_tv(
    advance: Advance,
    times: Sequence[float],
    log_start: LogDensity,
    log_target: LogDensity,
    bounds: Sequence[tuple[float, float]],
    points: int = 400,
) -> tuple[Tensor, Tensor]:
    """TV between a sampler's law and a target, by the midpoint rule at the *start* of the run.

    With F the run, TV = 1/2 int |p(F(y)) det DF(y) - q_0(y)| dy: no density of the sampler is
    needed where it lands.

    Parameters
    ----------
    advance : callable (x, times) -> Tensor
    times : sequence of float
    log_start : callable
        Log density the sampler starts from, at ``times[0]``.
    log_target : callable
        Log density of the target at ``times[-1]``.
    bounds : sequence of (low, high), length n
        Box at ``times[0]`` that holds all of the start and, seen through F, of the target.
    points : int
        Per axis.

    Returns
    -------
    tv : Tensor, shape=()
    smallest : Tensor, shape=()
        Smallest determinant of DF on the grid; the value is right only if it is positive.
    """
    y, cell = _mesh(bounds, points)
    x, jacobian = value_and_jacobian(lambda v: advance(v, times), y)
    volume = torch.linalg.det(jacobian)
    difference = log_target(x).exp() * volume - log_start(y).exp()
    return 0.5 * cell * difference.abs().sum(), volume.min()


def projected_tv(
    x: Tensor, y: Tensor, projections: int = 128, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """TV from below by projections: largest Kolmogorov-Smirnov distance.

    Parameters
    ----------
    x, y : Tensor, shape=(b, n) and (c, n)
    projections : int
        Random directions; in one dimension the line itself.
    generator : torch.Generator, optional
        On the CPU.

    Returns
    -------
    estimate, lower : Tensor, shape=()
        The largest distance, and the same less its margin: with probability 95 % a lower bound of
        TV, over all directions together ([2]_ with a union bound).
    """
    b, c, n = len(x), len(y), x.shape[-1]
    m = 1 if n == 1 else projections
    normal = torch.randn(m, n, generator=generator, dtype=torch.float64)
    direction = (normal / normal.norm(dim=-1, keepdim=True)).to(x)
    values, order = torch.cat((direction @ x.mT, direction @ y.mT), -1).sort(-1)
    step = torch.where(order < b, 1 / b, -1 / c).to(x.dtype).cumsum(-1)
    last = torch.ones_like(order, dtype=torch.bool)
    last[:, :-1] = values[:, 1:] > values[:, :-1]  # ties count together
    estimate = (step * last).abs().max()
    margin = sum(math.sqrt(math.log(4 * m / 0.05) / (2 * k)) for k in (b, c))
    return estimate, (estimate - margin).clamp(min=0)


def classifier_tv(
    x: Tensor, y: Tensor, features: int = 64, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """TV from below by a classifier: ridge logistic regression on random Fourier features.

    Parameters
    ----------
    x, y : Tensor, shape=(b, n) and (c, n)
        Even rows train, odd rows judge.
    features : int
        Random cosine features, beside the coordinates and their squares.
    generator : torch.Generator, optional
        On the CPU.

    Returns
    -------
    estimate, lower : Tensor, shape=()
        Difference of the shares of odd rows called "x", and the same less Hoeffding's margin: a
        lower bound of TV with probability 95 %.
    """
    n = x.shape[-1]
    both = torch.cat((x[::2], y[::2]))
    mean, std = both.mean(0), both.std(0)
    wave = torch.randn(n, features, generator=generator, dtype=torch.float64).to(x)
    phase = (2 * math.pi * torch.rand(features, generator=generator, dtype=torch.float64)).to(x)

    def lift(v: Tensor) -> Tensor:
        z = (v - mean) / std
        return torch.cat((torch.ones_like(z[:, :1]), z, z.square(), (z @ wave + phase).cos()), -1)

    design = lift(both)
    label = torch.cat((torch.ones_like(x[::2, 0]), torch.zeros_like(y[::2, 0])))
    ridge = 1e-3 * len(label) * torch.eye(design.shape[1], dtype=x.dtype, device=x.device)
    weight = design.new_zeros(design.shape[1])
    for _ in range(12):
        probability = (design @ weight).sigmoid()
        slope = design.mT @ (label - probability) - ridge @ weight
        curvature = (design * (probability * (1 - probability)).unsqueeze(-1)).mT @ design + ridge
        weight = weight + torch.linalg.solve_ex(curvature, slope)[0]
    called = [(lift(v[1::2]) @ weight > 0).to(x.dtype) for v in (x, y)]
    estimate = called[0].mean() - called[1].mean()
    margin = sum(math.sqrt(math.log(2 / 0.05) / (2 * len(v))) for v in called)
    return estimate.clamp(min=0), (estimate - margin).clamp(min=0)
