"""Terms of the energy that closes a backbone: bounded distances and torsions.

All residues of a batch lie behind each other, with five atoms each: N, CA, C, O and a virtual CB.
Atoms are numbered kind by kind, ``kind * R + residue``. A term gives its energies and, as no
autograd stands behind it, a `Pull`: the gradient at the atoms it touches. Covalent geometry and
soft spheres are one kind of term, a bounded distance,

    E = sum k [max(0, lower - d)^2 + max(0, d - upper)^2],

with ``lower = upper`` for a bond. Angles enter as 1-3 distances. Torsions add ``1 + cos(omega)``
per peptide and ``max(0, ln p0 - ln p(phi, psi))`` per residue (`proteinweaver.structure.rama`):
nothing inside the allowed regions.

References
----------
Blondel & Karplus 1996, J. Comput. Chem. 17, 1132 (derivatives of torsions).
Engh & Huber 2001, International Tables for Crystallography F, 18.3.
"""

from dataclasses import dataclass

import numpy as np

from proteinweaver.structure.closure_bodies import Array, Numbers
from proteinweaver.structure.rama import rama_slopes

__all__ = [
    "CA",
    "Bounds",
    "Pull",
    "bounded",
    "clash_bounds",
    "near",
    "elastic_bounds",
    "peptide_bounds",
    "rounded_hinge",
    "torsion_atoms",
    "torsion_terms",
]

#: Numbers of atoms, shape=(n,), and gradients there, shape=(3, n); an atom may come often.
Pull = tuple[Numbers, Array]

_N, CA, _C = range(3)

# Lower bounds in angstrom for residues at least 3 apart: about the closest 0.3% of pairs in
# crystal structures, a little lower for the virtual CB (a glycine has none); CA-CA is 3.85.
_CLOSEST = (
    (3.50, 3.65, 3.55, 2.62, 3.10),
    (3.65, 3.85, 3.80, 3.00, 3.30),
    (3.55, 3.80, 3.60, 3.15, 3.15),
    (2.62, 3.00, 3.15, 2.95, 2.90),
    (3.10, 3.30, 3.15, 2.90, 3.40),
)
_CLOSEST_1_3 = {(CA, CA): 4.9, (_C, _N): 2.75}  # residues 2 apart
_REACH = 9.0  # CA-CA distance beyond which no two atoms of two residues can touch, margin included
_ELASTIC_TIES, _ELASTIC_TOLERANCE = 8, 0.3  # of a loose residue: neighbours, angstrom
_ROWS = 64  # whose distances to all others are looked at together: they stay in the cache
_MARGIN = 1.2  # pairs this much farther than their bound are listed too: they may come closer

# Peptide geometry, Engh & Huber 2001: C-N 1.329; CA-C-N 116.8, C-N-CA 121.7 degrees as distances;
# CA-CA trans.
_PEPTIDE = (
    (_C, _N, 1.329, 1.0),
    (CA, _N, 2.433, 0.6),
    (_C, CA, 2.436, 0.6),
    (CA, CA, 3.803, 0.6),
)


@dataclass(frozen=True)
class Bounds:
    """Bounded distances between atoms ``a`` and ``b`` (angstrom), with force constants."""

    a: Numbers
    b: Numbers
    lower: Array
    upper: Array
    weight: Array

    def joined(self, other: "Bounds") -> "Bounds":
        """Both lists behind each other."""
        return Bounds(
            np.concatenate((self.a, other.a)),
            np.concatenate((self.b, other.b)),
            np.concatenate((self.lower, other.lower)),
            np.concatenate((self.upper, other.upper)),
            np.concatenate((self.weight, other.weight)),
        )


def torsion_atoms(left: Numbers, middle: Numbers, count: int) -> Numbers:
    """Find the atoms of the torsions that count.

    Parameters
    ----------
    left : ndarray, dtype=int64, shape=(bonds,)
        Residues before the peptide bonds that count.
    middle : ndarray, dtype=int64, shape=(residues,)
        Residues, bonded on both sides, whose (phi, psi) count.
    count : int
        All residues.

    Returns
    -------
    ndarray, dtype=int64, shape=(4, bonds + 2 residues)
        Of all omega, then phi, then psi.
    """
    n, ca, c = (kind * count + np.arange(count) for kind in (_N, CA, _C))
    return np.concatenate(
        (
            np.stack((ca[left], c[left], n[left + 1], ca[left + 1])),
            np.stack((c[middle - 1], n[middle], ca[middle], c[middle])),
            np.stack((n[middle], ca[middle], c[middle], n[middle + 1])),
        ),
        axis=1,
    )


