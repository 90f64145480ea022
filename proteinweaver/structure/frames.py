"""Rigid backbone frames: atoms to frames and back.

Every residue carries a frame ``(R, x)`` in SE(3), built from N, CA and C by Gram-Schmidt as in
AlphaFold (Jumper et al. 2021, Supplement, Algorithm 21): the origin is CA, the first axis points
from CA to C, the second lies in the plane of N, CA and C on the side of N. A point with local
coordinates ``y`` sits at ``R y + x``. The carbonyl oxygen is the only backbone atom that a frame
does not fix; one torsion, psi, does.
"""

import torch
from torch import Tensor

__all__ = [
    "IDEAL_C",
    "IDEAL_N",
    "IDEAL_O_DISTANCE",
    "coord_from_frames",
    "frames_from_coord",
    "psi_from_coord",
    "virtual_cb",
]

# Ideal geometry inside a residue (Engh & Huber 2001; the means of the training data agree to 0.01
# A): N-CA 1.459, CA-C 1.525, C=O 1.231 A; N-CA-C 111.0, CA-C-O 120.1 degrees.
IDEAL_N = (-0.522863, 1.362094, 0.0)
IDEAL_C = (1.525, 0.0, 0.0)
IDEAL_O_DISTANCE = 1.231
_O_ALONG = 0.617348  # component of C->O along CA->C: -1.231 cos(120.1 deg)
_O_ACROSS = 1.065000  # component of C->O across CA->C: 1.231 sin(120.1 deg)


def _unit(vector: Tensor) -> Tensor:
    length: Tensor = vector.norm(dim=-1, keepdim=True)
    return vector / length.clamp_min(1e-8)


def frames_from_coord(coord: Tensor) -> tuple[Tensor, Tensor]:
    """Frames of residues from their backbone atoms.

    Parameters
    ----------
    coord : Tensor, shape=(..., L, 4, 3) or (..., L, 3, 3)
        N, CA, C (and O, unused) in angstrom.

    Returns
    -------
    rot : Tensor, shape=(..., L, 3, 3)
        Rotation matrices; columns are the axes of the frame.
    trans : Tensor, shape=(..., L, 3)
        CA positions in angstrom.

    References
    ----------
    Jumper et al. 2021, Supplement, Algorithm 21.
    """
    n, ca, c = coord[..., 0, :], coord[..., 1, :], coord[..., 2, :]
    e1 = _unit(c - ca)
    to_n = n - ca
    e2 = _unit(to_n - (to_n * e1).sum(-1, keepdim=True) * e1)
    e3 = torch.linalg.cross(e1, e2, dim=-1)
    return torch.stack((e1, e2, e3), dim=-1), ca


def psi_from_coord(coord: Tensor) -> Tensor:
    """Direction of the carbonyl oxygen around the CA-C bond, as ``(cos, sin)`` of psi.

    The torsion N-CA-C-O differs from psi (N-CA-C-N of the next residue) by 180 degrees for a
    planar peptide; the value returned is the psi that places this O.

    Parameters
    ----------
    coord : Tensor, shape=(..., L, 4, 3)
        N, CA, C, O in angstrom.

    Returns
    -------
    Tensor, shape=(..., L, 2)
        Unit vectors ``(cos psi, sin psi)``.
    """
    rot, trans = frames_from_coord(coord)
    local = torch.einsum("...ji,...j->...i", rot, coord[..., 3, :] - trans)
    return _unit(-local[..., 1:])


def coord_from_frames(rot: Tensor, trans: Tensor, psi: Tensor) -> Tensor:
    """Backbone atoms with ideal geometry inside every residue.

    Parameters
    ----------
    rot : Tensor, shape=(..., L, 3, 3)
    trans : Tensor, shape=(..., L, 3)
        CA positions in angstrom.
    psi : Tensor, shape=(..., L, 2)
        ``(cos psi, sin psi)``, unit length.

    Returns
    -------
    Tensor, shape=(..., L, 4, 3)
        N, CA, C, O in angstrom.
    """
    n = trans + rot @ trans.new_tensor(IDEAL_N)
    c = trans + rot @ trans.new_tensor(IDEAL_C)
    local_o = torch.stack(
        (
            torch.full_like(psi[..., 0], IDEAL_C[0] + _O_ALONG),
            -_O_ACROSS * psi[..., 0],
            -_O_ACROSS * psi[..., 1],
        ),
        dim=-1,
    )
    o = trans + torch.einsum("...ij,...j->...i", rot, local_o)
    return torch.stack((n, trans, c, o), dim=-2)


def virtual_cb(coord: Tensor) -> Tensor:
    """Position of an ideal CB from N, CA and C.

    Parameters
    ----------
    coord : Tensor, shape=(..., 4, 3)
        N, CA, C, O in angstrom.

    Returns
    -------
    Tensor, shape=(..., 3)
        Angstrom.

    References
    ----------
    Dauparas et al. 2022 (ProteinMPNN), Supplement: the same linear combination of b, c and b x c.
    """
    b = coord[..., 1, :] - coord[..., 0, :]
    c = coord[..., 2, :] - coord[..., 1, :]
    a: Tensor = torch.linalg.cross(b, c, dim=-1)
    return -0.58273431 * a + 0.56802827 * b - 0.54067466 * c + coord[..., 1, :]
