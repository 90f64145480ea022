"""Backbones with ideal bonds from torsion angles, and the two ideal secondary-structure elements.

Atoms are placed one after the other in internal coordinates (NeRF, Parsons et al. 2005) with the
bond lengths and angles of Engh & Huber 2001. An ideal helix is (phi, psi) = (-63, -42.5) degrees
and an ideal strand (-118, 134): means over helices and strands of high-resolution structures,
twist of the strand included.
"""

import math

import torch
from torch import Tensor

__all__ = ["ELEMENT_TORSIONS", "build_backbone", "ideal_element"]

#: (phi, psi) in degrees of the ideal elements.
ELEMENT_TORSIONS = {"H": (-63.0, -42.5), "E": (-118.0, 134.0)}

_BOND = {"N-CA": 1.459, "CA-C": 1.525, "C-N": 1.329, "C-O": 1.231}
_ANGLE = {"N-CA-C": 111.0, "CA-C-N": 116.8, "C-N-CA": 121.7, "CA-C-O": 120.1}


def _place(
    a: Tensor, b: Tensor, c: Tensor, bond: float, angle_deg: float, torsion: Tensor
) -> Tensor:
    """Place an atom at ``bond`` from c, ``angle`` at c and ``torsion`` (radians) about b-c."""
    angle = math.radians(angle_deg)
    bc: Tensor = c - b
    bc = bc / bc.norm(dim=-1, keepdim=True)
    normal = torch.linalg.cross(b - a, bc, dim=-1)
    normal = normal / normal.norm(dim=-1, keepdim=True)
    side: Tensor = torch.linalg.cross(normal, bc, dim=-1)
    along = -bond * math.cos(angle)
    across = bond * math.sin(angle)
    torsion = torsion[..., None]
    placed: Tensor = (
        c + along * bc + across * (torch.cos(torsion) * side + torch.sin(torsion) * normal)
    )
    return placed


def build_backbone(phi: Tensor, psi: Tensor, omega: Tensor | None = None) -> Tensor:
    """Backbone with ideal bond lengths and angles from torsions.

    Parameters
    ----------
    phi, psi, omega : Tensor, shape=(..., L)
        Radians. ``phi[0]`` is unused; ``omega[i]`` belongs to the bond from residue i to i+1 (180
        degrees if None).

    Returns
    -------
    Tensor, shape=(..., L, 4, 3)
        N, CA, C, O in angstrom, the first residue at the origin.

    References
    ----------
    Parsons et al. 2005, J. Comput. Chem. 26, 1063 (NeRF).
    """
    if omega is None:
        omega = torch.full_like(phi, math.pi)
    batch = phi.shape[:-1]
    zero = phi.new_zeros(*batch, 3)
    n = zero
    ca = zero + phi.new_tensor([_BOND["N-CA"], 0.0, 0.0])
    angle = math.radians(_ANGLE["N-CA-C"])
    c = ca + _BOND["CA-C"] * phi.new_tensor([-math.cos(angle), math.sin(angle), 0.0])
    atoms = []
    for i in range(phi.shape[-1]):
        o = _place(n, ca, c, _BOND["C-O"], _ANGLE["CA-C-O"], psi[..., i] + math.pi)
        atoms.append(torch.stack((n, ca, c, o), dim=-2))
        if i + 1 < phi.shape[-1]:
            next_n = _place(n, ca, c, _BOND["C-N"], _ANGLE["CA-C-N"], psi[..., i])
            next_ca = _place(ca, c, next_n, _BOND["N-CA"], _ANGLE["C-N-CA"], omega[..., i])
            c = _place(c, next_n, next_ca, _BOND["CA-C"], _ANGLE["N-CA-C"], phi[..., i + 1])
            n, ca = next_n, next_ca
    return torch.stack(atoms, dim=-3)


def ideal_element(kind: str, length: int) -> Tensor:
    """Ideal helix or strand.

    Parameters
    ----------
    kind : {"H", "E"}
        Helix or strand.
    length : int
        Residues.

    Returns
    -------
    Tensor, shape=(length, 4, 3)
        N, CA, C, O in angstrom.

    Raises
    ------
    KeyError
        If ``kind`` is not an element.
    """
    phi, psi = (math.radians(angle) for angle in ELEMENT_TORSIONS[kind])
    return build_backbone(torch.full((length,), phi), torch.full((length,), psi))
