"""Losses against closed forms and plain loops."""

import math

import numpy as np
import pytest
import torch
from e3nn import o3

from proteinweaver.diffusion.losses import (
    backbone_loss,
    clash_loss,
    local_distance_loss,
    rotation_score_loss,
    translation_loss,
)
from proteinweaver.diffusion.objective import LossWeights, denoising_losses, total_loss
from proteinweaver.nets.condition import unconditional
from proteinweaver.nets.denoiser import LENGTH_UNIT, Denoiser, DenoiserConfig, NoiseLevel
from samplers import igso3


def level_of(rho, sigma_rot=1.0, count=1):
    rho = torch.full((count,), rho, dtype=torch.float64)
    alpha = (1 + rho**2).rsqrt()
    return NoiseLevel(alpha, rho * alpha, torch.full((count,), sigma_rot, dtype=torch.float64))


@pytest.mark.parametrize("rho", [0.2, 1.0, 30.0])
def test_translation_loss_of_a_known_error(rho):
    """A displacement d of every residue costs (d / 10 A)^2 / 3 over rho^2 / (1 + rho^2)."""
    true = torch.randn(1, 7, 3, dtype=torch.float64)
    wrong = true + torch.tensor([0.0, 2.0, 0.0])
    mask = torch.ones(1, 7, dtype=torch.bool)
    expected = (2.0 / LENGTH_UNIT) ** 2 / 3 / (rho**2 / (1 + rho**2))
    assert float(translation_loss(wrong, true, mask, level_of(rho))) == pytest.approx(expected)
    assert float(translation_loss(true, true, mask, level_of(rho))) == 0.0


def test_translation_loss_is_one_for_the_posterior_mean_of_white_data():
    """Unit Gaussian data: the best estimate alpha x_t costs 1 in the mean, at every level."""
    generator = torch.Generator().manual_seed(0)
    x0, eps = torch.randn(2, 1, 40000, 3, generator=generator, dtype=torch.float64)
    for rho in (0.3, 2.0, 50.0):
        level = level_of(rho)
        x_t = level.alpha * x0 + level.sigma * eps
        estimate = level.alpha * x_t  # alpha / (alpha^2 + sigma^2)
        mask = torch.ones(1, 40000, dtype=torch.bool)
        loss = translation_loss(LENGTH_UNIT * estimate, LENGTH_UNIT * x0, mask, level)
        assert float(loss) == pytest.approx(1.0, abs=0.03)


def test_translation_weight_has_a_floor():
    true, wrong = torch.zeros(1, 4, 3), torch.ones(1, 4, 3)
    mask = torch.ones(1, 4, dtype=torch.bool)
    tiny = translation_loss(wrong, true, mask, level_of(1e-4))
    assert float(tiny) == pytest.approx(0.01 / 0.05**2)


@pytest.mark.parametrize("sigma", [0.1, 0.6, 2.0])
def test_rotation_loss_of_ignorance_is_its_weight(sigma):
    """Estimating R_t itself is a score of zero: costs sigma^2 / (sigma^2 + floor^2)."""
    torch.manual_seed(1)
    count = 6000
    true = o3.rand_matrix(1, count, dtype=torch.float64)
    noisy = true @ igso3.sample(sigma, (1, count), generator=torch.Generator().manual_seed(2))
    mask = torch.ones(1, count, dtype=torch.bool)
    level = level_of(1.0, sigma)
    weight = sigma**2 / (sigma**2 + 0.2**2)
    loss = rotation_score_loss(noisy, true, noisy, mask, level)
    assert float(loss) == pytest.approx(weight, rel=0.06)
    assert float(rotation_score_loss(true, true, noisy, mask, level)) == pytest.approx(
        0.0, abs=1e-9
    )


def test_rotation_loss_agrees_with_its_formula():
    """Against the score as a finite difference of the log-density along the tangent axes."""
    torch.manual_seed(2)
    sigma = 0.7
    true, other, noisy = o3.rand_matrix(3, 1, 5, dtype=torch.float64)

    def score(rot, about):
        step, out = 1e-5, []
        for axis in torch.eye(3, dtype=torch.float64):
            values = []
            for sign in (1.0, -1.0):
                turn = o3.axis_angle_to_matrix(
                    axis, torch.tensor(sign * step, dtype=torch.float64)
                )
                relative = about.transpose(-1, -2) @ rot @ turn
                cos = (torch.diagonal(relative, dim1=-2, dim2=-1).sum(-1) - 1) / 2
                values.append(igso3.log_density(cos.clamp(-1, 1).acos(), sigma))
            out.append((values[0] - values[1]) / (2 * step))
        return torch.stack(out, -1)

    error = (score(noisy, other) - score(noisy, true)).square().sum(-1).mean()
    expected = error / igso3.score_second_moment(sigma) * sigma**2 / (sigma**2 + 0.04)
    mask = torch.ones(1, 5, dtype=torch.bool)
    loss = rotation_score_loss(other, true, noisy, mask, level_of(1.0, sigma))
    assert float(loss) == pytest.approx(float(expected), rel=1e-4)


def test_backbone_loss_is_bounded():
    true = torch.randn(2, 6, 4, 3)
    mask = torch.ones(2, 6, dtype=torch.bool)
    for shift in (0.5, 100.0):
        square = shift**2
        loss = backbone_loss(true + torch.tensor([0.0, 0.0, shift]), true, mask)
        assert torch.allclose(loss, torch.full((2,), square / (1 + square / 10.0)), rtol=1e-4)


