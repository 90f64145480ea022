"""Area that parts of a structure bury against each other.

The accessible surface is what the centre of a probe of 1.4 A can reach, by the test points of
Shrake and Rupley. Designs have no side chains, so each residue carries one bead toward its ideal
CB in place of a side chain; bead and radius are such that interfaces of native structures come
out, on average, as with all their atoms (docs/evaluation.md has the figures).

References
----------
Shrake & Rupley 1973, J. Mol. Biol. 79, 351.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

__all__ = ["BEAD", "RADII", "accessible_area", "interface_area", "with_beads"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

RADII = (1.65, 1.87, 1.76, 1.40)
"""Radii of N, CA, C and O (angstrom), Chothia 1976."""

BEAD = (2.4, 2.6)
"""Distance of the side-chain bead from CA, and its radius (angstrom)."""

_PROBE = 1.4


def _sphere(number: int) -> FloatArray:
    """Evenly spread unit vectors on a golden spiral."""
    k = np.arange(number) + 0.5
    height, turn = 1.0 - 2.0 * k / number, np.pi * (1.0 + np.sqrt(5.0)) * k
    radius = np.sqrt(1.0 - height**2)
    return np.stack((radius * np.cos(turn), radius * np.sin(turn), height), axis=-1)


_SPHERE = _sphere(92).astype(np.float32)


def with_beads(coord: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Add a side-chain bead to every residue.

    Parameters
    ----------
    coord : array_like, shape=(L, 4, 3)
        N, CA, C, O in angstrom.

    Returns
    -------
    atoms : ndarray, dtype=float64, shape=(L, 5, 3)
        N, CA, C, O, bead.
    radius : ndarray, dtype=float64, shape=(L, 5)
        Angstrom.
    """
    import torch

    from proteinweaver.structure.frames import virtual_cb

    xyz = np.asarray(coord, dtype=np.float64)
    toward = virtual_cb(torch.from_numpy(xyz)).numpy() - xyz[:, 1]
    toward /= np.maximum(np.linalg.norm(toward, axis=-1, keepdims=True), 1e-6)
    bead = xyz[:, 1] + BEAD[0] * toward
    atoms = np.concatenate((xyz, bead[:, None]), axis=1)
    return atoms, np.tile([*RADII, BEAD[1]], (len(xyz), 1))


def _hidden(x: FloatArray, radius: FloatArray, rows: IntArray, part: IntArray) -> BoolArray:
    """Test points that atoms of the same part hide, and that any atom hides, shape=(2, m, P).

    A point at distance R_i from atom i in direction u lies inside atom j at offset d if
    2 R_i (u . d) > R_i^2 + |d|^2 - R_j^2.
    """
    reach = radius + _PROBE
    near = cKDTree(x).query_ball_point(x[rows], reach[rows] + reach.max())
    own = np.repeat(np.arange(len(rows)), [len(group) for group in near])
    other = np.fromiter((k for group in near for k in group), np.int64, len(own))
    offset = x[other] - x[rows[own]]
    square = (offset**2).sum(-1)
    keep = (other != rows[own]) & (square < (reach[rows[own]] + reach[other]) ** 2)
    own, other, offset, square = own[keep], other[keep], offset[keep], square[keep]
    mine = reach[rows[own]]
    limit = (mine**2 + square - reach[other] ** 2) / (2.0 * mine)
    covered = (offset.astype(np.float32) @ _SPHERE.T) > limit.astype(np.float32)[:, None]
    hidden = np.zeros((2, len(rows), len(_SPHERE)), dtype=bool)
    same = part[other] == part[rows[own]]
    for found, chosen in zip(hidden, (same, np.ones_like(same)), strict=True):
        atom, start = np.unique(own[chosen], return_index=True)
        if len(atom):
            found[atom] = np.logical_or.reduceat(covered[chosen], start, axis=0)
    return hidden


def accessible_area(atoms: ArrayLike, radius: ArrayLike) -> FloatArray:
    """Compute the accessible area of atoms.

    Parameters
    ----------
    atoms : array_like, shape=(n, 3)
        Centres in angstrom.
    radius : array_like, shape=(n,)
        Angstrom.

    Returns
    -------
    ndarray, dtype=float64, shape=(n,)
        Square angstrom.
    """
    x, r = np.asarray(atoms, dtype=np.float64), np.asarray(radius, dtype=np.float64)
    hidden = _hidden(x, r, np.arange(len(x)), np.zeros(len(x), dtype=np.int64))[0]
    return 4.0 * np.pi * (r + _PROBE) ** 2 * (1.0 - hidden.mean(axis=1))


def interface_area(coord: ArrayLike, part: ArrayLike) -> float:
    """Compute the area that parts bury against each other.

    Parameters
    ----------
    coord : array_like, shape=(L, 4, 3)
        N, CA, C, O in angstrom, finite.
    part : array_like, dtype=int, shape=(L,)
        1..k; residues labelled 0 (linkers) belong to none and are left out.

    Returns
    -------
    float
        Half of the accessible area (square angstrom) that is lost when the parts come together.
    """
    xyz = np.asarray(coord, dtype=np.float64)
    label = np.asarray(part, dtype=np.int64)
    atoms, radius = with_beads(xyz[label > 0])
    label = np.repeat(label[label > 0], atoms.shape[1])
    x, r = atoms.reshape(-1, 3), radius.ravel()
    touched = np.zeros(len(x), dtype=bool)  # only these can lose anything
    names = np.unique(label)
    for name in names if len(names) > 1 else ():
        own = label == name
        away, _ = cKDTree(x[~own]).query(x[own], distance_upper_bound=2 * (r.max() + _PROBE))
        touched[own] = np.isfinite(away)
    if not touched.any():
        return 0.0
    rows = np.flatnonzero(touched)
    alone, together = _hidden(x, r, rows, label).mean(axis=2)
    return float((2.0 * np.pi * (r[rows] + _PROBE) ** 2 * (together - alone)).sum())
