"""Rates, budgets and times: values that can be computed by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats

from proteinweaver.errors import UserError
from proteinweaver.training.config import DataConfig, OptimizerConfig, TrainerConfig
from proteinweaver.training.recipes import RECIPES, mixtures
from proteinweaver.training.schedule import draw_times, ema_decay, learning_rate, used_budget


def test_rate_rises_stays_and_falls():
    setup = OptimizerConfig(lr=2e-3, warmup_steps=4, cooldown=0.25, lr_floor=0.05)
    rates = [learning_rate(step, step / 100, setup) for step in range(101)]
    assert rates[:4] == pytest.approx([5e-4, 1e-3, 1.5e-3, 2e-3])
    assert rates[4:75] == pytest.approx([2e-3] * 71)
    assert rates[80] == pytest.approx(2e-3 * 0.8)
    assert rates[100] == pytest.approx(1e-4)
    assert learning_rate(0, 5.0, OptimizerConfig(warmup_steps=0, cooldown=0.0)) == 1e-3


def test_whichever_budget_ends_first():
    both = TrainerConfig(max_steps=100, max_minutes=10)
    assert used_budget(50, 1.0, both) == 0.5
    assert used_budget(50, 9.0, both) == 0.9
    assert used_budget(7, 1e9, TrainerConfig(max_steps=14, max_minutes=0)) == 0.5, "no clock in it"
    leg = TrainerConfig(max_steps=100, max_minutes=10, start_step=900, start_minutes=60.0)
    assert used_budget(925, 61.0, leg) == 0.25, "another leg begins anew"
    with pytest.raises(UserError, match="no end"):
        TrainerConfig(max_steps=0, max_minutes=0)


def test_the_average_starts_with_a_short_memory():
    assert ema_decay(0, 0.999) == pytest.approx(0.1)
    assert ema_decay(90, 0.999) == pytest.approx(0.91)
    assert ema_decay(10**6, 0.999) == 0.999


def test_times_are_stratified_and_follow_their_law():
    law = OptimizerConfig(t_power=1.3)
    draws = [draw_times(8, torch.Generator().manual_seed(k), 0.02, law) for k in range(400)]
    u = ((torch.stack(draws) - 0.02) / 0.98) ** (1 / 1.3)
    strata = (u * 8).floor().long()
    offsets = (u * 8).sort(-1).values - torch.arange(8)
    assert (offsets.max(-1).values - offsets.min(-1).values).max() < 1e-3, (
        "evenly spread in a batch"
    )
    assert all(len(set(row)) == 8 for row in strata.tolist())
    assert stats.kstest(u[:, 0].numpy(), "uniform").pvalue > 1e-3


def test_a_share_of_the_times_is_drawn_below_a_bound():
    law = OptimizerConfig(t_power=1.0, focus=0.75, t_focus=0.52)
    draws = [draw_times(8, torch.Generator().manual_seed(k), 0.02, law) for k in range(2000)]
    t = torch.stack(draws)[:, 0].numpy()

    def cdf(x):
        return 0.75 * np.clip((x - 0.02) / 0.5, 0, 1) + 0.25 * (x - 0.02) / 0.98

    assert stats.kstest(t, cdf).pvalue > 1e-3
    everywhere = replace(law, focus=1.0)
    assert draw_times(64, torch.Generator().manual_seed(0), 0.02, everywhere).max() <= 0.52


@pytest.mark.parametrize(
    "bad", [{"lr": 0.0}, {"ema_decay": 1.5}, {"warmup_steps": -1}, {"clip": float("nan")}]
)
def test_settings_that_cannot_train_are_refused(bad):
    with pytest.raises(UserError, match=rf"optimizer\.{next(iter(bad))}"):
        OptimizerConfig(**bad)


def test_recipes_have_names():
    assert {"base", "domain", "assembler", "none"} <= RECIPES.keys()
    with pytest.raises(UserError, match="did you mean 'assembler'"):
        mixtures("asembler")
    with pytest.raises(UserError, match=r"data\.workers"):
        DataConfig(workers=-1)
