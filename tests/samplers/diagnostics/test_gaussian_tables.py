"""Closed-form tables on Gaussians: TV of isotropic targets, dimension exponents, the budget.

The figures were computed independently: isotropic N(0, c I) in 30 dimensions, OU law, T = 6,
delta = 1e-3, exact law at the start; samplers as scalar recursions.
"""

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from samplers import grids, schedules, steppers
from samplers.component import Component
from samplers.diagnostics import budget, dimension
from samplers.diagnostics.gaussian_law import (
    DiagonalGaussian,
    diagonal_field,
    diagonal_w2,
    sampler_law,
)
from samplers.diagnostics.maps import sampler_map
from samplers.diagnostics.variation import isotropic_tv
from samplers.spaces import Euclidean

OU = schedules.OU(6.0)
ENDS = {"t_min": 1e-3 / 6, "t_max": 1.0}
COUNTS = (25, 50, 100, 200, 400, 800)


def heun_in_time(field, law):
    """Heun for dx/dt = -T (x + score), the tables' kind; ours steps in log rho."""

    def advance(x, times):
        for a, b in itertools.pairwise(times):
            h = law.horizon * (a - b)
            first = x + field((x,), a)[0]
            y = x + h * first
            x = x + 0.5 * h * (first + y + field((y,), b)[0])
        return x

    return advance


def table(c, grid, method, counts=COUNTS, dim=30):
    data = DiagonalGaussian(torch.zeros(1).double(), torch.full((1,), c, dtype=torch.float64))
    start, truth = (data.noised(OU.alpha(t), OU.sigma(t)) for t in (ENDS["t_max"], ENDS["t_min"]))
    field = diagonal_field(data, OU)
    if method == "heun":
        advance = heun_in_time(field, OU)
    else:
        advance = sampler_map(field, Component(Euclidean(), OU, "score"), steppers.make(method))
    values = []
    for count in counts:
        times = grids.make(grid, count, OU, **ENDS)
        out = sampler_law(advance, times, start)
        values.append(isotropic_tv(out.variance.item(), truth.variance.item(), dim))
    return np.array(values)


@pytest.mark.parametrize(
    ("method", "bars"),
    [
        ("ei_score", (0.870, 0.630, 0.374, 0.199, 0.101, 0.0508)),
        ("ei_eps", (0.993, 0.933, 0.755, 0.509, 0.300, 0.163)),
        ("heun", (1.00, 0.616, 0.155, 0.0363, 0.00865, 0.00210)),
    ],
)
def test_uniform_grid_to_three_digits(method, bars):
    for ours, bar in zip(table(0.1, "uniform", method), bars, strict=True):
        assert float(f"{ours:.3g}") == pytest.approx(bar, rel=1e-9, abs=0.5e-3 * bar)


@pytest.mark.parametrize(
    ("c", "method", "bars"),
    [
        (0.1, "ei_score", (0.191, 0.0975, 0.0492, 0.0247, 0.0124)),
        (0.1, "ei_eps", (0.0974, 0.0498, 0.0252, 0.0127, 0.00636)),
        (0.1, "heun", (0.0261, 0.00645, 0.00161, 0.000402, 0.000100)),
        (4.0, "ei_score", (0.0981, 0.0483, 0.0240, 0.0120, 0.00598)),
        (4.0, "ei_eps", (0.167, 0.0832, 0.0415, 0.0207, 0.0104)),
    ],
)
def test_constant_then_geometric_within_five_percent(c, method, bars):
    ours = table(c, "const_geom", method, COUNTS[1:])
    np.testing.assert_allclose(ours, bars, rtol=0.05)
    order = 2.0 if method == "heun" else 1.0
    assert math.log2(ours[-2] / ours[-1]) == pytest.approx(order, abs=0.02)


def test_growth_like_the_root_of_the_dimension():
    """EI, N = 400, constant then geometric, c = 0.1."""
    values = [table(0.1, "const_geom", "ei_score", (400,), dim)[0] for dim in (3, 30, 300, 3000)]
    np.testing.assert_allclose(values, (0.0074, 0.0247, 0.0785, 0.245), rtol=0.02)


