"""Gradient through the last calls of sampling, against finite differences in float64."""

from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor, nn

from proteinweaver.diffusion.field import FrameField
from proteinweaver.diffusion.last_steps import noised, pure_noise, sample_with_gradient
from proteinweaver.diffusion.process import FrameProcess, ProcessConfig
from proteinweaver.nets.condition import Condition, unconditional
from proteinweaver.nets.denoiser import LENGTH_UNIT, Denoised, Denoiser, DenoiserConfig, centred
from proteinweaver.structure.frames import frames_from_coord
from proteinweaver.structure.ideal import build_backbone
from samplers import igso3, so3

PROCESS = FrameProcess(ProcessConfig())
GRID = [1.0, 0.8, 0.6, 0.45, 0.3]
LENGTH = 7


class Smooth(nn.Module):
    """A network without stops; its calls before number ``since`` use weights of their own."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(
            0.3 * torch.randn(3, 6, generator=generator, dtype=torch.float64)
        )
        self.before: Tensor | None = None
        self.since, self.calls = 0, 0

    def settle(self, condition: Condition) -> Condition:
        self.calls = -1  # one more to have an estimate to remember
        return condition

    def forward(self, rot: Tensor, trans: Tensor, level, condition, *_, **__) -> Denoised:
        early = self.before is not None and self.calls < self.since
        weight = self.before if early else self.weight
        self.calls += 1
        told = torch.tanh(torch.roll(trans, 1, 1) / 20.0) @ weight
        clean = centred(0.4 * trans / level.alpha[:, None, None] ** 0.1 + 5 * told[..., :3],
                        condition.mask)  # fmt: skip
        turned = rot @ so3.exp(0.3 * told[..., 3:] + 0.1 * torch.tanh(clean / 10.0))
        return Denoised(turned, clean, told[..., :2], clean, ())


def start(condition: Condition) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    trans, rot = pure_noise(PROCESS, condition.mask, [generator])
    # so3 in float64: exact rotations, not those of float32
    return trans.double(), so3.project(rot.double())


def measure(net: nn.Module, condition: Condition, last: int) -> Tensor:
    """Any smooth function of frames."""
    out = sample_with_gradient(FrameField(net, PROCESS, condition), start(condition), GRID, last)
    return (out.trans / 10.0).square().sum() + (out.rot[..., 0] * out.trans).sum() / 10.0


@pytest.mark.parametrize("last", [1, 2, len(GRID)])
def test_the_gradient_is_that_of_the_last_calls(last):
    net, condition = Smooth(), unconditional(LENGTH)
    measure(net, condition, last).backward()
    found = net.weight.grad.clone()
    net.before = net.weight.detach().clone()
    net.since = len(GRID) - last
    differences, step = torch.zeros_like(found), 1e-5
    with torch.no_grad():
        for place in torch.cartesian_prod(torch.arange(3), torch.arange(6)):
            row, column = map(int, place)
            ends = []
            for sign in (1, -1):
                net.weight[row, column] += sign * step
                ends.append(float(measure(net, condition, last)))
                net.weight[row, column] -= sign * step
            differences[row, column] = (ends[0] - ends[1]) / (2 * step)
    assert net.calls == len(GRID)
    torch.testing.assert_close(found, differences, rtol=1e-6, atol=1e-7)
    if last == 2:  # and K = 2 is another gradient than K = 1
        other = Smooth()
        measure(other, condition, 1).backward()
        assert float((other.weight.grad - found).abs().max()) > 1e-3 * float(found.abs().max())


class Stopped(nn.Module):
    """Begins with what it remembers, as the denoiser does, cut or not, and adds its own."""

    def __init__(self, cut: bool) -> None:
        super().__init__()
        self.cut, self.calls = cut, 0
        generator = torch.Generator().manual_seed(1)
        self.steps = nn.Parameter(
            torch.randn(len(GRID), LENGTH, 3, generator=generator, dtype=torch.float64)
        )

    def settle(self, condition: Condition) -> Condition:
        self.calls = -1
        return condition

    def forward(self, rot, trans, level, condition, previous=None, **_) -> Denoised:
        first = 0.1 * trans if previous is None else previous[1]
        first = first.detach() if self.cut else first
        clean = first + centred(self.steps[max(self.calls, 0)][None], condition.mask)
        self.calls += 1
        return Denoised(rot, clean, rot[..., 0, :2], clean, ())


def test_a_skip_puts_back_what_the_first_stop_cuts():
    """Values stay; gradients of every call are those of the same network without the stop."""
    grads, values = [], []
    for cut, skip in ((False, False), (True, True), (True, False)):
        net = Stopped(cut)
        condition = unconditional(LENGTH)
        noise = start(condition)
        out = sample_with_gradient(FrameField(net, PROCESS, condition), noise, GRID, 3, skip)
        value = (out.trans / 10.0).square().sum()
        value.backward()
        grads.append(net.steps.grad)
        values.append(float(value.detach()))
    assert values[0] == values[1] == values[2]
    torch.testing.assert_close(grads[1], grads[0], rtol=1e-12, atol=1e-14)
    assert [bool(g.any()) for g in grads[0]] == [False, False, True, True, True]
    assert [bool(g.any()) for g in grads[2]] == [False, False, False, False, True]


def double(condition: Condition) -> Condition:
    floating = {
        f.name: getattr(condition, f.name).double()
        for f in fields(condition)
        if getattr(condition, f.name).is_floating_point()
    }
    return replace(condition, **floating)


def test_the_denoiser_learns_by_its_last_call():
    """K = 1: what the last block says of a residue's own step acts behind all stops.

    Its sketch does not: the motion that lays it on the noisy frames carries no gradient.
    """
    torch.manual_seed(2)
    net = Denoiser(DenoiserConfig(width=8, edge_width=4, heads=2, blocks=2)).double()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape))
    condition = double(unconditional(LENGTH))
    weight = net.blocks[1].update.weight  # rows 0 to 5: step and turn
    measure(net, condition, 1).backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)
    assert net.blocks[0].update.weight.grad is None  # the stop between blocks
    assert float(net.blocks[0].out.weight.grad.abs().max()) > 0  # features pass it
    base = weight.detach().clone()

    class LastOnly(nn.Module):
        """The net with other weights in its last call."""

        def __init__(self, change: Tensor) -> None:
            super().__init__()
            self.calls, self.change = -1, change

        def settle(self, condition):
            return net.settle(condition)

        def forward(self, *args, **more):
            self.calls += 1
            if self.calls == len(GRID):
                weight.data = base + self.change
            out = net(*args, **more)
            weight.data = base
            return out

    with torch.no_grad():
        for row, column in ((0, 0), (2, 5), (5, 2)):
            change = torch.zeros_like(base)
            change[row, column] = 1e-5
            up, down = (float(measure(LastOnly(sign * change), condition, 1)) for sign in (1, -1))
            assert float(weight.grad[row, column]) == pytest.approx(
                (up - down) / 2e-5, rel=1e-5, abs=1e-8
            )


def test_only_calls_that_exist():
    for last in (0, len(GRID) + 1):
        with pytest.raises(ValueError, match="give 1 to 5"):
            measure(Smooth(), unconditional(LENGTH), last)


def test_noise_of_an_item_is_its_own():
    mask = torch.ones(2, 9, dtype=torch.bool)
    mask[1, 5:] = False
    both = pure_noise(PROCESS, mask, [torch.Generator().manual_seed(k) for k in (1, 2)])
    alone = pure_noise(PROCESS, mask[1:, :5], [torch.Generator().manual_seed(2)])
    for one, other in zip(both, alone, strict=True):
        torch.testing.assert_close(one[1, :5], other[0])
    assert float(both[0][1, 5:].abs().max()) == 0
    assert float(both[0].mean(1).abs().max()) < 1e-3


def test_long_gradients_keep_rotations():
    """Turns are put back beside the values: products of turns would leave SO(3) exponentially."""
    torch.manual_seed(7)
    net = Denoiser(DenoiserConfig(width=8, edge_width=4, heads=2, blocks=2))
    with torch.no_grad():
        net.blocks[0].update.weight.normal_(0, 0.3)
    condition = unconditional(LENGTH)
    state = pure_noise(PROCESS, condition.mask, [torch.Generator().manual_seed(8)])
    grid = [1.0 - 0.03 * k for k in range(30)]
    found = sample_with_gradient(FrameField(net, PROCESS, condition), state, grid, 30, skip=True)
    with torch.no_grad():
        field = FrameField(net, PROCESS, condition)
        plain = sample_with_gradient(field, state, grid, 30)
    torch.testing.assert_close(found.trans, plain.trans, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(
        found.rot.transpose(-1, -2) @ found.rot, torch.eye(3).expand_as(found.rot),
        atol=1e-5, rtol=0,
    )  # fmt: skip


def test_noised_states_have_the_law_of_the_forward_process():
    count, length, t = 400, 12, 0.3
    coord = build_backbone(torch.full((length,), -1.1), torch.full((length,), -0.7)).float()
    coord = coord - coord[:, 1].mean(0)
    mask = torch.ones(count, length, dtype=torch.bool)
    mask[1, 8:] = False
    generators = [torch.Generator().manual_seed(k) for k in range(count)]
    trans, rot = noised(PROCESS, coord.expand(count, -1, -1, -1), mask, t, generators)
    torch.testing.assert_close(torch.linalg.det(rot), torch.ones(count, length))
    clean_rot, clean = frames_from_coord(coord)
    law, whole = PROCESS.trans_law, mask.all(1)
    off = trans[whole] - law.alpha(t) * clean / LENGTH_UNIT
    assert off.mean(1).abs().max() < 1e-5
    spread = law.sigma(t) * (1 - 1 / length) ** 0.5  # less what the centre took
    assert float(off.std()) == pytest.approx(spread, rel=0.02)
    assert float(off.mean((0, 1)).abs().max()) < 0.05 * spread
    angle = so3.log(clean_rot.mT @ rot[whole]).norm(dim=-1)
    sigma = PROCESS.rot_law.sigma(t)
    drawn = igso3.sample_from_normal(
        torch.randn(20_000, 3, generator=torch.Generator().manual_seed(0)), sigma
    )
    expected = so3.log(drawn).norm(dim=-1).mean()
    assert float(angle.mean()) == pytest.approx(float(expected), rel=0.03)
    # an item depends on its generator and its residues alone
    alone = noised(PROCESS, coord[None, :8], mask[1:2, :8], t, [torch.Generator().manual_seed(1)])
    torch.testing.assert_close(alone[0][0], trans[1, :8])
    torch.testing.assert_close(alone[1][0], rot[1, :8])
