r"""The rotation group SO(3): exponential, logarithm, Jacobians, Haar measure.

A tangent vector v in R^3 stands for the skew matrix hat(v), hat(v) w = v x w. With
theta = |v| the exponential is Rodrigues' formula

    Exp(v) = I + A(theta) hat(v) + B(theta) hat(v)^2,
    A = sin(theta) / theta,   B = (1 - cos(theta)) / theta^2,

and Log is its inverse with |Log R| <= pi. Tangent vectors are in the *body frame*: the curve
e -> R Exp(e v) leaves R with velocity v. Coefficients come from `samplers.smooth`, so values
and derivatives are finite and accurate at theta = 0.

References
----------
.. [1] J. Sola, J. Deray, D. Atchuthan, "A micro Lie theory for state estimation in robotics",
   arXiv:1812.01537, appendix B.
.. [2] S. W. Shepperd, "Quaternion from rotation matrix", J. Guidance and Control 1 (1978) 223.
"""

from __future__ import annotations

import torch
from torch import Tensor

from samplers.smooth import cotangent_deficit, even_series, safe_norm, sinc, third, versine

__all__ = [
    "angle",
    "cross",
    "dexp",
    "dexpinv",
    "distance",
    "exp",
    "from_quaternion",
    "haar",
    "hat",
    "left_jacobian",
    "left_jacobian_inverse",
    "log",
    "polish",
    "project",
    "right_jacobian",
    "right_jacobian_inverse",
    "to_quaternion",
    "vee",
]

_ATAN = tuple((-1.0) ** n / (2 * n + 1) for n in range(12))  # atan(x)/x in x^2
_ATAN_SMALL = 0.03


def _matrix(entries: tuple[Tensor, ...], n: int = 3) -> Tensor:
    """Square matrices [..., n, n] from their entries, row by row."""
    return torch.stack(entries, dim=-1).reshape(*entries[0].shape, n, n)


def cross(a: Tensor, b: Tensor) -> Tensor:
    """Cross product over the last axis, with broadcasting."""
    product: Tensor = torch.linalg.cross(a, b)
    return product


def hat(v: Tensor) -> Tensor:
    """Skew matrix of a vector: ``hat(v) @ w == cross(v, w)``.

    Parameters
    ----------
    v : Tensor, shape=(..., 3)

    Returns
    -------
    Tensor, shape=(..., 3, 3)
    """
    x, y, z = v.unbind(-1)
    o = torch.zeros_like(x)
    return _matrix((o, -z, y, z, o, -x, -y, x, o))


def vee(m: Tensor) -> Tensor:
    """Vector of the skew part of a matrix; inverse of `hat`.

    Parameters
    ----------
    m : Tensor, shape=(..., 3, 3)

    Returns
    -------
    Tensor, shape=(..., 3)
    """
    return 0.5 * torch.stack(
        (
            m[..., 2, 1] - m[..., 1, 2],
            m[..., 0, 2] - m[..., 2, 0],
            m[..., 1, 0] - m[..., 0, 1],
        ),
        dim=-1,
    )


