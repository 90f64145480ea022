"""Weights of exponential methods against mpmath in 40 digits, down to the shortest steps."""

import itertools
import math

import mpmath as mp
import pytest
import torch

from samplers import schedules, steppers
from samplers.component import Component
from samplers.prediction import convert
from samplers.spaces import Euclidean
from samplers.steppers.base import Track
from samplers.steppers.weights import CLOCKS, growth, integrate_kernel, interpolation_weights

mp.mp.dps = 40
VP, SUB = schedules.VPLinear(), schedules.SubVP()


def double(x):
    return torch.tensor(x, dtype=torch.float64)


def alpha(law, rho):
    """Signal coefficient in 40 digits."""
    if law is VP:
        return 1 / mp.sqrt(1 + rho**2)
    return mp.sqrt(1 + rho**2 / 4) - rho / 2  # 1/alpha - alpha = rho


def factor(law, kind, s):
    a = alpha(law, mp.exp(s))
    return {
        "eps": a,
        "score": a,
        "x0": a * mp.exp(s),
        "v": a * mp.sqrt(1 + mp.exp(2 * s)),
        "flow": a * (1 + mp.exp(s)),
        "rate": mp.mpf(1),
    }[kind]


def kernel(law, kind, s, b):
    """Right-hand side of the module's table, from dx/ds = (d log alpha/ds) x + sigma eps."""
    rho, a = mp.exp(s), alpha(law, mp.exp(s))
    per_prediction = {  # sigma times eps per unit of prediction
        "eps": rho * a,
        "x0": -a,
        "score": -((rho * a) ** 2),
        "v": rho * a * a / (a * a + (rho * a) ** 2),
        "flow": rho * a * a / (a + rho * a),
        "rate": mp.mpf(1),
    }[kind]
    return factor(law, kind, b) / factor(law, kind, s) * per_prediction


@pytest.mark.parametrize(
    ("law", "kind", "h"),
    [
        *itertools.product([VP], ["eps", "x0", "score", "v", "flow", "rate"], [1e-4, 3.0]),
        *itertools.product([SUB], ["eps", "score", "v", "flow"], [0.3]),
    ],
)
def test_weights(law, kind, h):
    """Three nodes of unequal distance, log rho from 1.3 down."""
    b = 1.3 - h
    nodes = [1.3, 1.3 + 0.7 * h, 1.3 + 1.9 * h]
    found = interpolation_weights(
        law,
        kind,
        CLOCKS["log_rho"],
        double([nodes]),
        double([1.3]),
        double([b]),
    )[0].tolist()
    exact = [mp.mpf(x) for x in nodes]
    for j, value in enumerate(found):
        others = [x for i, x in enumerate(exact) if i != j]

        def integrand(s, j=j, others=others):
            lagrange = mp.fprod((s - x) / (exact[j] - x) for x in others)
            return kernel(law, kind, s, mp.mpf(b)) * lagrange

        truth = mp.quad(integrand, [exact[0], mp.mpf(b)])
        assert value == pytest.approx(float(truth), rel=2e-11 if h < 1e-3 else 1e-13)
    change = growth(law, kind, double(1.3), double(b)).item()
    ratio = factor(law, kind, mp.mpf(b)) / factor(law, kind, mp.mpf(1.3))
    assert change == pytest.approx(float(ratio), rel=1e-13)


def test_a_single_step_over_everything():
    """Sixteen units of log rho at once: the panels carry the quadrature."""
    a, b = double([9.9]), double([-5.05])
    found = integrate_kernel(VP, "v", a, b, lambda s: torch.ones_like(s)[None]).item()
    truth = math.atan(math.exp(-5.05)) - math.atan(math.exp(9.9))  # frozen v turns by the angle
    assert found == pytest.approx(truth, rel=1e-13)
    score = integrate_kernel(VP, "score", a, b, lambda s: torch.ones_like(s)[None]).item()
    inverse = [math.hypot(1, math.exp(s.item())) for s in (a, b)]  # J = 1/alpha' - 1/alpha
    assert score == pytest.approx(-(inverse[1] - inverse[0]) / inverse[1], rel=1e-12)


