"""Kabsch against scipy, and against motions that are known."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from proteinweaver.evaluation.superposition import (
    is_mirrored,
    lay_on_many,
    move,
    rmsd,
    superpose,
)


def test_recovers_a_known_motion():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 20, 3)) * 10
    rot = Rotation.random(3, random_state=1).as_matrix()
    trans = rng.standard_normal((3, 3)) * 50
    found_rot, found_trans = superpose(x, move(x, rot, trans))
    np.testing.assert_allclose(found_rot, rot, atol=1e-10)
    np.testing.assert_allclose(found_trans, trans, atol=1e-8)


def test_agrees_with_scipy_on_weighted_noisy_points():
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((2, 15, 3)) * 5
    weight = rng.random(15)
    rot, trans = superpose(x, y, weight)
    mean_x, mean_y = weight @ x / weight.sum(), weight @ y / weight.sum()
    truth, _ = Rotation.align_vectors(y - mean_y, x - mean_x, weights=weight)
    np.testing.assert_allclose(rot, truth.as_matrix(), atol=1e-6)
    np.testing.assert_allclose(trans, mean_y - truth.apply(mean_x), atol=1e-5)


def test_one_set_is_laid_on_many_as_on_each():
    """Likenesses far from the origin, turned, noisy, and mirrored."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((9, 3)) * 3 + 40
    turns = Rotation.random(200, random_state=2).as_matrix()
    y = move(np.broadcast_to(x, (200, 9, 3)), turns, rng.standard_normal((200, 3)) * 50)
    y[50:] += rng.standard_normal((150, 9, 3))
    y[100:] *= [1.0, 1.0, -1.0]
    rot, trans = lay_on_many(x, y)
    for one, shift, points in zip(rot, trans, y, strict=True):
        truth, _ = Rotation.align_vectors(points - points.mean(0), x - x.mean(0))
        np.testing.assert_allclose(one, truth.as_matrix(), atol=1e-6)
        np.testing.assert_allclose(x.mean(0) @ one.T + shift, points.mean(0), atol=1e-9)
    np.testing.assert_allclose(rot[:50], turns[:50], atol=1e-9)


def test_never_returns_a_reflection(helix):
    mirror = helix[:, 1] * [1, 1, -1]
    rot, _ = superpose(helix[:, 1], mirror)
    assert np.linalg.det(rot) == pytest.approx(1.0)
    assert rmsd(helix[:, 1], mirror) > 1.5


def test_rmsd_far_from_the_origin(helix):
    ca = helix[:, 1].astype(np.float64)
    moved = ca @ Rotation.random(random_state=3).as_matrix().T + 5000.0
    assert rmsd(ca, moved) < 1e-6
    noise = np.random.default_rng(0).standard_normal(ca.shape)
    assert 1.2 < rmsd(ca, ca + noise) < 1.9  # sqrt(3) less the six fitted degrees of freedom


def test_mirror_image_is_told_from_the_piece(helix, coil):
    for piece in (helix, coil):
        ca = piece[:, 1].astype(np.float64)
        noise = 0.3 * np.random.default_rng(0).standard_normal(ca.shape)
        assert not is_mirrored(ca + noise, ca)
        assert is_mirrored((ca + noise) * [-1, 1, 1], ca)


def test_different_numbers_of_points_are_refused():
    with pytest.raises(ValueError, match="superpose 3 points on 4"):
        superpose(np.zeros((3, 3)), np.zeros((4, 3)))
