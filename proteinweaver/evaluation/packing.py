"""How a chain is packed: contact order, burial, and the sense of its crossovers.

Side chains are stood for by an ideal CB, so that designs without a sequence and natives are judged
alike.

References
----------
Plaxco, Simons & Baker 1998, J. Mol. Biol. 277, 985 (relative contact order; there on all heavy
atoms within 6 A, here on CA within 8 A). Richardson 1976, PNAS 73, 2619 (right-handed crossovers).
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proteinweaver.evaluation.geometry import CONTACT, squared_distances

__all__ = ["BURIED_NEIGHBOURS", "PackingMetrics", "crossovers", "neighbours", "packing_metrics"]

FloatArray = NDArray[np.float64]
NAN = float("nan")

BURIED_NEIGHBOURS = 16
"""Ideal CB within 10 A from which a residue counts as buried."""

_NEIGHBOUR = 10.0
_NEAR_IN_CHAIN = 3
_STRANDS_APART = 18.0  # between the middles of strands of one sheet that a crossover may join


@dataclass(frozen=True)
class PackingMetrics:
    """Packing of one backbone; NaN where nothing can be counted.

    Parameters
    ----------
    contact_order : float
        Mean distance in sequence of CA pairs of one chain closer than 8 A and 3 or more residues
        apart, over the length of the chain.
    neighbours : float
        Mean number of ideal CB within 10 A of a residue's.
    buried : float
        Share of residues with 16 or more.
    crossovers : int
        Pairs of consecutive parallel strands joined by a helix.
    crossover_right : float
        Share of right-handed ones; natives: nearly all.
    """

    contact_order: float
    neighbours: float
    buried: float
    crossovers: int
    crossover_right: float


def neighbours(coord: ArrayLike) -> FloatArray:
    """Count the ideal CB within 10 A of each residue's own.

    Parameters
    ----------
    coord : array_like, shape=(L, 4, 3)
        N, CA, C, O in angstrom.

    Returns
    -------
    ndarray, dtype=float64, shape=(L,)
        NaN for a model of CA alone.
    """
    import torch

    from proteinweaver.structure.frames import virtual_cb

    xyz = np.asarray(coord, dtype=np.float64)
    if not np.isfinite(xyz[:, :3]).all():
        return np.full(len(xyz), NAN)
    cb = virtual_cb(torch.from_numpy(xyz)).numpy()
    return (squared_distances(cb, cb) < _NEIGHBOUR**2).sum(axis=1) - 1.0


def crossovers(ca: ArrayLike, sse: ArrayLike, chain: ArrayLike | None = None) -> list[bool]:
    """Find strand - helix - strand crossovers and tell which are right-handed.

    Parameters
    ----------
    ca : array_like, shape=(L, 3)
        CA positions in angstrom.
    sse : array_like, dtype=str, shape=(L,)
        ``'a'`` helix, ``'b'`` strand.
    chain : array_like, shape=(L,), optional
        Chain of every residue. Default: one.

    Returns
    -------
    list of bool
        One per pair of consecutive strands (three residues or more) that run parallel, lie at most
        18 A apart, and have a helix between them in sequence and to one side of their plane.

    Notes
    -----
    With d the direction of the strands, s the step from the first to the second strand and h that
    from the strands to the connection, the crossover is right-handed if (h x s) . d > 0.
    """
    x, letters = np.asarray(ca, dtype=np.float64), np.asarray(sse)
    of_chain = np.zeros(len(x)) if chain is None else np.asarray(chain)
    edges = np.flatnonzero((letters[1:] != letters[:-1]) | (of_chain[1:] != of_chain[:-1])) + 1
    runs = [(a, b) for a, b in pairwise([0, *edges.tolist(), len(x)])]
    strands = [(a, b) for a, b in runs if letters[a] == "b" and b - a >= 3]
    helices = [(a, b) for a, b in runs if letters[a] == "a" and b - a >= 5]
    found = []
    for (a, b), (c, d) in pairwise(strands):
        between = [k for p, q in helices if b <= p and q <= c for k in range(p, q)]
        if not between or of_chain[a] != of_chain[c]:
            continue
        first, second = (v / np.linalg.norm(v) for v in (x[b - 1] - x[a], x[d - 1] - x[c]))
        step = x[c:d].mean(axis=0) - x[a:b].mean(axis=0)
        if first @ second < 0.5 or np.linalg.norm(step) > _STRANDS_APART:
            continue
        along = (first + second) / np.linalg.norm(first + second)
        step = step - (step @ along) * along
        side = x[between].mean(axis=0) - (x[a:b].mean(axis=0) + x[c:d].mean(axis=0)) / 2
        volume = np.cross(side, step) @ along
        # a connection in the plane of the strands has no hand
        if abs(volume) < 0.3 * np.linalg.norm(step) * np.linalg.norm(side):
            continue
        found.append(bool(volume > 0))
    return found


def packing_metrics(
    coord: ArrayLike, sse: ArrayLike, chain: ArrayLike | None = None
) -> PackingMetrics:
    """Measure the packing of one backbone.

    Parameters
    ----------
    coord : array_like, shape=(L, 4, 3)
        N, CA, C, O in angstrom; N, C and O are NaN in a model of CA alone.
    sse : array_like, dtype=str, shape=(L,)
        Secondary structure, ``'a'``, ``'b'`` or ``'c'``.
    chain : array_like, shape=(L,), optional
        Chain of every residue. Default: one.

    Returns
    -------
    PackingMetrics
    """
    xyz = np.asarray(coord, dtype=np.float64)
    ca, length = xyz[:, 1], len(xyz)
    names = np.zeros(length) if chain is None else np.asarray(chain)
    _, sizes = np.unique(names, return_counts=True)
    apart = np.abs(np.subtract.outer(np.arange(length), np.arange(length)))
    touch = (squared_distances(ca, ca) < CONTACT**2) & (apart >= _NEAR_IN_CHAIN)
    touch &= names[:, None] == names[None]
    order = float(apart[touch].mean() / sizes.mean()) if touch.any() else NAN
    count = neighbours(xyz)
    known = count[np.isfinite(count)]
    crossing = crossovers(ca, sse, chain)
    return PackingMetrics(
        contact_order=order,
        neighbours=float(known.mean()) if known.size else NAN,
        buried=float((known >= BURIED_NEIGHBOURS).mean()) if known.size else NAN,
        crossovers=len(crossing),
        crossover_right=float(np.mean(crossing)) if crossing else NAN,
    )
