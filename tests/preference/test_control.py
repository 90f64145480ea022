"""The controller of the pull against its closed form; a leg's standing by hand."""

import math
from dataclasses import replace

import pytest

from proteinweaver.errors import UserError
from proteinweaver.preference.control import (
    CollapseConfig,
    PullConfig,
    Standing,
    judged,
    next_strength,
)

PULL = PullConfig(strength=0.5, target=4.0)


def test_the_controller_is_that_of_the_paper():
    """beta (1 + 0.1 clip(KL / target - 1, -0.2, 0.2))."""
    for divergence, factor in ((4.0, 1.0), (4.4, 1.01), (3.6, 0.99), (40.0, 1.02), (0.0, 0.98)):
        assert next_strength(0.5, divergence, PULL) == pytest.approx(0.5 * factor, rel=1e-12)
    assert next_strength(0.5, math.nan, PULL) == 0.5
    assert next_strength(0.5, 40.0, replace(PULL, target=0.0)) == 0.5


def test_the_divergence_reaches_its_target():
    """A policy that goes 10 / beta away is held at 4 by beta = 2.5, from either side."""
    for first in (0.05, 50.0):
        strength = first
        for _ in range(400):
            strength = next_strength(strength, 10.0 / strength, PULL)
        assert strength == pytest.approx(2.5, rel=1e-3)


def test_a_leg_stands_as_its_figures_say():
    config = CollapseConfig(patience=2, drop=0.1, kl=5.0)
    standing = Standing()
    steps = [
        # accuracy, kl, best step, bad, collapsed
        (0.45, 0.1, 0, 0, False),  # hardly worse than a coin: within the drop
        (0.60, 1.0, 2, 0, False),
        (0.60, 0.8, 3, 0, False),  # as accurate, nearer
        (0.60, 2.0, 3, 0, False),
        (0.49, 1.0, 3, 1, False),
        (0.70, 5.1, 3, 2, True),  # accurate, but too far: twice bad
        (0.90, 1.0, 7, 0, True),  # over is over
    ]
    for step, (accuracy, kl, best, bad, collapsed) in enumerate(steps, start=1):
        standing = judged(standing, step, accuracy, kl, config)
        assert (standing.step, standing.bad, standing.collapsed) == (best, bad, collapsed), step
    first = judged(Standing(), 1, math.nan, 0.0, config)
    assert first == Standing(bad=1)
    assert judged(first, 2, 0.9, math.inf, config).collapsed
    patient = Standing()
    for step in range(9):
        patient = judged(patient, step, 0.0, 0.0, CollapseConfig())
    assert not patient.collapsed  # nobody looks


def test_settings_that_cannot_be_are_refused():
    for make in (
        lambda: PullConfig(strength=-1.0),
        lambda: PullConfig(gain=5.0),
        lambda: PullConfig(target=1.0),
        lambda: CollapseConfig(patience=-1),
        lambda: CollapseConfig(drop=1.0),
        lambda: CollapseConfig(kl=math.inf),
    ):
        with pytest.raises(UserError):
            make()
