"""What an assembler of native pairs is compared with: natives, random, picked and docked poses.

Every contender gives up to ``k`` chains for a task, the one it trusts most first. Rigid ones build
no linker: its residues are NaN (`bridged` fills them roughly, where a chain must go on).
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from proteinweaver.evaluation.docking import DockingSettings, SideChains, dock
from proteinweaver.evaluation.poses import contact_counts, random_poses, uniform_rotations
from proteinweaver.evaluation.tasks import NativeTask

__all__ = ["CONTENDERS", "POSES", "bridged", "docked_pair", "scattered"]

FloatArray = NDArray[np.float64]
Contender = Callable[[NativeTask, int, np.random.Generator], FloatArray]

#: Random poses among which the most contact-rich are picked.
POSES = 400


def scattered(task: NativeTask, rng: np.random.Generator) -> FloatArray:
    """Native domains, each turned and shifted by chance, NaN in linkers, shape (L, 4, 3)."""
    out = np.full(task.coord.shape, np.nan)
    for start, stop in task.domains:
        part = np.asarray(task.coord[start:stop], dtype=np.float64)
        out[start:stop] = (part - part[:, 1].mean(0)) @ uniform_rotations(1, rng)[0].T
        out[start:stop] += 30.0 * rng.standard_normal(3)
    return out


def docked_pair(
    task: NativeTask,
    number: int,
    rng: np.random.Generator,
    *,
    sequence: bool = True,
    settings: DockingSettings | None = None,
) -> FloatArray:
    """Dock the two domains of a pair from scattered starts.

    Parameters
    ----------
    task : NativeTask
        Of two domains.
    number : int
        Poses wanted.
    rng : Generator
    sequence : bool, optional
        Tell the docking the residue types.
    settings : DockingSettings, optional

    Returns
    -------
    ndarray, dtype=float64, shape=(M, L, 4, 3)
        M <= ``number`` different poses, best first; NaN in the linker.
    """
    given = scattered(task, rng)
    (one, two) = task.domains
    (gap,) = task.linkers
    first = one[1] - one[0] >= two[1] - two[0]
    still, mobile = (one, two) if first else (two, one)
    kinds = task.aatype if sequence else None
    parts = [
        SideChains.of(given[a:b], None if kinds is None else kinds[a:b])
        for a, b in (still, mobile)
    ]
    ends = (one[1] - one[0] - 1, 0) if first else (0, one[1] - one[0] - 1)
    poses = dock(parts[0], parts[1], ends, gap[1] - gap[0], number, rng, settings)
    out = np.full((len(poses), *given.shape), np.nan)
    for chain, pose in zip(out, poses, strict=True):
        chain[still[0] : still[1]] = given[still[0] : still[1]]
        chain[mobile[0] : mobile[1]] = given[mobile[0] : mobile[1]] @ pose.rot.T + pose.trans
    return out


def _random(task: NativeTask, number: int, rng: np.random.Generator) -> FloatArray:
    return random_poses(scattered(task, rng), task.domain, number, rng)


def _picked(task: NativeTask, number: int, rng: np.random.Generator) -> FloatArray:
    poses = random_poses(scattered(task, rng), task.domain, POSES, rng)
    order = np.argsort(-contact_counts(poses, task.domain), kind="stable")
    return poses[order[:number]]


CONTENDERS: Mapping[str, Contender] = {
    "native": lambda task, number, rng: np.asarray(task.coord, dtype=np.float64)[None],
    "random poses": _random,
    f"best of {POSES}": _picked,
    "docking": lambda task, number, rng: docked_pair(task, number, rng),
    "docking, no sequence": lambda task, number, rng: docked_pair(
        task, number, rng, sequence=False
    ),
}
"""Contenders by the name of their column."""


def bridged(chain: FloatArray, domain: NDArray[np.integer]) -> FloatArray:
    """Fill missing linkers: residues on a straight line, with the atoms of the one before.

    Parameters
    ----------
    chain : ndarray, dtype=float64, shape=(L, 4, 3)
        NaN in linkers.
    domain : ndarray, dtype=int, shape=(L,)
        0 in linkers; the chain begins and ends in a domain.

    Returns
    -------
    ndarray, dtype=float64, shape=(L, 4, 3)
        A start for a noised chain; its bonds are wrong.
    """
    out = chain.copy()
    place = np.arange(len(out))
    known = domain > 0
    for axis in range(3):
        out[:, 1, axis] = np.interp(place, place[known], chain[known, 1, axis])
    for row in np.flatnonzero(~known):
        out[row] = out[row - 1] - out[row - 1, 1] + out[row, 1]
    return out
