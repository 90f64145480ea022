"""The surrogate log-ratio of a small denoiser."""

import copy
from dataclasses import replace

import pytest
import torch

from proteinweaver.diffusion.objective import LossWeights, denoising_losses
from proteinweaver.diffusion.process import FrameProcess, ProcessConfig
from proteinweaver.errors import UserError
from proteinweaver.nets.condition import stack_conditions, unconditional
from proteinweaver.nets.denoiser import Denoiser, DenoiserConfig
from proteinweaver.preference.surrogate import (
    SurrogateConfig,
    denoising_error,
    log_ratio_draws,
    noisy_draw,
)
from proteinweaver.structure.ideal import ideal_element

PROCESS = FrameProcess(ProcessConfig())


@pytest.fixture(scope="module")
def nets() -> tuple[Denoiser, Denoiser]:
    """A reference and a policy near it."""
    torch.manual_seed(0)
    reference = Denoiser(DenoiserConfig(width=16, edge_width=8, heads=2, blocks=1))
    policy = copy.deepcopy(reference)
    with torch.no_grad():
        for p in policy.parameters():
            p.add_(0.02 * torch.randn_like(p))
    return policy, reference


def chains(*lengths: int) -> tuple[torch.Tensor, ...]:
    """Padded helices and strands with their condition."""
    longest = max(lengths)
    coord = torch.zeros(len(lengths), longest, 4, 3)
    for row, length in enumerate(lengths):
        xyz = ideal_element("HE"[row % 2], length).float()
        coord[row, :length] = xyz - xyz[:, 1].mean(0)
        coord[row, length:] = coord[row, :1]
    return coord, stack_conditions([unconditional(length) for length in lengths])


def test_the_reference_has_ratio_zero_and_only_the_policy_learns(nets):
    policy, reference = nets
    coord, condition = chains(12, 12)
    config = SurrogateConfig(draws=2)
    same = log_ratio_draws(reference, reference, PROCESS, coord, condition, ["a", "a"], config)
    assert same.shape == (2, 2)
    assert bool((same == 0).all())
    ratio = log_ratio_draws(policy, reference, PROCESS, coord, condition, ["a", "a"], config)
    assert bool((ratio != 0).all())
    ratio.sum().backward()
    assert any(p.grad is not None and bool(p.grad.any()) for p in policy.parameters())
    assert all(p.grad is None for p in reference.parameters() if p is not None)
    policy.zero_grad(), reference.zero_grad()


def test_draws_do_not_depend_on_the_batch(nets):
    """The same pair alone, padded, and beside others: the same draws."""
    policy, reference = nets
    config = SurrogateConfig(draws=2)
    with torch.no_grad():
        coord, condition = chains(12, 17, 9)
        many = log_ratio_draws(
            policy, reference, PROCESS, coord, condition, ["a", "b", "c"], config
        )
        alone, own = chains(12)
        one = log_ratio_draws(policy, reference, PROCESS, alone, own, ["a"], config)
    torch.testing.assert_close(many[:1], one, rtol=1e-3, atol=1e-2)


def test_members_of_a_pair_share_time_and_noise():
    coord, condition = chains(12, 12, 12)
    noisy = noisy_draw(PROCESS, coord, condition.mask, ["a", "a", "b"], 0)
    assert float(noisy.t[0]) == float(noisy.t[1]) != float(noisy.t[2])
    alpha = PROCESS.level(noisy.t).alpha[:, None, None]
    eps = noisy.trans_t - alpha * noisy.trans
    torch.testing.assert_close(eps[0], eps[1], rtol=1e-3, atol=1e-3)
    assert float((eps[0] - eps[2]).abs().max()) > 1.0
    turn = noisy.rot.transpose(-1, -2) @ noisy.rot_t  # body frame
    torch.testing.assert_close(turn[0], turn[1], rtol=1e-3, atol=1e-3)
    again = noisy_draw(PROCESS, coord, condition.mask, ["a", "a", "b"], 1)
    assert float(again.t[0]) != float(noisy.t[0])


def test_the_loss_is_that_of_training(nets):
    """Equal times and noise: the two frame terms of the training objective, weighted alike."""
    _, reference = nets
    coord, condition = chains(12)
    noisy = noisy_draw(PROCESS, coord, condition.mask, ["a"], 0)
    with torch.no_grad():
        found = denoising_error(reference, PROCESS, noisy, condition, SurrogateConfig())

        class Fixed(FrameProcess):
            def corrupt(self, *_):
                return noisy.rot_t, noisy.trans_t

        training = denoising_losses(
            reference, Fixed(PROCESS.config), coord, condition, noisy.t,
            torch.Generator(), LossWeights(), self_condition=False,
        )  # fmt: skip
    torch.testing.assert_close(found, training["trans"] + 0.5 * training["rot"])


def test_residue_weights(nets):
    """Constant weights change nothing; weight on one half is that half's own mean."""
    _, reference = nets
    coord, condition = chains(12)
    noisy = noisy_draw(PROCESS, coord, condition.mask, ["a"], 0)
    error = lambda w: denoising_error(  # noqa: E731
        reference, PROCESS, noisy, condition, SurrogateConfig(), w
    )
    with torch.no_grad():
        plain = error(None)
        torch.testing.assert_close(error(torch.full((1, 12), 3.0)), plain)
        half = torch.cat((torch.ones(1, 6), torch.zeros(1, 6)), -1)
        assert float((error(half) - plain).abs()) > 1e-4
        torch.testing.assert_close((error(half) + error(1 - half)) / 2, plain)


def test_late_times_and_linkers_alone(nets):
    """Below start = 1: the same uniform numbers on a shorter range; what has no piece counts."""
    _, reference = nets
    coord, condition = chains(12, 12)
    low = PROCESS.config.t_min
    early = noisy_draw(PROCESS, coord, condition.mask, ["a", "b"], 0)
    late = noisy_draw(PROCESS, coord, condition.mask, ["a", "b"], 0, start=0.3)
    torch.testing.assert_close((late.t - low) / (0.3 - low), (early.t - low) / (1.0 - low))
    piece = condition.piece.clone()
    piece[:, :5] = 0
    condition = replace(condition, piece=piece)
    with torch.no_grad():
        found, everything, weighted = (
            denoising_error(reference, PROCESS, late, condition, SurrogateConfig(start=start), w)
            for start, w in ((0.3, None), (1.0, None), (1.0, (piece < 0).float()))
        )
    torch.testing.assert_close(found, weighted)
    assert bool(((found - everything).abs() > 1e-4).all())


@pytest.mark.parametrize("start", [0.0, 1.5, float("nan")])
def test_a_start_that_is_no_time(start):
    with pytest.raises(UserError, match="more than 0, at most 1"):
        SurrogateConfig(start=start)


def test_a_start_where_noise_has_ended():
    coord, condition = chains(12)
    with pytest.raises(UserError, match=r"surrogate\.start is 0\.01; give more than 0\.02"):
        noisy_draw(PROCESS, coord, condition.mask, ["a"], 0, start=0.01)


def test_a_key_for_every_structure(nets):
    coord, condition = chains(12)
    with pytest.raises(ValueError, match="1 structures but 2 keys"):
        log_ratio_draws(*nets, PROCESS, coord, condition, ["a", "b"], SurrogateConfig())
