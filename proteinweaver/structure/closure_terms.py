"""Terms of the energy that closes a backbone: bounded distances and torsions.

All residues of a batch lie behind each other in one flat list of atoms, five a residue: N, CA, C,
O and a virtual CB. Covalent geometry and soft spheres are one kind of term, a bounded distance,

    E = sum k [max(0, lower - d)^2 + max(0, d - upper)^2],

with ``lower = upper`` for a bond. Angles enter as 1-3 distances. Torsions add ``1 + cos(omega)``
per peptide and ``max(0, ln p0 - ln p(phi, psi))`` per residue (`proteinweaver.structure.rama`):
nothing inside the allowed regions.

References
----------
Engh & Huber 2001, International Tables for Crystallography F, 18.3.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from proteinweaver.structure.rama import rama_log_density

__all__ = [
    "ATOMS",
    "Bounds",
    "bounded",
    "clash_bounds",
    "elastic_bounds",
    "peptide_bounds",
    "rounded_hinge",
    "torsion_terms",
]

#: Atoms a residue in the flat list: N, CA, C, O, virtual CB.
ATOMS = 5
_N, _CA, _C, _O, _CB = range(ATOMS)

# Lower bounds in angstrom for residues at least 3 apart: about the closest 0.3% of pairs in
# crystal structures, a little lower for the virtual CB (a glycine has none); CA-CA is 3.85.
_CLOSEST = (
    (3.50, 3.65, 3.55, 2.62, 3.10),
    (3.65, 3.85, 3.80, 3.00, 3.30),
    (3.55, 3.80, 3.60, 3.15, 3.15),
    (2.62, 3.00, 3.15, 2.95, 2.90),
    (3.10, 3.30, 3.15, 2.90, 3.40),
)
_CLOSEST_CA_1_3 = 4.9
_CLOSEST_C_N_1_3 = 2.75
_REACH = 9.0  # CA-CA distance beyond which no two atoms of two residues can touch, margin included
_ELASTIC_TIES, _ELASTIC_TOLERANCE = 8, 0.3  # of a loose residue: neighbours, angstrom
_MARGIN = 1.2  # pairs this much farther than their bound are listed too: they may come closer

# Peptide geometry, Engh & Huber 2001: C-N 1.329; CA-C-N 116.8, C-N-CA 121.7 degrees as distances;
# CA-CA trans.
_PEPTIDE = (
    (_C, _N, 1.329, 1.0),
    (_CA, _N, 2.433, 0.6),
    (_C, _CA, 2.436, 0.6),
    (_CA, _CA, 3.803, 0.6),
)


@dataclass(frozen=True)
class Bounds:
    """Bounded distances between flat atoms ``a`` and ``b`` (angstrom), with force constants."""

    a: Tensor
    b: Tensor
    lower: Tensor
    upper: Tensor
    weight: Tensor

    def joined(self, other: "Bounds") -> "Bounds":
        """Both lists behind each other."""
        return Bounds(
            torch.cat((self.a, other.a)),
            torch.cat((self.b, other.b)),
            torch.cat((self.lower, other.lower)),
            torch.cat((self.upper, other.upper)),
            torch.cat((self.weight, other.weight)),
        )


def bounded(atoms: Tensor, bounds: Bounds) -> Tensor:
    """Energy of every bounded distance, shape=(P,)."""
    distance = (atoms[bounds.a] - atoms[bounds.b]).square().sum(-1).add(1e-8).sqrt()
    off = (bounds.lower - distance).clamp_min(0) + (distance - bounds.upper).clamp_min(0)
    return bounds.weight * off.square()


def peptide_bounds(left: Tensor, weight: float) -> Bounds:
    """Bounds of the peptide bonds from residues ``left`` (flat numbers) to the next ones."""
    atoms_a, atoms_b, target, weights = [], [], [], []
    for atom_a, atom_b, distance, share in _PEPTIDE:
        atoms_a.append(left * ATOMS + atom_a)
        atoms_b.append((left + 1) * ATOMS + atom_b)
        target.append(torch.full(left.shape, distance))
        weights.append(torch.full(left.shape, weight * share))
    goal = torch.cat(target)
    return Bounds(torch.cat(atoms_a), torch.cat(atoms_b), goal, goal, torch.cat(weights))


def clash_bounds(
    atoms: Tensor, item: Tensor, position: Tensor, body: Tensor, weight: float
) -> Bounds:
    """Soft spheres between residues that are near each other now.

    Parameters
    ----------
    atoms : Tensor, shape=(R * 5, 3)
    item : Tensor, dtype=int64, shape=(R,)
        Which backbone of the batch, ascending.
    position : Tensor, dtype=int64, shape=(R,)
        Position along the chain; residues of two chains differ by a jump.
    body : Tensor, dtype=int64, shape=(R,)
        Rigid body; pairs inside one are left out.
    weight : float
        Force constant.

    Returns
    -------
    Bounds
    """
    ca = atoms.view(-1, ATOMS, 3)[:, _CA]
    first, second, start = [], [], 0
    for size in torch.bincount(item).tolist():
        here = ca[start : start + size]
        near = (
            torch.cdist(here, here, compute_mode="donot_use_mm_for_euclid_dist") < _REACH
        ).triu(2)
        i, j = near.nonzero(as_tuple=True)
        first.append(i + start)
        second.append(j + start)
        start += size
    i, j = torch.cat(first), torch.cat(second)
    gap = position[j] - position[i]
    keep = (body[i] != body[j]) & (gap >= 2)
    i, j, gap = i[keep], j[keep], gap[keep]
    lower = atoms.new_tensor(_CLOSEST).expand(len(i), ATOMS, ATOMS).clone()
    lower[gap == 2, _CA, _CA] = _CLOSEST_CA_1_3
    lower[gap == 2, _C, _N] = _CLOSEST_C_N_1_3
    slots = torch.arange(ATOMS)
    a = (i[:, None, None] * ATOMS + slots[:, None]).expand_as(lower).reshape(-1)
    b = (j[:, None, None] * ATOMS + slots).expand_as(lower).reshape(-1)
    bound = lower.reshape(-1)
    listed = (atoms[a] - atoms[b]).norm(dim=-1) < bound + _MARGIN
    a, b, bound = a[listed], b[listed], bound[listed]
    return Bounds(a, b, bound, torch.full_like(bound, torch.inf), torch.full_like(bound, weight))


def elastic_bounds(
    atoms: Tensor, item: Tensor, body: Tensor, owner: Tensor, weight: float
) -> Bounds:
    """CA distances that tie loose residues of a piece to its body, within a tolerance.

    An elastic network (Tirion 1996, Phys. Rev. Lett. 77, 1905) between every residue that was
    loosened from its piece and the nearest residues of the piece.

    Parameters
    ----------
    atoms : Tensor, shape=(R, 5, 3)
        Angstrom.
    item, body : Tensor, dtype=int64, shape=(R,)
        Backbone of the batch, and body.
    owner : Tensor, dtype=int64, shape=(R,)
        Piece, -1 for none; a residue is loose if its piece has a larger body than its own.
    weight : float
        Force constant.

    Returns
    -------
    Bounds
    """
    size = torch.bincount(body)[body]
    first, second = [], []
    for place in ((owner >= 0) & (size == 1)).nonzero()[:, 0].tolist():
        fixed = ((item == item[place]) & (owner == owner[place]) & (size > 1)).nonzero()[:, 0]
        distance = (atoms[fixed, _CA] - atoms[place, _CA]).norm(dim=-1)
        near = fixed[distance.argsort()[:_ELASTIC_TIES]]
        first.append(torch.full_like(near, place))
        second.append(near)
    none = torch.zeros(0, dtype=torch.int64)
    i, j = torch.cat([none, *first]), torch.cat([none, *second])
    rest = (atoms[i, _CA] - atoms[j, _CA]).norm(dim=-1)
    return Bounds(
        i * ATOMS + _CA,
        j * ATOMS + _CA,
        rest - _ELASTIC_TOLERANCE,
        rest + _ELASTIC_TOLERANCE,
        torch.full_like(rest, weight),
    )


def rounded_hinge(lack: Tensor) -> Tensor:
    """``max(0, lack)``, quadratic over the first unit: the force does not jump."""
    lack = lack.clamp_min(0)
    return torch.where(lack < 1, 0.5 * lack.square(), lack - 0.5)


def _torsions(p: Tensor) -> tuple[Tensor, Tensor]:
    """Unnormalised (cos, sin) of the torsions over four points, shape=(4, P, 3)."""
    b1, b2, b3 = p[1] - p[0], p[2] - p[1], p[3] - p[2]
    n1 = torch.linalg.cross(b1, b2, dim=-1)
    n2 = torch.linalg.cross(b2, b3, dim=-1)
    length = b2.square().sum(-1).add(1e-8).sqrt()
    return (n1 * n2).sum(-1), length * (b1 * n2).sum(-1)


def torsion_terms(
    atoms: Tensor, left: Tensor, middle: Tensor, log_floor: float
) -> tuple[Tensor, Tensor]:
    """Energies of omega and of (phi, psi).

    Parameters
    ----------
    atoms : Tensor, shape=(R * 5, 3)
    left : Tensor, dtype=int64, shape=(bonds,)
        Residues before the peptide bonds that count.
    middle : Tensor, dtype=int64, shape=(residues,)
        Residues, bonded on both sides, whose (phi, psi) count.
    log_floor : float
        ln p from which on there is no force.

    Returns
    -------
    planarity : Tensor, shape=(bonds,)
        ``1 + cos(omega)``.
    rama : Tensor, shape=(residues,)
        ``max(0, log_floor - ln p)``, rounded off quadratically over the first unit.
    """
    o, m = left * ATOMS, middle * ATOMS
    index = torch.cat(
        (
            torch.stack((o + _CA, o + _C, o + ATOMS + _N, o + ATOMS + _CA)),
            torch.stack((m - ATOMS + _C, m + _N, m + _CA, m + _C)),
            torch.stack((m + _N, m + _CA, m + _C, m + ATOMS + _N)),
        ),
        dim=1,
    )
    cosine, sine = _torsions(atoms[index])
    bonds, residues = len(left), len(middle)
    size = (cosine[:bonds].square() + sine[:bonds].square()).add(1e-8).sqrt()
    planarity = 1 + cosine[:bonds] / size
    angle = torch.atan2(sine[bonds:], cosine[bonds:] + 1e-12)
    return planarity, rounded_hinge(
        log_floor - rama_log_density(angle[:residues], angle[residues:])
    )
