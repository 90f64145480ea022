"""Covalent geometry of a backbone: bond lengths, bond angles, and the state of peptide bonds.

Ideal values are means over small-molecule and atomic-resolution protein structures. Deviations are
root mean squares, so one broken residue shows in a chain of hundreds.

References
----------
Engh & Huber 2001, International Tables for Crystallography F, 18.3 (lengths and angles).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proteinweaver.evaluation.torsions import backbone_torsions

__all__ = ["IDEAL_ANGLES", "IDEAL_BONDS", "CovalentMetrics", "bond_angle", "covalent_metrics"]

FloatArray = NDArray[np.float64]
NAN = float("nan")

IDEAL_BONDS = {"N-CA": 1.459, "CA-C": 1.525, "C-O": 1.229}
"""Bond lengths inside a residue (angstrom)."""

IDEAL_ANGLES = {"N-CA-C": 111.0, "CA-C-N": 117.2, "C-N-CA": 121.7}
"""Bond angles of the chain (degrees)."""

_ANGLE_TOLERANCE = 10.0  # degrees: four standard deviations of crystal structures
_TRANS, _CIS = 150.0, 30.0


@dataclass(frozen=True)
class CovalentMetrics:
    """Bonds, angles and peptide bonds of one backbone; NaN where nothing can be counted.

    Parameters
    ----------
    bond_dev : float
        RMS deviation of N-CA, CA-C and C-O lengths from ideal (A).
    angle_dev : float
        RMS deviation of the angles N-CA-C, CA-C-N and C-N-CA from ideal (degrees).
    angle_ok : float
        Share of those angles within 10 degrees of ideal.
    omega_trans, omega_cis, omega_twisted : float
        Shares of peptide bonds with abs(omega) of at least 150, at most 30, and between.
    """

    bond_dev: float
    angle_dev: float
    angle_ok: float
    omega_trans: float
    omega_cis: float
    omega_twisted: float


def bond_angle(a: ArrayLike, b: ArrayLike, c: ArrayLike) -> FloatArray:
    """Compute the angle at ``b`` between ``a`` and ``c``.

    Parameters
    ----------
    a, b, c : array_like, shape=(..., 3)
        Points in angstrom.

    Returns
    -------
    ndarray, dtype=float64, shape=(...)
        Degrees, from 0 to 180.
    """
    apex = np.asarray(b, dtype=np.float64)
    u, v = np.asarray(a, dtype=np.float64) - apex, np.asarray(c, dtype=np.float64) - apex
    # arctan2 keeps its precision near 0 and 180 degrees, where arccos loses half its digits
    across = np.linalg.norm(np.cross(u, v), axis=-1)
    return np.degrees(np.arctan2(across, (u * v).sum(-1)))


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else NAN


def _share(condition: NDArray[np.bool_]) -> float:
    return float(condition.mean()) if condition.size else NAN


def covalent_metrics(coord: ArrayLike, break_after: ArrayLike | None = None) -> CovalentMetrics:
    """Measure bonds, angles and peptide bonds of one backbone.

    Parameters
    ----------
    coord : array_like, shape=(L, 4, 3)
        N, CA, C, O in angstrom; N, C and O are NaN in a model of CA alone.
    break_after : array_like, dtype=bool, shape=(L,), optional
        True where the next residue is known not to be bonded: angles across are not judged.

    Returns
    -------
    CovalentMetrics
    """
    xyz = np.asarray(coord, dtype=np.float64)
    n, ca, c, o = (xyz[:, k] for k in range(4))
    bonded = np.ones(len(xyz) - 1, dtype=bool)
    if break_after is not None:
        bonded = ~np.asarray(break_after, dtype=bool)[:-1]
    lengths = (np.linalg.norm(p - q, axis=-1) for p, q in ((n, ca), (ca, c), (c, o)))
    bonds = [x - ideal for x, ideal in zip(lengths, IDEAL_BONDS.values(), strict=True)]
    measured = (
        bond_angle(n, ca, c),
        bond_angle(ca[:-1], c[:-1], n[1:])[bonded],
        bond_angle(c[:-1], n[1:], ca[1:])[bonded],
    )
    angles = [x - ideal for x, ideal in zip(measured, IDEAL_ANGLES.values(), strict=True)]
    bond, angle = (x[np.isfinite(x)] for x in (np.concatenate(bonds), np.concatenate(angles)))
    _, _, omega = backbone_torsions(xyz, break_after)
    turn = np.abs(np.degrees(omega[np.isfinite(omega)]))
    return CovalentMetrics(
        bond_dev=_rms(bond),
        angle_dev=_rms(angle),
        angle_ok=_share(np.abs(angle) <= _ANGLE_TOLERANCE),
        omega_trans=_share(turn >= _TRANS),
        omega_cis=_share(turn <= _CIS),
        omega_twisted=_share((turn > _CIS) & (turn < _TRANS)),
    )
