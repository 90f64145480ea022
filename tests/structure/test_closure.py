"""Closing backbones, measured by plain numpy geometry that shares nothing with the energy."""

import math

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from proteinweaver.structure.closure import ClosureForces, close_backbone
from proteinweaver.structure.closure_bodies import Pose, find_bodies
from proteinweaver.structure.closure_energy import ClosureEnergy
from proteinweaver.structure.closure_terms import bounded, peptide_bounds
from proteinweaver.structure.frames import coord_from_frames, frames_from_coord, psi_from_coord
from proteinweaver.structure.hydrogen_bonds import hydrogen_bond_energy, hydrogen_bond_pairs
from proteinweaver.structure.ideal import build_backbone, ideal_element
from proteinweaver.structure.rama import rama_log_density


def peptide_bonds(coord) -> np.ndarray:
    xyz = np.asarray(coord, dtype=np.float64)
    return np.linalg.norm(xyz[1:, 0] - xyz[:-1, 2], axis=-1)


def ca_steps(coord) -> np.ndarray:
    ca = np.asarray(coord, dtype=np.float64)[:, 1]
    return np.linalg.norm(ca[1:] - ca[:-1], axis=-1)


def omega_deg(coord) -> np.ndarray:
    xyz = np.asarray(coord, dtype=np.float64)
    a, b, c, d = xyz[:-1, 1], xyz[:-1, 2], xyz[1:, 0], xyz[1:, 1]
    n1, n2 = np.cross(b - a, c - b), np.cross(c - b, d - c)
    cosine = (n1 * n2).sum(-1) / np.linalg.norm(n1, axis=-1) / np.linalg.norm(n2, axis=-1)
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def closest_ca(coord, gap: int = 2) -> float:
    ca = np.asarray(coord, dtype=np.float64)[:, 1]
    distance = np.linalg.norm(ca[:, None] - ca[None], axis=-1)
    return float(distance[np.triu_indices(len(ca), gap)].min())


def hydrogen_bond_count(coord) -> int:
    """Donors with an acceptor under -0.5 kcal/mol by Kabsch & Sander, written out atom by atom."""
    xyz = np.asarray(coord, dtype=np.float64)
    count = 0
    for d in range(1, len(xyz)):
        n, carbonyl = xyz[d, 0], xyz[d - 1, 2] - xyz[d - 1, 3]
        h = n + 1.01 * carbonyl / np.linalg.norm(carbonyl)
        energies = [
            27.9
            * (
                1 / np.linalg.norm(o - n)
                + 1 / np.linalg.norm(c - h)
                - 1 / np.linalg.norm(o - h)
                - 1 / np.linalg.norm(c - n)
            )
            for a, (c, o) in enumerate(xyz[:, 2:4])
            if abs(a - d) >= 2
        ]
        count += min(energies) < -0.5
    return count


def log_density_at(coord, residue: int) -> float:
    xyz = np.asarray(coord, dtype=np.float64)
    (n, ca, c), before, after = xyz[residue, :3], xyz[residue - 1, 2], xyz[residue + 1, 0]
    phi = torch.tensor([torsion(before, n, ca, c)])
    return float(rama_log_density(phi, torch.tensor([torsion(n, ca, c, after)]))[0])


def torsion(a, b, c, d) -> float:
    n1, n2 = np.cross(b - a, c - b), np.cross(c - b, d - c)
    return math.atan2(np.linalg.norm(c - b) * np.dot(b - a, n2), np.dot(n1, n2))


def wandering_chain(length: int = 60, seed: int = 0) -> torch.Tensor:
    """A helix, a loop of polyproline, a strand, a loop, a helix: ideal bonds, no clash."""
    degrees = {"H": (-63.0, -42.5), "E": (-118.0, 134.0), "P": (-70.0, 145.0)}
    kinds = ("H" * 16 + "P" * 4 + "E" * 8 + "P" * 4 + "H" * 40)[:length]
    rng = np.random.default_rng(seed)
    torsions = np.array([degrees[kind] for kind in kinds]) + rng.normal(0, 4, (length, 2))
    phi, psi = torch.deg2rad(torch.tensor(torsions, dtype=torch.float32)).T
    return build_backbone(phi, psi)


def jittered(coord: torch.Tensor, shift: float, turn_deg: float, seed: int = 0) -> torch.Tensor:
    """Frames moved one by one, as a network leaves them."""
    rng = np.random.default_rng(seed)
    rot, trans = frames_from_coord(coord)
    vectors = np.radians(turn_deg) * rng.standard_normal((len(coord), 3))
    turns = torch.tensor(Rotation.from_rotvec(vectors).as_matrix(), dtype=torch.float32)
    moved = trans + shift * torch.tensor(rng.standard_normal(trans.shape), dtype=torch.float32)
    return coord_from_frames(rot @ turns, moved, psi_from_coord(coord))


