"""Fingerprints: one vector per chain, so that similar folds are found without aligning all pairs.

Two parts, each scaled to the same spread. The first is the mean over residues of random Fourier
features of their descriptions (`proteinweaver.evaluation.quick.describe`): its inner product
estimates how alike two chains' sets of local surroundings are, whatever their order. The second is
a coarse distance map: the chain is cut into 14 stretches, and the distances of their centres are
listed; it knows order and global arrangement but suffers from insertions.

References
----------
Rahimi & Recht 2007, NeurIPS 20 (random features); Budowski-Tal, Nov & Kolodny 2010, PNAS 107,
3481 (bags of local structure find folds).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proteinweaver.evaluation.geometry import squared_distances
from proteinweaver.evaluation.quick import describe

__all__ = ["fingerprint", "fingerprints", "nearest"]

Float32 = NDArray[np.float32]

_FEATURES = 192
_STRETCHES = 14
_MAP_WEIGHT = 1.0


def _waves() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(17)
    size = describe(np.zeros((5, 3))).shape[1]
    return rng.standard_normal((size, _FEATURES)) / 4.0, rng.uniform(0, 2 * np.pi, _FEATURES)


_FREQUENCY, _PHASE = _waves()


def fingerprint(ca: ArrayLike) -> Float32:
    """Compute the fingerprint of one chain.

    Parameters
    ----------
    ca : array_like, shape=(L, 3)
        CA positions in angstrom.

    Returns
    -------
    ndarray, dtype=float32, shape=(283,)
        Euclidean distances of fingerprints order chains by likeness.
    """
    x = np.asarray(ca, dtype=np.float64)
    bag = np.cos(describe(x) @ _FREQUENCY + _PHASE).mean(axis=0) * np.sqrt(2.0 / _FEATURES)
    edges = np.linspace(0, len(x), _STRETCHES + 1)
    place = (np.arange(len(x)) + 0.5)[None]
    weight = np.clip(np.minimum(place - edges[:-1, None], edges[1:, None] - place) + 0.5, 0, 1)
    centre = weight @ x / weight.sum(axis=1, keepdims=True)
    pairs = np.triu_indices(_STRETCHES, 1)
    away = np.sqrt(squared_distances(centre, centre)[pairs])
    scale = _MAP_WEIGHT / np.sqrt(len(away)) * np.log1p(away / 8.0)
    return np.concatenate((bag, scale)).astype(np.float32)


def fingerprints(chains: Sequence[ArrayLike]) -> Float32:
    """Compute the fingerprints of many chains, shape=(n, 283)."""
    return np.stack([fingerprint(chain) for chain in chains])


def nearest(query: Float32, reference: Float32, number: int) -> NDArray[np.int64]:
    """Rank references by likeness to every query.

    Parameters
    ----------
    query, reference : ndarray, dtype=float32, shape=(q, d) and (r, d)
        Fingerprints.
    number : int
        References wanted for each query, at most r.

    Returns
    -------
    ndarray, dtype=int64, shape=(q, min(number, r))
        Rows of ``reference``, most alike first.
    """
    number = min(number, len(reference))
    out = np.zeros((len(query), number), dtype=np.int64)
    own = (reference**2).sum(axis=1)
    for start in range(0, len(query), 512):
        away = own[None] - 2.0 * query[start : start + 512] @ reference.T
        few = np.argpartition(away, number - 1, axis=1)[:, :number]
        order = np.take_along_axis(away, few, axis=1).argsort(axis=1, kind="stable")
        out[start : start + 512] = np.take_along_axis(few, order, axis=1)
    return out
