"""Rewards with a gradient, for `reward_gradient`: of CA positions, and the critic's of all atoms.

The critic's is smooth but where nearest neighbours change.

They say less than the rewards of `geometric`, which count, and are no substitute for them: judge
by those, on fresh samples.
"""

import torch
from torch import Tensor

from proteinweaver.evaluation.critic import TrainedCritic
from proteinweaver.evaluation.geometry import PEPTIDE_BOND
from proteinweaver.nets.condition import Condition
from proteinweaver.nets.critic_graph import pack

__all__ = ["soft_clash", "soft_interface", "soft_soundness", "soft_strain"]

_CONTACT, _SOFTNESS, _CONTACTS = 8.0, 1.0, 15.0  # A, A, contacts that a junction needs
_TOUCH = 4.0  # A
_NEAR_IN_CHAIN = 3
_BOND_ROOM = 0.1  # A, what the hard check allows a peptide bond


def _between(ca: Tensor, piece: Tensor) -> tuple[Tensor, Tensor]:
    """Distances (B, L, L), and which are of two pieces, each pair once."""
    has = piece >= 0
    foreign = has[:, :, None] & has[:, None] & (piece[:, :, None] != piece[:, None])
    square = (ca[:, :, None] - ca[:, None]).square().sum(-1)
    return (square + 1e-6).sqrt(), foreign.triu(1)


def soft_interface(ca: Tensor, piece: Tensor) -> Tensor:
    """Soft count of contacts between pieces, 1 - exp(-n / 15 per junction).

    Parameters
    ----------
    ca : Tensor, shape=(B, L, 3)
        Angstrom.
    piece : Tensor, dtype=int64, shape=(B, L)
        Piece numbers, -1 for linkers and padding.

    Returns
    -------
    Tensor, shape=(B,)
        In [0, 1); n sums 1 / (1 + exp(d - 8 A)) over pairs of residues of two pieces. 0 for a
        single piece.
    """
    distance, pairs = _between(ca, piece)
    contacts = (torch.sigmoid((_CONTACT - distance) / _SOFTNESS) * pairs).sum((1, 2))
    junctions = piece.amax(1).clamp_min(1).to(ca.dtype)
    return 1.0 - torch.exp(-contacts / (_CONTACTS * junctions))


def soft_clash(ca: Tensor, piece: Tensor, mask: Tensor | None = None) -> Tensor:
    """Overlap x as log(1 + x), x = sum of max(0, 4 A - d)^2 over pairs.

    Parameters
    ----------
    ca : Tensor, shape=(B, L, 3)
    piece : Tensor, dtype=int64, shape=(B, L)
    mask : Tensor, dtype=bool, shape=(B, L), optional
        Real residues. Where it is given, residues without a piece count too, with all that are
        three or more places away; else only residues of two pieces do.

    Returns
    -------
    Tensor, shape=(B,)
        0 without overlap; without bound, so that domains that lie in each other still feel it.
    """
    distance, pairs = _between(ca, piece)
    if mask is not None:
        free = mask & (piece < 0)
        linker = (free[:, :, None] | free[:, None]) & mask[:, :, None] & mask[:, None]
        pairs = pairs | linker.triu(_NEAR_IN_CHAIN)
    overlap = ((_TOUCH - distance).clamp_min(0.0).square() * pairs).sum((1, 2))
    return torch.log1p(overlap)


def soft_strain(coord: Tensor, condition: Condition) -> Tensor:
    """Strain x of the peptide bonds as log(1 + x), x = sum of ((d - 1.329 A) / 0.1 A)^2.

    Parameters
    ----------
    coord : Tensor, shape=(B, L, 4, 3)
        N, CA, C, O in angstrom, closed: what is measured is what closing could not mend.
    condition : Condition
        Tells which residues are bonded; bonds inside a piece are not counted.

    Returns
    -------
    Tensor, shape=(B,)
        0 where all bonds are ideal; log(2) for one that just fails the hard check, if the
        others are.
    """
    piece, real = condition.piece, condition.mask
    bonded = (condition.index.diff(dim=1) == 1) & real[:, 1:]
    free = (piece[:, 1:] < 0) | (piece[:, 1:] != piece[:, :-1])
    gap = (coord[:, 1:, 0] - coord[:, :-1, 2]).square().sum(-1)
    off = ((gap + 1e-6).sqrt() - PEPTIDE_BOND) / _BOND_ROOM
    return torch.log1p((off.square() * (bonded & free)).sum(1))


def soft_soundness(coord: Tensor, condition: Condition, critic: TrainedCritic) -> Tensor:
    """Soundness by every branch of the critic, with the gradient of the coordinates.

    Parameters
    ----------
    coord : Tensor, shape=(B, L, 4, 3)
        N, CA, C, O in angstrom.
    condition : Condition
        Tells padding, and places along the chain.
    critic : TrainedCritic
        On the CPU, where it is computed.

    Returns
    -------
    Tensor, shape=(branches, B)
        Calibrated probabilities.
    """
    lengths = condition.lengths
    chains = pack(
        [chain[:n] for chain, n in zip(coord.cpu(), lengths, strict=True)],
        [place[:n] for place, n in zip(condition.index.cpu(), lengths, strict=True)],
        critic.net.config.judge_neighbours,
    )
    law = critic.calibration
    votes = torch.sigmoid(law.slope * critic.net.judge(chains).chain + law.offset)
    return votes.to(coord.device)
