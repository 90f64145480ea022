"""Measures of an assembled chain: drift inside the domains, linkers, interfaces.

A chain is described by one label per residue: 0 in a linker, 1..k in a domain. Inputs come as
coordinates in which every domain has its own arbitrary pose, so nothing here compares poses; what
knows the native chain does (`proteinweaver.evaluation.reassembly`).
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proteinweaver.evaluation.geometry import (
    CA_CA_TRANS,
    CONTACT,
    PEPTIDE_BOND,
    squared_distances,
)
from proteinweaver.evaluation.superposition import is_mirrored, rmsd

__all__ = [
    "AssemblyMetrics",
    "assembly_metrics",
    "domain_labels",
    "domain_ranges",
    "linker_ranges",
    "linker_reach",
    "linker_span",
    "linkers_feasible",
]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
NAN = float("nan")

_CLASH = 3.0
_PEPTIDE = (1.2, 1.5)  # C-N across a link
_CIS = (2.7, 3.2)  # CA-CA across a cis peptide
_EASE = 0.85


@dataclass(frozen=True)
class AssemblyMetrics:
    """What one assembled chain looks like between its parts.

    Parameters
    ----------
    domains, linkers : int
        Number of domains, and of places between consecutive domains.
    drift : tuple of float, one per domain
        CA-RMSD (A) of every domain to its input after superposition; empty without inputs.
    mirrored : int
        Domains that resemble the mirror image of their input more than the input.
    linkers_closed : int
        Linkers whose peptide bonds, both junctions included, are 1.2-1.5 A long with CA-CA in
        3.6-4.0 (cis 2.7-3.2) A.
    linkers_feasible : int
        Linkers whose ends are no farther apart than their residues can span.
    clashes : int
        CA pairs of different domains closer than 3.0 A.
    linker_clashes : int
        CA pairs with at least one linker residue, two or more apart in sequence, closer than 3.0
        A.
    contacts : int
        CA pairs of different domains closer than 8 A.
    interface_residues : int
        Residues with such a contact.
    touching : int
        Pairs of domains with at least one contact.
    closest : float
        Least CA distance between two domains (A); NaN for one domain.
    linker_bond_off : float
        Largest deviation (A) from 1.329 of a C-N distance in a linker, both junctions included;
        NaN where linkers were not built.
    """

    domains: int
    linkers: int
    drift: tuple[float, ...]
    mirrored: int
    linkers_closed: int
    linkers_feasible: int
    clashes: int
    linker_clashes: int
    contacts: int
    interface_residues: int
    touching: int
    closest: float
    linker_bond_off: float

    @property
    def drift_max(self) -> float:
        """Largest drift of a domain (A); NaN without inputs."""
        return max(self.drift, default=NAN)

    @property
    def linker_ok(self) -> bool:
        """Whether all linkers are closed."""
        return self.linkers_closed == self.linkers


def domain_ranges(domain: ArrayLike) -> list[tuple[int, int, int]]:
    """Find the runs of equal non-zero label.

    Parameters
    ----------
    domain : array_like, dtype=int, shape=(L,)
        0 in linkers, 1..k in domains.

    Returns
    -------
    list of (start, stop, label)
        Zero-based, half-open; a discontinuous domain gives several runs.
    """
    label = np.asarray(domain, dtype=np.int64)
    if not len(label):
        return []
    edges = np.flatnonzero(np.diff(label)) + 1
    bounds = [0, *edges.tolist(), len(label)]
    return [(a, b, int(label[a])) for a, b in pairwise(bounds) if label[a] > 0]


def domain_labels(length: int, ranges: list[tuple[int, int]]) -> IntArray:
    """Write labels 1..k for consecutive ranges, 0 elsewhere.

    Parameters
    ----------
    length : int
        Residues of the chain.
    ranges : list of (start, stop)
        Zero-based, half-open.

    Returns
    -------
    ndarray, dtype=int64, shape=(length,)
    """
    label = np.zeros(length, dtype=np.int64)
    for number, (start, stop) in enumerate(ranges, start=1):
        label[start:stop] = number
    return label


def linker_ranges(domain: ArrayLike) -> list[tuple[int, int]]:
    """Find the residues between consecutive domains.

    Parameters
    ----------
    domain : array_like, dtype=int, shape=(L,)

    Returns
    -------
    list of (start, stop)
        Zero-based, half-open; one per junction, empty where two domains are bonded directly.
    """
    runs = domain_ranges(domain)
    return [(one[1], two[0]) for one, two in pairwise(runs)]


def linker_span(residues: int) -> tuple[float, float]:
    """Tell the least and largest CA-CA distance that ``residues`` linker residues can bridge.

    Parameters
    ----------
    residues : int
        Residues strictly between the two ends, 0 or more.

    Returns
    -------
    low, high : float
        Angstrom. Upper ends follow an extended chain, 0.3 + 3.5 (residues + 1), which 99.9% of
        native stretches keep.
    """
    if residues <= 0:
        return CA_CA_TRANS
    return (4.8 if residues == 1 else 3.8), 0.3 + 3.5 * (residues + 1)


def linker_reach(residues: int) -> float:
    """Tell the CA-CA distance that a linker may be drawn to: a taut one does not close.

    Parameters
    ----------
    residues : int
        Residues strictly between the two ends, 0 or more.

    Returns
    -------
    float
        Angstrom; 0.85 of the greatest span, for a direct fusion all of it.
    """
    high = linker_span(residues)[1]
    return _EASE * high if residues > 0 else high


def linkers_feasible(ca: ArrayLike, domain: ArrayLike) -> list[bool]:
    """Tell for every linker whether its residues can span the gap between its two domains.

    Parameters
    ----------
    ca : array_like, shape=(L, 3)
        CA positions in angstrom; those of linker residues are not looked at.
    domain : array_like, dtype=int, shape=(L,)
        0 in linkers, 1..k in domains.

    Returns
    -------
    list of bool
    """
    x = np.asarray(ca, dtype=np.float64)
    out = []
    for start, stop in linker_ranges(domain):
        low, high = linker_span(stop - start)
        out.append(bool(low <= np.linalg.norm(x[stop] - x[start - 1]) <= high))
    return out


def _linkers_closed(xyz: FloatArray, domain: IntArray) -> int:
    ca_step = np.linalg.norm(xyz[1:, 1] - xyz[:-1, 1], axis=-1)
    peptide = np.linalg.norm(xyz[1:, 0] - xyz[:-1, 2], axis=-1)
    good = (peptide >= _PEPTIDE[0]) & (peptide <= _PEPTIDE[1])
    trans = (ca_step >= CA_CA_TRANS[0]) & (ca_step <= CA_CA_TRANS[1])
    good &= trans | ((ca_step >= _CIS[0]) & (ca_step <= _CIS[1]))
    return sum(bool(good[start - 1 : stop].all()) for start, stop in linker_ranges(domain))


def _linker_bond_off(xyz: FloatArray, domain: IntArray) -> float:
    left = [i for start, stop in linker_ranges(domain) for i in range(start - 1, stop)]
    if not left:
        return 0.0
    peptide = np.linalg.norm(xyz[np.array(left) + 1, 0] - xyz[left, 2], axis=-1)
    return float(np.abs(peptide - PEPTIDE_BOND).max())


def _between(domain: IntArray) -> NDArray[np.bool_]:
    """Pairs of residues of different domains, each once."""
    both = (domain[:, None] > 0) & (domain[None] > 0) & (domain[:, None] != domain[None])
    return np.triu(both)


def assembly_metrics(
    coord: ArrayLike, domain: ArrayLike, inputs: ArrayLike | None = None
) -> AssemblyMetrics:
    """Measure one assembled chain.

    Parameters
    ----------
    coord : array_like, shape=(L, 4, 3)
        N, CA, C, O in angstrom. Linker residues may be NaN (no linker was built): such a linker is
        not closed.
    domain : array_like, dtype=int, shape=(L,)
        0 in linkers, 1..k in domains.
    inputs : array_like, shape=(L, 4, 3), optional
        The domains that were given, each in any pose; linker residues are not looked at.

    Returns
    -------
    AssemblyMetrics

    Raises
    ------
    ValueError
        If the lengths differ, or there is no domain.
    """
    xyz = np.asarray(coord, dtype=np.float64)
    label = np.asarray(domain, dtype=np.int64)
    if len(xyz) != len(label):
        raise ValueError(f"{len(xyz)} residues but {len(label)} domain labels")
    names = np.unique(label[label > 0])
    if not len(names):
        raise ValueError("no residue is labelled as a domain")
    ca = xyz[:, 1]
    drift, mirrored = [], 0
    if inputs is not None:
        given = np.asarray(inputs, dtype=np.float64)
        if given.shape != xyz.shape:
            raise ValueError(f"coord has shape {xyz.shape}, inputs {given.shape}")
        for name in names:
            rows = label == name
            drift.append(float(rmsd(ca[rows], given[rows, 1])))
            mirrored += is_mirrored(ca[rows], given[rows, 1])
    known = np.isfinite(ca).all(axis=1)
    square = np.full((len(ca), len(ca)), np.inf)
    square[np.ix_(known, known)] = squared_distances(ca[known], ca[known])
    between = _between(label)
    touch = between & (square < CONTACT**2)
    apart = np.subtract.outer(np.arange(len(label)), np.arange(len(label))) >= 2
    linker = (label[:, None] == 0) | (label[None] == 0)
    pairs = {tuple(sorted((int(label[i]), int(label[j])))) for i, j in np.argwhere(touch)}
    return AssemblyMetrics(
        domains=len(names),
        linkers=len(linker_ranges(label)),
        drift=tuple(drift),
        mirrored=mirrored,
        linkers_closed=_linkers_closed(xyz, label),
        linkers_feasible=sum(linkers_feasible(ca, label)),
        clashes=int((between & (square < _CLASH**2)).sum()),
        linker_clashes=int((apart & linker & (square < _CLASH**2)).sum()),
        contacts=int(touch.sum()),
        interface_residues=int((touch | touch.T).any(axis=1).sum()),
        touching=len(pairs),
        closest=float(np.sqrt(square[between].min())) if between.any() else NAN,
        linker_bond_off=_linker_bond_off(xyz, label),
    )
