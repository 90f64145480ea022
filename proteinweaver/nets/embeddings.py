"""Invariant features: noise levels, secondary structure, edges, disagreement of frames.

Every geometric feature is expressed in the local frame of a residue, so the network built on them
is equivariant under rotations and translations by construction, and sees handedness.
"""

import torch
from torch import Tensor, nn

from proteinweaver.nets.condition import SS_TOKENS, Condition
from proteinweaver.nets.rotations import skew_part

__all__ = [
    "EDGE_FEATURES",
    "FRAME_DIFFERENCE_FEATURES",
    "LEAST_EXPONENT",
    "EdgeEmbedding",
    "NoiseEmbedding",
    "edge_geometry",
    "frame_differences",
    "gather_residues",
    "known_geometry",
]


def _bumps(*centres: float) -> tuple[Tensor, Tensor]:
    """Centres of radial bumps, and their widths: the gap to the next centre (angstrom)."""
    c = torch.tensor(centres)
    return c, torch.diff(c, append=2 * c[-1:] - c[-2:-1])


_NEAR_BUMPS = _bumps(3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 14.0, 17.0, 20.0, 25.0)
_KNOWN_BUMPS = _bumps(4.0, 6.0, 8.0, 11.0, 15.0, 20.0, 28.0)
#: Of a bump far away: numbers that underflow make exponentials and products ten times as slow.
LEAST_EXPONENT = -40.0
_KNOWN_FEATURES = 1 + 3 + len(_KNOWN_BUMPS[0])
EDGE_FEATURES = 3 + 3 + 9 + len(_NEAR_BUMPS[0]) + 1 + _KNOWN_FEATURES
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
    if batch > 1:
        source = source + (torch.arange(batch, device=source.device) * length)[:, None, None]
    flat = values.reshape(batch * length, -1).index_select(0, source.reshape(-1))
    return flat.view(batch, length, count, *values.shape[2:])


def _rbf(distance: Tensor, bumps: tuple[Tensor, Tensor]) -> Tensor:
    """Gaussian bumps; (...,) to (..., n)."""
    centre, width = (value.to(distance) for value in bumps)
    height = (distance[..., None] - centre).div_(width).square_().mul_(-0.5)
    return height.clamp_min_(LEAST_EXPONENT).exp_()


def _seen_from(rot: Tensor, vectors: Tensor) -> Tensor:
    """Vectors (rows, (B, L, n, 3)) in the frames of the residues: ``R^T v``, by one product."""
    return (vectors.flatten(0, 1) @ rot.flatten(0, 1)).view_as(vectors)


def edge_geometry(rot: Tensor, trans: Tensor, source: Tensor, known: Tensor) -> Tensor:
    """Where a neighbour is and how it is turned, as the residue itself sees it.

    Parameters
    ----------
    rot, trans : Tensor, shape=(B, L, 3, 3) and (B, L, 3)
        Current estimate (angstrom).
    source : Tensor, dtype=int64, shape=(B, L, K)
        Neighbours.
    known : Tensor, shape=(B, L, F, KNOWN)
        `known_geometry` of the first F neighbours; the others are outside the piece.

    Returns
    -------
    Tensor, shape=(B, L, K, EDGE_FEATURES)
        Local vector / 10 A (bounded), unit direction, the neighbour's axes, radial bumps,
        log-distance; then what is known.
    """
    batch, length, count = source.shape
    rows = torch.cat((rot.transpose(-1, -2).flatten(-2), trans), dim=-1)
    other = gather_residues(rows, source)
    other = torch.cat((other[..., :9], other[..., 9:] - trans[:, :, None]), dim=-1)
    local = _seen_from(rot, other.view(batch, length, 4 * count, 3)).view_as(other)
    axes, step = local[..., :9], local[..., 9:]
    distance = (step.square().sum(-1, keepdim=True) + 1e-4).sqrt()
    return torch.cat(
        (
            step * (0.1 / (1.0 + 0.02 * distance)),
            step / distance,
            axes,
            _rbf(distance[..., 0], _NEAR_BUMPS),
            0.3 * torch.log1p(distance),
            nn.functional.pad(known, (0, 0, 0, count - known.shape[2])),
        ),
        dim=-1,
    )


