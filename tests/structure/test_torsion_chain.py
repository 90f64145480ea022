"""Moving in torsion space: angles change as asked, nothing else does, torques are slopes."""

import numpy as np
import pytest
import torch

from proteinweaver.evaluation.torsions import backbone_torsions
from proteinweaver.structure.ideal import build_backbone
from proteinweaver.structure.torsion_chain import TorsionChain, torsion_chain


@pytest.fixture(scope="module")
def coord():
    rng = np.random.default_rng(3)
    angles = torch.from_numpy(rng.uniform(-np.pi, np.pi, (2, 25)))
    wobble = 0.05 * rng.standard_normal((25, 4, 3))
    return build_backbone(*angles).numpy() + wobble  # no two bonds the same


def inside(xyz):
    """Bond lengths and angles along the backbone, C=O, and omega."""
    line = xyz[:, :3].reshape(-1, 3)
    bond = np.diff(line, axis=0)
    length = np.linalg.norm(bond, axis=-1)
    cosine = (bond[1:] * bond[:-1]).sum(-1) / length[1:] / length[:-1]
    omega = backbone_torsions(xyz)[2][:-1]
    return np.concatenate((length, cosine, np.linalg.norm(xyz[:, 3] - xyz[:, 2], axis=-1), omega))


def test_no_change_gives_the_chain_back(coord):
    chain = torsion_chain(coord)
    built = chain.atoms(np.zeros(25), np.zeros(25))[:, :4].reshape(-1, 3)
    flat = coord.reshape(-1, 3)
    assert np.allclose(
        np.linalg.norm(built[:, None] - built, axis=-1),
        np.linalg.norm(flat[:, None] - flat, axis=-1),
    )


def test_torsions_change_as_asked_and_nothing_else(coord):
    rng = np.random.default_rng(0)
    change = rng.uniform(-0.5, 0.5, (2, 25))
    moved = torsion_chain(coord).atoms(*change)[:, :4]
    for before, after, asked in zip(
        backbone_torsions(coord)[:2], backbone_torsions(moved)[:2], change, strict=True
    ):
        defined = np.isfinite(before)
        off = after[defined] - before[defined] - asked[defined]
        assert np.allclose(np.angle(np.exp(1j * off)), 0, atol=1e-9)
    assert np.allclose(inside(moved), inside(coord), atol=1e-9)


def test_torques_are_derivatives(coord):
    rng = np.random.default_rng(1)
    chain, change = torsion_chain(coord), 0.3 * rng.standard_normal((2, 25))
    pull = rng.standard_normal((25, 5, 3))
    torque = TorsionChain.torques(chain.atoms(*change), pull)
    for which in (0, 1):
        for place in (0, 1, 12, 24):
            step = np.zeros((2, 25))
            step[which, place] = 1e-5
            up, down = chain.atoms(*(change + step)), chain.atoms(*(change - step))
            slope = ((up - down) * pull).sum() / 2e-5
            assert torque[which][place] == pytest.approx(slope, rel=1e-5, abs=1e-6)


def test_parts_join_to_the_whole(coord):
    chain = torsion_chain(coord)
    left, right = chain.part(0, 10), chain.part(10, 25)
    joined = TorsionChain(
        np.concatenate((left.step, chain.step[9:10], right.step)),
        np.concatenate((left.local, right.local)),
    )
    zero = np.zeros(25)
    assert np.allclose(joined.atoms(zero, zero), chain.atoms(zero, zero))
