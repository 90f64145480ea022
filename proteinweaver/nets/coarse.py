"""A chain seen from afar: a few residues of every element stand for all of it.

Where elements lie to each other is decided while noise is far larger than a residue. There a chain
of some thirty *marks* (both ends and the middle of every helix and strand, one residue in six of
long loops) says as much as the hundred residues it is taken from, at a fraction of the cost, and
every mark sees nearly all others. Marks are residues: they keep their place in the chain, their
frame and the inside of their piece, so the same network and the same losses serve.
"""

from dataclasses import fields
from itertools import groupby

import torch
from torch import Tensor

from proteinweaver.nets.condition import SS_TOKENS, Condition
from proteinweaver.nets.rotations import frame_rows, frames_of
from proteinweaver.nets.superpose import describe_pieces, superpose_pieces

__all__ = ["FEWEST_MARKS", "coarsened", "laid_out", "marks"]

#: Chains of fewer marks have no layout to speak of.
FEWEST_MARKS = 6
_ELEMENT = {SS_TOKENS.index("H"), SS_TOKENS.index("E")}
_APART = 8  # residues between marks of an element, at most
_LOOP = 6  # residues of a loop for one mark
_TAIL = 1.5  # angstrom a residue by which ends without marks lead away


def marks(condition: Condition) -> Tensor:
    """Choose the residues that stand for a chain.

    Parameters
    ----------
    condition : Condition
        Of one chain, shapes (1, L, ...).

    Returns
    -------
    Tensor, dtype=int64, shape=(m,)
        Ascending; empty where the chain has no element and no long loop.
    """
    told = zip(condition.ss[0].tolist(), condition.piece[0].tolist(), strict=True)
    rows: list[int] = []
    start = 0
    for (ss, piece), group in groupby(told):
        size = len(list(group))
        if ss in _ELEMENT and piece >= 0:
            count = min(size, max(3, 1 - (1 - size) // _APART))
            rows += [start + round(k * (size - 1) / max(1, count - 1)) for k in range(count)]
        else:
            count = size // _LOOP
            rows += [start + int((k + 0.5) * size / count) for k in range(count)]
        start += size
    return torch.tensor(rows, dtype=torch.int64)


def coarsened(condition: Condition, rows: Tensor) -> Condition:
    """Keep some residues of a condition.

    Parameters
    ----------
    condition : Condition
        Shapes (1, L, ...).
    rows : Tensor, dtype=int64, shape=(m,)

    Returns
    -------
    Condition
        Shapes (1, m, ...).
    """
    return Condition(**{f.name: getattr(condition, f.name)[:, rows] for f in fields(Condition)})


def laid_out(
    condition: Condition, rows: Tensor, rot: Tensor, trans: Tensor
) -> tuple[Tensor, Tensor]:
    """Give all residues a place where marks have one.

    Pieces are superposed on their marks (as frames, Kabsch 1976), residues between lie on straight
    lines with the orientation of the nearest placed one, ends lead away from the centre.

    Parameters
    ----------
    condition : Condition
        Of one chain, shapes (1, L, ...).
    rows : Tensor, dtype=int64, shape=(m,)
        Its marks, at least one.
    rot, trans : Tensor, shape=(m, 3, 3) and (m, 3)
        Their frames (angstrom).

    Returns
    -------
    rot, trans : Tensor, shape=(L, 3, 3) and (L, 3)
    """
    piece = condition.piece[0]
    known_rot, known_trans = condition.known_rot[0], condition.known_trans[0]
    out_rot, out_trans = torch.eye(3).repeat(len(piece), 1, 1), torch.zeros(len(piece), 3)
    out_rot[rows], out_trans[rows] = rot, trans
    placed = torch.zeros(len(piece), dtype=torch.bool)
    placed[rows] = True
    coarse = coarsened(condition, rows)
    pieces = describe_pieces(coarse.piece, coarse.known_rot, coarse.known_trans)
    moved_rot, moved = frames_of(superpose_pieces(frame_rows(rot, trans)[None], pieces)[0])
    for number in piece[rows].unique().tolist():
        if number < 0:
            continue
        own, mark = piece == number, int((piece[rows] == number).nonzero()[0])
        motion = moved_rot[mark] @ known_rot[rows[mark]].T
        out_rot[own] = motion @ known_rot[own]
        out_trans[own] = (known_trans[own] - known_trans[rows[mark]]) @ motion.T + moved[mark]
        placed |= own
    at = placed.nonzero()[:, 0]
    position = torch.arange(len(piece))
    after = torch.searchsorted(at, position).clamp_max(len(at) - 1)
    before = torch.searchsorted(at, position, right=True).sub(1).clamp_min(0)
    left, right = at[before], at[after]
    share = (position - left).clamp_min(0) / (right - left).clamp_min(1)
    between = out_trans[left] + share[:, None] * (out_trans[right] - out_trans[left])
    beyond = (left - position).clamp_min(0) + (position - right).clamp_min(0)
    away = torch.nn.functional.normalize(between - out_trans[at].mean(0), dim=-1)
    near = torch.where(position - left <= right - position, left, right)
    free = ~placed
    out_rot[free] = out_rot[near[free]]
    out_trans[free] = (between + _TAIL * beyond[:, None] * away)[free]
    return out_rot, out_trans
