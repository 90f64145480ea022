"""The order fit on tables whose answer is known."""

import math

import numpy as np
import pytest

from samplers.diagnostics.order import fit_order

COUNTS = 2.0 ** np.arange(3, 13)


def test_clean_powers_are_found_exactly():
    for p in (1, 2, 3, 4):
        fit = fit_order(COUNTS, 3.0 * COUNTS**-p)
        assert fit.order == pytest.approx(p, abs=1e-9)
        assert fit.window == (0, 9)
        assert str(fit).startswith(f"{p}.00")


def test_power_with_floor_is_recovered_in_95_percent():
    """Random constants, orders, floors and 3 % of noise."""
    rng = np.random.default_rng(0)
    close = covered = 0
    total = 200
    for _ in range(total):
        p = float(rng.choice([1, 2, 3, 4]))
        reach = rng.uniform(4, 7.5)  # octaves above the floor
        constant = 10 ** rng.uniform(-2, 2)
        floor = constant * (8 * 2.0**reach) ** -p
        errors = (constant * COUNTS**-p + floor) * np.exp(0.03 * rng.standard_normal(10))
        fit = fit_order(COUNTS, errors)
        close += fit.order is not None and abs(fit.order - p) < 0.15
        covered += fit.order is not None and fit.low <= p <= fit.high
    assert close >= 0.95 * total
    assert covered >= 0.95 * total


def test_without_a_floor_too():
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        p = float(rng.choice([1, 2, 3]))
        fit = fit_order(COUNTS, COUNTS**-p * np.exp(0.05 * rng.standard_normal(10)))
        covered += fit.order is not None and fit.low <= p <= fit.high
    assert covered >= 190


def test_coarse_runs_outside_the_range_are_left_out():
    """error = N^-2 (1 + 200/N^2): order 4 at first, 2 in the end."""
    errors = COUNTS**-2.0 * (1 + 4000 / COUNTS**2)
    fit = fit_order(COUNTS, errors)
    assert fit.window[0] >= 2
    assert fit.low <= 2 <= fit.high
    assert fit.order == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize(
    ("errors", "reason"),
    [
        (np.full(10, 1e-3), "do not fall|curvature|interval"),
        (np.exp(np.random.default_rng(2).standard_normal(10)), ""),
        (np.exp(-2.0 * np.arange(10) ** 1.7), "curvature"),
        ([1e-2, 1e-3, math.nan, math.inf, 0, -1, math.nan, 0, 0, 0], "2 usable points"),
        (COUNTS ** np.where(np.arange(10) % 2, -1.0, -2.0), ""),
    ],
    ids=["flat", "noise", "exponential", "failed", "erratic"],
)
def test_no_asymptotic_range_is_an_answer(errors, reason):
    import re

    fit = fit_order(COUNTS, errors)
    assert fit.order is None
    assert math.isnan(fit.low)
    assert re.search(reason, fit.reason)
    assert "no asymptotic range" in str(fit)


def test_pure_noise_rarely_passes():
    rng = np.random.default_rng(5)
    tables = np.exp(0.7 * rng.standard_normal((60, 8)))
    assert sum(fit_order(COUNTS[:8], e).order is not None for e in tables) <= 4


def test_errors_that_rise_again_are_told():
    """A measured table of the kind: float32 cancellation spoils fine grids."""
    errors = np.array([1e-1, 2.5e-2, 6.2e-3, 1.56e-3, 3.9e-4, 3e-3, 3.8e-2])
    fit = fit_order(COUNTS[:7], errors)
    assert fit.order == pytest.approx(2, abs=0.1)
    assert "rise after N = 128" in fit.reason
    assert fit.window == (0, 4)


MEASURED = {  # RMS error at 5, 10, 20, 50, 100, 1000 calls, the slope at the end if there is one
    "ddim": ([2.6e-1, 1.3e-1, 6.5e-2, 2.7e-2, 1.4e-2, 1.4e-3], 0.99),
    "heun": ([12, 5.7e-1, 9.5e-2, 1.3e-2, 3.0e-3, 2.9e-5], 2.02),
    "expab2": ([1.5e-1, 7.4e-2, 1.8e-2, 2.6e-3, 6.3e-4, 6.1e-6], 2.01),
    "expab3": ([3.8e-1, 1.9e-2, 2.8e-3, 2.0e-4, 2.7e-5, 2.8e-8], 2.9),
    "reab3": ([1.3e-1, 5.2e-2, 2.1e-2, 8.4e-3, 4.3e-3, 4.4e-4], 0.99),
    "floor of rounded times": ([2.3e-1, 4.7e-2, 2.3e-3, 1.1e-3, 1.1e-3, 1.1e-3], None),
    "rising": ([2.4e-1, 8.2e-2, 6.5e-2, 1.0e-2, 1.1e-3, 8e-2], None),
}


@pytest.mark.parametrize("name", MEASURED)
def test_measured_tables(name):
    """Tables of real samplers, among them the two ways in which one has no order."""
    errors, truth = MEASURED[name]
    fit = fit_order([5, 10, 20, 50, 100, 1000], errors)
    if truth is None:
        assert fit.order is None
    else:
        assert fit.low - 0.02 <= truth <= fit.high + 0.02
        assert fit.order == pytest.approx(truth, abs=0.15)


def test_a_table_that_ends_where_the_floor_begins():
    errors = COUNTS**-2.0 + 0.3 * COUNTS[-1] ** -2.0
    fit = fit_order(COUNTS, errors)
    assert fit.order == pytest.approx(2, abs=0.1)


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="increase"):
        fit_order([4, 4, 8, 16], [1, 2, 3, 4])
    with pytest.raises(ValueError, match="3 counts for 4 errors"):
        fit_order([1, 2, 3], [1, 2, 3, 4])
    with pytest.raises(ValueError, match="at least 4"):
        fit_order(COUNTS, COUNTS, min_points=3)
