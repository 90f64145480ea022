"""Backbone torsions, and how often nature visits them.

phi(i) turns about N-CA (C of the residue before, N, CA, C), psi(i) about CA-C (N, CA, C, N of the
residue after) and omega(i) about the peptide bond that leaves residue i (CA, C, N, CA). The
Ramachandran density is the Top8000 set's, general residues, on a grid of 2 x 2 degrees normalised
to a maximum of 1; 0.02 is its customary outer contour. The grid ships with the package as
``rama8000_general.npz`` (rlabduke/reference_data, CC-BY 4.0, Richardson Laboratory).

References
----------
IUPAC-IUB 1970, Biochemistry 9, 3471 (signs); Lovell et al. 2003, Proteins 50, 437 (contour).
"""

from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["RAMA_ALLOWED", "backbone_torsions", "ca_torsions", "dihedral", "rama_density"]

FloatArray = NDArray[np.float64]

RAMA_ALLOWED = 0.02
"""Least density of an allowed (phi, psi) of general residues."""


def dihedral(a: ArrayLike, b: ArrayLike, c: ArrayLike, d: ArrayLike) -> FloatArray:
    """Compute the torsion angles of point quadruples.

    Parameters
    ----------
    a, b, c, d : array_like, shape=(..., 3)
        Points in angstrom.

    Returns
    -------
    ndarray, dtype=float64, shape=(...)
        Radians in (-pi, pi]; positive if, looking from b to c, d lies clockwise of a.
    """
    p, q, r, s = (np.asarray(point, dtype=np.float64) for point in (a, b, c, d))
    axis, end = r - q, s - r
    left = np.cross(q - p, axis)
    right = np.cross(axis, end)
    y = (np.linalg.norm(axis, axis=-1, keepdims=True) * (q - p) * right).sum(-1)
    return np.arctan2(y, (left * right).sum(-1))


def backbone_torsions(
    coord: ArrayLike, break_after: ArrayLike | None = None
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Compute the torsions phi, psi and omega of a chain.

    Parameters
    ----------
    coord : array_like, shape=(..., L, 4, 3)
        N, CA, C, O in angstrom.
    break_after : array_like, dtype=bool, shape=(L,), optional
        True where the next residue is not bonded. Default: nowhere.

    Returns
    -------
    phi, psi, omega : ndarray, dtype=float64, shape=(..., L)
        Radians, NaN where not defined: phi of a first, psi and omega of a last residue.
    """
    xyz = np.asarray(coord, dtype=np.float64)
    n, ca, c = xyz[..., 0, :], xyz[..., 1, :], xyz[..., 2, :]
    phi, psi, omega = (np.full(xyz.shape[:-2], np.nan) for _ in range(3))
    before, after = np.s_[..., :-1, :], np.s_[..., 1:, :]
    phi[..., 1:] = dihedral(c[before], n[after], ca[after], c[after])
    psi[..., :-1] = dihedral(n[before], ca[before], c[before], n[after])
    omega[..., :-1] = dihedral(ca[before], c[before], n[after], ca[after])
    if break_after is not None:
        broken = np.asarray(break_after, dtype=bool)
        psi[..., broken] = omega[..., broken] = np.nan
        phi[..., 1:][..., broken[:-1]] = np.nan
    return phi, psi, omega


def ca_torsions(ca: ArrayLike) -> FloatArray:
    """Compute the torsions of four consecutive CA.

    About +50 degrees in a right-handed alpha helix, -50 in its mirror image.

    Parameters
    ----------
    ca : array_like, shape=(L, 3)
        CA positions in angstrom.

    Returns
    -------
    ndarray, dtype=float64, shape=(max(L - 3, 0),)
        Radians; item i belongs to residues i to i + 3.
    """
    x = np.asarray(ca, dtype=np.float64)
    return dihedral(x[:-3], x[1:-2], x[2:-1], x[3:])


@cache
def _grid() -> NDArray[np.float32]:
    path = files("proteinweaver.evaluation").joinpath("rama8000_general.npz")
    with path.open("rb") as handle, np.load(handle, allow_pickle=False) as archive:
        density: NDArray[np.float32] = archive["density"]
    density.setflags(write=False)
    return density


def rama_density(phi: ArrayLike, psi: ArrayLike) -> FloatArray:
    """Look up the Top8000 density of general residues in the grid cell of (phi, psi).

    Parameters
    ----------
    phi, psi : array_like, shape=(...)
        Radians.

    Returns
    -------
    ndarray, dtype=float64, shape=(...)
        From 0 to 1, NaN where an angle is NaN.

    References
    ----------
    Lovell et al. 2003, Proteins 50, 437; grid of rlabduke/reference_data.
    """
    grid = _grid()
    angles = np.degrees(np.stack(np.broadcast_arrays(phi, psi)).astype(np.float64))
    defined = np.isfinite(angles).all(axis=0)
    cell = np.floor((np.nan_to_num(angles) + 180.0) / 2.0).astype(np.int64) % len(grid)
    return np.where(defined, grid[cell[0], cell[1]].astype(np.float64), np.nan)
