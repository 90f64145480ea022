"""Poses of the domains of a design, and which designs share one.

Two designs of a job have the same pose if, for every two domains that follow one another in the
request, the smaller one lies in the same place after superposing the larger: TM-score of the
smaller domain of 0.8 or more. (The TM-score of the whole chain is carried by its largest domain.)

Most pairs of designs need no superposition. It lays centroid on centroid, so it moves residue i
of the smaller domain at least ``|r_i - r'_i|`` away from its counterpart, r being distances to
the centroid of the larger domain. The TM-score is therefore at most

    (1 / n) sum_i 1 / (1 + ((r_i - r'_i) / d0)^2),

a number that costs nothing for thousands of designs at once.
"""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proteinweaver.evaluation.tm import tm_after_superposing, tm_d0

__all__ = ["SAME_POSE", "Clusters", "Pose", "pose_similarity"]

#: TM-score of the smaller domain from which on two poses are the same.
SAME_POSE = 0.8
#: Leaders whose distances are compared at once.
_BLOCK = 512


@dataclass(frozen=True)
class Pose:
    """Where the domains of a design lie.

    Parameters
    ----------
    job : str
        Only designs of one job are compared.
    domains : tuple of ndarray, shape=(n, 3)
        CA positions of every domain in angstrom, in the order of the request.
    """

    job: str
    domains: tuple[NDArray[np.floating], ...]

    @property
    def kind(self) -> tuple[Any, ...]:
        """Designs of one kind have corresponding residues."""
        return (self.job, *(len(part) for part in self.domains))

    @property
    def neighbours(self) -> Iterator[tuple[NDArray[np.floating], NDArray[np.floating]]]:
        """The larger and the smaller of every two domains that follow one another."""
        for pair in pairwise(self.domains):
            large, small = sorted(pair, key=lambda part: -len(part))
            yield large, small

    def radii(self) -> NDArray[np.float32]:
        """Distances of the smaller domains' residues to the larger ones' centroids, angstrom."""
        found = [
            np.linalg.norm(small - large.mean(0), axis=-1) for large, small in self.neighbours
        ]
        return np.concatenate(found).astype(np.float32)


def pose_similarity(one: Pose, two: Pose) -> float:
    """TM-score of the smaller of two domains after superposing the larger, least over neighbours.

    Parameters
    ----------
    one, two : Pose

    Returns
    -------
    float
        1 for the same pose; 0 for designs that cannot be compared.
    """
    if one.kind != two.kind or len(one.domains) < 2:
        return 0.0
    found = []
    for (large, small), (large_two, small_two) in zip(one.neighbours, two.neighbours, strict=True):
        x = np.concatenate((large, small))
        y = np.concatenate((large_two, small_two))
        on = np.arange(len(x)) < len(large)
        found.append(tm_after_superposing(x, y, on, ~on))
    return min(found)


@dataclass
class _Kind:
    """The leaders of designs with corresponding residues."""

    sizes: tuple[int, ...]
    numbers: list[int] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    blocks: list[NDArray[np.float32]] = field(default_factory=list)

    def add(self, number: int, place: int, radii: NDArray[np.float32]) -> None:
        row = len(self.numbers) % _BLOCK
        if row == 0:
            # Small kinds stay small: the first block grows.
            self.blocks.append(np.empty((1 if not self.blocks else _BLOCK, len(radii)), "f4"))
        if row == len(self.blocks[-1]):
            self.blocks[-1] = np.concatenate((self.blocks[-1], np.empty_like(self.blocks[-1])))
        self.blocks[-1][row] = radii
        self.numbers.append(number)
        self.places.append(place)

    def candidates(self, radii: NDArray[np.float32], least: float) -> Iterator[int]:
        """Positions of leaders whose similarity may reach `least`."""
        sizes = [min(pair) for pair in pairwise(self.sizes)]
        scale = np.repeat(tm_d0(sizes), sizes).astype(np.float32)
        starts = np.cumsum([0, *sizes[:-1]])
        for number, block in enumerate(self.blocks):
            rows = block[: len(self.numbers) - number * _BLOCK]
            terms = 1.0 / (1.0 + ((rows - radii) / scale) ** 2)
            bound = (np.add.reduceat(terms, starts, axis=1) / sizes).min(axis=1)
            for row in np.flatnonzero(bound >= least - 1e-3):  # rounding of single precision
                yield number * _BLOCK + int(row)


class Clusters:
    """Leader clustering of designs as they come, best first.

    A design belongs to the first leader of its pose; one without becomes a leader. Coordinates of
    leaders wait in a temporary file, so that memory holds their distances only: 4 bytes a residue
    of the smaller domains.

    Parameters
    ----------
    least : float
        Similarity to a leader from which on a design belongs to it.
    """

    def __init__(self, least: float = SAME_POSE) -> None:
        self.least = least
        self._count = 0
        self._kinds: dict[tuple[Any, ...], _Kind] = {}
        self._file = tempfile.TemporaryFile()

    def add(self, pose: Pose) -> int:
        """Take one design.

        Parameters
        ----------
        pose : Pose

        Returns
        -------
        int
            Number of its leader: its own where no earlier design has its pose.
        """
        number, self._count = self._count, self._count + 1
        if len(pose.domains) < 2:
            return number
        kind = self._kinds.setdefault(pose.kind, _Kind(tuple(map(len, pose.domains))))
        radii = pose.radii()
        for leader in kind.candidates(radii, self.least):
            if pose_similarity(self._read(kind, leader, pose.job), pose) >= self.least:
                return kind.numbers[leader]
        self._file.seek(0, 2)
        kind.add(number, self._file.tell(), radii)
        self._file.write(np.concatenate(pose.domains).astype(np.float64).tobytes())
        return number

    def _read(self, kind: _Kind, leader: int, job: str) -> Pose:
        self._file.seek(kind.places[leader])
        data = self._file.read(24 * sum(kind.sizes))
        coord = np.frombuffer(data, dtype=np.float64).reshape(-1, 3)
        return Pose(job, tuple(np.split(coord, np.cumsum(kind.sizes)[:-1])))
