"""Backbones packed one behind the other, the graph of their nearest residues, and its features.

A residue sees the K residues whose CA are nearest to its own, itself included. An edge carries
what the geometry of the two residues says, in the receiver's own frame, so every feature is
invariant under rotation and translation, and not under reflection: distances between backbone
atoms (virtual CB included) in radial basis functions, the neighbour's atoms and axes as the
receiver sees them, and the separation along the chain, clipped at 32.

References
----------
Dauparas et al. 2022, Science 378, 49 (the graph and the distances); Ingraham et al. 2019, NeurIPS
32 (directions and orientations as edge features).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from proteinweaver.nets.embeddings import LEAST_EXPONENT
from proteinweaver.structure.frames import frames_from_coord, virtual_cb

__all__ = [
    "EDGE_FEATURES",
    "NODE_FEATURES",
    "OFFSETS",
    "PackedChains",
    "edge_features",
    "node_features",
    "pack",
    "separation",
]

_MAX_OFFSET = 32
#: Classes of the separation along the chain.
OFFSETS = 2 * _MAX_OFFSET + 1
#: Pairs (atom of the receiver, atom of the neighbour) whose distance is told; N, CA, C, O, CB.
_PAIRS = ((1, 1), (4, 4), (0, 3), (3, 0), (0, 0), (3, 3), (2, 0), (0, 2), (1, 4), (4, 1))
_CENTRES = 14
_LOW, _HIGH = 2.0, 18.0  # angstrom
EDGE_FEATURES = len(_PAIRS) * _CENTRES + 15 + 3 + 9
NODE_FEATURES = 9
_BONDED = 1.8  # largest C-N distance (angstrom) across which a torsion is told


@dataclass(frozen=True)
class PackedChains:
    """Chains one behind the other.

    Parameters
    ----------
    coord : Tensor, shape=(R, 4, 3)
        N, CA, C, O in angstrom.
    index : Tensor, dtype=int64, shape=(R,)
        Place along the chain, with a jump of more than 32 at missing residues and chain ends.
    item : Tensor, dtype=int64, shape=(R,)
        Number of the backbone a residue belongs to, ascending from 0.
    neighbour : Tensor, dtype=int64, shape=(R, K)
        Rows of the nearest residues of the same backbone, nearest first; the own row where there
        are fewer than K.
    near : Tensor, dtype=bool, shape=(R, K)
        False where there are fewer.
    """

    coord: Tensor
    index: Tensor
    item: Tensor
    neighbour: Tensor
    near: Tensor

    @property
    def count(self) -> int:
        """Backbones."""
        return int(self.item[-1]) + 1

    def to(self, device: torch.device | str) -> "PackedChains":
        """Copy on ``device``."""
        return PackedChains(
            *(
                value.to(device, non_blocking=True)
                for value in (self.coord, self.index, self.item, self.neighbour, self.near)
            )
        )


def pack(coords: list[Tensor], indices: list[Tensor], neighbours: int) -> PackedChains:
    """Pack backbones and find the nearest residues of each.

    Parameters
    ----------
    coords : list of Tensor, shape=(L, 4, 3)
        Angstrom.
    indices : list of Tensor, dtype=int64, shape=(L,)
        Places along the chain.
    neighbours : int
        K.

    Returns
    -------
    PackedChains
    """
    rows, near, first = [], [], 0
    for coord in coords:
        ca = coord[:, 1]
        length = len(ca)
        own = torch.arange(length)[:, None].expand(length, neighbours)
        count = min(neighbours, length)
        found = torch.cdist(ca, ca).topk(count, dim=-1, largest=False).indices
        rows.append(torch.cat((found, own[:, count:]), dim=-1) + first)
        near.append((torch.arange(neighbours) < count).expand(length, neighbours))
        first += length
    lengths = torch.tensor([len(coord) for coord in coords])
    return PackedChains(
        coord=torch.cat(coords),
        index=torch.cat(indices),
        item=torch.repeat_interleave(torch.arange(len(coords)), lengths),
        neighbour=torch.cat(rows),
        near=torch.cat(near),
    )


def separation(chains: PackedChains) -> Tensor:
    """Class of the separation along the chain of every edge, dtype=int64, shape=(R, K)."""
    offset = chains.index[chains.neighbour] - chains.index[:, None]
    return offset.clamp(-_MAX_OFFSET, _MAX_OFFSET) + _MAX_OFFSET


def edge_features(coord: Tensor, neighbour: Tensor) -> Tensor:
    """Describe what a residue sees of its neighbours.

    Parameters
    ----------
    coord : Tensor, shape=(R, 4, 3)
        N, CA, C, O in angstrom.
    neighbour : Tensor, dtype=int64, shape=(R, K)

    Returns
    -------
    Tensor, shape=(R, K, EDGE_FEATURES)
    """
    rot, trans = frames_from_coord(coord)
    atoms = torch.cat((coord, virtual_cb(coord)[:, None]), dim=-2)
    own = torch.einsum("rji,raj->rai", rot, atoms - trans[:, None])
    others = atoms[neighbour] - trans[:, None, None]
    seen = torch.einsum("rji,rkaj->rkai", rot, others)
    first = own[:, [a for a, _ in _PAIRS]]
    second = seen[:, :, [b for _, b in _PAIRS]]
    distance = (second - first[:, None]).square().sum(-1).add(1e-6).sqrt()
    centres = torch.linspace(_LOW, _HIGH, _CENTRES, device=coord.device, dtype=coord.dtype)
    width = (_HIGH - _LOW) / (_CENTRES - 1)
    exponent = -(((distance[..., None] - centres) / width).square())
    basis = torch.exp(exponent.clamp_min(LEAST_EXPONENT))
    ca = seen[:, :, 1]
    # a residue is its own first neighbour: the root needs a slope at zero
    direction = ca / (ca.square().sum(-1, keepdim=True).add(1e-12).sqrt() + 1e-3)
    axes = torch.einsum("rji,rkjl->rkil", rot, rot[neighbour])
    return torch.cat(
        (basis.flatten(-2), 0.1 * seen.flatten(-2), direction, axes.flatten(-2)), dim=-1
    )


def _turn(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine of torsions."""
    p, q, r = b - a, c - b, d - c
    left, right = torch.linalg.cross(p, q, dim=-1), torch.linalg.cross(q, r, dim=-1)
    x = (left * right).sum(-1)
    y = q.norm(dim=-1) * (p * right).sum(-1)
    size = (x.square() + y.square()).sqrt().clamp_min(1e-6)
    return x / size, y / size


