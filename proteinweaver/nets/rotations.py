"""Frames as the network moves them: bounded updates and blends, smooth where they are used.

Inside the network a frame is four *rows*: its three axes, then its position. To turn many frames
alike, to see them from elsewhere or to sum over them is then one matrix product.
"""

import torch
from torch import Tensor, nn

from proteinweaver.nets.precision import full_precision

__all__ = [
    "blend",
    "frame_rows",
    "frames_of",
    "horn_matrix",
    "moved",
    "orthonormal",
    "position_rows",
    "rotation_from_quaternion",
    "rotation_from_update",
    "skew_part",
]


def frame_rows(rot: Tensor, trans: Tensor) -> Tensor:
    """Rows of frames: the columns of ``rot``, then ``trans``.

    Parameters
    ----------
    rot, trans : Tensor, shape=(..., 3, 3) and (..., 3)

    Returns
    -------
    Tensor, shape=(..., 4, 3)
    """
    return torch.cat((rot.transpose(-1, -2), trans[..., None, :]), dim=-2)


def frames_of(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rotations and positions of rows; undoes `frame_rows`.

    Parameters
    ----------
    rows : Tensor, shape=(..., 4, 3)

    Returns
    -------
    rot, trans : Tensor, shape=(..., 3, 3) and (..., 3)
        Views.
    """
    return rows[..., :3, :].transpose(-1, -2), rows[..., 3, :]


def position_rows(rows: Tensor) -> Tensor:
    """Return the same positions with zeros for axes; shape=(..., 4, 3)."""
    return nn.functional.pad(rows[..., 3:, :], (0, 0, 3, 0))


def _quaternion_form() -> Tensor:
    """Coefficients F, (16, 9), of ``R = F^T vec(q q^T)`` for q = (w, x, y, z) of length 1."""
    form = torch.zeros(4, 4, 3, 3)
    for i in range(3):
        form[0, 0, i, i] = 1.0
        for j in range(3):
            # (w^2 - |v|^2) I + 2 v v^T + 2 w [v]
            form[j + 1, j + 1, i, i] -= 1.0
            form[i + 1, j + 1, i, j] += 2.0
            if i != j:
                form[0, 4 - i - j, i, j] = 2.0 if (i - j) % 3 == 1 else -2.0
    return (0.5 * (form + form.transpose(0, 1))).reshape(16, 9)


_FORM = _quaternion_form()


def rotation_from_quaternion(quaternion: Tensor) -> Tensor:
    """Rotation of a quaternion (w, x, y, z).

    Parameters
    ----------
    quaternion : Tensor, shape=(..., 4)
        Of length 1.

    Returns
    -------
    Tensor, shape=(..., 3, 3)
    """
    outer = quaternion[..., :, None] * quaternion[..., None, :]
    return (outer.flatten(-2) @ _FORM.to(quaternion)).unflatten(-1, (3, 3))


def horn_matrix(cross: Tensor) -> Tensor:
    """Symmetric matrix N with ``q^T N q = tr(R(q)^T cross)`` for every unit quaternion q.

    Parameters
    ----------
    cross : Tensor, shape=(..., 3, 3)

    Returns
    -------
    Tensor, shape=(..., 4, 4)

    References
    ----------
    Horn 1987, J. Opt. Soc. Am. A 4, 629, section 4A.
    """
    return (cross.flatten(-2) @ _FORM.to(cross).t()).unflatten(-1, (4, 4))


def rotation_from_update(update: Tensor) -> Tensor:
    """Rotation of the quaternion ``(1, b, c, d) / norm``.

    Parameters
    ----------
    update : Tensor, shape=(..., 3)
        ``(b, c, d)``; half the rotation vector to first order.

    Returns
    -------
    Tensor, shape=(..., 3, 3)

    References
    ----------
    Jumper et al. 2021, Supplement, Algorithm 23.
    """
    quaternion = nn.functional.pad(update, (1, 0), value=1.0)
    length = torch.linalg.vector_norm(quaternion, dim=-1, keepdim=True)
    return rotation_from_quaternion(quaternion / length)


def _skew_form() -> Tensor:
    """Coefficients, (9, 3), of the skew part of a matrix in its elements."""
    form = torch.zeros(3, 3, 3)
    for k, (i, j) in enumerate(((2, 1), (0, 2), (1, 0))):
        form[i, j, k], form[j, i, k] = 0.5, -0.5
    return form.reshape(9, 3)


_SKEW = _skew_form()


@full_precision
def skew_part(rot: Tensor) -> Tensor:
    """Axis times sine of the angle, shape (..., 3): a smooth stand-in for the rotation vector."""
    return rot.flatten(-2) @ _SKEW.to(rot)


@full_precision
def moved(rows: Tensor, update: Tensor) -> Tensor:
    """Move frames as they themselves see it.

    Parameters
    ----------
    rows : Tensor, shape=(..., 4, 3)
    update : Tensor, shape=(..., 6)
        Step along the own axes, and `rotation_from_update`.

    Returns
    -------
    Tensor, shape=(..., 4, 3)
    """
    step, turn = update.split((3, 3), dim=-1)
    own = frame_rows(rotation_from_update(turn), step)
    return own @ rows[..., :3, :] + position_rows(rows)


def blend(rows: Tensor, other: Tensor, share: Tensor) -> Tensor:
    """Blend ``rows`` (share 0) and ``other`` (share 1); axes by Gram-Schmidt on the mixed ones.

    Parameters
    ----------
    rows, other : Tensor, shape=(..., 4, 3)
    share : Tensor, shape=(..., 1, 1) or (..., 4, 1)
        The third axis follows from the others.

    Returns
    -------
    Tensor, shape=(..., 4, 3)
    """
    first, second, _, position = torch.lerp(rows, other, share).unbind(-2)
    return torch.stack((*orthonormal(first, second), position), dim=-2)


def orthonormal(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Axes of the rotation whose first is along ``first`` and whose second nearest to ``second``.

    Parameters
    ----------
    first, second : Tensor, shape=(..., 3)

    Returns
    -------
    tuple of Tensor, shape=(..., 3)
        As Gram-Schmidt gives them; the third is found before the second, which costs less.
    """
    pair = torch.stack((first, torch.linalg.cross(first, second, dim=-1)), dim=-2)
    length = torch.linalg.vector_norm(pair, dim=-1, keepdim=True)
    e1, e3 = (pair / length.clamp_min(1e-6)).unbind(-2)
    return e1, torch.linalg.cross(e3, e1, dim=-1), e3
