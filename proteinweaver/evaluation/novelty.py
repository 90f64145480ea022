"""How near designs come to known structures: the highest TM-score to a reference.

The reference is a folder, a set, or the training set of the shipped weights. Each design is
aligned with the references likest to it (`proteinweaver.evaluation.clusters.likest`), the best of
them carefully. Scores are normalised by the design.

Against the training set, two questions have numbers to be held against: whether the median stays
below 0.75, and whether designs come nearer than natives of the same lengths that were never
trained on (*memorisation*).

References
----------
Mann & Whitney 1947, Ann. Math. Stat. 18, 50.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proteinweaver.data.store import StructureStore
from proteinweaver.errors import UserError
from proteinweaver.evaluation.clusters import Scores, likest
from proteinweaver.evaluation.fingerprints import fingerprints
from proteinweaver.evaluation.intervals import (
    Interval,
    mean_interval,
    median_interval,
    share_interval,
)
from proteinweaver.evaluation.pairs import LEAST
from proteinweaver.evaluation.samples import find_entries, read_sample
from proteinweaver.evaluation.training_set import SEARCHED, training_set

__all__ = ["TRAIN", "Novelty", "Reference", "nearest_references", "novelty_of", "read_reference"]

Float32 = NDArray[np.float32]
FloatArray = NDArray[np.float64]

TRAIN = "train"
"""The word for the training set of the shipped weights."""

CLOSE = 0.75
"""TM-score from which a design hardly differs from its nearest reference."""

_NEAR = 0.12  # of the logarithm of the length
_LEAST_NATIVES = 40
_CAREFUL = 2  # references of a design that are aligned carefully, at most
_BEHIND = 0.03  # how far behind the best one they may be


@dataclass(frozen=True)
class Reference:
    """Structures that novelty is measured against.

    Parameters
    ----------
    names : tuple of str
        What they are called.
    chains : tuple of ndarray, dtype=float32, shape=(L_k, 3)
        CA positions in angstrom.
    prints : ndarray, dtype=float32, shape=(n, d)
        Fingerprints.
    held_out : ndarray, dtype=float32, shape=(m, 1 + len(SEARCHED))
        Length of natives that are not in it, and their highest TM-score by number of candidates,
        where they are known.
    """

    names: tuple[str, ...] = ()
    chains: tuple[Float32, ...] = ()
    prints: Float32 = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    held_out: Float32 = field(default_factory=lambda: np.zeros((0, 1 + len(SEARCHED)), np.float32))

    def digests(self) -> list[str]:
        """Hash the content of every chain."""
        return [hashlib.sha256(np.ascontiguousarray(x).tobytes()).hexdigest() for x in self.chains]

    def natives_searched(self, candidates: int) -> Float32:
        """Length and highest TM-score of held-out natives, searched as far or hardly farther."""
        least = next((k for k, n in enumerate(SEARCHED) if n >= candidates), len(SEARCHED) - 1)
        return self.held_out[:, [0, 1 + least]]


@dataclass(frozen=True)
class Novelty:
    """How near the designs of one set come to a reference.

    Parameters
    ----------
    median : Interval
        Of the highest TM-scores.
    close : Interval
        Share of designs at 0.75 or above.
    held_out_median : float
        Median of held-out natives of the same lengths; NaN where none are known.
    held_out_close : float
        Their share at 0.75 or above.
    held_out_n : int
        How many there are.
    nearer : Interval
        Probability that a design comes nearer than a held-out native of its length (Mann and
        Whitney's statistic): 0.5 for equals, more where structures were memorised.
    """

    median: Interval
    close: Interval
    held_out_median: float
    held_out_close: float
    held_out_n: int
    nearer: Interval


def read_reference(path: str) -> Reference:
    """Read a reference.

    Parameters
    ----------
    path : str
        ``"train"``, a folder or file of structures, or an npz structure set; empty or ``"none"``
        for no reference.

    Returns
    -------
    Reference

    Raises
    ------
    UserError
        If nothing in it could be read.
    """
    if path in ("", "none"):
        return Reference()
    if path == TRAIN:
        known = training_set()
        return Reference(known.names, known.chains, known.prints, known.held_out)
    names: list[str] = []
    chains: list[Float32] = []
    if path.endswith(".npz"):
        store = StructureStore(Path(path))
        for number in range(len(store)):
            item = store.item(number)
            names.append(item.name)
            chains.append(np.asarray(item.coord[:, 1], dtype=np.float32))
    else:
        for entry in find_entries([path])[0]:
            backbone = read_sample(entry).backbone
            if backbone is not None:
                names.append(entry.name)
                chains.append(np.asarray(backbone.ca, dtype=np.float32))
    kept = [k for k, chain in enumerate(chains) if len(chain) >= LEAST]
    if not kept:
        raise UserError(f"{path}: no structure in it could be read; give another --reference")
    chosen = tuple(chains[k] for k in kept)
    return Reference(tuple(names[k] for k in kept), chosen, fingerprints(chosen))


def nearest_references(
    rows: Sequence[int],
    references: Sequence[int],
    prints: Float32,
    scores: Scores,
    candidates: int,
) -> tuple[FloatArray, NDArray[np.int64]]:
    """Find the reference that every design resembles most.

    Parameters
    ----------
    rows, references : sequence of int
        Numbers of the designs and of the references.
    prints : ndarray, dtype=float32, shape=(n, d)
        Fingerprints of all chains.
    scores : Scores
        Of all chains.
    candidates : int
        References a design is aligned with.

    Returns
    -------
    tm : ndarray, dtype=float64, shape=(len(rows),)
        Normalised by the design.
    which : ndarray, dtype=int64, shape=(len(rows),)
        Number of the reference.
    """
    near = likest(rows, references, prints, scores, candidates)
    pairs = [(k, int(j)) for k, row in zip(rows, near, strict=True) for j in row]
    tm = scores.of(pairs)[:, 0].reshape(near.shape)
    order = np.argsort(-tm, axis=1, kind="stable")[:, :_CAREFUL]
    best = np.take_along_axis(tm, order, axis=1)
    which, close = np.take_along_axis(near, order, axis=1), best >= best[:, :1] - _BEHIND
    pairs = [(rows[k], int(which[k, j])) for k, j in np.argwhere(close).tolist()]
    best[close] = scores.careful(pairs)[:, 0]
    first = best.argmax(axis=1)[:, None]
    return (
        np.take_along_axis(best, first, axis=1)[:, 0],
        np.take_along_axis(which, first, axis=1)[:, 0],
    )


def novelty_of(tm: ArrayLike, lengths: ArrayLike, held_out: ArrayLike) -> Novelty:
    """Sum up the highest TM-scores of a set.

    Parameters
    ----------
    tm : array_like, shape=(n,)
        Highest TM-score of every design.
    lengths : array_like, shape=(n,)
        Their residues.
    held_out : array_like, shape=(m, 2)
        Length and highest TM-score of held-out natives; empty where none are known.

    Returns
    -------
    Novelty
        A design is held against natives within 12% of its length, or the 40 nearest in length.
    """
    found, size = np.asarray(tm, np.float64), np.asarray(lengths, np.float64)
    natives = np.asarray(held_out, np.float64).reshape(-1, 2)
    median, close = median_interval(found), share_interval(found >= CLOSE)
    if not len(natives) or not len(found):
        nothing = mean_interval([])
        return Novelty(median, close, np.nan, np.nan, 0, nothing)
    near = {length: _natives_near(natives, length) for length in np.unique(size)}
    beside = np.unique(np.concatenate([near[length] for length in size]))
    rank = [_rank(value, natives[near[k], 1]) for value, k in zip(found, size, strict=True)]
    return Novelty(
        median=median,
        close=close,
        held_out_median=float(np.median(natives[beside, 1])),
        held_out_close=float((natives[beside, 1] >= CLOSE).mean()),
        held_out_n=len(beside),
        nearer=mean_interval(rank),
    )


def _rank(value: float, others: FloatArray) -> float:
    """Share of others below a value, ties counted half."""
    return float((others < value).mean() + (others == value).mean() / 2)


def _natives_near(natives: FloatArray, length: float) -> NDArray[np.int64]:
    away = np.abs(np.log(natives[:, 0] / max(length, 1.0)))
    close = np.flatnonzero(away <= _NEAR)
    if len(close) >= _LEAST_NATIVES:
        return close
    return np.argsort(away, kind="stable")[:_LEAST_NATIVES]