def turned(coord: torch.Tensor, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    rot = torch.tensor(Rotation.random(random_state=seed).as_matrix(), dtype=torch.float32)
    return coord @ rot.T + torch.tensor([11.0, -7.0, 3.0]), rot


def test_a_sound_chain_stays_where_it_is() -> None:
    chain = wandering_chain()
    result = close_backbone(chain)
    assert float(result.moved) < 0.1
    assert hydrogen_bond_count(result.coord) >= hydrogen_bond_count(chain)


@pytest.mark.parametrize(("shift", "turn"), [(0.15, 3.0), (0.3, 5.0)])
def test_open_peptide_bonds_are_closed(shift: float, turn: float) -> None:
    open_chain = jittered(wandering_chain(), shift, turn)
    assert np.mean(np.abs(peptide_bonds(open_chain) - 1.329) < 0.1) < 0.6
    result = close_backbone(open_chain)
    assert np.abs(peptide_bonds(result.coord) - 1.329).max() < 0.1
    assert np.abs(ca_steps(result.coord) - 3.8).max() < 0.15
    assert omega_deg(result.coord).min() > 150
    assert float(result.worst_bond) == pytest.approx(
        np.abs(peptide_bonds(result.coord) - 1.329).max(), abs=1e-5
    )
    assert float(result.moved) < 2 * shift + 0.1


def test_closing_brings_a_jittered_chain_nearer_to_the_sound_one() -> None:
    chain = wandering_chain()
    open_chain = jittered(chain, 0.3, 5.0)
    closed = close_backbone(open_chain).coord
    before = (open_chain - chain)[:, 1].square().sum(-1).mean().sqrt()
    after = (closed - chain)[:, 1].square().sum(-1).mean().sqrt()
    assert float(after) < 0.85 * float(before)


def test_hydrogen_bonds_of_a_shaken_helix_come_back() -> None:
    shaken = [jittered(ideal_element("H", 24), 0.5, 14.0, seed) for seed in (4, 5)]
    closed = [close_backbone(chain).coord for chain in shaken]
    unheld = ClosureForces(hydrogen_bond=0.0)
    without = [close_backbone(chain, forces=unheld).coord for chain in shaken]
    count = [sum(hydrogen_bond_count(c) for c in chains) for chains in (shaken, closed, without)]
    assert count[1] > count[0]
    assert count[1] > count[2] + 4


def test_clashing_chains_part() -> None:
    """Two strands laid 2.8 angstrom apart, as one chain with a break between."""
    strand = ideal_element("E", 8)
    pair = torch.cat((strand, strand + torch.tensor([0.0, 0.0, 2.8])))
    bonded = torch.ones(16, dtype=torch.bool)
    bonded[7] = False
    assert closest_ca(pair, 3) < 3.0
    assert closest_ca(close_backbone(pair, bonded=bonded).coord, 3) > 3.6


def test_a_break_stays_open() -> None:
    chain = wandering_chain(40)
    chain[20:] += torch.tensor([0.0, 6.0, 0.0])
    bonded = torch.ones(40, dtype=torch.bool)
    bonded[19] = False
    assert peptide_bonds(close_backbone(chain, bonded=bonded).coord)[19] > 4.5
    assert peptide_bonds(close_backbone(chain).coord)[19] < 4.5


@pytest.mark.parametrize("start", [(0.0, -40.0), (0.0, -90.0), (120.0, 60.0)])
def test_forbidden_torsions_leave(start: tuple[float, float]) -> None:
    """One forbidden residue between strands reaches an allowed region, but only when asked."""
    phi = torch.full((15,), math.radians(-118.0))
    psi = torch.full((15,), math.radians(134.0))
    phi[7], psi[7] = math.radians(start[0]), math.radians(start[1])
    chain = build_backbone(phi, psi)
    forced = close_backbone(chain).coord
    ignored = close_backbone(chain, glycine=torch.arange(15) == 7).coord
    assert log_density_at(forced, 7) > math.log(0.02) > log_density_at(ignored, 7)


def test_insides_of_rigid_pieces_are_kept() -> None:
    """Distances and handedness inside pieces; the O before a linker follows the linker."""
    chain = jittered(wandering_chain(), 0.3, 5.0)
    piece = torch.full((60,), -1)
    piece[:25], piece[31:] = 0, 1
    closed = close_backbone(chain, piece=piece).coord
    for rows in (slice(0, 25), slice(31, 60)):
        before, after = chain[rows].double(), closed[rows].double()
        for atoms in (lambda x: x[:, :3], lambda x: x[:-1]):
            a, b = atoms(before).reshape(-1, 3), atoms(after).reshape(-1, 3)
            torch.testing.assert_close(torch.cdist(a, a), torch.cdist(b, b), rtol=0, atol=1e-4)
            centred_a, centred_b = a - a.mean(0), b - b.mean(0)
            assert torch.linalg.det(centred_a.T @ centred_b) > 0
    hinges = peptide_bonds(closed)[24:31]
    assert np.abs(hinges - 1.329).max() < 0.1


def test_one_piece_does_not_move() -> None:
    chain = jittered(wandering_chain(), 0.3, 5.0)
    closed = close_backbone(chain, piece=torch.zeros(60, dtype=torch.int64)).coord
    torch.testing.assert_close(closed, chain, rtol=0, atol=1e-4)
    loose = close_backbone(chain, piece=torch.zeros(60, dtype=torch.int64), rigid=False).coord
    torch.testing.assert_close(loose, close_backbone(chain).coord)


def test_alone_and_in_a_batch() -> None:
    """Same coordinates with other chains beside; padding is left alone."""
    chains = [
        jittered(wandering_chain(n, seed), 0.3, 5.0, seed) for seed, n in enumerate((60, 33, 47))
    ]
    batch, mask = torch.full((3, 64, 4, 3), 5.0), torch.zeros(3, 64, dtype=torch.bool)
    for row, chain in enumerate(chains):
        batch[row, : len(chain)], mask[row, : len(chain)] = chain, True
    together = close_backbone(batch, mask)
    for row, chain in enumerate(chains):
        alone = close_backbone(chain)
        torch.testing.assert_close(
            together.coord[row, : len(chain)], alone.coord, rtol=0, atol=1e-3
        )
        torch.testing.assert_close(together.moved[row : row + 1], alone.moved, rtol=0, atol=1e-4)
    assert torch.equal(together.coord[~mask], batch[~mask])


def test_deterministic_to_the_bit() -> None:
    chain = jittered(wandering_chain(), 0.3, 5.0)
    assert torch.equal(close_backbone(chain).coord, close_backbone(chain).coord)


def test_follows_rotation_and_translation() -> None:
    chain = jittered(wandering_chain(), 0.2, 4.0)
    moved, rot = turned(chain)
    expected = close_backbone(chain).coord @ rot.T + torch.tensor([11.0, -7.0, 3.0])
    torch.testing.assert_close(close_backbone(moved).coord, expected, rtol=0, atol=5e-3)


def test_small_differences_stay_small() -> None:
    """Another batch rounds differently: 1e-5 angstrom must not become visible in a file (1e-3)."""
    chain = jittered(wandering_chain(), 0.2, 4.0)
    noise = 1e-5 * torch.randn(chain.shape, generator=torch.Generator().manual_seed(0))
    change = close_backbone(chain + noise).coord - close_backbone(chain).coord
    assert float(change.norm(dim=-1).median()) < 1e-4
    assert float(change.norm(dim=-1).max()) < 3e-3


@pytest.mark.parametrize(
    "coord",
    [
        torch.zeros(1, 4, 3),
        torch.zeros(9, 4, 3),
        ideal_element("H", 1),
        ideal_element("H", 2),
        torch.linspace(0, 30, 9)[:, None, None].expand(9, 4, 3),
    ],
)
def test_degenerate_input_gives_finite_output(coord: torch.Tensor) -> None:
    assert bool(close_backbone(coord, steps=20).coord.isfinite().all())


def test_nothing_to_close() -> None:
    empty = torch.full((2, 5, 4, 3), math.nan)
    result = close_backbone(empty, torch.zeros(2, 5, dtype=torch.bool))
    assert result.coord.shape == empty.shape


def test_refuses_what_does_not_fit() -> None:
    chain = ideal_element("H", 5)
    with pytest.raises(ValueError, match=r"\(5, 4\), not \(B, L, 4, 3\)"):
        close_backbone(chain[..., 0])
    with pytest.raises(ValueError, match="piece has shape"):
        close_backbone(chain, piece=torch.zeros(4))
    chain[2, 1, 0] = math.nan
    with pytest.raises(ValueError, match="not finite"):
        close_backbone(chain)


def five_atoms(coord: torch.Tensor) -> np.ndarray:
    """Atoms kind by kind, shape (3, 5, R); the fifth is any."""
    return np.moveaxis(torch.cat((coord, coord[:, :1]), dim=1).double().numpy(), (0, 2), (2, 0))


def test_ideal_geometry_has_no_peptide_energy() -> None:
    """Bonds and 1-3 distances of the energy are those of the ideal chain builder."""
    points = five_atoms(wandering_chain(20)).reshape(3, -1)
    energy, _ = bounded(points, peptide_bounds(np.arange(19), 20, 100.0))
    assert energy.max() < 0.01  # 0.01 angstrom off costs 0.01


def test_hydrogen_bond_energy_is_kabsch_and_sander() -> None:
    """The rounded hinge undone, the energy of one bond is the published formula's."""
    helix = ideal_element("H", 12)
    atoms = five_atoms(helix)
    item, position = np.zeros(12, dtype=np.int64), np.arange(12)
    acceptor, donor, weight = hydrogen_bond_pairs(atoms, item, position, position > 0, 3.0)
    assert set(zip(acceptor.tolist(), donor.tolist(), strict=True)) >= {
        (i, i + 4) for i in range(8)
    }
    assert weight.max() <= 1.0
    xyz = helix.double().numpy()
    n, c, o = xyz[6, 0], xyz[2, 2], xyz[2, 3]
    carbonyl = xyz[5, 2] - xyz[5, 3]
    h = n + 1.01 * carbonyl / np.linalg.norm(carbonyl)
    distance = [np.linalg.norm(x) for x in (o - n, c - h, o - h, c - n)]
    energy = 27.9 * (1 / distance[0] + 1 / distance[1] - 1 / distance[2] - 1 / distance[3])
    pair = np.array([2]), np.array([6]), np.ones(1)
    lack, _ = hydrogen_bond_energy(atoms.reshape(3, -1), *pair, target=-10.0)
    assert lack[0] - 0.5 * 1 == pytest.approx(energy + 10.0 - 1.0, abs=1e-3)
    assert hydrogen_bond_energy(atoms.reshape(3, -1), *pair, target=0.0)[0][0] == 0.0


@pytest.mark.parametrize("pieces", [False, True])
def test_forces_are_the_slope_of_the_energy(pieces: bool) -> None:
    """Of two chains with everything wrong in them, against central differences."""
    chain = jittered(wandering_chain(), 0.6, 12.0)
    chain[30:] -= torch.tensor([4.0, 3.0, 0.0])  # clashes
    coord, mask = torch.stack((chain, chain.flip(0))).double(), torch.ones(2, 60).bool()
    piece = torch.full((2, 60), -1)
    if pieces:
        piece[:, 3:20], piece[:, 26:50] = 0, 1
    pose = Pose(find_bodies(coord, mask, piece, mask))
    none = np.ones(120, dtype=np.bool_)
    energy = ClosureEnergy(pose, ClosureForces(hydrogen_bond=6.0), none)
    rng = np.random.default_rng(0)
    x = 0.1 * rng.standard_normal((2, 3, pose.count))
    energy.relist(pose(x).atoms)
    assert len(energy.bounds.a) > len(energy.peptide.a)
    assert energy.pairs is not None
    assert len(energy.pairs[0]) > 5
    placed = pose(x)
    slope = pose.pulled_back(placed, energy(placed.atoms)[1])
    for _ in range(8):
        way = rng.standard_normal(x.shape)
        step = 1e-6
        ahead, behind = (energy(pose(x + s * way).atoms)[0] for s in (step, -step))
        assert (ahead - behind) / (2 * step) == pytest.approx((slope * way).sum(), rel=1e-5)


@pytest.mark.realdata
def test_natives_shaken_as_a_network_shakes_them(data_dir) -> None:
    """Held-out natives: jitter of 0.3 A and 5 degrees is closed, and natives hardly move."""
    data = np.load(data_dir / "domains.npz")
    offsets, coords = data["offsets"], data["coords"]
    size = np.diff(offsets)
    items = np.flatnonzero((data["split"] == 1) & (data["kind"] == 0) & (size > 70) & (size < 130))
    natives = [
        torch.tensor(coords[offsets[i] : offsets[i + 1]].astype(np.float32) * 0.01) for i in items
    ]
    names = [data["aatype"][offsets[i] : offsets[i + 1]] for i in items]
    trans = [k for k, chain in enumerate(natives) if ca_steps(chain).min() > 3.5][:4]
    glycine = [torch.tensor(names[k] == list(data["aatype_names"]).index("G")) for k in trans]
    natives = [natives[k] for k in trans]
    still = [close_backbone(c, glycine=g) for c, g in zip(natives, glycine, strict=True)]
    assert np.mean([float(result.moved) for result in still]) < 0.15
    assert max(float(result.worst_bond) for result in still) < 0.05
    for seed, chain in enumerate(natives):
        closed = close_backbone(jittered(chain, 0.3, 5.0, seed)).coord
        assert np.mean(np.abs(peptide_bonds(closed) - 1.329) < 0.1) > 0.98
        assert np.mean(np.abs(ca_steps(closed) - 3.8) < 0.2) > 0.99
        assert closest_ca(closed, 3) > 3.5
        assert (closed - chain)[:, 1].square().sum(-1).mean().sqrt() < 0.5
