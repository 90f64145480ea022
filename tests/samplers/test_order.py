"""Every deterministic stepper has the order it declares, on R^n and on SO(3).

A new stepper enters by being listed in `samplers.steppers`; nothing is added here.
"""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from scipy.spatial.transform import Rotation

from samplers import grids, schedules, so3, steppers
from samplers.integrate import Component, integrate
from samplers.spaces import SO3, Euclidean
from samplers.targets import Gaussian, GaussianMixture, IGSO3Mixture

DETERMINISTIC = sorted(name for name, c in steppers.STEPPERS.items() if c.deterministic)
each = pytest.mark.parametrize("name", DETERMINISTIC)
TOLERANCE = 0.15


def slope(counts, errors):
    """Order: minus the slope of log error against log steps."""
    return -np.polyfit(np.log(counts), np.log(errors), 1)[0]


def run(name, component, score, start, ends, count, grid="log_snr", **options):
    t_max, t_min = (component.law.t_from_rho(rho) for rho in ends)
    times = grids.make(grid, count, component.law, t_min=t_min, t_max=t_max)
    calls = 0

    def field(state, t):
        nonlocal calls
        calls += 1
        return (score(state[0], t),)

    stepper = steppers.make(name)
    (end,) = integrate(field, (start,), times, stepper, (component,), **options)
    assert calls == stepper.calls(count)
    return end


RNG = np.random.default_rng(0)
A = RNG.standard_normal((3, 3))
GAUSSIAN = Gaussian(
    torch.tensor([0.5, -1.0, 2.0]).double(), torch.from_numpy(0.3 * A @ A.T + 0.02 * np.eye(3))
)
NORMAL = torch.from_numpy(RNG.standard_normal((64, 3)))


@each
@pytest.mark.parametrize(
    "law",
    [schedules.TangentPower(), schedules.VE(), schedules.RectifiedFlow()],
    ids=lambda law: type(law).__name__,
)
def test_order_on_an_anisotropic_gaussian(name, law):
    """Against the closed-form flow, rho from 30 to 0.02."""
    ends = (30.0, 0.02)
    start, end = ((law.alpha(t), law.sigma(t)) for t in map(law.t_from_rho, ends))
    x = NORMAL * start[1]
    truth = GAUSSIAN.flow(x, start, end)

    def score(point, t):
        return GAUSSIAN.score(point, law.alpha(t), law.sigma(t))

    counts = (128, 256, 512)
    component = Component(Euclidean(), law, "score")
    errors = [
        (run(name, component, score, x, ends, n) - truth).square().mean().sqrt().item()
        for n in counts
    ]
    declared = steppers.STEPPERS[name].order
    assert slope(counts, errors) == pytest.approx(declared, abs=TOLERANCE)
    assert errors[-1] < (0.04 if declared == 1 else 2e-4)


ROTATIONS = IGSO3Mixture(
    torch.linspace(1, 2, 8).double() / 12,
    torch.from_numpy(Rotation.random(8, random_state=1).as_matrix()),
    torch.full((8,), 0.02).double(),
)
START = torch.from_numpy(Rotation.random(40, random_state=7).as_matrix())
SIGMAS = (2.0, 0.1)


@pytest.fixture(scope="module")
def rotation_truth():
    """Flow of the IGSO(3) mixture, tau 4 -> 0.01, by DOP853 on the matrix entries in log sigma."""

    def velocity(s, flat):
        sigma = math.exp(s)
        rot = torch.from_numpy(flat.reshape(-1, 3, 3))
        u = -(sigma**2) * ROTATIONS.score(so3.project(rot), sigma)
        return (rot @ so3.hat(u)).numpy().ravel()

    span = tuple(math.log(s) for s in SIGMAS)
    flat = START.numpy().ravel()
    out = solve_ivp(velocity, span, flat, method="DOP853", rtol=1e-8, atol=1e-9)
    return so3.project(torch.from_numpy(out.y[:, -1].reshape(-1, 3, 3)))


@each
def test_order_on_rotations(name, rotation_truth):
    """Median over samples: near the watershed between modes single samples converge later."""
    law = schedules.LinearSigma()
    component = Component(SO3(), law, "score")

    def score(rot, t):
        return ROTATIONS.score(rot, law.sigma(t))

    counts = (64, 128, 256)
    errors = [
        so3.distance(run(name, component, score, START, SIGMAS, n), rotation_truth).median().item()
        for n in counts
    ]
    declared = steppers.STEPPERS[name].order
    assert slope(counts, errors) == pytest.approx(declared, abs=TOLERANCE)
    assert errors[-1] < (0.01 if declared == 1 else 5e-5)


MEANS = 0.95 * np.random.default_rng([0, 2, 8]).standard_normal((8, 2))
# Measured elsewhere on the same mixture and grid: (sampler, steps) -> RMS error.
DDIM = {10: 1.5e-1, 20: 7.5e-2, 50: 3.1e-2}
HEUN = {25: 1.3e-2, 50: 3.0e-3}  # in another clock; ours must not be worse


def test_errors_on_the_benchmark_mixture():
    """Eight modes in d = 2, linear VP, uniform log SNR, rho 157.4 -> 0.01, n = 256.

    Independent figures exist for exactly this problem: DDIM is the same map, so it agrees.
    """
    law = schedules.VPLinear()
    weights = np.linspace(1, 2, 8) / 12
    target = GaussianMixture(
        torch.from_numpy(weights), torch.from_numpy(MEANS), torch.linspace(0.15, 0.35, 8).double()
    )
    ends = (min(157.4, law.rho(1.0)), 0.01)
    z = torch.from_numpy(np.random.default_rng(1234).standard_normal((256, 2)))
    t = law.t_from_rho(ends[0])
    start = z * law.alpha(t) * math.sqrt(1 + ends[0] ** 2)

    def eps(rho, bar):
        x = torch.from_numpy(bar.reshape(-1, 2))
        return (-rho * target.score(x, 1.0, rho)).numpy().ravel()

    def velocity(s, bar):
        return math.exp(s) * eps(math.exp(s), bar)

    span = (math.log(ends[0]), math.log(ends[1]))
    bar0 = (start / law.alpha(t)).numpy().ravel()
    out = solve_ivp(velocity, span, bar0, method="DOP853", rtol=1e-9, atol=1e-9)
    truth = torch.from_numpy(out.y[:, -1].reshape(-1, 2)) / math.sqrt(1 + ends[1] ** 2)
    component = Component(Euclidean(), law, "score")

    def score(x, t):
        return target.score(x, law.alpha(t), law.sigma(t))

    def error(name, count):
        end = run(name, component, score, start, ends, count)
        return (end - truth).square().mean().sqrt().item()

    for count, bar in DDIM.items():
        assert error("ei_eps", count) == pytest.approx(bar, rel=0.05)
    for count, bar in HEUN.items():
        assert error("heun", count) <= bar
