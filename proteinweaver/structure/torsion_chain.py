"""A backbone that moves in its torsions only: bonds, angles and omega stay exactly as they are.

Residue i has a frame (`proteinweaver.structure.frames`); the step from one frame to the next is
kept from the structure, and a change of psi(i) and phi(i + 1) enters it as two rotations,

    F(i+1) = F(i) Rx(dpsi(i)) step(i) Rn(dphi(i+1)),

with Rx about CA-C and Rn about N-CA. A chain glued from parts of several structures is made of
their steps. The force on a torsion is the torque, about its bond, of all forces behind it.

References
----------
Noguti & Go 1983, J. Phys. Soc. Jpn. 52, 3685 (torques as derivatives in torsion space).
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from proteinweaver.structure.frames import frames_from_coord, virtual_cb

__all__ = ["TorsionChain", "torsion_chain"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class TorsionChain:
    """Steps between residues, and the atoms of each in its own frame.

    Parameters
    ----------
    step : ndarray, dtype=float64, shape=(L - 1, 4, 4)
        Rigid transformation from the frame of residue i to that of i + 1.
    local : ndarray, dtype=float64, shape=(L, 5, 3)
        N, CA, C, O and a virtual CB in the residue's frame (angstrom).
    """

    step: FloatArray
    local: FloatArray

    def __len__(self) -> int:
        return len(self.local)

    def part(self, start: int, stop: int) -> "TorsionChain":
        """Residues ``start`` to ``stop - 1``."""
        return TorsionChain(self.step[start : stop - 1], self.local[start:stop])

    def atoms(self, phi: FloatArray, psi: FloatArray) -> FloatArray:
        """Place the atoms after changes of the torsions.

        Parameters
        ----------
        phi, psi : ndarray, dtype=float64, shape=(L,)
            Changes in radians. ``phi[0]`` turns the whole chain.

        Returns
        -------
        ndarray, dtype=float64, shape=(L, 5, 3)
            N, CA, C, O, CB in angstrom; with no change at all, residue 0 has the identity frame.
        """
        turn_psi = _about(self.local[:, 2], psi)
        turn_phi = _about(-self.local[:, 0], phi)
        moves = np.tile(np.eye(4), (len(self), 1, 1))
        moves[0, :3, :3] = turn_phi[0]
        moves[1:] = self.step
        moves[1:, :3, :] = turn_psi[:-1] @ moves[1:, :3, :]
        moves[1:, :3, :3] = moves[1:, :3, :3] @ turn_phi[1:]
        frames = _running_product(moves)
        local = self.local.copy()
        local[:, 3] = np.einsum("lij,lj->li", turn_psi, local[:, 3])
        placed: FloatArray = np.einsum("lij,laj->lai", frames[:, :3, :3], local)
        return placed + frames[:, None, :3, 3]

    @staticmethod
    def torques(atoms: FloatArray, gradient: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Turn derivatives by atom positions into derivatives by torsions.

        Parameters
        ----------
        atoms : ndarray, dtype=float64, shape=(L, 5, 3)
            What `atoms` gave.
        gradient : ndarray, dtype=float64, shape=(L, 5, 3)
            dE/dx of every atom.

        Returns
        -------
        phi, psi : ndarray, dtype=float64, shape=(L,)
            dE/dphi and dE/dpsi.
        """
        moment = np.cross(atoms, gradient)
        residue_force, residue_moment = gradient.sum(1), moment.sum(1)
        # sums over all later residues
        force = np.cumsum(residue_force[::-1], axis=0)[::-1] - residue_force
        lever = np.cumsum(residue_moment[::-1], axis=0)[::-1] - residue_moment
        n, ca, c = atoms[:, 0], atoms[:, 1], atoms[:, 2]
        # psi moves O and what follows; phi moves C and CB too
        force_psi, lever_psi = force + gradient[:, 3], lever + moment[:, 3]
        force_phi = force_psi + gradient[:, 2] + gradient[:, 4]
        lever_phi = lever_psi + moment[:, 2] + moment[:, 4]
        return (
            _along(ca - n, lever_phi - np.cross(ca, force_phi)),
            _along(c - ca, lever_psi - np.cross(ca, force_psi)),
        )


def torsion_chain(coord: ArrayLike) -> TorsionChain:
    """Take a bonded chain apart into steps.

    Parameters
    ----------
    coord : array_like, shape=(L, 4, 3)
        N, CA, C, O in angstrom.

    Returns
    -------
    TorsionChain
    """
    xyz = torch.as_tensor(np.asarray(coord, dtype=np.float64))
    rot, trans = (value.numpy() for value in frames_from_coord(xyz))
    five = np.concatenate((xyz.numpy(), virtual_cb(xyz).numpy()[:, None]), axis=1)
    local = np.einsum("lji,laj->lai", rot, five - trans[:, None])
    step = np.tile(np.eye(4), (len(xyz) - 1, 1, 1))
    step[:, :3, :3] = np.swapaxes(rot[:-1], 1, 2) @ rot[1:]
    step[:, :3, 3] = np.einsum("lji,lj->li", rot[:-1], trans[1:] - trans[:-1])
    return TorsionChain(step, local)


def _unit(vector: FloatArray) -> FloatArray:
    length: FloatArray = np.linalg.norm(vector, axis=-1, keepdims=True)
    return vector / length


def _along(axis: FloatArray, vector: FloatArray) -> FloatArray:
    along: FloatArray = (_unit(axis) * vector).sum(-1)
    return along


def _about(axis: FloatArray, angle: FloatArray) -> FloatArray:
    """Rotation matrices about axes, by Rodrigues' formula, shape=(L, 3, 3)."""
    x, y, z = _unit(axis).T
    zero = np.zeros_like(x)
    k = np.stack((zero, -z, y, z, zero, -x, -y, x, zero), axis=-1).reshape(-1, 3, 3)
    sine, cosine = np.sin(angle)[:, None, None], np.cos(angle)[:, None, None]
    turned: FloatArray = np.eye(3) + sine * k + (1.0 - cosine) * (k @ k)
    return turned


def _running_product(moves: FloatArray) -> FloatArray:
    """Products of the first 1, 2, ..., L matrices, in log2(L) rounds."""
    product = moves.copy()
    reach = 1
    while reach < len(product):
        product[reach:] = product[:-reach] @ product[reach:]
        reach *= 2
    return product