def test_local_distances_against_a_plain_loop():
    torch.manual_seed(3)
    true = 5 * torch.randn(2, 9, 4, 3, dtype=torch.float64)
    atoms = true + 0.7 * torch.randn(2, 9, 4, 3, dtype=torch.float64)
    mask = torch.ones(2, 9, dtype=torch.bool)
    mask[1, 6:] = False
    loss = local_distance_loss(atoms, true, mask, neighbours=4, cap=3.0)
    for row in range(2):
        real = np.flatnonzero(mask[row].numpy())
        total, weights = 0.0, 0.0
        x, y = atoms[row].numpy(), true[row].numpy()
        for i in real:
            others = sorted(
                (j for j in real if j != i), key=lambda j: np.linalg.norm(y[i, 1] - y[j, 1])
            )[:4]
            for j in others:
                for a in range(4):
                    for b in range(4):
                        target = np.linalg.norm(y[i, a] - y[j, b])
                        error = np.linalg.norm(x[i, a] - x[j, b]) - target
                        weight = 4.0 if target < 5.0 else 1.0
                        if {a, b} == {0, 3} and target < 3.5 and abs(i - j) >= 3:
                            weight += 12.0  # N and O of a hydrogen bond
                        total += weight * 2 * 9 * (math.sqrt(1 + (error / 3) ** 2) - 1)
                        weights += weight
        assert float(loss[row]) == pytest.approx(total / weights, rel=1e-4)


def test_local_distances_do_not_see_motion():
    torch.manual_seed(4)
    true = 5 * torch.randn(1, 20, 4, 3, dtype=torch.float64)
    moved = true @ o3.rand_matrix(dtype=torch.float64) + 30.0
    assert float(local_distance_loss(moved, true, torch.ones(1, 20, dtype=torch.bool))) < 1e-8


def test_clashes_against_a_plain_loop():
    """Squared overlap below 4.2 A of residues three or more apart, both ways, per residue."""
    torch.manual_seed(6)
    trans = 2 * torch.randn(2, 14, 3, dtype=torch.float64)
    mask = torch.ones(2, 14, dtype=torch.bool)
    mask[1, 9:] = False
    loss = clash_loss(trans, mask)
    for row, length in enumerate((14, 9)):
        x = trans[row].numpy()
        pairs = [(i, j) for i in range(length) for j in range(length) if abs(i - j) >= 3]
        overlaps = [max(0.0, 4.2 - np.linalg.norm(x[i] - x[j])) ** 2 for i, j in pairs]
        assert sum(overlap > 0 for overlap in overlaps) > 4
        assert float(loss[row]) == pytest.approx(sum(overlaps) / length, rel=1e-3)
    assert float(clash_loss(50 * trans, mask).sum()) == 0.0


@pytest.fixture(scope="module")
def small_net():
    torch.manual_seed(0)
    return Denoiser(DenoiserConfig(width=16, edge_width=8, heads=2, blocks=2, n_outside=4))


def _losses(net, process, self_condition, seed=0):
    torch.manual_seed(5)
    coord = torch.randn(2, 12, 4, 3) + 3 * torch.randn(2, 12, 1, 3)
    coord = coord - coord[..., 1:2, :].mean(1, keepdim=True)
    condition = unconditional(12)
    both = type(condition)(
        **{k: v.expand(2, *v.shape[1:]).clone() for k, v in vars(condition).items()}
    )
    generator = torch.Generator().manual_seed(seed)
    t = torch.tensor([0.2, 0.8])
    return denoising_losses(
        net, process, coord, both, t, generator, LossWeights(), self_condition
    ), both.mask


def test_the_objective_is_a_function_of_its_generator(small_net, process):
    first, _ = _losses(small_net, process, True)
    again, _ = _losses(small_net, process, True)
    other, _ = _losses(small_net, process, True, seed=1)
    assert torch.equal(first["total"], again["total"])
    assert not torch.allclose(first["total"], other["total"])


def test_the_total_is_the_weighted_sum(small_net, process):
    losses, mask = _losses(small_net, process, False)
    losses = {name: value.detach() for name, value in losses.items()}
    w = LossWeights()
    parts = w.intermediate * len(small_net.blocks) * losses["intermediate"]
    for name in losses.keys() - {"total", "intermediate"}:
        parts = parts + getattr(w, name) * losses[name]
    assert torch.allclose(losses["total"], parts, rtol=1e-5)
    assert float(total_loss(losses, mask)) == pytest.approx(float(losses["total"].mean()))
    short = mask.clone()
    short[1, 3:] = False  # 12 residues and 3
    weighted = (12 * losses["total"][0] + 3 * losses["total"][1]) / 15
    assert float(total_loss(losses, short)) == pytest.approx(float(weighted))


def test_auxiliary_losses_fade_with_noise(small_net, process):
    """At t = 0.8 (rho 4.6) atoms count (0.3 / 4.6)^2 of what they would, at most 10 A^2."""
    losses, _ = _losses(small_net, process, False)
    rho = float(process.trans_law.rho(0.8))
    assert float(losses["backbone"][1].detach()) < 10.0 / (1 + (rho / 0.3) ** 2)


def test_mixed_precision_gives_the_loss_of_full_precision(small_net, process):
    """bfloat16 has three digits: losses agree to 1%, gradients in their direction."""

    def found():
        small_net.zero_grad()
        losses, mask = _losses(small_net, process, True)
        total_loss(losses, mask).backward()
        gradient = torch.cat([p.grad.flatten() for p in small_net.parameters()])
        small_net.zero_grad()
        return {name: value.detach() for name, value in losses.items()}, gradient

    exact, slope = found()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed, mixed_slope = found()
    for name, value in exact.items():
        assert mixed[name].dtype == torch.float32
        assert torch.allclose(mixed[name], value, rtol=0.01), name
    assert not torch.equal(mixed["total"], exact["total"]), "the layers did take fewer digits"
    assert torch.cosine_similarity(slope, mixed_slope, dim=0) > 0.99
