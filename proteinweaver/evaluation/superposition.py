"""Rigid superposition of point sets (Kabsch), batched, with weights.

The motion of ``x`` onto ``y`` is the proper rotation ``rot`` and the shift ``trans`` that minimise
``sum_i w_i |rot x_i + trans - y_i|^2``. With ``U S V^T`` the singular value decomposition of the
weighted covariance ``sum_i w_i (y_i - y_mean) (x_i - x_mean)^T``, ``rot = U D V^T``
with ``D = diag(1, 1, det(U V^T))``: a mirror image is never allowed.

References
----------
Kabsch 1976, Acta Cryst. A32, 922; 1978, A34, 827.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["is_mirrored", "move", "rmsd", "superpose"]

FloatArray = NDArray[np.float64]


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
