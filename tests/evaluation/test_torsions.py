"""Torsions against gemmi and against the angles a chain was built from."""

import gemmi
import numpy as np
import pytest
import torch

from proteinweaver.evaluation.torsions import (
    backbone_torsions,
    ca_torsions,
    dihedral,
    rama_density,
)
from proteinweaver.structure.ideal import build_backbone


def test_dihedral_agrees_with_gemmi():
    points = np.random.default_rng(0).standard_normal((50, 4, 3)) * 4
    ours = dihedral(*np.moveaxis(points, 1, 0))
    truth = [gemmi.calculate_dihedral(*(gemmi.Position(*p) for p in quad)) for quad in points]
    np.testing.assert_allclose(ours, truth, atol=1e-10)


def test_built_torsions_come_back():
    rng = np.random.default_rng(2)
    phi, psi, omega = rng.uniform(-3.1, 3.1, size=(3, 12))
    coord = build_backbone(*(torch.from_numpy(x) for x in (phi, psi, omega))).numpy()
    found = backbone_torsions(coord)
    np.testing.assert_allclose(found[0][1:], phi[1:], atol=1e-6)
    np.testing.assert_allclose(found[1][:-1], psi[:-1], atol=1e-6)
    np.testing.assert_allclose(found[2][:-1], omega[:-1], atol=1e-6)
    assert np.isnan([found[0][0], found[1][-1], found[2][-1]]).all()


def test_nothing_is_measured_across_a_break(coil):
    broken = np.zeros(len(coil), dtype=bool)
    broken[20] = True
    phi, psi, omega = backbone_torsions(coil, broken)
    assert np.isnan([phi[21], psi[20], omega[20]]).all()
    assert np.isfinite([phi[20], psi[21], phi[22]]).all()


def test_helix_turns_are_right_handed_and_mirrored_left_handed(helix):
    turns = np.degrees(ca_torsions(helix[:, 1]))
    np.testing.assert_allclose(turns, 50.0, atol=6.0)
    np.testing.assert_allclose(np.degrees(ca_torsions(helix[:, 1] * [1, 1, -1])), -turns)


def test_rama_density_of_famous_places():
    degrees = np.radians([[-63, -43], [-120, 130], [57, 45], [60, -90], [0, 0]])
    alpha, beta, left, void, origin = rama_density(degrees[:, 0], degrees[:, 1])
    assert alpha > 0.5
    assert beta > 0.05
    assert 0.02 < left < alpha
    assert void < 0.02
    assert origin < 0.02


def test_rama_density_is_periodic_and_nan_safe():
    phi, psi = np.radians([-63.0, 179.9]), np.radians([-43.0, -179.9])
    np.testing.assert_array_equal(
        rama_density(phi, psi), rama_density(phi + 2 * np.pi, psi - 2 * np.pi)
    )
    assert np.isnan(rama_density(np.nan, 0.0))


@pytest.mark.realdata
def test_shipped_grid_is_the_published_one(data_dir):
    """Every line of the Top8000 file, at the centre of its cell."""
    table = np.loadtxt(data_dir / "rama8000_general.data")
    found = rama_density(np.radians(table[:, 0]), np.radians(table[:, 1]))
    np.testing.assert_allclose(found, table[:, 2], rtol=1e-6)
    assert len(table) == 27151


@pytest.mark.realdata
def test_torsions_of_ubiquitin_agree_with_gemmi(data_dir):
    model = gemmi.read_structure(str(data_dir / "raw" / "1ubq.pdb"))[0]
    residues = [r for r in model["A"].get_polymer()]
    coord = np.array(
        [[r.find_atom(a, "*").pos.tolist() for a in "N CA C O".split()] for r in residues]
    )
    phi, psi, omega = backbone_torsions(coord)
    for i in range(1, len(residues) - 1):
        truth = gemmi.calculate_phi_psi(residues[i - 1], residues[i], residues[i + 1])
        np.testing.assert_allclose((phi[i], psi[i]), truth, atol=1e-6)
    assert gemmi.calculate_omega(residues[3], residues[4]) == pytest.approx(omega[3], abs=1e-6)
