"""Grids: exact ends, uniform in the clock they name, clear refusals."""

import math

import numpy as np
import pytest

from samplers import grids
from samplers.schedules import OU, RectifiedFlow, TangentPower, VPLinear

LAW = VPLinear()
CLOCKS = {
    "uniform": lambda t: t,
    "log_snr": lambda t: math.log(LAW.rho(t)),
    "quadratic": math.sqrt,
    "edm": lambda t: LAW.rho(t) ** (1 / 7),
    "const_geom": lambda t: (lambda u: u - 1 if u > 1 else math.log(u))(-math.log(LAW.alpha(t))),
}


@pytest.mark.parametrize("name", sorted(grids.GRIDS))
def test_uniform_in_its_clock(name):
    grid = grids.make(name, 20, LAW, t_min=0.01)
    assert len(grid) == 21
    assert (grid[0], grid[-1]) == (1.0, 0.01)
    steps = np.diff([CLOCKS[name](t) for t in grid])
    np.testing.assert_allclose(steps, steps[0], rtol=1e-9)


def test_constant_then_geometric_steps():
    """In Ornstein-Uhlenbeck time the steps are equal, then shrink in proportion to the time."""
    grid = grids.make("const_geom", 60, OU(6.0), t_min=1e-3)
    u = 6 * np.array(grid)
    steps = -np.diff(u)
    far, near = steps[u[1:] > 1], steps[u[:-1] < 1]
    np.testing.assert_allclose(far, far[0], rtol=1e-9)
    np.testing.assert_allclose(near / u[:-1][u[:-1] < 1], near[0] / u[:-1][u[:-1] < 1][0])


def test_every_grid_serves_the_protein_law():
    for name in grids.GRIDS:
        assert len(grids.make(name, 7, TangentPower(), t_min=0.02)) == 8


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("nope", 10, LAW, 0.01, 1.0), "unknown grid 'nope'; one of uniform, log_snr"),
        (("uniform", 0, LAW, 0.01, 1.0), "at least 1 step"),
        (("uniform", 5, LAW, 0.5, 0.5), "t_min < t_max"),
        (("log_snr", 5, LAW, 0.0, 1.0), "infinite"),
        (("edm", 5, RectifiedFlow(), 0.1, 1.0), "infinite"),
    ],
)
def test_refusals(args, message):
    name, n, law, t_min, t_max = args
    with pytest.raises(ValueError, match=message):
        grids.make(name, n, law, t_min=t_min, t_max=t_max)


@pytest.mark.parametrize("grid", [(1.0,), (0.5, 0.5), (0.1, 0.9), (1.2, 0.1), (0.5, -0.1)])
def test_check_refuses(grid):
    with pytest.raises(ValueError, match="grid"):
        grids.check(grid)
