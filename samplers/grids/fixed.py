r"""Where the time points go: N steps from t_max (noise) down to t_min (data).

A grid is a tuple of N + 1 decreasing floats. Each is uniform in some clock:

    uniform        t itself
    log_snr        lambda = -2 log rho
    quadratic      sqrt(t)                                           ([1]_)
    edm            rho^(1/7)                                         ([2]_, eq. 5)
    const_geom     w = u - 1 for u > 1, log u for u < 1, where u = log sqrt(1 + rho^2) is the
                   Ornstein-Uhlenbeck time: steps h = kappa min(1, u), constant far from the
                   data and geometric near it                        ([3]_)

References
----------
.. [1] J. Song, C. Meng, S. Ermon, "Denoising diffusion implicit models", ICLR 2021,
   arXiv:2010.02502, appendix D.2.
.. [2] T. Karras et al., "Elucidating the design space of diffusion-based generative models",
   NeurIPS 2022, arXiv:2206.00364.
.. [3] H. Chen, H. Lee, J. Lu, "Improved analysis of score-based generative modeling",
   arXiv:2211.01916 (exponentially decaying steps).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from samplers.schedules import NoiseLaw

__all__ = ["GRIDS", "Grid", "check", "make", "require_range"]

Grid = tuple[float, ...]
_Clock = tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]


def _uniform(law: NoiseLaw) -> _Clock:
    return (lambda t: t), (lambda w: w)


def _quadratic(law: NoiseLaw) -> _Clock:
    return torch.sqrt, torch.square


def _log_snr(law: NoiseLaw) -> _Clock:
    return (lambda t: law.rho(t).log()), (lambda w: law.t_from_rho(w.exp()))


def _edm(law: NoiseLaw) -> _Clock:
    return (lambda t: law.rho(t).pow(1 / 7)), (lambda w: law.t_from_rho(w.pow(7)))


def _const_geom(law: NoiseLaw) -> _Clock:
    def clock(t: Tensor) -> Tensor:
        u = 0.5 * torch.log1p(law.rho(t).square())
        return torch.where(u > 1, u - 1, u.log())

    def inverse(w: Tensor) -> Tensor:
        u = torch.where(w > 0, w + 1, w.exp())
        return law.t_from_rho(torch.expm1(2 * u).sqrt())

    return clock, inverse


GRIDS: dict[str, Callable[[NoiseLaw], _Clock]] = {
    "uniform": _uniform,
    "log_snr": _log_snr,
    "quadratic": _quadratic,
    "edm": _edm,
    "const_geom": _const_geom,
}


def check(grid: Sequence[float]) -> Grid:
    """Return the grid as a tuple of floats.

    Raises
    ------
    ValueError
        Unless it has two points or more, strictly decreasing, within [0, 1].
    """
    times = tuple(float(t) for t in grid)
    if len(times) < 2:
        raise ValueError(f"a grid needs at least 2 time points, got {len(times)}")
    if not all(a > b for a, b in itertools.pairwise(times)):
        raise ValueError("grid times must decrease strictly from noise to data")
    if times[0] > 1 or times[-1] < 0:
        raise ValueError(f"grid times must lie in [0, 1], got {times[0]} to {times[-1]}")
    return times


def require_range(n: int, t_min: float, t_max: float) -> None:
    """Raise ValueError unless n >= 1 and 0 <= t_min < t_max <= 1."""
    if n < 1:
        raise ValueError(f"a grid needs at least 1 step, got {n}")
    if not 0 <= t_min < t_max <= 1:
        raise ValueError(f"need 0 <= t_min < t_max <= 1, got {t_min} and {t_max}")


def make(name: str, n: int, law: NoiseLaw, *, t_min: float, t_max: float = 1.0) -> Grid:
    """Grid of ``n`` steps, uniform in the named clock.

    Parameters
    ----------
    name : str
        Key of `GRIDS`.
    n : int
        Number of steps, at least 1.
    law : NoiseLaw
        Law whose rho drives the clock.
    t_min, t_max : float
        End points, 0 <= t_min < t_max <= 1; exact in the result.

    Returns
    -------
    tuple of float, length n + 1, decreasing

    Raises
    ------
    ValueError
        If the name is unknown, n < 1, or an end point is out of range or infinite in the clock.
    """
    if name not in GRIDS:
        raise ValueError(f"unknown grid {name!r}; one of {', '.join(GRIDS)}")
    require_range(n, t_min, t_max)
    clock, inverse = GRIDS[name](law)
    ends = clock(torch.tensor([t_max, t_min], dtype=torch.float64))
    if not bool(ends.isfinite().all()):
        raise ValueError(f"grid {name!r} is infinite at t = {t_min} or {t_max}; move the end")
    fraction = torch.linspace(0, 1, n + 1, dtype=torch.float64)
    inner = inverse(ends[0] + (ends[1] - ends[0]) * fraction)
    return check((t_max, *inner[1:-1].tolist(), t_min))
