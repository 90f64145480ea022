"""Stochastic family and temperature: the laws they are meant to leave, in closed form."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from samplers import grids, igso3, schedules, so3, steppers
from samplers.integrate import Component, integrate, make_plan
from samplers.noise import NoiseKey, NoiseSource
from samplers.spaces import SO3, Euclidean
from samplers.targets import Gaussian

LAWS = [schedules.TangentPower(), schedules.VE(), schedules.RectifiedFlow()]
laws = pytest.mark.parametrize("law", LAWS, ids=lambda law: type(law).__name__)


def final_variance(law, stepper, data_variance, start_variance, count, step_scale=1.0):
    """Variance at the end, propagated exactly: with a linear score every step is linear."""
    t_max, t_min = law.t_from_rho(30.0), law.t_from_rho(0.05)
    grid = grids.make("log_snr", count, law, t_min=t_min, t_max=t_max)
    component = Component(Euclidean(), law, "score")
    plan = make_plan(stepper, (component,), grid, step_scale=step_scale)
    alpha, sigma = (v.tolist() for v in (plan.nodes[0].alpha, plan.nodes[0].sigma))
    variance = start_variance(alpha[0], sigma[0])
    for k in range(count):
        score_per_x = -1 / (alpha[k] ** 2 * data_variance + sigma[k] ** 2)
        kick = 0.0
        if stepper.deterministic:
            ((factor, weights, _),) = plan.steps[k].rows[0]
            (weight,) = weights
        else:
            ((factor, weight, kick),) = plan.steps[k][1]
        variance = (factor + weight * score_per_x) ** 2 * variance + kick**2
    return variance, alpha[-1], sigma[-1]


@laws
@pytest.mark.parametrize("churn", [0.0, 0.3, 1.0, 3.0])
def test_marginals_converge_at_first_order_whatever_the_churn(law, churn):
    data = 0.4
    errors = []
    for count in (100, 200, 400):
        value, alpha, sigma = final_variance(
            law,
            steppers.make("sde", churn=churn),
            data,
            lambda a, s: a**2 * data + s**2,
            count,
        )
        errors.append(abs(value / (alpha**2 * data + sigma**2) - 1))
    assert errors[-1] < 0.04
    slope = -np.polyfit(np.log([100, 200, 400]), np.log(errors), 1)[0]
    assert slope == pytest.approx(1, abs=0.15)


@laws
@pytest.mark.parametrize("name", ["ei_eps", "ei_score", "euler", "sde"])
def test_step_scale_is_exact_low_temperature_for_unit_gaussians(law, name):
    """N(0, I) at step scale l0 ends in N(0, I/l0), noised to the end of the grid."""
    l0 = 4.0
    value, alpha, sigma = final_variance(
        law,
        steppers.make(name),
        1.0,
        lambda a, s: a**2 / l0 + s**2,
        1000,
        step_scale=l0,
    )
    assert value == pytest.approx(alpha**2 / l0 + sigma**2, rel=0.03)


def test_temperature_is_the_documented_formula():
    """lambda = l0 / (alpha^2 + sigma^2 l0) where the law preserves variance; 1 at l0 = 1."""
    law = schedules.TangentPower()
    shift = Component(Euclidean(), law, "x0")
    plan = make_plan(steppers.make("ddim"), (shift,), (0.9, 0.5, 0.1), step_scale=2.5)
    (nodes,) = plan.nodes
    expected = 2.5 / (nodes.alpha**2 + nodes.sigma**2 * 2.5)
    torch.testing.assert_close(nodes.temperature, expected, rtol=1e-12, atol=0)
    turn = Component(SO3(), schedules.LinearSigma(), "score")
    plan = make_plan(steppers.make("ddim"), (turn,), (0.9, 0.1))
    assert (plan.nodes[0].temperature == 1).all()


def test_no_churn_is_ddim_and_no_noise_scale_is_drift_alone():
    law = schedules.TangentPower()
    target = Gaussian(torch.zeros(2).double(), torch.diag(torch.tensor([0.1, 2.0]).double()))
    component = Component(Euclidean(), law, "score")
    x = torch.randn(8, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    grid = grids.make("uniform", 12, law, t_min=0.05)

    def field(state, t):
        return (target.score(state[0], law.alpha(t), law.sigma(t)),)

    def end(stepper, seed):
        noise = NoiseSource(NoiseKey(seed))
        return integrate(field, (x,), grid, stepper, (component,), noise)[0]

    ddim = integrate(field, (x,), grid, steppers.make("ddim"), (component,))[0]
    torch.testing.assert_close(end(steppers.make("sde", churn=0.0), 1), ddim, rtol=1e-12, atol=0)
    frozen = steppers.make("sde", churn=1.0, noise_scale=0.0)
    assert torch.equal(end(frozen, 1), end(frozen, 2))
    moving = steppers.make("sde", churn=1.0)
    assert torch.equal(end(moving, 1), end(moving, 1))
    assert not torch.equal(end(moving, 1), end(moving, 2))


def test_ancestral_step_is_the_gaussian_posterior():
    """Churn 1 is q(x' | x, x0): mean and variance against Bayes' rule."""
    law = schedules.TangentPower()
    t, u = 0.6, 0.5
    component = Component(Euclidean(), law, "x0")
    plan = make_plan(steppers.make("sde", churn=1.0), (component,), (t, u))
    ((a, b, c),) = plan.steps[0][1]
    # x' | x0 ~ N(alpha' x0, sigma'^2);  x | x' ~ N(k x', sigma^2 - k^2 sigma'^2), k = alpha/alpha'
    k = law.alpha(t) / law.alpha(u)
    prior, likelihood = law.sigma(u) ** 2, law.sigma(t) ** 2 - k**2 * law.sigma(u) ** 2
    variance = 1 / (1 / prior + k**2 / likelihood)
    x, x0 = 1.3, -0.4
    mean = variance * (law.alpha(u) * x0 / prior + k * x / likelihood)
    assert a * x + b * x0 == pytest.approx(mean, rel=1e-12)
    assert c * c == pytest.approx(variance, rel=1e-12)


def test_sampled_marginals_on_a_gaussian():
    """The noise really enters: 20000 draws, churn 1, against the exact variances."""
    law = schedules.TangentPower()
    variances = torch.tensor([0.05, 1.0, 3.0], dtype=torch.float64)
    target = Gaussian(torch.tensor([1.0, 0.0, -2.0]).double(), torch.diag(variances))
    grid = grids.make("log_snr", 150, law, t_min=law.t_from_rho(0.1), t_max=law.t_from_rho(40.0))
    alpha, sigma = law.alpha(grid[0]), law.sigma(grid[0])
    z = NoiseKey(5).normal((20000, 3), 0, "prior").double()
    x = alpha * target.mean + z * (alpha**2 * variances + sigma**2).sqrt()

    def field(state, t):
        return (target.score(state[0], law.alpha(t), law.sigma(t)),)

    (y,) = integrate(
        field,
        (x,),
        grid,
        steppers.make("sde"),
        (Component(Euclidean(), law, "score"),),
        NoiseSource(NoiseKey(5)),
    )
    alpha, sigma = law.alpha(grid[-1]), law.sigma(grid[-1])
    truth = alpha**2 * variances + sigma**2
    assert (y.mean(0) - alpha * target.mean).abs().max() < 0.05
    assert (y.var(0) / truth - 1).abs().max() < 0.06


@pytest.mark.parametrize("churn", [0.5, 1.0])
def test_marginals_on_rotations(churn):
    """IGSO(3) of variance 0.02 + sigma^2 at both ends; angle by Kolmogorov-Smirnov, n = 4000."""
    law = schedules.LinearSigma()
    grid = grids.make("log_snr", 100, law, t_min=law.t_from_rho(0.2), t_max=law.t_from_rho(1.5))

    def width(t):
        return math.sqrt(0.02 + law.sigma(t) ** 2)

    start = igso3.sample(width(grid[0]), (4000,), generator=torch.Generator().manual_seed(0))
    eye = torch.eye(3, dtype=torch.float64)

    def field(state, t):
        return (igso3.score(state[0], eye, width(t)),)

    (end,) = integrate(
        field,
        (start,),
        grid,
        steppers.make("sde", churn=churn),
        (Component(SO3(), law, "score"),),
        NoiseSource(NoiseKey(2)),
    )
    angles = so3.angle(end)
    law_of_angle = igso3.cdf(angles, width(grid[-1])).numpy()
    assert stats.kstest(law_of_angle, "uniform").pvalue > 1e-3
    wrong = igso3.cdf(angles, 1.15 * width(grid[-1])).numpy()
    assert stats.kstest(wrong, "uniform").pvalue < 1e-6


@pytest.mark.parametrize("option", [{"churn": -0.1}, {"noise_scale": math.inf}])
def test_bad_options_are_refused(option):
    with pytest.raises(ValueError, match="must be 0 or more"):
        steppers.make("sde", **option)
