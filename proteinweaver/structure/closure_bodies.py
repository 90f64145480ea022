"""What moves when a backbone is closed: residues and rigid pieces, each one body.

A body turns about its centre and shifts; its inside is exact. With Q the frame of the body before,
c its centre and (r, u) its increments in that frame,

    y -> Q exp(r) Q^T (y - c) + c + Q u,

so that increments do not know how the input lies in space. Carbonyl oxygens between two bodies
are not part of either: they follow from the peptide plane (C=O opposite the next N).

A fixed number of small steps on a few hundred bodies is bound by the cost of a call, so all of it
is numpy, gradients included. Vectors have their axis of three first: sums and products then run
along memory.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from proteinweaver.structure.frames import frames_from_coord, virtual_cb

__all__ = ["Array", "Bodies", "Numbers", "Placed", "Pose", "find_bodies"]

_N, _CA, _C, _O = range(4)
_O_ALONG, _O_ACROSS = 0.617348, 1.065000  # of C=O along and across CA-C: 1.231 A, 120.1 degrees

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Bodies:
    """The residues of a batch behind each other, without padding, and the bodies they belong to.

    Parameters
    ----------
    atoms : ndarray, shape=(3, 5, R)
        N, CA, C, O and virtual CB of the input in angstrom, insides of loose residues cleaned.
    item : ndarray, dtype=int64, shape=(R,)
        Which backbone of the batch, ascending.
    position : ndarray, dtype=int64, shape=(R,)
        Position along the chain.
    body : ndarray, dtype=int64, shape=(R,)
        Number of the body.
    axes : ndarray, shape=(3, 3, bodies)
        Columns (second index) are the axes: the frame of the body's first residue.
    centre : ndarray, shape=(3, bodies)
        Mean CA.
    lever : ndarray, shape=(bodies,)
        Root mean square radius in angstrom, that of a lone residue included.
    bonded : ndarray, dtype=bool, shape=(R,)
        Residue r is bonded to r + 1.
    """

    atoms: Array
    item: Numbers
    position: Numbers
    body: Numbers
    axes: Array
    centre: Array
    lever: Array
    bonded: NDArray[np.bool_]


def _clean_residues(coord: Tensor) -> Tensor:
    """Pull the insides of residues into the native range.

    N-CA 1.459 and CA-C 1.525 angstrom within 0.03, N-CA-C 111 degrees within 6.
    """
    rot, trans = frames_from_coord(coord)
    local = (coord - trans[:, None]) @ rot
    n, c = local[:, _N], local[:, _C]
    angle = torch.atan2(n[:, 1], n[:, 0]).clamp(math.radians(105), math.radians(117))
    n_ca = n.norm(dim=-1).clamp(1.429, 1.489)
    zero = torch.zeros_like(angle)
    new_n = torch.stack((n_ca * angle.cos(), n_ca * angle.sin(), zero), dim=-1)
    new_c = torch.stack((c[:, 0].clamp(1.495, 1.555), zero, zero), dim=-1)
    across = local[:, _O, 1:]
    across = across / across.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    new_o = torch.cat((new_c[:, :1] + _O_ALONG, _O_ACROSS * across), dim=-1)
    new = torch.stack((new_n, torch.zeros_like(new_n), new_c, new_o), dim=1)
    return new @ rot.transpose(-1, -2) + trans[:, None]


def find_bodies(coord: Tensor, mask: Tensor, piece: Tensor, bonded: Tensor) -> Bodies:
    """Find what moves as one in a batch.

    Parameters
    ----------
    coord : Tensor, dtype=float64, shape=(B, L, 4, 3)
        Angstrom.
    mask, bonded : Tensor, dtype=bool, shape=(B, L)
    piece : Tensor, dtype=int64, shape=(B, L)
        Residues of one number from 0 are one body; residues of -1 are bodies of their own.

    Returns
    -------
    Bodies
    """
    item, position = mask.nonzero(as_tuple=True)
    kept, label = coord[mask], piece[mask]
    atoms = torch.where((label >= 0)[:, None, None], kept, _clean_residues(kept))
    # bodies: (item, piece) pairs first, then every loose residue for itself
    key = torch.where(
        label >= 0, item * (int(label.max()) + 2) + label + 1, -1 - torch.arange(len(label))
    )
    body = torch.from_numpy(np.unique(key.numpy(), return_inverse=True)[1].reshape(-1))
    count = int(body.max()) + 1
    size = torch.bincount(body, minlength=count).to(atoms.dtype)
    centre = atoms.new_zeros(count, 3).index_add_(0, body, atoms[:, _CA]) / size[:, None]
    spread = atoms.new_zeros(count).index_add_(
        0, body, (atoms[:, _CA] - centre[body]).square().sum(-1)
    )
    first = torch.zeros(count, dtype=torch.int64).scatter_reduce_(
        0, body, torch.arange(len(body)), "amin", include_self=False
    )
    rot, _ = frames_from_coord(atoms)
    follows = torch.zeros_like(item, dtype=torch.bool)
    follows[:-1] = (
        (item[1:] == item[:-1]) & (position[1:] == position[:-1] + 1) & bonded[mask][:-1]
    )
    five = torch.cat((atoms, virtual_cb(atoms)[:, None]), dim=1)
    return Bodies(
        atoms=five.permute(2, 1, 0).contiguous().numpy(),
        item=item.numpy(),
        position=position.numpy(),
        body=body.numpy(),
        axes=rot[first].permute(1, 2, 0).contiguous().numpy(),
        centre=centre.T.contiguous().numpy(),
        lever=(spread / size + 1.5**2).sqrt().numpy(),
        bonded=follows.numpy(),
    )


def _rotation(half: Array) -> Array:
    """Rotation of the quaternion (1, half), normalised; shape=(3, n) to (3, 3, n)."""
    x, y, z = half
    xx, yy, zz, xy, xz, yz = x * x, y * y, z * z, x * y, x * z, y * z
    rows = np.stack(
        (
            1 + xx - yy - zz, 2 * (xy - z), 2 * (xz + y),
            2 * (xy + z), 1 - xx + yy - zz, 2 * (yz - x),
            2 * (xz - y), 2 * (yz + x), 1 - xx - yy + zz,
        )
    )  # fmt: skip
    rows /= 1 + xx + yy + zz
    return rows.reshape(3, 3, -1)


def _rotation_pulled_back(half: Array, rotation: Array, gradient: Array) -> Array:
    """Gradient by ``half`` from that by ``_rotation(half)``; shapes (3, n) and (3, 3, n)."""
    spin = np.stack(
        (
            gradient[2, 1] - gradient[1, 2],
            gradient[0, 2] - gradient[2, 0],
            gradient[1, 0] - gradient[0, 1],
        )
    )
    trace = gradient[0, 0] + gradient[1, 1] + gradient[2, 2]
    along = ((gradient + gradient.transpose(1, 0, 2)) * half).sum(1)
    radial = trace + (gradient * rotation).sum((0, 1))
    pulled: Array = 2 * (spin + along - radial * half) / (1 + (half * half).sum(0))
    return pulled


def _product(left: Array, right: Array) -> Array:
    """Matrix products of shapes (3, 3, n), one for every n."""
    product: Array = (left[:, :, None] * right).sum(1)
    return product


class _Planes(NamedTuple):
    """Peptide planes at the hinges, shape=(3, hinges); lengths (hinges,)."""

    along: Array
    across: Array
    step: Array
    ca_c: Array
    off_axis: Array


class Placed(NamedTuple):
    """Atoms in angstrom, shape=(3, 5, R), and what their gradient is pulled back by."""

    atoms: Array
    half: Array
    rotation: Array
    planes: _Planes


class Pose:
    """Atoms as a function of the increments of all bodies, and its derivative.

    Parameters
    ----------
    bodies : Bodies
    """

    def __init__(self, bodies: Bodies) -> None:
        self.bodies = bodies
        from_centre = bodies.atoms - bodies.centre[:, None, bodies.body]
        back = bodies.axes.take(bodies.body, 2)
        self.local: Array = (back[:, :, None] * from_centre[:, None]).sum(0)
        inside = np.zeros_like(bodies.bonded)
        inside[:-1] = bodies.body[1:] == bodies.body[:-1]
        self.hinge = np.flatnonzero(bodies.bonded & ~inside)  # bonds between two bodies
        self.count = bodies.centre.shape[1]
        # where the twelve sums of a residue (turn, shift) go
        self._sums = (np.arange(12)[:, None] * self.count + bodies.body).ravel()

    def __call__(self, increments: Array) -> Placed:
        """Place the atoms.

        Parameters
        ----------
        increments : ndarray, shape=(2, 3, bodies)
            Turn times lever, and shift, in angstrom.

        Returns
        -------
        Placed
        """
        bodies = self.bodies
        half = increments[0] / (2 * bodies.lever)
        rotation = _rotation(half)
        turn = _product(bodies.axes, rotation).take(bodies.body, 2)
        shift = bodies.centre + (bodies.axes * increments[1]).sum(1)
        atoms = (turn[:, :, None] * self.local).sum(1) + shift.take(bodies.body, 1)[:, None]
        c = atoms[:, _C].take(self.hinge, 1)
        along = c - atoms[:, _CA].take(self.hinge, 1)
        ca_c = np.sqrt((along * along).sum(0) + 1e-8)
        along /= ca_c
        step = atoms[:, _N].take(self.hinge + 1, 1) - c
        across = step - (step * along).sum(0) * along
        off_axis = np.sqrt((across * across).sum(0) + 1e-6)
        across /= off_axis
        atoms[:, _O, self.hinge] = c + _O_ALONG * along - _O_ACROSS * across
        return Placed(atoms, half, rotation, _Planes(along, across, step, ca_c, off_axis))

    def pulled_back(self, placed: Placed, gradient: Array) -> Array:
        """Gradient by the increments from that by the atoms.

        Parameters
        ----------
        placed : Placed
        gradient : ndarray, shape=(3, 5, R)
            Used up.

        Returns
        -------
        ndarray, shape=(2, 3, bodies)
        """
        bodies = self.bodies
        self._leave_oxygens(placed.planes, gradient)
        by_turn = np.einsum("iar,jar->ijr", gradient, self.local)
        sums = np.concatenate((by_turn.reshape(9, -1), gradient.sum(1)))
        summed = np.bincount(self._sums, sums.ravel(), 12 * self.count)
        pooled = np.asarray(summed, dtype=np.float64).reshape(12, -1)
        back = bodies.axes.transpose(1, 0, 2)
        by_rotation = _product(back, pooled[:9].reshape(3, 3, -1))
        by_half = _rotation_pulled_back(placed.half, placed.rotation, by_rotation)
        return np.stack((by_half / (2 * bodies.lever), (back * pooled[9:]).sum(1)))

    def _leave_oxygens(self, planes: _Planes, gradient: Array) -> None:
        """Pass the gradient of oxygens between two bodies on to CA, C and the next N."""
        along, across, step = planes.along, planes.across, planes.step
        by_o = gradient[:, _O].take(self.hinge, 1)
        by_across = -_O_ACROSS * by_o
        by_across -= (by_across * across).sum(0) * across
        by_across /= planes.off_axis
        shared = (by_across * along).sum(0)
        by_along = _O_ALONG * by_o - (step * along).sum(0) * by_across - shared * step
        by_along -= (by_along * along).sum(0) * along
        by_along /= planes.ca_c
        by_step = by_across - shared * along
        gradient[:, _O, self.hinge] = 0.0
        gradient[:, _CA, self.hinge] -= by_along
        gradient[:, _C, self.hinge] += by_o + by_along - by_step
        gradient[:, _N, self.hinge + 1] += by_step
