"""Backbone hydrogen bonds by the electrostatic energy of DSSP, guarded by distances.

The amide hydrogen is placed 1 angstrom from N, opposite the C=O of the residue before. The energy
of donor i and acceptor j,

    E = 27.888 (1 / r_ON + 1 / r_CH - 1 / r_OH - 1 / r_CN)  kcal/mol,

counts below -0.5. The energy alone is fooled by overlapping atoms, so a bond must also have 2.4 <
N..O < 3.8, 1.4 < H..O < 2.9 and N..C > 2.9 angstrom.

References
----------
Kabsch & Sander 1983, Biopolymers 22, 2577, equation (1).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["bond_energies", "hydrogen_bonds"]

# kcal A / mol: Coulomb constant and the partial charges of CO and NH
_FACTOR = 332.0 * 0.42 * 0.20
_NH = 1.0
_CUTOFF = -0.5


def _candidates(
    coord: ArrayLike, break_after: ArrayLike | None, reach: float
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Donors, acceptors and their four distances (N-O, H-O, N-C, H-C), shape=(P,) and (P, 4)."""
    xyz = np.asarray(coord, dtype=np.float64)
    length = len(xyz)
    n, c, o = xyz[:, 0], xyz[:, 2], xyz[:, 3]
    carbonyl = c - o
    carbonyl = carbonyl / np.maximum(np.linalg.norm(carbonyl, axis=-1, keepdims=True), 1e-6)
    has_h = np.arange(length) > 0
    if break_after is not None:
        has_h[1:] &= ~np.asarray(break_after, dtype=bool)[:-1]
    h = n.copy()
    h[1:] += _NH * carbonyl[:-1]
    # |n - o|^2 by a matrix product: only few pairs are close enough to look at
    square = (n**2).sum(-1)[:, None] + (o**2).sum(-1)[None] - 2.0 * n @ o.T
    donor, other = np.nonzero((square < reach**2 + 1e-3) & has_h[:, None])
    keep = np.abs(donor - other) >= 2
    donor, other = donor[keep], other[keep]
    pairs = (
        (o[other], n[donor]),
        (o[other], h[donor]),
        (c[other], n[donor]),
        (c[other], h[donor]),
    )
    away = [np.maximum(np.linalg.norm(a - b, axis=-1), 1e-6) for a, b in pairs]
    return donor, other, np.stack(away, axis=-1)


def _energy(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    on, oh, cn, ch = np.moveaxis(distance, -1, 0)
    energy: NDArray[np.float64] = _FACTOR * (1.0 / on + 1.0 / ch - 1.0 / oh - 1.0 / cn)
    return energy


def bond_energies(
    coord: ArrayLike, break_after: ArrayLike | None = None, reach: float = 5.2
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Energies of all amide - carbonyl pairs in reach, without the guard by distances.

    Parameters
    ----------
    coord : array_like, shape=(L, 4, 3)
        N, CA, C, O in angstrom.
    break_after : array_like, dtype=bool, shape=(L,), optional
        True where the next residue is not bonded.
    reach : float, optional
        Largest N..O distance (angstrom); beyond 5.2 no pair has -0.5 kcal/mol.

    Returns
    -------
    donor, acceptor : ndarray, dtype=int64, shape=(P,)
        Residues, two or more apart in sequence.
    energy : ndarray, dtype=float64, shape=(P,)
        kcal/mol.

    References
    ----------
    Kabsch & Sander 1983, Biopolymers 22, 2577, equation (1).
    """
    donor, acceptor, distance = _candidates(coord, break_after, reach)
    return donor, acceptor, _energy(distance)


def hydrogen_bonds(coord: ArrayLike, break_after: ArrayLike | None = None) -> NDArray[np.int64]:
    """Best acceptor of every backbone amide.

    Parameters
    ----------
    coord : array_like, shape=(L, 4, 3)
        N, CA, C, O in angstrom.
    break_after : array_like, dtype=bool, shape=(L,), optional
        True where the next residue is not bonded (that one has no placed hydrogen). Default:
        nowhere.

    Returns
    -------
    ndarray, dtype=int64, shape=(L,)
        Residue whose C=O accepts the hydrogen bond of residue i, -1 for none. Neighbours in
        sequence never count.

    References
    ----------
    Kabsch & Sander 1983, Biopolymers 22, 2577, equation (1).
    """
    length = len(np.asarray(coord))
    acceptor = np.full(length, -1, dtype=np.int64)
    if length < 3:
        return acceptor
    donor, other, distance = _candidates(coord, break_after, 3.8)
    energy = _energy(distance)
    on, oh, cn = distance[:, 0], distance[:, 1], distance[:, 2]
    sound = (on > 2.4) & (on < 3.8) & (oh > 1.4) & (oh < 2.9) & (cn > 2.9)
    good = sound & (energy < _CUTOFF)
    order = np.flatnonzero(good)[np.argsort(-energy[good], kind="stable")]
    acceptor[donor[order]] = other[order]  # the strongest is written last
    return acceptor
