"""Guidance of the estimate: pieces do not interpenetrate.

A denoiser that is unsure of a pose answers with an average of poses, and two averaged domains lie
inside each other. Sampling then starts its final, precise part from an overlap that no small move
resolves. `separate_pieces` moves whole pieces apart in the estimate of the clean chain while there
is still noise to absorb it: a smooth function of the estimate, part of the field.
"""

import torch
from torch import Tensor

__all__ = ["separate_pieces"]


def separate_pieces(
    trans: Tensor, piece: Tensor, share: float, reach: float = 5.0, rounds: int = 6
) -> Tensor:
    """Translate overlapping pieces apart.

    In every round each piece moves along the net direction of its overlaps, by a quarter of
    ``reach`` where overlaps point one way and by nothing where they cancel or vanish.

    Parameters
    ----------
    trans : Tensor, shape=(B, L, 3)
        CA positions of the estimate, angstrom.
    piece : Tensor, dtype=int64, shape=(B, L)
        Piece numbers, -1 for none (such residues neither push nor move).
    share : float
        Between 0 (no effect) and 1; scales every move.
    reach : float
        CA distance below which residues of two pieces overlap, angstrom.
    rounds : int
        Repetitions.

    Returns
    -------
    Tensor, shape=(B, L, 3)
    """
    count = int(piece.max()) + 1
    if count < 2 or share <= 0:
        return trans
    member = (
        torch.nn.functional.one_hot(piece.clamp_min(0), count).to(trans.dtype)
        * (piece >= 0)[..., None]
    )
    foreign = (
        (piece[:, :, None] != piece[:, None, :])
        & (piece >= 0)[:, :, None]
        & (piece >= 0)[:, None, :]
    )
    size = member.sum(1).clamp_min(1.0)
    middle = (torch.einsum("blp,bld->bpd", member, trans) / size[..., None]).mean(1, keepdim=True)
    for _ in range(rounds):
        step = trans[:, :, None] - trans[:, None]
        distance = (step.square().sum(-1) + 1e-4).sqrt()
        overlap = torch.where(
            foreign, (reach - distance).clamp_min(0.0), torch.zeros_like(distance)
        )
        push = (overlap[..., None] * step / distance[..., None]).sum(2)
        force = torch.einsum("blp,bld->bpd", member, push)
        total = torch.einsum("blp,bl->bp", member, overlap.sum(2))[..., None]
        # Where overlaps cancel (one piece inside the other) the centres say which way is out.
        centres = torch.einsum("blp,bld->bpd", member, trans) / size[..., None]
        out = centres - middle
        out = out / (out.norm(dim=-1, keepdim=True) + 1.0)
        depth = total / (total + reach * size[..., None].sqrt())
        move = share * (0.25 * reach * force / (total + reach) + 0.5 * depth * out)
        trans = trans + torch.einsum("blp,bpd->bld", member, move)
    return trans