@pytest.mark.parametrize(
    ("sampler", "grid", "epsilon", "dims", "expected", "bars"),
    [
        ("ei_score", "uniform", 0.1, (32, 64, 128), 0.50, {32: 158, 128: 316}),
        ("ei_eps", "log_snr", 0.2, (32, 64, 128), 0.50, {}),
        ("expab2", "log_snr", 0.1, (32, 64, 128), 0.25, {32: 18, 128: 26}),
        ("heun", "log_snr", 0.01, (32, 64, 128), 0.25, {}),
    ],
)
def test_dimension_exponents(sampler, grid, epsilon, dims, expected, bars):
    """0.50 for order 1, 0.25 for order 2; the calls were counted independently."""
    calls = dimension.product_steps(sampler, schedules.VPLinear(), dims, epsilon, grid=grid)
    for dim, bar in bars.items():
        assert calls[dims.index(dim)] == pytest.approx(bar, rel=0.03, abs=1)
    slope = dimension.fit_exponent(dims, calls)
    assert slope.value == pytest.approx(expected, abs=0.015)
    assert slope.low < slope.value < slope.high
    assert slope.high - slope.low < 0.15


def test_fit_exponent_interval():
    rng = np.random.default_rng(0)
    x = np.array([2.0, 4, 8, 16, 32, 64])
    hits = 0
    for _ in range(200):
        fit = dimension.fit_exponent(x, x**0.5 * np.exp(0.05 * rng.standard_normal(6)))
        hits += fit.low <= 0.5 <= fit.high
    assert 180 <= hits <= 199
    with pytest.raises(ValueError, match="3 points"):
        dimension.fit_exponent([1, 2, 3], [1, float("nan"), 3])


def test_steps_needed_finds_the_crossing():
    assert dimension.steps_needed(lambda n: 3 / n, 0.07) == pytest.approx(3 / 0.07, rel=1e-12)
    assert math.isnan(dimension.steps_needed(lambda n: 0.5, 0.1, most=64))


@pytest.fixture(scope="module")
def chain():
    def vector(*values):
        return torch.tensor(values, dtype=torch.float64)

    data = DiagonalGaussian(vector(0.5, -1, 2), vector(0.04, 0.5, 2))
    learned = DiagonalGaussian(vector(0.52, -1.1, 2), vector(0.05, 0.45, 2.1))
    law = schedules.VPLinear()
    times = grids.make("log_snr", 30, law, t_min=1e-3, t_max=0.7)
    prior = DiagonalGaussian(vector(0, 0, 0), vector(1, 1, 1))
    component = Component(Euclidean(), law, "score")
    advance = sampler_map(diagonal_field(learned, law), component, steppers.make("ei_eps"))
    laws = budget.gaussian_chain(data, learned, prior, advance, law, times)
    return SimpleNamespace(data=data, learned=learned, law=law, times=times, laws=laws)


def test_law_budget_adds_up(chain):
    """Signed parts give the distance between data and the sampler's law, found independently.

    DDIM on a Gaussian multiplies x/alpha - m by prod (1 + (rho' - rho) rho / (c + rho^2)).
    """
    found = budget.law_budget(diagonal_w2, chain.laws)
    c, m = chain.learned.variance.numpy(), chain.learned.mean.numpy()
    rho = np.array([chain.law.rho(t) for t in chain.times])
    factor = np.prod([1 + (b - a) * a / (c + a * a) for a, b in itertools.pairwise(rho)], axis=0)
    a0, a1 = chain.law.alpha(chain.times[0]), chain.law.alpha(chain.times[-1])
    mean, std = a1 * (m + factor * (0 - m)), a1 / a0 * np.abs(factor)
    truth = np.sqrt(
        ((mean - chain.data.mean.numpy()) ** 2).sum()
        + ((std - np.sqrt(chain.data.variance.numpy())) ** 2).sum()
    )
    assert found.total.item() == pytest.approx(truth, abs=1e-10)
    assert found.signed.sum().item() == pytest.approx(truth, abs=1e-8)
    assert found.sizes.sum() >= found.total
    assert (found.sizes > 1e-6).all(), "every cause is present in this setting"
    assert found.names == budget.PARTS


def test_path_budget_adds_up(chain):
    """Coupled Gaussians: each share and the total against their closed forms."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(5000, 3, generator=generator, dtype=torch.float64)
    points = [law.mean + law.variance.sqrt() * z for law in chain.laws]
    found = budget.path_budget(points)
    assert found.signed.sum().item() == pytest.approx(found.total.item(), abs=1e-8)
    whole = points[-1] - points[0]
    assert found.total.item() == pytest.approx(whole.square().sum(-1).mean().sqrt().item())
    # The monotone coupling is optimal, so for large samples total = W2.
    assert found.total.item() == pytest.approx(
        diagonal_w2(chain.laws[-1], chain.laws[0]).item(), rel=0.03
    )


def test_parts_must_fit():
    with pytest.raises(ValueError, match="need a chain of 5"):
        budget.path_budget([torch.zeros(2, 2)] * 3)
