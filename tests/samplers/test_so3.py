"""SO(3) against scipy, roma, series expansions and autograd."""

import math

import numpy as np
import pytest
import roma
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from samplers import so3
from samplers.smooth import cotangent_deficit, safe_norm, sinc, third, versine

ANGLES = [0.0, 1e-12, 1e-8, 1e-4, 0.1, 0.499, 0.501, 1.0, 2.0, 3.0]
ANGLES += [math.pi - d for d in (1e-2, 1e-4, 1e-6, 1e-9, 0.0)]
EPS = {torch.float64: 1e-14, torch.float32: 2e-6}


def directions(n: int, seed: int = 0) -> torch.Tensor:
    v = torch.from_numpy(np.random.default_rng(seed).standard_normal((n, 3)))
    return v / v.norm(dim=-1, keepdim=True)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("theta", ANGLES)
def test_exp_matches_scipy(theta, dtype):
    v = (directions(200) * theta).to(dtype)
    expected = torch.from_numpy(Rotation.from_rotvec(v.double().numpy()).as_matrix())
    torch.testing.assert_close(so3.exp(v).double(), expected, rtol=0, atol=EPS[dtype])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("theta", ANGLES)
def test_log_inverts_scipy_at_every_angle(theta, dtype):
    """Near pi both signs of the axis are right; the matrix must come back in any case."""
    v = directions(200) * theta
    rot = torch.from_numpy(Rotation.from_rotvec(v.numpy()).as_matrix()).to(dtype)
    out = so3.log(rot)
    assert out.dtype == dtype
    error = (out.double() - v).norm(dim=-1)
    if theta > math.pi - 1e-5:
        error = torch.minimum(error, (out.double() + v).norm(dim=-1))
    near_pi = {torch.float64: 2e-9, torch.float32: 4e-6}[dtype] if theta > 3.1415 else 0.0
    assert error.max() <= max(EPS[dtype] * theta, near_pi)
    assert (so3.angle(rot).double() - theta).abs().max() <= max(EPS[dtype] * theta, 1e-16)


def test_log_matches_roma():
    rot = roma.random_rotmat(500, dtype=torch.float64)
    torch.testing.assert_close(so3.log(rot), roma.rotmat_to_rotvec(rot), rtol=0, atol=1e-12)
    torch.testing.assert_close(
        so3.distance(rot[:250], rot[250:]),
        roma.rotmat_geodesic_distance(rot[:250], rot[250:]),
        rtol=0,
        atol=1e-7,  # roma's arccos
    )


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.tuples(*[st.floats(-1.8, 1.8, allow_nan=False)] * 3))
def test_log_of_exp_is_the_vector(v):
    x = torch.tensor(v, dtype=torch.float64)
    if x.norm() < 3.1:
        torch.testing.assert_close(so3.log(so3.exp(x)), x, rtol=0, atol=1e-14)


@pytest.mark.parametrize("theta", [0.0, 1e-160, 1e-9, 0.3, 2.0, 3.1])
def test_derivatives_are_finite_and_right(theta):
    """d log(exp(v)) = 1, also at v = 0; the gradient of the angle is 0 there."""
    v = (directions(20) * theta).requires_grad_()
    so3.log(so3.exp(v)).sum().backward()
    torch.testing.assert_close(v.grad, torch.ones_like(v), rtol=0, atol=1e-13)
    w = (directions(20) * theta).requires_grad_()
    so3.angle(so3.exp(w)).sum().backward()
    assert w.grad.isfinite().all()


def test_exp_and_log_pass_gradcheck():
    v = torch.cat([torch.zeros(1, 3), directions(3), 3 * directions(2, 1)]).double()
    assert torch.autograd.gradcheck(so3.exp, v.requires_grad_())
    assert torch.autograd.gradgradcheck(so3.exp, v)
    rot = so3.exp(v.detach()).requires_grad_()
    assert torch.autograd.gradcheck(lambda r: so3.log(r), rot)


