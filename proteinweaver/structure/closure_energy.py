"""The energy that closes a backbone, and its force constants.

The sum of covalent geometry across peptide bonds, soft spheres and torsions
(`proteinweaver.structure.closure_terms`), hydrogen bonds
(`proteinweaver.structure.hydrogen_bonds`) and a harmonic restraint of N, CA and C to the input.
Only what can change counts: nothing inside a body.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from proteinweaver.structure.closure_bodies import Pose
from proteinweaver.structure.closure_terms import (
    Bounds,
    bounded,
    clash_bounds,
    elastic_bounds,
    peptide_bounds,
    torsion_terms,
)
from proteinweaver.structure.hydrogen_bonds import hydrogen_bond_energy, hydrogen_bond_pairs

__all__ = ["ClosureEnergy", "ClosureForces"]

_O = 3


@dataclass(frozen=True)
class ClosureForces:
    """Force constants of the closing energy; 0 switches a term off.

    Parameters
    ----------
    peptide : float
        Bond lengths and 1-3 distances across the peptide bond, per square angstrom.
    planarity : float
        ``1 + cos(omega)``.
    clash : float
        Soft spheres, per square angstrom of overlap.
    rama : float
        Log density missing to ``rama_floor``.
    rama_floor : float
        ln p from which on a residue feels no Ramachandran force (0.02 is -3.9).
    restraint : float
        To the input position, per square angstrom and atom (N, CA, C).
    hydrogen_bond : float
        Per kcal/mol missing to ``hydrogen_bond_target`` in nearly formed bonds.
    hydrogen_bond_target : float
        kcal/mol.
    hydrogen_bond_reach : float
        O-H distance in angstrom up to which a bond counts as nearly formed.
    body : float
        A piece is held to its place like this many residues, however large it is.
    elastic : float
        Distances of loose residues to their own piece, per square angstrom beyond the tolerance.
    """

    peptide: float = 100.0
    planarity: float = 20.0
    clash: float = 20.0
    rama: float = 3.0
    rama_floor: float = -2.5
    restraint: float = 0.3
    hydrogen_bond: float = 2.0
    hydrogen_bond_target: float = -1.5
    hydrogen_bond_reach: float = 3.6
    body: float = 8.0
    elastic: float = 4.0


class ClosureEnergy:
    """Closing energy of all backbones; neighbour lists are renewed by `relist`.

    Parameters
    ----------
    pose : Pose
        What moves.
    forces : ClosureForces
        Force constants.
    general : Tensor, dtype=bool, shape=(R,)
        Residues that the general Ramachandran density applies to.
    owner : Tensor, dtype=int64, shape=(R,), optional
        Piece of every residue, loose ones included, -1 for none.
    held : Bounds, optional
        Further distances to keep within bounds.
    """

    def __init__(
        self,
        pose: Pose,
        forces: ClosureForces,
        general: Tensor,
        owner: Tensor | None = None,
        held: Bounds | None = None,
    ) -> None:
        bodies, self.forces = pose.bodies, forces
        self.bodies, self.start, self.hinge = bodies, bodies.atoms[:, :_O], pose.hinge
        size = torch.bincount(bodies.body).to(bodies.atoms.dtype)
        self.hold = forces.restraint * (forces.body / size).clamp_max(1.0)[bodies.body][:, None]
        self.peptide = peptide_bounds(pose.hinge, forces.peptide)
        if owner is not None:
            tied = elastic_bounds(bodies.atoms, bodies.item, bodies.body, owner, forces.elastic)
            self.peptide = self.peptide.joined(tied)
        if held is not None:
            self.peptide = self.peptide.joined(held)
        count = len(bodies.item)
        has_next, hinge_next = bodies.bonded, torch.zeros(count, dtype=torch.bool)
        hinge_next[pose.hinge] = True
        self.has_previous = torch.cat((has_next.new_zeros(1), has_next[:-1]))
        hinge_previous = torch.cat((hinge_next.new_zeros(1), hinge_next[:-1]))
        turning = has_next & self.has_previous & (hinge_next | hinge_previous) & general
        self.middle = turning.nonzero()[:, 0]
        self.bounds: Bounds = self.peptide
        self.pairs: tuple[Tensor, Tensor, Tensor] | None = None

    def relist(self, atoms: Tensor) -> None:
        """Renew the lists of near atoms and of nearly formed hydrogen bonds."""
        bodies, forces = self.bodies, self.forces
        points = atoms.reshape(-1, 3)
        if forces.clash > 0:
            clashes = clash_bounds(points, bodies.item, bodies.position, bodies.body, forces.clash)
            self.bounds = self.peptide.joined(clashes)
        if forces.hydrogen_bond > 0:
            reach = forces.hydrogen_bond_reach
            pairs = hydrogen_bond_pairs(
                points, bodies.item, bodies.position, self.has_previous, reach
            )
            between = bodies.body[pairs[0]] != bodies.body[pairs[1]]
            self.pairs = (pairs[0][between], pairs[1][between], pairs[2][between])

    def __call__(self, atoms: Tensor) -> Tensor:
        """Sum over the batch."""
        forces, points = self.forces, atoms.reshape(-1, 3)
        energy = bounded(points, self.bounds).sum()
        energy = energy + (self.hold * (atoms[:, :_O] - self.start).square().sum(-1)).sum()
        planarity, rama = torsion_terms(points, self.hinge, self.middle, forces.rama_floor)
        energy = energy + forces.planarity * planarity.sum() + forces.rama * rama.sum()
        if self.pairs is not None:
            acceptor, donor, share = self.pairs
            missing = hydrogen_bond_energy(points, acceptor, donor, forces.hydrogen_bond_target)
            energy = energy + forces.hydrogen_bond * (share * missing).sum()
        return energy
