"""IGSO(3) against high-precision series, quadrature, autograd and Kolmogorov-Smirnov."""

import math
from functools import cache

import mpmath as mp
import numpy as np
import pytest
import torch
from scipy import stats

from samplers import igso3, so3


def character_series(w: float, sigma: float) -> tuple[float, float, float]:
    """log f, its first and second derivative by the defining series, in fixed-point integers.

    The terms are O(1) while f may be exp(-w^2/2tau), so that many more digits are carried.
    """
    with mp.workdps(30):
        lost = float(mp.mpf(w) ** 2 / (2 * mp.mpf(sigma) ** 2))
    bits = int((lost + 80) / math.log(2)) + 200
    with mp.workprec(bits + 64):
        angle, tau = mp.mpf(w), mp.mpf(sigma) ** 2
        count = int(math.sqrt(2 * bits * math.log(2) / float(tau))) + 4
        one = mp.mpf(2) ** bits

        def fixed(x):
            return int(mp.nint(x * one))

        ratio = fixed(mp.e ** (-tau))
        twice_cos = fixed(2 * mp.cos(angle))
        sine, cosine = mp.sin(angle / 2), mp.cos(angle / 2)
        s_old, s_new = fixed(-sine), fixed(sine)  # sin((l + 1/2) w), l = -1, 0
        c_old, c_new = fixed(cosine), fixed(cosine)
        q, factor = fixed(mp.mpf(1)), ratio
        g0 = g1 = g2 = 0
        for l in range(count):  # noqa: E741
            k2 = 2 * l + 1  # twice the frequency
            weighted_sine, weighted_cosine = (q * s_new) >> bits, (q * c_new) >> bits
            g0 += k2 * weighted_sine
            g1 += k2 * k2 * weighted_cosine
            g2 -= k2 * k2 * k2 * weighted_sine
            s_old, s_new = s_new, ((twice_cos * s_new) >> bits) - s_old
            c_old, c_new = c_new, ((twice_cos * c_new) >> bits) - c_old
            q = (q * factor) >> bits
            factor = (factor * ratio) >> bits
        g0, g1, g2 = mp.mpf(g0) / one, mp.mpf(g1) / one / 2, mp.mpf(g2) / one / 4
        u, cot = g1 / g0, cosine / sine
        second = g2 / g0 - u * u + 1 / (4 * sine * sine)
        return float(mp.log(g0 / sine)), float(u - cot / 2), float(second)


@cache
def image_series(w: float, sigma: float) -> tuple[float, float, float]:
    """The same three numbers by the Poisson-summed form, 60 digits; fast at small sigma."""
    with mp.workdps(60):
        angle, tau = mp.mpf(w), mp.mpf(sigma) ** 2
        images = int(4 + math.sqrt(300 * float(tau)) / 6)
        g = [mp.mpf(0)] * 4
        for k in range(-images, images + 1):
            x = angle - 2 * mp.pi * k
            e = (-1) ** k * mp.e ** ((angle**2 - x**2) / (2 * tau))
            g[0] += x * e
            g[1] += (1 - x**2 / tau) * e
            g[2] += (-3 * x / tau + x**3 / tau**2) * e
            g[3] += (-3 / tau + 6 * x**2 / tau**2 - x**4 / tau**3) * e
        front = tau / 8 + mp.log(2 * mp.pi) / 2 - 1.5 * mp.log(tau) - angle**2 / (2 * tau)
        if angle == 0:
            return float(front + mp.log(2 * g[1])), 0.0, float(g[3] / (3 * g[1]) + mp.mpf(1) / 12)
        sine, cosine = mp.sin(angle / 2), mp.cos(angle / 2)
        u = g[1] / g[0]
        return (
            float(front + mp.log(g[0] / sine)),
            float(u - cosine / sine / 2),
            float(g[2] / g[0] - u * u + 1 / (4 * sine**2)),
        )


