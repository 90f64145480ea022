"""A fast structural alignment, for the thousands of pairs of a clustering.

Every residue is described by distances to its surroundings along the chain, the torsion of the CA
trace and its number of neighbours. Three starts, two sequential alignments of similar descriptions
and the gapless shift along which they agree best, are superposed and refined: score all pairs by
``1 / (1 + (d / d0)^2)``, find the sequential alignment of highest sum, superpose on it, repeat.
Gaps cost nothing, as in the TM-score itself, so the dynamic programme needs three operations a
cell:

    V(i, j) = max(V(i-1, j), V(i, j-1), V(i-1, j-1) + s(i, j)).

The score found is that of a real superposition and so never above the best one
(`proteinweaver.evaluation.alignment` searches longer); docs/evaluation.md says how far below.

References
----------
Zhang & Skolnick 2005, Nucleic Acids Res. 33, 2302 (the refinement); Needleman & Wunsch 1970, J.
Mol. Biol. 48, 443.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proteinweaver.evaluation.geometry import squared_distances
from proteinweaver.evaluation.superposition import move
from proteinweaver.evaluation.tm import search_superposition, tm_d0
from proteinweaver.evaluation.torsions import ca_torsions

__all__ = ["describe", "highest_path", "quick_tm_pairs"]

FloatArray = NDArray[np.float64]
Float32 = NDArray[np.float32]
IntArray = NDArray[np.int64]

_SPANS = (
    (0, 2),
    (0, 3),
    (2, 2),
    (3, 3),
    (5, 5),
    (8, 8),
    (12, 12),
    (0, 9),
    (9, 0),
    (20, 0),
    (0, 20),
)
_WIDTHS = (np.float32(16.0), np.float32(40.0))  # of the similarity of descriptions
_SCOUTING, _ROUNDS = 2, 3
_CHUNK_CELLS = 3_000_000


def describe(ca: ArrayLike) -> Float32:
    """Describe the surroundings of every residue.

    Parameters
    ----------
    ca : array_like, shape=(L, 3)
        CA positions in angstrom.

    Returns
    -------
    ndarray, dtype=float32, shape=(L, 14)
        Distances along the chain (compressed where long), torsion (cosine, sine), neighbours; of
        comparable spread.
    """
    x = np.asarray(ca, dtype=np.float64)
    length = len(x)
    place = np.arange(length)
    columns = []
    for before, after in _SPANS:
        a, b = np.maximum(place - before, 0), np.minimum(place + after, length - 1)
        columns.append(4.0 * np.log1p(np.linalg.norm(x[b] - x[a], axis=-1) / 4.0))
    turn = np.zeros((length, 2))
    if length > 3:
        torsion = ca_torsions(x)
        turn[1:-2] = np.stack((np.cos(torsion), np.sin(torsion)), axis=-1)
    near = (squared_distances(x, x) < 10.0**2).sum(axis=1)
    return np.column_stack((*columns, 1.5 * turn, 0.25 * near)).astype(np.float32)


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
) -> FloatArray:
    """TM-scores of many pairs by a fast alignment.

    Parameters
    ----------
    pairs : sequence of (array_like, array_like), shapes (n_k, 3) and (m_k, 3)
        CA positions in angstrom, 5 or more residues each.
    described : sequence of pairs of ndarray, optional
        `describe` of either side, where it is known already.

    Returns
    -------
    ndarray, dtype=float64, shape=(K, 2)
        Normalised by the first and by the second structure of each pair.
    """
    out: FloatArray = np.zeros((len(pairs), 2))
    size = np.array([[len(np.asarray(a)), len(np.asarray(b))] for a, b in pairs]).reshape(-1, 2)
    order = np.lexsort((size[:, 1], size[:, 0]))
    start = 0
    while start < len(order):
        stop = start + 1
        while stop < len(order):
            rows, columns = size[order[start : stop + 1]].max(axis=0)
            if (stop + 1 - start) * rows * columns > _CHUNK_CELLS:
                break
            stop += 1
        chunk = order[start:stop]
        features = (
            [(describe(pairs[k][0]), describe(pairs[k][1])) for k in chunk]
            if described is None
            else [described[k] for k in chunk]
        )
        out[chunk] = _solve([pairs[k] for k in chunk], features)
        start = stop
    return out


def _padded(arrays: Sequence[ArrayLike], dtype: type) -> NDArray[Any]:
    values: list[NDArray[Any]] = [np.asarray(a, dtype=dtype) for a in arrays]
    longest = max(len(a) for a in values)
    out: NDArray[Any] = np.zeros((len(values), longest, values[0].shape[1]), dtype=dtype)
    for k, a in enumerate(values):
        out[k, : len(a)] = a
    return out


def _solve(
    pairs: Sequence[tuple[ArrayLike, ArrayLike]], described: Sequence[tuple[Float32, Float32]]
) -> FloatArray:
    length = np.array([[len(np.asarray(a)), len(np.asarray(b))] for a, b in pairs])
    x, y = (_padded([pair[side] for pair in pairs], np.float64) for side in (0, 1))
    inside = (np.arange(x.shape[1])[None] < length[:, :1])[:, :, None] & (
        np.arange(y.shape[1])[None] < length[:, 1:]
    )[:, None]
    short = length.min(axis=1)
    d0 = tm_d0(short) + 0.8
    f, g = (_padded([pair[side] for pair in described], np.float32) for side in (0, 1))
    square = _squares(f, g)
    near = np.where(inside, np.maximum(np.exp(-square / _WIDTHS[0]) - 0.05, 0.0), 0.0)
    wide = np.where(inside, np.exp(-square / _WIDTHS[1]), 0.0)
    best = np.full(len(pairs), -1.0)
    match = np.full(x.shape[:2], -1, dtype=np.int64)
    for start in (highest_path(near), highest_path(wide), _best_shift(near)):
        new = start
        for turn in range(_SCOUTING):
            new, value = _round(x, y, inside, new, d0, levels=3 if turn == 0 else 1)
            value /= short
            better = value > best
            best[better], match[better] = value[better], new[better]
    onward = match.copy()
    for _ in range(_ROUNDS):
        onward, value = _round(x, y, inside, onward, d0, levels=1)
        value /= short
        better = value > best
        best[better], match[better] = value[better], onward[better]
    out = np.zeros((len(pairs), 2))
    valid, target = _matched(y, match)
    for side in range(2):
        norm = length[:, side]
        total, _, _ = search_superposition(
            x, target, valid, tm_d0(norm), levels=2, step=1.0, iterations=8
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
    square = _squares(move(x, rot, trans), y)
    score = inside / (1.0 + square / (d0**2).astype(np.float32)[:, None, None])
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


def _squares(a: NDArray[Any], b: NDArray[Any]) -> Float32:
    """Squared distances, shape=(B, n, m)."""
    centre = b.mean(axis=1, keepdims=True)
    p, q = (a - centre).astype(np.float32), (b - centre).astype(np.float32)
    cross = p @ np.swapaxes(q, 1, 2)
    cross *= -2.0
    cross += (p**2).sum(-1)[:, :, None]
    cross += (q**2).sum(-1)[:, None]
    return np.maximum(cross, 0.0, out=cross)
