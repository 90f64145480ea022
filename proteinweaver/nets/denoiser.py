"""The denoiser: noisy frames, noise levels and known insides to clean frames and psi.

``(T_t, t, M) -> (T_0, psi)``, the signature of ProteinWeaver (arXiv 2411.16686). Without pieces it
is a domain generator, with pieces an assembler: one class, two weight sets.

Each block reads the current estimate of the clean frames as a sparse graph, and three
disagreements in the residue's own frame: with the noisy frames (the innovation), with the known
insides superposed on the estimate, and through the edges with its neighbours. It then moves every
frame a little, and towards its sketch of the whole chain (`nets.sketch`). Between blocks the
frames carry no gradient; every block is supervised. Known insides enter by superposition: a
learned gate pulls residues of an ADAPT piece towards the superposed insides; a RIGID piece takes
them exactly.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from proteinweaver.nets.block import UPDATE_PARTS, Block
from proteinweaver.nets.condition import RIGID, Condition
from proteinweaver.nets.embeddings import (
    FRAME_DIFFERENCE_FEATURES,
    NoiseEmbedding,
    edge_geometry,
    frame_differences,
    known_geometry,
    offset_class,
    residue_features,
)
from proteinweaver.nets.graph import FixedEdges, build_graph, fixed_edges, outside_count
from proteinweaver.nets.rotations import blend, frame_rows, frames_of, moved
from proteinweaver.nets.sketch import draw_towards_sketch, seen_frames
from proteinweaver.nets.superpose import Pieces, describe_pieces, superpose_pieces

__all__ = ["LENGTH_UNIT", "Denoised", "Denoiser", "DenoiserConfig", "Frames", "NoiseLevel"]

#: Angstrom per unit in which translations are diffused; the spread of CA in a domain is about one.
LENGTH_UNIT = 10.0

#: Rotations (B, L, 3, 3) and CA positions (B, L, 3) in angstrom.
Frames = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class DenoiserConfig:
    """Shape of the network; stored with the weights.

    Parameters
    ----------
    width, edge_width, heads, blocks : int
        Channels of residues and edges, attention heads, blocks.
    offsets : tuple of int
        Sequence neighbours, both directions.
    n_outside, n_inside : int
        Spatial neighbours outside and inside the residue's own piece.
    blocks_per_graph : int
        Blocks that share one search for neighbours.
    """

    width: int = 128
    edge_width: int = 64
    heads: int = 8
    blocks: int = 6
    offsets: tuple[int, ...] = (1, 2, 3, 4, 8, 16, 32, 64)
    n_outside: int = 14
    n_inside: int = 2
    blocks_per_graph: int = 2


@dataclass(frozen=True)
class NoiseLevel:
    """Noise of a state: ``alpha x0 + sigma eps`` in units of `LENGTH_UNIT`, and IGSO(3).

    Parameters
    ----------
    alpha, sigma, sigma_rot : Tensor, shape=(B,)
    """

    alpha: Tensor
    sigma: Tensor
    sigma_rot: Tensor


@dataclass(frozen=True)
class Denoised:
    """Output of the denoiser.

    Parameters
    ----------
    rot, trans : Tensor, shape=(B, L, 3, 3) and (B, L, 3)
        Clean frames (angstrom, zero centre of mass).
    psi : Tensor, shape=(B, L, 2)
        ``(cos, sin)``.
    half : Tensor, shape=(B, L, 3)
        ``trans`` as the first half of the blocks estimates it.
    blocks : tuple of Frames
        Free estimate of every block and, behind it, the same after known insides have pulled on it
        (for supervision: no gradient passes from block to block); empty unless asked for.
    """

    rot: Tensor
    trans: Tensor
    psi: Tensor
    half: Tensor
    blocks: tuple[Frames, ...]


@dataclass(frozen=True)
class Setting:
    """What a condition means to the network and what no noise changes; found once per design.

    Parameters
    ----------
    condition : Condition
    features : Tensor, shape=(B, L, FLAGS + PLACE)
        `residue_features`.
    edges : FixedEdges
    known : Tensor, shape=(B, L, K, KNOWN)
        Insides along the edges.
    pieces : Pieces or None
    gate : Tensor, shape=(B, L)
        Added to the log-odds of known insides: 0 where they may be left, infinite where they are
        kept, -infinite where nothing is known.
    """

    condition: Condition
    features: Tensor
    edges: FixedEdges
    known: Tensor
    pieces: Pieces | None
    gate: Tensor


def centred(trans: Tensor, mask: Tensor) -> Tensor:
    """Return translations with zero centre of mass over the masked residues; zero elsewhere."""
    on = mask[..., None].to(trans.dtype)
    mean = (trans * on).sum(1, keepdim=True) / on.sum(1, keepdim=True)
    return (trans - mean) * on


class Denoiser(nn.Module):
    """Frame denoiser on a sparse graph.

    Parameters
    ----------
    config : DenoiserConfig
    """

    def __init__(self, config: DenoiserConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = NoiseEmbedding(config.width)
        self.disagreement = nn.ModuleList(
            nn.Linear(2 * FRAME_DIFFERENCE_FEATURES, config.width) for _ in range(config.blocks)
        )
        self.blocks = nn.ModuleList(
            Block(config.width, config.edge_width, config.heads) for _ in range(config.blocks)
        )
        self.psi = nn.Sequential(
            nn.LayerNorm(config.width),
            nn.Linear(config.width, config.width),
            nn.SiLU(),
            nn.Linear(config.width, 2),
        )

    @torch.no_grad()
    def settle(self, condition: Condition) -> Setting:
        """Prepare a condition for any number of calls."""
        config, piece, known_trans = self.config, condition.piece, condition.known_trans
        edges = fixed_edges(condition.mask, piece, known_trans, config.offsets, config.n_inside)
        outside = outside_count(condition.mask.shape[1], config.n_outside)
        gate = torch.zeros_like(piece, dtype=known_trans.dtype)
        gate = gate.masked_fill(condition.mode == RIGID, torch.inf)
        return Setting(
            condition,
            residue_features(condition),
            edges,
            known_geometry(condition, edges.source, outside),
            describe_pieces(piece, condition.known_rot, known_trans),
            gate.masked_fill(piece < 0, -torch.inf),
        )

    def forward(
        self,
        rot_t: Tensor,
        trans_t: Tensor,
        level: NoiseLevel,
        condition: Condition | Setting,
        previous: Frames | None = None,
        supervised: bool = False,
    ) -> Denoised:
        """Estimate clean frames.

        Parameters
        ----------
        rot_t : Tensor, shape=(B, L, 3, 3)
            Noisy rotations.
        trans_t : Tensor, shape=(B, L, 3)
            Noisy translations in angstrom (``LENGTH_UNIT`` times the diffused variable).
        level : NoiseLevel
        condition : Condition or Setting
            What is asked for; settled already where calls are many.
        previous : Frames, optional
            An earlier estimate of the clean frames (self-conditioning).
        supervised : bool
            Give the estimates of all blocks.

        Returns
        -------
        Denoised
        """
        config = self.config
        setting = condition if isinstance(condition, Setting) else self.settle(condition)
        condition = setting.condition
        alpha, sigma = level.alpha[:, None, None], level.sigma[:, None, None]
        variance = alpha**2 + sigma**2
        # Posterior mean and spread of a unit Gaussian: the scale of what is still unknown.
        unknown = (sigma / variance.sqrt()).expand(-1, -1, 3)
        turn_unit = (level.sigma_rot / (1.0 + level.sigma_rot))[:, None, None].expand(-1, -1, 3)
        move_units = torch.cat((LENGTH_UNIT * unknown, turn_unit), dim=-1)
        noise = LENGTH_UNIT * torch.cat((sigma / alpha, unknown[..., :1]), dim=-1)
        units = torch.stack((torch.full_like(noise, LENGTH_UNIT), noise), dim=-1)[..., None]
        if previous is None:
            rows = frame_rows(rot_t, trans_t * alpha / variance)
        else:
            rows = frame_rows(*previous)
        log_noise = torch.stack((level.sigma / level.alpha, level.sigma_rot), dim=-1).log()
        h = self.embed(log_noise, condition.ss, setting.features, previous is not None)
        # Insides are worth what noise hides: their gate is closed at high noise, where a piece has
        # no pose yet, and open at low.
        opened = setting.gate - 1.5 * log_noise[:, :1].clamp(-3.0, 3.0)

        scales = (level.alpha, level.sigma, level.sigma_rot)
        seen = seen_frames((rot_t, trans_t), scales, condition.mask, LENGTH_UNIT)
        noisy = frame_rows(rot_t, trans_t / alpha)
        known = superpose_pieces(rows, setting.pieces)
        estimates = []
        half = rows
        for number, block in enumerate(self.blocks):
            rows = rows.detach()
            with torch.no_grad():
                if number % config.blocks_per_graph == 0:
                    graph = build_graph(rows[..., 3, :], setting.edges, config.n_outside)
                    offset = offset_class(condition.index, graph.source)
                geometry = edge_geometry(rows, graph.source, setting.known)
                targets = torch.stack((noisy, known), dim=2)
                differences = frame_differences(rows, targets, units)
            h = h + self.disagreement[number](differences)
            h, update = block(h, geometry, offset, graph)
            step, gate, proposal = update.to(rows.dtype).split(UPDATE_PARTS, dim=-1)
            free = draw_towards_sketch(moved(rows, move_units * step), proposal, seen)
            known = superpose_pieces(free, setting.pieces)
            gate = torch.sigmoid(gate + opened[..., None])
            rows = blend(free, known, gate[..., None])
            if number + 1 == len(self.blocks) // 2:
                half = rows
            if supervised:
                estimates += [free, rows]
        psi = nn.functional.normalize(self.psi(h).to(rows.dtype), dim=-1, eps=1e-6)

        def frames(of: Tensor) -> Frames:
            rot, trans = frames_of(of)
            return rot, centred(trans, condition.mask)

        return Denoised(*frames(rows), psi, frames(half)[1], tuple(map(frames, estimates)))
