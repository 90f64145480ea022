"""Small rotations of the network against SciPy and e3nn."""

import torch
from e3nn import o3
from scipy.spatial.transform import Rotation

from proteinweaver.nets.rotations import (
    blend,
    frame_rows,
    frames_of,
    moved,
    orthonormal,
    rotation_from_update,
    skew_part,
)


def test_update_is_the_normalised_quaternion():
    torch.manual_seed(0)
    update = torch.randn(50, 3, dtype=torch.float64)
    quaternion = torch.cat((torch.ones(50, 1), update), dim=-1).numpy()
    expected = Rotation.from_quat(quaternion, scalar_first=True).as_matrix()
    assert torch.allclose(rotation_from_update(update), torch.from_numpy(expected), atol=1e-12)


def test_skew_part_is_axis_times_sine():
    axis = torch.nn.functional.normalize(
        torch.tensor([[1.0, 2.0, -0.5]], dtype=torch.float64), dim=-1
    )
    angle = torch.tensor([2.2], dtype=torch.float64)
    rot = o3.axis_angle_to_matrix(axis, angle)
    assert torch.allclose(skew_part(rot), axis * angle.sin(), atol=1e-12)


def frames(count, seed):
    torch.manual_seed(seed)
    return o3.rand_matrix(count, dtype=torch.float64), torch.randn(count, 3, dtype=torch.float64)


def test_rows_hold_a_frame():
    rot, trans = frames(20, 2)
    rows = frame_rows(rot, trans)
    assert torch.equal(rows[:, 1], rot[:, :, 1]) and torch.equal(rows[:, 3], trans)
    assert all(map(torch.equal, frames_of(rows), (rot, trans)))


def test_frames_move_along_and_about_their_own_axes():
    rot, trans = frames(20, 3)
    update = torch.randn(20, 6, dtype=torch.float64)
    found = frames_of(moved(frame_rows(rot, trans), update))
    assert torch.allclose(found[0], rot @ rotation_from_update(update[:, 3:]), atol=1e-12)
    step = torch.einsum("nij,nj->ni", rot, update[:, :3])
    assert torch.allclose(found[1], trans + step, atol=1e-12)


def test_axes_are_those_of_gram_schmidt():
    """The first column of Q is along the first vector, the second in the plane of both."""
    torch.manual_seed(4)
    first, second = torch.randn(2, 50, 3, dtype=torch.float64)
    q, r = torch.linalg.qr(torch.stack((first, second), dim=-1))
    wanted = q * r.diagonal(dim1=-2, dim2=-1).sign()[:, None]
    e1, e2, e3 = orthonormal(first, second)
    assert torch.allclose(torch.stack((e1, e2), dim=-1), wanted, atol=1e-12)
    assert torch.allclose(torch.linalg.cross(e1, e2), e3, atol=1e-12)


def test_blend_meets_both_ends_and_turns_with_both():
    a, b = (frame_rows(*frames(20, seed)) for seed in (0, 1))
    share = torch.zeros(20, 1, 1, dtype=torch.float64)
    assert torch.allclose(blend(a, b, share), a, atol=1e-12)
    assert torch.allclose(blend(a, b, share + 1), b, atol=1e-12)
    turn = o3.rand_matrix(dtype=torch.float64)
    turned = blend(a @ turn.T, b @ turn.T, share + 0.5)
    assert torch.allclose(turned, blend(a, b, share + 0.5) @ turn.T, atol=1e-10)


def test_blend_has_a_share_for_axes_and_one_for_positions():
    a, b = (frame_rows(*frames(20, seed)) for seed in (0, 1))
    share = torch.tensor([1.0, 1.0, 1.0, 0.25], dtype=torch.float64)[:, None]
    rot, trans = frames_of(blend(a, b, share))
    assert torch.allclose(rot, frames_of(b)[0], atol=1e-12)
    assert torch.allclose(trans, 0.75 * a[:, 3] + 0.25 * b[:, 3], atol=1e-12)