@pytest.mark.parametrize("theta", [1e-9, 1e-3, 0.4999, 0.5001, 2.0, 3.0])
def test_jacobians_against_autograd(theta):
    """dexp is the body velocity of Exp(v + t w); left and right differ by the adjoint."""
    v, w = directions(8, 2) * theta, directions(8, 3)
    _, push = torch.func.jvp(so3.exp, (v,), (w,))
    body = so3.vee(so3.exp(v).mT @ push)
    torch.testing.assert_close(so3.dexp(v, w), body, rtol=0, atol=1e-13)
    right, left = so3.right_jacobian(v), so3.left_jacobian(v)
    torch.testing.assert_close((right @ w[..., None])[..., 0], body, rtol=0, atol=1e-13)
    torch.testing.assert_close(left, so3.exp(v) @ right, rtol=0, atol=1e-13)
    eye = torch.eye(3).double().expand(8, 3, 3)
    torch.testing.assert_close(right @ so3.right_jacobian_inverse(v), eye, rtol=0, atol=1e-13)
    torch.testing.assert_close(left @ so3.left_jacobian_inverse(v), eye, rtol=0, atol=1e-13)
    torch.testing.assert_close(so3.dexpinv(v, body), w, rtol=0, atol=1e-13)


def test_hat_is_the_cross_product():
    v, w = directions(5), directions(5, 1)
    torch.testing.assert_close((so3.hat(v) @ w[..., None])[..., 0], torch.linalg.cross(v, w))
    torch.testing.assert_close(so3.vee(so3.hat(v)), v)


def test_quaternions_match_scipy():
    q = torch.from_numpy(np.random.default_rng(0).standard_normal((300, 4)))
    xyzw = q[:, [1, 2, 3, 0]].numpy()
    expected = torch.from_numpy(Rotation.from_quat(xyzw).as_matrix())
    torch.testing.assert_close(so3.from_quaternion(q), expected, rtol=0, atol=1e-14)
    back = so3.to_quaternion(expected)
    unit = q / q.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(back, unit * unit[:, :1].sign(), rtol=0, atol=1e-14)


def test_haar_moments():
    """Under Haar measure E R = 0, E R_ij^2 = 1/3 and the angle has density (1 - cos w)/pi."""
    normal = torch.randn(40000, 4, generator=torch.Generator().manual_seed(0))
    rot = so3.haar(normal.double())
    assert rot.mean(0).abs().max() < 0.015
    assert (rot.square().mean(0) - 1 / 3).abs().max() < 0.01
    angle = so3.angle(rot)
    assert abs(angle.mean().item() - (math.pi / 2 + 2 / math.pi)) < 0.01
    assert (torch.linalg.det(rot) - 1).abs().max() < 1e-12


def test_project_is_the_nearest_rotation():
    m = torch.from_numpy(np.random.default_rng(4).standard_normal((50, 3, 3)))
    rot = so3.project(m)
    torch.testing.assert_close(rot, roma.special_procrustes(m), rtol=0, atol=1e-10)
    near = so3.exp(directions(50)) + 1e-5 * m
    torch.testing.assert_close(so3.polish(near), so3.project(near), rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    ("function", "truth"),
    [
        (sinc, lambda x: math.sin(x) / x),
        (versine, lambda x: (1 - math.cos(x)) / x**2),
        (third, lambda x: (x - math.sin(x)) / x**3),
        (cotangent_deficit, lambda x: (1 - 0.5 * x / math.tan(0.5 * x)) / x**2),
    ],
)
def test_smooth_functions_have_no_seam(function, truth):
    """Both branches at |x| = 0.5, and the value at 1 against the plain formula."""
    seam = torch.tensor([0.25 * (1 - 1e-15), 0.25], dtype=torch.float64)
    below, above = function(seam)
    assert abs(below - above) < 1e-14
    assert abs(function(torch.tensor(1.0, dtype=torch.float64)).item() - truth(1.0)) < 1e-14
    assert abs(function(torch.tensor(0.16, dtype=torch.float64)).item() - truth(0.4)) < 1e-14


def test_safe_norm_has_a_gradient_at_zero():
    v = torch.zeros(2, 3, requires_grad=True)
    safe_norm(v).sum().backward()
    assert torch.equal(v.grad, torch.zeros(2, 3))