def worst(values: torch.Tensor, truth: list[float]) -> float:
    """Largest error over max(1, |truth|)."""
    errors = [abs(v - t) / max(1.0, abs(t)) for v, t in zip(values.tolist(), truth, strict=True)]
    return max(errors)


def angles(sigma: float) -> list[float]:
    tau = sigma * sigma
    w = [0.0, 1e-12, 1e-8, 1e-5, 1e-3, 0.05, 0.3, 1.0, 2.0, 3.0, 3.1, math.pi]
    w += [min(math.pi, k * sigma) for k in (0.01, 0.3, 1.0, 3.0)]
    w += [max(0.0, math.pi - k * tau) for k in (1e-6, 0.01, 0.1, 0.3, 1.0, 3.0)]
    w += [min(math.pi, k * tau / (2 * math.pi)) for k in (0.5, 0.999, 1.001, 2.0)]  # seam z = 1
    return w


SERIES_POINTS = [
    *[(0.02, w) for w in (1e-3, 0.06, 0.5, math.pi)],
    *[(0.03, w) for w in (0.1, 1.0, 2.0)],
    *[(s, w) for s in (0.1, 0.5, 0.99, 1.0, 1.01, 2.0, 3.0) for w in angles(s) if w > 0],
]


def test_density_and_score_match_the_character_series():
    """The definition itself with all digits it needs (6000 at sigma = 0.02, angle pi)."""
    bad = []
    for sigma, w in SERIES_POINTS:
        x = torch.tensor(w, dtype=torch.float64, requires_grad=True)
        density, score = igso3.log_density(x, sigma), igso3.angle_score(x, sigma)
        (slope,) = torch.autograd.grad(score, x)
        for value, truth in zip((density, score, slope), character_series(w, sigma), strict=True):
            if abs(value.item() - truth) > 1e-9 * max(1.0, abs(truth)):
                bad.append((sigma, w, value.item(), truth))
    assert not bad


@pytest.mark.parametrize("sigma", [0.1, 0.5, 1.0, 2.0])
def test_the_two_references_agree(sigma):
    for w in (0.01, 1.0, 3.0, math.pi):
        for a, b in zip(character_series(w, sigma), image_series(w, sigma), strict=True):
            assert abs(a - b) <= 1e-13 * max(1.0, abs(b))


SIGMAS = [1e-3, 0.005, 0.02, 0.03, 0.05, 0.1, 0.2, 0.4, 0.7, 0.9, 0.999, 1.0]
SIGMAS += [1.001, 1.1, 1.3, 1.7, 2.0, 2.5, 3.0, 4.0]


@pytest.mark.parametrize("sigma", SIGMAS)
def test_every_angle_and_sigma(sigma):
    """Value, score, d score/d angle, and d log f/d angle by autograd; float64 and float32."""
    w = torch.tensor(angles(sigma), dtype=torch.float64, requires_grad=True)
    density, score = igso3.log_density(w, sigma), igso3.angle_score(w, sigma)
    (slope,) = torch.autograd.grad(score.sum(), w)
    (by_autograd,) = torch.autograd.grad(density.sum(), w)
    truth = list(zip(*[image_series(x, sigma) for x in w.tolist()], strict=True))
    assert worst(density.detach(), truth[0]) < 1e-12
    assert worst(score.detach(), truth[1]) < 1e-8
    assert worst(slope, truth[2]) < 1e-8
    assert worst(by_autograd, truth[1]) < 1e-8

    single = w.detach().float()
    truth = list(zip(*[image_series(x, sigma) for x in single.tolist()], strict=True))
    low = igso3.log_density(single, sigma), igso3.angle_score(single, sigma)
    assert all(v.dtype == torch.float32 for v in low)
    assert worst(low[0], truth[0]) < 1e-6
    assert worst(low[1], truth[1]) < 1e-6


