"""The shipped network and the problems of comparison."""

import math

import numpy as np
import pytest
import torch

from samplers import grids, schedules, steppers
from samplers.component import Component
from samplers.diagnostics import maps, strong
from samplers.diagnostics.order import fit_order
from samplers.spaces import Euclidean
from samplers.targets import benchmark, learned, noised, reference, score_field

LEVELS = [(0.9, 0.3), (0.3, 0.95), (1.0, 0.02), (1.0, 30.0)]
NETWORK = learned.load()


@pytest.mark.parametrize("level", LEVELS)
def test_network_jacobian_agrees_with_autograd(level):
    x = noised(benchmark.mixture(2), 7, *level, torch.Generator().manual_seed(0))
    _, truth = maps.value_and_jacobian(lambda v: NETWORK.score(v, *level), x)
    scale = 1 / level[1] ** 2
    torch.testing.assert_close(NETWORK.jacobian(x, *level), truth, rtol=1e-10, atol=1e-12 * scale)
    torch.testing.assert_close(
        NETWORK.divergence(x, *level),
        truth.diagonal(dim1=-2, dim2=-1).sum(-1),
        rtol=1e-10,
        atol=1e-12 * scale,
    )


@pytest.mark.parametrize(("rho", "share"), [(0.1, 0.2), (0.3, 0.03), (1.0, 2e-3), (30.0, 1e-3)])
def test_network_has_learned_the_mixture(rho, share):
    """Error of the score as a share of its second moment."""
    level = 1.0, rho
    target = benchmark.mixture(2)
    x = noised(target, 2000, *level, torch.Generator().manual_seed(0))
    truth = target.score(x, *level)
    gap = (NETWORK.score(x, *level) - truth).square().mean() / truth.square().mean()
    assert 1e-9 < gap < share


def test_order_on_the_learned_field():
    """Heun against the reference flow of the network itself."""
    law = schedules.VPLinear()
    t_max, t_min = 0.8, law.t_from_rho(0.05)
    start, end = ((law.alpha(t), law.sigma(t)) for t in (t_max, t_min))
    x = benchmark.starts(2, 64) * math.hypot(*start)
    truth = reference.score_flow(NETWORK.score, x, start, end, 1e-10)
    advance = maps.sampler_map(
        score_field(NETWORK, law), Component(Euclidean(), law, "score"), steppers.make("heun")
    )
    counts, errors = (32, 64, 128, 256), []
    for n in counts:
        times = grids.make("log_snr", n, law, t_min=t_min, t_max=t_max)
        distance = strong.distances(advance(x, times), truth)
        errors.append(strong.strong_error(distance).median.item())
    assert fit_order(counts, errors).order == pytest.approx(2, abs=0.15)


def test_problems_of_comparison_are_the_published_ones():
    target = benchmark.mixture(16)
    means = 0.95 * np.random.default_rng([0, 16, 8]).standard_normal((8, 16))
    np.testing.assert_array_equal(target.means.numpy(), means)
    np.testing.assert_allclose(target.stds.numpy(), np.linspace(0.15, 0.35, 8))
    np.testing.assert_allclose(target.weights.numpy(), np.linspace(1, 2, 8) / 12)
    assert benchmark.starts(2).shape == (256, 2)
    assert benchmark.rotation_starts().shape == (128, 3, 3)
    assert benchmark.rotations().variances.tolist() == [0.02] * 8
    frames = benchmark.frames()
    x, rot = frames.sample(3, generator=torch.Generator().manual_seed(0))
    assert x.shape == (3, 2, 3)
    assert rot.shape == (3, 2, 3, 3)
