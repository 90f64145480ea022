"""Every deterministic stepper has the order it declares, on R^n, on SO(3) and on their product.

A new stepper enters by being listed in `samplers.steppers`; nothing is added here. On no target
may the fitted order fall below the declared one, and on one target of each space it must match
(some methods are better than they say on a linear field).
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

DETERMINISTIC = sorted(name for name, s in steppers.STEPPERS.items() if s.deterministic)
each = pytest.mark.parametrize("name", DETERMINISTIC)
TOLERANCE = 0.15


def slopes(counts, errors):
    """Order between neighbouring counts."""
    return -np.diff(np.log(errors)) / np.diff(np.log(counts))


def run(name, components, field, start, times):
    calls = 0

    def counted(state, t):
        nonlocal calls
        calls += 1
        return field(state, t)

    stepper = steppers.make(name)
    end = integrate(counted, start, times, stepper, components)
    assert calls == stepper.calls(len(times) - 1)
    return end


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# Where the three spaces meet: translations with a clean estimate that depends on the rotation,
# rotations with a torque that depends on the translation. Smooth, cheap, nothing cancels.
TRANS, ROT = schedules.TangentPower(), schedules.LinearSigma()
TRANSLATION = Component(Euclidean(), TRANS, "x0")
ROTATION = Component(SO3(), ROT, "score")
X, R = normal(4, 3), so3.haar(normal(4, 4, seed=1))
POLE, LEVER = so3.haar(normal(4, seed=2)), normal(3, seed=3)
SPAN = (0.65, 0.45)


def clean(x, t, rot=None):
    a, s2, v = TRANS.alpha(t), TRANS.sigma(t) ** 2, 0.3
    centre = LEVER if rot is None else rot @ LEVER
    away = x - a * centre
    return centre + a * v / (a * a * v + s2) * away + 0.2 * away.sin()


def torque(rot, t, x=None):
    pull = so3.vee(rot.mT @ POLE) * (1.0 if x is None else 1 + 0.3 * x.tanh())
    return (pull + 0.3 * rot[..., 0]) / (0.5 + ROT.sigma(t) ** 2)


TARGETS = {
    "euclidean": ((TRANSLATION,), (X,), lambda s, t: (clean(s[0], t),)),
    "rotation": ((ROTATION,), (R,), lambda s, t: (torque(s[0], t),)),
    "product": (
        (TRANSLATION, ROTATION),
        (X, R),
        lambda s, t: (clean(s[0], t, s[1]), torque(s[1], t, s[0])),
    ),
}
# Smooth enough that the orders show at these many steps.
COUNTS = {1: (12, 24), 2: (20, 40), 3: (28, 56), 4: (32, 64)}


def flow(name):
    """Truth by DOP853 in t: x/alpha and the entries of the matrices as plain numbers."""
    components, start, field = TARGETS[name]
    sizes = [s.numel() for s in start]

    def unpack(t, flat):
        parts = torch.from_numpy(flat).split(sizes)
        return tuple(
            c.law.alpha(t) * p.reshape(s.shape)
            for c, p, s in zip(components, parts, start, strict=True)
        )

    def velocity(t, flat):
        state, rates = unpack(t, flat), []
        for c, x, value in zip(components, state, field(state, t), strict=True):
            alpha, sigma = c.law.alpha(t), c.law.sigma(t)
            slope = c.law.g2(t) / (2 * alpha * sigma)  # d rho/dt
            if c.predicts == "x0":
                rates.append(slope * (x - alpha * value) / sigma)
            else:
                rates.append(x @ so3.hat(-slope * sigma * value))
        return torch.cat([r.flatten() for r in rates]).numpy()

    first = [x / c.law.alpha(SPAN[0]) for c, x in zip(components, start, strict=True)]
    flat = torch.cat([x.flatten() for x in first]).numpy()
    out = solve_ivp(velocity, SPAN, flat, method="DOP853", rtol=1e-13, atol=1e-13)
    return unpack(SPAN[1], out.y[:, -1])


@pytest.fixture(scope="module")
def truths():
    return {name: flow(name) for name in TARGETS}


def distances(components, end, truth):
    return [
        c.space.distance(x, y).square().mean().sqrt()
        for c, x, y in zip(components, end, truth, strict=True)
    ]


@each
@pytest.mark.parametrize("target", TARGETS)
def test_order(name, target, truths):
    components, start, field = TARGETS[target]
    order, errors = steppers.STEPPERS[name].order, []
    for count in COUNTS[order]:
        times = grids.make("uniform", count, TRANS, t_min=SPAN[1], t_max=SPAN[0])
        end = run(name, components, field, start, times)
        errors.append(sum(distances(components, end, truths[target])).item())
    assert errors[1] < errors[0] < 0.5
    (found,) = slopes(COUNTS[order], errors)
    assert found == pytest.approx(order, abs=TOLERANCE)


A = np.random.default_rng(0).standard_normal((3, 3))
GAUSSIAN = Gaussian(
    torch.tensor([0.5, -1.0, 2.0]).double(), torch.from_numpy(0.3 * A @ A.T + 0.02 * np.eye(3))
)


@each
@pytest.mark.parametrize(
    "law",
    [schedules.VE(), schedules.RectifiedFlow()],
    ids=lambda law: type(law).__name__,
)
def test_order_on_an_anisotropic_gaussian(name, law):
    """Against the closed-form flow on two more kinds of law, rho from 5 to 0.05."""
    ends = [law.t_from_rho(rho) for rho in (5.0, 0.05)]
    start, end = ((law.alpha(t), law.sigma(t)) for t in ends)
    x = normal(8, 3, seed=4) * start[1]
    truth = GAUSSIAN.flow(x, start, end)
    component = Component(Euclidean(), law, "score")

    def field(state, t):
        return (GAUSSIAN.score(state[0], law.alpha(t), law.sigma(t)),)

    counts, errors = (80, 160), []
    for count in counts:
        times = grids.make("log_snr", count, law, t_min=ends[1], t_max=ends[0])
        (y,) = run(name, (component,), field, (x,), times)
        errors.append((y - truth).square().mean().sqrt().item())
    order = steppers.STEPPERS[name].order
    assert slopes(counts, errors)[0] > order - TOLERANCE
    assert errors[-1] < {1: 0.1, 2: 2e-3, 3: 1e-4, 4: 1e-5}[order]


MIXTURE = IGSO3Mixture(
    torch.linspace(1, 2, 8).double() / 12,
    torch.from_numpy(Rotation.random(8, random_state=1).as_matrix()),
    torch.full((8,), 0.02).double(),
)
TUMBLE = schedules.LinearSigma(sigma_min=0.01)
ENDS = tuple(TUMBLE.t_from_rho(sigma) for sigma in (2.0, 0.1))


def tumble(name, starts, calls):
    stepper = steppers.make(name)
    count = (calls - stepper.start_calls) // stepper.calls_per_step
    times = grids.make("log_snr", count, TUMBLE, t_min=ENDS[1], t_max=ENDS[0])

    def field(state, t):
        return (MIXTURE.score(state[0], TUMBLE.sigma(t)),)

    return run(name, (Component(SO3(), TUMBLE, "score"),), field, (starts,), times)[0]


@pytest.mark.slow
def test_rotations_among_eight_modes():
    """The published study's mixture, tau 4 -> 0.01: RMS angles at 256 calls, orders of 3 and 4."""
    starts = torch.from_numpy(Rotation.random(128, random_state=7).as_matrix())
    truth = tumble("rk4", starts, 8192)

    def errors(name, calls):
        angle = so3.distance(tumble(name, starts, calls), truth)
        return angle.square().mean().sqrt().item(), angle.median().item()

    assert so3.distance(tumble("cf4", starts, 4096), truth).square().mean().sqrt() < 2e-11
    assert errors("unipc3_v", 256)[0] < 2.5e-8
    assert errors("rk4", 256)[0] == pytest.approx(2.6e-7, rel=0.05)  # measured elsewhere
    assert errors("heun", 256)[0] < 7.4e-5
    for name in ("ab3", "expab3_x0", "rk4", "cf4", "unipc3_x0", "ab4"):
        (_, coarse), (_, fine) = errors(name, 512), errors(name, 1024)
        assert math.log2(coarse / fine) == pytest.approx(steppers.make(name).order, abs=TOLERANCE)


