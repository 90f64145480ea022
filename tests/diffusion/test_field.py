"""The field of a model: plain tensors, counted calls, and purity without memory."""

import pytest
import torch
from e3nn import o3

from proteinweaver.diffusion.field import FrameField
from proteinweaver.nets.condition import unconditional
from proteinweaver.nets.denoiser import LENGTH_UNIT, Denoiser, DenoiserConfig, centred
from samplers import igso3


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    made = Denoiser(DenoiserConfig(width=16, edge_width=8, heads=2, blocks=2, n_outside=4)).eval()
    with torch.no_grad():
        for block in made.blocks:
            block.update.weight.normal_(0, 0.3)
    return made


def state(seed):
    torch.manual_seed(seed)
    condition = unconditional(20)
    return (centred(torch.randn(1, 20, 3), condition.mask), o3.rand_matrix(1, 20)), condition


def test_without_memory_the_field_is_pure(net, process):
    here, condition = state(1)
    there, _ = state(2)
    field = FrameField(net, process, condition, memory=False)
    first = field(here, 0.5)
    field(there, 0.9)
    second = field(here, 0.5)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert field.calls == 6, "two counted passes each"


def test_with_memory_it_counts_one_call_a_step(net, process):
    here, condition = state(1)
    there, _ = state(2)
    field = FrameField(net, process, condition, memory=True)
    first = field(here, 0.5)
    field(there, 0.9)
    second = field(here, 0.5)
    assert field.calls == 4
    assert not torch.allclose(first[0], second[0]), "the memory is real"


def test_predictions_are_clean_positions_and_the_score_of_the_clean_rotations(net, process):
    here, condition = state(3)
    field = FrameField(net, process, condition)
    out = field.denoise(*here, 0.4)
    x0, score = field.predictions(here, out, 0.4)
    assert torch.allclose(LENGTH_UNIT * x0, out.trans)
    assert x0.mean(1).abs().max() < 1e-5
    sigma = float(process.rot_law.sigma(0.4))
    assert torch.allclose(score, igso3.score(here[1], out.rot, sigma), atol=1e-5)


def test_guidance_leads_away_from_the_first_half_of_the_network(net, process):
    here, condition = state(4)
    level = process.level(torch.tensor([0.4]))
    noisy = (here[1], LENGTH_UNIT * here[0], level, net.settle(condition))
    previous = None
    for _ in range(2):  # both passes are led on
        out = net(*noisy, previous, supervised=True)
        weak = out.blocks[1][1]  # two blocks, each with its estimate before and after the pull
        led = out.trans + 1.5 * (out.trans - weak)
        previous = (out.rot, led)
    assert (out.trans - weak).abs().max() > 0.1
    field = FrameField(net, process, condition, memory=False, guidance=1.5)
    found = field.denoise(*here, 0.4)
    assert torch.allclose(found.trans, led, atol=1e-5) and torch.equal(found.rot, out.rot)
    assert field.calls == 2
