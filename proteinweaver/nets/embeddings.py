"""Invariant features: noise levels, secondary structure, edges, disagreement of frames.

Every geometric feature is expressed in the local frame of a residue, so the network built on them
is equivariant under rotations and translations by construction, and sees handedness.
"""

import torch
from torch import Tensor, nn

from proteinweaver.nets.condition import RIGID, SS_TOKENS, Condition
from proteinweaver.nets.precision import full_precision
from proteinweaver.nets.rotations import position_rows, skew_part

__all__ = [
    "EDGE_FEATURES",
    "FRAME_DIFFERENCE_FEATURES",
    "LEAST_EXPONENT",
    "OFFSETS",
    "EdgeEmbedding",
    "NoiseEmbedding",
    "edge_geometry",
    "frame_differences",
    "gather_residues",
    "known_geometry",
    "offset_class",
    "residue_features",
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
#: Classes of the offset along the chain; those beyond 32 share one per side.
OFFSETS = 2 * 33 + 1
_FLAGS = 3
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


def offset_class(index: Tensor, source: Tensor) -> Tensor:
    """Class of the offset along the chain of every edge, from 0 to `OFFSETS` - 1.

    Parameters
    ----------
    index : Tensor, dtype=int64, shape=(B, L)
        Position along the chain.
    source : Tensor, dtype=int64, shape=(B, L, K)
        Neighbours.

    Returns
    -------
    Tensor, dtype=int64, shape=(B, L, K)
    """
    bound = OFFSETS // 2
    return (gather_residues(index, source) - index[..., None]).clamp(-bound, bound) + bound


def _rbf(distance: Tensor, bumps: tuple[Tensor, Tensor]) -> Tensor:
    """Gaussian bumps; (..., 1) to (..., n)."""
    centre, width = (value.to(distance) for value in bumps)
    height = (distance - centre).div_(width).square_().mul_(-0.5)
    return height.clamp_min_(LEAST_EXPONENT).exp_()


@full_precision
def _in_frames(vectors: Tensor, axes: Tensor) -> Tensor:
    """Vectors (B, L, n, 3) along the axes (rows, (B, L, 3, 3)) of the residues."""
    # A product with long rows is faster than one with rows of three.
    return (axes @ vectors.transpose(-1, -2)).transpose(-1, -2)


def _seen_from(rows: Tensor, others: Tensor) -> Tensor:
    """Rows (B, L, n, 4, 3) of other frames as those of ``rows`` (B, L, 4, 3) see them."""
    vectors = (others - position_rows(rows)[:, :, None]).flatten(2, 3)
    return _in_frames(vectors, rows[..., :3, :]).reshape_as(others)


def edge_geometry(rows: Tensor, source: Tensor, known: Tensor) -> Tensor:
    """Where a neighbour is and how it is turned, as the residue itself sees it.

    Parameters
    ----------
    rows : Tensor, shape=(B, L, 4, 3)
        Current estimate (angstrom; `proteinweaver.nets.rotations`).
    source : Tensor, dtype=int64, shape=(B, L, K)
        Neighbours.
    known : Tensor, shape=(B, L, K, KNOWN)
        `known_geometry` of the neighbours.

    Returns
    -------
    Tensor, shape=(B, L, K, EDGE_FEATURES)
        Local vector / 10 A (bounded), unit direction, the neighbour's axes, radial bumps,
        log-distance; then what is known.
    """
    local = _seen_from(rows, gather_residues(rows, source)).flatten(-2)
    axes, step = local.split((9, 3), dim=-1)
    distance = (step.square().sum(-1, keepdim=True) + 1e-4).sqrt()
    return torch.cat(
        (
            step / (10.0 + 0.2 * distance),
            step / distance,
            axes,
            _rbf(distance, _NEAR_BUMPS),
            0.3 * torch.log1p(distance),
            known,
        ),
        dim=-1,
    )


def known_geometry(condition: Condition, source: Tensor, outside: int) -> Tensor:
    """Tell what the insides of a piece say of an edge.

    Parameters
    ----------
    condition : Condition
    source : Tensor, dtype=int64, shape=(B, L, K)
        Neighbours that may be of the same piece.
    outside : int
        Neighbours besides, outside the piece.

    Returns
    -------
    Tensor, shape=(B, L, K + outside, KNOWN)
        For pairs of one piece (zero otherwise): 1, known local vector / 10 A, radial bumps of the
        known distance.
    """
    trans = condition.known_trans
    known = torch.cat((trans, condition.piece[..., None].to(trans.dtype)), dim=-1)
    other = gather_residues(known, source)
    same = (other[..., 3] == known[:, :, None, 3]) & (condition.piece >= 0)[:, :, None]
    axes = condition.known_rot.transpose(-1, -2)
    step = _in_frames(other[..., :3] - trans[:, :, None], axes)
    bumps = _rbf(step.norm(dim=-1, keepdim=True), _KNOWN_BUMPS)
    on = same[..., None].to(trans.dtype)
    told = torch.cat((on, on * 0.1 * step, on * bumps), dim=-1)
    return nn.functional.pad(told, (0, 0, 0, outside))


def frame_differences(rows: Tensor, targets: Tensor, units: Tensor) -> Tensor:
    """How to get from one set of frames to others, seen from the first.

    Parameters
    ----------
    rows : Tensor, shape=(B, L, 4, 3)
        Frames (`proteinweaver.nets.rotations`).
    targets : Tensor, shape=(B, L, n, 4, 3)
        Other frames.
    units : Tensor, shape=(B, 1, n, 2, 1)
        Lengths (angstrom) in which the steps are measured.

    Returns
    -------
    Tensor, shape=(B, L, n * FRAME_DIFFERENCE_FEATURES)
        For each: step in both units (bounded), relative rotation, its skew part.
    """
    axes, step = _seen_from(rows, targets).split((3, 1), dim=-2)
    turn = axes.transpose(-1, -2)
    steps = step / units
    steps = steps / (1.0 + 0.25 * torch.linalg.vector_norm(steps, dim=-1, keepdim=True))
    return torch.cat((steps.flatten(-2), turn.flatten(-2), skew_part(turn)), dim=-1).flatten(-2)


def residue_features(condition: Condition) -> Tensor:
    """Tell what is asked of every residue, and its place in the chain.

    Parameters
    ----------
    condition : Condition

    Returns
    -------
    Tensor, shape=(B, L, FLAGS + PLACE)
        Whether it is of a piece, of a rigid one, the length of the chain; sines and cosines of the
        place, 0 at the first and 1 at the last residue.
    """
    known, dtype = condition.piece >= 0, condition.known_trans.dtype
    length = condition.mask.sum(-1, keepdim=True).to(dtype).log() - 5.0
    first = condition.index[:, :1]
    last = torch.where(condition.mask, condition.index, first).amax(1, keepdim=True)
    place = ((condition.index - first) / (last - first).clamp_min(1)).to(dtype)
    octave = torch.arange(_PLACE_FREQUENCIES, dtype=dtype, device=place.device) / 2
    phase = torch.pi * place[..., None] * 2.0**octave
    flags = (known, known & (condition.mode == RIGID), length.expand_as(place))
    told = torch.stack([flag.to(dtype) for flag in flags], dim=-1)
    return torch.cat((told, phase.sin(), phase.cos()), dim=-1)


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
        self.flags = nn.Linear(_FLAGS + 1, width)
        self.place = nn.Linear(2 * _PLACE_FREQUENCIES, width)

    def forward(
        self, log_noise: Tensor, ss: Tensor, features: Tensor, has_previous: bool
    ) -> Tensor:
        """Embed noise and request.

        Parameters
        ----------
        log_noise : Tensor, shape=(B, 2)
            Logarithms of rho and sigma_rot.
        ss : Tensor, dtype=int64, shape=(B, L)
            Secondary structure asked for.
        features : Tensor, shape=(B, L, FLAGS + PLACE)
            `residue_features`.
        has_previous : bool
            Whether the network sees an earlier estimate.

        Returns
        -------
        Tensor, shape=(B, L, width)
        """
        phase = (log_noise[..., None] * self.frequencies).flatten(-2)
        noise = self.noise(torch.cat((phase.sin(), phase.cos(), 0.3 * log_noise), dim=-1))
        told, place = features.split((_FLAGS, 2 * _PLACE_FREQUENCIES), dim=-1)
        flags = self.flags(nn.functional.pad(told, (0, 1), value=float(has_previous)))
        return noise[:, None] + self.ss(ss) + flags + self.place(place)


class EdgeEmbedding(nn.Module):
    """Linear embedding of an edge: both residues, geometry, and the sequence offset.

    Parameters
    ----------
    width, edge_width : int
        Channels of a residue and of an edge.
    """

    def __init__(self, width: int, edge_width: int) -> None:
        super().__init__()
        self.ends = nn.Linear(width, 2 * edge_width)
        self.geometry = nn.Linear(EDGE_FEATURES, edge_width, bias=False)
        self.offset = nn.Embedding(OFFSETS, edge_width)

    def forward(self, h: Tensor, geometry: Tensor, offset: Tensor, source: Tensor) -> Tensor:
        """Features of all edges, one behind the other: shape (B L K, edge_width).

        Parameters
        ----------
        h : Tensor, shape=(B, L, width)
        geometry : Tensor, shape=(B, L, K, EDGE_FEATURES)
        offset : Tensor, dtype=int64, shape=(B, L, K)
            `offset_class`.
        source : Tensor, dtype=int64, shape=(B, L, K)
            j.
        """
        own, other = self.ends(h).chunk(2, dim=-1)
        # Product and sum in one pass: edges are the bulk of all memory traffic. No view of them is
        # changed in place, which would cost a gradient as many copies as there are changes.
        weight = self.geometry.weight.t()
        edge = torch.addmm(self.offset(offset.flatten()), geometry.flatten(0, 2), weight)
        ends = gather_residues(other, source) + own[:, :, None]
        return edge.add_(ends.flatten(0, 2))
