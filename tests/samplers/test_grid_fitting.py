"""Fitted grids against brute force and closed forms, on one Gaussian and on rotations."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.spatial.transform import Rotation

from samplers import steppers
from samplers.component import Component
from samplers.grids import DensityClock
from samplers.grids.equidistribute import equidistribute, window_defects
from samplers.grids.pilot import Pilot, deviation
from samplers.grids.refine import refine
from samplers.grids.shortest_path import cheapest_path, shortest_path, step_costs
from samplers.integrate import integrate
from samplers.schedules import LinearSigma, VPLinear
from samplers.spaces import SO3, Euclidean
from samplers.targets import IGSO3Mixture

LAW = VPLinear()
VARIANCE = 0.04
T_MIN, T_MAX = (LAW.t_from_rho(rho) for rho in (0.02, 40.0))
DDIM = steppers.make("ddim")


def field(state, t):
    """Clean estimate of N(0, VARIANCE)."""
    rho2 = LAW.rho(t) ** 2
    return (state[0] / LAW.alpha(t) * VARIANCE / (VARIANCE + rho2),)


PILOT = Pilot(
    field,
    (Component(Euclidean(), LAW, "x0"),),
    (torch.tensor([[1.0], [-0.3]]).double(),),
    t_min=T_MIN,
    t_max=T_MAX,
    reference=steppers.make("expab4"),
    fine=300,
)


def ddim_factor(rhos):
    """x/alpha at the end over x/alpha at the start: every step is a scalar."""
    return math.prod(1 + (b - a) * a / (VARIANCE + a * a) for a, b in itertools.pairwise(rhos))


def exact_factor(start, end):
    return math.sqrt((VARIANCE + end**2) / (VARIANCE + start**2))


def test_truth_and_deviation_against_the_closed_form():
    high, low = (math.exp(s) for s in PILOT.span)
    scale = LAW.alpha(T_MIN) / LAW.alpha(T_MAX) * exact_factor(high, low)
    torch.testing.assert_close(PILOT.truth[0], PILOT.start[0] * scale, rtol=1e-6, atol=0)
    grid = PILOT.grid(PILOT.flat(2), 6)
    error = abs(ddim_factor([LAW.rho(t) for t in grid]) - exact_factor(high, low))
    expected = error * LAW.alpha(T_MIN) / LAW.alpha(T_MAX) * PILOT.start[0].abs().squeeze(-1)
    torch.testing.assert_close(PILOT.deviation(grid, DDIM), expected, rtol=1e-6, atol=0)


def test_window_defects_against_the_closed_form():
    windows, steps = 5, 3
    rhos = np.exp(np.linspace(*PILOT.span, windows * steps + 1))
    fine = ddim_factor(rhos)
    size = float(PILOT.start[0].abs().log().mean().exp()) * LAW.alpha(T_MIN) / LAW.alpha(T_MAX)
    found = window_defects(PILOT, DDIM, windows=windows, steps=steps)
    for k, (_, value) in enumerate(found):
        coarse = np.delete(rhos, range(k * steps + 1, (k + 1) * steps))
        assert value == pytest.approx(abs(ddim_factor(coarse) - fine) * size, rel=1e-6)


def test_equidistribution_equalises_the_defects():
    """The windows of the new clock hurt equally, and the error at the end is smaller."""
    clock = equidistribute(PILOT, DDIM, windows=24, steps=4)
    n = 48
    flat, fitted = (PILOT.grid(c, n) for c in (PILOT.flat(2), clock))

    def spread(grid):
        """Ratio of the largest to the smallest effect of leaving out one point, inside."""
        rhos = [LAW.rho(t) for t in grid]
        whole = ddim_factor(rhos)
        left = [abs(ddim_factor(rhos[:k] + rhos[k + 1 :]) - whole) for k in range(3, n - 2)]
        return max(left) / min(left)

    assert spread(fitted) < 3 < 30 < spread(flat)
    assert PILOT.score(fitted, DDIM) < PILOT.score(flat, DDIM)


def test_refine_finds_the_best_inner_point():
    """One inner point and two knots: the clock can put it anywhere, so brute force is truth."""
    high, low = PILOT.span

    def error(s):
        rhos = (math.exp(high), math.exp(s), math.exp(low))
        return abs(ddim_factor(rhos) - exact_factor(rhos[0], rhos[-1]))

    places = np.linspace(low, high, 400)[1:-1]
    coarse = min(places, key=error)
    best = minimize_scalar(error, bounds=(coarse - 0.05, coarse + 0.05), method="bounded")
    fitted = refine(PILOT, DDIM, 2, knots=2, ridge=0.0, tolerance=1e-9)
    rho = LAW.rho(PILOT.grid(fitted.clock, 2)[1])
    assert error(math.log(rho)) <= best.fun * 1.01
    assert fitted.after <= fitted.before


def test_refined_grids_hold_on_other_starts():
    stepper = steppers.make("expab2")
    fitted = refine(PILOT, stepper, 10, knots=4, iterations=4)
    other = dataclasses.replace(PILOT, start=(torch.linspace(-2, 2, 7)[:, None].double(),))
    flat = PILOT.grid(PILOT.flat(2), 10)
    assert other.score(PILOT.grid(fitted.clock, 10), stepper) < other.score(flat, stepper) - 1


def test_cheapest_path_against_all_paths():
    rng = np.random.default_rng(3)
    costs = np.triu(rng.random((8, 8)) + 0.1, 1)
    costs[costs == 0] = np.inf
    for n in (1, 3, 7):
        paths = [(0, *inner, 7) for inner in itertools.combinations(range(1, 7), n - 1)]
        best = min(paths, key=lambda p: sum(costs[a, b] for a, b in itertools.pairwise(p)))
        assert cheapest_path(costs, n) == best


def test_step_costs_against_direct_steps():
    times, costs = step_costs(PILOT, DDIM, fine=6)
    rhos = [LAW.rho(t) for t in times]
    begin = PILOT.start[0].abs().mean().item() / LAW.alpha(T_MAX)
    for i, j in itertools.combinations(range(7), 2):
        here = begin * exact_factor(rhos[0], rhos[i])
        one = here * ddim_factor((rhos[i], rhos[j]))
        true = begin * exact_factor(rhos[0], rhos[j])
        assert costs[i, j] == pytest.approx(abs(one - true) * LAW.alpha(times[j]), rel=1e-6)
    assert len(shortest_path(PILOT, DDIM, 3, fine=6)) == 4


@pytest.fixture(scope="module")
def rotations():
    law = LinearSigma()
    centres = torch.from_numpy(Rotation.random(3, random_state=1).as_matrix())
    target = IGSO3Mixture(torch.ones(3).double() / 3, centres, torch.full((3,), 0.05).double())
    return Pilot(
        lambda state, t: (target.score(state[0], law.sigma(t)),),
        (Component(SO3(), law, "score"),),
        (torch.from_numpy(Rotation.random(6, random_state=7).as_matrix()),),
        t_min=law.t_from_rho(0.1),
        t_max=law.t_from_rho(2.0),
        reference=steppers.make("heun"),
        fine=60,
    )


def test_rotations_are_served(rotations):
    error = rotations.deviation(rotations.grid(rotations.flat(2), 5), DDIM)
    end = integrate(
        rotations.field,
        rotations.start,
        rotations.grid(rotations.flat(2), 5),
        DDIM,
        rotations.components,
    )
    angle = Rotation.from_matrix((rotations.truth[0].mT @ end[0]).numpy()).magnitude()
    np.testing.assert_allclose(error, angle, atol=1e-9)
    clock = equidistribute(rotations, DDIM, windows=5, steps=2)
    assert math.isfinite(rotations.score(rotations.grid(clock, 5), DDIM))
    times = shortest_path(rotations, DDIM, 4, fine=8)
    assert (times[0], times[-1]) == (rotations.t_max, rotations.t_min)


def test_deviation_adds_components_in_quadrature():
    parts = (Component(Euclidean(), LAW, "x0"), Component(SO3(), LinearSigma(), "score"))
    x = (torch.zeros(2, 4, 3).double(), torch.eye(3).double().expand(2, 4, 3, 3))
    turned = torch.from_numpy(Rotation.from_rotvec([[0, 0, 0.2], [0.1, 0, 0]]).as_matrix())
    y = (torch.full((2, 4, 3), 0.3).double(), turned[:, None].expand(2, 4, 3, 3))
    expected = torch.tensor([math.hypot(0.3, 2 * 0.2), math.hypot(0.3, 2 * 0.1)]).double()
    torch.testing.assert_close(deviation(parts, x, y, (1.0, 2.0)), expected)


def test_refusals():
    sde = steppers.make("sde")
    for build in (lambda: refine(PILOT, sde, 3), lambda: equidistribute(PILOT, sde)):
        with pytest.raises(ValueError, match="deterministic"):
            build()
    with pytest.raises(ValueError, match="one call per step"):
        step_costs(PILOT, steppers.make("heun"))
    with pytest.raises(ValueError, match="2 steps or more"):
        window_defects(PILOT, DDIM, steps=1)
    with pytest.raises(ValueError, match="1 to 7 steps"):
        cheapest_path(np.full((8, 8), 1.0), 8)


def test_start_clock_is_kept_where_nothing_is_better():
    best = refine(PILOT, DDIM, 2, knots=2, ridge=0.0, tolerance=1e-9).clock
    again = refine(PILOT, DDIM, 2, start=best, ridge=10.0, iterations=3)
    assert again.after <= again.before
    assert isinstance(again.clock, DensityClock)
