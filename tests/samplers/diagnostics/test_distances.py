"""Strong error, W2, MMD, energy distance and the bootstrap on known answers."""

import numpy as np
import pytest
import torch
from scipy import linalg, stats

from samplers.diagnostics import bootstrap, kernel, strong, transport

RNG = np.random.default_rng(0)


def tensor(*shape):
    return torch.from_numpy(RNG.standard_normal(shape))


def test_one_flip_spoils_the_rms_alone():
    distance = torch.full((100,), 1e-3, dtype=torch.float64)
    distance[3] = 2.0
    basin = torch.zeros(100, dtype=torch.long)
    moved = basin.clone()
    moved[3] = 1
    error = strong.strong_error(distance, moved, basin)
    assert error.median == 1e-3
    assert error.rms == pytest.approx(0.2, rel=1e-3)
    assert error.flips == pytest.approx(0.01)
    assert error.same_basin_rms == pytest.approx(1e-3)
    assert strong.strong_error(distance).same_basin_rms == error.rms


def test_distances_and_basins():
    x = torch.tensor([[0.0, 0.0], [3.0, 4.0]], dtype=torch.float64)
    d = strong.distances(x, x.flip(0))
    torch.testing.assert_close(d, torch.full((2,), 5 / 2**0.5, dtype=torch.float64))
    assert strong.nearest(x, torch.tensor([[3.0, 3.0], [0.0, 1.0]]).double()).tolist() == [1, 0]


def test_gaussian_w2():
    a, b = (m @ m.T for m in RNG.standard_normal((2, 3, 3)))
    m, n = RNG.standard_normal((2, 3))
    cross = linalg.sqrtm(linalg.sqrtm(a) @ b @ linalg.sqrtm(a)).real
    truth = np.sqrt(((m - n) ** 2).sum() + np.trace(a + b - 2 * cross))
    ours = transport.gaussian_w2(*(torch.from_numpy(v) for v in (m, a, n, b)))
    assert ours.item() == pytest.approx(truth, abs=1e-7)


def test_line_w2_of_equal_and_unequal_sizes():
    x, y = tensor(6), tensor(6) + 1
    truth = (x.sort().values - y.sort().values).square().mean().sqrt()
    torch.testing.assert_close(transport.line_w2(x, y), truth)
    # Repeating points changes no law.
    torch.testing.assert_close(transport.line_w2(x.repeat(2), y.repeat(3)), truth)
    brute = stats.wasserstein_distance  # W1 of the scipy kind bounds W2 from below
    assert transport.line_w2(x[:4], y) >= brute(x[:4].numpy(), y.numpy())


def test_assignment_and_slices():
    x = tensor(40, 3)
    shift = torch.tensor([0.3, -0.4, 1.2], dtype=torch.float64)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    near = x + 0.01 * tensor(40, 3)
    torch.testing.assert_close(
        transport.assignment_w2(x, near[order]), (x - near).square().sum(-1).mean().sqrt()
    )
    line = transport.assignment_w2(x[:, :1], near[order][:, :1])
    torch.testing.assert_close(line, transport.line_w2(x[:, 0], near[:, 0]))
    generator = torch.Generator().manual_seed(0)
    sliced = transport.sliced_w2(x, (x + shift)[order], 4000, generator)
    assert sliced.item() == pytest.approx(1.3 / 3**0.5, rel=0.05)  # E <u, shift>^2 = |shift|^2/n
    with pytest.raises(ValueError, match="one size"):
        transport.assignment_w2(x, x[:5])


def test_mmd_of_shifted_gaussians():
    """Closed form: E k = (l^2/(l^2+2))^(n/2) exp(-|shift|^2 / (2 (l^2+2)))."""
    x, y = tensor(2000, 2), tensor(2000, 2) + torch.tensor([1.0, 0.0], dtype=torch.float64)
    scale = 1.0 / (1.0 + 2.0)
    truth = 2 * scale * (1 - np.exp(-0.5 * scale))
    assert kernel.mmd2(x, y, [1.0]).item() == pytest.approx(truth, abs=0.015)
    assert abs(kernel.mmd2(x, tensor(2000, 2), [1.0]).item()) < 3e-3
    median = kernel.median_distance(x, x.flip(0)).item()
    assert median == pytest.approx(2**0.5 * stats.chi.median(2), rel=0.03)


def test_energy_distance_on_the_line():
    """Twice the integral of the squared difference of the distribution functions."""
    x, y = tensor(1500, 1), 1.5 * tensor(1500, 1)
    grid = np.linspace(-9, 9, 4001)
    gap = stats.norm.cdf(grid) - stats.norm.cdf(grid / 1.5)
    truth = 2 * (gap**2).sum() * (grid[1] - grid[0])
    assert kernel.energy_distance(x, y).item() == pytest.approx(truth, abs=0.02)


def test_bootstrap_covers_the_mean():
    """Nominal 95 %; 60 trials, at least 52 (a binomial tail of 1 %)."""
    generator = torch.Generator().manual_seed(0)
    hits = 0
    for _ in range(60):
        x = torch.randn(80, generator=generator, dtype=torch.float64)
        found = bootstrap.bootstrap(torch.mean, x, count=200, generator=generator)
        hits += bool((found.low <= 0) & (found.high >= 0))
    assert 52 <= hits


def test_paired_bootstrap_is_narrower():
    x = tensor(200)
    y = x + 0.01 * tensor(200)

    def difference(a, b):
        return a.mean() - b.mean()

    widths = []
    for paired in (True, False):
        found = bootstrap.bootstrap(
            difference, x, y, paired=paired, generator=torch.Generator().manual_seed(0)
        )
        widths.append((found.high - found.low).item())
    assert widths[0] < 0.1 * widths[1]
    with pytest.raises(ValueError, match="one length"):
        bootstrap.bootstrap(difference, x, y[:3], paired=True)
