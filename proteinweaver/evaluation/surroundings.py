"""What surrounds each residue, and how alike the surroundings of two chains are.

Every residue is described by distances to its surroundings along the chain, the torsion of the CA
trace and its number of neighbours: 14 numbers that know nothing of the pose. The *likeness* of two
chains of n and m residues with descriptions f and g is the highest sum over sequential alignments,

    max sum_k s(f_i(k), g_j(k)) / sqrt(n m),   s(f, g) = max(exp(-|f - g|^2 / 16) - 0.05, 0),

found by one dynamic programme without superposing anything. It costs a fortieth of an
alignment and ranks the chains that share a fold well before the rest (docs/evaluation.md).

References
----------
Needleman & Wunsch 1970, J. Mol. Biol. 48, 443.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proteinweaver.evaluation.geometry import squared_distances
from proteinweaver.evaluation.torsions import ca_torsions

__all__ = ["batches", "closeness", "describe", "likeness_pairs", "pad", "similar"]

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
_SCALE = np.float32(8**-0.5)  # half of the square of a scaled difference is |f - g|^2 / 16
_NOWHERE = np.float32(-1000.0)
_CUT = np.float32(0.05)
_CHUNK_CELLS = 1_000_000


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


def closeness(first: Sequence[Float32], second: Sequence[Float32]) -> Float32:
    """Compare every residue of one chain with every one of another, for many pairs of chains.

    Parameters
    ----------
    first, second : sequence of ndarray, dtype=float32, shapes (n_k, 14) and (m_k, 14)
        `describe` of either chain.

    Returns
    -------
    ndarray, dtype=float32, shape=(B, n, m)
        ``-|f - g|^2 / 16``; far below zero in the padding. One product of matrices: f and g carry
        their own squares as two further columns.
    """
    f, g = (pad(side, np.float32) * _SCALE for side in (first, second))
    f_square, g_square = (-0.5 * (x**2).sum(axis=-1, keepdims=True) for x in (f, g))
    for square, side in ((f_square, first), (g_square, second)):
        for k, chain in enumerate(side):
            square[k, len(chain) :] = _NOWHERE
    f = np.concatenate((f, f_square, np.ones_like(f_square)), axis=-1)
    g = np.concatenate((g, np.ones_like(g_square), g_square), axis=-1)
    return f @ np.swapaxes(g, 1, 2)


def similar(close: Float32) -> Float32:
    """Turn closeness into similarity.

    Parameters
    ----------
    close : ndarray, dtype=float32, shape=(B, n, m)
        Of `closeness`.

    Returns
    -------
    ndarray, dtype=float32, shape=(B, n, m)
        From 0 to 0.95.
    """
    score: Float32 = np.exp(close)
    score -= _CUT
    return np.maximum(score, 0.0, out=score)


def likeness_pairs(described: Sequence[tuple[Float32, Float32]]) -> FloatArray:
    """Likeness of many pairs of chains.

    Parameters
    ----------
    described : sequence of (ndarray, ndarray)
        `describe` of either chain.

    Returns
    -------
    ndarray, dtype=float64, shape=(K,)
        From 0 to 0.95.
    """
    out: FloatArray = np.zeros(len(described))
    size = np.array([[len(f), len(g)] for f, g in described]).reshape(-1, 2)
    for chunk in batches(size, _CHUNK_CELLS):
        length = size[chunk]
        score = similar(closeness(*([described[k][side] for k in chunk] for side in (0, 1))))
        value = np.zeros((len(chunk), score.shape[2] + 1), dtype=np.float32)
        for k in range(score.shape[1]):
            best = np.maximum(value[:, 1:], value[:, :-1] + score[:, k])
            np.maximum.accumulate(best, axis=1, out=value[:, 1:])
        out[chunk] = value[:, -1] / np.sqrt(length[:, 0] * length[:, 1])
    return out


def batches(size: IntArray, cells: int) -> list[IntArray]:
    """Divide pairs into batches of like size.

    Parameters
    ----------
    size : ndarray, dtype=int64, shape=(K, 2)
        Lengths of either chain.
    cells : int
        Most cells of the padded tables of a batch; one pair may have more.

    Returns
    -------
    list of ndarray, dtype=int64
        Numbers of the pairs.
    """
    order = np.lexsort((size[:, 1], size[:, 0]))
    out, start = [], 0
    while start < len(order):
        stop = start + 1
        while stop < len(order):
            rows, columns = size[order[start : stop + 1]].max(axis=0)
            if (stop + 1 - start) * rows * columns > cells:
                break
            stop += 1
        out.append(order[start:stop])
        start = stop
    return out


def pad(arrays: Sequence[ArrayLike], dtype: type) -> NDArray[Any]:
    """Stack arrays of different lengths, zeros behind.

    Parameters
    ----------
    arrays : sequence of array_like, shape=(L_k, d)
        What to stack.
    dtype : type
        Of the result.

    Returns
    -------
    ndarray, shape=(B, max L_k, d)
    """
    values: list[NDArray[Any]] = [np.asarray(a, dtype=dtype) for a in arrays]
    longest = max(len(a) for a in values)
    out: NDArray[Any] = np.zeros((len(values), longest, values[0].shape[1]), dtype=dtype)
    for k, a in enumerate(values):
        out[k, : len(a)] = a
    return out
