"""What ProteinMPNN sees of a backbone: its graph and the features of its edges.

Every residue looks at the K residues whose CA are nearest, itself among them. An edge carries the
separation along the chain (one of 65 clipped offsets, or "another chain") and distances r between
atoms of the two residues, each spread over 16 Gaussians exp(-((r - mu) / 1.25)^2), mu from 2 to
22 A. Two kinds of checkpoints exist:

*Full backbone*: the 25 pairs of N, CA, C, O and a virtual CB. All of it is unchanged when the
backbone is moved or turned.

*CA only*: the 9 pairs of the CA before, of and after the two residues, the direction of the
neighbour in a frame built from three CA, and the quaternion of O_i^T O_j, where the rows of O are
the axes of a frame. That product turns with the backbone (O_i O_j^T would not), so these
checkpoints are invariant to translations alone. It is what they were trained with.

The order of atom pairs and of features is part of the format of the checkpoints.

References
----------
Dauparas et al. 2022, Science 378, 49, supplement; Ingraham et al. 2019, NeurIPS 32 (frames).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from proteinweaver.nets.embeddings import LEAST_EXPONENT

__all__ = ["CaFeatures", "FullFeatures", "nearest"]

_OFFSET = 32  # largest separation told apart
_CENTRES = 16
_LOW, _HIGH = 2.0, 22.0  # angstrom
_POSITION_WIDTH = 16
_TINY = 1e-6
_BOND = (3.6, 4.0)  # CA-CA distances that count as a step along the chain, angstrom
_FAR = 1e4  # where absent atoms are put, angstrom
#: N, CA, C, O, virtual CB = 0..4, in the order of the checkpoints; CA-CA comes first.
_PAIRS = (
    (1, 1), (0, 0), (2, 2), (3, 3), (4, 4), (1, 0), (1, 2), (1, 3), (1, 4), (0, 2), (0, 3), (0, 4),
    (4, 2), (4, 3), (3, 2), (0, 1), (2, 1), (3, 1), (4, 1), (2, 0), (3, 0), (4, 0), (2, 4), (3, 4),
    (2, 3),
)  # fmt: skip
#: CA before, of, and after a residue = 0..2.
_CA_PAIRS = ((1, 1), (0, 0), (2, 2), (0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1))


def nearest(ca: Tensor, count: int) -> Tensor:
    """Nearest residues by CA, the residue itself among them.

    Parameters
    ----------
    ca : Tensor, shape=(L, 3)
        Positions in angstrom.
    count : int
        How many; fewer in a shorter chain.

    Returns
    -------
    Tensor, dtype=int64, shape=(L, min(count, L))
    """
    distance = torch.cdist(ca, ca, compute_mode="donot_use_mm_for_euclid_dist")
    return distance.topk(min(count, len(ca)), dim=-1, largest=False).indices


def _spread(atoms: Tensor, pairs: tuple[tuple[int, int], ...], neighbour: Tensor) -> Tensor:
    """Gaussians of the distances of atom pairs, shape=(L, K, 16 * pairs)."""
    own, other = (torch.tensor(side, device=atoms.device) for side in zip(*pairs, strict=True))
    apart = atoms[:, None, own] - atoms[:, other][neighbour]
    distance = (apart.square().sum(-1) + _TINY).sqrt()
    centres = torch.linspace(_LOW, _HIGH, _CENTRES, device=atoms.device)
    width = (_HIGH - _LOW) / _CENTRES
    exponent = -(((distance[..., None] - centres) / width) ** 2)
    return torch.exp(exponent.clamp_min(LEAST_EXPONENT)).flatten(-2)


class _Separation(nn.Module):
    """Embedding of the separation along the chain."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * _OFFSET + 2, _POSITION_WIDTH)

    def forward(self, index: Tensor, chain: Tensor, neighbour: Tensor) -> Tensor:
        offset = (index[:, None] - index[neighbour] + _OFFSET).clamp(0, 2 * _OFFSET)
        same = chain[:, None] == chain[neighbour]
        kind = torch.where(same, offset, 2 * _OFFSET + 1)
        return self.linear.weight.T[kind] + self.linear.bias


class _Features(nn.Module):
    def __init__(self, width: int, inputs: int) -> None:
        super().__init__()
        self.embeddings = _Separation()
        self.edge_embedding = nn.Linear(_POSITION_WIDTH + inputs, width, bias=False)
        self.norm_edges = nn.LayerNorm(width)

    def _edges(self, index: Tensor, chain: Tensor, neighbour: Tensor, seen: Tensor) -> Tensor:
        along = self.embeddings(index, chain, neighbour)
        edges: Tensor = self.norm_edges(self.edge_embedding(torch.cat((along, seen), -1)))
        return edges


