"""Measures of domain division against cases worked out by hand."""

import numpy as np
import pytest

from proteinweaver.evaluation.boundaries import (
    boundaries,
    boundary_error,
    domain_iou,
    domain_overlap,
)

TRUE = np.repeat([1, 2], [60, 40])


def test_the_same_division_is_perfect_whatever_its_names():
    other = np.repeat([2, 1], [60, 40])
    for label in (TRUE, other):
        assert domain_overlap(label, TRUE) == 1.0
        assert domain_iou(label, TRUE) == 1.0
        assert boundary_error(label, TRUE).tolist() == [0.0]


def test_one_domain_for_two():
    """One row of 60 + 40: its score is 60 - 40; the columns score 60 and 40: (20 + 100) / 2."""
    whole = np.ones(100, int)
    assert domain_overlap(whole, TRUE) == pytest.approx(0.6)
    assert domain_iou(whole, TRUE) == pytest.approx(0.3)
    assert boundary_error(whole, TRUE).tolist() == [50.0]


def test_a_shifted_boundary():
    """Rows 50 and 40 + 10; columns 50 + 10 and 40."""
    shifted = np.repeat([1, 2], [50, 50])
    rows, columns = 50 + (40 - 10), (50 - 10) + 40
    assert domain_overlap(shifted, TRUE) == pytest.approx((rows + columns) / 2 / 100)
    assert domain_iou(shifted, TRUE) == pytest.approx((50 / 60 + 40 / 50) / 2)
    assert boundary_error(shifted, TRUE).tolist() == [10.0]


def test_residues_outside_domains_count_against_a_prediction_that_takes_them():
    true = np.repeat([1, 0, 2], [50, 20, 30])
    whole = np.repeat([1, 2], [60, 40])
    rows, columns = (50 - 10) + (30 - 10), 50 + 30
    assert domain_overlap(whole, true) == pytest.approx((rows + columns) / 2 / 80)
    assert boundaries(true).tolist() == [59.5]


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="labels"):
        domain_overlap(TRUE[:-1], TRUE)
