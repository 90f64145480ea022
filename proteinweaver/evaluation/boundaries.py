"""Comparing two divisions of a chain into domains.

*NDO*, the normalised domain overlap: with O the table of shared residues of predicted (rows) and
true (columns) domains, residues outside any domain in a row and a column of their own, every
domain scores its largest overlap with a domain less all its other overlaps; the scores of both
sides are averaged and divided by the residues of the true domains. *IoU*: shared residues over
joint ones, mean over true domains under the best one-to-one assignment. *Boundary error*: residues
from every true boundary between two domains to the nearest predicted one, at most 50.

References
----------
Tai, Lee, Vincent & Lee 2005, Proteins 61 Suppl. 7, 183 (NDO).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import linear_sum_assignment

__all__ = ["boundaries", "boundary_error", "domain_iou", "domain_overlap"]

#: Boundaries without a predicted one this near (residues) count as this far.
FARTHEST = 50


def _table(predicted: ArrayLike, true: ArrayLike) -> NDArray[np.int64]:
    """Shared residues; row and column 0 are residues outside any domain."""
    p, t = np.asarray(predicted, np.int64), np.asarray(true, np.int64)
    if p.shape != t.shape:
        raise ValueError(f"{len(p)} predicted labels for {len(t)} residues")
    table = np.zeros((int(p.max(initial=0)) + 1, int(t.max(initial=0)) + 1), dtype=np.int64)
    np.add.at(table, (p, t), 1)
    return table


def domain_overlap(predicted: ArrayLike, true: ArrayLike) -> float:
    """Normalised domain overlap.

    Parameters
    ----------
    predicted, true : array_like, dtype=int, shape=(L,)
        0 outside domains, 1..k in domains.

    Returns
    -------
    float
        1 for the same division; NaN without a true domain.
    """
    table = _table(predicted, true)
    total = table[:, 1:].sum()
    if not total:
        return float("nan")
    rows = sum(2 * table[k, 1:].max(initial=0) - table[k].sum() for k in range(1, len(table)))
    columns = sum(
        2 * table[1:, k].max(initial=0) - table[:, k].sum() for k in range(1, table.shape[1])
    )
    return float((rows + columns) / 2 / total)


def domain_iou(predicted: ArrayLike, true: ArrayLike) -> float:
    """Mean intersection over union of true domains with the predicted ones assigned to them.

    Parameters
    ----------
    predicted, true : array_like, dtype=int, shape=(L,)

    Returns
    -------
    float
        NaN without a true domain.
    """
    table = _table(predicted, true)
    shared = table[1:, 1:].astype(np.float64)
    if not shared.shape[1]:
        return float("nan")
    union = table[1:].sum(1)[:, None] + table[:, 1:].sum(0)[None] - shared
    iou = shared / np.maximum(union, 1)
    rows, columns = linear_sum_assignment(-iou)
    return float(iou[rows, columns].sum() / shared.shape[1])


def boundaries(label: ArrayLike) -> NDArray[np.float64]:
    """Places along the chain where one domain gives way to another.

    Parameters
    ----------
    label : array_like, dtype=int, shape=(L,)

    Returns
    -------
    ndarray, dtype=float64
        Middle of the residues between two runs of different domains, from 0.
    """
    marks = np.asarray(label, np.int64)
    at = np.flatnonzero(marks > 0)
    change = np.flatnonzero(marks[at[1:]] != marks[at[:-1]])
    return (at[change] + at[change + 1]) / 2.0


def boundary_error(predicted: ArrayLike, true: ArrayLike) -> NDArray[np.float64]:
    """Residues from every true boundary to the nearest predicted one, at most `FARTHEST`.

    Parameters
    ----------
    predicted, true : array_like, dtype=int, shape=(L,)

    Returns
    -------
    ndarray, dtype=float64, one per true boundary
    """
    wanted, found = boundaries(true), boundaries(predicted)
    if not len(found):
        return np.full(len(wanted), float(FARTHEST))
    return np.minimum(np.abs(wanted[:, None] - found[None]).min(1), FARTHEST)
