"""Every target's score, Jacobian and divergence against autograd; densities against scipy."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from scipy.spatial.transform import Rotation

from samplers import so3
from samplers.targets import (
    FrameMixture,
    Funnel,
    Gaussian,
    GaussianMixture,
    IGSO3Mixture,
    LowRankGaussian,
    Student,
    atoms,
    noised,
)

RNG = np.random.default_rng(11)


def tensor(*shape):
    return torch.from_numpy(RNG.standard_normal(shape))


A = tensor(3, 3)
BASIS = torch.linalg.qr(tensor(5, 2))[0]
EUCLIDEAN = {
    "gaussian": Gaussian(tensor(3), A @ A.T),
    "low_rank": LowRankGaussian(tensor(5), BASIS, torch.tensor([0.5, 2.0], dtype=torch.float64)),
    "mixture": GaussianMixture(
        torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64),
        tensor(3, 2),
        torch.tensor([0.1, 0.4, 0.2], dtype=torch.float64),
    ),
    "atoms": atoms(tensor(4, 3)),
    "student": Student(tensor(2), 0.7, 3.0),
    "funnel": Funnel(2, 1.5),
}
LEVELS = [(0.9, 0.3), (0.3, 0.95), (1.0, 0.05), (1.0, 30.0)]
each = pytest.mark.parametrize("name", EUCLIDEAN)


@each
@pytest.mark.parametrize("level", LEVELS)
def test_derivatives_agree_with_autograd(name, level):
    target = EUCLIDEAN[name]
    generator = torch.Generator().manual_seed(0)
    x = noised(target, 6, *level, generator).requires_grad_()
    scale = 1 / level[1]
    (gradient,) = torch.autograd.grad(target.log_density(x, *level).sum(), x)
    score = target.score(x, *level)
    torch.testing.assert_close(score, gradient, rtol=1e-10, atol=1e-10 * scale)
    rows = [
        torch.autograd.grad(score[:, i].sum(), x, retain_graph=True)[0] for i in range(x.shape[1])
    ]
    jacobian = target.jacobian(x, *level)
    torch.testing.assert_close(jacobian, torch.stack(rows, -2), rtol=1e-10, atol=1e-10 * scale**2)
    torch.testing.assert_close(
        target.divergence(x, *level),
        jacobian.diagonal(dim1=-2, dim2=-1).sum(-1),
        rtol=1e-12,
        atol=1e-12 * scale**2,
    )


@each
def test_draws_follow_the_density(name):
    """The score of the noised law has mean 0 and E|score|^2 = -E div score (Stein)."""
    target = EUCLIDEAN[name]
    x = noised(target, 4000, 0.8, 0.6, torch.Generator().manual_seed(1))
    score = target.score(x, 0.8, 0.6)
    assert score.mean(0).abs().max() < 5 * score.std() / math.sqrt(4000)
    square, trace = score.square().sum(-1), target.divergence(x, 0.8, 0.6)
    difference = square + trace
    assert abs(difference.mean()) < 4.5 * difference.std() / math.sqrt(4000)


def test_low_rank_gaussian_is_the_full_one():
    low = EUCLIDEAN["low_rank"]
    full = Gaussian(low.mean, (low.basis * low.variances) @ low.basis.T)
    x = tensor(7, 5)
    for method in ("score", "jacobian", "divergence", "log_density"):
        a, b = (getattr(t, method)(x, 0.6, 0.5) for t in (low, full))
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)
    ends = (0.2, 0.98), (0.95, 0.1)
    torch.testing.assert_close(low.flow(x, *ends), full.flow(x, *ends), rtol=1e-8, atol=1e-8)


def test_student_density():
    """Without noise scipy's multivariate t; with noise a direct convolution in one dimension."""
    target = EUCLIDEAN["student"]
    x = RNG.standard_normal((5, 2)) * 3
    truth = stats.multivariate_t(target.mean.numpy(), 0.49 * np.eye(2), df=3).logpdf(x)
    np.testing.assert_allclose(
        target.log_density(torch.from_numpy(x), 1.0, 0.0), truth, rtol=1e-11
    )
    line = Student(torch.zeros(1).double(), 0.7, 3.0)
    for y in (0.0, 1.3, -20.0):
        value, _ = integrate.quad(
            lambda z, y=y: stats.norm.pdf(z) * stats.t.pdf((y - 0.6 * z) / 0.8, 3, scale=0.7),
            -9, 9, epsabs=1e-15, epsrel=1e-12, limit=400,
        )  # fmt: skip
        ours = line.log_density(torch.tensor([y], dtype=torch.float64), 0.8, 0.6).item()
        assert ours == pytest.approx(math.log(value / 0.8), abs=1e-10)


