"""Intervals for the numbers of a table: bootstrap for means and medians, Wilson for shares.

A share of 64 out of 64 has a bootstrap interval of zero width, which is false confidence; its
Wilson interval is 0.94-1. A mean over all pairs of n designs has only n independent parts, so
designs are drawn, not pairs.

References
----------
Efron 1979, Ann. Stat. 7, 1 (percentile bootstrap); Wilson 1927, J. Am. Stat. Assoc. 22, 209.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

__all__ = [
    "Interval",
    "difference_interval",
    "mean_interval",
    "median_interval",
    "pair_mean_interval",
    "share_interval",
]

FloatArray = NDArray[np.float64]

_DRAWS = 2000
_SEED = 20250


@dataclass(frozen=True)
class Interval:
    """A number with its interval.

    Parameters
    ----------
    value : float
        The statistic; NaN if nothing could be counted.
    low, high : float
        Ends of the interval.
    n : int
        Independent items it rests on.
    """

    value: float
    low: float
    high: float
    n: int


def _finite(values: ArrayLike) -> FloatArray:
    array = np.asarray(values, dtype=np.float64).ravel()
    return array[np.isfinite(array)]


def _bootstrap(
    values: FloatArray, statistic: Callable[[FloatArray], FloatArray], level: float
) -> Interval:
    n = len(values)
    nan = float("nan")
    if n == 0:
        return Interval(nan, nan, nan, 0)
    value = float(statistic(values[None])[0])
    if n == 1:
        return Interval(value, nan, nan, 1)
    draw = np.random.default_rng(_SEED).integers(0, n, size=(_DRAWS, n))
    spread = statistic(values[draw])
    low, high = np.quantile(spread, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high), n)


def mean_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Mean with a percentile bootstrap interval.

    Parameters
    ----------
    values : array_like, shape=(n,)
        One number per design; those not finite are left out.
    level : float, optional
        Coverage.

    Returns
    -------
    Interval
        Without ends (NaN) for a single value.

    Examples
    --------
    >>> mean_interval([1.0, 2.0, 3.0]).value
    2.0
    """
    return _bootstrap(_finite(values), lambda x: x.mean(axis=-1), level)


def median_interval(values: ArrayLike, level: float = 0.95) -> Interval:
    """Median with a percentile bootstrap interval; see `mean_interval`.

    Parameters
    ----------
    values : array_like, shape=(n,)
        One number per design; those not finite are left out.
    level : float, optional
        Coverage.

    Returns
    -------
    Interval
    """
    return _bootstrap(_finite(values), lambda x: np.median(x, axis=-1), level)


def share_interval(flags: ArrayLike, level: float = 0.95) -> Interval:
    """Share of true flags with its Wilson interval.

    Parameters
    ----------
    flags : array_like, shape=(n,)
        True or 1, false or 0; NaN is left out.
    level : float, optional
        Coverage.

    Returns
    -------
    Interval

    References
    ----------
    Wilson 1927, J. Am. Stat. Assoc. 22, 209.
    """
    values = _finite(flags)
    n = len(values)
    if n == 0:
        nan = float("nan")
        return Interval(nan, nan, nan, 0)
    p = float((values > 0.5).mean())
    z2 = float(norm.ppf((1 + level) / 2)) ** 2
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = np.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    return Interval(p, float(max(centre - half, 0.0)), float(min(centre + half, 1.0)), n)


def pair_mean_interval(
    first: ArrayLike, second: ArrayLike, values: ArrayLike, n: int, level: float = 0.95
) -> Interval:
    """Mean over pairs of designs, with a bootstrap over designs.

    A draw of designs gives the pair (i, j) the weight (times i was drawn) x (times j was drawn).

    Parameters
    ----------
    first, second : array_like, dtype=int, shape=(P,)
        The designs of every pair.
    values : array_like, shape=(P,)
        Its number.
    n : int
        Designs in the set.
    level : float, optional
        Coverage.

    Returns
    -------
    Interval
    """
    i, j = np.asarray(first), np.asarray(second)
    x = np.asarray(values, dtype=np.float64)
    nan = float("nan")
    if not len(x):
        return Interval(nan, nan, nan, n)
    if n < 3:
        return Interval(float(x.mean()), nan, nan, n)
    rng = np.random.default_rng(_SEED)
    count = rng.multinomial(n, np.full(n, 1.0 / n), size=_DRAWS)
    weight = count[:, i] * count[:, j]
    total = weight.sum(axis=1)
    spread = (weight @ x)[total > 0] / total[total > 0]
    low, high = np.quantile(spread, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(x.mean()), float(low), float(high), n)


def difference_interval(
    first: ArrayLike,
    second: ArrayLike,
    group: ArrayLike,
    statistic: Literal["mean", "median"] = "mean",
    level: float = 0.95,
) -> Interval:
    """Difference of two means or medians over the same items, with a paired bootstrap over groups.

    Parameters
    ----------
    first, second : array_like, shape=(n,)
        Two numbers of every item; items where one of them is not finite are left out.
    group : array_like, dtype=int, shape=(n,)
        Items of one group (homologues, say) are drawn together.
    statistic : {"mean", "median"}, optional
    level : float, optional
        Coverage.

    Returns
    -------
    Interval
        Of ``statistic(first) - statistic(second)``; ``n`` counts groups.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    known = np.isfinite(a) & np.isfinite(b)
    a, b, names = a[known], b[known], np.asarray(group)[known]
    nan = float("nan")
    if not len(a):
        return Interval(nan, nan, nan, 0)
    of: Callable[..., float] = np.mean if statistic == "mean" else np.median
    value = float(of(a) - of(b))
    members = [np.flatnonzero(names == name) for name in np.unique(names)]
    if len(members) < 2:
        return Interval(value, nan, nan, len(members))
    rng = np.random.default_rng(_SEED)
    spread = []
    for draw in rng.integers(0, len(members), size=(_DRAWS, len(members))):
        rows = np.concatenate([members[k] for k in draw])
        spread.append(of(a[rows]) - of(b[rows]))
    low, high = np.quantile(spread, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high), len(members))
