"""Are designs distributed like natives? Distances per statistic with intervals, and one test.

Per column: the Kolmogorov-Smirnov distance with its p-value, and the Wasserstein distance in units
of the natives' standard deviation with a bootstrap interval. For all columns together: the energy
distance of standardised rows,

    E = 2 mean|x - y| - mean|x - x'| - mean|y - y'|,

with a permutation p-value. Distances between finite samples of one distribution are not zero, so
each comes with the value that natives against natives reach (``floor``).

References
----------
Szekely & Rizzo 2013, J. Stat. Plan. Inference 143, 1249 (energy distance and test); Hodges 1958,
Ark. Mat. 3, 469 (KS).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist
from scipy.stats import ks_2samp, wasserstein_distance

from proteinweaver.evaluation.intervals import Interval

__all__ = ["ColumnDistance", "EnergyTest", "column_distance", "energy_test"]

FloatArray = NDArray[np.float64]

_DRAWS = 200
_PERMUTATIONS = 499
_MOST = 400  # rows of either side in the energy test


@dataclass(frozen=True)
class ColumnDistance:
    """How far one column is from natives.

    Parameters
    ----------
    ks, p_value : float
        Kolmogorov-Smirnov distance, 0 to 1, and its p-value.
    wasserstein : Interval
        Wasserstein-1 distance over the natives' standard deviation.
    floor : float
        The same for natives against as many natives, median of draws.
    shift : float
        Difference of medians, designs minus natives, in the column's unit.
    """

    ks: float
    p_value: float
    wasserstein: Interval
    floor: float
    shift: float


@dataclass(frozen=True)
class EnergyTest:
    """How far all columns together are from natives.

    Parameters
    ----------
    distance : float
        Energy distance of standardised rows.
    p_value : float
        Share of permutations that reach it; at least 1 / 500.
    floor : float
        Median over permutations.
    designs, natives : int
        Rows compared.
    """

    distance: float
    p_value: float
    floor: float
    designs: int
    natives: int


def column_distance(designs: ArrayLike, natives: ArrayLike) -> ColumnDistance | None:
    """Compare one column.

    Parameters
    ----------
    designs, natives : array_like, shape=(n,) and (m,)
        Values; those not finite are left out.

    Returns
    -------
    ColumnDistance or None
        None with fewer than 5 values on a side.
    """
    x, y = (np.asarray(v, dtype=np.float64) for v in (designs, natives))
    x, y = x[np.isfinite(x)], y[np.isfinite(y)]
    if min(len(x), len(y)) < 5:
        return None
    spread = max(float(y.std()), 1e-9)
    test = ks_2samp(x, y)
    rng = np.random.default_rng(0)
    draws, floor = np.zeros(_DRAWS), np.zeros(_DRAWS)
    for k in range(_DRAWS):
        draws[k] = wasserstein_distance(rng.choice(x, len(x)), rng.choice(y, len(y)))
        floor[k] = wasserstein_distance(rng.choice(y, len(x)), rng.choice(y, len(y)))
    value = wasserstein_distance(x, y)
    low, high = np.quantile(draws, [0.025, 0.975])
    # a resample is farther from the other side than the sample is: correct the bias
    bias = float(np.mean(draws)) - value
    ends = (max(float(low) - bias, 0.0) / spread, max(float(high) - bias, 0.0) / spread)
    return ColumnDistance(
        ks=float(test.statistic),
        p_value=float(test.pvalue),
        wasserstein=Interval(value / spread, ends[0], ends[1], len(x)),
        floor=float(np.median(floor)) / spread,
        shift=float(np.median(x) - np.median(y)),
    )


def energy_test(designs: ArrayLike, natives: ArrayLike) -> EnergyTest | None:
    """Compare all columns together.

    Parameters
    ----------
    designs, natives : array_like, shape=(n, d) and (m, d)
        Rows; those with a value that is not finite are left out, and at most 400 of either side
        are taken. Columns are divided by the natives' standard deviation.

    Returns
    -------
    EnergyTest or None
        None with fewer than 5 rows on a side.

    References
    ----------
    Szekely & Rizzo 2013, equation (6.1).
    """
    rng = np.random.default_rng(0)
    rows = []
    for side in (designs, natives):
        x = np.asarray(side, dtype=np.float64)
        x = x[np.isfinite(x).all(axis=1)]
        rows.append(x[rng.permutation(len(x))[:_MOST]])
    n, m = len(rows[0]), len(rows[1])
    if min(n, m) < 5:
        return None
    spread = rows[1].std(axis=0)
    kept = spread > 1e-9  # a column that natives do not vary in has no scale
    both = np.concatenate(rows)[:, kept] / spread[kept]
    away = cdist(both, both)

    def energy(first: NDArray[np.bool_]) -> float:
        a, b = first.astype(np.float64), (~first).astype(np.float64)
        across, inside, outside = a @ away @ b, a @ away @ a, b @ away @ b
        return float(2 * across / (n * m) - inside / n**2 - outside / m**2)

    is_design = np.arange(n + m) < n
    value = energy(is_design)
    null = np.array([energy(rng.permutation(is_design)) for _ in range(_PERMUTATIONS)])
    p = (1 + int((null >= value).sum())) / (_PERMUTATIONS + 1)
    return EnergyTest(value, p, float(np.median(null)), n, m)
