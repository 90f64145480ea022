"""Backbones that are wrong and do not look it: what the soundness head of the critic learns from.

Every kind keeps the bonds, angles and peptide planes of natives, so none can be told by those:

=============  ==================================================================================
kind           what it is
=============  ==================================================================================
``distorted``  all phi and psi of a native changed by Gaussian noise (``size``: degrees), then
               relaxed to be compact and free of clashes. Size 0 is the same treatment of the
               native itself: a control that must still count as sound
``glued``      fragments of 6 to 24 residues of many natives in one chain, relaxed to the radius
               of gyration of a native
``mirrored``   a native drawn towards its own mirror image, helices and strands kept as they are:
               right-handed elements in the mirrored arrangement
``swapped``    two stretches of a native, cut at loops, change places in the chain
``posed``      two domains of a native chain in a wrong pose without clashes, with about as many
               contacts as in the native; the linker is cut out
``paired``     the control of ``posed``: the same two domains in their native pose
=============  ==================================================================================

`proteinweaver.data.hard_negatives` adds ``joined`` and ``inverted``, which keep hydrogen bonds.

The target of a residue is the share of its neighbours' distances that are those of the native
(`local_agreement`); 0 throughout in chains that have no native. Nothing here measures the gate:
who builds a set keeps what passes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from proteinweaver.data.decoys import Relaxation, relax, superposed
from proteinweaver.data.store import StructureItem
from proteinweaver.structure.torsion_chain import TorsionChain, torsion_chain

__all__ = [
    "KINDS",
    "Negative",
    "distorted",
    "glued",
    "local_agreement",
    "mirrored",
    "posed",
    "swapped",
]

FloatArray = NDArray[np.float64]

KINDS = ("distorted", "glued", "mirrored", "swapped", "posed", "paired", "joined", "inverted")
LOOP = 2  # P-SEA class
_RADIUS = 15.0  # angstrom, of local agreement
_TOLERANCES = (0.5, 1.0, 2.0, 4.0)
_STIFF, _SOFT = 200.0, 15.0  # springs on torsions in elements and in loops, per square radian


@dataclass(frozen=True)
class Negative:
    """One backbone with what is known to be right of it.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    size : float
        How much was done, where a kind has sizes.
    source : str
        Name of the native.
    coord : ndarray, dtype=float32, shape=(L, 4, 3)
        N, CA, C, O in angstrom.
    break_after : ndarray, dtype=bool, shape=(L,)
    target : ndarray, dtype=float32, shape=(L,)
        1 where the surroundings of a residue are native, 0 where nothing of them is.
    """

    kind: str
    size: float
    source: str
    coord: NDArray[np.float32]
    break_after: NDArray[np.bool_]
    target: NDArray[np.float32]

    def first(self, count: int) -> "Negative":
        """Its first residues."""
        return replace(
            self,
            coord=self.coord[:count],
            break_after=self.break_after[:count],
            target=self.target[:count],
        )


def local_agreement(coord: NDArray[np.floating], native: NDArray[np.floating]) -> FloatArray:
    """Share of native distances around every residue, from 0 to 1.

    The local distance difference test on CA, made symmetric: pairs within 15 A in either
    structure count, three or more residues apart, so that contacts which should not be there count
    as much as those that are missing.

    Parameters
    ----------
    coord, native : ndarray, shape=(L, 4, 3)
        The same chain twice, in angstrom.

    Returns
    -------
    ndarray, dtype=float64, shape=(L,)

    References
    ----------
    Mariani et al. 2013, Bioinformatics 29, 2722 (lDDT).
    """
    first, second = (
        np.linalg.norm(x[:, None, 1] - x[None, :, 1], axis=-1) for x in (coord, native)
    )
    place = np.arange(len(coord))
    counted = (np.minimum(first, second) < _RADIUS) & (abs(place[:, None] - place) >= 3)
    off = np.abs(first - second)
    kept = np.mean([off < limit for limit in _TOLERANCES], axis=0)
    total = counted.sum(-1)
    return np.where(total > 0, (kept * counted).sum(-1) / np.maximum(total, 1), 1.0)


def springs(sse: NDArray[np.uint8]) -> FloatArray:
    return np.where(sse == LOOP, _SOFT, _STIFF)


def gyration(coord: NDArray[np.floating]) -> float:
    ca = coord[:, 1].astype(np.float64)
    return float(np.sqrt(((ca - ca.mean(0)) ** 2).sum(-1).mean()))


def one_chain(
    kind: str, size: float, source: str, coord: FloatArray, target: FloatArray | None = None
) -> Negative:
    length = len(coord)
    right = np.zeros(length) if target is None else target
    return Negative(
        kind,
        size,
        source,
        coord.astype(np.float32),
        np.zeros(length, dtype=bool),
        right.astype(np.float32),
    )


def distorted(item: StructureItem, size: float, rng: np.random.Generator) -> Negative:
    """Change all torsions by noise of ``size`` degrees and relax."""
    noise = np.radians(size) * rng.standard_normal((2, len(item)))
    goal = Relaxation(1.03 * gyration(item.coord), springs(item.sse))
    coord = relax(torsion_chain(item.coord), goal, noise[0], noise[1])
    return one_chain("distorted", size, item.name, coord, local_agreement(coord, item.coord))


def glue(parts: Sequence[TorsionChain], joints: Sequence[FloatArray]) -> TorsionChain:
    """Join chains; ``joints[k]`` is the step from part k to part k + 1."""
    steps = [parts[0].step]
    for joint, part in zip(joints, parts[1:], strict=True):
        steps += [joint[None], part.step]
    return TorsionChain(np.concatenate(steps), np.concatenate([part.local for part in parts]))


def glued(pool: Sequence[StructureItem], length: int, rng: np.random.Generator) -> Negative:
    """Join native fragments to a compact chain of ``length`` residues."""
    parts, joints, classes, have = [], [], [], 0
    while have < length:
        item = pool[int(rng.integers(len(pool)))]
        size = min(int(rng.integers(6, 25)), length - have, len(item) - 2)
        start = int(rng.integers(0, len(item) - size))
        whole = torsion_chain(item.coord[start : start + size + 1])
        parts.append(whole.part(0, size))
        joints.append(whole.step[size - 1])
        classes.append(item.sse[start : start + size])
        have += size
    rg = 2.2 * length**0.38 * float(rng.uniform(0.92, 1.12))
    goal = Relaxation(rg, springs(np.concatenate(classes)), steps=150)
    return one_chain("glued", 0.0, "many", relax(glue(parts, joints[:-1]), goal))


def mirrored(item: StructureItem, rng: np.random.Generator) -> Negative:
    """Draw a native towards its mirror image, elements kept."""
    image = item.coord[:, 1].astype(np.float64) * [1.0, 1.0, -1.0]
    start = rng.normal(size=(2, len(item))) * np.radians(np.where(item.sse == LOOP, 8.0, 1.0))
    goal = Relaxation(1.03 * gyration(item.coord), springs(item.sse), target=image, steps=150)
    coord = relax(torsion_chain(item.coord), goal, start[0], start[1])
    off = coord[:, 1] - superposed(image, coord[:, 1])
    size = float(np.sqrt((off**2).sum(-1).mean()))
    return one_chain("mirrored", size, item.name, coord)


def swapped(item: StructureItem, rng: np.random.Generator) -> Negative | None:
    """Let two stretches of a native change places; None where it has no loops to cut."""
    loops = [i for i in range(8, len(item) - 8) if item.sse[i] == LOOP]
    cuts: list[int] = []
    for place in rng.permutation(loops).tolist():
        if all(abs(place - cut) >= 15 for cut in cuts):
            cuts.append(place)
        if len(cuts) == 3:
            break
    if len(cuts) < 2:
        return None
    ends = [0, *sorted(cuts), len(item)]
    blocks = list(pairwise(ends))
    order = [0, 2, 1, 3] if len(blocks) == 4 else [2, 1, 0]
    chain = torsion_chain(item.coord)
    parts = [chain.part(*blocks[k]) for k in order]
    joints = [chain.step[min(blocks[k][1], len(item) - 1) - 1] for k in order[:-1]]
    classes = np.concatenate([item.sse[slice(*blocks[k])] for k in order])
    goal = Relaxation(1.03 * gyration(item.coord), springs(classes), steps=150)
    return one_chain("swapped", 0.0, item.name, relax(glue(parts, joints), goal))


def _random_rotation(rng: np.random.Generator) -> FloatArray:
    q, r = np.linalg.qr(rng.standard_normal((3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.sign(np.linalg.det(q))


def _docked(
    first: FloatArray, second: FloatArray, wanted: int, rng: np.random.Generator, tries: int
) -> FloatArray | None:
    """Pose of ``second`` that touches ``first``, with about ``wanted`` contacts."""
    centre = first[:, 1].mean(0)
    best, least = None, 0.35
    flat = first.reshape(-1, 3)
    for _ in range(tries):
        moved = (second - second[:, 1].mean(0)) @ _random_rotation(rng).T
        way = rng.standard_normal(3)
        way = way / np.linalg.norm(way)
        far = float(np.linalg.norm(flat - centre, axis=-1).max())
        far += float(np.linalg.norm(moved.reshape(-1, 3), axis=-1).max())
        low, high = 0.0, far
        for _ in range(7):  # come as near as clashes allow
            middle = 0.5 * (low + high)
            ca = moved[:, 1] + centre + middle * way
            near = ((first[:, None, 1] - ca[None]) ** 2).sum(-1).min() < 4.5**2
            low, high = (middle, high) if near else (low, middle)
        placed = moved + centre + high * way
        distance = np.linalg.norm(first[:, None, 1] - placed[None, :, 1], axis=-1)
        contacts = int((distance < 8.0).sum())
        miss = abs(np.log(max(contacts, 1) / wanted))
        if miss >= least:
            continue
        rows, columns = np.nonzero(distance < 10.0)
        atoms = np.linalg.norm(first[rows][:, :, None] - placed[columns][:, None], axis=-1)
        if atoms.size and atoms.min() > 2.7:
            best, least = placed, miss
    return best


def posed(
    item: StructureItem, rng: np.random.Generator, tries: int = 50, max_length: int = 360
) -> tuple[Negative, Negative] | None:
    """Put two touching domains of a chain into a wrong pose.

    Parameters
    ----------
    item : StructureItem
        With domain labels.
    rng : Generator
    tries : int, optional
        Poses to draw.
    max_length : int, optional
        Residues of both domains together at most.

    Returns
    -------
    (Negative, Negative) or None
        The wrong pose and the native one (``paired``); None where no two domains touch by 12 CA
        contacts, or no pose was found.
    """
    labels = [int(k) for k in np.unique(item.domain) if k > 0]
    pairs = []
    for k, a in enumerate(labels):
        for b in labels[k + 1 :]:
            one, two = np.flatnonzero(item.domain == a), np.flatnonzero(item.domain == b)
            if min(len(one), len(two)) < 30 or len(one) + len(two) > max_length:
                continue
            ca = item.coord[:, 1]
            near = np.linalg.norm(ca[one][:, None] - ca[two][None], axis=-1) < 8.0
            near &= np.abs(one[:, None] - two[None]) > 4
            if near.sum() >= 12:
                pairs.append((one, two, int(near.sum())))
    if not pairs:
        return None
    one, two, wanted = pairs[int(rng.integers(len(pairs)))]
    # residues next to the cut go too, or the bond that was there would tell the native pose
    rows = np.sort(np.concatenate((one, two)))
    own = np.isin(rows, one)
    cut = np.flatnonzero((np.diff(rows) == 1) & (own[1:] != own[:-1]))
    keep = np.ones(len(rows), dtype=bool)
    for place in cut:
        keep[max(0, place - 1) : place + 3] = False
    rows, own = rows[keep], own[keep]
    native = item.coord[rows].astype(np.float64)
    breaks = np.zeros(len(rows), dtype=bool)
    breaks[:-1] = (np.diff(rows) != 1) | item.break_after[rows[:-1]]
    pose = _docked(native[own], native[~own], wanted, rng, tries)
    if pose is None:
        return None
    coord = native.copy()
    coord[~own] = pose
    target = local_agreement(coord, native)
    if target.mean() > 0.97:
        return None

    def made(kind: str, xyz: FloatArray, right: FloatArray) -> Negative:
        return Negative(
            kind, 0.0, item.name, xyz.astype(np.float32), breaks, right.astype(np.float32)
        )

    return made("posed", coord, target), made("paired", native, np.ones(len(rows)))
