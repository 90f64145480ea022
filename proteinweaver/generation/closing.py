"""Closing an assembled chain: peptide bonds right, rigid domains rigid.

A rigid domain that must hold its last residue to the hundredth of an angstrom leaves a short
linker no way to close: half of the six-residue linkers stay open. So the residues beside a linker
may move, elastically tied to their domain: one at every junction, and where the bonds are then
still not right, two, then three. Everything else of the domain moves as one body; the drift stays
within half an angstrom. Helices and strands of linkers are bodies too and give last.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from proteinweaver.diffusion.wishes import Bound
from proteinweaver.structure.closure import (
    RIGID_FORCES,
    ClosureForces,
    close_backbone,
    loose_ends,
)
from proteinweaver.structure.closure_terms import CA, Bounds

__all__ = ["close_chain", "linker_bonds"]

#: Bonds of rigid bodies that stay wrong count for more still.
_URGENT_FORCES = ClosureForces(peptide=1600.0, body=1.0)
#: With domains of their own will to move nothing holds the bonds back but their constant.
_FLEXIBLE_FORCES = ClosureForces(peptide=400.0)
_STEPS = 300
#: Force constant on wishes, per square angstrom; pairs this much farther than asked are watched.
_HOLD, _WATCHED = 100.0, 5.0
#: Force constant on CA contacts of rigid domains, on all of them together, and how near they stay.
_TOUCH, _TOUCH_ALL, _TOUCHING = 5.0, 150.0, 7.8
#: Residues that may move at every end of a domain, and of an element of a linker: what is tried.
_LOOSE = (
    (1, 0, RIGID_FORCES),
    (1, 0, _URGENT_FORCES),
    (2, 1, _URGENT_FORCES),
    (3, 2, _URGENT_FORCES),
)
#: Largest deviation of a linker's C-N distance from 1.329 angstrom, and its CA-CA distance.
_BOND, _CA_CA = 0.08, (3.6, 4.0)


def linker_bonds(
    coord: NDArray[np.float32], domain: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """C-N and CA-CA distances across every bond of a linker, junctions included.

    Parameters
    ----------
    coord : ndarray, shape=(L, 4, 3)
        N, CA, C, O in angstrom.
    domain : ndarray, dtype=int, shape=(L,)
        0 in linkers, 1..k in domains.

    Returns
    -------
    c_n, ca_ca : ndarray, dtype=float64, shape=(bonds,)
        Angstrom.
    """
    xyz = np.asarray(coord, dtype=np.float64)
    left = np.flatnonzero((domain[1:] != domain[:-1]) | (domain[1:] == 0))
    c_n = np.linalg.norm(xyz[left + 1, 0] - xyz[left, 2], axis=-1)
    return c_n, np.linalg.norm(xyz[left + 1, 1] - xyz[left, 1], axis=-1)


def close_chain(
    coord: torch.Tensor,
    body: NDArray[np.int64],
    bonded: NDArray[np.bool_],
    domain: NDArray[np.int64],
    wishes: Sequence[Bound] = (),
) -> torch.Tensor:
    """Close one chain.

    Parameters
    ----------
    coord : Tensor, shape=(L, 4, 3)
        Finite, angstrom; rigid domains as given.
    body : ndarray, dtype=int64, shape=(L,)
        Rigid body of every residue, -1 for those that move by themselves.
    bonded : ndarray, dtype=bool, shape=(L,)
        False where a residue is not bonded to the next one.
    domain : ndarray, dtype=int64, shape=(L,)
        0 in linkers, 1..k in domains.
    wishes : sequence of Bound, optional
        Distances asked for; where the input meets them, so does the result, as far as the bonds
        allow.

    Returns
    -------
    Tensor, dtype=float32, shape=(L, 4, 3)
    """
    rigid = bool((body >= 0).any())
    held = _held(coord[:, 1].double(), wishes, domain if rigid else None)
    best, least = coord, float("inf")
    for ends, of_element, forces in _LOOSE if rigid else ((0, 0, _FLEXIBLE_FORCES),):
        loose = np.where(domain > 0, loose_ends(body, ends), loose_ends(body, of_element))
        closed = close_backbone(
            coord,
            None,
            torch.as_tensor(body),
            bonded=torch.as_tensor(bonded),
            loose=torch.as_tensor(loose),
            held=held,
            forces=forces,
            steps=_STEPS,
        ).coord
        c_n, ca_ca = linker_bonds(closed.numpy(), domain)
        wrong = _excess(c_n, ca_ca)
        if wrong < least:
            best, least = closed, wrong
        if wrong <= 0:
            break
    return best


def _held(
    ca: torch.Tensor, wishes: Sequence[Bound], domain: NDArray[np.int64] | None
) -> Bounds | None:
    """CA pairs that hold wishes, and contacts of rigid domains, which linkers would pull apart.

    Of a wish: the closest pair of a contact, all near ones of a distance to keep.
    """
    rows = []
    for wish in wishes:
        distance = torch.cdist(ca[wish.a], ca[wish.b])
        if wish.lower > 0:
            for i, j in (distance < wish.lower + _WATCHED).nonzero().tolist():
                rows.append((int(wish.a[i]), int(wish.b[j]), wish.lower, float("inf")))
        else:
            where = int(distance.argmin())
            i, j = divmod(where, len(wish.b))
            rows.append((int(wish.a[i]), int(wish.b[j]), 0.0, wish.upper))
    weight = [_HOLD / max(1.0, len(rows) / 10)] * len(rows)
    if domain is not None:
        label = torch.as_tensor(domain)
        foreign = (label[:, None] > 0) & (label > label[:, None])
        touching = (foreign & (torch.cdist(ca, ca) < _TOUCHING)).nonzero().tolist()
        rows += [(i, j, 0.0, _TOUCHING) for i, j in touching]
        weight += [min(_TOUCH, _TOUCH_ALL / max(1, len(touching)))] * len(touching)
    if not rows:
        return None
    a, b, lower, upper = (list(column) for column in zip(*rows, strict=True))
    return Bounds(
        CA * len(ca) + np.array(a),
        CA * len(ca) + np.array(b),
        np.array(lower, dtype=np.float64),
        np.array(upper, dtype=np.float64),
        np.array(weight, dtype=np.float64),
    )


def _excess(c_n: NDArray[np.float64], ca_ca: NDArray[np.float64]) -> float:
    """By how much the worst linker bond lies outside its bounds; 0 or less where none does."""
    off: Sequence[float] = [
        float(np.abs(c_n - 1.329).max(initial=0.0)) - _BOND,
        float((_CA_CA[0] - ca_ca).max(initial=0.0)),
        float((ca_ca - _CA_CA[1]).max(initial=0.0)),
    ]
    return max(off)
