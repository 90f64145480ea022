"""Helix and strand by hydrogen bonds, as DSSP defines them, from N, CA, C and O alone.

P-SEA reads the CA trace; this reads the pattern of bonds, so the two fail differently. A bond from
NH of i to CO of j has an energy below -0.5 kcal/mol (`proteinweaver.structure.hbonds`, without
its distance guard). An n-turn at i is a bond from i + n to i; two consecutive 4-turns start an
alpha helix over the residues between. A bridge joins i and j by one of four patterns of two bonds;
residues of bridges are strand. Three- and five-turn helices count as coil here.

References
----------
Kabsch & Sander 1983, Biopolymers 22, 2577 (definitions of turn, bridge, helix, ladder).
"""

import re

import numpy as np
from numpy.typing import ArrayLike, NDArray

from proteinweaver.structure.hbonds import bond_energies

__all__ = ["dssp", "element_letters"]

_CUTOFF = -0.5
_TURN = 4


def dssp(coord: ArrayLike, break_after: ArrayLike | None = None) -> NDArray[np.str_]:
    """Assign helix, strand and coil.

    Parameters
    ----------
    coord : array_like, shape=(L, 4, 3)
        N, CA, C, O in angstrom.
    break_after : array_like, dtype=bool, shape=(L,), optional
        True where the next residue is not bonded: no helix and no bridge spans a break.

    Returns
    -------
    ndarray, dtype='<U1', shape=(L,)
        ``'a'`` alpha helix, ``'b'`` strand, ``'c'`` anything else.
    """
    length = len(np.asarray(coord))
    out = np.full(length, "c")
    if length < _TURN + 2:
        return out
    bond = np.zeros((length, length), dtype=bool)  # [donor, acceptor]
    donor, acceptor, energy = bond_energies(coord, break_after)
    bond[donor[energy < _CUTOFF], acceptor[energy < _CUTOFF]] = True
    last = np.zeros(length, dtype=bool) if break_after is None else np.asarray(break_after, bool)
    segment = np.concatenate(([0], np.cumsum(last[:-1])))
    out[_bridged(bond, segment)] = "b"
    turn = np.zeros(length, dtype=bool)
    start = np.arange(length - _TURN)
    turn[start] = bond[start + _TURN, start] & (segment[start + _TURN] == segment[start])
    first = np.flatnonzero(turn[1:] & turn[:-1]) + 1  # turns at i - 1 and i: helix i .. i + 3
    for shift in range(_TURN):
        out[first + shift] = "a"
    return out


def element_letters(coord: ArrayLike, break_after: ArrayLike | None = None) -> str:
    """Helix, strand and loop in the letters of a blueprint.

    Single residues between two of a strand (bulges; Richardson et al. 1978, PNAS 75, 2574) are
    strand.

    Parameters
    ----------
    coord : array_like, shape=(L, 4, 3)
        N, CA, C, O in angstrom.
    break_after : array_like, dtype=bool, shape=(L,), optional
        True where the next residue is not bonded.

    Returns
    -------
    str
        ``H``, ``E`` or ``L`` for every residue.
    """
    text = "".join({"a": "H", "b": "E"}.get(letter, "L") for letter in dssp(coord, break_after))
    return re.sub("(?<=E)L(?=E)", "E", text)


def _bridged(bond: NDArray[np.bool_], segment: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Residues that take part in a parallel or antiparallel bridge."""
    length = len(bond)
    inner = np.zeros(length, dtype=bool)
    inner[1:-1] = segment[2:] == segment[:-2]

    # parallel: (i-1 <- j and j <- i+1) or (j-1 <- i and i <- j+1), "a <- b" the CO of a to NH of b
    down = np.roll(bond, (0, 1), axis=(0, 1))  # [j, i] -> CO(i-1) takes NH(j)
    up = np.roll(bond, (-1, 0), axis=(0, 1))  # [i, j] -> CO(j) takes NH(i+1)
    parallel = down.T & up
    parallel |= parallel.T
    # antiparallel: (i <- j and j <- i) or (i-1 <- j+1 and j-1 <- i+1)
    far = np.roll(bond, (-1, 1), axis=(0, 1))  # [i, j] -> CO(j-1) takes NH(i+1)
    anti = (bond & bond.T) | (far & far.T)
    apart = np.abs(np.subtract.outer(np.arange(length), np.arange(length))) >= 3
    bridge = (parallel | anti) & apart & inner[:, None] & inner[None]
    return np.asarray(bridge.any(axis=1))
