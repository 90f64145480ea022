"""Fingerprints: one vector per chain, so that similar folds are found without aligning all pairs.

The mean over residues of random Fourier features of what surrounds them
(`proteinweaver.evaluation.surroundings.describe`, 14 numbers f) and of their place along the chain
(p, from 0 to 1):

    cos(W f / 3 + 6 v p + b),   W, v normal, b uniform.

The inner product of two fingerprints estimates how alike the chains' surroundings are at like
places, whatever their lengths. It chooses a few hundred chains of thousands; the likeness of
`proteinweaver.evaluation.surroundings` then ranks those.

References
----------
Rahimi & Recht 2007, NeurIPS 20 (random features); Budowski-Tal, Nov & Kolodny 2010, PNAS 107,
3481 (bags of local structure find folds).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proteinweaver.evaluation.surroundings import describe

__all__ = ["fingerprint", "fingerprints", "nearest"]

Float32 = NDArray[np.float32]

_FEATURES = 192
_WIDTH = 3.0
_PLACE = 6.0


def _waves() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    rng = np.random.default_rng(17)
    size = describe(np.zeros((5, 3))).shape[1]
    local = rng.standard_normal((size, _FEATURES)) / _WIDTH
    place = rng.standard_normal((1, _FEATURES)) * _PLACE
    return np.concatenate((local, place)), rng.uniform(0, 2 * np.pi, _FEATURES)


_FREQUENCY, _PHASE = _waves()


def fingerprint(ca: ArrayLike) -> Float32:
    """Compute the fingerprint of one chain.

    Parameters
    ----------
    ca : array_like, shape=(L, 3)
        CA positions in angstrom.

    Returns
    -------
    ndarray, dtype=float32, shape=(192,)
        Euclidean distances of fingerprints order chains by likeness.
    """
    local = describe(ca)
    place = (np.arange(len(local)) + 0.5) / len(local)
    placed: NDArray[np.float64] = np.concatenate((local, place[:, None]), axis=1)
    wave = placed @ _FREQUENCY + _PHASE
    return (np.cos(wave).mean(axis=0) * np.sqrt(2.0 / _FEATURES)).astype(np.float32)


def fingerprints(chains: Sequence[ArrayLike]) -> Float32:
    """Compute the fingerprints of many chains, shape=(n, 192)."""
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
