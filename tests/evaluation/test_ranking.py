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
