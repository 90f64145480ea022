"""Known insides by superposition: where a piece lies, given an estimate of the chain.

For every piece the rigid motion is found that brings its known frames closest to the estimate
(Kabsch 1976), counting CA positions and the three axes of every frame (as points at a lever of 1.5
A), so that short and straight pieces are well determined too. No gradient passes through it, and
nothing waits for the device.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from proteinweaver.nets.rotations import horn_matrix, rotation_from_quaternion

__all__ = [
    "Pieces",
    "describe_pieces",
    "kabsch_rotation",
    "leading_eigenvector",
    "superpose_pieces",
]

_LEVER2 = 1.5**2
#: The shifted matrix is raised to this power, as often; its trace is one before each.
_POWER, _POWERS = 32, 3


def kabsch_rotation(cross: Tensor) -> Tensor:
    """Proper rotation G with the greatest ``tr(G^T cross)``.

    The quaternion of G is the leading eigenvector of Horn's matrix.

    Parameters
    ----------
    cross : Tensor, shape=(..., 3, 3)
        ``sum_i target_i source_i^T``.

    Returns
    -------
    Tensor, shape=(..., 3, 3)
        Where several rotations are as good, one of them.

    References
    ----------
    Kabsch 1976, Acta Cryst. A32, 922; Horn 1987, J. Opt. Soc. Am. A 4, 629, section 4A.
    """
    horn = horn_matrix(cross)
    if cross.device.type == "cpu":
        leading = torch.linalg.eigh(horn).eigenvectors[..., -1]
    else:
        leading = leading_eigenvector(horn)
    return rotation_from_quaternion(leading)


def leading_eigenvector(matrix: Tensor) -> Tensor:
    """Eigenvector of the greatest eigenvalue, by powers: products that no device has to wait for.

    On an accelerator an eigensolver for many tiny matrices stops the whole queue. Where two
    eigenvalues agree to three digits of the norm, a mixture of both vectors may come out.

    Parameters
    ----------
    matrix : Tensor, shape=(..., n, n)
        Symmetric.

    Returns
    -------
    Tensor, shape=(..., n)
        Of any length but 0; the first unit vector where the matrix is zero.
    """
    size = torch.linalg.matrix_norm(matrix, keepdim=True)
    tiny = torch.finfo(matrix.dtype).tiny ** 0.5
    one = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    # All eigenvalues lie within the Frobenius norm, so none is negative after this shift.
    power = matrix / size.clamp_min(tiny) + one
    for _ in range(_POWERS):
        power = power / power.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
        power = torch.linalg.matrix_power(power, _POWER)
    # All columns are multiples of the vector; take the longest.
    power = power / power.diagonal(dim1=-2, dim2=-1).sum(-1)[..., None, None]
    longest = power.square().sum(-2).argmax(-1)[..., None, None]
    return power.gather(-1, longest.expand(*power.shape[:-1], 1))[..., 0]


@dataclass(frozen=True)
class Pieces:
    """Known insides, ready for any number of superpositions.

    Parameters
    ----------
    member : Tensor, shape=(B, P, L)
        1 where a residue belongs to a piece.
    has : Tensor, dtype=bool, shape=(B, L)
        Whether the residue belongs to any.
    number : Tensor, shape=(B, P, 1)
        Residues of every piece, at least 1.
    known : Tensor, shape=(B, L, 3, 4)
        Frames in the piece, rotation beside position, centred there (angstrom).
    levered : Tensor, shape=(B, L, 4, 3)
        The same transposed, with rotations times the square of the lever.
    """

    member: Tensor
    has: Tensor
    number: Tensor
    known: Tensor
    levered: Tensor


def describe_pieces(piece: Tensor, known_rot: Tensor, known_trans: Tensor) -> Pieces | None:
    """Prepare superpositions.

    Parameters
    ----------
    piece : Tensor, dtype=int64, shape=(B, L)
        Piece number per item of the batch, -1 for none.
    known_rot, known_trans : Tensor, shape=(B, L, 3, 3) and (B, L, 3)
        Frames in the coordinate system of the piece (angstrom).

    Returns
    -------
    Pieces or None
        None where there are no pieces at all.
    """
    count = int(piece.max()) + 1 if piece.numel() else 0
    if count <= 0:
        return None
    numbers = torch.arange(count, device=piece.device)[:, None]
    member = (piece[:, None] == numbers).to(known_trans.dtype)
    number = member.sum(-1, keepdim=True).clamp_min(1.0)
    has = piece >= 0
    centre = member.transpose(1, 2) @ (member @ known_trans / number)
    centred = ((known_trans - centre) * has[..., None])[..., None]
    return Pieces(
        member,
        has,
        number,
        torch.cat((known_rot, centred), dim=-1),
        torch.cat((_LEVER2 * known_rot, centred), dim=-1).transpose(-1, -2).contiguous(),
    )


@torch.no_grad()
def superpose_pieces(rot: Tensor, trans: Tensor, pieces: Pieces | None) -> tuple[Tensor, Tensor]:
    """Known frames of every piece, moved onto the estimate.

    Parameters
    ----------
    rot, trans : Tensor, shape=(B, L, 3, 3) and (B, L, 3)
        Current estimate (angstrom).
    pieces : Pieces or None

    Returns
    -------
    rot, trans : Tensor
        Superposed frames; the estimate itself where there is no piece.

    References
    ----------
    Kabsch 1976, Acta Cryst. A32, 922.
    """
    if pieces is None:
        return rot, trans
    # The known coordinates are centred, so those of the estimate need not be.
    cross = torch.cat((rot, trans[..., None]), dim=-1) @ pieces.levered
    pooled = pieces.member @ torch.cat((cross.flatten(-2), trans), dim=-1)
    motion = kabsch_rotation(pooled[..., :9].unflatten(-1, (3, 3)))
    moves = torch.cat((motion.flatten(-2), pooled[..., 9:] / pieces.number), dim=-1)
    moves = pieces.member.transpose(1, 2) @ moves
    moved = moves[..., :9].unflatten(-1, (3, 3)) @ pieces.known
    return (
        torch.where(pieces.has[..., None, None], moved[..., :3], rot),
        torch.where(pieces.has[..., None], moved[..., 3] + moves[..., 9:], trans),
    )
