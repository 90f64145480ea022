"""Two models on the same sets: win rates, failures and diversity with paired intervals.

Both models answer every set k times. What is compared is a number of every *set*, and sets are
drawn for the intervals (percentile bootstrap): samples of one set are not independent.

The *win rate* on a set is the share of all k x k pairs of samples in which ours has the higher
reward, ties counting half: an estimate, without bias, of the chance that a fresh sample of ours
beats a fresh one of theirs.

*Best of m* takes m samples of one model and keeps the one of highest training reward. With n
samples sorted by it, a random choice of m has the sample of rank r (from 0) as its best with
probability C(n - 1 - r, m - 1) / C(n, m), so its expectations need no drawing. To be compared with
the model itself it chooses among the n = k - 1 samples other than the one it is compared with.

References
----------
Efron 1979, Ann. Stat. 7, 1 (bootstrap); Stiennon et al. 2020, arXiv 2009.01325 (best of n).
"""

from collections.abc import Mapping, Sequence
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from proteinweaver.errors import UserError
from proteinweaver.evaluation.intervals import (
    Interval,
    difference_interval,
    mean_interval,
    median_interval,
)
from proteinweaver.preference.trials import Trial

__all__ = [
    "COMPARED",
    "Entrant",
    "best_of_shares",
    "compare_entrants",
    "describe",
    "entrant",
    "relative_change",
    "reranked",
    "win_share",
]

FloatArray = NDArray[np.float64]
#: Numbers of a sample.
COMPARED = ("training", "held_out", "failed", "drift", "contacts")


class Entrant:
    """The samples of one model on sets of k samples each.

    Parameters
    ----------
    sets : sequence of str
    values : mapping of str to ndarray, shape=(S, k)
        By the names of `COMPARED`; NaN where a number cannot be told.
    diversity : ndarray, shape=(S,)
        1 - mean TM-score over the pairs of a set's samples.
    plans : sequence of set of str
        Plans that the samples of every set answer to.
    """

    def __init__(
        self,
        sets: Sequence[str],
        values: Mapping[str, FloatArray],
        diversity: FloatArray,
        plans: Sequence[frozenset[str]],
    ) -> None:
        self.sets, self.values = tuple(sets), dict(values)
        self.diversity, self.plans = diversity, tuple(plans)

    def only(self, names: Sequence[str]) -> "Entrant":
        """Take some sets, in this order."""
        rows = [self.sets.index(name) for name in names]
        values = {key: value[rows] for key, value in self.values.items()}
        return Entrant(names, values, self.diversity[rows], [self.plans[k] for k in rows])


def entrant(trials: Sequence[Trial], k: int) -> Entrant:
    """Put the trials of one model in order.

    Parameters
    ----------
    trials : sequence of Trial
    k : int
        Samples of a set; sets that have not samples 0 to k - 1 yet are left out.

    Returns
    -------
    Entrant
    """
    found: dict[str, dict[int, Trial]] = {}
    for trial in trials:
        found.setdefault(trial.set, {})[trial.sample] = trial
    whole = sorted(name for name, rows in found.items() if set(range(k)) <= set(rows))
    rows = [[found[name][j] for j in range(k)] for name in whole]
    values = {
        key: np.array([[_number(getattr(t, key)) for t in row] for row in rows]).reshape(-1, k)
        for key in COMPARED
    }
    diversity = np.array([_diversity(row) for row in rows])
    plans = [frozenset(t.plan for t in row if t.plan) for row in rows]
    return Entrant(whole, values, diversity, plans)


def _number(value: float | bool | None) -> float:
    return float("nan") if value is None else float(value)


def _diversity(row: Sequence[Trial]) -> float:
    alike = [x for j, trial in enumerate(row) for x in trial.alike[:j] if x is not None]
    return 1.0 - float(np.mean(alike)) if alike else float("nan")


def win_share(ours: FloatArray, theirs: FloatArray) -> FloatArray:
    """Win rate of every set.

    Parameters
    ----------
    ours, theirs : ndarray, shape=(S, k), (S, l)
        Rewards; pairs with a NaN are left out.

    Returns
    -------
    ndarray, shape=(S,)
        NaN for a set without a pair.
    """
    gain = np.sign(ours[:, :, None] - theirs[:, None, :])
    known = np.isfinite(gain)
    wins = np.where(known, (gain + 1) / 2, 0.0).sum((1, 2))
    count = known.sum((1, 2))
    return _ratio(wins, count)


def best_of_shares(n: int, m: int) -> FloatArray:
    """Chance of every rank to be the best of m samples out of n.

    Parameters
    ----------
    n, m : int
        ``1 <= m <= n``.

    Returns
    -------
    ndarray, shape=(n,)
        Best rank first; sums to 1.

    Raises
    ------
    ValueError
        If m is not from 1 to n.

    Examples
    --------
    >>> best_of_shares(3, 2).round(3).tolist()
    [0.667, 0.333, 0.0]
    """
    if not 1 <= m <= n:
        raise ValueError(f"the best of {m} cannot be taken out of {n} samples")
    return np.array([comb(n - 1 - r, m - 1) / comb(n, m) for r in range(n)])


