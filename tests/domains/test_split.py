"""Splitting: chains whose domains are known by construction, and invariances."""

import numpy as np
import pytest

from proteinweaver.domains.split import SplitSettings, ranges_of, split_chain
from proteinweaver.errors import UserError
from proteinweaver.io.read import read_backbone


def globule(number: int, seed: int, centre: tuple[float, float, float]) -> np.ndarray:
    """A self-avoiding compact walk of 3.8 A steps around a centre."""
    rng = np.random.default_rng(seed)
    radius = 2.7 * number ** (1 / 3)
    found = [np.zeros(3)]
    while len(found) < number:
        steps = rng.standard_normal((60, 3))
        trials = found[-1] + 3.8 * steps / np.linalg.norm(steps, axis=1, keepdims=True)
        gap = np.linalg.norm(trials[:, None] - np.array(found)[None], axis=-1).min(1)
        ranked = np.argsort(
            (gap < 3.7) * 100 + np.maximum(np.linalg.norm(trials, axis=1) - radius, 0)
        )
        found.append(trials[ranked[0]])
    return np.array(found) + np.array(centre)


def test_two_globules_are_two_domains():
    ca = np.concatenate((globule(90, 0, (0, 0, 0)), globule(70, 1, (40, 0, 0))))
    label = split_chain(ca)
    assert label.max() == 2
    (cut,) = np.flatnonzero(np.diff(label))
    assert abs(cut - 89) <= 6


def test_an_inserted_domain_leaves_a_domain_of_two_segments():
    outer = globule(100, 2, (0, 0, 0))
    ca = np.concatenate((outer[:50], globule(80, 3, (40, 0, 0)), outer[50:]))
    parts = ranges_of(split_chain(ca))
    assert sorted(len(ranges) for ranges in parts.values()) == [1, 2]
    (inserted,) = next(ranges for ranges in parts.values() if len(ranges) == 1)
    assert abs(inserted[0] - 50) <= 8
    assert abs(inserted[1] - 130) <= 8


def test_one_globule_and_short_chains_stay_whole():
    assert split_chain(globule(120, 4, (0, 0, 0))).max() == 1
    assert split_chain(globule(30, 5, (0, 0, 0))).tolist() == [1] * 30


def test_labels_follow_neither_pose_nor_handedness():
    ca = np.concatenate((globule(90, 0, (0, 0, 0)), globule(70, 1, (40, 0, 0))))
    turned = ca @ np.linalg.qr(np.random.default_rng(6).standard_normal((3, 3)))[0] + 17.0
    np.testing.assert_array_equal(split_chain(turned), split_chain(ca))


def test_ranges_and_labels_agree():
    label = np.array([1, 1, 2, 2, 0, 1, 3])
    assert ranges_of(label) == {1: [(0, 2), (5, 6)], 2: [(2, 4)], 3: [(6, 7)]}


def test_coordinates_must_be_numbers():
    with pytest.raises(UserError, match="not a number"):
        split_chain(np.full((5, 3), np.nan))


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "count", "near"), [("1ubq.pdb", 1, ()), ("1fnf.pdb", 4, (92, 180, 271))]
)
def test_known_proteins(name, count, near, data_dir):
    """Ubiquitin is one domain; fibronectin III 7-10 is four in a row."""
    chain = read_backbone(data_dir / "raw" / name, notes=[])
    label = split_chain(chain.ca, SplitSettings())
    assert label.max() == count
    cuts = np.flatnonzero(np.diff(label))
    assert len(cuts) == len(near)
    assert all(abs(cut - wanted) <= 12 for cut, wanted in zip(cuts, near, strict=True))
