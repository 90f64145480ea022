"""The closed-form laws against autograd, scipy and direct noising."""

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.spatial.transform import Rotation

from samplers import so3
from samplers.targets import Gaussian, GaussianMixture, IGSO3Mixture

RNG = np.random.default_rng(3)
A = RNG.standard_normal((3, 3))
GAUSSIAN = Gaussian(torch.tensor([0.5, -1.0, 2.0]).double(), torch.from_numpy(A @ A.T))
MIXTURE = GaussianMixture(
    torch.tensor([0.2, 0.5, 0.3]).double(),
    torch.from_numpy(RNG.standard_normal((3, 2))),
    torch.tensor([0.1, 0.4, 0.2]).double(),
)
ROTATIONS = IGSO3Mixture(
    torch.tensor([0.3, 0.7]).double(),
    torch.from_numpy(Rotation.random(2, random_state=0).as_matrix()),
    torch.tensor([0.05, 0.4]).double(),
)


@pytest.mark.parametrize("target", [GAUSSIAN, MIXTURE])
def test_euclidean_score_is_the_gradient(target):
    n = 3 if target is GAUSSIAN else 2
    x = torch.from_numpy(RNG.standard_normal((9, n))).requires_grad_()
    log_p = target.log_density(x, 0.8, 0.3)
    (gradient,) = torch.autograd.grad(log_p.sum(), x)
    torch.testing.assert_close(target.score(x, 0.8, 0.3), gradient, rtol=1e-10, atol=1e-10)


def test_euclidean_densities_match_scipy():
    x = RNG.standard_normal((5, 3))
    truth = stats.multivariate_normal(
        0.8 * GAUSSIAN.mean.numpy(), 0.64 * A @ A.T + 0.09 * np.eye(3)
    ).logpdf(x)
    np.testing.assert_allclose(GAUSSIAN.log_density(torch.from_numpy(x), 0.8, 0.3), truth)
    y = RNG.standard_normal((5, 2))
    truth = sum(
        w * stats.multivariate_normal(0.8 * m, 0.64 * s**2 + 0.09).pdf(y)
        for w, m, s in zip(
            MIXTURE.weights.numpy(), MIXTURE.means.numpy(), MIXTURE.stds.numpy(), strict=True
        )
    )
    np.testing.assert_allclose(MIXTURE.log_density(torch.from_numpy(y), 0.8, 0.3).exp(), truth)


def test_rotation_score_is_the_body_gradient():
    rot = torch.from_numpy(Rotation.random(12, random_state=5).as_matrix())
    e = torch.zeros(12, 3, dtype=torch.float64, requires_grad=True)
    log_p = ROTATIONS.log_density(rot @ so3.exp(e), 0.5)
    (gradient,) = torch.autograd.grad(log_p.sum(), e)
    torch.testing.assert_close(ROTATIONS.score(rot, 0.5), gradient, rtol=1e-9, atol=1e-9)


def test_rotation_density_integrates_to_one():
    rot = so3.haar(torch.randn(40000, 4, generator=torch.Generator().manual_seed(0)).double())
    mean = ROTATIONS.log_density(rot, 0.8).exp().mean()
    assert abs(mean - 1) < 0.02


def test_draws_have_the_right_moments():
    generator = torch.Generator().manual_seed(0)
    x = GAUSSIAN.sample(40000, generator)
    assert (x.mean(0) - GAUSSIAN.mean).abs().max() < 0.05
    assert (x.T.cov() - GAUSSIAN.covariance).abs().max() < 0.02 * GAUSSIAN.covariance.max()
    y = MIXTURE.sample(40000, generator)
    torch.testing.assert_close(y.mean(0), MIXTURE.weights @ MIXTURE.means, rtol=0, atol=0.02)
    # E R of IGSO(3) is exp(-tau) times its centre (the l = 1 character decays at rate 1).
    rot = ROTATIONS.sample(40000, 0.5, generator)
    decay = torch.exp(-(ROTATIONS.variances + 0.25))
    expected = torch.einsum("k,kij->ij", ROTATIONS.weights * decay, ROTATIONS.centres)
    torch.testing.assert_close(rot.mean(0), expected, rtol=0, atol=0.02)


def test_gaussian_flow_carries_the_law():
    """The map sends the noised law at one end to the noised law at the other."""
    x = torch.from_numpy(RNG.standard_normal((6, 3))).requires_grad_()
    start, end = (0.2, 0.98), (0.9, 0.1)
    y = GAUSSIAN.flow(x, start, end)
    volume = torch.autograd.functional.jacobian(lambda v: GAUSSIAN.flow(v, start, end), x[0])
    change = GAUSSIAN.log_density(y, *end) - GAUSSIAN.log_density(x, *start)
    torch.testing.assert_close(
        change, -torch.linalg.slogdet(volume).logabsdet.expand(6), rtol=1e-9, atol=1e-9
    )


def test_shapes_and_weights_are_checked():
    two = torch.eye(2)
    with pytest.raises(ValueError, match="need"):
        Gaussian(torch.zeros(3), two)
    with pytest.raises(ValueError, match="2 means need"):
        GaussianMixture(torch.ones(3) / 3, two, torch.ones(2))
    with pytest.raises(ValueError, match="sum to 1"):
        GaussianMixture(torch.ones(2), two, torch.ones(2))
    with pytest.raises(ValueError, match="sum to 1"):
        IGSO3Mixture(torch.ones(2), torch.eye(3).expand(2, 3, 3), torch.ones(2))
