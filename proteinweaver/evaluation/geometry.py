"""Geometry of one backbone: the columns by which natives, designs and wrecks differ.

Local geometry alone says nothing about quality: native nine-residue fragments glued at random
match natives on every bond, angle, Ramachandran and helix or strand figure. They fail on radius of
gyration, long-range hydrogen bonds, long-range contacts and clashes, so those belong in the same
row.

All lengths in angstrom, all angles in radians; coordinates ``[L, 4, 3]`` in the order N, CA, C, O.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proteinweaver.evaluation.secondary import helix_handedness, secondary_structure
from proteinweaver.evaluation.torsions import RAMA_ALLOWED, backbone_torsions, rama_density
from proteinweaver.structure.hbonds import hydrogen_bonds
from proteinweaver.structure.polymer import MAX_CA_STEP

__all__ = [
    "CA_CA_TRANS",
    "CONTACT",
    "PEPTIDE_BOND",
    "ChainMetrics",
    "chain_metrics",
    "radius_of_gyration_ratio",
    "squared_distances",
]

FloatArray = NDArray[np.float64]
NAN = float("nan")

PEPTIDE_BOND = 1.329
"""Ideal C-N length (angstrom), Engh & Huber 2001."""

CA_CA_TRANS = (3.6, 4.0)
"""Consecutive CA-CA distance across a trans peptide (angstrom)."""

CONTACT = 8.0
"""CA-CA distance of a contact (angstrom)."""

_LONG_RANGE_CONTACT = 12
_LONG_RANGE_BOND = 5


@dataclass(frozen=True)
class ChainMetrics:
    """What one backbone looks like.

    Shares are of residues or links, from 0 to 1; NaN where nothing can be counted.

    Parameters
    ----------
    length : int
        Residues.
    chain_breaks : int
        C-N distances above 1.8 A between residues that should be bonded.
    ca_ok : float
        Share of consecutive CA-CA distances in 3.6-4.0 A.
    cn_ok : float
        Share of peptide C-N distances within 0.1 A of 1.329 A.
    clash_30, clash_36 : float
        CA pairs, two or more residues apart, closer than 3.0 and 3.6 A, per 100 residues.
    min_ca : float
        Closest such pair (A).
    rama_ok : float
        Share of residues with a (phi, psi) of density 0.02 or more in the Top8000 general grid.
    phi_negative : float
        Share of residues with phi < 0.
    helix_right : float
        Share of right-handed turns inside helices.
    helix, strand, coil : float
        Secondary structure by P-SEA.
    rg_ratio : float
        Radius of gyration of the CA over 2.2 L^0.38 A.
    hb, hb_long : float
        Residues whose NH donates a backbone hydrogen bond, and one over more than 5 residues, per
        residue.
    contacts_long : float
        CA pairs closer than 8 A, 12 or more residues apart, per residue.
    """

    length: int
    chain_breaks: int
    ca_ok: float
    cn_ok: float
    clash_30: float
    clash_36: float
    min_ca: float
    rama_ok: float
    phi_negative: float
    helix_right: float
    helix: float
    strand: float
    coil: float
    rg_ratio: float
    hb: float
    hb_long: float
    contacts_long: float


def squared_distances(x: ArrayLike, y: ArrayLike) -> FloatArray:
    """Compute squared distances, centred first so that nothing cancels.

    Parameters
    ----------
    x, y : array_like, shape=(n, 3) and (m, 3)
        Points in angstrom.

    Returns
    -------
    ndarray, dtype=float64, shape=(n, m)
        Square angstrom.
    """
    a = np.asarray(x, dtype=np.float64)
    b = np.asarray(y, dtype=np.float64)
    centre = a.mean(axis=0) if len(a) else 0.0
    a, b = a - centre, b - centre
    square = (a**2).sum(-1)[:, None] + (b**2).sum(-1)[None] - 2.0 * a @ b.T
    return np.maximum(square, 0.0)


def radius_of_gyration_ratio(ca: ArrayLike) -> float:
    """Compare the radius of gyration with a compact native chain's, 2.2 L^0.38 A.

    Parameters
    ----------
    ca : array_like, shape=(L, 3)
        CA positions in angstrom.

    Returns
    -------
    float

    References
    ----------
    Skolnick et al. 1997, J. Mol. Biol. 265, 217 (the power law).
    """
    x = np.asarray(ca, dtype=np.float64)
    gyration = np.sqrt(((x - x.mean(axis=0)) ** 2).sum(-1).mean())
    return float(gyration / (2.2 * len(x) ** 0.38))


def _share(condition: NDArray[np.bool_]) -> float:
    return float(condition.mean()) if condition.size else NAN


def chain_metrics(coord: ArrayLike, break_after: ArrayLike | None = None) -> ChainMetrics:
    """Measure one backbone.

    Parameters
    ----------
    coord : array_like, shape=(L, 4, 3)
        N, CA, C, O in angstrom, finite; or N, C and O all NaN (a model of CA alone), then what
        needs them is NaN and breaks are CA steps above 4.5 A.
    break_after : array_like, dtype=bool, shape=(L,), optional
        True where the next residue is known not to be bonded (missing residues): links there are
        not judged. Default: nowhere.

    Returns
    -------
    ChainMetrics

    Raises
    ------
    ValueError
        If the shape is not (L, 4, 3), there is no residue, or a coordinate is not finite.
    """
    xyz = np.asarray(coord, dtype=np.float64)
    if xyz.ndim != 3 or xyz.shape[1:] != (4, 3) or not len(xyz):
        raise ValueError(f"coord has shape {xyz.shape}, not (L, 4, 3): N, CA, C, O")
    ca_only = bool(np.isnan(xyz[:, (0, 2, 3)]).all())
    if not np.isfinite(xyz[:, 1] if ca_only else xyz).all():
        raise ValueError("coord holds numbers that are not finite")
    length = len(xyz)
    n, ca, c = xyz[:, 0], xyz[:, 1], xyz[:, 2]
    bonded = np.ones(length - 1, dtype=bool)
    if break_after is not None:
        bonded = ~np.asarray(break_after, dtype=bool)[:-1]
    ca_step = np.linalg.norm(ca[1:] - ca[:-1], axis=-1)[bonded]
    peptide = np.linalg.norm(n[1:] - c[:-1], axis=-1)[bonded]

    square = squared_distances(ca, ca)
    apart = np.subtract.outer(np.arange(length), np.arange(length))
    pairs = square[apart >= 2]

    phi, psi, _ = backbone_torsions(xyz, break_after)
    density = rama_density(phi, psi)
    phi = phi[np.isfinite(phi)]
    sse = secondary_structure(ca, break_after)
    acceptor = np.full(0, -1) if ca_only else hydrogen_bonds(xyz, break_after)
    reach = np.abs(np.arange(len(acceptor)) - acceptor)
    return ChainMetrics(
        length=length,
        chain_breaks=int((ca_step > MAX_CA_STEP if ca_only else peptide > 1.8).sum()),
        ca_ok=_share((ca_step >= CA_CA_TRANS[0]) & (ca_step <= CA_CA_TRANS[1])),
        cn_ok=NAN if ca_only else _share(np.abs(peptide - PEPTIDE_BOND) <= 0.1),
        clash_30=float((pairs < 3.0**2).sum() * 100 / length),
        clash_36=float((pairs < 3.6**2).sum() * 100 / length),
        min_ca=float(np.sqrt(pairs.min())) if pairs.size else NAN,
        rama_ok=_share(density[np.isfinite(density)] >= RAMA_ALLOWED),
        phi_negative=_share(phi < 0),
        helix_right=helix_handedness(ca, sse),
        helix=_share(sse == "a"),
        strand=_share(sse == "b"),
        coil=_share(sse == "c"),
        rg_ratio=radius_of_gyration_ratio(ca),
        hb=_share(acceptor >= 0),
        hb_long=_share((acceptor >= 0) & (reach > _LONG_RANGE_BOND)),
        contacts_long=float((square[apart >= _LONG_RANGE_CONTACT] < CONTACT**2).sum() / length),
    )
