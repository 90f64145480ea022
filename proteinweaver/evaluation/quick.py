"""A fast structural alignment, for the thousands of pairs of a clustering.

Starts are sequential alignments of residues with similar surroundings
(`proteinweaver.evaluation.surroundings`), one strict and one lenient, and the gapless shift along
which they agree best; a careful search adds windows of 16 residues that agree best, each once.
Every start is superposed and refined: score all pairs by ``1 / (1 + (d / d0)^2)``, find the
sequential alignment of highest sum, superpose on it, repeat. Gaps cost nothing, as in the TM-score
itself, so the dynamic programme needs three operations a cell:

    V(i, j) = max(V(i-1, j), V(i, j-1), V(i-1, j-1) + s(i, j)).

The score found is that of a real superposition and so never above the best one
(`proteinweaver.evaluation.alignment` searches longer); docs/evaluation.md says how far below.

References
----------
Zhang & Skolnick 2005, Nucleic Acids Res. 33, 2302 (the refinement); Needleman & Wunsch 1970, J.
Mol. Biol. 48, 443.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proteinweaver.evaluation.superposition import move
from proteinweaver.evaluation.surroundings import (
    batches,
    closeness,
    describe,
    pad,
    similar,
)
from proteinweaver.evaluation.tm import search_superposition, tm_d0

__all__ = ["CAREFUL", "highest_path", "quick_tm_pairs"]

FloatArray = NDArray[np.float64]
Float32 = NDArray[np.float32]
IntArray = NDArray[np.int64]

CAREFUL = 8
"""Further starts of a careful search."""

_LENIENT = np.float32(0.4)  # the second start falls off so much more slowly
_WINDOW = 16  # residues; a power of two
_SCOUTING, _ROUNDS = 2, 3
_CHUNK_CELLS = 3_000_000


def highest_path(score: Float32) -> IntArray:
    """Find the sequential alignment of highest sum, gaps free.

    Parameters
    ----------
    score : ndarray, dtype=float32, shape=(B, n, m)
        Not negative.

    Returns
    -------
    ndarray, dtype=int64, shape=(B, n)
        Partner of every row, -1 for none.
    """
    batch, rows, columns = score.shape
    value = np.zeros((batch, rows + 1, columns + 1), dtype=np.float32)
    for k in range(rows):
        best = np.maximum(value[:, k, 1:], value[:, k, :-1] + score[:, k])
        np.maximum.accumulate(best, axis=1, out=value[:, k + 1, 1:])
    partner = np.full((batch, rows), -1, dtype=np.int64)
    row: IntArray = np.full(batch, rows, dtype=np.int64)
    column: IntArray = np.full(batch, columns, dtype=np.int64)
    live = np.arange(batch)
    while len(live):
        i, j = row[live], column[live]
        here = value[live, i, j]
        up = here == value[live, i - 1, j]
        left = ~up & (here == value[live, i, j - 1])
        match = ~up & ~left
        partner[live[match], i[match] - 1] = j[match] - 1
        row[live] -= up | match
        column[live] -= left | match
        live = live[(row[live] > 0) & (column[live] > 0)]
    return partner


def quick_tm_pairs(
    pairs: Sequence[tuple[ArrayLike, ArrayLike]],
    described: Sequence[tuple[Float32, Float32]] | None = None,
    windows: int = 0,
) -> FloatArray:
    """TM-scores of many pairs by a fast alignment.

    Parameters
    ----------
    pairs : sequence of (array_like, array_like), shapes (n_k, 3) and (m_k, 3)
        CA positions in angstrom, 5 or more residues each.
    described : sequence of pairs of ndarray, optional
        `surroundings.describe` of either side, where it is known already.
    windows : int, optional
        Further starts; `CAREFUL` for a search that hardly misses anything, at twice the cost.

    Returns
    -------
    ndarray, dtype=float64, shape=(K, 2)
        Normalised by the first and by the second structure of each pair.
    """
    out: FloatArray = np.zeros((len(pairs), 2))
    size = np.array([[len(np.asarray(a)), len(np.asarray(b))] for a, b in pairs]).reshape(-1, 2)
    for chunk in batches(size, _CHUNK_CELLS):
        features = (
            [(describe(pairs[k][0]), describe(pairs[k][1])) for k in chunk]
            if described is None
            else [described[k] for k in chunk]
        )
        out[chunk] = _solve([pairs[k] for k in chunk], features, windows)
    return out


def _solve(
    pairs: Sequence[tuple[ArrayLike, ArrayLike]],
    described: Sequence[tuple[Float32, Float32]],
    windows: int,
) -> FloatArray:
    length = np.array([[len(np.asarray(a)), len(np.asarray(b))] for a, b in pairs])
    x, y = (pad([pair[side] for pair in pairs], np.float64) for side in (0, 1))
    inside = (np.arange(x.shape[1])[None] < length[:, :1])[:, :, None] & (
        np.arange(y.shape[1])[None] < length[:, 1:]
    )[:, None]
    short = length.min(axis=1)
    d0 = tm_d0(short) + 0.8
    close = closeness(*([pair[side] for pair in described] for side in (0, 1)))
    near, wide = similar(close), np.exp(_LENIENT * close)
    starts = [highest_path(near), highest_path(wide), _best_shift(near)]
    whole = len(starts)
    starts += _best_windows(near, windows)
    matches, values = [], []
    for number, start in enumerate(starts):
        new, best = start, np.full(len(pairs), -1.0)
        match = start.copy()
        for turn in range(_SCOUTING):
            levels = 3 if turn == 0 and number < whole else 1
            new, value = _round(x, y, inside, new, d0, levels)
            better = value > best
            best[better], match[better] = value[better], new[better]
        matches.append(match)
        values.append(best)
    score, found = np.array(values), np.array(matches)
    every = np.arange(len(pairs))
    order = np.argsort(-score, axis=0, kind="stable")
    best, match = score[order[0], every], found[order[0], every]
    for place in order[: 2 if windows else 1]:  # a careful search follows the second best as well
        onward = found[place, every]
        for _ in range(_ROUNDS):
            onward, value = _round(x, y, inside, onward, d0, levels=1)
            better = value > best
            best[better], match[better] = value[better], onward[better]
    out = np.zeros((len(pairs), 2))
    valid, target = _matched(y, match)
    for side in range(2):
        norm = length[:, side]
        total, _, _ = search_superposition(
            x, target, valid, tm_d0(norm), levels=3 if windows else 2, step=1.0, iterations=8
        )
        out[:, side] = total / norm
    return out


def _matched(y: FloatArray, match: IntArray) -> tuple[NDArray[np.bool_], FloatArray]:
    """Which rows have a partner (three at least), and the partners."""
    valid = match >= 0
    few = valid.sum(axis=1) < 3
    valid[few, :3] = True
    return valid, np.take_along_axis(y, np.maximum(match, 0)[..., None], axis=1)


def _round(
    x: FloatArray,
    y: FloatArray,
    inside: NDArray[np.bool_],
    match: IntArray,
    d0: FloatArray,
    levels: int,
) -> tuple[IntArray, FloatArray]:
    """Superpose on an alignment and align again; the new alignment and its sum."""
    valid, target = _matched(y, match)
    _, rot, trans = search_superposition(
        x, target, valid, d0, levels=levels, step=1.0, iterations=4
    )
    score = _square_distances(move(x, rot, trans), y)
    score *= (d0**-2).astype(np.float32)[:, None, None]
    score += 1.0
    np.divide(inside, score, out=score)
    new = highest_path(score)
    total = np.take_along_axis(score, np.maximum(new, 0)[..., None], axis=2)[..., 0]
    return new, np.where(new >= 0, total, 0.0).sum(axis=1).astype(np.float64)


def _best_shift(alike: Float32) -> IntArray:
    """Match along the diagonal of highest sum."""
    batch, rows, columns = alike.shape
    sums = np.zeros((batch, rows + columns), dtype=np.float32)
    for i in range(rows):
        sums[:, rows - i : rows - i + columns] += alike[:, i]
    shift = sums.argmax(axis=1) - rows
    partner = np.arange(rows)[None] + shift[:, None]
    partner = np.where((partner >= 0) & (partner < columns), partner, -1)
    there = np.take_along_axis(alike, np.maximum(partner, 0)[..., None], axis=2)[..., 0]
    return np.where(there > 0, partner, -1)


def _best_windows(alike: Float32, number: int) -> list[IntArray]:
    """Match the windows of highest sum along a diagonal, each far from those before."""
    batch, rows, columns = alike.shape
    sums, width = alike.copy(), 1
    while width < min(_WINDOW, rows, columns) and number:
        further = np.zeros_like(sums)
        further[:, : rows - width, : columns - width] = sums[:, width:, width:]
        sums += further
        width *= 2
    row = np.arange(rows)[None]
    shift = np.arange(columns)[None] - np.arange(rows)[:, None]
    out = []
    for _ in range(number):
        i, j = np.divmod(sums.reshape(batch, -1).argmax(axis=1), columns)
        partner = row + (j - i)[:, None]
        there = (np.abs(row - i[:, None] - (_WINDOW - 1) / 2) < _WINDOW / 2) & (partner < columns)
        out.append(np.where(there, partner, -1))
        beside = np.abs(shift[None] - (j - i)[:, None, None]) <= 2
        sums[beside & (np.abs(row - i[:, None]) < _WINDOW)[:, :, None]] = -1.0
    return out


def _square_distances(a: FloatArray, b: FloatArray) -> Float32:
    """Squared distances of the points of many pairs of sets, in single precision."""
    centre = b.mean(axis=1, keepdims=True)
    p, q = (a - centre).astype(np.float32), (b - centre).astype(np.float32)
    cross = p @ np.swapaxes(q, 1, 2)
    cross *= -2.0
    cross += (p**2).sum(-1)[:, :, None]
    cross += (q**2).sum(-1)[:, None]
    return np.maximum(cross, 0.0, out=cross)