def test_broadcasts_over_sigma_and_differentiates_in_it():
    sigma = torch.tensor([[0.05], [0.8], [1.0], [2.0]], dtype=torch.float64)
    w = torch.linspace(0.1, 3, 7, dtype=torch.float64)
    full = igso3.angle_score(w, sigma)
    assert full.shape == (4, 7)
    for row, s in zip(full, sigma[:, 0].tolist(), strict=True):
        torch.testing.assert_close(row, igso3.angle_score(w, s), rtol=1e-14, atol=0)
    assert torch.autograd.gradcheck(
        lambda s: igso3.log_density(w, s) * s**2, sigma[[0, 1, 3]].clone().requires_grad_()
    )


@pytest.mark.parametrize("sigma", [0.02, 0.3, 1.5])
def test_score_is_the_body_frame_gradient(sigma):
    """s_i = d/de log p(R Exp(e e_i) | R_0) by autograd, and it points back to R_0."""
    normal = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rot0, rot = so3.haar(normal)
    if sigma < 0.1:
        rot = rot0 @ so3.exp(2 * sigma * normal[1, :, :3])
    e = torch.zeros(6, 3, dtype=torch.float64, requires_grad=True)
    log_p = igso3.log_density(so3.angle(rot0.mT @ rot @ so3.exp(e)), sigma)
    (expected,) = torch.autograd.grad(log_p.sum(), e)
    out = igso3.score(rot, rot0, sigma)
    torch.testing.assert_close(out, expected, rtol=1e-9, atol=1e-9)
    assert ((out * so3.log(rot0.mT @ rot)).sum(-1) < 0).all()


def test_score_trains_through_the_estimate():
    """Gradients with respect to the estimated rotation, also when it equals the noisy one."""
    assert torch.autograd.gradcheck(
        lambda v: igso3.score_from_rotvec(v, 0.4) * 0.16,
        torch.tensor([[0.0, 0, 0], [1e-3, 0, 0], [0.3, -1, 2]]).double().requires_grad_(),
    )
    rot = so3.exp(torch.randn(5, 3, generator=torch.Generator().manual_seed(0)))
    estimate = rot.clone().requires_grad_()
    igso3.score(rot, estimate, 0.02).square().sum().backward()
    assert estimate.grad.isfinite().all()


