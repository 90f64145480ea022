"""Sequential alignment by dynamic programming, many score matrices at once."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["align_sequentially"]


def align_sequentially(score: NDArray[np.float32], gap: float) -> NDArray[np.int64]:
    """Find the best sequential alignment of every matrix of a batch.

    Opening a gap costs ``gap``; widening it, and unmatched ends, cost nothing.

    Parameters
    ----------
    score : ndarray, dtype=float32, shape=(B, n, m)
        Score of matching i with j.
    gap : float
        Cost of a gap.

    Returns
    -------
    ndarray, dtype=int64, shape=(B, n)
        Partner of every row, -1 for none.

    Notes
    -----
    With s the score, g the gap cost and V = max(M, X, Y), row by row:

        M(i, j) = s(i, j) + max(0, V(i-1, j-1))
        X(i, j) = max(X(i-1, j), max(M, Y)(i-1, j) - g)
        Y(i, j) = max over j' < j of max(M, X)(i, j') - g

    Every state remembers the last matched cell it came from, so tracing back hops from match to
    match.

    References
    ----------
    Gotoh 1982, J. Mol. Biol. 162, 705 (affine gaps; here widening is free).
    """
    batch, rows, columns = score.shape
    low = np.float32(-1e6)
    column = np.arange(columns)
    pointer = np.full((batch, rows, columns), -1, dtype=np.int32)
    value = np.full((batch, columns), low, dtype=np.float32)
    source = np.full((batch, columns), -1, dtype=np.int32)
    skip, skip_source = value.copy(), source.copy()
    not_skip, not_skip_source = value.copy(), source.copy()
    best, best_cell = np.full(batch, low, dtype=np.float32), np.zeros(batch, dtype=np.int64)
    for i in range(rows):
        # V(i-1, j-1), or a fresh start where that is not positive
        diagonal = np.zeros_like(value)
        diagonal[:, 1:] = np.maximum(value[:, :-1], 0.0)
        pointer[:, i, 1:] = np.where(value[:, :-1] > 0, source[:, :-1], -1)
        match = score[:, i] + diagonal
        cell = (i * columns + column).astype(np.int32)[None]
        opened = not_skip - gap
        longer = skip >= opened
        skip = np.where(longer, skip, opened)
        skip_source = np.where(longer, skip_source, not_skip_source)
        is_match = match >= skip
        left = np.where(is_match, match, skip)
        left_source = np.where(is_match, cell, skip_source)
        running = np.maximum.accumulate(left, axis=1)
        place = np.maximum.accumulate(np.where(left >= running, column, 0), axis=1)
        across, across_source = np.full_like(left, low), np.full_like(left_source, -1)
        across[:, 1:] = running[:, :-1] - gap
        across_source[:, 1:] = np.take_along_axis(left_source, place[:, :-1], axis=1)
        is_match = match >= across
        not_skip = np.where(is_match, match, across)
        not_skip_source = np.where(is_match, cell, across_source)
        from_skip = skip > not_skip
        value = np.where(from_skip, skip, not_skip)
        source = np.where(from_skip, skip_source, not_skip_source)
        at = match.argmax(axis=1)
        top = match[np.arange(batch), at]
        better = top > best
        best = np.where(better, top, best)
        best_cell = np.where(better, i * columns + at, best_cell)
    partner = np.full((batch, rows), -1, dtype=np.int64)
    flat = pointer.reshape(batch, -1)
    here = best_cell.copy()
    while np.any(here >= 0):
        on = np.flatnonzero(here >= 0)
        partner[on, here[on] // columns] = here[on] % columns
        here[on] = flat[on, here[on]]
    return partner
