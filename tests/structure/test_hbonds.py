"""Hydrogen bonds against a plain double loop, and against what helices must have."""

import numpy as np
import pytest

from proteinweaver.evaluation.baselines import add_noise
from proteinweaver.structure.hbonds import hydrogen_bonds


def plain(coord: np.ndarray) -> list[int]:
    """Kabsch & Sander's energy with the distance guards, one pair at a time."""
    out = []
    for i in range(len(coord)):
        best, acceptor = -0.5, -1
        for j in range(len(coord)):
            if i == 0 or abs(i - j) < 2:
                continue
            n = coord[i, 0].astype(float)
            c_before, o_before = coord[i - 1, 2].astype(float), coord[i - 1, 3].astype(float)
            h = n + (c_before - o_before) / np.linalg.norm(c_before - o_before)
            c, o = coord[j, 2], coord[j, 3]
            on, oh = np.linalg.norm(o - n), np.linalg.norm(o - h)
            cn, ch = np.linalg.norm(c - n), np.linalg.norm(c - h)
            if not (2.4 < on < 3.8 and 1.4 < oh < 2.9 and cn > 2.9):
                continue
            energy = 332 * 0.42 * 0.2 * (1 / on + 1 / ch - 1 / oh - 1 / cn)
            if energy < best:
                best, acceptor = energy, j
        out.append(acceptor)
    return out


def test_helix_bonds_four_back(helix):
    acceptor = hydrogen_bonds(helix)
    np.testing.assert_array_equal(acceptor[4:], np.arange(len(helix) - 4))
    assert (acceptor[:3] == -1).all()


@pytest.mark.parametrize("noise", [0.0, 0.4, 0.8])
def test_agrees_with_the_plain_definition(coil, helix, noise):
    rng = np.random.default_rng(1)
    for chain in (coil, helix):
        noisy = add_noise(chain, noise, rng)
        assert hydrogen_bonds(noisy).tolist() == plain(noisy)


def test_no_hydrogen_after_a_break(helix):
    broken = np.zeros(len(helix), dtype=bool)
    broken[19] = True
    acceptor = hydrogen_bonds(helix, broken)
    assert acceptor[20] == -1
    assert acceptor[21] == 17


def test_short_chains_have_none():
    assert hydrogen_bonds(np.zeros((2, 4, 3))).tolist() == [-1, -1]