@cache
def reference_cdf(sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """CDF of the angle by trapezoids of the plain float64 series on 40001 points."""
    end = min(math.pi, 9 * sigma)
    w = np.linspace(0, end, 40001)
    total = np.zeros_like(w)
    for l in range(int(9 / sigma) + 4):  # noqa: E741
        weight = (2 * l + 1) * math.exp(-l * (l + 1) * sigma**2 / 2)
        total += weight * (np.cos(l * w) - np.cos((l + 1) * w))
    density = total / math.pi
    steps = 0.5 * (density[1:] + density[:-1]) * (w[1] - w[0])
    return w, np.concatenate([[0.0], np.cumsum(steps)])


@pytest.mark.parametrize("sigma", [0.02, 0.2, 0.98, 1.02, 2.5])
def test_draws_pass_kolmogorov_smirnov(sigma):
    """n = 1e5 draws; angle against an independent CDF, axis uniform on the sphere."""
    rot = igso3.sample(sigma, (100_000,), generator=torch.Generator().manual_seed(11))
    v = so3.log(rot)
    angle = v.norm(dim=-1)
    grid, values = reference_cdf(sigma)
    assert abs(values[-1] - 1) < 1e-8
    assert stats.kstest(angle.numpy(), lambda x: np.interp(x, grid, values)).pvalue > 1e-3
    axis = (v / angle[:, None]).numpy()
    for component in axis.T:
        assert stats.kstest(component, stats.uniform(-1, 2).cdf).pvalue > 1e-3
    assert abs(stats.spearmanr(angle, axis[:, 2]).statistic) < 0.015


@pytest.mark.parametrize("sigma", [0.02, 0.2, 0.98, 1.02, 2.5])
def test_closed_form_cdf_and_its_inverse(sigma):
    grid, values = reference_cdf(sigma)
    w = torch.from_numpy(grid[::400])
    assert np.abs(igso3.cdf(w, sigma).numpy() - values[::400]).max() < 1e-8
    assert igso3.cdf(torch.tensor(math.pi, dtype=torch.float64), sigma).item() == pytest.approx(
        1, abs=1e-14
    )
    u = torch.linspace(0, 1, 301, dtype=torch.float64)
    inverse = igso3.angle_quantile(u, sigma)
    assert (igso3.cdf(inverse, sigma) - u).abs().max() < 2e-14
    assert (inverse.diff() >= 0).all()
    assert (inverse[0] >= 0) & (inverse[-1] <= math.pi)


def test_draws_take_their_own_sigma():
    """A batch of mixed sigmas gives the same rotations as each alone, and Exp(sigma z) at 0."""
    normal = torch.randn(3, 50, 3, generator=torch.Generator().manual_seed(3))
    sigma = torch.tensor([[0.01], [0.7], [2.0]])
    together = igso3.sample_from_normal(normal, sigma)
    assert together.dtype == torch.float32
    for row in range(3):
        alone = igso3.sample_from_normal(normal[row], sigma[row])
        torch.testing.assert_close(together[row], alone, rtol=0, atol=1e-6)
    torch.testing.assert_close(together[0], so3.exp(0.01 * normal[0]), rtol=0, atol=1e-5)


def test_degenerate_draws():
    """No noise is the identity, none at all an empty batch, no width a refusal."""
    assert torch.equal(igso3.sample_from_normal(torch.zeros(1, 3), 0.5)[0], torch.eye(3))
    assert igso3.sample_from_normal(torch.zeros(0, 3), 0.5).shape == (0, 3, 3)
    extreme = torch.tensor([[9.0, 0, 0], [1e-6, 0, 0]])
    for sigma in (1e-3, 0.02, 1.0, 5.0):
        assert igso3.sample_from_normal(extreme, sigma).isfinite().all()
    assert igso3.sample_from_normal(torch.full((1, 3), math.nan), 1.0).isnan().any()
    with pytest.raises(ValueError, match="sigma must be positive"):
        igso3.sample(torch.tensor([1.0, 0.0]), (2,))


@pytest.mark.parametrize("sigma", [0.02, 0.1, 0.35, 0.6, 1.0, 1.6, 2.5])
def test_score_second_moment_matches_quadrature(sigma):
    with mp.workdps(25):
        end = min(math.pi, 14 * sigma)

        def integrand(w):
            log_f, slope, _ = image_series(float(w), sigma)
            return slope**2 * mp.e**log_f * (1 - mp.cos(w)) / mp.pi

        truth = float(mp.quad(integrand, mp.linspace(0, end, 5), maxdegree=5))
    assert igso3.score_second_moment(sigma).item() == pytest.approx(truth, rel=1e-10)


def test_score_second_moment_is_smooth_and_keeps_dtype():
    sigma = torch.tensor([0.3, 0.34906, 0.34907, 1.0, 2.0], dtype=torch.float64)
    assert torch.autograd.gradcheck(igso3.score_second_moment, sigma.requires_grad_())
    assert igso3.score_second_moment(sigma.detach().float()).dtype == torch.float32
    assert igso3.score_second_moment(0.02).item() * 0.02**2 / 3 == pytest.approx(1, abs=2e-4)


@pytest.mark.parametrize("sigma", [0.05, 0.9, 0.999, 1.0, 1.001, 2.5])
def test_one_variance_and_a_variance_each_give_the_same_score(sigma):
    """Where all share one, only the sum that converges there is taken."""
    angles = torch.linspace(0.0, torch.pi, 31, dtype=torch.float64)
    one = igso3.score_over_angle(angles, sigma)
    each = igso3.score_over_angle(angles, torch.full_like(angles, sigma))
    torch.testing.assert_close(one, each, rtol=1e-13, atol=0)
    assert one.isfinite().all()
