"""Native chains that tell how a chain goes on, in memory and packed for the package.

Only the shape of a stretch matters, so chains are packed as steps from atom to atom in units of
0.1 A, one byte each, rounded so that nothing adds up: every coordinate is off by 0.05 A at most.
560,000 residues take 3.5 MB.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proteinweaver.data.store import SPLITS, StructureStore
from proteinweaver.evaluation.torsions import backbone_torsions
from proteinweaver.structure.residues import UNKNOWN

__all__ = ["STRETCHES", "Stretches", "packed", "unpacked"]

#: Native chains that ship with the package (``scripts/build_stretches.py``).
STRETCHES = Path(__file__).with_name("stretches.npz")
_UNIT = 0.1  # angstrom


def packed(coord: NDArray[np.floating], broken: NDArray[np.bool_]) -> NDArray[np.int8]:
    """Pack chains as steps from atom to atom; where one run ends and the next begins is lost.

    Parameters
    ----------
    coord : ndarray, shape=(R, 3, 3)
        N, CA, C in angstrom.
    broken : ndarray, dtype=bool, shape=(R,)
        Whether a run ends behind a residue.

    Returns
    -------
    ndarray, dtype=int8, shape=(9, R)
        Axis after axis of N, CA, C: what is alike lies together, which compresses well.

    Raises
    ------
    ValueError
        If two consecutive atoms of a run are more than 12 A apart on an axis.
    """
    place = np.round(np.asarray(coord, dtype=np.float64) / _UNIT).astype(np.int64)
    step = np.diff(place.reshape(-1, 3), axis=0, prepend=0).reshape(-1, 3, 3)
    step[np.append(True, broken[:-1]), 0] = 0
    if np.abs(step).max(initial=0) > np.iinfo(np.int8).max:
        raise ValueError("two consecutive atoms of an unbroken run are more than 12 A apart")
    return np.ascontiguousarray(step.reshape(-1, 9).T.astype(np.int8))


def unpacked(step: NDArray[np.int8]) -> NDArray[np.float32]:
    """Coordinates of what `packed` gave, shape (R, 3, 3), N, CA, C in angstrom."""
    place = np.cumsum(step.T.reshape(-1, 3), axis=0, dtype=np.int32)
    return place.reshape(-1, 3, 3).astype(np.float32) * np.float32(_UNIT)


@dataclass(frozen=True)
class Stretches:
    """Native chains behind each other, from which stretches are cut.

    Parameters
    ----------
    coord : ndarray, dtype=float32, shape=(R, 3, 3)
        N, CA, C in angstrom.
    kind : ndarray, dtype=int64, shape=(R,)
        Residue types, 20 for unknown.
    phi, psi : ndarray, dtype=float32, shape=(R,)
        Radians, NaN where not defined.
    run : ndarray, dtype=int64, shape=(R,)
        Number of the unbroken run of residues.
    cluster : ndarray, dtype=int64, shape=(R,)
        Cluster of the chain at 40% identity.
    """

    coord: NDArray[np.float32]
    kind: NDArray[np.int64]
    phi: NDArray[np.float32]
    psi: NDArray[np.float32]
    run: NDArray[np.int64]
    cluster: NDArray[np.int64]

    @classmethod
    def of_chains(cls, path: str | Path, split: str = "train") -> "Stretches":
        """Read the chains of one split of a ``proteinweaver-structures-1`` npz.

        Raises
        ------
        UserError
            If the file is not such a set.
        """
        arrays = StructureStore(Path(path)).arrays
        item = np.repeat(np.arange(len(arrays["split"])), np.diff(arrays["offsets"]))
        rows = np.flatnonzero(arrays["split"][item] == SPLITS[split])
        item = item[rows]
        coord = arrays["coords"][rows].astype(np.float32) * np.float32(arrays["coord_scale"])
        last = np.append(item[1:] != item[:-1], True)
        return cls.of_residues(
            coord[:, :3],
            arrays["aatype"][rows],
            arrays["break_after"][rows].astype(bool) | last,
            arrays["cluster40"][item],
        )

    @classmethod
    def of_residues(
        cls,
        coord: NDArray[np.floating],
        kind: NDArray[np.integer],
        broken: NDArray[np.bool_],
        cluster: NDArray[np.integer],
    ) -> "Stretches":
        """Residues one behind the other, shapes (R, 3, 3) and (R,), broken after some."""
        phi, psi, _ = backbone_torsions(coord, broken)
        return cls(
            coord.astype(np.float32),
            kind.astype(np.int64).clip(0, UNKNOWN),
            phi.astype(np.float32),
            psi.astype(np.float32),
            np.concatenate(([0], np.cumsum(broken)[:-1])),
            cluster.astype(np.int64),
        )

    @classmethod
    @cache
    def shipped(cls) -> "Stretches":
        """Read the chains of the train split that ship with the package, once."""
        with np.load(STRETCHES) as arrays:
            residues = len(arrays["kind"])
            return cls.of_residues(
                unpacked(arrays["step"]),
                arrays["kind"],
                np.unpackbits(arrays["broken"], count=residues).astype(bool),
                arrays["cluster"],
            )

    @cached_property
    def traits(self) -> NDArray[np.float32]:
        """What the log-weight of a stretch is linear in, shape (27, R).

        One for the type; then of phi and of psi cosine and sine, or one where it is not defined.
        """
        rows = [self.kind == kind for kind in range(UNKNOWN + 1)]
        for angle in (self.phi, self.psi):
            defined = np.isfinite(angle)
            known = np.where(defined, angle, 0.0)
            rows += [np.cos(known) * defined, np.sin(known) * defined, ~defined]
        return np.array(rows, dtype=np.float32)

    def starts(self, width: int, without: int | None = None) -> NDArray[np.int64]:
        """First rows of all unbroken stretches of ``width`` residues, a cluster left out."""
        number = max(len(self.run) - width + 1, 0)
        whole = self.run[:number] == self.run[width - 1 :][:number]
        if without is not None:
            whole &= self.cluster[:number] != without
        return np.flatnonzero(whole)