def test_funnel_density():
    """Against adaptive quadrature over the latent v."""
    target = EUCLIDEAN["funnel"]
    for alpha, sigma in ((0.8, 0.6), (1.0, 0.05), (0.1, 0.99)):
        for x in RNG.standard_normal((3, 3)):

            def joint(v, x=x, alpha=alpha, sigma=sigma):
                width = math.sqrt(alpha**2 * math.exp(v) + sigma**2)
                return (
                    stats.norm.pdf(v, scale=1.5)
                    * stats.norm.pdf(x[0], alpha * v, sigma)
                    * stats.norm.pdf(x[1:], scale=width).prod()
                )

            near = 2.25 * alpha * x[0] / (2.25 * alpha**2 + sigma**2)
            tau = 1.5 * sigma / math.sqrt(2.25 * alpha**2 + sigma**2)
            value, _ = integrate.quad(
                joint, near - 9 * tau, near + 9 * tau, epsabs=0, epsrel=1e-12, limit=400
            )
            ours = target.log_density(torch.from_numpy(x), alpha, sigma).item()
            assert ours == pytest.approx(math.log(value), abs=1e-9)


WEIGHTS = torch.tensor([0.3, 0.5, 0.2], dtype=torch.float64)
TURNS = torch.from_numpy(Rotation.random(6, random_state=3).as_matrix())
ROTATIONS = IGSO3Mixture(WEIGHTS, TURNS[:3], torch.tensor([0.05, 0.4, 1.5], dtype=torch.float64))
FRAMES = FrameMixture(
    WEIGHTS,
    tensor(3, 2, 3),
    torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64),
    TURNS.reshape(3, 2, 3, 3),
    torch.tensor([0.1, 0.5, 0.3], dtype=torch.float64),
)


@pytest.mark.parametrize("sigma", [0.1, 0.7, 2.5])
def test_rotation_derivatives_agree_with_autograd(sigma):
    rot = ROTATIONS.sample(9, sigma, torch.Generator().manual_seed(2))
    e = torch.zeros(9, 3, dtype=torch.float64, requires_grad=True)
    score = ROTATIONS.score(rot @ so3.exp(e), sigma)
    rows = [torch.autograd.grad(score[:, i].sum(), e, retain_graph=True)[0] for i in range(3)]
    jacobian = ROTATIONS.jacobian(rot, sigma)
    scale = 1 / (0.05 + sigma**2)
    torch.testing.assert_close(jacobian, torch.stack(rows, -2), rtol=1e-10, atol=1e-10 * scale)
    torch.testing.assert_close(
        ROTATIONS.divergence(rot, sigma),
        jacobian.diagonal(dim1=-2, dim2=-1).sum(-1),
        rtol=1e-10,
        atol=1e-10 * scale,
    )


def test_rotation_jacobian_is_finite_at_a_centre():
    at = ROTATIONS.jacobian(ROTATIONS.centres, 0.3)
    near = ROTATIONS.jacobian(ROTATIONS.centres @ so3.exp(torch.full((3,), 1e-7).double()), 0.3)
    torch.testing.assert_close(at, near, rtol=1e-5, atol=1e-5)


