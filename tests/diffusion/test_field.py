"""The field of a model: plain tensors, counted calls, and purity without memory."""

from dataclasses import replace

import pytest
import torch
from e3nn import o3

from proteinweaver.diffusion.field import FrameField
from proteinweaver.diffusion.wishes import Interface, Wishes
from proteinweaver.nets.condition import unconditional
from proteinweaver.nets.denoiser import (
    LENGTH_UNIT,
    Denoised,
    Denoiser,
    DenoiserConfig,
    centred,
)
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


def test_steering_with_gradient_has_the_values_of_steering_without(process):
    """Moves of pieces count as constants: an estimate passes its gradient as it is."""
    generator = torch.Generator().manual_seed(6)
    length = 24
    piece = torch.full((1, length), -1)
    piece[0, :10], piece[0, 13:] = 0, 1
    own = torch.cumsum(2.2 * torch.randn(1, length, 3, generator=generator), 1)
    turns = o3.rand_matrix(1, length)
    condition = replace(unconditional(length), piece=piece, known_rot=turns, known_trans=own)
    near = torch.arange(10), torch.arange(13, length)
    wishes = [Wishes(interfaces=(Interface(*near, 12),))]

    class Fixed(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.frames = turns, torch.nn.Parameter(own - own.mean(1, keepdim=True))

        def settle(self, condition):
            return condition

        def forward(self, *_, **__) -> Denoised:
            return Denoised(*self.frames, torch.ones(1, length, 2), self.frames[1], ())

    net = Fixed()
    here = torch.zeros(1, length, 3), turns

    def field() -> FrameField:
        return FrameField(net, process, condition, repulsion=0.3, wishes=wishes)

    still, told = field().denoise(*here, 0.5), field().estimate(*here, 0.5)
    assert float((still.trans - net.frames[1].detach()).abs().max()) > 0.5, "pieces were moved"
    torch.testing.assert_close(told.trans, still.trans)
    torch.testing.assert_close(told.rot, still.rot, atol=1e-5, rtol=0)
    slope = torch.randn(1, length, 3, generator=generator)
    found = torch.autograd.grad((told.trans * slope).sum(), net.frames[1])[0]
    torch.testing.assert_close(found, slope)
    assert still.trans.grad_fn is None
