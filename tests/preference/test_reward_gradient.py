"""Samples of the reward gradient: where they begin, and what is rewarded."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from proteinweaver.diffusion.process import FrameProcess, ProcessConfig
from proteinweaver.errors import UserError
from proteinweaver.generation.condition import Piece, condition_for
from proteinweaver.nets.condition import stack_conditions
from proteinweaver.nets.denoiser import Denoiser, DenoiserConfig
from proteinweaver.preference.reward_gradient import RewardGradientConfig, reward_of_samples
from proteinweaver.preference.soft_rewards import soft_interface
from proteinweaver.structure.ideal import ideal_element

PROCESS = FrameProcess(ProcessConfig())
LATE = RewardGradientConfig(last=1, num_steps=2, start=0.3)


@pytest.fixture(scope="module")
def net() -> Denoiser:
    torch.manual_seed(0)
    return Denoiser(DenoiserConfig(width=16, edge_width=8, heads=2, blocks=1))


def designs(apart: float) -> tuple[torch.Tensor, object]:
    """Two helices side by side, so far apart, with a linker from one to the other."""
    helix = ideal_element("H", 20).float().numpy()
    second = helix + np.float32([apart, 0.0, 0.0])
    steps = np.linspace(0, 1, 10, dtype=np.float32)[1:-1, None, None]
    linker = helix[-1:] + steps * (second[:1] - helix[-1:])
    chain = np.concatenate((helix, linker, second))
    chain -= chain[:, 1].mean(0)
    pieces = [Piece(0, chain[:20], "adapt"), Piece(28, chain[28:], "adapt")]
    return torch.from_numpy(chain)[None], stack_conditions([condition_for(48, pieces)])


def test_domains_keep_the_poses_that_samples_begin_in(net):
    for apart in (9.0, 40.0):
        chain, condition = designs(apart)
        _, seen = reward_of_samples(net, PROCESS, condition, ["a"], LATE, chain)
        truth = float(soft_interface(chain[..., 1, :], condition.piece))
        assert seen["contacts"] == pytest.approx(truth, abs=0.03)
    assert truth < 0.05  # 40 A apart


def test_the_reward_is_the_sum_that_is_asked_for(net):
    chain, condition = designs(9.0)
    config = replace(LATE, contacts=0.7, clash=0.3, drift=0.2, soundness=0.5, strain=0.1)
    reward, seen = reward_of_samples(net, PROCESS, condition, ["a"], config, chain)
    expected = (
        0.7 * seen["contacts"] - 0.3 * seen["overlap"] - 0.2 * seen["drift"]
        + 0.5 * seen["soundness"] - 0.1 * seen["strain"]
    )  # fmt: skip
    assert float(reward.detach()) == pytest.approx(expected, abs=1e-5)
    assert 0 < seen["held_out"] < 1 and seen["strain"] > 0
    slopes = torch.autograd.grad(reward.sum(), list(net.parameters()), allow_unused=True)
    assert any(slope is not None and bool(slope.any()) for slope in slopes)


def test_starts_that_cannot_be(net):
    chain, condition = designs(9.0)
    with pytest.raises(ValueError, match="samples begin at designs"):
        reward_of_samples(net, PROCESS, condition, ["a"], LATE)
    late = replace(LATE, start=0.01)
    with pytest.raises(UserError, match=r"start is 0\.01; give more than 0\.02"):
        reward_of_samples(net, PROCESS, condition, ["a"], late, chain)
