"""Models on integer steps: the law through their levels, and the rounding they add."""

import math

import pytest
import torch

from samplers import grids, schedules, steppers
from samplers.discrete import DiscreteField, Tabulated, linear_betas, rounding_error
from samplers.integrate import Component, integrate
from samplers.spaces import Euclidean
from samplers.targets import GaussianMixture

LAW = Tabulated(linear_betas())
TARGET = GaussianMixture(
    torch.tensor([0.3, 0.7]).double(),
    torch.tensor([[-1.0, 0.5], [1.0, 0.0]]).double(),
    torch.tensor([0.2, 0.4]).double(),
)
X = torch.randn(32, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def model(x, level):
    """Exact v at the levels, and nowhere else."""
    bar = LAW.alpha_bar[level - 1]
    alpha, sigma = math.sqrt(bar), math.sqrt(1 - bar)
    score = TARGET.score(x, alpha, sigma)
    return -(x + (alpha**2 + sigma**2) * score) * sigma / alpha


def test_the_model_is_v():
    """v = alpha eps - sigma x0 with eps = -sigma score, as the test's model writes it."""
    alpha, sigma = math.sqrt(LAW.alpha_bar[499]), math.sqrt(1 - LAW.alpha_bar[499])
    eps = -sigma * TARGET.score(X, alpha, sigma)
    torch.testing.assert_close(model(X, 500), alpha * eps - sigma * (X - sigma * eps) / alpha)


def exact(state, t):
    return (TARGET.score(state[0], LAW.alpha(t), LAW.sigma(t)),)


def test_the_law_goes_through_the_levels():
    for level in (1, 2, 500, 1000):
        bar = LAW.alpha_bar[level - 1]
        assert LAW.alpha(level / 1000) ** 2 == pytest.approx(bar, rel=1e-12)
        assert LAW.sigma(level / 1000) ** 2 == pytest.approx(1 - bar, rel=1e-12)
    t = torch.linspace(0.0015, 0.9995, 50, dtype=torch.float64)
    torch.testing.assert_close(LAW.t_from_rho(LAW.rho(t)), t, rtol=1e-10, atol=0)
    slope = (LAW.rho(t + 1e-8) - LAW.rho(t - 1e-8)) / 2e-8
    torch.testing.assert_close(
        LAW.g2(t), 2 * LAW.alpha(t) ** 2 * LAW.rho(t) * slope, rtol=1e-5, atol=0
    )
    near = schedules.VPLinear().rho(0.5)
    assert LAW.rho(0.5) == pytest.approx(near, rel=0.01)
    with pytest.raises(ValueError, match="decrease strictly within"):
        Tabulated((0.5, 0.6))


def test_the_reported_rounding_is_the_floor():
    """At many steps only rounding is left; on the levels nothing is."""
    field = DiscreteField(model, LAW, "v")
    grid = grids.make("log_snr", 300, LAW, t_min=0.004)
    stepper = steppers.make("unipc3_v")
    truth = integrate(exact, (X,), grid, stepper, (Component(Euclidean(), LAW, "score"),))[0]
    report = rounding_error(field, (X,), grid, stepper)
    floor = (report.end[0] - truth).square().mean().sqrt().item()
    assert report.rms == pytest.approx(floor, rel=0.2)
    assert report.rms > 1e-4
    assert report.largest_offset == pytest.approx(
        max(abs(o) for o in field.offsets(grid)), rel=1e-12
    )

    snapped = LAW.snap(grid)
    assert all(abs(1000 * t - round(1000 * t)) < 1e-9 for t in snapped)
    on_levels = rounding_error(field, (X,), snapped, stepper)
    assert on_levels.worst == 0
    assert max(abs(o) for o in field.offsets(snapped)) < 1e-12


def test_calls_of_the_two_rules():
    for between, expected in (("nearest", 1), ("linear", 2)):
        calls = []

        def counted(x, level, calls=calls):
            calls.append(level)
            return model(x, level)

        field = DiscreteField(counted, LAW, "v", between)
        field((X,), 0.50025)
        assert calls == [500, 501][:expected]
        calls.clear()
        field((X,), 0.5)
        assert calls == [500]
