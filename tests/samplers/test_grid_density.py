"""The density clock: quadrature for its integral, bisection for its inverse, exact ends."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from samplers.grids import DensityClock, make
from samplers.schedules import TangentPower, VPLinear

CLOCK = DensityClock((-3.0, -1.0, 0.5, 2.0), (0.3, -1.2, -1.2, 1.5))


def density(s):
    a = np.array(CLOCK.log_density)
    return math.exp(np.interp(s, CLOCK.knots, a - a.mean()))


@pytest.mark.parametrize("s", [-5.0, -3.0, -2.2, -1.0, 0.1, 0.5, 1.7, 2.0, 4.0])
def test_integral_against_quadrature(s):
    points = [k for k in CLOCK.knots if min(s, -3.0) < k < max(s, -3.0)] or None
    truth = quad(density, -3.0, s, points=points, epsabs=1e-12)[0]
    assert CLOCK.measure([s])[0] == pytest.approx(truth, abs=1e-10)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(-4, 4), min_size=4, max_size=4),
    st.integers(1, 60),
    st.floats(-6, 0),
    st.floats(0.1, 8),
)
def test_points_share_the_measure(values, n, low, width):
    """Steps are equal in W, wherever the ends lie among the knots, in either direction."""
    clock = DensityClock(CLOCK.knots, tuple(values))
    places = clock.places(n, low + width, low)
    assert (places[0], places[-1]) == (low + width, low)
    shares = np.diff(clock.measure(places))
    np.testing.assert_allclose(shares, shares[0], rtol=1e-7)


def test_flat_density_is_uniform_in_log_snr():
    law = VPLinear()
    clock = DensityClock.flat(0.01, 100.0, 5)
    grid = clock.grid(12, law, t_min=0.01, t_max=0.9)
    np.testing.assert_allclose(grid, make("log_snr", 12, law, t_min=0.01, t_max=0.9), rtol=1e-9)


def test_exact_ends_on_the_protein_law():
    grid = CLOCK.grid(9, TangentPower(), t_min=0.02)
    assert len(grid) == 10
    assert (grid[0], grid[-1]) == (1.0, 0.02)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: DensityClock((0.0,), (0.0,)), "two knots"),
        (lambda: DensityClock((0.0, 1.0), (0.0,)), "density each"),
        (lambda: DensityClock((1.0, 0.0), (0.0, 0.0)), "increase"),
        (lambda: DensityClock((0.0, 1.0), (0.0, math.nan)), "finite"),
        (lambda: CLOCK.grid(0, VPLinear(), t_min=0.1), "at least 1 step"),
        (lambda: CLOCK.grid(3, VPLinear(), t_min=0.5, t_max=0.5), "t_min < t_max"),
        (lambda: CLOCK.grid(3, VPLinear(), t_min=0.0), "move the ends"),
    ],
)
def test_refusals(build, message):
    with pytest.raises(ValueError, match=message):
        build()