@pytest.mark.parametrize("clock", ["rho", "t", "angle"])
def test_clocks_interpolate_their_own_polynomials(clock):
    """Weights of a quadratic in the clock integrate it exactly."""
    nodes = double([[0.5, 0.9, 1.4]])
    a, b = double([0.5]), double([0.1])
    q = CLOCKS[clock]

    def quadratic(s):
        x = q(VP, s)
        return 0.3 - 1.1 * x + 0.7 * x * x

    weights = interpolation_weights(VP, "x0", q, nodes, a, b)
    exact = integrate_kernel(VP, "x0", a, b, lambda s: quadratic(s)[None])
    torch.testing.assert_close(
        (weights * quadratic(nodes)).sum(-1), exact[:, 0], rtol=1e-12, atol=0
    )


@pytest.mark.parametrize("l0", [1.0, 2.5])
@pytest.mark.parametrize("source", ["x0", "eps", "score", "v", "flow"])
def test_readings_are_conversions_at_a_temperature(source, l0):
    """p x + q prediction, against converting to eps, warming it, and converting on."""
    law = schedules.SubVP()
    t, x, value = double([0.3, 0.7]), 0.8, -0.6
    nodes = Track(Component(Euclidean(), law, source), l0).at(t)
    warmth = l0 * (nodes.alpha**2 + nodes.sigma**2) / (nodes.alpha**2 + nodes.sigma**2 * l0)
    args = double(x), nodes.alpha, nodes.sigma
    eps = warmth * convert(double(value), source, "eps", *args)
    for kind in ("x0", "eps", "score", "v", "flow"):
        p, q = nodes.reading(source, kind)
        truth = convert(eps, "eps", kind, *args)
        torch.testing.assert_close(p * x + q * value, truth, rtol=1e-12, atol=1e-12)
    p, q = nodes.reading(source, "rate")
    slope = law.g2(t) / (2 * nodes.sigma**2)
    truth = law.dlog_alpha(t) / slope * x + nodes.sigma * eps
    torch.testing.assert_close(p * x + q * value, truth, rtol=1e-12, atol=1e-12)


def test_published_weights_of_dpm_solver_pp():
    """2M and 3M as their authors write them, in lambda = -log rho."""
    from samplers import grids
    from samplers.integrate import make_plan

    law = schedules.VPLinear()
    grid = grids.make("edm", 6, law, t_min=0.05)
    lam = [-math.log(law.rho(t)) for t in grid]
    for name, used in (("dpmpp_2m", 2), ("dpmpp_3m", 3)):
        plan = make_plan(steppers.make(name), (Component(Euclidean(), law, "x0"),), grid)
        k = 4
        h, h0, h1 = (lam[i + 1] - lam[i] for i in (k, k - 1, k - 2))
        a, m = law.alpha(grid[k + 1]), (0.7, -0.2, 1.1)
        r0, r1 = h0 / h, h1 / h
        first, second = (m[0] - m[1]) / r0, (m[1] - m[2]) / r1
        if used == 2:
            truth = -a * math.expm1(-h) * (m[0] + 0.5 * first)
        else:
            slope = first + r0 / (r0 + r1) * (first - second)
            bend = (first - second) / (r0 + r1)
            truth = (
                -a * math.expm1(-h) * m[0]
                + a * (math.expm1(-h) / h + 1) * slope
                - a * ((math.expm1(-h) + h) / h**2 - 0.5) * bend
            )
        blend = plan.steps[k].moves[0].predict
        found = sum(w * x for w, x in zip(blend.weights, m[:used], strict=True))
        assert found == pytest.approx(truth, rel=1e-11)
        assert blend.factor == pytest.approx(
            law.sigma(grid[k + 1]) / law.sigma(grid[k]), rel=1e-12
        )