def _quadratic(v: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """I + first * hat(v) + second * hat(v)^2."""
    eye = torch.eye(3, dtype=v.dtype, device=v.device)
    square = v.unsqueeze(-1) * v.unsqueeze(-2) - v.square().sum(-1)[..., None, None] * eye
    return eye + first[..., None, None] * hat(v) + second[..., None, None] * square


def exp(v: Tensor) -> Tensor:
    """Rotation matrix of a rotation vector (Rodrigues' formula).

    Parameters
    ----------
    v : Tensor, shape=(..., 3)
        Axis times angle, radians; any length.

    Returns
    -------
    Tensor, shape=(..., 3, 3)

    References
    ----------
    [1]_, eq. 134.
    """
    x2 = v.square().sum(-1)
    return _quadratic(v, sinc(x2), versine(x2))


def to_quaternion(rot: Tensor) -> Tensor:
    """Return the unit quaternion (w, x, y, z) with w >= 0 of a rotation matrix.

    The four rows of 4 q q^T are linear in the matrix; the row with the largest diagonal entry
    is used, so that no digits are lost at any angle.

    Parameters
    ----------
    rot : Tensor, shape=(..., 3, 3)

    Returns
    -------
    Tensor, shape=(..., 4)

    References
    ----------
    [2]_.
    """
    m = rot.flatten(-2)
    m00, m01, m02, m10, m11, m12, m20, m21, m22 = m.unbind(-1)
    wx, wy, wz = m21 - m12, m02 - m20, m10 - m01
    xy, xz, yz = m01 + m10, m02 + m20, m12 + m21
    ww, xx = 1 + m00 + m11 + m22, 1 + m00 - m11 - m22
    yy, zz = 1 - m00 + m11 - m22, 1 - m00 - m11 + m22
    rows = _matrix((ww, wx, wy, wz, wx, xx, xy, xz, wy, xy, yy, yz, wz, xz, yz, zz), 4)
    best = torch.stack((ww, xx, yy, zz), dim=-1).detach().argmax(-1)
    row = rows.gather(-2, best[..., None, None].expand(*best.shape, 1, 4)).squeeze(-2)
    row = row / row.square().sum(-1, keepdim=True).sqrt()
    return torch.where(row[..., :1] < 0, -row, row)


def from_quaternion(q: Tensor) -> Tensor:
    """Rotation matrix of a quaternion (w, x, y, z); the length of ``q`` does not matter.

    Parameters
    ----------
    q : Tensor, shape=(..., 4)

    Returns
    -------
    Tensor, shape=(..., 3, 3)
    """
    w, x, y, z = (q / q.square().sum(-1, keepdim=True).sqrt()).unbind(-1)
    return _matrix(
        (
            1 - 2 * (y * y + z * z),
            2 * (x * y - w * z),
            2 * (x * z + w * y),
            2 * (x * y + w * z),
            1 - 2 * (x * x + z * z),
            2 * (y * z - w * x),
            2 * (x * z - w * y),
            2 * (y * z + w * x),
            1 - 2 * (x * x + y * y),
        )
    )


def log(rot: Tensor) -> Tensor:
    """Rotation vector of a rotation matrix, accurate at every angle in [0, pi].

    Parameters
    ----------
    rot : Tensor, shape=(..., 3, 3)

    Returns
    -------
    Tensor, shape=(..., 3)
        Length at most pi. At angle pi exactly one of the two opposite vectors is returned.

    Notes
    -----
    Goes through the unit quaternion (w, n): Log = 2 atan2(|n|, w) n / |n|. The gradient is
    finite everywhere (the map itself jumps at angle pi).
    """
    q = to_quaternion(rot)
    w, n = q[..., 0], q[..., 1:]
    n2 = n.square().sum(-1)
    small = n2 < _ATAN_SMALL
    length = torch.where(small, torch.ones_like(n2), n2).sqrt()
    big = 2 * torch.atan2(length, w) / length
    w_safe = torch.where(small, w, torch.ones_like(w))
    tan2 = torch.where(small, n2, torch.zeros_like(n2)) / w_safe.square()
    factor = torch.where(small, 2 * even_series(tan2, _ATAN) / w_safe, big)
    return factor.unsqueeze(-1) * n


def angle(rot: Tensor) -> Tensor:
    """Rotation angle in [0, pi] of a matrix, shape=(..., 3, 3) -> (...); gradient 0 at 0."""
    q = to_quaternion(rot)
    return 2 * torch.atan2(safe_norm(q[..., 1:]), q[..., 0])


def distance(a: Tensor, b: Tensor) -> Tensor:
    """Geodesic distance |Log(a^T b)| in radians.

    Parameters
    ----------
    a, b : Tensor, shape=(..., 3, 3)

    Returns
    -------
    Tensor, shape=(...)
    """
    return angle(a.transpose(-1, -2) @ b)


def right_jacobian(v: Tensor) -> Tensor:
    """J_r with Exp(v + dv) = Exp(v) Exp(J_r(v) dv) to first order ([1]_, eq. 143)."""
    x2 = v.square().sum(-1)
    return _quadratic(v, -versine(x2), third(x2))


def left_jacobian(v: Tensor) -> Tensor:
    """J_l with Exp(v + dv) = Exp(J_l(v) dv) Exp(v) to first order ([1]_, eq. 145)."""
    x2 = v.square().sum(-1)
    return _quadratic(v, versine(x2), third(x2))


def right_jacobian_inverse(v: Tensor) -> Tensor:
    """Inverse of `right_jacobian`, for |v| < 2 pi ([1]_, eq. 144)."""
    x2 = v.square().sum(-1)
    return _quadratic(v, torch.full_like(x2, 0.5), cotangent_deficit(x2))


def left_jacobian_inverse(v: Tensor) -> Tensor:
    """Inverse of `left_jacobian`, for |v| < 2 pi ([1]_, eq. 146)."""
    x2 = v.square().sum(-1)
    return _quadratic(v, torch.full_like(x2, -0.5), cotangent_deficit(x2))


def dexp(v: Tensor, w: Tensor) -> Tensor:
    """Body velocity of t -> Exp(v + t w) at t = 0: ``right_jacobian(v) @ w`` without the matrix.

    Parameters
    ----------
    v, w : Tensor, shape=(..., 3)

    Returns
    -------
    Tensor, shape=(..., 3)
    """
    x2 = v.square().sum(-1, keepdim=True)
    c = cross(v, w)
    return w - versine(x2) * c + third(x2) * cross(v, c)


def dexpinv(v: Tensor, w: Tensor) -> Tensor:
    """Solve ``dexp(v, x) == w`` for x: w + v x w / 2 + v x (v x w) / 12 + ..., |v| < 2 pi.

    The correction that carries a body-frame velocity at R Exp(v) back to the tangent space at R
    (Runge-Kutta-Munthe-Kaas).

    Parameters
    ----------
    v, w : Tensor, shape=(..., 3)

    Returns
    -------
    Tensor, shape=(..., 3)
    """
    x2 = v.square().sum(-1, keepdim=True)
    c = cross(v, w)
    return w + 0.5 * c + cotangent_deficit(x2) * cross(v, c)


def haar(normal: Tensor) -> Tensor:
    """Rotations uniform under Haar measure from standard normal numbers.

    Parameters
    ----------
    normal : Tensor, shape=(..., 4)
        Independent standard normal numbers; their direction is a uniform quaternion.

    Returns
    -------
    Tensor, shape=(..., 3, 3)
    """
    return from_quaternion(normal)


def project(m: Tensor) -> Tensor:
    """Nearest rotation in the Frobenius norm (orthogonal Procrustes, det = +1).

    Parameters
    ----------
    m : Tensor, shape=(..., 3, 3)

    Returns
    -------
    Tensor, shape=(..., 3, 3)
    """
    u: Tensor
    vh: Tensor
    u, _, vh = torch.linalg.svd(m)
    sign = torch.linalg.det(u @ vh).sign()
    flip = torch.stack((torch.ones_like(sign), torch.ones_like(sign), sign), dim=-1)
    return (u * flip.unsqueeze(-2)) @ vh


def polish(rot: Tensor) -> Tensor:
    """One Newton step towards the nearest rotation, for matrices already close to one.

    R (3 I - R^T R) / 2 squares the departure from orthogonality; it removes the drift of long
    float32 products at the price of two small matrix products.
    """
    eye = torch.eye(3, dtype=rot.dtype, device=rot.device)
    return 0.5 * rot @ (3 * eye - rot.transpose(-1, -2) @ rot)
