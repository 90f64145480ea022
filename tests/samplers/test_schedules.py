"""Noise laws: derivatives against autograd, inverses, published forms."""

import math

import numpy as np
import pytest
import torch

from samplers import schedules

LAWS = [
    schedules.TangentPower(),
    schedules.TangentPower(rho_max=1000.0, gamma=1.0),
    schedules.VPLinear(),
    schedules.VPCosine(),
    schedules.OU(),
    schedules.VE(),
    schedules.LinearSigma(),
    schedules.SubVP(),
    schedules.RectifiedFlow(),
    schedules.Unscaled(schedules.TangentPower()),
]
laws = pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)
TIMES = torch.linspace(0.01, 0.99, 37, dtype=torch.float64)


@laws
def test_derivatives_match_autograd(law):
    """f = d log alpha/dt and g^2 = d sigma^2/dt - 2 sigma^2 f."""
    t = TIMES.clone().requires_grad_()
    log_alpha = law.alpha(t).log()
    f = torch.zeros_like(t)
    if log_alpha.requires_grad:
        (f,) = torch.autograd.grad(log_alpha.sum(), t)
    variance = law.sigma(t).square()
    (slope,) = torch.autograd.grad(variance.sum(), t)
    torch.testing.assert_close(law.dlog_alpha(TIMES), f, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        law.g2(TIMES), slope - 2 * variance.detach() * f, rtol=1e-11, atol=0
    )


@laws
def test_rho_inverse_and_log_snr(law):
    rho = law.rho(TIMES)
    assert (rho.diff() > 0).all()
    torch.testing.assert_close(law.sigma(TIMES), rho * law.alpha(TIMES))
    torch.testing.assert_close(law.log_snr(TIMES), -2 * rho.log())
    torch.testing.assert_close(law.t_from_rho(rho), TIMES, rtol=1e-12, atol=0)


@laws
def test_floats_and_tensors_agree_and_keep_their_type(law):
    assert isinstance(law.alpha(0.3), float)
    assert law.sigma(0.3) == law.sigma(torch.tensor(0.3, dtype=torch.float64)).item()
    single = torch.tensor([0.3, 0.7])
    assert law.g2(single).dtype == torch.float32
    torch.testing.assert_close(law.g2(single), law.g2(single.double()).float())


def test_ends_of_the_protein_laws():
    law = schedules.TangentPower(rho_max=400.0, gamma=1.5)
    assert law.rho(1.0) == pytest.approx(400.0, rel=1e-12)
    assert law.alpha(1.0) == pytest.approx(1 / math.sqrt(1 + 400**2), rel=1e-12)
    assert (law.alpha(0.0), law.sigma(0.0), law.g2(0.0)) == (1.0, 0.0, 0.0)
    turn = schedules.LinearSigma(sigma_min=0.02, sigma_max=2.5)
    assert (turn.sigma(0.0), turn.sigma(1.0), turn.alpha(0.7)) == (0.02, 2.5, 1.0)


def test_published_forms():
    linear = schedules.VPLinear()
    t = np.linspace(0, 1, 5)
    expected = np.exp(-0.25 * t**2 * 19.9 - 0.5 * t * 0.1)
    np.testing.assert_allclose([linear.alpha(x) for x in t.tolist()], expected, rtol=1e-12)
    assert linear.rho(1.0) == pytest.approx(152.2, abs=0.05)
    ou = schedules.OU(6.0)
    assert ou.alpha(0.5) == pytest.approx(math.exp(-3), rel=1e-12)
    cosine = schedules.VPCosine(offset=0.008, rho_max=1e8)
    angle = math.pi / 2 * (0.4 + 0.008) / 1.008
    expected = math.cos(angle) / math.cos(math.pi / 2 * 0.008 / 1.008)
    assert cosine.alpha(0.4) == pytest.approx(expected, rel=1e-6)
    sub = schedules.SubVP()
    assert sub.sigma(0.6) == pytest.approx(1 - linear.alpha(0.6) ** 2, rel=1e-12)
    assert schedules.VE().sigma(0.5) == pytest.approx(math.sqrt(0.01 * 50), rel=1e-12)


@pytest.mark.parametrize(
    "make",
    [
        lambda: schedules.TangentPower(rho_max=0),
        lambda: schedules.TangentPower(gamma=-1),
        lambda: schedules.LinearSigma(sigma_min=1, sigma_max=1),
        lambda: schedules.VE(sigma_min=0),
        lambda: schedules.VPLinear(beta_min=3, beta_max=2),
        lambda: schedules.OU(horizon=0),
        lambda: schedules.VPCosine(offset=1.0),
    ],
)
def test_bad_parameters_are_refused(make):
    with pytest.raises(ValueError, match="got"):
        make()
