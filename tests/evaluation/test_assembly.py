"""Assembly measures on chains put together by hand, and on rigid poses."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from proteinweaver.evaluation.assembly import (
    assembly_metrics,
    domain_labels,
    domain_ranges,
    linker_ranges,
    linker_span,
    linkers_feasible,
)
from proteinweaver.evaluation.poses import contact_counts, random_poses, uniform_rotations
from proteinweaver.evaluation.reassembly import reassembly_metrics

LABEL = domain_labels(60, [(0, 26), (32, 60)])


def swung(coord: np.ndarray, degrees: float) -> np.ndarray:
    """The second domain turned about the middle of the linker; linker residues stay."""
    turn = Rotation.from_rotvec([np.radians(degrees), 0, 0])
    out = coord.astype(np.float64)
    pivot = out[29, 1].copy()
    out[32:] = turn.apply((out[32:] - pivot).reshape(-1, 3)).reshape(-1, 4, 3) + pivot
    return out


def test_ranges():
    label = np.array([0, 1, 1, 0, 0, 2, 2, 3, 0])
    assert domain_ranges(label) == [(1, 3, 1), (5, 7, 2), (7, 8, 3)]
    assert linker_ranges(label) == [(3, 5), (7, 7)]
    assert domain_ranges(np.zeros(4, int)) == []


def test_a_whole_chain_has_no_drift_and_closed_linkers(coil):
    found = assembly_metrics(coil, LABEL, coil @ Rotation.random(random_state=1).as_matrix().T)
    assert (found.domains, found.linkers, found.linkers_closed, found.linkers_feasible) == (
        2,
        1,
        1,
        1,
    )
    assert found.drift_max < 1e-5
    assert found.mirrored == 0
    assert found.linker_ok


def test_drift_is_that_of_each_domain(coil):
    rng = np.random.default_rng(0)
    given = coil.astype(np.float64)
    given[32:] += 0.8 * rng.standard_normal((28, 1, 3))  # rms 0.8 sqrt 3 before fitting
    given[:26] *= [1, 1, -1]
    given[26:32] = 1e3  # linkers are not looked at
    found = assembly_metrics(coil, LABEL, given)
    assert found.drift[0] > 1.0
    assert found.mirrored == 1
    assert 1.0 < found.drift[1] < 1.6


def test_interface_agrees_with_brute_force(coil):
    compact = coil.astype(np.float64)
    compact[32:] += compact[:26].mean((0, 1)) - compact[32:].mean((0, 1)) + [0, 5.0, 0]
    found = assembly_metrics(compact, LABEL)
    distance = cdist(compact[:26, 1], compact[32:, 1])
    assert found.contacts == (distance < 8).sum() > 0
    assert found.clashes == (distance < 3).sum()
    assert found.interface_residues == (distance < 8).any(0).sum() + (distance < 8).any(1).sum()
    assert found.closest == pytest.approx(distance.min())
    assert found.touching == 1
    assert found.drift == ()


@pytest.mark.parametrize("cut", [25, 26, 30, 31])
def test_one_stretched_bond_opens_the_linker(coil, cut):
    """Both junctions belong to the linker; the bond just inside a domain does not."""
    apart = coil.astype(np.float64)
    bond = apart[cut + 1, 0] - apart[cut, 2]
    apart[cut + 1 :] += 0.3 * bond / np.linalg.norm(bond)
    assert assembly_metrics(apart, LABEL).linkers_closed == 0


def test_bonds_inside_domains_are_not_the_linker(coil):
    apart = coil.astype(np.float64)
    apart[25:] += [0.5, 0, 0]
    assert assembly_metrics(apart, LABEL).linkers_closed == 1


def test_unbuilt_linkers_are_not_closed_but_may_be_feasible(coil):
    hollow = coil.astype(np.float64)
    hollow[26:32] = np.nan
    found = assembly_metrics(hollow, LABEL)
    assert (found.linkers_closed, found.linkers_feasible, found.linker_clashes) == (0, 1, 0)
    hollow[32:] += 60.0
    assert linkers_feasible(hollow[:, 1], LABEL) == [False]


def test_linker_span_grows_and_bounds_natives():
    spans = [linker_span(n)[1] for n in range(20)]
    assert spans == sorted(spans)
    assert linker_span(0) == (3.6, 4.0)
    assert linker_span(9)[1] == pytest.approx(35.3)


def test_reassembly_knows_the_native(coil):
    native = coil.astype(np.float64)
    native[32:] += native[:26].mean((0, 1)) - native[32:].mean((0, 1)) + [0, 7.0, 0]
    moved = native @ Rotation.random(random_state=2).as_matrix().T - 20.0
    same = reassembly_metrics(moved, native, LABEL)
    assert (same.contact_ratio, same.contacts_kept) == (1.0, 1.0)
    assert same.tm == pytest.approx(1.0)
    assert (same.pose, same.pose_tm) == pytest.approx((1.0, 1.0))
    assert (same.contact_f1, same.irmsd) == pytest.approx((1.0, 0.0), abs=1e-6)
    far = reassembly_metrics(swung(native, 120.0), native, LABEL)
    assert far.tm < 0.75
    assert far.pose_tm < 0.4
    assert far.contacts_kept < 1.0
    assert far.contact_f1 < 1.0
    assert far.irmsd > 3.0
    # the second domain is the larger one: superpose it, score the first
    ca, truth = swung(native, 120.0)[:, 1], native[:, 1]
    rot, _ = Rotation.align_vectors(truth[32:] - truth[32:].mean(0), ca[32:] - ca[32:].mean(0))
    laid = rot.apply(ca[:26] - ca[32:].mean(0)) + truth[32:].mean(0)
    off = np.linalg.norm(laid - truth[:26], axis=1)
    expected = (1 / (1 + (off / (1.24 * np.cbrt(26 - 15) - 1.8)) ** 2)).mean()
    assert far.pose == pytest.approx(expected, abs=1e-6)


def test_no_native_contacts_means_no_ratio(coil):
    apart = coil.astype(np.float64)
    apart[32:] += 100.0
    assert np.isnan(reassembly_metrics(coil, apart, LABEL).contact_ratio)


def test_wrong_lengths_are_refused(coil):
    with pytest.raises(ValueError, match="60 residues but 59"):
        assembly_metrics(coil, LABEL[:-1])
    with pytest.raises(ValueError, match="no residue"):
        assembly_metrics(coil, np.zeros(60, int))


def test_rotations_are_uniform():
    """Haar measure: matrix entries have mean 0 and variance 1/3, the trace 0 and 1."""
    rot = uniform_rotations(20000, np.random.default_rng(0))
    np.testing.assert_allclose(
        rot @ rot.swapaxes(1, 2), np.broadcast_to(np.eye(3), rot.shape), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(rot), 1.0)
    np.testing.assert_allclose(rot.mean(0), 0, atol=0.02)
    np.testing.assert_allclose(rot.var(0), 1 / 3, atol=0.01)
    assert np.trace(rot, axis1=1, axis2=2).var() == pytest.approx(1.0, abs=0.05)


def test_random_poses_are_rigid_feasible_and_clear(coil):
    poses = random_poses(coil, LABEL, 30, np.random.default_rng(4))
    assert len(poses) == 30
    for pose in poses:
        found = assembly_metrics(pose, LABEL, coil)
        assert found.drift_max < 1e-4
        assert found.mirrored == 0
        assert found.linkers_feasible == 1
        assert found.closest >= 3.79
    assert np.isnan(poses[:, 26:32]).all()
    again = random_poses(coil, LABEL, 30, np.random.default_rng(4))
    np.testing.assert_array_equal(poses, again)


def test_contacts_of_poses_are_counted(coil):
    label = domain_labels(60, [(0, 18), (22, 38), (42, 60)])
    poses = random_poses(coil, label, 10, np.random.default_rng(1))
    contacts = [assembly_metrics(pose, label).contacts for pose in poses]
    assert contact_counts(poses, label).tolist() == contacts
