"""Known insides by superposition: where a piece lies, given an estimate of the chain.

For every piece the rigid motion is found that brings its known frames closest to the estimate
(Kabsch 1976), counting CA positions and the three axes of every frame (as points at a lever of 1.5
A), so that short and straight pieces are well determined too. No gradient passes through it.
"""

import torch
from torch import Tensor

__all__ = ["kabsch_rotation", "superpose_pieces"]

_LEVER2 = 1.5**2


def kabsch_rotation(cross: Tensor) -> Tensor:
    """Proper rotation G with the greatest ``tr(G^T cross)``.

    Parameters
    ----------
    cross : Tensor, shape=(..., 3, 3)
        ``sum_i target_i source_i^T``.

    Returns
    -------
    Tensor, shape=(..., 3, 3)

    References
    ----------
    Kabsch 1976, Acta Cryst. A32, 922.
    """
    u, _, vh = torch.linalg.svd(cross)
    flip = torch.ones_like(u[..., 0])
    flip[..., 2] = torch.det(u @ vh)
    return (u * flip[..., None, :]) @ vh


@torch.no_grad()
def superpose_pieces(
    rot: Tensor, trans: Tensor, known_rot: Tensor, known_trans: Tensor, piece: Tensor
) -> tuple[Tensor, Tensor]:
    """Known frames of every piece, moved onto the estimate.

    Parameters
    ----------
    rot, trans : Tensor, shape=(B, L, 3, 3) and (B, L, 3)
        Current estimate (angstrom).
    known_rot, known_trans : Tensor
        The same shapes; frames in the coordinate system of the piece.
    piece : Tensor, dtype=int64, shape=(B, L)
        Piece number per item of the batch, -1 for none.

    Returns
    -------
    rot, trans : Tensor
        Superposed frames; the estimate itself where there is no piece.

    References
    ----------
    Kabsch 1976, Acta Cryst. A32, 922.
    """
    has = piece >= 0
    count = int(piece.max()) + 1 if piece.numel() else 0
    if count <= 0:
        return rot, trans
    batch = piece.shape[0]
    slot = (
        torch.arange(batch, device=piece.device)[:, None] * count + piece.clamp_min(0)
    ).reshape(-1)
    on = has.reshape(-1, 1).to(trans.dtype)

    def pooled(values: Tensor) -> Tensor:
        flat = values.reshape(slot.shape[0], -1) * on
        return flat.new_zeros(batch * count, flat.shape[1]).index_add_(0, slot, flat)

    number = pooled(torch.ones_like(trans[..., :1])).clamp_min(1.0)
    centre = pooled(trans) / number
    centre_known = pooled(known_trans) / number
    x = trans - centre[slot].view_as(trans)
    k = known_trans - centre_known[slot].view_as(trans)
    cross = x[..., :, None] * k[..., None, :] + _LEVER2 * rot @ known_rot.transpose(-1, -2)
    cross = pooled(cross).view(-1, 3, 3)
    empty = pooled(torch.ones_like(trans[..., :1])) < 0.5  # numbers that this item does not use
    cross = torch.where(
        empty[..., None], torch.eye(3, dtype=cross.dtype, device=cross.device), cross
    )
    motion = kabsch_rotation(cross)[slot].view_as(rot)
    new_rot = motion @ known_rot
    new_trans = (motion @ k[..., None]).squeeze(-1) + centre[slot].view_as(trans)
    return (
        torch.where(has[..., None, None], new_rot, rot),
        torch.where(has[..., None], new_trans, trans),
    )