MEANS = 0.95 * np.random.default_rng([0, 2, 8]).standard_normal((8, 2))
# Measured by an independent program on the same mixture, grid and noise: RMS against calls.
BARS = {
    "ei_eps": {10: 1.5e-1, 50: 3.1e-2},
    "expab2_x0": {10: 7.4e-2, 50: 2.6e-3},
    "expab3_x0": {10: 1.9e-2, 20: 2.8e-3, 50: 2.0e-4, 100: 2.7e-5},
}


def test_errors_on_the_benchmark_mixture():
    """Eight modes in d = 2, linear VP, uniform log SNR, rho 157.4 -> 0.01, n = 256."""
    law = schedules.VPLinear(beta_max=20.2)
    weights, stds = torch.linspace(1, 2, 8).double() / 12, torch.linspace(0.15, 0.35, 8).double()
    target = GaussianMixture(weights, torch.from_numpy(MEANS), stds)
    ends = (157.4, 0.01)
    bar = torch.from_numpy(np.random.default_rng(1234).standard_normal((256, 2)))
    bar = bar * math.hypot(1, ends[0])

    def velocity(s, flat):
        x, rho = torch.from_numpy(flat.reshape(-1, 2)), math.exp(s)
        return (-(rho**2) * target.score(x, 1.0, rho)).numpy().ravel()

    span = [math.log(rho) for rho in ends]
    out = solve_ivp(velocity, span, bar.numpy().ravel(), method="DOP853", rtol=1e-9, atol=1e-9)
    truth = torch.from_numpy(out.y[:, -1].reshape(-1, 2)) / math.hypot(1, ends[1])
    times = [law.t_from_rho(rho) for rho in ends]

    def field(state, t):
        return (target.score(state[0], law.alpha(t), law.sigma(t)),)

    def error(name, count):
        grid = grids.make("log_snr", count, law, t_min=times[1], t_max=times[0])
        component = Component(Euclidean(), law, "score")
        (end,) = run(name, (component,), field, (bar * law.alpha(times[0]),), grid)
        return (end - truth).square().mean().sqrt().item()

    for name, bars in BARS.items():
        for count, value in bars.items():
            assert error(name, count) == pytest.approx(value, rel=0.05)
