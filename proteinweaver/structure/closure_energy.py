"""The energy that closes a backbone: distance bounds, torsions and hydrogen bonds.

All residues of a batch lie behind each other in one flat list of atoms, five a residue: N, CA, C, O and a virtual CB.
Covalent geometry and soft spheres are one kind of term, a bounded distance,

    E = sum k [max(0, lower - d)^2 + max(0, d - upper)^2],

with ``lower = upper`` for a bond. Angles enter as 1-3 distances. Torsions add ``1 + cos(omega)`` per peptide and
``max(0, ln p0 - ln p(phi, psi))`` per residue (`proteinweaver.structure.rama`): nothing inside the allowed regions.
Hydrogen bonds use the electrostatic energy of Kabsch & Sander 1983, equation (1),

    E = 27.9 (1/d_ON + 1/d_CH - 1/d_OH - 1/d_CN) kcal/mol,

with H placed opposite the preceding C=O, 1.01 angstrom from N.

References
----------
Kabsch & Sander 1983, Biopolymers 22, 2577. Engh & Huber 2001, International Tables F, 18.3.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from proteinweaver.structure.rama import rama_log_density

__all__ = ["ATOMS", "Bounds", "bounded", "clash_bounds", "hydrogen_bond_pairs", "peptide_bounds", "torsion_terms"]
__all__ += ["hydrogen_bond_energy"]

#: Atoms a residue in the flat list: N, CA, C, O, virtual CB.
ATOMS = 5
N, CA, C, O, CB = range(ATOMS)

# Lower bounds in angstrom for residues at least 3 apart: about the closest 0.3% of pairs in crystal structures, a little
# lower for the virtual CB (a glycine has none); CA-CA is 3.85.
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
_MARGIN = 1.2  # pairs this much farther than their bound are listed too, for they may come closer before the next list

# Peptide geometry, Engh & Huber 2001: C-N 1.329; CA-C-N 116.8, C-N-CA 121.7 degrees as distances; CA-CA trans.
_PEPTIDE = ((C, N, 1.329, 1.0), (CA, N, 2.433, 0.6), (C, CA, 2.436, 0.6), (CA, CA, 3.803, 0.6))


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


def clash_bounds(atoms: Tensor, item: Tensor, position: Tensor, body: Tensor, weight: float) -> Bounds:
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
    ca = atoms.view(-1, ATOMS, 3)[:, CA]
    first, second, start = [], [], 0
    for size in torch.bincount(item).tolist():
        here = ca[start : start + size]
        near = (torch.cdist(here, here, compute_mode="donot_use_mm_for_euclid_dist") < _REACH).triu(2)
        i, j = near.nonzero(as_tuple=True)
        first.append(i + start)
        second.append(j + start)
        start += size
    i, j = torch.cat(first), torch.cat(second)
    gap = position[j] - position[i]
    keep = (body[i] != body[j]) & (gap >= 2)
    i, j, gap = i[keep], j[keep], gap[keep]
    lower = torch.tensor(_CLOSEST).expand(len(i), ATOMS, ATOMS).clone()
    lower[gap == 2, CA, CA] = _CLOSEST_CA_1_3
    lower[gap == 2, C, N] = _CLOSEST_C_N_1_3
    slots = torch.arange(ATOMS)
    a = (i[:, None, None] * ATOMS + slots[:, None]).expand_as(lower).reshape(-1)
    b = (j[:, None, None] * ATOMS + slots).expand_as(lower).reshape(-1)
    bound = lower.reshape(-1)
    listed = (atoms[a] - atoms[b]).norm(dim=-1) < bound + _MARGIN
    a, b, bound = a[listed], b[listed], bound[listed]
    return Bounds(a, b, bound, torch.full_like(bound, torch.inf), torch.full_like(bound, weight))


def _rounded_hinge(lack: Tensor) -> Tensor:
    """``max(0, lack)`` with the corner rounded off quadratically over the first unit: no force jumps."""
    lack = lack.clamp_min(0)
    return torch.where(lack < 1, 0.5 * lack.square(), lack - 0.5)


def _torsions(p: Tensor) -> tuple[Tensor, Tensor]:
    """Unnormalised (cos, sin) of the torsions over four points, shape=(4, P, 3) to two of shape=(P,)."""
    b1, b2, b3 = p[1] - p[0], p[2] - p[1], p[3] - p[2]
    n1 = torch.linalg.cross(b1, b2, dim=-1)
    n2 = torch.linalg.cross(b2, b3, dim=-1)
    length = b2.square().sum(-1).add(1e-8).sqrt()
    return (n1 * n2).sum(-1), length * (b1 * n2).sum(-1)


def torsion_terms(atoms: Tensor, left: Tensor, middle: Tensor, log_floor: float) -> tuple[Tensor, Tensor]:
    """Energies of omega for the bonds from ``left`` and of (phi, psi) for the residues ``middle``.

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
            torch.stack((o + CA, o + C, o + ATOMS + N, o + ATOMS + CA)),
            torch.stack((m - ATOMS + C, m + N, m + CA, m + C)),
            torch.stack((m + N, m + CA, m + C, m + ATOMS + N)),
        ),
        dim=1,
    )
    cosine, sine = _torsions(atoms[index])
    bonds, residues = len(left), len(middle)
    size = (cosine[:bonds].square() + sine[:bonds].square()).add(1e-8).sqrt()
    planarity = 1 + cosine[:bonds] / size
    angle = torch.atan2(sine[bonds:], cosine[bonds:] + 1e-12)
    return planarity, _rounded_hinge(log_floor - rama_log_density(angle[:residues], angle[residues:]))


