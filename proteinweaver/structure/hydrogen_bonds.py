"""Nearly formed hydrogen bonds of a backbone, as an energy with forces.

Backbone hydrogen bonds have the electrostatic energy of Kabsch & Sander 1983, equation (1),

    E = 27.9 (1/d_ON + 1/d_CH - 1/d_OH - 1/d_CN) kcal/mol,

with H placed opposite the preceding C=O, 1.01 angstrom from N. Atoms lie in a flat list, five a
residue, as in `proteinweaver.structure.closure_terms`.

References
----------
Kabsch & Sander 1983, Biopolymers 22, 2577.
"""

import torch
from torch import Tensor

from proteinweaver.structure.closure_terms import ATOMS, rounded_hinge

__all__ = ["hydrogen_bond_energy", "hydrogen_bond_pairs"]

_N, _C, _O = 0, 2, 3


def _bond_energy(atoms: Tensor, acceptor: Tensor, donor: Tensor) -> tuple[Tensor, Tensor]:
    """Electrostatic energy (kcal/mol) and O-H distance of hydrogen bonds, shape=(P,) each."""
    previous = (donor - 1) * ATOMS
    carbonyl = atoms[previous + _C] - atoms[previous + _O]
    n = atoms[donor * ATOMS + _N]
    h = n + 1.01 * carbonyl / carbonyl.square().sum(-1, keepdim=True).add(1e-8).sqrt()
    o, c = atoms[acceptor * ATOMS + _O], atoms[acceptor * ATOMS + _C]
    pairs = torch.stack((o - n, c - h, o - h, c - n))
    inverse = pairs.square().sum(-1).clamp_min(0.5).rsqrt()
    return 27.9 * (inverse[0] + inverse[1] - inverse[2] - inverse[3]), 1 / inverse[2]


def hydrogen_bond_pairs(
    atoms: Tensor, item: Tensor, position: Tensor, has_previous: Tensor, reach: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Nearly formed hydrogen bonds and how much each counts.

    The acceptors of one donor share a weight of 1 by a Boltzmann factor of their energies (0.3
    kcal/mol), which fades out towards ``reach``, and for bonds whose geometry is repulsive: all
    smooth, so that rounding switches nothing.

    Parameters
    ----------
    atoms : Tensor, shape=(R * 5, 3)
    item, position : Tensor, dtype=int64, shape=(R,)
    has_previous : Tensor, dtype=bool, shape=(R,)
        True where a residue is bonded to the one before it, so that its H can be placed.
    reach : float
        Largest O-H distance in angstrom.

    Returns
    -------
    acceptor, donor : Tensor, dtype=int64, shape=(P,)
        Residue numbers.
    weight : Tensor, shape=(P,)
        Between 0 and 1.
    """
    grid = atoms.view(-1, ATOMS, 3)
    acceptors, donors, start = [], [], 0
    for size in torch.bincount(item).tolist():
        rows = slice(start, start + size)
        distance = torch.cdist(
            grid[rows, _O], grid[rows, _N], compute_mode="donot_use_mm_for_euclid_dist"
        )
        apart = (position[rows][:, None] - position[rows][None, :]).abs()
        a, d = ((distance < reach + 1.01) & (apart >= 2) & has_previous[rows]).nonzero(
            as_tuple=True
        )
        acceptors.append(a + start)
        donors.append(d + start)
        start += size
    acceptor, donor = torch.cat(acceptors), torch.cat(donors)
    energy, o_h = _bond_energy(atoms, acceptor, donor)
    fade = (2 * (reach - o_h)).clamp(0, 1) * (-4 * energy).clamp(0, 1)
    boltzmann = torch.exp(-energy.clamp(-4, 0) / 0.3)
    total = boltzmann.new_ones(len(item)).index_add_(0, donor, boltzmann)
    weight = fade * boltzmann / total[donor]
    listed = weight > 1e-6
    return acceptor[listed], donor[listed], weight[listed]


def hydrogen_bond_energy(atoms: Tensor, acceptor: Tensor, donor: Tensor, target: float) -> Tensor:
    """How far each listed bond is from ``target`` kcal/mol, rounded off near 0; shape=(P,)."""
    energy, _ = _bond_energy(atoms, acceptor, donor)
    return rounded_hinge(energy - target)