class FullFeatures(_Features):
    """Edges from N, CA, C, O.

    Parameters
    ----------
    width : int
        Channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, _CENTRES * len(_PAIRS))

    def forward(self, coord: Tensor, index: Tensor, chain: Tensor, neighbour: Tensor) -> Tensor:
        """Return the edge features.

        Parameters
        ----------
        coord : Tensor, shape=(L, 4, 3)
            N, CA, C, O in angstrom.
        index : Tensor, dtype=int64, shape=(L,)
            Place along the chain, gaps counted.
        chain : Tensor, dtype=int64, shape=(L,)
        neighbour : Tensor, dtype=int64, shape=(L, K)

        Returns
        -------
        Tensor, shape=(L, K, width)
        """
        n, ca, c = coord[:, 0], coord[:, 1], coord[:, 2]
        b, d = ca - n, c - ca
        # the CB of an ideal residue from its N, CA and C
        a = torch.linalg.cross(b, d)
        cb = ca - 0.58273431 * a + 0.56802827 * b - 0.54067466 * d
        atoms = torch.cat((coord, cb[:, None]), 1)
        return self._edges(index, chain, neighbour, _spread(atoms, _PAIRS, neighbour))


class CaFeatures(_Features):
    """Edges from CA alone.

    Parameters
    ----------
    width : int
        Channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, _CENTRES * len(_CA_PAIRS) + 7)

    def forward(self, coord: Tensor, index: Tensor, chain: Tensor, neighbour: Tensor) -> Tensor:
        """Return the edge features; parameters as those of `FullFeatures`, only CA is read."""
        ca = coord[:, 1]
        # absent atoms share one far point: all distances to atoms are beyond the Gaussians
        far = ca.mean(0, keepdim=True) + _FAR
        follows = (index[1:] - index[:-1] == 1) | (chain[1:] != chain[:-1])
        before = torch.cat((far, torch.where(follows[:, None], ca[:-1], far)))
        after = torch.cat((torch.where(follows[:, None], ca[1:], far), far))
        spread = _spread(torch.stack((before, ca, after), 1), _CA_PAIRS, neighbour)
        turned = self._orientations(ca, follows, neighbour)
        return self._edges(index, chain, neighbour, torch.cat((spread, turned), -1))

    @staticmethod
    def _orientations(ca: Tensor, follows: Tensor, neighbour: Tensor) -> Tensor:
        """Directions to the neighbours and quaternions, shape=(L, K, 7)."""
        step = ca[1:] - ca[:-1]
        length = step.norm(dim=-1)
        sound = (length > _BOND[0]) & (length < _BOND[1]) & follows
        unit = functional.normalize(step * sound[:, None], dim=-1)
        # the first and the last two residues have no frame
        into, out = unit[:-2], unit[1:-1]
        bisector = functional.normalize(into - out, dim=-1)
        normal = functional.normalize(torch.linalg.cross(into, out), dim=-1)
        axes = torch.stack((bisector, normal, torch.linalg.cross(bisector, normal)), 1)
        frames = ca.new_zeros(len(ca), 3, 3)
        frames[1 : 1 + len(axes)] = axes
        apart = ca[neighbour] - ca[:, None]
        toward = functional.normalize(torch.einsum("lij,lkj->lki", frames, apart), dim=-1)
        turn = torch.einsum("lij,lkim->lkjm", frames, frames[neighbour])
        return torch.cat((toward, _quaternions(turn)), -1)


def _quaternions(turn: Tensor) -> Tensor:
    """Turn matrices, shape=(..., 3, 3), into unit quaternions x, y, z, w, shape=(..., 4)."""
    x, y, z = turn.diagonal(dim1=-2, dim2=-1).unbind(-1)
    size = torch.stack((1 + x - y - z, 1 - x + y - z, 1 - x - y + z), -1).abs().sqrt() / 2
    sign = torch.stack(
        (
            turn[..., 2, 1] - turn[..., 1, 2],
            turn[..., 0, 2] - turn[..., 2, 0],
            turn[..., 1, 0] - turn[..., 0, 1],
        ),
        -1,
    ).sign()
    real = (1 + x + y + z).clamp_min(0).sqrt() / 2
    return functional.normalize(torch.cat((sign * size, real[..., None]), -1), dim=-1)