def bounded(points: Array, bounds: Bounds) -> tuple[Array, Pull]:
    """Energy of every bounded distance, shape=(P,), and its pull.

    Parameters
    ----------
    points : ndarray, shape=(3, 5 R)
        Atoms in angstrom.
    bounds : Bounds

    Returns
    -------
    energy : ndarray, shape=(P,)
    pull : Pull
    """
    step = points.take(bounds.a, 1) - points.take(bounds.b, 1)
    distance = np.sqrt((step * step).sum(0) + 1e-8)
    off = distance - np.minimum(np.maximum(distance, bounds.lower), bounds.upper)
    force = bounds.weight * off
    felt = np.flatnonzero(off)  # most spheres do not touch
    pull = step.take(felt, 1) * (2 * force[felt] / distance[felt])
    where = np.concatenate((bounds.a[felt], bounds.b[felt]))
    return force * off, (where, np.concatenate((pull, -pull), axis=1))


def peptide_bounds(left: Numbers, count: int, weight: float) -> Bounds:
    """Bounds of the peptide bonds from residues ``left`` of ``count`` to the next ones."""
    kind_a, kind_b, target, share = (np.array(column) for column in zip(*_PEPTIDE, strict=True))
    goal = target.repeat(len(left))
    return Bounds(
        (kind_a[:, None] * count + left).ravel(),
        (kind_b[:, None] * count + left + 1).ravel(),
        goal,
        goal,
        weight * share.repeat(len(left)),
    )


def near(a: Array, b: Array, reach: float, item: Numbers) -> tuple[Numbers, Numbers]:
    """Pairs of residues of one backbone whose points lie within reach.

    Parameters
    ----------
    a, b : ndarray, shape=(3, R)
        A point of every residue.
    reach : float
        Angstrom.
    item : ndarray, dtype=int64, shape=(R,)
        Which backbone of the batch, ascending.

    Returns
    -------
    i, j : ndarray, dtype=int64, shape=(P,)
        Ordered by i, then j.
    """
    first, second, start = [], [], 0
    for size in np.bincount(item).tolist():
        stop = start + size
        for row in range(start, stop, _ROWS):
            square = np.zeros((min(_ROWS, stop - row), size))
            for left, right in zip(a[:, row:stop], b[:, start:stop], strict=True):
                step = left[:_ROWS, None] - right
                step *= step
                square += step
            i, j = np.divmod(np.flatnonzero(square < reach * reach), size)
            first.append(i + row)
            second.append(j + start)
        start = stop
    return np.concatenate(first), np.concatenate(second)


def clash_bounds(
    atoms: Array, item: Numbers, position: Numbers, body: Numbers, weight: float
) -> Bounds:
    """Soft spheres between residues that are near each other now.

    Parameters
    ----------
    atoms : ndarray, shape=(3, 5, R)
    item : ndarray, dtype=int64, shape=(R,)
        Which backbone of the batch, ascending.
    position : ndarray, dtype=int64, shape=(R,)
        Position along the chain; residues of two chains differ by a jump.
    body : ndarray, dtype=int64, shape=(R,)
        Rigid body; pairs inside one are left out.
    weight : float
        Force constant.

    Returns
    -------
    Bounds
    """
    count = atoms.shape[2]
    i, j = near(atoms[:, CA], atoms[:, CA], _REACH, item)
    gap = position[j] - position[i]
    keep = (i < j) & (body[i] != body[j]) & (gap >= 2)
    i, j, next_but_one = i[keep], j[keep], gap[keep] == 2
    one, two = atoms.take(i, 2), atoms.take(j, 2)
    a, b, bounds = [], [], []
    for kind, row in enumerate(_CLOSEST):
        for other, closest in enumerate(row):
            lower = np.full(len(i), closest)
            if (kind, other) in _CLOSEST_1_3:
                lower[next_but_one] = _CLOSEST_1_3[kind, other]
            step = one[:, kind] - two[:, other]
            listed = np.flatnonzero((step * step).sum(0) < (lower + _MARGIN) ** 2)
            a.append(kind * count + i[listed])
            b.append(other * count + j[listed])
            bounds.append(lower[listed])
    bound = np.concatenate(bounds)
    return Bounds(
        np.concatenate(a),
        np.concatenate(b),
        bound,
        np.full_like(bound, np.inf),
        np.full_like(bound, weight),
    )


