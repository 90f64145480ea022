"""Soft rewards: hard counts in the limit, gradients by differences, what they like and dislike."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from proteinweaver.errors import UserError
from proteinweaver.preference.reward_gradient import RewardGradientConfig
from proteinweaver.preference.soft_rewards import soft_clash, soft_interface


@pytest.fixture
def case() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    ca = 6.0 * torch.randn(2, 20, 3, generator=generator, dtype=torch.float64)
    piece = torch.full((2, 20), -1)
    piece[0, :8], piece[0, 10:] = 0, 1
    piece[1, :6], piece[1, 8:12], piece[1, 14:18] = 0, 1, 2
    return ca, piece


def test_values_are_those_of_a_loop_over_pairs(case):
    ca, piece = case
    for row, junctions in ((0, 1), (1, 2)):
        own, label = ca[row].numpy(), piece[row].numpy()
        distance = np.sqrt(cdist(own, own) ** 2 + 1e-6)
        contacts = overlap = 0.0
        for i in range(20):
            for j in range(i):
                if label[i] >= 0 and label[j] >= 0 and label[i] != label[j]:
                    contacts += 1 / (1 + np.exp(distance[i, j] - 8))
                    overlap += max(0.0, 4 - distance[i, j]) ** 2
        assert float(soft_interface(ca, piece)[row]) == pytest.approx(
            1 - np.exp(-contacts / 15 / junctions)
        )
        assert float(soft_clash(ca, piece)[row]) == pytest.approx(np.log1p(overlap))
        assert overlap > 0


def test_gradients_are_those_of_differences(case):
    ca, piece = case
    for reward in (soft_interface, soft_clash):
        assert torch.autograd.gradcheck(lambda x, f=reward: f(x, piece), ca.requires_grad_())


def test_what_they_like(case):
    ca, piece = case
    apart = ca.clone()
    apart[piece == 1] += 200.0
    assert float(soft_interface(apart, piece)[0]) < 1e-6
    assert float(soft_clash(apart, piece)[0]) == 0.0
    together = torch.zeros_like(ca)
    assert float(soft_clash(together, piece).min()) > 5.0  # contacts alone would like this best
    one = torch.where(piece > 0, 0, piece)
    assert float(soft_interface(ca, one).max()) == float(soft_clash(ca, one).max()) == 0.0


def test_settings_that_cannot_be_are_refused():
    for settings in ({"last": 3, "num_steps": 1}, {"end": 1.0}, {"num_steps": 0}):
        with pytest.raises(UserError, match="reward_gradient"):
            RewardGradientConfig(**settings)
