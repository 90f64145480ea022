"""Sparse neighbour graph of a backbone: linear number of edges, smooth in the coordinates.

Every residue sees fixed sequence offsets, its nearest residues outside its own piece and its
nearest ones inside. The weight of a spatial edge fades to zero at the distance of the first
residue that is *not* a neighbour, so an edge carries nothing at the moment it appears or vanishes
and the network stays a continuous function of the coordinates.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Graph", "build_graph"]

_FAR = 1e8  # squared angstrom; stands for "no such residue"


@dataclass(frozen=True)
class Graph:
    """Edges of every residue.

    Parameters
    ----------
    source : Tensor, dtype=int64, shape=(B, L, K)
        Position of the neighbour in the chain.
    weight : Tensor, shape=(B, L, K)
        Between 0 (absent) and 1.
    """

    source: Tensor
    weight: Tensor


def _nearest(dist2: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Positions and fading weights of the ``count`` nearest columns of every row."""
    length = dist2.shape[-1]
    count = min(count, length - 1)
    value, source = dist2.topk(count + 1, dim=-1, largest=False)
    cutoff = value[..., -1:].clamp_min(1e-6)
    value, source = value[..., :-1], source[..., :-1]
    weight = (1.0 - (value / cutoff) ** 3).clamp_min(0.0)
    return source, torch.where(value < 0.1 * _FAR, weight, torch.zeros_like(weight))


def build_graph(
    trans: Tensor,
    mask: Tensor,
    piece: Tensor,
    offsets: tuple[int, ...],
    n_outside: int,
    n_inside: int,
) -> Graph:
    """Neighbours by sequence and by current coordinates.

    Parameters
    ----------
    trans : Tensor, shape=(B, L, 3)
        CA positions in angstrom.
    mask : Tensor, dtype=bool, shape=(B, L)
    piece : Tensor, dtype=int64, shape=(B, L)
        Piece numbers, -1 for none (such residues count as outside every piece).
    offsets : tuple of int
        Sequence offsets, used in both directions.
    n_outside, n_inside : int
        Spatial neighbours outside and inside the residue's piece, beyond those at a fixed offset.

    Returns
    -------
    Graph
        K = 2 len(offsets) + n_outside + n_inside edges (fewer in very short chains).
    """
    batch, length, _ = trans.shape
    device = trans.device
    position = torch.arange(length, device=device)
    steps = torch.tensor([s for o in offsets for s in (-o, o)], device=device)
    target = position[:, None] + steps
    inside_chain = (target >= 0) & (target < length)
    target = target.clamp(0, length - 1).expand(batch, -1, -1)
    along = inside_chain & mask.gather(1, target.reshape(batch, -1)).view_as(target)

    taken = torch.zeros(length, length, dtype=torch.bool, device=device)
    taken[position, position] = True
    for o in offsets:
        if o < length:
            taken[position[o:], position[:-o]] = True
            taken[position[:-o], position[o:]] = True
    dist2 = torch.cdist(trans, trans, compute_mode="donot_use_mm_for_euclid_dist").square()
    dist2 = dist2.masked_fill(taken | ~mask[:, None, :], _FAR)
    same = (piece[:, :, None] == piece[:, None, :]) & (piece >= 0)[:, :, None]
    out_source, out_weight = _nearest(dist2.masked_fill(same, _FAR), n_outside)
    in_source, in_weight = _nearest(dist2.masked_fill(~same, _FAR), n_inside)
    source = torch.cat((target, out_source, in_source), dim=-1)
    weight = torch.cat((along.to(trans.dtype), out_weight, in_weight), dim=-1)
    return Graph(source, weight)
