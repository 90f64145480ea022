"""How an assembled native chain compares with the native pose of its domains.

The TM-score of the whole chain says little about a pose: superposed as a whole, the larger domain
carries it, and random poses reach .8. The pose score superposes the larger domain of every two
consecutive ones and scores the smaller where it then lies.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from proteinweaver.evaluation.geometry import CONTACT, squared_distances
from proteinweaver.evaluation.superposition import rmsd
from proteinweaver.evaluation.tm import tm_after_superposing, tm_score

__all__ = ["ReassemblyMetrics", "reassembly_metrics"]

NAN = float("nan")
#: CA this close (angstrom) to another domain of the native chain make its interface.
_INTERFACE = 10.0


@dataclass(frozen=True)
class ReassemblyMetrics:
    """How an assembled native chain compares with the native one.

    Parameters
    ----------
    contact_ratio : float
        Inter-domain contacts (CA within 8 A) over those of the native; NaN where it has none.
    contacts_kept : float
        Share of the native inter-domain contacts that are present; NaN where the native has none.
    contact_f1 : float
        Harmonic mean of that share and of the share of contacts that are native; NaN where the
        native has none.
    irmsd : float
        CA-RMSD (A) of the native interface, residues within 10 A of another domain, after
        superposing it; NaN for fewer than 3 residues.
    tm : float
        TM-score of all domain residues, normalised by their number.
    pose : float
        TM-score of the smaller domain after superposing the larger one, mean over consecutive
        domains; of two domains of one size the first is superposed.
    pose_tm : float
        The same in both directions, averaged.
    """

    contact_ratio: float
    contacts_kept: float
    contact_f1: float
    irmsd: float
    tm: float
    pose: float
    pose_tm: float


def reassembly_metrics(
    coord: ArrayLike, native: ArrayLike, domain: ArrayLike
) -> ReassemblyMetrics:
    """Compare an assembled native chain with its native pose.

    Parameters
    ----------
    coord, native : array_like, shape=(L, 4, 3)
        N, CA, C, O in angstrom; linker residues of ``coord`` may be NaN.
    domain : array_like, dtype=int, shape=(L,)
        0 in linkers, 1..k in domains.

    Returns
    -------
    ReassemblyMetrics

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    xyz, truth = np.asarray(coord, np.float64), np.asarray(native, np.float64)
    if xyz.shape != truth.shape:
        raise ValueError(f"coord has shape {xyz.shape}, native {truth.shape}")
    label = np.asarray(domain, dtype=np.int64)
    rows = np.flatnonzero(label > 0)
    a, b, part = xyz[rows, 1], truth[rows, 1], label[rows]
    foreign = np.triu(part[:, None] != part[None])
    gap = squared_distances(b, b)
    have = foreign & (squared_distances(a, a) < CONTACT**2)
    want = foreign & (gap < CONTACT**2)
    number, both = int(want.sum()), int((have & want).sum())
    near = foreign & (gap < _INTERFACE**2)
    face = (near | near.T).any(axis=1)
    both_ways, smaller = [], []
    for one, two in pairwise(dict.fromkeys(part.tolist())):
        there = tm_after_superposing(a, b, part == one, part == two)
        back = tm_after_superposing(a, b, part == two, part == one)
        both_ways += [there, back]
        smaller.append(there if (part == one).sum() >= (part == two).sum() else back)
    return ReassemblyMetrics(
        contact_ratio=float(have.sum() / number) if number else NAN,
        contacts_kept=both / number if number else NAN,
        contact_f1=float(2 * both / (number + have.sum())) if number else NAN,
        irmsd=float(rmsd(a[face], b[face])) if face.sum() >= 3 else NAN,
        tm=tm_score(a, b),
        pose=float(np.mean(smaller)) if smaller else NAN,
        pose_tm=float(np.mean(both_ways)) if both_ways else NAN,
    )
