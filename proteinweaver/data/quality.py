"""Which chains of a structure file are good enough to learn from.

The limits follow the ones the structure release was filtered by. A chain is refused for the first
of these faults:

===========================  =====================================================================
fault                        rule (defaults)
===========================  =====================================================================
too short, too long          fewer than 40 or more than 800 residues
too many breaks              more than 6 missing peptide bonds
too many missing residues    more than 12 % of the residues, counted by the jumps in the author
                             numbers at breaks
poor resolution              resolution known and worse than 3.5 angstrom
bad bond geometry            more than 3 % of the residues with N-CA outside 1.46 +- 0.12,
                             CA-C outside 1.525 +- 0.12, C=O outside 1.23 +- 0.15 angstrom or
                             N-CA-C outside 111 +- 15 degrees
bad CA-CA distances          more than 1 % of the bonded pairs outside 3.5-4.1 (trans) and
                             2.7-3.2 angstrom (cis)
mirror image                 phi < 0 in fewer than 60 % of the residues (natives: 97 % without Gly)
does not fit the format      an atom more than 327 angstrom from the centre, or an author number
                             beyond 32767
===========================  =====================================================================
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proteinweaver.errors import UserError
from proteinweaver.structure.backbone import Backbone
from proteinweaver.structure.residues import GLY

__all__ = ["QualityLimits", "fault_of"]

_INT16 = np.iinfo(np.int16).max


@dataclass(frozen=True)
class QualityLimits:
    """Limits of the quality filter; see the module for the meaning.

    Parameters
    ----------
    min_length, max_length : int
        Residues.
    max_breaks : int
        Missing peptide bonds; 0 for sets of single domains.
    max_missing : float
        Fraction of missing residues.
    max_resolution : float
        Angstrom.
    max_bad_geometry, max_bad_steps : float
        Fractions of residues and of bonded pairs.
    min_negative_phi : float
        Fraction of residues.
    """

    min_length: int = 40
    max_length: int = 800
    max_breaks: int = 6
    max_missing: float = 0.12
    max_resolution: float = 3.5
    max_bad_geometry: float = 0.03
    max_bad_steps: float = 0.01
    min_negative_phi: float = 0.6

    def __post_init__(self) -> None:
        """Refuse limits that nothing can meet."""
        if not 5 <= self.min_length <= self.max_length:
            raise UserError(
                f"lengths {self.min_length} to {self.max_length}: give 5 <= min_length, max_length"
                " not below it"
            )
        if self.max_breaks < 0:
            raise UserError(f"max_breaks is {self.max_breaks}; give 0 or more")


def fault_of(backbone: Backbone, resolution: float, limits: QualityLimits) -> str | None:
    """Return the first fault of a chain, None if it is good.

    Parameters
    ----------
    backbone : Backbone
        One chain.
    resolution : float
        Angstrom; NaN if unknown.
    limits : QualityLimits
        What is allowed.

    Returns
    -------
    fault : str or None
        One of the faults of the module docstring.
    """
    length = len(backbone)
    if length < limits.min_length:
        return "too short"
    if length > limits.max_length:
        return "too long"
    breaks = np.flatnonzero(backbone.break_after)
    if len(breaks) > limits.max_breaks:
        return "too many breaks"
    jumps = backbone.resnum[breaks + 1].astype(np.int64) - backbone.resnum[breaks] - 1
    missing = int(np.clip(jumps, 0, None).sum())
    if missing > limits.max_missing * (length + missing):
        return "too many missing residues"
    if resolution > limits.max_resolution:
        return "poor resolution"
    xyz = backbone.coord.astype(np.float64)
    if _bad_residues(xyz).mean() > limits.max_bad_geometry:
        return "bad bond geometry"
    bonded = ~backbone.break_after[:-1]
    steps = np.linalg.norm(xyz[1:, 1] - xyz[:-1, 1], axis=-1)[bonded]
    proper = ((steps > 3.5) & (steps < 4.1)) | ((steps > 2.7) & (steps < 3.2))
    if len(steps) and (~proper).mean() > limits.max_bad_steps:
        return "bad CA-CA distances"
    phi = _phi(xyz)[bonded]
    chiral = (backbone.aatype != GLY)[1:][bonded]
    if chiral.sum() >= 10:
        phi = phi[chiral]
    if len(phi) and (phi < 0).mean() < limits.min_negative_phi:
        return "mirror image"
    farthest = np.abs(xyz - xyz[:, 1].mean(axis=0)).max()
    if farthest > 327.0 or np.abs(backbone.resnum).max() > _INT16:
        return "does not fit the format"
    return None


def _bad_residues(xyz: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which residues have a bond or angle far from ideal."""
    n, ca, c, o = (xyz[:, atom] for atom in range(4))
    bonds = ((n, ca, 1.46, 0.12), (ca, c, 1.525, 0.12), (c, o, 1.23, 0.15))
    bad = np.zeros(len(xyz), dtype=np.bool_)
    for first, second, ideal, tolerance in bonds:
        bad |= np.abs(np.linalg.norm(first - second, axis=-1) - ideal) > tolerance
    left, right = n - ca, c - ca
    cosine = (left * right).sum(-1)
    cosine /= np.maximum(np.linalg.norm(left, axis=-1) * np.linalg.norm(right, axis=-1), 1e-9)
    angle = np.rad2deg(np.arccos(np.clip(cosine, -1.0, 1.0)))
    return np.asarray(bad | (np.abs(angle - 111.0) > 15.0))


def _phi(xyz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return phi of residues 2..L in radians: the torsion C(i-1), N, CA, C."""
    before, n, ca, c = xyz[:-1, 2], xyz[1:, 0], xyz[1:, 1], xyz[1:, 2]
    axis = ca - n
    axis /= np.maximum(np.linalg.norm(axis, axis=-1, keepdims=True), 1e-9)
    back, ahead = before - n, c - ca
    back = back - (back * axis).sum(-1, keepdims=True) * axis
    ahead = ahead - (ahead * axis).sum(-1, keepdims=True) * axis
    sine = (np.cross(axis, back) * ahead).sum(-1)
    return np.asarray(np.arctan2(sine, (back * ahead).sum(-1)))
