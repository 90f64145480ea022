"""Soft rewards: hard counts in the limit, gradients by differences, what they like and dislike."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from proteinweaver.errors import UserError
from proteinweaver.evaluation.critic import load_critic, packed
from proteinweaver.generation.condition import Piece, condition_for
from proteinweaver.nets.condition import stack_conditions
from proteinweaver.preference.reward_gradient import RewardGradientConfig
from proteinweaver.preference.soft_rewards import (
    soft_clash,
    soft_interface,
    soft_soundness,
    soft_strain,
)
from proteinweaver.structure.backbone import Backbone
from proteinweaver.structure.ideal import build_backbone


@pytest.fixture
def case() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    ca = 6.0 * torch.randn(2, 20, 3, generator=generator, dtype=torch.float64)
    piece = torch.full((2, 20), -1)
    piece[0, :8], piece[0, 10:] = 0, 1
    piece[1, :6], piece[1, 8:12], piece[1, 14:18] = 0, 1, 2
    return ca, piece


def everywhere(piece: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(piece, dtype=torch.bool)


def test_values_are_those_of_a_loop_over_pairs(case):
    ca, piece = case
    for row, junctions in ((0, 1), (1, 2)):
        own, label = ca[row].numpy(), piece[row].numpy()
        distance = np.sqrt(cdist(own, own) ** 2 + 1e-6)
        contacts, overlap = 0.0, 0.0
        for i in range(20):
            for j in range(i):
                if label[i] >= 0 and label[j] >= 0 and label[i] != label[j]:
                    contacts += 1 / (1 + np.exp(distance[i, j] - 8))
                    overlap += max(0.0, 4 - distance[i, j]) ** 2
                elif min(label[i], label[j]) < 0 and i - j >= 3:
                    overlap += max(0.0, 4 - distance[i, j]) ** 2
        assert float(soft_interface(ca, piece)[row]) == pytest.approx(
            1 - np.exp(-contacts / 15 / junctions)
        )
        assert float(soft_clash(ca, piece, everywhere(piece))[row]) == pytest.approx(
            np.log1p(overlap)
        )
        assert overlap > 0


def test_gradients_are_those_of_differences(case):
    ca, piece = case
    for reward in (soft_interface, lambda x, p: soft_clash(x, p, everywhere(p))):
        assert torch.autograd.gradcheck(lambda x, f=reward: f(x, piece), ca.requires_grad_())


def test_what_they_like(case):
    ca, piece = case
    apart = ca.clone()
    apart[piece == 1] += 200.0
    assert float(soft_interface(apart, piece)[0]) < 1e-6
    domains = everywhere(piece) & (piece >= 0)
    assert float(soft_clash(apart, piece, domains)[0]) == 0.0
    together = torch.zeros_like(ca)
    assert (
        float(soft_clash(together, piece, domains).min()) > 5.0
    )  # contacts alone would like this best
    one = torch.where(piece > 0, 0, piece)
    assert float(soft_interface(ca, one).max()) == float(soft_clash(ca, one, domains).max()) == 0.0


def test_settings_that_cannot_be_are_refused():
    for settings in (
        {"last": 3, "num_steps": 1},
        {"end": 1.0},
        {"start": 0.3, "end": 0.4},
        {"start": 1.5},
        {"num_steps": 0},
    ):
        with pytest.raises(UserError, match="reward_gradient"):
            RewardGradientConfig(**settings)


def test_soundness_is_what_the_critic_says_of_the_chains():
    critic = load_critic()
    phi, psi = torch.full((2, 60), -1.1), torch.full((2, 60), -0.75)
    phi[1, 20:26], psi[1, 20:26] = -2.1, 2.3
    coord = torch.stack([build_backbone(a, b) for a, b in zip(phi, psi, strict=True)]).float()
    coord.requires_grad_()
    pieces = [Piece(0, coord[0, :20].detach().numpy(), "adapt")]
    condition = stack_conditions([condition_for(60, pieces), condition_for(50, pieces)])
    votes = soft_soundness(coord, condition, critic)
    whole = coord.detach().numpy()
    for row, length in ((0, 60), (1, 50)):  # what is behind the end of a chain is not seen
        chains = packed(
            [Backbone.from_coord(whole[row, :length])], critic.net.config.judge_neighbours
        )
        logits = critic.net.judge(chains).chain[:, 0].numpy()
        assert votes[:, row].detach().numpy() == pytest.approx(
            critic.calibration.probability(logits), abs=1e-3
        )
    slope = torch.autograd.grad(votes.sum(), coord)[0]
    assert slope.isfinite().all() and float(slope[1, 50:].abs().max()) == 0.0 < slope.abs().max()


def test_strain_is_of_the_bonds_of_linkers():
    chain = build_backbone(torch.full((40,), -1.1), torch.full((40,), -0.75)).double()
    pieces = [Piece(0, chain[:15].numpy(), "adapt"), Piece(25, chain[25:].numpy(), "adapt")]
    condition = stack_conditions([condition_for(40, pieces), condition_for(30, pieces[:1])])
    pulled = torch.stack((chain, chain))
    assert soft_strain(pulled, condition).numpy() == pytest.approx([0.0, 0.0], abs=1e-4)
    for cut, counts in ((5, False), (15, True), (20, True), (25, True), (30, False)):
        pulled = torch.stack((chain, chain))
        bond = pulled[0, cut, 0] - pulled[0, cut - 1, 2]
        pulled[:, cut:] += 0.2 * bond / bond.norm()
        pulled.requires_grad_()
        strain = soft_strain(pulled, condition)
        there = [counts, counts or cut == 25]  # the second chain ends after 30, one piece to 15
        assert strain.tolist() == pytest.approx(
            [np.log1p(4.0) if one else 0.0 for one in there], abs=2e-3
        )
        slope = torch.autograd.grad(strain.sum(), pulled)[0]
        outward = float((slope[0, cut, 0] * bond / bond.norm()).sum())
        assert outward == pytest.approx(2 * 0.2 / 0.01 / 5 if counts else 0.0, rel=0.01, abs=0.01)


@pytest.mark.parametrize("settings", [{"soundness": -1.0}, {"soundness": 1.0, "branches": ()}])
def test_a_critic_that_cannot_be_climbed_is_refused(settings):
    with pytest.raises(UserError, match="reward_gradient"):
        RewardGradientConfig(last=1, **settings)
