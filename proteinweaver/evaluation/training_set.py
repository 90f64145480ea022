"""The training set, small enough to ship: CA traces, fingerprints, and how held-out natives score.

``training_set.npz`` (built by ``scripts/build_training_table.py``) holds every domain and chain of
the train split. With u the unit of length, residue i of a chain is stored as

    d_i = round(x_i / u) - round(x_{i-1} / u),

three bytes before compression; sums of rounded differences are exact, so the error stays that of
one rounding, u / 2 per axis, and does not grow along the chain. Fingerprints are stored in 63
levels a column.

Beside them lie the highest TM-scores of held-out natives (valid and test split) to the same set,
found in the same way for each number of candidates an evaluation may align (`SEARCHED`): what a
structure that was never trained on reaches. Designs that come much nearer than those are copies.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["SEARCHED", "TrainingSet", "pack_training_set", "training_set"]

Float32 = NDArray[np.float32]

UNIT = 0.5
"""Step of the stored coordinates (angstrom)."""

SEARCHED = (10, 20, 40)
"""References that a chain is aligned with, by the number of chains."""

_FARTHEST = 127  # units
_LEVELS = 31  # to either side


@dataclass(frozen=True)
class TrainingSet:
    """Structures the shipped weights were trained on.

    Parameters
    ----------
    names : tuple of str
        Identifiers of the data release.
    chains : tuple of ndarray, dtype=float32, shape=(L_k, 3)
        CA positions in angstrom, to `UNIT` / 2; each from its own origin.
    prints : ndarray, dtype=float32, shape=(n, d)
        Fingerprints.
    held_out : ndarray, dtype=float32, shape=(m, 1 + len(SEARCHED))
        Length, and highest TM-score to the training set by number of candidates, of natives that
        were held out.
    """

    names: tuple[str, ...]
    chains: tuple[Float32, ...]
    prints: Float32
    held_out: Float32


def pack_training_set(
    names: Sequence[str],
    chains: Sequence[Float32],
    prints: Float32,
    held_out: Float32,
    path: Path,
) -> None:
    """Write a training set.

    Parameters
    ----------
    names, chains, prints, held_out
        See `TrainingSet`; coordinates are rounded here.
    path : Path
        An npz file.

    Raises
    ------
    ValueError
        If two residues in sequence are more than 63 A apart.
    """
    rounded = [np.round((x - x[0]) / UNIT).astype(np.int64) for x in chains]
    step = np.concatenate([np.diff(x, axis=0, prepend=x[:1]) for x in rounded])
    if np.abs(step).max(initial=0) > _FARTHEST:
        raise ValueError(f"residues in sequence are more than {_FARTHEST * UNIT:g} A apart")
    scale = np.maximum(np.abs(prints).max(axis=0), 1e-9) / _LEVELS
    np.savez_compressed(
        path,
        names=np.frombuffer("\n".join(names).encode(), np.uint8),
        lengths=np.array([len(x) for x in chains], np.uint16),
        step=step.T.astype(np.int8),
        prints=np.round(prints / scale).T.astype(np.int8),
        print_scale=scale.astype(np.float32),
        held_out=held_out.astype(np.float32),
    )


@cache
def training_set(path: Path | None = None) -> TrainingSet:
    """Load the training set that ships with the package.

    Parameters
    ----------
    path : Path, optional
        Another file of `pack_training_set`.

    Returns
    -------
    TrainingSet
    """
    place = files("proteinweaver.evaluation").joinpath("training_set.npz")
    with (path or place).open("rb") as handle, np.load(handle, allow_pickle=False) as archive:
        names = archive["names"].tobytes().decode().split("\n")
        stop = np.cumsum(archive["lengths"].astype(np.int64))
        # every chain begins with a zero step, so one running sum serves all
        place_of = np.cumsum(archive["step"].astype(np.int32), axis=1).T * np.float32(UNIT)
        prints = archive["prints"].T * archive["print_scale"]
        held_out = archive["held_out"]
    chains = tuple((x - x[:1]).astype(np.float32) for x in np.split(place_of, stop[:-1]) if len(x))
    return TrainingSet(tuple(names), chains, prints.astype(np.float32), held_out)