def _bond_energy(atoms: Tensor, acceptor: Tensor, donor: Tensor) -> tuple[Tensor, Tensor]:
    """Electrostatic energy (kcal/mol) and O-H distance of hydrogen bonds, shape=(P,) each."""
    previous = (donor - 1) * ATOMS
    carbonyl = atoms[previous + C] - atoms[previous + O]
    n = atoms[donor * ATOMS + N]
    h = n + 1.01 * carbonyl / carbonyl.square().sum(-1, keepdim=True).add(1e-8).sqrt()
    o, c = atoms[acceptor * ATOMS + O], atoms[acceptor * ATOMS + C]
    pairs = torch.stack((o - n, c - h, o - h, c - n))
    inverse = pairs.square().sum(-1).clamp_min(0.5).rsqrt()
    return 27.9 * (inverse[0] + inverse[1] - inverse[2] - inverse[3]), 1 / inverse[2]


def hydrogen_bond_pairs(
    atoms: Tensor, item: Tensor, position: Tensor, has_previous: Tensor, reach: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Nearly formed hydrogen bonds and how much each counts.

    The acceptors of one donor share a weight of 1 by a Boltzmann factor of their energies (0.3 kcal/mol), which fades out
    towards ``reach``, and for bonds whose geometry is repulsive: all smooth, so that rounding switches nothing.

    Parameters
    ----------
    atoms : Tensor, shape=(R * 5, 3)
    item, position : Tensor, dtype=int64, shape=(R,)
    has_previous : Tensor, dtype=bool, shape=(R,)
        True where a residue is bonded to the one before it, so that its H can be placed.
    reach : float
        Largest O-H distance in angstrom.

    Returns
    -------
    acceptor, donor : Tensor, dtype=int64, shape=(P,)
        Residue numbers.
    weight : Tensor, shape=(P,)
        Between 0 and 1.
    """
    grid = atoms.view(-1, ATOMS, 3)
    acceptors, donors, start = [], [], 0
    for size in torch.bincount(item).tolist():
        rows = slice(start, start + size)
        distance = torch.cdist(grid[rows, O], grid[rows, N], compute_mode="donot_use_mm_for_euclid_dist")
        apart = (position[rows][:, None] - position[rows][None, :]).abs()
        a, d = ((distance < reach + 1.01) & (apart >= 2) & has_previous[rows]).nonzero(as_tuple=True)
        acceptors.append(a + start)
        donors.append(d + start)
        start += size
    acceptor, donor = torch.cat(acceptors), torch.cat(donors)
    energy, o_h = _bond_energy(atoms, acceptor, donor)
    fade = (2 * (reach - o_h)).clamp(0, 1) * (-4 * energy).clamp(0, 1)
    boltzmann = torch.exp(-energy.clamp(-4, 0) / 0.3)
    total = torch.full((len(item),), 1.0).index_add_(0, donor, boltzmann)
    weight = fade * boltzmann / total[donor]
    listed = weight > 1e-6
    return acceptor[listed], donor[listed], weight[listed]


def hydrogen_bond_energy(atoms: Tensor, acceptor: Tensor, donor: Tensor, target: float) -> Tensor:
    """How far each listed bond is from ``target`` kcal/mol: ``max(0, E - target)``, rounded off; shape=(P,)."""
    energy, _ = _bond_energy(atoms, acceptor, donor)
    return _rounded_hinge(energy - target)
