"""The spliced map against distances computed pair by pair."""

import numpy as np
import pytest

from proteinweaver.domains.maps import UNKNOWN, pieces_of_map, spliced_map
from proteinweaver.errors import UserError

rng = np.random.default_rng(0)
FIRST, SECOND, THIRD = (rng.normal(0, 10, (n, 4, 3)) for n in (5, 4, 3))


def test_insides_known_and_the_rest_not() -> None:
    spliced = spliced_map(16, [(1, FIRST), (8, SECOND[:, 1]), (13, THIRD)])
    owner = {i: (0, i - 1) for i in range(1, 6)} | {i: (1, i - 8) for i in range(8, 12)}
    owner |= {i: (2, i - 13) for i in range(13, 16)}
    ca = [FIRST[:, 1], SECOND[:, 1], THIRD[:, 1]]
    for i in range(16):
        for j in range(16):
            same = i in owner and j in owner and owner[i][0] == owner[j][0]
            expected = UNKNOWN
            if same:
                k = owner[i][0]
                expected = np.sqrt(((ca[k][owner[i][1]] - ca[k][owner[j][1]]) ** 2).sum())
            assert spliced[i, j] == pytest.approx(expected, abs=1e-4)


def test_insides_only() -> None:
    """Moving a piece changes nothing; neither does its mirror image."""
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    moved = spliced_map(16, [(1, FIRST @ turn + 30.0), (8, -SECOND)])
    np.testing.assert_allclose(moved, spliced_map(16, [(1, FIRST), (8, SECOND)]), atol=1e-3)


def test_a_group_keeps_its_relative_pose() -> None:
    apart = spliced_map(12, [(0, FIRST, None), (6, SECOND, None)])
    together = spliced_map(12, [(0, FIRST, 3), (6, SECOND, 3)])
    assert (apart[:5, 6:10] == UNKNOWN).all()
    expected = np.linalg.norm(FIRST[:, None, 1] - SECOND[None, :, 1], axis=-1)
    np.testing.assert_allclose(together[:5, 6:10], expected, atol=1e-4)
    assert pieces_of_map(apart).tolist() == [0] * 5 + [-1] + [1] * 4 + [-1] * 2
    assert pieces_of_map(together).tolist() == [0] * 5 + [-1] + [0] * 4 + [-1] * 2


def test_refuses_overlap_and_overhang() -> None:
    with pytest.raises(UserError, match="piece 5-8 overlaps"):
        spliced_map(12, [(0, FIRST), (4, SECOND)])
    with pytest.raises(UserError, match="piece 9-13 leaves the chain of 12"):
        spliced_map(12, [(8, FIRST)])
