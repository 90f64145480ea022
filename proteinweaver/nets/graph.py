"""Sparse neighbour graph of a backbone: linear number of edges, smooth in the coordinates.

Every residue sees fixed sequence offsets, its nearest residues inside its own piece (by the known
coordinates), and its nearest residues outside. The first two stay the same from call to call and
are found once (`fixed_edges`); the last follow the estimate (`build_graph`). The weight of such an
edge fades to zero at the distance of the first residue that is *not* a neighbour, so an edge
carries nothing at the moment it appears or vanishes and the network stays a continuous function of
the coordinates.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from proteinweaver.nets.precision import full_precision

__all__ = ["FixedEdges", "Graph", "build_graph", "fixed_edges", "outside_count"]

_FAR = 1e8  # squared angstrom; stands for "no such residue"
_LEAST_WEIGHT = 1e-9


@dataclass(frozen=True)
class FixedEdges:
    """Edges that do not depend on coordinates, and who may be a spatial neighbour.

    Parameters
    ----------
    source : Tensor, dtype=int64, shape=(B, L, F)
        Position of the neighbour in the chain: by sequence, then inside the piece.
    weight : Tensor, shape=(B, L, F)
        1, or 0 where there is no such residue.
    barred : Tensor, shape=(B, L, L)
        0 for candidates of a spatial edge, a large squared distance for all others.
    """

    source: Tensor
    weight: Tensor
    barred: Tensor


@dataclass(frozen=True)
class Graph:
    """Edges of every residue, the fixed ones first.

    Parameters
    ----------
    source : Tensor, dtype=int64, shape=(B, L, K)
        Position of the neighbour in the chain.
    weight : Tensor, shape=(B, L, K)
        Between 0 (absent) and 1.
    log_weight : Tensor, shape=(B, L, K)
        Its logarithm, bounded below.
    """

    source: Tensor
    weight: Tensor
    log_weight: Tensor


@torch.no_grad()
def fixed_edges(
    mask: Tensor, piece: Tensor, known_trans: Tensor, offsets: tuple[int, ...], n_inside: int
) -> FixedEdges:
    """Neighbours by sequence and inside the piece.

    Parameters
    ----------
    mask : Tensor, dtype=bool, shape=(B, L)
    piece : Tensor, dtype=int64, shape=(B, L)
        Piece numbers, -1 for none (such residues count as outside every piece).
    known_trans : Tensor, shape=(B, L, 3)
        CA positions inside the piece (angstrom).
    offsets : tuple of int
        Sequence offsets, used in both directions.
    n_inside : int
        Neighbours inside the residue's piece, beyond those at a fixed offset.

    Returns
    -------
    FixedEdges
        F = 2 len(offsets) + n_inside edges (fewer in very short chains).
    """
    batch, length = mask.shape
    device = mask.device
    position = torch.arange(length, device=device)
    steps = torch.tensor([s for o in offsets for s in (-o, o)], device=device)
    target = position[:, None] + steps
    inside_chain = (target >= 0) & (target < length)
    target = target.clamp(0, length - 1).expand(batch, -1, -1)
    along = inside_chain & mask.gather(1, target.reshape(batch, -1)).view_as(target)

    apart = (position[:, None] - position).abs()
    taken = (apart == 0) | torch.isin(apart, steps)
    same = (piece[:, :, None] == piece[:, None, :]) & (piece >= 0)[:, :, None]
    known2 = torch.cdist(known_trans, known_trans).square()
    known2 = known2.masked_fill(taken | ~same | ~mask[:, None, :], _FAR)
    value, inside = known2.topk(min(n_inside, length), dim=-1, largest=False)
    weight = torch.cat((along, value < 0.1 * _FAR), dim=-1).to(known_trans.dtype)
    barred = torch.zeros_like(known2).masked_fill_(taken | same | ~mask[:, None, :], _FAR)
    return FixedEdges(torch.cat((target, inside), dim=-1), weight, barred)


def outside_count(length: int, n_outside: int) -> int:
    """Spatial edges of a residue in a chain of ``length`` residues."""
    return min(n_outside, length - 1)


@full_precision
@torch.no_grad()
def build_graph(trans: Tensor, fixed: FixedEdges, n_outside: int) -> Graph:
    """Add the neighbours by current coordinates.

    Parameters
    ----------
    trans : Tensor, shape=(B, L, 3)
        CA positions in angstrom, near the origin.
    fixed : FixedEdges
    n_outside : int
        Spatial neighbours outside the residue's piece, beyond those at a fixed offset.

    Returns
    -------
    Graph
        K = F + n_outside edges (fewer in very short chains).
    """
    square = trans.square().sum(-1, keepdim=True)
    left = torch.cat((-2.0 * trans, torch.ones_like(square)), dim=-1)
    right = torch.cat((trans, square), dim=-1)
    # Squared distances less the residue's own square, which does not change the order of a row.
    dist2 = torch.baddbmm(fixed.barred, left, right.transpose(-1, -2))
    count = outside_count(trans.shape[1], n_outside)
    value, source = dist2.topk(count + 1, dim=-1, largest=False)
    value = (value + square).clamp_min(0.0)
    cutoff = value[..., -1:].clamp_min(1e-6)
    value, source = value[..., :-1], source[..., :-1]
    near = (1.0 - (value / cutoff) ** 3).clamp_min(0.0)
    weight = near * (value < 0.1 * _FAR)
    weight = torch.cat((fixed.weight, weight), dim=-1)
    return Graph(
        torch.cat((fixed.source, source), dim=-1), weight, weight.clamp_min(_LEAST_WEIGHT).log()
    )
