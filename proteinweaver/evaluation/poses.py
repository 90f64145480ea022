"""Rigid baselines of assembly: domains in random poses that their linkers can span.

Nothing is learned here. A chain is built domain by domain: the first CA of a domain is placed
uniformly in the shell that the linker can reach from the last CA of the domain before, its
orientation is uniform on SO(3), and a pose with two CA of different domains closer than 3.8 A is
drawn again. Among many such chains the one with most inter-domain contacts is a crude docking
search, and the baseline that a learned assembler must beat. Linkers are not built: their residues
are NaN.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proteinweaver.evaluation.assembly import domain_ranges, linker_span
from proteinweaver.evaluation.geometry import CONTACT

__all__ = ["contact_counts", "random_poses", "uniform_rotations"]

FloatArray = NDArray[np.float64]

_APART = 3.8
_ROUNDS = 60
_CHUNK = 64


def uniform_rotations(number: int, rng: np.random.Generator) -> FloatArray:
    """Rotations drawn uniformly (Haar measure) by normalised Gaussian quaternions.

    Parameters
    ----------
    number : int
        How many.
    rng : Generator

    Returns
    -------
    ndarray, dtype=float64, shape=(number, 3, 3)
    """
    w, x, y, z = np.moveaxis(_unit(rng.standard_normal((number, 4))), -1, 0)
    return np.stack(
        (
            1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y),
            2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x),
            2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y),
        ),
        axis=-1,
    ).reshape(number, 3, 3)  # fmt: skip


def _unit(vector: FloatArray) -> FloatArray:
    return vector / np.linalg.norm(vector, axis=-1, keepdims=True)


def random_poses(
    inputs: ArrayLike, domain: ArrayLike, number: int, rng: np.random.Generator
) -> FloatArray:
    """Draw rigid assemblies.

    Parameters
    ----------
    inputs : array_like, shape=(L, 4, 3)
        The domains, each in any pose (angstrom); linker residues are not looked at.
    domain : array_like, dtype=int, shape=(L,)
        0 in linkers, 1..k in domains, each domain one run.
    number : int
        Assemblies wanted.
    rng : Generator

    Returns
    -------
    ndarray, dtype=float64, shape=(M, L, 4, 3)
        M <= ``number`` assemblies without clashes between domains; NaN in linkers. Fewer come back
        if a pose could not be found in 60 draws (deeply buried ends, short linkers).
    """
    xyz = np.asarray(inputs, dtype=np.float64)
    runs = domain_ranges(domain)
    out = np.full((number, *xyz.shape), np.nan)
    alive = np.ones(number, dtype=bool)
    for place, (start, stop, _) in enumerate(runs):
        body = xyz[start:stop] - xyz[start, 1]
        todo = np.flatnonzero(alive)
        if place == 0:
            turned = body.reshape(1, -1, 3) @ uniform_rotations(len(todo), rng)
            out[todo, start:stop] = turned.reshape(-1, *body.shape)
            continue
        before = runs[place - 1][1]
        low, high = linker_span(start - before)
        earlier = np.concatenate([np.arange(a, b) for a, b, _ in runs[:place]])
        for _ in range(_ROUNDS):
            if not len(todo):
                break
            turned = (body.reshape(1, -1, 3) @ uniform_rotations(len(todo), rng)).reshape(
                len(todo), *body.shape
            )
            reach = np.cbrt(rng.uniform(low**3, high**3, size=(len(todo), 1)))
            first = out[todo, before - 1, 1] + reach * _unit(rng.standard_normal((len(todo), 3)))
            turned = turned + first[:, None, None]
            clear = _count_within(out[todo][:, earlier, 1], turned[:, :, 1], _APART) == 0
            out[todo[clear], start:stop] = turned[clear]
            todo = todo[~clear]
        alive[todo] = False
    return out[alive]


def _count_within(a: FloatArray, b: FloatArray, cutoff: float) -> NDArray[np.int64]:
    """Pairs closer than ``cutoff`` of point sets (B, n, 3) and (B, m, 3), shape=(B,)."""
    counts = []
    for start in range(0, len(a), _CHUNK):
        x = a[start : start + _CHUNK].astype(np.float32)
        y = b[start : start + _CHUNK].astype(np.float32)
        centre = x.mean(axis=1, keepdims=True)
        x, y = x - centre, y - centre
        square = (x**2).sum(-1)[:, :, None] + (y**2).sum(-1)[:, None] - 2 * x @ y.swapaxes(1, 2)
        counts.append((square < cutoff**2).sum(axis=(1, 2)))
    return np.concatenate(counts) if counts else np.zeros(0, dtype=np.int64)


def contact_counts(poses: ArrayLike, domain: ArrayLike) -> NDArray[np.int64]:
    """Inter-domain CA contacts (8 A) of every assembly.

    Parameters
    ----------
    poses : array_like, shape=(M, L, 4, 3)
        Assemblies in angstrom; linker residues are not looked at.
    domain : array_like, dtype=int, shape=(L,)
        0 in linkers, 1..k in domains.

    Returns
    -------
    ndarray, dtype=int64, shape=(M,)
    """
    xyz = np.asarray(poses, dtype=np.float64)
    runs = domain_ranges(domain)
    total = np.zeros(len(xyz), dtype=np.int64)
    for place, (start, stop, _) in enumerate(runs):
        for other, until, _ in _later(runs, place):
            total += _count_within(xyz[:, start:stop, 1], xyz[:, other:until, 1], CONTACT)
    return total


def _later(runs: Sequence[tuple[int, int, int]], place: int) -> Sequence[tuple[int, int, int]]:
    return [run for run in runs[place + 1 :] if run[2] != runs[place][2]]