def node_features(coord: Tensor, index: Tensor) -> Tensor:
    """Torsions of every residue: cosine, sine and a flag each for phi, psi and omega.

    Parameters
    ----------
    coord : Tensor, shape=(R, 4, 3)
        N, CA, C, O in angstrom.
    index : Tensor, dtype=int64, shape=(R,)
        Places along the chain; a torsion across a jump, or a bond longer than 1.8 A, is not told.

    Returns
    -------
    Tensor, shape=(R, NODE_FEATURES)
    """
    n, ca, c = coord[:, 0], coord[:, 1], coord[:, 2]
    bonded = (index[1:] - index[:-1] == 1) & ((n[1:] - c[:-1]).norm(dim=-1) < _BONDED)
    phi = _turn(c[:-1], n[1:], ca[1:], c[1:])
    psi = _turn(n[:-1], ca[:-1], c[:-1], n[1:])
    omega = _turn(ca[:-1], c[:-1], n[1:], ca[1:])
    flag = bonded.to(coord.dtype)
    zero = flag.new_zeros(1)
    columns = []
    for (cosine, sine), before in ((phi, True), (psi, False), (omega, False)):
        for value in (cosine * flag, sine * flag, flag):
            columns.append(torch.cat((zero, value) if before else (value, zero)))
    return torch.stack(columns, dim=-1)
