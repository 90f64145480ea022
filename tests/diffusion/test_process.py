"""Forward process: marginals against closed forms, end points without a trace of the data."""

import math

import pytest
import torch
from e3nn import o3
from scipy import stats

from proteinweaver.diffusion.process import FrameProcess, ProcessConfig
from proteinweaver.nets.denoiser import LENGTH_UNIT, centred
from samplers import igso3

TIMES = (0.02, 0.3, 0.7, 1.0)


def draw(process, t, count=4000, length=5, seed=0):
    """Many independent corruptions of one short chain."""
    torch.manual_seed(seed)
    rot = o3.rand_matrix(1, length).expand(count, -1, -1, -1)
    mask = torch.ones(count, length, dtype=torch.bool)
    trans = centred(12 * torch.randn(1, length, 3).expand(count, -1, -1), mask)
    generator = torch.Generator().manual_seed(seed + 1)
    noisy = process.corrupt(rot, trans, mask, torch.full((count,), t), generator)
    return (rot, trans), noisy


@pytest.mark.parametrize("t", TIMES)
def test_translations_have_the_marginal_of_the_centred_law(process, t):
    """Mean alpha x0; covariance sigma^2 (I - 1/L); centre of mass zero."""
    (_, trans), (_, noisy) = draw(process, t)
    alpha, sigma = float(process.trans_law.alpha(t)), float(process.trans_law.sigma(t))
    assert noisy.mean(1).abs().max() < 1e-4
    rest = (noisy - alpha * trans).double() / LENGTH_UNIT
    count, length, _ = rest.shape
    samples = rest.permute(1, 0, 2).reshape(length, -1)
    covariance = samples @ samples.T / samples.shape[1]
    expected = sigma**2 * (torch.eye(length, dtype=torch.float64) - 1 / length)
    assert (covariance - expected).abs().max() < 5 * sigma**2 * math.sqrt(2 / (3 * count))
    assert rest.mean(0).abs().max() < 5 * sigma / math.sqrt(count)
    assert alpha**2 + sigma**2 == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("t", TIMES)
def test_rotations_have_the_heat_kernel_law(process, t):
    """Angle: Kolmogorov-Smirnov; mean matrix: exp(-sigma^2) R0 (the character of l = 1)."""
    (rot, _), (noisy, _) = draw(process, t)
    sigma = float(process.rot_law.sigma(t))
    relative = (rot.transpose(-1, -2) @ noisy).double()
    angle = (
        ((torch.diagonal(relative, dim1=-2, dim2=-1).sum(-1) - 1) / 2)
        .clamp(-1, 1)
        .acos()
        .flatten()
    )
    p_value = stats.kstest(
        angle.numpy(), lambda w: igso3.cdf(torch.from_numpy(w), sigma).numpy()
    ).pvalue
    assert p_value > 1e-3
    mean = relative.reshape(-1, 3, 3).mean(0)
    spread = 4 / math.sqrt(len(angle))
    assert (mean - math.exp(-(sigma**2)) * torch.eye(3)).abs().max() < spread


def test_corruption_turns_with_the_structure(process):
    """Same noise numbers, rotated chain: rotations follow (their noise is in the body frame)."""
    torch.manual_seed(4)
    turn = o3.rand_matrix()
    rot, mask = o3.rand_matrix(2, 9), torch.ones(2, 9, dtype=torch.bool)
    trans = centred(torch.randn(2, 9, 3), mask)
    t = torch.tensor([0.2, 0.8])
    first, _ = process.corrupt(rot, trans, mask, t, torch.Generator().manual_seed(5))
    second, _ = process.corrupt(
        turn @ rot, trans @ turn.T, mask, t, torch.Generator().manual_seed(5)
    )
    assert torch.allclose(second, turn @ first, atol=1e-5)


def test_masked_residues_carry_no_translation(process):
    mask = torch.tensor([[True] * 6 + [False] * 3])
    trans = centred(torch.randn(1, 9, 3, generator=torch.Generator().manual_seed(0)), mask)
    _, noisy = process.corrupt(
        torch.eye(3).expand(1, 9, 3, 3),
        trans,
        mask,
        torch.tensor([0.5]),
        torch.Generator().manual_seed(1),
    )
    assert noisy[0, 6:].abs().max() == 0
    assert noisy[0, :6].mean(0).abs().max() < 1e-5


# -- no leak at t = 1 --

RESIDUES, DISTANCE = 400, 60.0  # of each of two pieces; between their centres, angstrom
BOUND = 0.25


def pooled_translation_snr(process: FrameProcess) -> float:
    """Signal-to-noise ratio of the distance between two pieces at t = 1.

    Their centres of mass differ by ``alpha d`` plus Gaussian noise of standard deviation ``sigma
    sqrt(2 / n)``.
    """
    alpha, sigma = float(process.trans_law.alpha(1.0)), float(process.trans_law.sigma(1.0))
    return alpha * DISTANCE / LENGTH_UNIT / (sigma * math.sqrt(2 / RESIDUES))


def pooled_rotation_snr(process: FrameProcess) -> float:
    """Square root of the chi-square divergence from uniform that n residues add up.

    sum_{l >= 1} (2 l + 1)^2 exp(-l (l + 1) sigma^2) for each (Parseval for the characters of
    SO(3)).
    """
    sigma = float(process.rot_law.sigma(1.0))
    each = sum((2 * k + 1) ** 2 * math.exp(-k * (k + 1) * sigma**2) for k in range(1, 60))
    return math.sqrt(RESIDUES * each)


def test_no_pose_is_visible_at_the_start_of_sampling(process):
    assert process.config.rho_max >= 400
    assert process.config.sigma_max >= 2.5
    assert pooled_translation_snr(process) < BOUND
    assert pooled_rotation_snr(process) < BOUND


def test_the_end_points_of_others_would_leak():
    """The bound is one that can be missed: sigma 1.5 and rho 152 (FrameDiff) miss it by far."""
    leaky = FrameProcess(ProcessConfig(rho_max=152.0, sigma_max=1.5))
    assert pooled_translation_snr(leaky) > 2 * BOUND
    assert pooled_rotation_snr(leaky) > 2 * BOUND


def test_the_pooled_pose_measured_on_draws(process):
    """The same ratio from draws: two pieces, 60 A apart, seen through their centres of mass."""
    length, count = 2 * RESIDUES, 300
    trans = torch.zeros(count, length, 3)
    trans[:, :RESIDUES, 0], trans[:, RESIDUES:, 0] = DISTANCE / 2, -DISTANCE / 2
    mask = torch.ones(count, length, dtype=torch.bool)
    level = process.level(torch.ones(count))
    eps = centred(torch.randn(trans.shape, generator=torch.Generator().manual_seed(2)), mask)
    noisy = level.alpha[:, None, None] * trans + LENGTH_UNIT * level.sigma[:, None, None] * eps
    gap = noisy[:, :RESIDUES].mean(1) - noisy[:, RESIDUES:].mean(1)
    noise = gap[:, 1:].std()  # across the axis there is no signal
    assert float(gap[:, 0].mean() / noise) < BOUND + 4 / math.sqrt(count)
    assert float(noise) == pytest.approx(LENGTH_UNIT * math.sqrt(2 / RESIDUES), rel=0.15)