def reranked(one: Entrant, m: int) -> dict[str, FloatArray]:
    """Best of m by the training reward, set by set, against the model's own single samples.

    Parameters
    ----------
    one : Entrant
    m : int
        At most k - 1.

    Returns
    -------
    dict of str to ndarray, shape=(S,)
        Expectations of the numbers of `COMPARED`, and ``win_training`` and ``win_held_out``.
    """
    score = np.where(np.isfinite(one.values["training"]), one.values["training"], -1.0)
    k = score.shape[1]
    order = np.argsort(-score, axis=1, kind="stable")
    whole, others = best_of_shares(k, m), best_of_shares(k - 1, m)
    out: dict[str, FloatArray] = {}
    for key in COMPARED:
        ranked = np.take_along_axis(one.values[key], order, 1)
        known = np.isfinite(ranked) * whole
        total = np.where(np.isfinite(ranked), ranked, 0.0) * whole
        with np.errstate(invalid="ignore"):
            out[key] = total.sum(1) / known.sum(1)
    for key in ("training", "held_out"):
        ranked = np.take_along_axis(one.values[key], order, 1)
        wins = np.zeros((len(ranked), k))
        for left in range(k):
            rest = np.delete(ranked, left, axis=1)
            gain = (np.sign(rest - ranked[:, left, None]) + 1) / 2
            wins[:, left] = np.where(np.isfinite(gain), gain, 0.5) @ others
        out[f"win_{key}"] = wins.mean(1)
    return out


def relative_change(ours: FloatArray, theirs: FloatArray, level: float = 0.95) -> Interval:
    """Change of a mean in parts of theirs, mean(ours) / mean(theirs) - 1, sets drawn together.

    Parameters
    ----------
    ours, theirs : ndarray, shape=(S,)
        One number a set; sets where one is not finite are left out.
    level : float, optional
        Coverage.

    Returns
    -------
    Interval
        NaN where theirs is 0 throughout; draws in which it is are left out.
    """
    known = np.isfinite(ours) & np.isfinite(theirs)
    a, b = ours[known], theirs[known]
    nan = float("nan")
    if not len(a) or b.mean() == 0:
        return Interval(nan, nan, nan, len(a))
    value = float(a.mean() / b.mean() - 1)
    draw = np.random.default_rng(0).integers(0, len(a), size=(2000, len(a)))
    above, below = a[draw].mean(1), b[draw].mean(1)
    spread = above[below > 0] / below[below > 0] - 1
    if len(a) < 2:
        return Interval(value, nan, nan, len(a))
    low, high = np.quantile(spread, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high), len(a))


def describe(one: Entrant) -> dict[str, Interval]:
    """Sum a model up: means over sets, medians over samples.

    Parameters
    ----------
    one : Entrant

    Returns
    -------
    dict of str to Interval
        ``training``, ``held_out``, ``failed``, ``diversity`` (means over sets), ``drift``,
        ``contacts`` (medians over all samples), and ``agreement``: rank correlation (Spearman) of
        the two rewards within a set, mean over sets.
    """
    values = one.values
    with np.errstate(invalid="ignore"):
        told = {key: mean_interval(_set_means(values[key])) for key in COMPARED[:3]}
    told["diversity"] = mean_interval(one.diversity)
    told |= {key: median_interval(values[key]) for key in COMPARED[3:]}
    pairs = zip(values["training"], values["held_out"], strict=True)
    told["agreement"] = mean_interval([_rank_correlation(x, y) for x, y in pairs])
    return told


def _set_means(values: FloatArray) -> FloatArray:
    known = np.isfinite(values)
    return _ratio(np.where(known, values, 0.0).sum(1), known.sum(1))


def _ratio(total: FloatArray, count: NDArray[np.int64]) -> FloatArray:
    """Total over count; NaN where nothing was counted."""
    out: FloatArray = np.full(len(total), np.nan)
    np.divide(total, count, out=out, where=count > 0)
    return out


def _rank_correlation(x: FloatArray, y: FloatArray) -> float:
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    varied = len(x) > 2 and np.ptp(x) > 0 and np.ptp(y) > 0
    return float(spearmanr(x, y).statistic) if varied else float("nan")


def compare_entrants(ours: Entrant, theirs: Entrant) -> dict[str, Interval]:
    """Compare two models on the sets that both have answered.

    Parameters
    ----------
    ours, theirs : Entrant

    Returns
    -------
    dict of str to Interval
        ``win_training``, ``win_held_out``; differences (ours - theirs) of ``failed``,
        ``diversity`` (means), ``drift`` and ``contacts`` (medians); ``failed_change`` and
        ``diversity_change``: relative ones.

    Raises
    ------
    UserError
        If they answered different plans.
    """
    names = [name for name in ours.sets if name in theirs.sets]
    a, b = ours.only(names), theirs.only(names)
    for name, one, two in zip(names, a.plans, b.plans, strict=True):
        if len(one | two) > 1:
            raise UserError(f"{name}: its samples answer different plans; sample it again")
    told = {
        f"win_{key}": mean_interval(win_share(a.values[key], b.values[key]))
        for key in ("training", "held_out")
    }
    failures, others = _set_means(a.values["failed"]), _set_means(b.values["failed"])
    told["failed"] = mean_interval(failures - others)
    told["failed_change"] = relative_change(failures, others)
    told["diversity"] = mean_interval(a.diversity - b.diversity)
    told["diversity_change"] = relative_change(a.diversity, b.diversity)
    group = np.repeat(np.arange(len(names)), a.values["drift"].shape[1])
    for key in ("drift", "contacts"):
        x, y = a.values[key].ravel(), b.values[key].ravel()
        told[key] = difference_interval(x, y, group, "median")
    return told
