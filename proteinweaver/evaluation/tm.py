"""TM-score of structures whose residues correspond one to one.

For a superposition that leaves residue i at distance d_i,

    TM = max over superpositions of (1 / L) sum_i 1 / (1 + (d_i / d0)^2),
    d0 = 1.24 (L - 15)^(1/3) - 1.8,

with L the length of the reference. The maximum is sought as Zhang and Skolnick do: superpose
fragments of length L, L/2, L/4, ..., keep the residues that came close, superpose on those, and
repeat until the set no longer changes. For structures without a known correspondence see
`proteinweaver.evaluation.alignment`.

References
----------
Zhang & Skolnick 2004, Proteins 57, 702, equation (1) and Methods.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proteinweaver.evaluation.superposition import move, superpose

__all__ = ["search_superposition", "tm_after_superposing", "tm_d0", "tm_score"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


def tm_d0(length: ArrayLike) -> FloatArray:
    """Length-dependent distance scale of the TM-score.

    Parameters
    ----------
    length : array_like of int, shape=(...)
        Residues of the reference.

    Returns
    -------
    ndarray, dtype=float64, shape=(...)
        d0 in angstrom; 0.5 where the formula gives less (under 22 residues), as in TM-align.
    """
    over = np.maximum(np.asarray(length, dtype=np.float64) - 15.0, 0.0)
    return np.maximum(1.24 * np.cbrt(over) - 1.8, 0.5)


def _fragments(number: int, levels: int, step: float) -> list[tuple[int, int]]:
    """Start and length of seed fragments of ``number`` points: whole, halves, quarters, ..."""
    seeds = []
    size = number
    for _ in range(levels):
        stride = max(1, int(size * step))
        starts = list(range(0, number - size + 1, stride))
        if starts[-1] != number - size:
            starts.append(number - size)
        seeds += [(start, size) for start in starts]
        if size <= 4:
            break
        size = max(4, size // 2)
    return seeds


def search_superposition(
    x: FloatArray,
    y: FloatArray,
    valid: BoolArray,
    d0: FloatArray,
    *,
    levels: int = 3,
    step: float = 0.5,
    iterations: int = 12,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Search, for a batch of matched point sets, the superposition of highest TM sum.

    Parameters
    ----------
    x, y : ndarray, dtype=float64, shape=(B, n, 3)
        Points in angstrom; row i of ``x`` matches row i of ``y``.
    valid : ndarray, dtype=bool, shape=(B, n)
        Which rows count; at least 3 per item.
    d0 : ndarray, dtype=float64, shape=(B,)
        Distance scale in angstrom.
    levels : int, optional
        Halvings of the seed fragments.
    step : float, optional
        Stride between seeds of one size, in units of their length.
    iterations : int, optional
        Most rounds of "keep what is close, superpose again".

    Returns
    -------
    total : ndarray, dtype=float64, shape=(B,)
        ``sum_i 1 / (1 + (d_i / d0)^2)`` at the best superposition found.
    rot : ndarray, dtype=float64, shape=(B, 3, 3)
    trans : ndarray, dtype=float64, shape=(B, 3)
        The motion of ``x`` that reaches it.
    """
    batch = len(x)
    rank = np.cumsum(valid, axis=1) - 1
    weights, owner = [], []
    seeds_of: dict[int, list[tuple[int, int]]] = {}
    for row, number in enumerate(valid.sum(axis=1).tolist()):
        if number not in seeds_of:
            seeds_of[number] = _fragments(number, levels, step)
        for start, size in seeds_of[number]:
            weights.append(valid[row] & (rank[row] >= start) & (rank[row] < start + size))
            owner.append(row)
    keep = np.array(weights)
    own = np.array(owner)
    best = np.full(batch, -1.0)
    best_rot = np.zeros((batch, 3, 3))
    best_trans = np.zeros((batch, 3))
    live = np.arange(len(own))
    scale = np.clip(d0, 4.5, 8.0)
    for turn in range(iterations):
        item = own[live]
        rot, trans = superpose(x[item], y[item], keep[live])
        square = ((move(x[item], rot, trans) - y[item]) ** 2).sum(-1)
        total = np.where(valid[item], 1.0 / (1.0 + square / (d0[item] ** 2)[:, None]), 0.0).sum(1)
        order = np.argsort(total)  # the best seed of an item is written last
        win = order[total[order] > best[item[order]]]
        best[item[win]] = total[win]
        best_rot[item[win]] = rot[win]
        best_trans[item[win]] = trans[win]
        square = np.where(valid[item], square, np.inf)
        cutoff = (scale[item] + (1.0 if turn else -1.0)) ** 2
        third = np.partition(square, 2, axis=1)[:, 2]
        close = square <= np.maximum(cutoff, third)[:, None]
        changed = (close != keep[live]).any(axis=1)
        keep[live] = close
        live = live[changed] if turn else live
        if not len(live):
            break
    return best, best_rot, best_trans


def tm_score(x: ArrayLike, y: ArrayLike, length: int | None = None) -> float:
    """TM-score of two structures in one-to-one correspondence.

    Parameters
    ----------
    x, y : array_like, shape=(n, 3)
        CA positions in angstrom; row i of ``x`` corresponds to row i of ``y``.
    length : int, optional
        Length of the reference, for d0 and for the mean. Default n.

    Returns
    -------
    float
        In (0, 1]; 1 for identical structures.

    Raises
    ------
    ValueError
        If the numbers of residues differ or are below 3.

    References
    ----------
    Zhang & Skolnick 2004, Proteins 57, 702, equation (1).
    """
    a = np.asarray(x, dtype=np.float64)
    b = np.asarray(y, dtype=np.float64)
    if a.shape != b.shape or len(a) < 3:
        raise ValueError(
            f"TM-score needs equal numbers of at least 3 residues, not {len(a)} and {len(b)}"
        )
    norm = length or len(a)
    total, _, _ = search_superposition(
        a[None], b[None], np.ones((1, len(a)), dtype=bool), tm_d0([norm]), levels=6, iterations=20
    )
    return float(total[0] / norm)


def tm_after_superposing(
    x: ArrayLike, y: ArrayLike, on: ArrayLike, over: ArrayLike, length: int | None = None
) -> float:
    """TM-score of one part after superposing another.

    Measures how well the relative pose of two parts is kept: superpose ``x`` on ``y`` by the
    residues ``on``, then score the residues ``over`` without moving them again.

    Parameters
    ----------
    x, y : array_like, shape=(n, 3)
        CA positions in angstrom, in correspondence.
    on, over : array_like, dtype=bool, shape=(n,)
        Residues to superpose, and residues to score.
    length : int, optional
        Length for d0. Default: number of residues in ``over``.

    Returns
    -------
    float
        In (0, 1].

    Raises
    ------
    ValueError
        If a part has fewer than 3 residues.
    """
    a = np.asarray(x, dtype=np.float64)
    b = np.asarray(y, dtype=np.float64)
    fixed = np.asarray(on, dtype=bool)
    scored = np.asarray(over, dtype=bool)
    if fixed.sum() < 3 or scored.sum() < 3:
        raise ValueError("both parts need at least 3 residues")
    rot, trans = superpose(a[fixed], b[fixed])
    square = ((move(a[scored], rot, trans) - b[scored]) ** 2).sum(-1)
    d0 = float(tm_d0(length or int(scored.sum())))
    return float((1.0 / (1.0 + square / d0**2)).mean())
