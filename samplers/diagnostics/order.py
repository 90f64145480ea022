r"""Order of convergence from errors at several step counts, with an interval, or "no range".

In the asymptotic range error = C N^-p. Coarse runs have not reached it, fine ones may have left it
at a *floor* (rounding, a reference that is not exact enough, an early-stopped law). The fit

1. cuts the table after its smallest error if the errors rise again, and says so;
2. looks for a plateau: a tail whose local slope is below 0.5 and below half of the steepest;
3. drops coarse points from the front, one by one, until what is left passes the *curvature test*:
   the slope of a parabola through the logarithms changes by at most ``max_bend`` over the window;
   with a plateau the model is log(C N^-p + floor), otherwise a straight line up to the end (and
   the floor again if no line passes: the table may end where the plateau begins);
4. reports p with an interval: Student's t times the standard error of the residuals, plus the
   change of slope that the curvature test measured;
5. answers "no asymptotic range" if no window of ``min_points`` passes, if the interval is wider
   than +- 0.35, or if the errors do not fall.

The longest window that passes is taken, so noise is averaged rather than selected; on pure noise
about one table in fifty passes by luck.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.stats import t as student

__all__ = ["OrderFit", "fit_order"]

Array = NDArray[np.float64]
_WIDEST = 0.35
_SLOWEST = 0.2


@dataclass(frozen=True)
class OrderFit:
    """Result of `fit_order`.

    Attributes
    ----------
    order : float or None
        p; None if there is no asymptotic range.
    low, high : float
        Its interval; nan without one.
    window : tuple (first, last)
        Indices of the points used; (-1, -1) without any.
    floor : float
        Error level of the plateau; 0 if none was seen.
    reason : str
        Why there is no order, or what was cut; empty if nothing is to be said.
    """

    order: float | None
    low: float
    high: float
    window: tuple[int, int]
    floor: float
    reason: str

    def __str__(self) -> str:
        """One line for a table."""
        if self.order is None:
            return f"no asymptotic range ({self.reason})"
        return f"{self.order:.2f} [{self.low:.2f}, {self.high:.2f}]"


def _none(reason: str, floor: float = 0.0) -> OrderFit:
    return OrderFit(None, float("nan"), float("nan"), (-1, -1), floor, reason)


def fit_order(
    counts: Sequence[float],
    errors: Sequence[float],
    *,
    min_points: int = 4,
    max_bend: float = 0.25,
    level: float = 0.95,
) -> OrderFit:
    """Fit the order of convergence.

    Parameters
    ----------
    counts : sequence of float
        Steps or calls, increasing.
    errors : sequence of float
        Positive; anything not finite or not positive counts as failed and is left out.
    min_points : int
        Fewest points of a window, at least 4.
    max_bend : float
        Largest change of slope across a window.
    level : float
        Of the interval.

    Returns
    -------
    OrderFit

    Raises
    ------
    ValueError
        If the lengths differ, the counts do not increase or min_points < 4.
    """
    n, e = np.asarray(counts, dtype=np.float64), np.asarray(errors, dtype=np.float64)
    if n.shape != e.shape or n.ndim != 1:
        raise ValueError(f"{n.size} counts for {e.size} errors")
    if not (np.diff(n) > 0).all():
        raise ValueError("counts must increase")
    if min_points < 4:
        raise ValueError(f"min_points must be at least 4, got {min_points}")
    index = np.flatnonzero(np.isfinite(e) & (e > 0))
    if len(index) < min_points:
        return _none(f"{len(index)} usable points, need {min_points}")
    x, y = np.log(n[index]), np.log(e[index])
    last, reason = len(x) - 1, ""
    best = int(y.argmin())
    if y[-1] - y[best] > np.log(2):
        last, reason = best, f"errors rise after N = {n[index[best]]:g}"
        if last + 1 < min_points:
            return _none(reason)
    plateau = _plateau(x[: last + 1], y[: last + 1])
    floor = float(np.exp(y[plateau : last + 1].mean())) if plateau <= last else 0.0
    models = (_with_floor,) if plateau <= last else (_straight, _with_floor)
    refused = reason or "no window passes the curvature test"
    for model in models:
        for first in range(min(last + 1, plateau) + 1 - min_points):
            fit = model(x[first : last + 1], y[first : last + 1], level, max_bend)
            if fit is None:
                continue
            order, half, fitted = fit
            if order < _SLOWEST:
                refused = "errors do not fall"
            elif not half <= _WIDEST:
                refused = f"the interval is +- {half:.2g}"
            else:
                ends = int(index[first]), int(index[last])
                return OrderFit(order, order - half, order + half, ends, fitted or floor, reason)
    return _none(refused, floor)


def _plateau(x: Array, y: Array) -> int:
    """Index of the first point of a flat tail; len(x) if there is none."""
    slopes = -np.diff(y) / np.diff(x)
    flat = slopes < min(0.5, 0.5 * max(float(slopes.max()), 2 * _SLOWEST))
    start = len(x)
    for i in range(len(slopes) - 1, -1, -1):
        if not flat[i]:
            break
        start = i + 1
    return start


def _bend(x: Array, y: Array) -> float:
    """Change of slope across the points, by a parabola."""
    return abs(2 * float(np.polyfit(x - x.mean(), y, 2)[0])) * float(x[-1] - x[0])


def _straight(
    x: Array, y: Array, level: float, max_bend: float
) -> tuple[float, float, float] | None:
    """Order, half-width and floor 0 of a straight line, if the curvature test passes."""
    bend = _bend(x, y)
    if bend > max_bend:
        return None
    centred = x - x.mean()
    slope = float((centred * y).sum() / (centred**2).sum())
    rest = y - y.mean() - slope * centred
    dof = len(x) - 2
    error = float(np.sqrt((rest**2).sum() / dof / (centred**2).sum()))
    half = float(student.ppf(0.5 + level / 2, dof)) * error + bend / 2
    return -slope, half, 0.0


def _with_floor(
    x: Array, y: Array, level: float, max_bend: float
) -> tuple[float, float, float] | None:
    """Order, half-width and floor of log(C N^-p + floor), if the curvature test passes."""
    shift = x - x[0]

    def residual(v: Array) -> Array:
        r: Array = np.logaddexp(v[0] - v[1] * shift, v[2]) - y
        return r

    slope = float(((y[0] - y) / np.maximum(shift, 1e-9))[1:].max())
    found = least_squares(residual, np.array([y[0], slope, y.min()]), x_scale="jac")
    order, log_floor = float(found.x[1]), float(found.x[2])
    clean = np.exp(y) - np.exp(log_floor)
    above = np.exp(y) > 3 * np.exp(log_floor)
    if above.sum() < 3:
        return None
    bend = _bend(x[above], np.log(clean[above])) if above.sum() > 3 else 0.0
    dof = len(x) - 3
    scale = float((found.fun**2).sum()) / dof
    try:
        variance = float(np.linalg.inv(found.jac.T @ found.jac)[1, 1]) * scale
    except np.linalg.LinAlgError:
        return None
    if not variance >= 0:  # the floor and the power cannot be told apart
        return None
    margin = float(student.ppf(0.5 + level / 2, dof)) * variance**0.5
    if bend > max_bend + margin:
        return None
    return order, margin + bend / 2, float(np.exp(log_floor))
