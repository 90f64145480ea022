"""Known insides by superposition: where a piece lies, given an estimate of the chain.

For every piece the rigid motion is found that brings its known frames closest to the estimate
(Kabsch 1976), counting CA positions and the three axes of every frame (as points at a lever of 1.5
A), so that short and straight pieces are well determined too. No gradient passes through it, and
nothing waits for the device.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from proteinweaver.nets.precision import full_precision
from proteinweaver.nets.rotations import (
    frame_rows,
    horn_matrix,
    position_rows,
    rotation_from_quaternion,
)

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
        Of length 1; the first unit vector where the matrix is zero.
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
    column = power.gather(-1, longest.expand(*power.shape[:-1], 1))[..., 0]
    return nn.functional.normalize(column, dim=-1)


@dataclass(frozen=True)
class Pieces:
    """Known insides, ready for any number of superpositions.

    Parameters
    ----------
    member : Tensor, shape=(B, P, L)
        1 where a residue belongs to a piece.
    has : Tensor, dtype=bool, shape=(B, L, 1, 1)
        Whether the residue belongs to any.
    number : Tensor, shape=(B, P, 1, 1)
        Residues of every piece, at least 1.
    known : Tensor, shape=(B, L, 4, 3)
        Rows of the frames in the piece, centred there (angstrom).
    levered : Tensor, shape=(B, L, 4, 3)
        The same with axes times the square of the lever.
    """

    member: Tensor
    has: Tensor
    number: Tensor
    known: Tensor
    levered: Tensor


@full_precision
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
    centred = (known_trans - centre) * has[..., None]
    return Pieces(
        member,
        has[..., None, None],
        number[..., None],
        frame_rows(known_rot, centred),
        frame_rows(_LEVER2 * known_rot, centred),
    )


@full_precision
@torch.no_grad()
def superpose_pieces(rows: Tensor, pieces: Pieces | None) -> Tensor:
    """Known frames of every piece, moved onto the estimate.

    Parameters
    ----------
    rows : Tensor, shape=(B, L, 4, 3)
        Current estimate (angstrom; `proteinweaver.nets.rotations`).
    pieces : Pieces or None

    Returns
    -------
    Tensor, shape=(B, L, 4, 3)
        Superposed frames; the estimate itself where there is no piece.

    References
    ----------
    Kabsch 1976, Acta Cryst. A32, 922.
    """
    if pieces is None:
        return rows
    # The known coordinates are centred, so those of the estimate need not be.
    cross = pieces.levered.transpose(-1, -2) @ rows
    pooled = pieces.member @ torch.cat((cross, rows[..., 3:, :]), dim=-2).flatten(-2)
    cross, centre = pooled.unflatten(-1, (4, 3)).split((3, 1), dim=-2)
    # Rows are turned by the transposed rotation, which is that of the transposed sum.
    moves = torch.cat((kabsch_rotation(cross), centre / pieces.number), dim=-2)
    moves = (pieces.member.transpose(1, 2) @ moves.flatten(-2)).view_as(rows)
    moved = pieces.known @ moves[..., :3, :] + position_rows(moves)
    return torch.where(pieces.has, moved, rows)
