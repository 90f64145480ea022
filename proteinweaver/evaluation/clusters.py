"""Clusters of similar folds, without aligning all pairs.

Leader clustering: longest first, each chain joins the representative it resembles most if their
TM-score (mean of both normalisations) reaches the threshold, else it becomes a representative.
Only the representatives nearest by fingerprint are aligned, a few at first, more for the chains
that found no place among those. With as many candidates as representatives it is the exhaustive
algorithm.

References
----------
Hartigan 1975, Clustering Algorithms, ch. 3 (leader algorithm).
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from proteinweaver.evaluation.fingerprints import nearest

__all__ = ["leader_clusters"]

IntArray = NDArray[np.int64]
Scores = Callable[[list[tuple[int, int]]], NDArray[np.float64]]

_BLOCK = 64
_STAGES = (4, 16)


def leader_clusters(
    members: Sequence[int],
    lengths: Sequence[int],
    prints: NDArray[np.float32],
    scores: Scores,
    threshold: float,
    candidates: int,
) -> dict[int, int]:
    """Cluster chains.

    Parameters
    ----------
    members : sequence of int
        Numbers of the chains.
    lengths : sequence of int
        Residues, by number.
    prints : ndarray, dtype=float32, shape=(n, d)
        Fingerprints, by number.
    scores : callable
        Pairs of numbers to TM-scores, shape (P, 2).
    threshold : float
        TM-score from which two chains share a fold.
    candidates : int
        Representatives a chain is aligned with at most.

    Returns
    -------
    dict of int to int
        Representative of every member.
    """
    order = sorted(members, key=lambda k: (-lengths[k], k))
    place: dict[int, int] = {}
    leaders: list[int] = []
    for start in range(0, len(order), _BLOCK):
        block = order[start : start + _BLOCK]
        if leaders:
            _join(block, leaders, place, prints, scores, threshold, candidates)
        left = [k for k in block if k not in place]
        tm = _among(left, prints, scores, candidates)
        for k in left:
            found = [(tm[j, k], j) for j in left if place.get(j) == j and (j, k) in tm]
            value, leader = max(found, default=(0.0, k))
            place[k] = leader if value >= threshold else k
        leaders += [k for k in left if place[k] == k]
    return place


def _join(
    block: Sequence[int],
    leaders: Sequence[int],
    place: dict[int, int],
    prints: NDArray[np.float32],
    scores: Scores,
    threshold: float,
    candidates: int,
) -> None:
    """Give members of a block their place among earlier representatives."""
    ranked = np.asarray(leaders)[nearest(prints[block], prints[leaders], candidates)]
    row = {k: ranked[i] for i, k in enumerate(block)}
    done = 0
    for stop in (*_STAGES, candidates):
        pairs = [(int(j), k) for k in block if k not in place for j in row[k][done:stop]]
        done = stop
        best: dict[int, tuple[float, int]] = {}
        for (j, k), value in zip(pairs, scores(pairs).mean(axis=1), strict=True):
            best[k] = max(best.get(k, (0.0, j)), (float(value), j))
        for k, (value, j) in best.items():
            if value >= threshold:
                place[k] = j


def _among(
    left: Sequence[int], prints: NDArray[np.float32], scores: Scores, candidates: int
) -> dict[tuple[int, int], float]:
    """Scores inside a block, earlier member first, of pairs near by fingerprint."""
    if len(left) < 2:
        return {}
    near = nearest(prints[list(left)], prints[list(left)], candidates + 1)
    pairs = {(left[min(i, j)], left[max(i, j)]) for i, js in enumerate(near) for j in js if i != j}
    chosen = sorted(pairs)
    values = scores(chosen).mean(axis=1)
    return dict(zip(chosen, values.tolist(), strict=True))
