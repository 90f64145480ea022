"""The divergence that a pull works on: from log-ratios, and by descending it."""

import copy
from dataclasses import replace

import pytest
import torch

from proteinweaver.diffusion.process import FrameProcess, ProcessConfig
from proteinweaver.nets.condition import stack_conditions, unconditional
from proteinweaver.nets.denoiser import Denoiser, DenoiserConfig
from proteinweaver.preference.surrogate import (
    SurrogateConfig,
    denoising_error,
    divergence_draw,
    noisy_draw,
)
from proteinweaver.structure.ideal import ideal_element

PROCESS = FrameProcess(ProcessConfig())
CONFIG = SurrogateConfig(draws=2, strength=10.0)
KEYS = ["a", "b"]


@pytest.fixture
def case():
    torch.manual_seed(0)
    reference = Denoiser(DenoiserConfig(width=16, edge_width=8, heads=2, blocks=1))
    policy = copy.deepcopy(reference)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    coord = ideal_element("H", 12).expand(2, -1, -1, -1)
    coord = coord - coord[:, :, 1].mean(1)[:, None, None]
    condition = stack_conditions([unconditional(12)] * 2)
    return policy, reference, coord, condition


def test_it_is_the_log_ratio_where_the_policy_is_right(case):
    """If what lies behind the noise is what the policy says, l_ref - l_theta is the divergence."""
    policy, reference, coord, condition = case
    noisy = noisy_draw(PROCESS, coord, condition.mask, KEYS, 3)
    with torch.no_grad():
        out = policy(noisy.rot_t, noisy.trans_t, PROCESS.level(noisy.t), condition)
        truth = replace(noisy, rot=out.rot, trans=out.trans)
        own, other = (
            denoising_error(net, PROCESS, truth, condition, CONFIG) for net in (policy, reference)
        )
        found = divergence_draw(policy, reference, PROCESS, coord, condition, KEYS, 3, CONFIG)
    assert float(own.abs().max()) < 1e-6
    torch.testing.assert_close(found, CONFIG.strength * (other - own), rtol=1e-4, atol=1e-5)
    assert float(found.min()) > 0
    zero = divergence_draw(reference, reference, PROCESS, coord, condition, KEYS, 3, CONFIG)
    assert float(zero.detach().abs().max()) == 0


def test_descending_it_brings_the_policy_back(case):
    policy, reference, coord, condition = case
    optimizer = torch.optim.Adam(policy.parameters(), lr=3e-3)
    seen = []
    for _ in range(12):
        far = divergence_draw(policy, reference, PROCESS, coord, condition, KEYS, 0, CONFIG)
        optimizer.zero_grad()
        far.mean().backward()
        optimizer.step()
        seen.append(float(far.detach().mean()))
    assert seen[-1] < 0.5 * seen[0]
    assert all(parameter.grad is None for parameter in reference.parameters())
