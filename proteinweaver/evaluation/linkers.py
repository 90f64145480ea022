"""Geometry of linkers beyond closure: how far they are stretched, and their torsions.

A linker that is pulled nearly straight holds its domains apart by force; one with torsions nature
does not visit was closed by force.
"""

import numpy as np
from numpy.typing import ArrayLike

from proteinweaver.evaluation.assembly import linker_ranges, linker_span
from proteinweaver.evaluation.torsions import RAMA_ALLOWED, backbone_torsions, rama_density

__all__ = ["linker_rama_ok", "linker_stretch"]


def linker_stretch(ca: ArrayLike, domain: ArrayLike) -> list[float]:
    """Distance between the ends of every linker over the largest its residues can span.

    Parameters
    ----------
    ca : array_like, shape=(L, 3)
        CA positions in angstrom.
    domain : array_like, dtype=int, shape=(L,)
        0 in linkers, 1..k in domains.

    Returns
    -------
    list of float
        One per junction; above 1 the residues cannot span it.
    """
    x = np.asarray(ca, dtype=np.float64)
    return [
        float(np.linalg.norm(x[stop] - x[start - 1]) / linker_span(stop - start)[1])
        for start, stop in linker_ranges(domain)
    ]


def linker_rama_ok(
    coord: ArrayLike, domain: ArrayLike, break_after: ArrayLike | None = None
) -> float:
    """Share of linker residues in allowed regions of the Ramachandran plot.

    Parameters
    ----------
    coord : array_like, shape=(L, 4, 3)
        N, CA, C, O in angstrom.
    domain : array_like, dtype=int, shape=(L,)
        0 in linkers, 1..k in domains; residues before the first and after the last domain do not
        count.
    break_after : array_like, dtype=bool, shape=(L,), optional
        True where the next residue is not bonded.

    Returns
    -------
    float
        NaN without linker residues.
    """
    phi, psi, _ = backbone_torsions(coord, break_after)
    density = rama_density(phi, psi)
    rows = [k for start, stop in linker_ranges(domain) for k in range(start, stop)]
    known = density[rows][np.isfinite(density[rows])]
    return float((known >= RAMA_ALLOWED).mean()) if known.size else float("nan")