def known_geometry(condition: Condition, source: Tensor) -> Tensor:
    """Tell what the insides of a piece say of an edge.

    Parameters
    ----------
    condition : Condition
    source : Tensor, dtype=int64, shape=(B, L, K)
        Neighbours.

    Returns
    -------
    Tensor, shape=(B, L, K, KNOWN)
        For pairs of one piece (zero otherwise): 1, known local vector / 10 A, radial bumps of the
        known distance.
    """
    trans = condition.known_trans
    known = torch.cat((trans, condition.piece[..., None].to(trans.dtype)), dim=-1)
    other = gather_residues(known, source)
    same = (other[..., 3] == known[:, :, None, 3]) & (condition.piece >= 0)[:, :, None]
    step = _seen_from(condition.known_rot, other[..., :3] - trans[:, :, None])
    bumps = _rbf(step.norm(dim=-1), _KNOWN_BUMPS)
    on = same[..., None].to(trans.dtype)
    return torch.cat((on, on * 0.1 * step, on * bumps), dim=-1)


def frame_differences(
    rot: Tensor, trans: Tensor, targets: tuple[tuple[Tensor, Tensor, Tensor], ...]
) -> Tensor:
    """How to get from one set of frames to others, seen from the first.

    Parameters
    ----------
    rot, trans : Tensor, shape=(B, L, 3, 3) and (B, L, 3)
        Frames.
    targets : tuple of (rot, trans, unit)
        Frames of the same shapes, and the length (angstrom, shape (B, 1, 1)) in which the step is
        measured in its second, bounded copy.

    Returns
    -------
    Tensor, shape=(B, L, len(targets) * FRAME_DIFFERENCE_FEATURES)
        For each: step / 10 A (bounded), step / unit (bounded), relative rotation, its skew part.
    """
    turn = rot.transpose(-1, -2)[:, :, None] @ torch.stack([t[0] for t in targets], dim=2)
    step = _seen_from(rot, torch.stack([t[1] for t in targets], dim=2) - trans[:, :, None])
    unit = torch.stack([t[2] for t in targets], dim=2)
    steps = torch.stack((0.1 * step, step / unit), dim=-2)
    steps = steps / (1.0 + 0.25 * torch.linalg.vector_norm(steps, dim=-1, keepdim=True))
    return torch.cat((steps.flatten(-2), turn.flatten(-2), skew_part(turn)), dim=-1).flatten(-2)


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
    """Linear embedding of an edge: both residues, geometry, and the sequence offset.

    Parameters
    ----------
    width, edge_width : int
        Channels of a residue and of an edge.
    max_offset : int
        Offsets beyond it share one embedding per side.
    """

    def __init__(self, width: int, edge_width: int, max_offset: int = 32) -> None:
        super().__init__()
        self.max_offset = max_offset
        self.ends = nn.Linear(width, 2 * edge_width)
        self.geometry = nn.Linear(EDGE_FEATURES, edge_width, bias=False)
        self.offset = nn.Embedding(2 * max_offset + 3, edge_width)

    def forward(self, h: Tensor, geometry: Tensor, offset: Tensor, source: Tensor) -> Tensor:
        """Edge features, shape (B, L, K, edge_width).

        Parameters
        ----------
        h : Tensor, shape=(B, L, width)
        geometry : Tensor, shape=(B, L, K, EDGE_FEATURES)
        offset : Tensor, dtype=int64, shape=(B, L, K)
            j - i.
        source : Tensor, dtype=int64, shape=(B, L, K)
            j.
        """
        bound = self.max_offset + 1
        own, other = self.ends(h).chunk(2, dim=-1)
        # In place, product and sum in one pass: edges are the bulk of all memory traffic.
        edge = gather_residues(other, source)
        edge += own[:, :, None]
        edge += self.offset(offset.clamp(-bound, bound) + bound)
        edge.view(-1, edge.shape[-1]).addmm_(geometry.flatten(0, 2), self.geometry.weight.t())
        return edge
