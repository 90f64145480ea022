"""Areas under the ROC curve against scipy's Mann-Whitney test; regression on Gaussians."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, norm

from proteinweaver.evaluation.ranking import auroc, auroc_gain, auroc_interval, fit_logistic


def test_area_is_the_mann_whitney_statistic():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 6, 40).astype(float), rng.integers(-1, 5, 70).astype(float)  # with ties
    assert auroc(a, b) == pytest.approx(mannwhitneyu(a, b).statistic / (40 * 70))
    assert auroc(a, b) == pytest.approx(1 - auroc(b, a))
    assert np.isnan(auroc([], b))


def test_interval_covers_the_closed_form():
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal(150) + 1.0, rng.standard_normal(150)
    cell = auroc_interval(a, b)
    assert cell.low < norm.cdf(1 / np.sqrt(2)) < cell.high
    assert cell.high - cell.low < 0.12
    gain = auroc_gain(a, b, rng.standard_normal(150), rng.standard_normal(150))
    assert gain.low > 0.1
    same = auroc_gain(a, b, a, b)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_items_of_one_source_count_once():
    """Four copies of every item change nothing but the number of items."""
    rng = np.random.default_rng(3)
    a, b = rng.standard_normal(60) + 0.8, rng.standard_normal(60)
    names = np.array([f"chain {k}" for k in range(60)])
    one = auroc_interval(a, b, sources=(names, names))
    four = auroc_interval(*(np.repeat(x, 4) for x in (a, b)), sources=(np.repeat(names, 4),) * 2)
    assert (four.value, four.n) == (pytest.approx(one.value), 60)
    assert (four.low, four.high) == (pytest.approx(one.low), pytest.approx(one.high))
    as_if_many = auroc_interval(np.repeat(a, 4), np.repeat(b, 4))
    assert as_if_many.high - as_if_many.low < 0.7 * (four.high - four.low)
    apart = auroc_interval(a, b, sources=(names, [f"other {k}" for k in range(60)]))
    plain = auroc_interval(a, b)
    assert apart.high - apart.low == pytest.approx(plain.high - plain.low, rel=0.2)


def test_logistic_regression_finds_the_gaussian_slope():
    """Two unit Gaussians d apart have log odds d (x - middle)."""
    rng = np.random.default_rng(2)
    x = np.concatenate((rng.standard_normal(4000) + 1.5, rng.standard_normal(1000)))
    x = np.stack((x, rng.standard_normal(5000)), axis=-1)
    x[0, 1] = np.nan
    fitted = fit_logistic(x, np.arange(5000) < 4000, penalty=0.0)
    probe = fitted.score([[0.75, 0.0], [1.75, 0.0], [0.75, 1.0]])
    assert probe[0] == pytest.approx(0, abs=0.15)  # classes weigh the same
    assert probe[1] - probe[0] == pytest.approx(1.5, abs=0.15)
    assert probe[2] - probe[0] == pytest.approx(0, abs=0.1)
