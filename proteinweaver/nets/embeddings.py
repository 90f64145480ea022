"""Invariant features: noise levels, secondary structure, edges, disagreement of frames.

Every geometric feature is expressed in the local frame of a residue, so the network built on them
is equivariant under rotations and translations by construction, and sees handedness.
"""

import torch
from torch import Tensor, nn

from proteinweaver.nets.condition import SS_TOKENS, Condition
from proteinweaver.nets.graph import Graph
from proteinweaver.nets.rotations import skew_part

__all__ = [
    "EDGE_FEATURES",
    "FRAME_DIFFERENCE_FEATURES",
    "EdgeEmbedding",
    "NoiseEmbedding",
    "edge_geometry",
    "frame_difference",
    "gather_residues",
]

_RBF_CENTRES = (3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 14.0, 17.0, 20.0, 25.0)  # angstrom
_KNOWN_CENTRES = (4.0, 6.0, 8.0, 11.0, 15.0, 20.0, 28.0)
EDGE_FEATURES = 3 + 3 + 9 + len(_RBF_CENTRES) + 1 + 1 + 3 + len(_KNOWN_CENTRES)
FRAME_DIFFERENCE_FEATURES = 3 + 3 + 9 + 3
_PLACE_FREQUENCIES = 13  # half octaves, from half a turn to 32 turns a chain


def gather_residues(values: Tensor, source: Tensor) -> Tensor:
    """``values[b, source[b, i, k]]`` for every edge.

    Parameters
    ----------
    values : Tensor, shape=(B, L, ...)
    source : Tensor, dtype=int64, shape=(B, L, K)

    Returns
    -------
    Tensor, shape=(B, L, K, ...)
    """
    batch, length, count = source.shape
    shift = (torch.arange(batch, device=source.device) * length)[:, None, None]
    flat = values.reshape(batch * length, -1).index_select(0, (source + shift).reshape(-1))
    return flat.view(batch, length, count, *values.shape[2:])


def _rbf(distance: Tensor, centres: tuple[float, ...]) -> Tensor:
    """Gaussian bumps as wide as the gap to the next centre; (...,) to (..., n)."""
    c = distance.new_tensor(centres)
    width = torch.diff(c, append=2 * c[-1:] - c[-2:-1])
    return torch.exp(-0.5 * ((distance[..., None] - c) / width) ** 2)


def edge_geometry(rot: Tensor, trans: Tensor, condition: Condition, graph: Graph) -> Tensor:
    """Where a neighbour is and how it is turned, as residue i sees it, and what the map knows.

    Parameters
    ----------
    rot, trans : Tensor, shape=(B, L, 3, 3) and (B, L, 3)
        Current estimate (angstrom).
    condition : Condition
    graph : Graph

    Returns
    -------
    Tensor, shape=(B, L, K, EDGE_FEATURES)
        Local vector / 10 A, unit direction, relative rotation, radial bumps, log-distance; then,
        for pairs of one piece (zero otherwise): mask, known local vector / 10 A, radial bumps of
        the known distance.
    """
    packed = torch.cat((rot.flatten(-2), trans), dim=-1)
    other = gather_residues(packed, graph.source)
    rot_j, trans_j = other[..., :9].unflatten(-1, (3, 3)), other[..., 9:]
    inverse = rot.transpose(-1, -2)[:, :, None]
    local = (inverse @ (trans_j - trans[:, :, None])[..., None]).squeeze(-1)
    distance = (local.square().sum(-1) + 1e-4).sqrt()
    turn = (inverse @ rot_j).flatten(-2)

    known = torch.cat((condition.known_trans, condition.piece[..., None].to(trans.dtype)), dim=-1)
    known_j = gather_residues(known, graph.source)
    same = (known_j[..., 3] == known[:, :, None, 3]) & (condition.piece >= 0)[:, :, None]
    known_inverse = condition.known_rot.transpose(-1, -2)[:, :, None]
    known_local = (known_inverse @ (known_j[..., :3] - known[:, :, None, :3])[..., None]).squeeze(
        -1
    )
    known_distance = known_local.norm(dim=-1)
    on = same[..., None].to(trans.dtype)
    return torch.cat(
        (
            local * (0.1 / (1.0 + 0.02 * distance[..., None])),
            local / distance[..., None],
            turn,
            _rbf(distance, _RBF_CENTRES),
            (0.3 * torch.log1p(distance))[..., None],
            on,
            on * known_local * 0.1,
            on * _rbf(known_distance, _KNOWN_CENTRES),
        ),
        dim=-1,
    )


