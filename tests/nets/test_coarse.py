"""Marks of a chain, and the way back from them."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from proteinweaver.generation.condition import condition_for, pieces_of_blueprint
from proteinweaver.nets.coarse import coarsened, laid_out, marks

BLUEPRINT = "LLLLLL" + "H" * 18 + "LLL" + "EEEE" + "LLLL" + "EEEEE" + "L" * 13 + "H" * 6 + "LLLLL"


@pytest.fixture(scope="module")
def condition():
    return condition_for(len(BLUEPRINT), pieces_of_blueprint(BLUEPRINT), BLUEPRINT)


def test_marks_of_a_blueprint(condition):
    rows = marks(condition).tolist()
    loop = [3]  # the middle of six
    helix = [
        6,
        12,
        17,
        23,
    ]  # 18 residues: four marks are at most eight apart, both ends among them
    first, second = [27, 29, 30], [35, 37, 39]  # strands; loops of three and four have none
    long, last = [43, 49], [53, 55, 58]  # 13 residues of loop, six of helix
    assert len(rows) == len(loop + helix + first + second + long + last)
    assert rows[:5] == loop + helix and rows[5:8] == first and rows[8:11] == second
    assert rows[11:13] == long and rows[13:] == last
    apart = np.diff(rows)
    assert (apart > 0).all() and apart.max() <= 10


def test_nothing_told_means_few_marks():
    loop = "L" * 30
    assert marks(condition_for(30, [], loop)).tolist() == [3, 9, 15, 21, 27]
    assert len(marks(condition_for(5, [], "LLLLL"))) == 0


def test_a_coarse_chain_keeps_what_its_residues_have(condition):
    rows = marks(condition)
    coarse = coarsened(condition, rows)
    assert coarse.index[0].tolist() == rows.tolist()
    assert "".join("?HEL"[k] for k in coarse.ss[0].tolist()) == "".join(
        BLUEPRINT[k] for k in rows.tolist()
    )
    torch.testing.assert_close(coarse.known_trans[0], condition.known_trans[0, rows])


def test_pieces_go_where_their_marks_are(condition):
    """Every element is moved by its own rigid motion; the marks alone tell all of it."""
    piece = condition.piece[0]
    rot, trans = torch.eye(3).repeat(len(piece), 1, 1), torch.zeros(len(piece), 3)
    for number in range(int(piece.max()) + 1):
        own = piece == number
        turn = torch.from_numpy(Rotation.random(random_state=number).as_matrix()).float()
        rot[own] = turn @ condition.known_rot[0, own]
        trans[own] = condition.known_trans[0, own] @ turn.T + 20.0 * torch.randn(
            3, generator=torch.Generator().manual_seed(number)
        )
    rows = marks(condition)
    # loops' marks anywhere
    free = rows[piece[rows] < 0]
    trans[free] = 15.0 * torch.randn(len(free), 3, generator=torch.Generator().manual_seed(9))
    found_rot, found = laid_out(condition, rows, rot[rows], trans[rows])
    has = piece >= 0
    torch.testing.assert_close(found[has], trans[has], atol=2e-3, rtol=0)
    torch.testing.assert_close(found_rot[has], rot[has], atol=1e-3, rtol=0)
    torch.testing.assert_close(found[free], trans[free])
    # a loop without marks lies on the straight line between the elements at its ends
    third = trans[23] + (trans[27] - trans[23]) / 4
    torch.testing.assert_close(found[24], third, atol=2e-3, rtol=0)
    assert torch.linalg.norm(found[-1] - found[58]) == pytest.approx(5 * 1.5, abs=1e-3)
    # the whole turns with its marks
    turn = torch.from_numpy(Rotation.random(random_state=99).as_matrix()).float()
    turned_rot, turned = laid_out(condition, rows, turn @ rot[rows], trans[rows] @ turn.T + 5)
    torch.testing.assert_close(turned, found @ turn.T + 5, atol=3e-3, rtol=0)
    torch.testing.assert_close(turned_rot, turn @ found_rot, atol=1e-3, rtol=0)
