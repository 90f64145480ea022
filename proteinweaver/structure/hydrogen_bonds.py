"""Nearly formed hydrogen bonds of a backbone, as an energy with forces.

Backbone hydrogen bonds have the electrostatic energy of Kabsch & Sander 1983, equation (1),

    E = 27.9 (1/d_ON + 1/d_CH - 1/d_OH - 1/d_CN) kcal/mol,

with H placed opposite the preceding C=O, 1.01 angstrom from N. Atoms are numbered as in
`proteinweaver.structure.closure_terms`.

References
----------
Kabsch & Sander 1983, Biopolymers 22, 2577.
"""

import numpy as np
from numpy.typing import NDArray

from proteinweaver.structure.closure_bodies import Array, Numbers
from proteinweaver.structure.closure_terms import Pull, near, rounded_hinge

__all__ = ["hydrogen_bond_energy", "hydrogen_bond_pairs"]

_N, _C, _O = 0, 2, 3
_SIGNS = np.array((1.0, 1.0, -1.0, -1.0))[:, None]  # of 1/d_ON, 1/d_CH, 1/d_OH, 1/d_CN
_SCALE = 27.9  # kcal/mol angstrom
_N_H = 1.01
_LEAST = 0.5  # square angstrom


def _atoms(acceptor: Numbers, donor: Numbers, count: int) -> Numbers:
    """O and C of acceptors, N of donors, C and O before these, of ``count`` residues; (5, P)."""
    c, o = _C * count, _O * count
    return np.stack((o + acceptor, c + acceptor, donor, c + donor - 1, o + donor - 1))


def _lines(points: Array, atoms: Numbers) -> tuple[Array, Array, Array, Array]:
    """Lines O-N, C-H, O-H, C-N, (3, 4, P), their squares; direction and length of C=O before."""
    o, c, n, carbon, oxygen = points.take(atoms, 1).transpose(1, 0, 2)
    carbonyl = carbon - oxygen
    length = np.sqrt((carbonyl * carbonyl).sum(0) + 1e-8)
    carbonyl /= length
    h = n + _N_H * carbonyl
    lines = np.stack((o - n, c - h, o - h, c - n), axis=1)
    return lines, (lines * lines).sum(0), carbonyl, length


def _inverse(square: Array) -> Array:
    """Inverse lengths; below .7 angstrom they grow no more."""
    inverse: Array = 1 / np.sqrt(np.maximum(square, _LEAST))
    return inverse


def hydrogen_bond_pairs(
    atoms: Array, item: Numbers, position: Numbers, has_previous: NDArray[np.bool_], reach: float
) -> tuple[Numbers, Numbers, Array]:
    """Nearly formed hydrogen bonds and how much each counts.

    The acceptors of one donor share a weight of 1 by a Boltzmann factor of their energies (0.3
    kcal/mol), which fades out towards ``reach``, and for bonds whose geometry is repulsive: all
    smooth, so that rounding switches nothing.

    Parameters
    ----------
    atoms : ndarray, shape=(3, 5, R)
        Angstrom.
    item, position : ndarray, dtype=int64, shape=(R,)
    has_previous : ndarray, dtype=bool, shape=(R,)
        True where a residue is bonded to the one before it, so that its H can be placed.
    reach : float
        Largest O-H distance in angstrom.

    Returns
    -------
    acceptor, donor : ndarray, dtype=int64, shape=(P,)
        Residue numbers.
    weight : ndarray, shape=(P,)
        Between 0 and 1.
    """
    acceptor, donor = near(atoms[:, _O], atoms[:, _N], reach + _N_H, item)
    kept = (np.abs(position[acceptor] - position[donor]) >= 2) & has_previous[donor]
    acceptor, donor = acceptor[kept], donor[kept]
    _, square, _, _ = _lines(atoms.reshape(3, -1), _atoms(acceptor, donor, len(item)))
    inverse = _inverse(square)
    energy = _SCALE * (_SIGNS * inverse).sum(0)
    fade = np.clip(2 * (reach - 1 / inverse[2]), 0, 1) * np.clip(-4 * energy, 0, 1)
    boltzmann = np.exp(-np.clip(energy, -4, 0) / 0.3)
    total = 1 + np.bincount(donor, boltzmann, len(item))
    weight = fade * boltzmann / total[donor]
    listed = weight > 1e-6
    return acceptor[listed], donor[listed], weight[listed]


def hydrogen_bond_energy(
    points: Array, acceptor: Numbers, donor: Numbers, weight: Array, target: float
) -> tuple[Array, Pull]:
    """How far each listed bond is from ``target`` kcal/mol, rounded off near 0, and the pull.

    Parameters
    ----------
    points : ndarray, shape=(3, 5 R)
        Atoms in angstrom.
    acceptor, donor : ndarray, dtype=int64, shape=(P,)
        Residue numbers.
    weight : ndarray, shape=(P,)
        Force constants.
    target : float
        kcal/mol.

    Returns
    -------
    energy : ndarray, shape=(P,)
    pull : Pull
    """
    atoms = _atoms(acceptor, donor, points.shape[1] // 5)
    lines, square, direction, length = _lines(points, atoms)
    inverse = _inverse(square)
    lack, slope = rounded_hinge(_SCALE * (_SIGNS * inverse).sum(0) - target)
    force = inverse**3 * (square >= _LEAST)
    by_lines = lines * (-_SCALE * weight * slope * _SIGNS * force)
    o_n, c_h, o_h, c_n = by_lines.transpose(1, 0, 2)
    by_h = -c_h - o_h
    by_carbonyl = _N_H * (by_h - (by_h * direction).sum(0) * direction) / length
    pull = np.concatenate((o_n + o_h, c_h + c_n, by_h - o_n - c_n, by_carbonyl, -by_carbonyl), 1)
    return weight * lack, (atoms.ravel(), pull)
