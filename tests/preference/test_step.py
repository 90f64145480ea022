"""A step of alignment on a small denoiser; soups of weights."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import logsigmoid

from proteinweaver.diffusion.process import FrameProcess, ProcessConfig
from proteinweaver.errors import UserError
from proteinweaver.generation.condition import Piece, condition_for
from proteinweaver.nets.denoiser import Denoiser, DenoiserConfig
from proteinweaver.preference.mixing import interpolated, soup
from proteinweaver.preference.named import (
    DRIFTING,
    LISTWISE,
    OBJECTIVES,
    ObjectiveConfig,
    named_objective,
)
from proteinweaver.preference.pair_file import Members
from proteinweaver.preference.pairwise import dpo
from proteinweaver.preference.step import alignment_loss, members_condition, ranking_batch
from proteinweaver.preference.surrogate import SurrogateConfig
from proteinweaver.structure.ideal import ideal_element

PROCESS = FrameProcess(ProcessConfig())
CONFIG = SurrogateConfig(draws=2, strength=10.0)
RATES = [(1.0, 0.0)] * 2


def members(first: int, linker: int, second: int, mode="adapt") -> Members:
    """A long helix wins over the same domains bent apart."""
    length = first + linker + second
    won = ideal_element("H", length).numpy().astype(np.float32)
    won -= won[:, 1].mean(0)
    lost = won.copy()
    lost[first + linker :] += np.float32([6.0, 4.0, 0.0])
    lost -= lost[:, 1].mean(0)
    domain = np.array([1] * first + [0] * linker + [2] * second, np.int16)
    inputs = np.where(domain[:, None, None] > 0, won, np.nan).astype(np.float32)
    return Members(np.stack([won, lost]), domain, inputs, {1: mode, 2: "adapt"})


@pytest.fixture
def nets() -> tuple[Denoiser, Denoiser]:
    torch.manual_seed(0)
    reference = Denoiser(DenoiserConfig(width=16, edge_width=8, heads=2, blocks=1))
    return copy.deepcopy(reference), reference


def test_conditions_are_those_of_generation():
    """The same pieces, modes and insides as when a design is made."""
    for mode in ("adapt", "rigid", "free"):
        pair = members(8, 3, 7, mode)
        pieces = [Piece(0, pair.inputs[:8], mode), Piece(11, pair.inputs[11:], "adapt")]
        truth, found = condition_for(18, pieces), members_condition(pair)
        for name in ("mask", "index", "ss", "piece", "mode", "known_rot", "known_trans"):
            torch.testing.assert_close(getattr(found, name), getattr(truth, name))


@pytest.mark.parametrize("name", ["sppo", "dpo", "kto", "raft"])
def test_a_few_steps_separate_winner_and_loser(nets, name):
    policy, reference = nets
    batch = ranking_batch([members(8, 3, 7)], ["a"], [1.0], [(0.9, 0.2)])
    objective = named_objective(ObjectiveConfig(name))
    optimizer = torch.optim.Adam(policy.parameters(), lr=1e-3)
    first = None
    for _ in range(3):
        loss, figures = alignment_loss(policy, reference, PROCESS, batch, objective, CONFIG)
        first = first or figures
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert (first["won"], first["lost"], first["variance"]) == (0.0, 0.0, 0.0)
    if name == "raft":
        assert figures["won"] > 0
    else:
        assert figures["won"] > figures["lost"] and figures["accuracy"] == 1.0
    assert figures["variance"] > 0
    assert figures["kl"] == pytest.approx(-(figures["won"] + figures["lost"]) / 2, abs=1e-5)


def test_a_pair_has_the_same_gradient_in_any_batch(nets):
    policy, reference = nets
    with torch.no_grad():
        for p in policy.parameters():
            p.add_(0.02 * torch.randn_like(p))
    pairs = [members(8, 3, 7), members(6, 2, 6)]
    objective = named_objective(ObjectiveConfig("dpo"))

    def slope(chosen: list[int], weights: list[float]) -> torch.Tensor:
        batch = ranking_batch(
            [pairs[k] for k in chosen], [f"k{k}" for k in chosen], weights, RATES[: len(chosen)]
        )
        loss, _ = alignment_loss(policy, reference, PROCESS, batch, objective, CONFIG)
        slopes = torch.autograd.grad(loss, list(policy.parameters()), allow_unused=True)
        return torch.cat([g.flatten() for g in slopes if g is not None])

    together = slope([0, 1], [1.0, 0.4])
    apart = (slope([0], [1.0]) + slope([1], [0.4])) / 2
    torch.testing.assert_close(together, apart, rtol=1e-2, atol=2e-3 * float(apart.abs().max()))


def test_held_members_are_told_in_their_own_poses(nets):
    """Below start = 1 winner and loser are one body each, as both were assembled."""
    policy, reference = nets
    pair = members(8, 3, 7)
    batch = ranking_batch([pair], ["a"], [1.0], [(1.0, 0.0)])
    objective, told = named_objective(ObjectiveConfig("dpo")), []
    reference.register_forward_pre_hook(lambda _, args: told.append(args[3]))
    for start, poses in ((1.0, False), (0.3, True)):
        told.clear()
        alignment_loss(
            policy, reference, PROCESS, batch, objective, replace(CONFIG, start=start)
        )  # fmt: skip
        assert len(told) == CONFIG.draws
        has = torch.from_numpy(pair.domain > 0)
        for row, design in enumerate(pair.ranked):
            piece, known = told[0].piece[row], told[0].known_trans[row]
            assert bool((piece[~has] == -1).all())
            assert piece[has].unique().tolist() == ([0] if poses else [0, 1])
            if poses:
                truth = torch.from_numpy(design[:, 1])
                torch.testing.assert_close(
                    torch.cdist(known[has], known[has]), torch.cdist(truth[has], truth[has])
                )


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (ObjectiveConfig("dpoo"), "did you mean 'dpo'"),
        (ObjectiveConfig("dpo", beta=0.0), "beta is 0.0"),
        (ObjectiveConfig("alpha", alpha=1.0), "between 0 and 1"),
    ],
)
def test_objectives_that_make_no_sense(config, text):
    with pytest.raises(UserError, match=text):
        named_objective(config)


def losses(config: ObjectiveConfig, ratios, rates, drift=None) -> torch.Tensor:
    ratios, rates = torch.as_tensor(ratios), torch.as_tensor(rates)
    drift = torch.zeros_like(ratios) if drift is None else torch.as_tensor(drift)
    return named_objective(config)(ratios, drift, rates)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_every_named_objective_lifts_the_winner(name):
    ratios = torch.zeros(2, 2, requires_grad=True)
    loss = losses(ObjectiveConfig(name), ratios, [[0.9, 0.2], [0.6, 0.4]])
    (slope,) = torch.autograd.grad(loss.sum(), ratios)
    assert bool((slope[:, 0] < 0).all())
    assert bool((slope[:, 1] > 0).all()) or name == "raft"


@pytest.mark.parametrize("name", sorted(LISTWISE))
def test_lists_lift_the_best_and_push_the_worst(name):
    ratios = torch.zeros(1, 4, requires_grad=True)
    loss = losses(ObjectiveConfig(name), ratios, [[0.9, 0.7, 0.3, 0.1]])
    (slope,) = torch.autograd.grad(loss.sum(), ratios)
    assert float(slope[0, 0]) < 0 and float(slope[0, -1]) >= 0
    assert float(slope[0, -1]) > 0 or name == "raft"


def test_named_objectives_pass_their_settings_on():
    ratios, rates = [[0.4, -0.2]], [[1.0, 0.0]]
    won, lost = torch.tensor([0.4]), torch.tensor([-0.2])
    config = ObjectiveConfig("dpo", beta=0.3, smoothing=0.1)
    torch.testing.assert_close(losses(config, ratios, rates), dpo(won, lost, 0.3, 0.1))
    far = losses(replace(config, name="sppo", eta=5.0), ratios, rates)
    torch.testing.assert_close(far, (won - 2.5) ** 2 + (lost + 2.5) ** 2)
    rated = replace(config, name="sppo-rate", eta=5.0)
    torch.testing.assert_close(losses(rated, ratios, rates), far)  # sure wins are hard labels
    close = losses(rated, ratios, [[0.6, 0.5]])
    torch.testing.assert_close(close, (won - 0.5) ** 2 + lost**2)
    held_off = losses(ObjectiveConfig("d2o", beta=0.5, push=2.0), ratios, rates)
    torch.testing.assert_close(held_off, -logsigmoid(0.5 * (won + lost) / 2 - 2.0 * lost))
    ranked = losses(ObjectiveConfig("plackett-luce", beta=0.3), ratios, rates)
    torch.testing.assert_close(ranked, dpo(won, lost, 0.3))
    climbed = losses(ObjectiveConfig("policy-gradient", clip=0.1), ratios, rates)
    torch.testing.assert_close(
        climbed, -0.5 * torch.tensor([1.1]) + 0.5 * lost.clamp_min(-0.2).exp().clamp_min(0.9)
    )


def test_objectives_of_later_rounds_look_at_the_first_reference():
    ratios, rates, drift = [[0.4, -0.2]], [[0.8, 0.3]], [[0.5, 0.1]]
    won, lost = torch.tensor([0.4]), torch.tensor([-0.2])
    for name in OBJECTIVES:
        config = ObjectiveConfig(name, tau=0.5)
        same = torch.equal(losses(config, ratios, rates), losses(config, ratios, rates, drift))
        assert same == (name not in DRIFTING)
    config = ObjectiveConfig("anchored-dpo", beta=0.3, anchor=0.2)
    truth = -logsigmoid(0.3 * 0.6 + torch.tensor([0.2 * 1.0]))
    torch.testing.assert_close(losses(config, ratios, rates, drift), truth)
    config = ObjectiveConfig("game", eta=2.0, tau=0.5)
    truth = (won - lost - 2.0 * (0.5 - 0.5 * 0.4)) ** 2
    torch.testing.assert_close(losses(config, ratios, rates, drift), truth)
    truth = (won - lost + 2.0 * 0.5 * 0.4 - 1.0) ** 2
    torch.testing.assert_close(losses(replace(config, name="inpo"), ratios, rates, drift), truth)


def test_a_step_tells_how_far_the_reference_has_come(nets):
    """The policy of the round lies where the reference does; the first reference does not."""
    policy, first = nets
    reference = copy.deepcopy(policy)
    with torch.no_grad():
        for p in reference.parameters():
            p.add_(0.05 * torch.randn_like(p))
    policy.load_state_dict(reference.state_dict())
    batch = ranking_batch([members(8, 3, 7)], ["a"], [1.0], [(1.0, 0.0)])
    seen = []

    def objective(ratios, drift, rates):
        seen.append(drift.detach())
        return (ratios[:, 0] - ratios[:, 1] + drift[:, 0]) ** 2

    alignment_loss(policy, reference, PROCESS, batch, objective, CONFIG)
    assert all(bool((d == 0).all()) for d in seen)
    seen.clear()
    alignment_loss(policy, reference, PROCESS, batch, objective, CONFIG, first)
    own, _ = alignment_loss(
        reference, first, PROCESS, batch, lambda r, d, w: r.sum(-1), CONFIG
    )  # the same draws
    torch.testing.assert_close(seen[-1].sum(), own)


def test_residues_that_count_nothing_teach_nothing(nets):
    """With all weight on one domain, moving the other changes no gradient."""
    policy, reference = nets
    with torch.no_grad():
        for p in policy.parameters():
            p.add_(0.02 * torch.randn_like(p))
    pair = members(8, 3, 7)
    objective = named_objective(ObjectiveConfig("raft"))
    found = []
    for weight in (None, np.ones((2, 18)), np.r_[np.ones(9), np.zeros(9)] * np.ones((2, 1))):
        told = None if weight is None else [weight.astype(np.float32)]
        batch = ranking_batch([pair], ["a"], [1.0], [(1.0, 0.0)], told)
        loss, _ = alignment_loss(policy, reference, PROCESS, batch, objective, CONFIG)
        found.append(float(loss.detach()))
    assert found[0] == pytest.approx(found[1], rel=1e-5)
    assert abs(found[2] - found[0]) > 1e-3 * abs(found[0])


def test_soups_and_lines(nets):
    policy, reference = nets
    with torch.no_grad():
        for p in policy.parameters():
            p.add_(1.0)
    base, aligned = reference.state_dict(), policy.state_dict()
    name = next(iter(dict(reference.named_parameters())))
    for share in (0.0, 0.25, 1.0, 1.25):
        found = interpolated(base, aligned, share)
        torch.testing.assert_close(found[name], base[name] + share * (aligned[name] - base[name]))
    torch.testing.assert_close(soup([base, aligned])[name], base[name] + 0.5)
    policy.load_state_dict(interpolated(base, aligned, 0.5))
    with pytest.raises(ValueError, match="sum to 1"):
        soup([base, aligned], [0.5, 0.6])
    with pytest.raises(ValueError, match="architectures"):
        soup([base, {name: aligned[name]}])
