"""What moves when a backbone is closed: residues and rigid pieces, each one body.

A body turns about its centre and shifts; its inside is exact. With Q the frame of the body before,
c its centre and (r, u) its increments in that frame,

    y -> Q exp(r) Q^T (y - c) + c + Q u,

so that increments do not know how the input lies in space. Carbonyl oxygens between two bodies
are not part of either: they follow from the peptide plane (C=O opposite the next N).
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from proteinweaver.structure.frames import frames_from_coord, virtual_cb

__all__ = ["Bodies", "Pose", "find_bodies"]

_N, _CA, _C, _O = range(4)
_O_ALONG, _O_ACROSS = 0.617348, 1.065000  # of C=O along and across CA-C: 1.231 A, 120.1 degrees


@dataclass(frozen=True)
class Bodies:
    """The residues of a batch behind each other, without padding, and the bodies they belong to.

    Parameters
    ----------
    atoms : Tensor, shape=(R, 5, 3)
        N, CA, C, O and virtual CB of the input in angstrom, insides of loose residues cleaned.
    item : Tensor, dtype=int64, shape=(R,)
        Which backbone of the batch, ascending.
    position : Tensor, dtype=int64, shape=(R,)
        Position along the chain.
    body : Tensor, dtype=int64, shape=(R,)
        Number of the body.
    axes : Tensor, shape=(bodies, 3, 3)
        Columns are the axes: the frame of the body's first residue.
    centre : Tensor, shape=(bodies, 3)
        Mean CA.
    lever : Tensor, shape=(bodies, 1)
        Root mean square radius in angstrom, that of a lone residue included.
    bonded : Tensor, dtype=bool, shape=(R,)
        Residue r is bonded to r + 1.
    """

    atoms: Tensor
    item: Tensor
    position: Tensor
    body: Tensor
    axes: Tensor
    centre: Tensor
    lever: Tensor
    bonded: Tensor


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
    coord : Tensor, shape=(B, L, 4, 3)
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
    return Bodies(
        atoms=torch.cat((atoms, virtual_cb(atoms)[:, None]), dim=1),
        item=item,
        position=position,
        body=body,
        axes=rot[first],
        centre=centre,
        lever=(spread / size + 1.5**2).sqrt()[:, None],
        bonded=follows,
    )


def _rotation(half: Tensor) -> Tensor:
    """Rotation of the quaternion (1, half), normalised; shape=(..., 3) to (..., 3, 3)."""
    x, y, z = half.unbind(-1)
    xx, yy, zz, xy, xz, yz = x * x, y * y, z * z, x * y, x * z, y * z
    rows = torch.stack(
        (
            1 + xx - yy - zz, 2 * (xy - z), 2 * (xz + y),
            2 * (xy + z), 1 - xx + yy - zz, 2 * (yz - x),
            2 * (xz - y), 2 * (yz + x), 1 - xx - yy + zz,
        ),
        dim=-1,
    )  # fmt: skip
    return (rows / (1 + xx + yy + zz)[..., None]).reshape(*half.shape[:-1], 3, 3)


class Pose:
    """Atoms as a function of the increments of all bodies."""

    def __init__(self, bodies: Bodies) -> None:
        self.bodies = bodies
        self.local = (bodies.atoms - bodies.centre[bodies.body, None]) @ bodies.axes[bodies.body]
        inside = torch.zeros_like(bodies.bonded)
        inside[:-1] = bodies.body[1:] == bodies.body[:-1]
        self.hinge = (bodies.bonded & ~inside).nonzero()[:, 0]  # bonds between two bodies

    def __call__(self, increments: Tensor) -> Tensor:
        """Place the atoms.

        Parameters
        ----------
        increments : Tensor, shape=(2, bodies, 3)
            Turn times lever, and shift, in angstrom.

        Returns
        -------
        Tensor, shape=(R, 5, 3)
        """
        bodies = self.bodies
        turn = bodies.axes @ _rotation(increments[0] / (2 * bodies.lever))
        shift = bodies.centre + (bodies.axes @ increments[1, ..., None])[..., 0]
        atoms = self.local @ turn[bodies.body].transpose(-1, -2) + shift[bodies.body, None]
        ca, c = atoms[self.hinge, _CA], atoms[self.hinge, _C]
        along = c - ca
        along = along / along.square().sum(-1, keepdim=True).add(1e-8).sqrt()
        across = atoms[self.hinge + 1, _N] - c
        across = across - (across * along).sum(-1, keepdim=True) * along
        across = across / across.square().sum(-1, keepdim=True).add(1e-6).sqrt()
        o = c + _O_ALONG * along - _O_ACROSS * across
        oxygen = atoms[:, _O].index_copy(0, self.hinge, o)
        return torch.cat((atoms[:, :_O], oxygen[:, None], atoms[:, _O + 1 :]), dim=1)
