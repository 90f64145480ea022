"""Total variation against scipy quadrature, chi-square closed forms and known shifts."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from samplers.diagnostics import variation


def test_isotropic_against_quadrature():
    for a, b, dim in ((1.0, 1.7, 1), (0.3, 0.25, 3), (2.0, 0.1, 30)):
        # The radius has a chi law, and TV is that of the radii.
        p, q = (lambda r, s=s, dim=dim: stats.chi.pdf(r / s**0.5, dim) / s**0.5 for s in (a, b))
        edge = math.sqrt(dim * math.log(b / a) / (1 / a - 1 / b))
        value, _ = integrate.quad(lambda r, p=p, q=q: p(r) - q(r), 0, edge, epsabs=1e-13)
        assert variation.isotropic_tv(a, b, dim) == pytest.approx(abs(value), abs=1e-10)
    assert variation.isotropic_tv(1.0, 1.0, 5) == 0


@pytest.mark.parametrize("dim", [1, 2, 3, 30, 400])
@pytest.mark.parametrize("ratio", [1.5, 1.001, 1 + 1e-6])
def test_diagonal_reduces_to_isotropic(dim, ratio):
    a = np.full(dim, 0.7)
    ours = variation.diagonal_tv(a, ratio * a)
    assert ours == pytest.approx(variation.isotropic_tv(0.7, 0.7 * ratio, dim), abs=1e-11)


def test_diagonal_against_plane_quadrature():
    a, b = np.array([0.5, 2.0]), np.array([0.8, 1.5])

    def density(v):
        return lambda x, y: (
            stats.norm.pdf(x, scale=v[0] ** 0.5) * stats.norm.pdf(y, scale=v[1] ** 0.5)
        )

    x = np.linspace(-9, 9, 601)
    grid = np.meshgrid(x, x, indexing="ij")
    value = 0.5 * np.abs(density(a)(*grid) - density(b)(*grid)).sum() * 0.03**2
    assert variation.diagonal_tv(a, b) == pytest.approx(value, abs=1e-4)
    assert variation.diagonal_tv(b, a) == pytest.approx(variation.diagonal_tv(a, b), abs=1e-11)
    with pytest.raises(ValueError, match="positive"):
        variation.diagonal_tv(a, 0 * a)


def test_diagonal_against_monte_carlo_in_many_dimensions():
    rng = np.random.default_rng(0)
    a = np.logspace(-2, 0, 64)
    b = a * np.exp(0.1 * rng.standard_normal(64))
    z2 = rng.standard_normal((100000, 64)) ** 2
    log_ratio = 0.5 * (np.log(a / b).sum() + z2 @ (1 - a / b))  # log q/p under p
    draws = -np.expm1(np.minimum(log_ratio, 0))
    error = draws.std() / math.sqrt(len(draws))
    assert variation.diagonal_tv(a, b) == pytest.approx(draws.mean(), abs=4 * error)


def normal(mean):
    return lambda x: -0.5 * (x - mean).square().sum(-1) - 0.5 * x.shape[-1] * math.log(2 * math.pi)


def test_grids_against_the_shift():
    truth = variation.shifted_tv(0.8)
    assert truth == pytest.approx(2 * stats.norm.cdf(0.4) - 1, abs=1e-15)
    one = variation.grid_tv(normal(0.0), normal(0.8), [(-8, 9)], 4000)
    assert one.item() == pytest.approx(truth, abs=1e-6)
    shift = torch.tensor([0.48, 0.64], dtype=torch.float64)
    two = variation.grid_tv(normal(0.0), normal(shift), [(-8, 9)] * 2, 400)
    assert two.item() == pytest.approx(truth, abs=1e-5)


def test_flow_tv_of_an_affine_map():
    """Start N(0, 1), map 2 x + 0.5: the law is N(0.5, 4)."""

    def end(x):
        return -0.5 * (x[..., 0] / 2).square() - math.log(2 * math.sqrt(2 * math.pi))

    tv, smallest = variation.flow_tv(
        lambda x, times: 2 * x + 0.5, (1.0, 0.0), normal(0.0), end, [(-12, 12)], 4000
    )
    assert tv.item() == pytest.approx(variation.shifted_tv(0.25), abs=1e-6)
    assert smallest == 2


def test_bounds_from_samples():
    """Both estimates stay below the truth and come near it; equal laws give a bound of 0."""
    generator = torch.Generator().manual_seed(0)
    x, y, z = torch.randn(3, 6000, 3, generator=generator, dtype=torch.float64)
    y = y + torch.tensor([1.5, 0.0, 0.0], dtype=torch.float64)
    truth = variation.shifted_tv(1.5)
    for function in (variation.projected_tv, variation.classifier_tv):
        estimate, lower = function(x, y, generator=generator)
        assert lower <= truth
        assert estimate.item() == pytest.approx(truth, abs=0.05)
        assert lower > 0.75 * truth
        assert function(x, z, generator=generator)[1] == 0


def test_a_classifier_sees_what_no_projection_does():
    """Gaussian against a ring of the same covariance."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(4000, 2, generator=generator, dtype=torch.float64)
    y = torch.randn(4000, 2, generator=generator, dtype=torch.float64)
    y = math.sqrt(2) * y / y.norm(dim=-1, keepdim=True)
    estimate, lower = variation.classifier_tv(x, y, generator=generator)
    projected, _ = variation.projected_tv(x, y, generator=generator)
    assert estimate > 0.55
    assert lower > projected
