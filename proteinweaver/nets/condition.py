"""What the denoiser is told besides noisy frames and time: pieces with known insides.

A *piece* is a set of residues whose relative geometry is known: an input domain, a segment, an
ideal helix. The spliced map M of the paper holds the CA distances inside every piece and -1
elsewhere; here each piece keeps the frames themselves (in a coordinate system of its own), from
which the distances follow, so that M's second channel (relative orientations) and superposition
need nothing more. The relative pose of two pieces is never visible: the network reads only
quantities that are invariant to moving a piece as a whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

__all__ = ["ADAPT", "RIGID", "SS_TOKENS", "Condition", "stack_conditions", "unconditional"]

#: Tokens of the requested secondary structure; index 0 means "not requested".
SS_TOKENS = ("?", "H", "E", "L")
#: Piece modes: RIGID insides are kept exactly, ADAPT insides may follow the network's gate.
RIGID, ADAPT = 1, 0


@dataclass(frozen=True)
class Condition:
    """Conditioning of a padded batch.

    Parameters
    ----------
    mask : Tensor, dtype=bool, shape=(B, L)
        True for real residues.
    index : Tensor, dtype=int64, shape=(B, L)
        Position along the chain; jumps where residues are missing.
    ss : Tensor, dtype=int64, shape=(B, L)
        Index into `SS_TOKENS`.
    piece : Tensor, dtype=int64, shape=(B, L)
        Piece number from 0, -1 where nothing is known (linkers).
    known_rot, known_trans : Tensor, shape=(B, L, 3, 3) and (B, L, 3)
        Frames inside the piece (angstrom); identity and zero where ``piece`` is -1.
    mode : Tensor, dtype=int64, shape=(B, L)
        `RIGID` or `ADAPT`.
    """

    mask: Tensor
    index: Tensor
    ss: Tensor
    piece: Tensor
    known_rot: Tensor
    known_trans: Tensor
    mode: Tensor

    def to(self, device: torch.device | str) -> "Condition":
        """Copy of the condition on ``device``."""
        return Condition(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    def without_pieces(self) -> "Condition":
        """Return the request with every inside and the secondary structure hidden."""
        return replace(
            self,
            piece=torch.full_like(self.piece, -1),
            ss=torch.zeros_like(self.ss),
            known_rot=torch.eye(
                3, dtype=self.known_rot.dtype, device=self.known_rot.device
            ).expand_as(self.known_rot),
            known_trans=torch.zeros_like(self.known_trans),
        )

    @property
    def lengths(self) -> list[int]:
        """Number of residues of every item."""
        return [int(n) for n in self.mask.sum(-1)]


def unconditional(length: int) -> Condition:
    """Condition of one chain of which nothing is known, shape (1, length)."""
    return Condition(
        mask=torch.ones(1, length, dtype=torch.bool),
        index=torch.arange(length)[None],
        ss=torch.zeros(1, length, dtype=torch.int64),
        piece=torch.full((1, length), -1, dtype=torch.int64),
        known_rot=torch.eye(3).expand(1, length, 3, 3).clone(),
        known_trans=torch.zeros(1, length, 3),
        mode=torch.zeros(1, length, dtype=torch.int64),
    )


def stack_conditions(conditions: Sequence[Condition]) -> Condition:
    """Pad conditions to their greatest length and join them along the batch.

    Padding residues have ``mask`` False, no piece and indices that continue the chain.
    """
    longest = max(c.mask.shape[1] for c in conditions)

    def padded(c: Condition) -> Condition:
        extra = longest - c.mask.shape[1]
        if extra == 0:
            return c
        blank = unconditional(extra)
        count = c.mask.shape[0]
        joined = {}
        for f in fields(c):
            own = getattr(c, f.name)
            pad = getattr(blank, f.name)
            if f.name == "mask":
                pad = torch.zeros_like(pad)
            if f.name == "index":
                pad = pad + 1 + int(own.max())
            pad = pad.expand(count, *pad.shape[1:]).to(own)
            joined[f.name] = torch.cat((own, pad), dim=1)
        return Condition(**joined)

    parts = [padded(c) for c in conditions]
    return Condition(
        **{f.name: torch.cat([getattr(p, f.name) for p in parts]) for f in fields(Condition)}
    )
