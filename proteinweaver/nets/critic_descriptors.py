"""What a chemist would count of every residue: hydrogen bonds, contacts, torsions, depth.

Their means over a backbone are the long-range columns of its geometry (hydrogen bonds per residue,
those over more than 5 residues, contacts over 12 or more, Ramachandran, radius of gyration), so a
head that sees them knows at least what those columns tell. Counts are smooth steps, so that noise
of a tenth of an angstrom moves them little.

References
----------
Kabsch & Sander 1983, Biopolymers 22, 2577, equation (1) (hydrogen bonds).
"""

import torch
from torch import Tensor

from proteinweaver.nets.critic_graph import PackedChains, node_features
from proteinweaver.structure.rama import rama_log_density

__all__ = ["DESCRIPTORS", "residue_descriptors"]

DESCRIPTORS = 13
_FACTOR = 27.9  # kcal/mol angstrom
_CUTOFF, _SOFT = -0.5, 0.15  # kcal/mol
_NH = 1.01  # angstrom
_LONG_BOND, _LONG_CONTACT = 5, 12
_GYRATION, _POWER = 2.2, 0.38


def _bond_energy(chains: PackedChains) -> Tensor:
    """Energy of N-H of the receiver with O=C of every neighbour, kcal/mol, shape=(R, K)."""
    n, c, o = chains.coord[:, 0], chains.coord[:, 2], chains.coord[:, 3]
    carbonyl = c - o
    carbonyl = carbonyl / carbonyl.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    before = torch.cat((carbonyl[:1], carbonyl[:-1]))
    h = n + _NH * before
    other_o, other_c = o[chains.neighbour], c[chains.neighbour]

    def inverse(a: Tensor, b: Tensor) -> Tensor:
        return 1.0 / (a - b).norm(dim=-1).clamp_min(1.0)

    return _FACTOR * (
        inverse(other_o, n[:, None])
        + inverse(other_c, h[:, None])
        - inverse(other_o, h[:, None])
        - inverse(other_c, n[:, None])
    )


def residue_descriptors(chains: PackedChains) -> Tensor:
    """Describe every residue.

    Parameters
    ----------
    chains : PackedChains

    Returns
    -------
    Tensor, shape=(R, DESCRIPTORS)
        Donated and accepted hydrogen bonds, all and long-range; contacts within 8 A over 12 or
        more residues and within 10 A; distance of the farthest neighbour; Ramachandran density,
        its logarithm and whether it is known; squared depth over the squared radius of gyration of
        a native, twice (plain and clipped); logarithm of the length.
    """
    apart = (chains.index[chains.neighbour] - chains.index[:, None]).abs()
    bonded = torch.zeros_like(chains.index, dtype=torch.bool)
    bonded[1:] = (chains.index[1:] - chains.index[:-1] == 1) & (
        chains.item[1:] == chains.item[:-1]
    )
    energy = _bond_energy(chains)
    allowed = chains.near & (apart >= 2) & bonded[:, None]
    strength = torch.sigmoid((_CUTOFF - energy) / _SOFT) * allowed
    distant = strength * (apart > _LONG_BOND)
    donated, donated_far = strength.amax(-1), distant.amax(-1)
    rows = chains.neighbour.flatten()
    nothing = strength.new_zeros(len(energy))
    accepted, accepted_far = (
        nothing.scatter_reduce(0, rows, value.flatten(), "amax") for value in (strength, distant)
    )
    ca = chains.coord[:, 1]
    distance = (ca[chains.neighbour] - ca[:, None]).norm(dim=-1)
    far_contact = torch.sigmoid((8.0 - distance) / 0.2) * (apart >= _LONG_CONTACT) * chains.near
    near_contact = torch.sigmoid((10.0 - distance) / 0.2) * chains.near
    turns = node_features(chains.coord, chains.index)
    known = turns[:, 2] * turns[:, 5]
    density = rama_log_density(
        torch.atan2(turns[:, 1], turns[:, 0]), torch.atan2(turns[:, 4], turns[:, 3])
    ).clamp(-8.0, 1.0)
    length = (
        torch.zeros(chains.count, dtype=ca.dtype)
        .to(ca)
        .index_add(0, chains.item, torch.ones_like(known))
    )
    centre = ca.new_zeros(chains.count, 3).index_add(0, chains.item, ca) / length[:, None]
    depth = (ca - centre[chains.item]).square().sum(-1)
    depth = depth / (_GYRATION * length[chains.item] ** _POWER) ** 2
    return torch.stack(
        (
            donated,
            donated_far,
            accepted,
            accepted_far,
            far_contact.sum(-1) / 4.0,
            near_contact.sum(-1) / 20.0,
            distance.amax(-1) / 10.0,
            torch.sigmoid((density + 3.9) / 0.5) * known,
            0.2 * density * known,
            known,
            depth,
            depth.clamp_max(4.0).sqrt(),
            length.log()[chains.item] / 5.0,
        ),
        dim=-1,
    )