def frame_difference(
    rot: Tensor, trans: Tensor, to_rot: Tensor, to_trans: Tensor, unit: Tensor
) -> Tensor:
    """How to get from one set of frames to another, seen from the first.

    Parameters
    ----------
    rot, trans, to_rot, to_trans : Tensor
        Frames, shapes (B, L, 3, 3) and (B, L, 3).
    unit : Tensor, shape=(B, 1, 1)
        Length (angstrom) in which the step is measured in the second, bounded copy.

    Returns
    -------
    Tensor, shape=(B, L, FRAME_DIFFERENCE_FEATURES)
        Step / 10 A (bounded), step / unit (bounded), relative rotation, its skew part.
    """
    inverse = rot.transpose(-1, -2)
    step = (inverse @ (to_trans - trans)[..., None]).squeeze(-1)
    turn = inverse @ to_rot

    def bounded(v: Tensor) -> Tensor:
        return v / (1.0 + 0.25 * v.norm(dim=-1, keepdim=True))

    return torch.cat(
        (bounded(0.1 * step), bounded(step / unit), turn.flatten(-2), skew_part(turn)), dim=-1
    )


def _place_features(condition: Condition, dtype: torch.dtype) -> Tensor:
    """Sines and cosines of the place along the chain, 0 at its first and 1 at its last residue."""
    first = condition.index[:, :1]
    last = torch.where(condition.mask, condition.index, first).amax(1, keepdim=True)
    place = ((condition.index - first) / (last - first).clamp_min(1)).to(dtype)
    octave = torch.arange(_PLACE_FREQUENCIES, dtype=dtype, device=place.device) / 2
    phase = torch.pi * place[..., None] * 2.0**octave
    return torch.cat((phase.sin(), phase.cos()), dim=-1)


class NoiseEmbedding(nn.Module):
    """The two log noise levels, the place in the chain, and what is asked of every residue.

    Parameters
    ----------
    width : int
        Channels of a residue.
    """

    frequencies: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", 0.35 * 1.6 ** torch.arange(8.0), persistent=False)
        self.noise = nn.Sequential(nn.Linear(34, width), nn.SiLU(), nn.Linear(width, width))
        self.ss = nn.Embedding(len(SS_TOKENS), width)
        self.flags = nn.Linear(4, width)
        self.place = nn.Linear(2 * _PLACE_FREQUENCIES, width)

    def forward(
        self, log_rho: Tensor, log_sigma_rot: Tensor, condition: Condition, has_previous: bool
    ) -> Tensor:
        """Residue features, shape (B, L, width), from log noise levels of shape (B,)."""
        levels = torch.stack((log_rho, log_sigma_rot), dim=-1)
        phase = (levels[..., None] * self.frequencies).flatten(-2)
        noise = self.noise(torch.cat((torch.sin(phase), torch.cos(phase), 0.3 * levels), dim=-1))
        known = condition.piece >= 0
        length = condition.mask.sum(-1, keepdim=True).to(noise.dtype).log() - 5.0
        flags = torch.stack(
            (
                known.to(noise.dtype),
                (known & (condition.mode == 1)).to(noise.dtype),
                length.expand_as(known).to(noise.dtype),
                torch.full_like(known, float(has_previous), dtype=noise.dtype),
            ),
            dim=-1,
        )
        place = self.place(_place_features(condition, noise.dtype))
        return noise[:, None] + self.ss(condition.ss) + self.flags(flags) + place


class EdgeEmbedding(nn.Module):
    """Linear embedding of edge geometry and of the sequence offset.

    Parameters
    ----------
    width : int
        Channels of an edge.
    max_offset : int
        Offsets beyond it share one embedding per side.
    """

    def __init__(self, width: int, max_offset: int = 32) -> None:
        super().__init__()
        self.max_offset = max_offset
        self.geometry = nn.Linear(EDGE_FEATURES, width)
        self.offset = nn.Embedding(2 * max_offset + 3, width)

    def forward(self, geometry: Tensor, offset: Tensor) -> Tensor:
        """Edge features (B, L, K, width) from geometry and offset j - i (B, L, K)."""
        bound = self.max_offset + 1
        return self.geometry(geometry) + self.offset(offset.clamp(-bound, bound) + bound)
