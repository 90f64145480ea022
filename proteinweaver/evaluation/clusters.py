"""Clusters of similar folds, without aligning all pairs.

Leader clustering: longest first, each chain joins the representative it resembles most if their
TM-score (mean of both normalisations) reaches the threshold, else it becomes a representative.
A chain looks for its place in steps, each of which asks more of fewer representatives:

1. the 200 nearest by fingerprint,
2. of those the first by likeness of their surroundings (`candidates`),
3. fast alignments, the first four at once, the others where none of those is alike,
4. careful alignments with the best three that only just miss the threshold.

With as many candidates as representatives it is the exhaustive algorithm.

References
----------
Hartigan 1975, Clustering Algorithms, ch. 3 (leader algorithm).
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from proteinweaver.evaluation.fingerprints import nearest

__all__ = ["Scores", "leader_clusters", "likest"]

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

_POOL = 200
_BLOCK = 64
_FIRST = 4
_CLOSE, _MISS = 3, 0.15  # representatives that may miss the threshold by so much are asked again


class Scores(Protocol):
    """What scores pairs of chains (`proteinweaver.evaluation.pairs.PairScores`)."""

    def of(self, pairs: Iterable[tuple[int, int]], /) -> FloatArray:
        """TM-scores of a fast search, shape (P, 2)."""
        ...

    def careful(self, pairs: Iterable[tuple[int, int]], /) -> FloatArray:
        """TM-scores of a careful search, shape (P, 2)."""
        ...

    def likeness(self, pairs: Iterable[tuple[int, int]], /) -> FloatArray:
        """Likeness of the surroundings, shape (P,)."""
        ...


def likest(
    query: Sequence[int],
    others: Sequence[int],
    prints: NDArray[np.float32],
    scores: Scores,
    number: int,
) -> IntArray:
    """Choose for every chain those among others that are most alike.

    Parameters
    ----------
    query, others : sequence of int
        Numbers of chains.
    prints : ndarray, dtype=float32, shape=(n, d)
        Fingerprints, by number.
    scores : Scores
        Their likeness.
    number : int
        Chains wanted for each.

    Returns
    -------
    ndarray, dtype=int64, shape=(len(query), min(number, len(others)))
        Numbers, most alike first.
    """
    some = np.asarray(others, dtype=np.int64)
    pool = max(_POOL, 2 * number)
    near = some[nearest(prints[list(query)], prints[some], pool)]
    pairs = [(k, int(j)) for k, row in zip(query, near, strict=True) for j in row]
    alike = scores.likeness(pairs).reshape(near.shape)
    order = np.argsort(-alike, axis=1, kind="stable")[:, :number]
    return np.take_along_axis(near, order, axis=1)


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
    scores : Scores
        Of pairs of numbers.
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
        tm = _among(left, prints, scores, threshold, candidates)
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
    row = dict(zip(block, likest(block, leaders, prints, scores, candidates), strict=True))
    found: dict[int, list[tuple[float, int]]] = {k: [] for k in block}
    for part in (slice(0, _FIRST), slice(_FIRST, None)):
        pairs = [(int(j), k) for k in block if k not in place for j in row[k][part]]
        for (j, k), value in zip(pairs, scores.of(pairs).mean(axis=1), strict=True):
            found[k].append((float(value), j))
        _settle(found, place, threshold)
    pairs = _doubtful({k: v for k, v in found.items() if k not in place}, threshold)
    found = {k: [] for _, k in pairs}
    for (j, k), value in zip(pairs, scores.careful(pairs).mean(axis=1), strict=True):
        found[k].append((float(value), j))
    _settle(found, place, threshold)


def _settle(
    found: dict[int, list[tuple[float, int]]], place: dict[int, int], threshold: float
) -> None:
    """Place those that are alike enough to some representative with the best of theirs."""
    for k, scored in found.items():
        value, leader = max(scored, default=(0.0, k))
        if k not in place and value >= threshold:
            place[k] = leader


def _doubtful(
    found: dict[int, list[tuple[float, int]]], threshold: float
) -> list[tuple[int, int]]:
    """Pairs that just miss the threshold, the best few of every chain."""
    return [
        (j, k)
        for k, scored in found.items()
        for value, j in sorted(scored, reverse=True)[:_CLOSE]
        if threshold - _MISS <= value < threshold
    ]


def _among(
    left: Sequence[int],
    prints: NDArray[np.float32],
    scores: Scores,
    threshold: float,
    candidates: int,
) -> dict[tuple[int, int], float]:
    """Scores inside a block, earlier member first, of pairs that are likely alike."""
    if len(left) < 2:
        return {}
    place = {k: i for i, k in enumerate(left)}
    near = likest(left, left, prints, scores, candidates + 1)
    pairs = {
        (min(k, int(j), key=place.__getitem__), max(k, int(j), key=place.__getitem__))
        for k, row in zip(left, near, strict=True)
        for j in row
        if j != k
    }
    chosen = sorted(pairs)
    tm = dict(zip(chosen, scores.of(chosen).mean(axis=1).tolist(), strict=True))
    found: dict[int, list[tuple[float, int]]] = {k: [] for k in left}
    for (j, k), value in tm.items():
        found[k].append((value, j))
    again = _doubtful(found, threshold)
    tm.update(zip(again, scores.careful(again).mean(axis=1).tolist(), strict=True))
    return tm