def elastic_bounds(
    atoms: Array, item: Numbers, body: Numbers, owner: Numbers, weight: float
) -> Bounds:
    """CA distances that tie loose residues of a piece to its body, within a tolerance.

    An elastic network (Tirion 1996, Phys. Rev. Lett. 77, 1905) between every residue that was
    loosened from its piece and the nearest residues of the piece.

    Parameters
    ----------
    atoms : ndarray, shape=(3, 5, R)
        Angstrom.
    item, body : ndarray, dtype=int64, shape=(R,)
        Backbone of the batch, and body.
    owner : ndarray, dtype=int64, shape=(R,)
        Piece, -1 for none; a residue is loose if its piece has a larger body than its own.
    weight : float
        Force constant.

    Returns
    -------
    Bounds
    """
    ca, count = atoms[:, CA], atoms.shape[2]
    size = np.bincount(body)[body]
    first, second = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for place in np.flatnonzero((owner >= 0) & (size == 1)):
        fixed = np.flatnonzero((item == item[place]) & (owner == owner[place]) & (size > 1))
        distance = np.linalg.norm(ca[:, fixed] - ca[:, place, None], axis=0)
        ties = fixed[distance.argsort()[:_ELASTIC_TIES]]
        first.append(np.full_like(ties, place))
        second.append(ties)
    i, j = np.concatenate(first), np.concatenate(second)
    rest = np.linalg.norm(ca[:, i] - ca[:, j], axis=0)
    return Bounds(
        CA * count + i,
        CA * count + j,
        rest - _ELASTIC_TOLERANCE,
        rest + _ELASTIC_TOLERANCE,
        np.full_like(rest, weight),
    )


def rounded_hinge(lack: Array) -> tuple[Array, Array]:
    """``max(0, lack)``, quadratic over the first unit: no force jumps; and its slope."""
    lack = np.maximum(lack, 0)
    slope = np.minimum(lack, 1)
    return slope * (lack - 0.5 * slope), slope


def _cross(a: Array, b: Array) -> Array:
    """Cross product of shape (3, n)."""
    (a0, a1, a2), (b0, b1, b2) = a, b
    product = np.empty_like(a)
    product[0] = a1 * b2 - a2 * b1
    product[1] = a2 * b0 - a0 * b2
    product[2] = a0 * b1 - a1 * b0
    return product


def torsion_terms(
    points: Array,
    atoms: Numbers,
    bonds: int,
    forces: tuple[float, float],
    log_floor: float,
) -> tuple[Array, Array, Pull]:
    """Energies of omega and of (phi, psi), and the pull of both.

    Parameters
    ----------
    points : ndarray, shape=(3, 5 R)
        Atoms in angstrom.
    atoms : ndarray, dtype=int64, shape=(4, bonds + 2 residues)
        Of all omega, phi and psi: `torsion_atoms`.
    bonds : int
        How many are omega.
    forces : tuple of float
        Force constants of planarity and of the Ramachandran density.
    log_floor : float
        ln p from which on there is no force.

    Returns
    -------
    planarity : ndarray, shape=(bonds,)
        ``1 + cos(omega)`` times its force constant.
    rama : ndarray, shape=(residues,)
        ``max(0, log_floor - ln p)``, rounded off quadratically over the first unit, times its own.
    pull : Pull
    """
    p = points.take(atoms, 1)
    b1, b2, b3 = p[:, 1] - p[:, 0], p[:, 2] - p[:, 1], p[:, 3] - p[:, 2]
    n1, n2 = _cross(b1, b2), _cross(b2, b3)
    square = (b2 * b2).sum(0) + 1e-8
    length = np.sqrt(square)
    angle = np.arctan2(length * (b1 * n2).sum(0), (n1 * n2).sum(0))

    omega, (phi, psi) = angle[:bonds], np.split(angle[bonds:], 2)
    density, by_phi, by_psi = rama_slopes(phi, psi)
    lack, slope = rounded_hinge(log_floor - density)
    slope *= -forces[1]
    by_angle = np.concatenate((-forces[0] * np.sin(omega), slope * by_phi, slope * by_psi))

    scale = by_angle * length
    first = -scale / ((n1 * n1).sum(0) + 1e-8) * n1  # none over collinear atoms
    last = scale / ((n2 * n2).sum(0) + 1e-8) * n2
    shared = ((b1 * b2).sum(0) * first - (b3 * b2).sum(0) * last) / square
    pull = np.concatenate((first, -first - shared, shared - last, last), axis=1)
    return forces[0] * (1 + np.cos(omega)), forces[1] * lack, (atoms.ravel(), pull)
