"""How well a score tells two sets apart: the area under the ROC curve, and a baseline to beat.

The area is the probability that an item of the first set scores above one of the second, ties
counting one half (Mann-Whitney). Intervals draw items of both sets again; where several items come
from one source (poses of the same two domains), sources are drawn instead, in both sets alike.

References
----------
Hanley & McNeil 1982, Radiology 143, 29 (the area as a probability).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.stats import rankdata

from proteinweaver.evaluation.intervals import Interval

__all__ = ["LogisticRegression", "auroc", "auroc_gain", "auroc_interval", "fit_logistic"]

FloatArray = NDArray[np.float64]

_DRAWS = 1000
_SEED = 20250


def auroc(positive: ArrayLike, negative: ArrayLike) -> float:
    """Area under the ROC curve.

    Parameters
    ----------
    positive, negative : array_like, shape=(n,) and (m,)
        Scores; higher should mean positive.

    Returns
    -------
    float
        NaN if a set is empty.

    Examples
    --------
    >>> auroc([3.0, 2.0], [1.0, 2.0])
    0.875
    """
    first = np.asarray(positive, dtype=np.float64)
    second = np.asarray(negative, dtype=np.float64)
    n, m = len(first), len(second)
    if not n or not m:
        return float("nan")
    ranks = rankdata(np.concatenate((first, second)))
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * m))


Rows = tuple[NDArray[np.int64], NDArray[np.int64]]
Sources = tuple[ArrayLike, ArrayLike]


def _draws(n: int, m: int) -> Iterator[Rows]:
    rng = np.random.default_rng(_SEED)
    for _ in range(_DRAWS):
        yield rng.integers(0, n, n), rng.integers(0, m, m)


def _draws_of_sources(sources: Sources) -> Iterator[Rows]:
    names = [np.asarray(own, dtype=np.str_) for own in sources]
    every, number = np.unique(np.concatenate(names), return_inverse=True)
    first, second = number[: len(names[0])], number[len(names[0]) :]
    rng = np.random.default_rng(_SEED)
    for _ in range(_DRAWS):
        times = np.bincount(rng.integers(0, len(every), len(every)), minlength=len(every))
        rows = [np.repeat(np.arange(len(own)), times[own]) for own in (first, second)]
        if len(rows[0]) and len(rows[1]):
            yield rows[0], rows[1]


def auroc_interval(
    positive: ArrayLike,
    negative: ArrayLike,
    level: float = 0.95,
    sources: Sources | None = None,
) -> Interval:
    """Area under the ROC curve with a percentile bootstrap interval over both sets.

    Parameters
    ----------
    positive, negative : array_like, shape=(n,) and (m,)
    level : float, optional
        Coverage.
    sources : (array_like, array_like), optional
        Names of what the items of both sets come from, drawn in place of items.

    Returns
    -------
    Interval
        ``n`` is the size of the smaller set, in sources where these are given.
    """
    return auroc_gain(positive, negative, None, None, level, sources)


def auroc_gain(
    positive: ArrayLike,
    negative: ArrayLike,
    other_positive: ArrayLike | None,
    other_negative: ArrayLike | None,
    level: float = 0.95,
    sources: Sources | None = None,
) -> Interval:
    """Area of a score minus that of another score of the same items, with its interval.

    Parameters
    ----------
    positive, negative : array_like, shape=(n,) and (m,)
    other_positive, other_negative : array_like, shape=(n,) and (m,), or None
        The other score; None for no subtraction.
    level : float, optional
        Coverage.
    sources : (array_like, array_like), optional
        Names of what the items of both sets come from, drawn in place of items.

    Returns
    -------
    Interval
    """
    first, second = np.asarray(positive, np.float64), np.asarray(negative, np.float64)
    if not len(first) or not len(second):
        nan = float("nan")
        return Interval(nan, nan, nan, 0)
    other = None
    if other_positive is not None and other_negative is not None:
        other = np.asarray(other_positive, np.float64), np.asarray(other_negative, np.float64)

    def value(i: NDArray[np.int64], j: NDArray[np.int64]) -> float:
        area = auroc(first[i], second[j])
        return area if other is None else area - auroc(other[0][i], other[1][j])

    everything = value(np.arange(len(first)), np.arange(len(second)))
    count = min(len(first), len(second))
    draws = _draws(len(first), len(second))
    if sources is not None:
        count = min(len(np.unique(np.asarray(own))) for own in sources)
        draws = _draws_of_sources(sources)
    spread = [value(i, j) for i, j in draws]
    low, high = np.quantile(spread, [(1 - level) / 2, (1 + level) / 2])
    return Interval(everything, float(low), float(high), count)


@dataclass(frozen=True)
class LogisticRegression:
    """A linear score of standardised columns.

    Parameters
    ----------
    mean, scale, weight : ndarray, dtype=float64, shape=(k,)
    offset : float
    """

    mean: FloatArray
    scale: FloatArray
    weight: FloatArray
    offset: float

    def score(self, columns: ArrayLike) -> FloatArray:
        """Logits of rows, shape=(n, k); NaN counts as the mean."""
        x = np.asarray(columns, dtype=np.float64)
        x = np.nan_to_num((x - self.mean) / self.scale)
        logit: FloatArray = x @ self.weight + self.offset
        return logit


def fit_logistic(
    columns: ArrayLike, target: ArrayLike, penalty: float = 1.0
) -> LogisticRegression:
    """Fit a logistic regression, both classes with equal weight.

    Parameters
    ----------
    columns : array_like, shape=(n, k)
        NaN counts as the mean of its column.
    target : array_like, dtype=bool, shape=(n,)
    penalty : float, optional
        Of the squared weights, in units of one row.

    Returns
    -------
    LogisticRegression
    """
    x = np.asarray(columns, dtype=np.float64)
    y = np.asarray(target, dtype=np.float64)
    mean = np.nanmean(x, axis=0)
    scale = np.maximum(np.nanstd(x, axis=0), 1e-9)
    z = np.nan_to_num((x - mean) / scale)
    share = np.where(y > 0.5, 0.5 / y.mean(), 0.5 / (1.0 - y.mean()))

    def loss(flat: FloatArray) -> tuple[float, FloatArray]:
        logit = z @ flat[:-1] + flat[-1]
        value = (share * (np.logaddexp(0.0, logit) - y * logit)).sum()
        off = share * (1.0 / (1.0 + np.exp(-logit)) - y)
        gradient = np.append(z.T @ off + 2 * penalty * flat[:-1], off.sum())
        return float(value + penalty * (flat[:-1] ** 2).sum()), gradient

    found = minimize(loss, np.zeros(z.shape[1] + 1), jac=True, method="L-BFGS-B").x
    return LogisticRegression(mean, scale, found[:-1], float(found[-1]))
