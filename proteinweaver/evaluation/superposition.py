"""Rigid superposition of point sets (Kabsch), batched, with weights.

The motion of ``x`` onto ``y`` is the proper rotation ``rot`` and the shift ``trans`` that minimise
``sum_i w_i |rot x_i + trans - y_i|^2``. With ``U S V^T`` the singular value decomposition of the
weighted covariance ``sum_i w_i (y_i - y_mean) (x_i - x_mean)^T``, ``rot = U D V^T``
with ``D = diag(1, 1, det(U V^T))``: a mirror image is never allowed. Where one set is laid on tens
of thousands, the leading quaternion in closed form does without their decompositions.

References
----------
Kabsch 1976, Acta Cryst. A32, 922; 1978, A34, 827; Horn 1987, J. Opt. Soc. Am. A 4, 629
(quaternions); Theobald 2005, Acta Cryst. A61, 478 (their largest eigenvalue by Newton's method).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["is_mirrored", "lay_on_many", "move", "rmsd", "superpose"]

FloatArray = NDArray[np.float64]

#: Most steps of Newton's method; about six are needed.
_STEPS = 50


def superpose(
    x: ArrayLike, y: ArrayLike, weight: ArrayLike | None = None
) -> tuple[FloatArray, FloatArray]:
    """Find the rigid motion that brings ``x`` onto ``y``.

    Parameters
    ----------
    x, y : array_like, shape=(..., n, 3)
        Points in angstrom, in correspondence; leading axes broadcast.
    weight : array_like, shape=(..., n), optional
        Non-negative weights; default all one.

    Returns
    -------
    rot : ndarray, dtype=float64, shape=(..., 3, 3)
        Proper rotation.
    trans : ndarray, dtype=float64, shape=(..., 3)
        Shift in angstrom: ``x @ rot.T + trans`` lies on ``y``.

    Raises
    ------
    ValueError
        If the numbers of points differ.
    """
    a = np.asarray(x, dtype=np.float64)
    b = np.asarray(y, dtype=np.float64)
    if a.shape[-2:] != b.shape[-2:]:
        raise ValueError(f"cannot superpose {a.shape[-2]} points on {b.shape[-2]}")
    if weight is None:
        share = np.full((a.shape[-2],), 1.0 / a.shape[-2])
    else:
        share = np.asarray(weight, dtype=np.float64)
        share = share / np.maximum(share.sum(-1, keepdims=True), 1e-12)
    centre_a = (share[..., None, :] @ a)[..., 0, :]
    centre_b = (share[..., None, :] @ b)[..., 0, :]
    # sum w (b - mean_b)(a - mean_a)^T without writing the shifted points
    cross = np.swapaxes(b, -1, -2) @ (a * share[..., None])
    cross = cross - centre_b[..., :, None] * centre_a[..., None, :]
    u, _, vt = np.linalg.svd(cross)
    u[..., :, 2] *= np.linalg.det(u @ vt)[..., None]
    rot = u @ vt
    return rot, centre_b - (rot @ centre_a[..., None])[..., 0]


def lay_on_many(x: ArrayLike, y: ArrayLike) -> tuple[FloatArray, FloatArray]:
    r"""Find the rigid motions that bring one set of points onto each of many.

    The unit quaternion q of the best rotation is the leading eigenvector of Horn's matrix K, whose
    trace is 0. With l its eigenvalue, the largest root of ``x^4 + c2 x^2 + c1 x + c0``,

        q q^T ~ prod_{others} (K - l_i) = K^3 + l K^2 + (l^2 + c2) K + l^3 + c2 l + c1,

    and a rotation is linear in q q^T.

    Parameters
    ----------
    x : array_like, shape=(n, 3)
        Points in angstrom, not all on one line.
    y : array_like, shape=(M, n, 3)
        What they are laid on.

    Returns
    -------
    rot : ndarray, dtype=float64, shape=(M, 3, 3)
    trans : ndarray, dtype=float64, shape=(M, 3)
        As `superpose` gives them.
    """
    a, b = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    centre = a.mean(0)
    # sums x_j y_i, and means of y, sets last: numbers of all sets lie behind each other
    sums = np.column_stack((a - centre, np.full(len(a), 1.0 / len(a))))
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz), middle = np.einsum(
        "nj,mni->jim", sums, b, optimize=True
    )
    horn = np.array(
        [
            [xx + yy + zz, yz - zy, zx - xz, xy - yx],
            [yz - zy, xx - yy - zz, xy + yx, zx + xz],
            [zx - xz, xy + yx, yy - xx - zz, yz + zy],
            [xy - yx, zx + xz, yz + zy, zz - xx - yy],
        ]
    )
    square = np.einsum("ijm,jkm->ikm", horn, horn)
    # power sums of the eigenvalues give the coefficients (Newton's identities)
    power2, power3, power4 = (
        np.einsum("ijm,ijm->m", *pair) for pair in ((horn, horn), (horn, square), (square, square))
    )
    c2, c1, c0 = -power2 / 2, -power3 / 3, (power2**2 / 2 - power4) / 4
    root = np.sqrt(0.75 * power2)  # no eigenvalue is larger, since their sum is 0
    for _ in range(_STEPS):
        slope = (4 * root**2 + 2 * c2) * root + c1
        step = (((root**2 + c2) * root + c1) * root + c0) / np.maximum(slope, 1e-300)
        root -= step
        if (np.abs(step) <= 1e-12 * root).all():
            break
    q = np.einsum("ijm,jkm->ikm", square + root * horn, horn) + (root**2 + c2) * horn
    for k in range(4):
        q[k, k] += (root**2 + c2) * root + c1
    q /= np.einsum("iim->m", q)
    rot = np.array(
        [
            [q[0, 0] + q[1, 1], q[1, 2] - q[0, 3], q[1, 3] + q[0, 2]],
            [q[1, 2] + q[0, 3], q[0, 0] + q[2, 2], q[2, 3] - q[0, 1]],
            [q[1, 3] - q[0, 2], q[2, 3] + q[0, 1], q[0, 0] + q[3, 3]],
        ]
    )
    rot = 2.0 * np.moveaxis(rot, 2, 0) - np.eye(3)
    return rot, middle.T - rot @ centre


def move(x: ArrayLike, rot: ArrayLike, trans: ArrayLike) -> FloatArray:
    """Apply a rigid motion.

    Parameters
    ----------
    x : array_like, shape=(..., n, 3)
        Points in angstrom.
    rot : array_like, shape=(..., 3, 3)
        Rotation.
    trans : array_like, shape=(..., 3)
        Shift in angstrom.

    Returns
    -------
    ndarray, dtype=float64, shape=(..., n, 3)
    """
    rotation = np.swapaxes(np.asarray(rot, dtype=np.float64), -1, -2)
    return np.asarray(x, dtype=np.float64) @ rotation + np.asarray(trans)[..., None, :]


def rmsd(x: ArrayLike, y: ArrayLike) -> FloatArray:
    """Root-mean-square distance after optimal superposition.

    Parameters
    ----------
    x, y : array_like, shape=(..., n, 3)
        Points in angstrom, in correspondence.

    Returns
    -------
    ndarray, dtype=float64, shape=(...)
        RMSD in angstrom.

    Raises
    ------
    ValueError
        If the numbers of points differ.
    """
    rot, trans = superpose(x, y)
    return np.sqrt(((move(x, rot, trans) - np.asarray(y)) ** 2).sum(-1).mean(-1))


def is_mirrored(x: ArrayLike, y: ArrayLike) -> bool:
    """Tell whether ``x`` looks more like the mirror image of ``y`` than like ``y`` itself.

    A distance map does not know its own handedness, so a piece that was built from one alone must
    be asked.

    Parameters
    ----------
    x, y : array_like, shape=(n, 3)
        CA positions in angstrom, in correspondence.

    Returns
    -------
    bool
    """
    mirror = np.asarray(y, dtype=np.float64) * np.array([1.0, 1.0, -1.0])
    return bool(rmsd(x, mirror) < rmsd(x, y))