def test_translations_and_rotations_couple():
    """Between the modes the score of each factor depends on the other."""
    state = FRAMES.sample(5, 0.4, 0.9, 1.2, torch.Generator().manual_seed(3))
    assert FRAMES.jacobian(state, 0.4, 0.9, 1.2)[:, :6, 6:].abs().max() > 0.01


@pytest.mark.parametrize("level", [(0.9, 0.4, 0.3), (0.2, 1.0, 1.8), (1.0, 0.05, 0.05)])
def test_frame_derivatives_agree_with_autograd(level):
    """In the coordinates (x + e, R Exp(u)), all twelve of two frames at once."""
    x, rot = FRAMES.sample(5, *level, torch.Generator().manual_seed(3))
    e = torch.zeros(5, 12, dtype=torch.float64, requires_grad=True)
    moved = x + e[:, :6].reshape(5, 2, 3), rot @ so3.exp(e[:, 6:].reshape(5, 2, 3))
    (gradient,) = torch.autograd.grad(
        FRAMES.log_density(moved, *level).sum(), e, retain_graph=True
    )
    score = torch.cat([s.flatten(1) for s in FRAMES.score(moved, *level)], 1)
    torch.testing.assert_close(score, gradient, rtol=1e-10, atol=1e-9)
    rows = [torch.autograd.grad(score[:, i].sum(), e, retain_graph=True)[0] for i in range(12)]
    jacobian = FRAMES.jacobian((x, rot), *level)
    torch.testing.assert_close(jacobian, torch.stack(rows, -2), rtol=1e-10, atol=1e-8)
    torch.testing.assert_close(
        FRAMES.divergence((x, rot), *level),
        jacobian.diagonal(dim1=-2, dim2=-1).sum(-1),
        rtol=1e-10,
        atol=1e-8,
    )


def test_frame_draws_follow_the_density():
    """Stein's identity on the product: E|score|^2 = -E div score, each factor and together."""
    level = (0.8, 0.6, 0.5)
    state = FRAMES.sample(4000, *level, torch.Generator().manual_seed(4))
    total = sum(s.square().sum((-1, -2)) for s in FRAMES.score(state, *level))
    difference = total + FRAMES.divergence(state, *level)
    assert abs(difference.mean()) < 4.5 * difference.std() / math.sqrt(4000)


def test_one_mode_of_frames_is_a_product():
    """With a single mode the law factors into a Gaussian and IGSO(3)s."""
    one = FrameMixture(
        torch.ones(1).double(), FRAMES.means[:1], FRAMES.stds[:1], FRAMES.centres[:1],
        FRAMES.variances[:1],
    )  # fmt: skip
    x, rot = one.sample(4, 0.9, 0.4, 0.3, torch.Generator().manual_seed(5))
    first = GaussianMixture(torch.ones(1).double(), one.means[:, 0], one.stds)
    second = IGSO3Mixture(torch.ones(1).double(), one.centres[:, 1], one.variances)
    along, turning = one.score((x, rot), 0.9, 0.4, 0.3)
    torch.testing.assert_close(along[:, 0], first.score(x[:, 0], 0.9, 0.4))
    torch.testing.assert_close(turning[:, 1], second.score(rot[:, 1], 0.3))


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="orthonormal"):
        LowRankGaussian(torch.zeros(3), torch.ones(3, 2), torch.ones(2))
    with pytest.raises(ValueError, match="freedom"):
        Student(torch.zeros(2), 1.0, 0.0)
    with pytest.raises(ValueError, match="width"):
        Funnel(0)
    with pytest.raises(ValueError, match=r"\(k, L, 3\)"):
        FrameMixture(WEIGHTS, torch.zeros(3, 2, 3), WEIGHTS, torch.zeros(3, 2, 3), WEIGHTS)
