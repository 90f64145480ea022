"""Rotations that a network needs: bounded updates and blends, smooth where they are used."""

import torch
from torch import Tensor, nn

__all__ = [
    "blend",
    "horn_matrix",
    "orthonormal",
    "rotation_from_quaternion",
    "rotation_from_update",
    "skew_part",
]


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
    """Rotation of a quaternion (w, x, y, z) of any length but 0.

    Parameters
    ----------
    quaternion : Tensor, shape=(..., 4)

    Returns
    -------
    Tensor, shape=(..., 3, 3)
    """
    unit = nn.functional.normalize(quaternion, dim=-1)
    outer = unit[..., :, None] * unit[..., None, :]
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
    return rotation_from_quaternion(nn.functional.pad(update, (1, 0), value=1.0))


def _skew_form() -> Tensor:
    """Coefficients, (9, 3), of the skew part of a matrix in its elements."""
    form = torch.zeros(3, 3, 3)
    for k, (i, j) in enumerate(((2, 1), (0, 2), (1, 0))):
        form[i, j, k], form[j, i, k] = 0.5, -0.5
    return form.reshape(9, 3)


_SKEW = _skew_form()


def skew_part(rot: Tensor) -> Tensor:
    """Axis times sine of the angle, shape (..., 3): a smooth stand-in for the rotation vector."""
    return rot.flatten(-2) @ _SKEW.to(rot)


def blend(rot: Tensor, other: Tensor, share: Tensor) -> Tensor:
    """Blend ``rot`` (share 0) and ``other`` (share 1) by Gram-Schmidt on the mixed axes.

    Parameters
    ----------
    rot, other : Tensor, shape=(..., 3, 3)
    share : Tensor, shape=(...)

    Returns
    -------
    Tensor, shape=(..., 3, 3)
    """
    mixed = torch.lerp(rot, other, share[..., None, None])
    return orthonormal(mixed[..., 0], mixed[..., 1])


def orthonormal(first: Tensor, second: Tensor) -> Tensor:
    """Rotation whose first axis is along ``first`` and whose second is nearest to ``second``.

    Parameters
    ----------
    first, second : Tensor, shape=(..., 3)

    Returns
    -------
    Tensor, shape=(..., 3, 3)
        Columns are the axes (Gram-Schmidt).
    """
    e1 = nn.functional.normalize(first, dim=-1, eps=1e-6)
    second = second - (second * e1).sum(-1, keepdim=True) * e1
    e2 = nn.functional.normalize(second, dim=-1, eps=1e-6)
    return torch.stack((e1, e2, torch.linalg.cross(e1, e2, dim=-1)), dim=-1)
