r"""Where a linker of known sequence lets the second of two domains lie: a law from native chains.

The residues on both sides of a linker are known to the atom, those of the linker by their types.
Every unbroken stretch of a native chain of the same length is a guess of how the chain goes on: it
is laid on the last residues of the first domain, and the second domain is laid on its end. What a
stretch is worth is a sum over its residues,

    log w = sum over residues s_r B(type, type of the stretch)
            - sum over known torsions t_r (1 - cos(angle - angle of the stretch)) + const,

with B the BLOSUM62 matrix and s_r, t_r constants of how far a residue lies from the linker
(`POSE_CONSTANTS`, fitted on the train split so that native poses are likely under the mixture of
Gaussians about the motions; ``scripts/fit_pose_finder.py``). A linker that goes on as a helix is
found so at once; a loop leaves many motions.

References
----------
Simons et al. 1997, J. Mol. Biol. 268, 209 (fragments of native chains by sequence and neighbours);
Henikoff & Henikoff 1992, PNAS 89, 10915 (BLOSUM62).
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proteinweaver.data.store import SPLITS, StructureStore
from proteinweaver.evaluation.superposition import move, superpose
from proteinweaver.evaluation.torsions import backbone_torsions

__all__ = [
    "FLANK",
    "POSE_CONSTANTS",
    "STRETCHES",
    "Motions",
    "Stretches",
    "linker_motions",
    "pose_constants",
]

POSE_CONSTANTS = Path(__file__).with_name("pose_finder.json")
#: Native chains that ship with the package (``scripts/build_stretches.py``).
STRETCHES = Path(__file__).with_name("stretches.npz")
#: Residues on either side of the linker that are compared, and those that are superposed.
FLANK, _LAID = 6, 3
_UNKNOWN = 20
#: Which constant of the torsions belongs to a flank residue, by its place from the linker.
_GROUP = (0, 1, 2, 2, 3, 3)
#: CA of the stretch closer than this (angstrom) to a CA of a domain are hits; the two residues of
#: a domain next to the linker are not asked.
_HIT, _NEXT = 4.0, 2
_CHUNK = 2000

FloatArray = NDArray[np.float64]


@cache
def pose_constants() -> dict[str, NDArray[np.float64]]:
    """Read the constants: ``blosum`` (21, 21), ``types`` (3,), ``torsions`` (4,), ``terms``."""
    content = json.loads(POSE_CONSTANTS.read_text(encoding="utf-8"))
    names = ("blosum", "types", "torsions", "terms")
    return {name: np.array(content[name], dtype=np.float64) for name in names}


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
            kind.astype(np.int64).clip(0, _UNKNOWN),
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
            return cls.of_residues(
                arrays["coord"].astype(np.float32) * np.float32(0.01),
                arrays["kind"],
                arrays["broken"],
                arrays["cluster"],
            )

    def starts(self, width: int, without: int | None = None) -> NDArray[np.int64]:
        """First rows of all unbroken stretches of ``width`` residues, a cluster left out."""
        number = max(len(self.run) - width + 1, 0)
        whole = self.run[:number] == self.run[width - 1 :][:number]
        if without is not None:
            whole &= self.cluster[:number] != without
        return np.flatnonzero(whole)


@dataclass(frozen=True)
class Motions:
    """How the second domain is moved by every stretch, the first one staying.

    Parameters
    ----------
    rot : ndarray, dtype=float64, shape=(M, 3, 3)
    trans : ndarray, dtype=float64, shape=(M, 3)
        ``x @ rot.T + trans``, angstrom.
    terms : ndarray, dtype=float32, shape=(M, 7)
        What the constants ``types`` and ``torsions`` multiply.
    log_weight : ndarray, dtype=float64, shape=(M,)
        Log-weight, up to a constant.
    hits : ndarray, dtype=int64, shape=(M,)
        CA pairs of stretch and domain under 4 A.
    """

    rot: FloatArray
    trans: FloatArray
    terms: NDArray[np.float32]
    log_weight: FloatArray
    hits: NDArray[np.int64]


def linker_motions(
    stretches: Stretches,
    chain: NDArray[np.floating],
    linker: tuple[int, int],
    kinds: NDArray[np.integer],
    most: int = 30000,
    without: int | None = None,
) -> Motions:
    """Lay the second domain by the most fitting stretches.

    Parameters
    ----------
    stretches : Stretches
    chain : ndarray, shape=(L, 4, 3)
        Both domains, each in any pose; NaN in the linker.
    linker : (int, int)
        First residue of the linker and of the second domain; at least six residues on either side.
    kinds : ndarray, dtype=int, shape=(L,)
        Residue types, linker included.
    most : int, optional
        Stretches kept.
    without : int, optional
        Cluster whose chains are left out.

    Returns
    -------
    Motions
    """
    start, stop = linker
    first = start - FLANK
    width = stop - start + 2 * FLANK
    rows = stretches.starts(width, without)
    terms = _terms(stretches, rows, chain, linker, kinds)
    constants = pose_constants()
    log_weight = terms @ np.concatenate((constants["types"], constants["torsions"]))
    best = np.argsort(-log_weight, kind="stable")[:most]
    rows, terms, log_weight = rows[best], terms[best], log_weight[best]

    def atoms(place: int) -> tuple[FloatArray, FloatArray]:
        found = stretches.coord[rows[:, None] + place + np.arange(_LAID)].astype(np.float64)
        given = chain[first + place : first + place + _LAID, :3].astype(np.float64)
        found = found.reshape(len(rows), -1, 3)
        return found, np.broadcast_to(given.reshape(-1, 3), found.shape)

    rot, trans = superpose(*atoms(FLANK - _LAID))
    end, given = atoms(width - FLANK)
    turn, shift = superpose(given, move(end, rot, trans))
    within = stretches.coord[rows[:, None] + np.arange(FLANK, width - FLANK), 1].astype(np.float64)
    middle = move(within, rot, trans)
    ca = chain[:, 1].astype(np.float64)
    hits = _hits(middle, ca[: start - _NEXT]) + _hits(
        (middle - shift[:, None]) @ turn, ca[stop + _NEXT :]
    )
    return Motions(turn, shift, terms, log_weight.astype(np.float64), hits)


def _terms(
    stretches: Stretches,
    rows: NDArray[np.int64],
    chain: NDArray[np.floating],
    linker: tuple[int, int],
    kinds: NDArray[np.integer],
) -> NDArray[np.float32]:
    """Likeness of types (linker, near, far flank) and minus that of torsions by place, (M, 7)."""
    start, stop = linker
    width = stop - start + 2 * FLANK
    blosum = pose_constants()["blosum"].astype(np.float32)
    angles = backbone_torsions(chain)[:2]
    terms = np.zeros((len(rows), 7), dtype=np.float32)
    for k in range(width):
        here = start - FLANK + k
        alike = blosum[min(int(kinds[here]), _UNKNOWN)]
        inside = FLANK <= k < width - FLANK
        away = min(abs(k - FLANK + 1), abs(k - width + FLANK))
        terms[:, 0 if inside else 1 if away < 3 else 2] += alike[stretches.kind[rows + k]]
        if inside:
            continue
        for known, other in zip(angles, (stretches.phi, stretches.psi), strict=True):
            if np.isfinite(known[here]):
                off = 1.0 - np.cos(other[rows + k] - np.float32(known[here]))
                terms[:, 3 + _GROUP[away]] -= np.nan_to_num(off, nan=2.0)
    return terms


def _hits(points: FloatArray, ca: FloatArray) -> NDArray[np.int64]:
    """Pairs under `_HIT` of point sets (M, n, 3) and one set (m, 3), shape (M,)."""
    out = []
    for part in np.array_split(points, max(1, -(-len(points) // _CHUNK))):
        square = (part**2).sum(-1)[..., None] + (ca**2).sum(-1) - 2.0 * part @ ca.T
        out.append((square < _HIT**2).sum(axis=(1, 2)))
    return np.concatenate(out)
