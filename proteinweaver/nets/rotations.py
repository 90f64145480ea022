"""Rotations that a network needs: bounded updates and blends, smooth where they are used."""

import torch
from torch import Tensor

__all__ = ["blend", "rotation_from_update", "skew_part"]


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
    b, c, d = update.unbind(-1)
    scale = 2.0 / (1.0 + update.square().sum(-1))
    rows = (
        1 - scale * (c * c + d * d),
        scale * (b * c - d),
        scale * (b * d + c),
        scale * (b * c + d),
        1 - scale * (b * b + d * d),
        scale * (c * d - b),
        scale * (b * d - c),
        scale * (c * d + b),
        1 - scale * (b * b + c * c),
    )
    return torch.stack(rows, dim=-1).unflatten(-1, (3, 3))


def skew_part(rot: Tensor) -> Tensor:
    """Axis times sine of the angle, shape (..., 3): a smooth stand-in for the rotation vector."""
    return 0.5 * torch.stack(
        (
            rot[..., 2, 1] - rot[..., 1, 2],
            rot[..., 0, 2] - rot[..., 2, 0],
            rot[..., 1, 0] - rot[..., 0, 1],
        ),
        dim=-1,
    )


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
    mixed = rot + share[..., None, None] * (other - rot)
    first, second = mixed[..., 0], mixed[..., 1]
    e1 = first / first.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    second = second - (second * e1).sum(-1, keepdim=True) * e1
    e2 = second / second.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    return torch.stack((e1, e2, torch.linalg.cross(e1, e2, dim=-1)), dim=-1)
