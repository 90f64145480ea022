"""Superposition of pieces: exact where it can be, best where it cannot."""

import pytest
import torch
from e3nn import o3
from scipy.spatial.transform import Rotation

from proteinweaver.nets.rotations import (
    frame_rows,
    frames_of,
    horn_matrix,
    rotation_from_quaternion,
)
from proteinweaver.nets.superpose import (
    describe_pieces,
    kabsch_rotation,
    leading_eigenvector,
    superpose_pieces,
)


def _frames(batch, length, seed):
    torch.manual_seed(seed)
    return o3.rand_matrix(batch, length, dtype=torch.float64), 7 * torch.randn(
        batch, length, 3, dtype=torch.float64
    )


def superposed(rot, trans, known_rot, known_trans, piece):
    pieces = describe_pieces(piece, known_rot, known_trans)
    return frames_of(superpose_pieces(frame_rows(rot, trans), pieces))


def test_a_moved_piece_comes_back_exactly():
    """If the estimate is the known piece in another pose, the superposed piece is the estimate."""
    known_rot, known_trans = _frames(2, 20, 0)
    turn, shift = (
        o3.rand_matrix(2, 1, dtype=torch.float64),
        50 * torch.randn(2, 1, 3, dtype=torch.float64),
    )
    rot = turn @ known_rot
    trans = (turn @ known_trans[..., None]).squeeze(-1) + shift
    piece = torch.zeros(2, 20, dtype=torch.int64)
    new_rot, new_trans = superposed(rot, trans, known_rot, known_trans, piece)
    assert torch.allclose(new_rot, rot, atol=1e-10)
    assert torch.allclose(new_trans, trans, atol=1e-9)


def test_every_piece_moves_by_itself_and_linkers_stay():
    known_rot, known_trans = _frames(1, 24, 1)
    rot, trans = _frames(1, 24, 2)
    piece = torch.tensor([[0] * 8 + [-1] * 4 + [2] * 12])  # number 1 is not used
    new_rot, new_trans = superposed(rot, trans, known_rot, known_trans, piece)
    linker = piece[0] < 0
    assert torch.equal(new_trans[0, linker], trans[0, linker])
    assert torch.equal(new_rot[0, linker], rot[0, linker])
    for number in (0, 2):
        on = piece[0] == number
        inside = torch.cdist(new_trans[0, on], new_trans[0, on])
        assert torch.allclose(
            inside, torch.cdist(known_trans[0, on], known_trans[0, on]), atol=1e-9
        )
        assert torch.allclose(new_trans[0, on].mean(0), trans[0, on].mean(0), atol=1e-9)
        turn = new_rot[0, on] @ known_rot[0, on].transpose(-1, -2)
        assert torch.allclose(turn, turn[:1].expand_as(turn), atol=1e-9)


@pytest.mark.parametrize("seed", [3, 4])
def test_the_motion_is_the_best_one(seed):
    """SciPy solves the same Wahba problem: CA and three axis points at a lever of 1.5 A."""
    known_rot, known_trans = _frames(1, 9, seed)
    rot, trans = _frames(1, 9, seed + 10)
    new_rot, _ = superposed(
        rot, trans, known_rot, known_trans, torch.zeros(1, 9, dtype=torch.int64)
    )
    turn = (new_rot @ known_rot.transpose(-1, -2))[0, 0]

    def vectors(r, x):
        return torch.cat(
            (x[0] - x[0].mean(0), 1.5 * r[0].transpose(-1, -2).reshape(-1, 3))
        ).numpy()

    expected, _ = Rotation.align_vectors(vectors(rot, trans), vectors(known_rot, known_trans))
    assert torch.allclose(turn, torch.from_numpy(expected.as_matrix()), atol=1e-7)


def test_a_straight_piece_is_determined_by_its_frames():
    """CA positions on a line leave a turn about it open; the axes settle it."""
    known_rot, _ = _frames(1, 6, 8)
    known_trans = torch.zeros(1, 6, 3, dtype=torch.float64)
    known_trans[..., 0] = 3.3 * torch.arange(6)
    turn = o3.rand_matrix(dtype=torch.float64)
    rot, trans = turn @ known_rot, known_trans @ turn.T
    new_rot, new_trans = superposed(
        rot, trans, known_rot, known_trans, torch.zeros(1, 6, dtype=torch.int64)
    )
    assert torch.allclose(new_rot, rot, atol=1e-10)
    assert torch.allclose(new_trans - new_trans.mean(1), trans - trans.mean(1), atol=1e-9)


def test_a_mirror_image_is_not_superposed():
    """The motion is a proper rotation even where a reflection would fit better."""
    known_rot, known_trans = _frames(1, 12, 9)
    mirror = torch.diag(torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))
    new_rot, new_trans = superposed(
        mirror @ known_rot @ mirror,
        known_trans @ mirror,
        known_rot,
        known_trans,
        torch.zeros(1, 12, dtype=torch.int64),
    )
    assert torch.allclose(torch.det(new_rot), torch.ones(1, 12, dtype=torch.float64))
    assert (new_trans - known_trans @ mirror).norm(dim=-1).mean() > 1.0


def test_without_pieces_the_estimate_stays():
    rot, trans = _frames(1, 5, 11)
    piece = torch.full((1, 5), -1)
    assert describe_pieces(piece, rot, trans) is None
    rows = frame_rows(rot, trans)
    assert superpose_pieces(rows, None) is rows


def test_kabsch_rotation_is_that_of_singular_values():
    torch.manual_seed(12)
    cross = torch.randn(500, 3, 3)
    u, _, vh = torch.linalg.svd(cross.double())
    u[..., 2] *= torch.det(u @ vh)[:, None]
    assert torch.allclose(kabsch_rotation(cross).double(), u @ vh, atol=1e-5)


def rotation_by_powers(cross):
    """What an accelerator does."""
    return rotation_from_quaternion(leading_eigenvector(horn_matrix(cross)))


def test_powers_find_the_same_rotation():
    torch.manual_seed(13)
    cross = torch.randn(500, 3, 3)
    assert torch.allclose(rotation_by_powers(cross), kabsch_rotation(cross), atol=1e-5)


@pytest.mark.parametrize("rotation", [kabsch_rotation, rotation_by_powers])
def test_an_undetermined_rotation_is_still_a_rotation(rotation):
    """Nothing to go by, one direction only, and a reflection with two equal best answers."""
    line = torch.zeros(3, 3)
    line[0, 0] = 4.0
    cases = torch.stack((torch.zeros(3, 3), line, torch.diag(torch.tensor([1.0, 1.0, -1.0]))))
    for scale in (1e-12, 1.0, 1e8):
        found = rotation(scale * cases)
        assert torch.allclose(found @ found.mT, torch.eye(3).expand(3, 3, 3), atol=1e-5)
        assert torch.allclose(torch.det(found), torch.ones(3), atol=1e-5)
        best = (found * cases).sum((1, 2))
        assert torch.allclose(best, torch.tensor([0.0, 4.0, 1.0]), atol=1e-4)
