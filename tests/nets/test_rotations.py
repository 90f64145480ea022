"""Small rotations of the network against SciPy and e3nn."""

import torch
from e3nn import o3
from scipy.spatial.transform import Rotation

from proteinweaver.nets.rotations import blend, rotation_from_update, skew_part


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


def test_blend_meets_both_ends_and_turns_about_the_same_axis():
    torch.manual_seed(1)
    a, b = o3.rand_matrix(2, 20, dtype=torch.float64)
    assert torch.allclose(blend(a, b, torch.zeros(20, dtype=torch.float64)), a, atol=1e-12)
    assert torch.allclose(blend(a, b, torch.ones(20, dtype=torch.float64)), b, atol=1e-12)
    turn = o3.rand_matrix(dtype=torch.float64)
    half = torch.full((20,), 0.5, dtype=torch.float64)
    assert torch.allclose(blend(turn @ a, turn @ b, half), turn @ blend(a, b, half), atol=1e-10)
