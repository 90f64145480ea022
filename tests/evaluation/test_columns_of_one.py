"""Columns of one structure against other programs, brute force and closed forms."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from proteinweaver.evaluation.assembly import domain_labels
from proteinweaver.evaluation.baselines import add_noise
from proteinweaver.evaluation.covalent import bond_angle, covalent_metrics
from proteinweaver.evaluation.gate import gate_faults
from proteinweaver.evaluation.linkers import linker_rama_ok, linker_stretch
from proteinweaver.evaluation.measure import GEOMETRY, measure_backbone
from proteinweaver.evaluation.packing import crossovers, neighbours, packing_metrics
from proteinweaver.evaluation.schema import GEOMETRY_COLUMNS
from proteinweaver.evaluation.surface import accessible_area, interface_area, with_beads
from proteinweaver.io.read import read_structure
from proteinweaver.structure.backbone import Backbone
from proteinweaver.structure.dssp import dssp
from proteinweaver.structure.hbonds import bond_energies

#: H and E, B of mkdssp 4.2.2 (data release, raw/).
MKDSSP = {
    "1shg": ("--EEEE---B------B--B----EEEEEE-----EEEEEE--EEEEEE---EEEE-"),
    "1ubq": ("-EEEEEE----EEEEE-----BHHHHHHHHHHHH------EEEEE--EE-----B----------EEEEEE-----"),
    "3chy": (
        "------EEEE---HHHHHHHHHHHHHH----EEEE--HHHHHHHHHH----EEEEE-------HHHHHHH"
        "HHH--------EEEEE----HHHHHHHHH----EEEE----HHHHHHHHHHHHHHH--"
    ),
}


@pytest.fixture(scope="module")
def natives(data_dir):
    names = ("1ubq", "1shg", "3chy", "1div", "1pin")
    return {name: read_structure(data_dir / "raw" / f"{name}.pdb").backbone for name in names}


def turned(x: np.ndarray) -> np.ndarray:
    return x @ Rotation.random(random_state=3).as_matrix().T + 20.0


# ---- bonds and angles ---------------------------------------------------------------------------


def test_angles_against_the_law_of_cosines():
    a, b, c = np.random.default_rng(0).standard_normal((3, 50, 3))
    u, v = a - b, c - b
    cosine = (u * v).sum(-1) / np.linalg.norm(u, axis=1) / np.linalg.norm(v, axis=1)
    np.testing.assert_allclose(bond_angle(a, b, c), np.degrees(np.arccos(cosine)), atol=1e-9)
    assert bond_angle([1, 0, 0], [0, 0, 0], [-1, 1e-9, 0]) == pytest.approx(180)


@pytest.mark.realdata
def test_angles_and_torsions_against_gemmi(natives, data_dir):
    gemmi = pytest.importorskip("gemmi")
    backbone = natives["3chy"]
    chain = gemmi.read_structure(str(data_dir / "raw" / "3chy.pdb"))[0][0]
    residues = [r for r in chain if r.find_atom("CA", "*") and r.find_atom("N", "*")]
    place = [[r.find_atom(name, "*").pos for name in ("N", "CA", "C", "O")] for r in residues]
    angles = []
    for k, (n, ca, c, _) in enumerate(place):
        angles.append(math.degrees(gemmi.calculate_angle(n, ca, c)) - 111.0)
        if k + 1 < len(place):
            n2, ca2 = place[k + 1][:2]
            angles.append(math.degrees(gemmi.calculate_angle(ca, c, n2)) - 117.2)
            angles.append(math.degrees(gemmi.calculate_angle(c, n2, ca2)) - 121.7)
    omega = [abs(math.degrees(gemmi.calculate_omega(a, b))) for a, b in pairwise(residues)]
    found = covalent_metrics(backbone.coord, backbone.break_after)
    assert found.angle_dev == pytest.approx(np.sqrt(np.mean(np.square(angles))), rel=1e-4)
    assert found.angle_ok == pytest.approx(np.mean(np.abs(angles) <= 10))
    assert found.omega_cis == pytest.approx(np.mean(np.array(omega) <= 30))
    assert found.omega_cis > 0  # 3CHY has a cis proline
    bonds = [(n.dist(ca) - 1.459, ca.dist(c) - 1.525, c.dist(o) - 1.229) for n, ca, c, o in place]
    assert found.bond_dev == pytest.approx(np.sqrt(np.mean(np.square(bonds))), rel=1e-4)


def test_stretched_bonds_are_noticed(helix):
    wide = covalent_metrics(helix * np.float32(1.1))
    assert wide.bond_dev == pytest.approx(0.14, abs=0.01)  # a tenth of the mean length
    assert wide.angle_dev == pytest.approx(covalent_metrics(helix).angle_dev, abs=1e-3)
    noisy = covalent_metrics(add_noise(helix, 0.3, np.random.default_rng(0)))
    assert noisy.angle_ok < 0.6
    assert noisy.omega_twisted > 0


# ---- secondary structure ------------------------------------------------------------------------


@pytest.mark.realdata
@pytest.mark.parametrize("name", sorted(MKDSSP))
def test_dssp_agrees_with_the_program(name, natives):
    want = np.array([{"H": "a", "E": "b", "B": "b"}.get(c, "c") for c in MKDSSP[name]])
    found = dssp(natives[name].coord, natives[name].break_after)
    assert np.mean(found == want) > 0.97  # beta bulges are the difference


@pytest.mark.realdata
def test_dssp_agrees_with_pydssp(natives):
    pydssp = pytest.importorskip("pydssp")
    agree = [
        np.array(["c", "a", "b"])[pydssp.assign(np.array(b.coord), out_type="index")]
        == dssp(b.coord, b.break_after)
        for name, b in natives.items()
        if name != "1pin"  # pydssp knows no breaks
    ]
    assert np.mean(np.concatenate(agree)) > 0.93


def test_dssp_of_ideal_elements(helix):
    letters = "".join(dssp(helix))
    assert letters[1:-1] == "a" * 38
    assert set("".join(dssp(helix[:5]))) == {"c"}
    assert np.mean(dssp(add_noise(helix, 1.0, np.random.default_rng(0))) == "a") < 0.15
    cut = np.zeros(40, bool)
    cut[19] = True
    assert "".join(dssp(helix, cut))[19:21] == "cc"  # no helix spans a break


def test_bond_energies_against_the_formula(coil):
    donor, acceptor, energy = bond_energies(coil)
    assert len(donor) > 20
    n, c, o = coil[:, 0], coil[:, 2], coil[:, 3]
    for i, j, found in zip(donor[:40], acceptor[:40], energy[:40], strict=True):
        h = n[i] + (c[i - 1] - o[i - 1]) / np.linalg.norm(c[i - 1] - o[i - 1])
        r = [np.linalg.norm(p - q) for p, q in ((o[j], n[i]), (c[j], h), (o[j], h), (c[j], n[i]))]
        want = 332 * 0.42 * 0.20 * (1 / r[0] + 1 / r[1] - 1 / r[2] - 1 / r[3])
        assert found == pytest.approx(want, rel=1e-5)


# ---- packing ------------------------------------------------------------------------------------


def test_contact_order_against_brute_force(coil):
    ca = coil[:, 1]
    found = packing_metrics(coil, np.full(60, "c"))
    near = [
        j - i for i in range(60) for j in range(i + 3, 60) if np.linalg.norm(ca[i] - ca[j]) < 8.0
    ]
    assert found.contact_order == pytest.approx(np.mean(near) / 60)
    two = packing_metrics(coil, np.full(60, "c"), np.repeat([0, 1], 30))
    inside = [
        j - i
        for i in range(60)
        for j in range(i + 3, 60)
        if np.linalg.norm(ca[i] - ca[j]) < 8.0 and i // 30 == j // 30
    ]
    assert two.contact_order == pytest.approx(np.mean(inside) / 30)


def test_burial_against_brute_force(coil):
    n, ca, c = (coil[:, k].astype(np.float64) for k in range(3))
    b, a = ca - n, c - ca
    cb = -0.58273431 * np.cross(b, a) + 0.56802827 * b - 0.54067466 * a + ca
    want = (cdist(cb, cb) < 10.0).sum(axis=1) - 1
    np.testing.assert_array_equal(neighbours(coil), want)


@pytest.mark.realdata
def test_crossovers_of_a_flavodoxin_are_right_handed(natives):
    """3CHY is a parallel alpha/beta sandwich; its mirror image has left-handed crossovers."""
    coord = np.array(natives["3chy"].coord, dtype=np.float64)
    letters = dssp(coord)
    assert crossovers(coord[:, 1], letters) == [True] * 4
    mirror = coord * np.array([1.0, 1.0, -1.0])
    assert crossovers(mirror[:, 1], letters) == [False] * 4


# ---- surfaces -----------------------------------------------------------------------------------


def test_area_of_spheres_in_closed_form():
    """One sphere, and two that cut caps off each other: 2 pi R (R + (d^2 + R^2 - S^2) / 2d)."""
    alone = accessible_area([[0.0, 0, 0]], [1.6])
    assert alone[0] == pytest.approx(4 * np.pi * 3.0**2)
    d, R, S = 2.5, 3.0, 3.4
    both = accessible_area(turned(np.array([[0.0, 0, 0], [d, 0, 0]])), [1.6, 2.0])
    want = [2 * np.pi * a * (a + (d * d + a * a - b * b) / (2 * d)) for a, b in ((R, S), (S, R))]
    np.testing.assert_allclose(both, want, rtol=0.03)  # 92 test points
    assert accessible_area([[0.0, 0, 0], [0.1, 0, 0]], [1.0, 3.0])[0] == 0


@pytest.mark.realdata
def test_area_against_biotite(natives):
    structure = pytest.importorskip("biotite.structure")
    atoms, radius = with_beads(natives["1ubq"].coord)
    array = structure.AtomArray(atoms.shape[0] * 5)
    array.coord = atoms.reshape(-1, 3).astype(np.float32)
    array.element[:] = "C"
    want = structure.sasa(array, vdw_radii=radius.ravel(), point_number=500, ignore_ions=False)
    found = accessible_area(atoms.reshape(-1, 3), radius.ravel())
    assert found.sum() == pytest.approx(want.sum(), rel=0.01)
    assert np.corrcoef(found, want)[0, 1] > 0.995


@pytest.mark.realdata
def test_interface_area_is_what_the_parts_lose(natives):
    backbone = natives["1div"]
    label = domain_labels(149, [(0, 52), (52, 149)])
    atoms, radius = with_beads(backbone.coord)

    def area(rows: np.ndarray) -> float:
        return float(accessible_area(atoms[rows].reshape(-1, 3), radius[rows].ravel()).sum())

    want = (area(label == 1) + area(label == 2) - area(label > 0)) / 2
    assert interface_area(backbone.coord, label) == pytest.approx(want, abs=1e-6)
    assert want > 100
    far = np.array(backbone.coord)
    far[label == 2] += 100
    assert interface_area(far, label) == 0


# ---- linkers, gate, the whole row --------------------------------------------------------------


def test_linkers_in_closed_form():
    ca = np.zeros((12, 3))
    ca[:, 0] = 3.8 * np.arange(12)
    label = domain_labels(12, [(0, 4), (8, 12)])
    assert linker_stretch(ca, label) == [pytest.approx(3.8 * 5 / (0.3 + 3.5 * 5))]
    assert linker_stretch(ca, np.ones(12, int)) == []


def test_linker_torsions(helix):
    label = domain_labels(40, [(0, 15), (25, 40)])
    assert linker_rama_ok(helix, label) == 1
    bent = helix.copy()
    bent[20:] = turned(helix)[20:] - 15
    assert linker_rama_ok(bent, label) < 1
    assert math.isnan(linker_rama_ok(helix, np.ones(40, int)))


def test_a_row_has_the_columns_of_the_schema(helix):
    found = measure_backbone(Backbone.from_coord(helix))
    assert set(found.values) <= {c.key for c in GEOMETRY_COLUMNS}
    assert found.values["faults"] == "rg_ratio"  # a rod, and nothing else is wrong with it
    assert {layer.values.shape for layer in found.layers.values()} == {(40,)}
    assert found.layers["ss"].values[5] == 1
    assert not found.layers["faults"].values.any()
    assert len({c.key for c in GEOMETRY_COLUMNS}) == len(GEOMETRY_COLUMNS)
    assert GEOMETRY.columns == GEOMETRY_COLUMNS


def test_ca_only_leaves_the_rest_empty(helix):
    bare = np.full_like(helix, np.nan)
    bare[:, 1] = helix[:, 1]
    whole = measure_backbone(Backbone.from_coord(helix)).values
    found = measure_backbone(Backbone.from_coord(bare)).values
    for key in ("ca_ok", "clash_36", "rg_ratio", "contacts_long", "helix", "helix_right"):
        assert found[key] == pytest.approx(whole[key])
    for key in ("cn_ok", "hb", "rama_ok", "bond_dev", "omega_trans", "buried"):
        assert math.isnan(float(found[key]))
    assert "dssp_helix" not in found


def test_wrecks_miss_the_gate(helix):
    noisy = add_noise(helix, 1.0, np.random.default_rng(1))
    broken = helix.copy()
    broken[20:] += 6.0
    assert {"cn_ok", "ca_ok"} <= set(
        gate_faults(measure_backbone(Backbone.from_coord(noisy)).values)
    )
    row = measure_backbone(Backbone.from_coord(broken), np.zeros(40, bool)).values
    assert row["chain_breaks"] == 1 and "chain_breaks" in gate_faults(row)
