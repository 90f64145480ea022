"""Wrong arrangements that keep their hydrogen bonds: what no count over a backbone gives away.

Fragments glued at random and plain mirror images (`proteinweaver.data.negatives`) lose the
hydrogen bonds between strands, so a count of those finds them. The kinds of this module hold the
bonds by springs while the chain is relaxed:

============  ===================================================================================
kind          what it is
============  ===================================================================================
``joined``    self-contained pieces of 20 to 70 residues of several natives, cut at loops so that
              most of their hydrogen bonds stay inside, joined to one compact chain
``inverted``  a helical native drawn towards its own mirror image, its helices kept
============  ===================================================================================

Who builds a set keeps those of them whose every column lies where natives' do.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proteinweaver.data.decoys import Bonds, Relaxation, bonds_of, relax, superposed
from proteinweaver.data.negatives import LOOP, Negative, glue, gyration, one_chain, springs
from proteinweaver.data.store import StructureItem
from proteinweaver.structure.torsion_chain import TorsionChain, torsion_chain

__all__ = ["Piece", "inverted", "is_helical", "joined", "pieces_of"]

FloatArray = NDArray[np.float64]

_SIZES = (20, 70)  # residues of a piece
_INSIDE, _BONDED = 0.8, 0.4  # least share of bonds that stay, least bonds per residue
_TIGHT, _LOOSE = 400.0, 4.0  # springs inside pieces and at joints
_JOINT = 3  # residues on either side of a joint that bend
_TRIES, _BEND = 25, 35.0  # starts, degrees
_HELICAL = 5  # residues between N and O of a helix at most
_SHEETLESS = 0.08  # bonds per residue
_TOUCH = 4.5  # angstrom between CA of different pieces


@dataclass(frozen=True)
class Piece:
    """A stretch of a native that holds together by itself.

    Parameters
    ----------
    item : StructureItem
    start, stop : int
        Its residues.
    bonds : Bonds
        Inside it, counted from its start.
    """

    item: StructureItem
    start: int
    stop: int
    bonds: Bonds

    def __len__(self) -> int:
        return self.stop - self.start


def pieces_of(item: StructureItem) -> list[Piece]:
    """Find the self-contained pieces of a native.

    Parameters
    ----------
    item : StructureItem

    Returns
    -------
    list of Piece
        20 to 70 residues between loops, with four fifths of their hydrogen bonds inside.
    """
    length = len(item)
    loop = item.sse == LOOP
    cuts = [i for i in range(2, length - 2) if loop[i - 1] and loop[i]]
    found = bonds_of(item.coord)
    out = []
    for start in [1, *cuts]:
        for stop in [*cuts, length - 1]:
            if not _SIZES[0] <= stop - start <= min(_SIZES[1], 0.8 * length):
                continue
            inside = found.inside(start, stop)
            own = (found.donor >= start) & (found.donor < stop)
            own |= (found.acceptor >= start) & (found.acceptor < stop)
            if len(inside.donor) >= max(_INSIDE * own.sum(), _BONDED * (stop - start)):
                out.append(Piece(item, start, stop, inside))
    return out


def _sheet(piece: Piece) -> float:
    """Share of residues that donate a bond between strands."""
    return float((abs(piece.bonds.donor - piece.bonds.acceptor) > _HELICAL).sum() / len(piece))


def _overlap(atoms: FloatArray, part: NDArray[np.int64]) -> float:
    """How deep CA of different pieces lie in each other."""
    ca = atoms[:, 1]
    distance = np.linalg.norm(ca[:, None] - ca[None], axis=-1)
    distance[part[:, None] == part[None]] = np.inf
    return float((np.maximum(_TOUCH - distance, 0.0) ** 2).sum())


def joined(
    pool: Sequence[Sequence[Piece]], length: int, rng: np.random.Generator
) -> Negative | None:
    """Join self-contained pieces of many natives to a compact chain.

    Parameters
    ----------
    pool : sequence of sequence of Piece
        The pieces of every native that has some.
    length : int
        Residues wanted; the chain has up to 20 more or fewer.
    rng : Generator

    Returns
    -------
    Negative or None
        None where no pieces of these lengths were found.
    """
    chosen: list[Piece] = []
    have = 0
    for _ in range(50):
        own = pool[int(rng.integers(len(pool)))]
        piece = max((own[k] for k in rng.integers(len(own), size=2)), key=_sheet)
        left = length - have - len(piece)
        if -20 <= left <= 20 or left >= _SIZES[0]:
            chosen.append(piece)
            have += len(piece)
        if abs(length - have) <= 20:
            break
    if len(chosen) < 2 or abs(length - have) > 20:
        return None
    parts: list[TorsionChain] = []
    joints, classes, bonds = [], [], []
    for piece in chosen:
        cut = torsion_chain(piece.item.coord[piece.start : piece.stop + 1])
        bonds.append(piece.bonds.behind(sum(len(part) for part in parts)))
        parts.append(cut.part(0, len(piece)))
        joints.append(cut.step[len(piece) - 1])
        classes.append(piece.item.sse[piece.start : piece.stop])
    chain = glue(parts, joints[:-1])
    part = np.repeat(np.arange(len(parts)), [len(p) for p in parts])
    ends = np.flatnonzero(part[1:] != part[:-1]) + 0.5
    free = (abs(np.arange(have)[:, None] - ends[None]) < _JOINT).any(-1)
    free &= np.concatenate(classes) == LOOP
    rg = 2.2 * have**0.38 * float(rng.uniform(0.94, 1.08))
    best, least = None, np.inf
    for _ in range(_TRIES):  # a start that is compact and not tangled
        bend = np.radians(_BEND) * rng.standard_normal((2, have)) * free
        atoms = chain.atoms(bend[0], bend[1])
        cost = 2.0 * have * max(gyration(atoms) - rg, 0.0) ** 2 + _overlap(atoms, part)
        if cost < least:
            best, least = bend, cost
    held = Bonds(*(np.concatenate([getattr(b, name) for b in bonds]) for name in vars(bonds[0])))
    stiff = np.where(free, _LOOSE, np.where(np.concatenate(classes) == LOOP, 100.0, _TIGHT))
    goal = Relaxation(rg, stiff, bonds=held, push=8.0, steps=140)
    phi, psi = best if best is not None else np.zeros((2, have))
    return one_chain("joined", 0.0, "many", relax(chain, goal, phi, psi))


def inverted(item: StructureItem, rng: np.random.Generator) -> Negative:
    """Draw a helical native towards its mirror image, then mend it where it is.

    First the CA are drawn to the image, then the image is let go and clashes, radius and helices
    are mended. Meant for natives without sheets: the bonds of a sheet cannot stay, because in the
    mirror they point to the other side of the strand.

    Parameters
    ----------
    item : StructureItem
    rng : Generator

    Returns
    -------
    Negative
        ``size`` is its RMSD from the mirror image (angstrom).
    """
    image = item.coord[:, 1].astype(np.float64) * [1.0, 1.0, -1.0]
    start = rng.normal(size=(2, len(item))) * np.radians(np.where(item.sse == LOOP, 12.0, 1.0))
    stiff, found = springs(item.sse), bonds_of(item.coord)
    near = abs(found.donor - found.acceptor) <= _HELICAL
    bonds = Bonds(found.donor[near], found.acceptor[near], found.distance[near])
    drawn = Relaxation(0.0, stiff, target=image, steps=120)
    coord = relax(torsion_chain(item.coord), drawn, start[0], start[1])
    mended = Relaxation(1.03 * gyration(item.coord), stiff, bonds=bonds, push=3.0, steps=120)
    coord = relax(torsion_chain(coord), mended)
    off = coord[:, 1] - superposed(image, coord[:, 1])
    size = float(np.sqrt((off**2).sum(-1).mean()))
    return one_chain("inverted", size, item.name, coord)


def is_helical(coord: NDArray[np.floating]) -> bool:
    """Whether a backbone has hardly any hydrogen bond over more than five residues.

    Parameters
    ----------
    coord : ndarray, shape=(L, 4, 3)
        N, CA, C, O in angstrom.

    Returns
    -------
    bool
    """
    found = bonds_of(coord)
    return bool((abs(found.donor - found.acceptor) > _HELICAL).sum() < _SHEETLESS * len(coord))
