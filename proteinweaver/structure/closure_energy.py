"""The energy that closes a backbone, and its force constants.

The sum of covalent geometry across peptide bonds, soft spheres and torsions
(`proteinweaver.structure.closure_terms`), hydrogen bonds
(`proteinweaver.structure.hydrogen_bonds`) and a harmonic restraint of N, CA and C to the input.
Only what can change counts: nothing inside a body.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proteinweaver.structure.closure_bodies import Array, Numbers, Pose
from proteinweaver.structure.closure_terms import (
    Bounds,
    bounded,
    clash_bounds,
    elastic_bounds,
    peptide_bounds,
    torsion_atoms,
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
    general : ndarray, dtype=bool, shape=(R,)
        Residues that the general Ramachandran density applies to.
    owner : ndarray, dtype=int64, shape=(R,), optional
        Piece of every residue, loose ones included, -1 for none.
    held : Bounds, optional
        Further distances to keep within bounds.
    """

    def __init__(
        self,
        pose: Pose,
        forces: ClosureForces,
        general: NDArray[np.bool_],
        owner: Numbers | None = None,
        held: Bounds | None = None,
    ) -> None:
        bodies, self.forces = pose.bodies, forces
        self.bodies, self.start = bodies, bodies.atoms[:, :_O]
        shared = np.minimum(forces.body / np.bincount(bodies.body), 1.0)
        self.hold: Array = forces.restraint * shared[bodies.body]
        count = len(bodies.item)
        self.peptide = peptide_bounds(pose.hinge, count, forces.peptide)
        if owner is not None:
            tied = elastic_bounds(bodies.atoms, bodies.item, bodies.body, owner, forces.elastic)
            self.peptide = self.peptide.joined(tied)
        if held is not None:
            self.peptide = self.peptide.joined(held)
        has_next, hinge_next = bodies.bonded, np.zeros_like(bodies.bonded)
        hinge_next[pose.hinge] = True
        self.has_previous = np.append(False, has_next[:-1])
        hinge_previous = np.append(False, hinge_next[:-1])
        turning = has_next & self.has_previous & (hinge_next | hinge_previous) & general
        self.bonds = len(pose.hinge)
        self.torsions = torsion_atoms(pose.hinge, np.flatnonzero(turning), count)
        self.bounds: Bounds = self.peptide
        self.pairs: tuple[Numbers, Numbers, Array] | None = None

    def relist(self, atoms: Array) -> None:
        """Renew the lists of near atoms and of nearly formed hydrogen bonds."""
        bodies, forces = self.bodies, self.forces
        if forces.clash > 0:
            clashes = clash_bounds(atoms, bodies.item, bodies.position, bodies.body, forces.clash)
            self.bounds = self.peptide.joined(clashes)
        if forces.hydrogen_bond > 0:
            acceptor, donor, share = hydrogen_bond_pairs(
                atoms,
                bodies.item,
                bodies.position,
                self.has_previous,
                forces.hydrogen_bond_reach,
            )
            between = bodies.body[acceptor] != bodies.body[donor]
            weight = forces.hydrogen_bond * share[between]
            self.pairs = (acceptor[between], donor[between], weight)

    def __call__(self, atoms: Array) -> tuple[float, Array]:
        """Sum over the batch, and its gradient.

        Parameters
        ----------
        atoms : ndarray, shape=(3, 5, R)
            Angstrom.

        Returns
        -------
        energy : float
        gradient : ndarray, shape=(3, 5, R)
        """
        forces, points = self.forces, atoms.reshape(3, -1)
        lengths, of_lengths = bounded(points, self.bounds)
        planarity, rama, of_torsions = torsion_terms(
            points,
            self.torsions,
            self.bonds,
            (forces.planarity, forces.rama),
            forces.rama_floor,
        )
        pulls = [of_lengths, of_torsions]
        energy = lengths.sum() + planarity.sum() + rama.sum()
        if self.pairs is not None:
            missing, of_bonds = hydrogen_bond_energy(
                points, *self.pairs, forces.hydrogen_bond_target
            )
            pulls.append(of_bonds)
            energy += missing.sum()
        where = np.concatenate([pull[0] for pull in pulls])
        pulling = np.concatenate([pull[1] for pull in pulls], axis=1)
        gradient = np.empty_like(atoms)
        for axis in range(3):
            summed = np.bincount(where, pulling[axis], points.shape[1])
            gradient[axis] = summed.reshape(atoms.shape[1:])
        away = atoms[:, :_O] - self.start
        held = self.hold * away
        gradient[:, :_O] += 2 * held
        return float(energy + (held * away).sum()), gradient
