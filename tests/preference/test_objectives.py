"""Every objective against numbers worked out by hand, and what all of them must obey."""

import math

import numpy as np
import pytest
import torch
from mpmath import mp, mpf

from proteinweaver.preference.divergences import (
    CHI_SQUARED,
    FORWARD_KL,
    JENSEN_SHANNON,
    REVERSE_KL,
    alpha_divergence,
)
from proteinweaver.preference.games import (
    game_pairs,
    inpo,
    mirror_target,
    optimistic_win_rate,
)
from proteinweaver.preference.pairwise import anchored_dpo, dpo, f_dpo, ipo, rpo, sppo_hard
from proteinweaver.preference.unpaired import (
    clipped_policy_gradient,
    d2o,
    kto,
    plackett_luce,
    raft,
    sppo,
)

GENERATORS = {
    REVERSE_KL: lambda u: u * mp.log(u),
    FORWARD_KL: lambda u: -mp.log(u),
    JENSEN_SHANNON: lambda u: u * mp.log(u) - (1 + u) * mp.log((1 + u) / 2),
    CHI_SQUARED: lambda u: (u - 1) ** 2 / 2 + u * mp.log(u),
    alpha_divergence(0.3): lambda u: (
        (u ** mpf("0.7") - mpf("0.7") * u - mpf("0.3")) / (mpf("0.3") * mpf("-0.7"))
    ),
}
# everything that takes (won, lost)
PAIRED = {
    "dpo": lambda w, x: dpo(w, x, 0.7),
    "smoothed": lambda w, x: dpo(w, x, 0.7, smoothing=0.1),
    "ipo": lambda w, x: ipo(w, x, 0.2),
    "sppo": lambda w, x: sppo_hard(w, x, 4.0),
    "rpo": lambda w, x: rpo(w, x, 0.7, 0.3),
    "anchored": lambda w, x: anchored_dpo(w, x, w + 0.2, x - 0.1, 0.5, 0.3),
    "inpo": lambda w, x: inpo(w, x, 0.3 * torch.ones_like(w), torch.zeros_like(x), 3.0, 0.2),
    "lists": lambda w, x: plackett_luce(torch.stack((w, x), -1), 0.7),
} | {
    f"f-dpo {d.name}": (lambda w, x, d=d: f_dpo(w, x, 0.7, d)) for d in GENERATORS
}  # fmt: skip


def tensor(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


@pytest.mark.parametrize("divergence", GENERATORS, ids=lambda d: d.name)
def test_slopes_are_derivatives_of_convex_generators(divergence):
    """f' by mpmath's differentiation of f; f(1) = 0 and f' increases."""
    f = GENERATORS[divergence]
    assert abs(f(mpf(1))) < 1e-12
    ratios = [-3.0, -0.4, 0.0, 0.9, 2.5]
    found = divergence.slope(tensor(*ratios))
    constant = float(found[2]) - float(mp.diff(f, 1))  # a constant drops out of every pair
    for r, value in zip(ratios, found.tolist(), strict=True):
        assert value == pytest.approx(float(mp.diff(f, mp.exp(r))) + constant, rel=1e-8)
    assert bool((found.diff() > 0).all())


def test_the_alpha_family_ends_in_the_two_kls():
    r = tensor(-2.0, 0.3, 1.5)
    near = alpha_divergence(1e-6).slope(r)
    torch.testing.assert_close(near, REVERSE_KL.slope(r) - 1.0, atol=1e-5, rtol=0)
    far = alpha_divergence(1 - 1e-9).slope(r)
    torch.testing.assert_close(far, FORWARD_KL.slope(r) + 1.0, atol=1e-6, rtol=0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        alpha_divergence(1.0)


def test_pairs_by_hand():
    """TRL's published formulas (sigmoid, ipo, sppo_hard, robust's smoothing), restated."""
    w, x = 0.8, -0.5
    won, lost = tensor(w), tensor(x)
    assert float(dpo(won, lost, 0.1)) == pytest.approx(-math.log(sigmoid(0.1 * 1.3)))
    smooth = -0.8 * math.log(sigmoid(0.13)) - 0.2 * math.log(sigmoid(-0.13))
    assert float(dpo(won, lost, 0.1, 0.2)) == pytest.approx(smooth)
    assert float(ipo(won, lost, 0.25)) == pytest.approx((1.3 - 2.0) ** 2)
    beta = 0.5  # TRL's beta is 1 / eta
    trl = (w - 0.5 / beta) ** 2 + (x + 0.5 / beta) ** 2
    assert float(sppo_hard(won, lost, 1 / beta)) == pytest.approx(trl)
    assert float(rpo(won, lost, 0.1, 0.4)) == pytest.approx(-math.log(sigmoid(0.13)) - 0.32)
    both = anchored_dpo(won, lost, tensor(1.0), tensor(0.5), 0.1, 0.6)
    assert float(both) == pytest.approx(-math.log(sigmoid(0.13 + 0.3)))
    u, v = math.exp(w), math.exp(x)
    assert float(f_dpo(won, lost, 0.1, FORWARD_KL)) == pytest.approx(
        -math.log(sigmoid(0.1 * (1 / v - 1 / u)))
    )
    # TRL: subtracts log(1 + u) - log(1 + v) from the log-ratios
    js = 1.3 - (math.log1p(u) - math.log1p(v))
    assert float(f_dpo(won, lost, 0.1, JENSEN_SHANNON)) == pytest.approx(
        -math.log(sigmoid(0.1 * js))
    )
    # TRL: (v^-a - u^-a) / a
    alpha = (v**-0.3 - u**-0.3) / 0.3
    assert float(f_dpo(won, lost, 0.1, alpha_divergence(0.3))) == pytest.approx(
        -math.log(sigmoid(0.1 * alpha))
    )
    assert float(f_dpo(won, lost, 0.1, REVERSE_KL)) == pytest.approx(float(dpo(won, lost, 0.1)))


def test_single_samples_by_hand():
    ratio = tensor(0.8, -0.5)
    assert sppo(ratio, tensor(0.9, 0.2), 2.0).tolist() == pytest.approx([0.0, 0.1**2])
    found = kto(ratio, torch.tensor([True, False]), 0.3, 0.1, 1.5, 0.5).tolist()
    expected = [1.5 * (1 - sigmoid(0.1 * 0.5)), 0.5 * (1 - sigmoid(0.1 * 0.8))]
    assert found == pytest.approx(expected)
    own = tensor(0.2, 0.4).reshape(1, 2)
    assert float(d2o(own, tensor(-0.5), 0.3, 0.1)) == pytest.approx(
        -math.log(sigmoid(0.3 * 0.3 + 0.1 * 0.5))
    )
    assert raft(ratio).tolist() == [-0.8, 0.5]
    gradient = clipped_policy_gradient(tensor(0.1, 0.5, 0.5, -0.5), tensor(2, 2, -2, 2), 0.2)
    assert gradient.tolist() == pytest.approx(
        [-2 * math.exp(0.1), -2 * 1.2, 2 * math.exp(0.5), -2 * math.exp(-0.5)]
    )


def test_rankings_by_hand():
    """Every ranking of three has the probability of drawing without replacement; they sum to 1."""
    score = [0.9, -0.2, 0.4]
    weight = [math.exp(0.5 * s) for s in score]
    total = 0.0
    for a, b, c in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
        by_hand = weight[a] / sum(weight) * weight[b] / (weight[b] + weight[c])
        found = plackett_luce(tensor(score[a], score[b], score[c])[None], 0.5)
        assert math.exp(-float(found)) == pytest.approx(by_hand)
        total += math.exp(-float(found))
    assert total == pytest.approx(1.0)
    padded = tensor(0.9, -0.2, 0.0, 7.0)[None]
    mask = torch.tensor([[True, True, False, False]])
    short = plackett_luce(tensor(0.9, -0.2)[None], 0.5)
    torch.testing.assert_close(plackett_luce(padded, 0.5, mask), short)


def test_games_by_hand():
    target = mirror_target(tensor(0.7, 0.4), tensor(0.5, -0.5), 2.0, 0.1)
    assert target.tolist() == pytest.approx([2 * (0.2 - 0.05), 2 * (-0.1 + 0.05)])
    loss = game_pairs(tensor(0.3), tensor(-0.2), target[:1], target[1:])
    assert float(loss) == pytest.approx((0.5 - 0.4) ** 2)
    turns = game_pairs(tensor(0.1, 0.2)[None], tensor(-0.4, 0.2)[None], target[:1], target[1:])
    torch.testing.assert_close(turns, loss)
    assert optimistic_win_rate(tensor(0.7), tensor(0.6)).item() == pytest.approx(0.8)
    found = inpo(tensor(0.3), tensor(-0.2), tensor(0.5), tensor(-0.5), 2.0, 0.1)
    assert float(found) == pytest.approx((0.5 + 0.2 - 1.0) ** 2)


@pytest.mark.parametrize("name", PAIRED)
def test_gradients_lift_winners_and_sink_losers(name):
    """At the reference every pairwise objective asks for more of the winner, less of the loser."""
    won, lost = (torch.zeros(3, dtype=torch.float64, requires_grad=True) for _ in range(2))
    up, down = torch.autograd.grad(PAIRED[name](won, lost).sum(), (won, lost))
    assert bool((up < 0).all()), "descent must raise the winner's log-ratio"
    assert bool((down > 0).all()), "descent must lower the loser's log-ratio"


@pytest.mark.parametrize("name", PAIRED)
def test_a_pair_does_not_know_its_batch(name):
    rng = np.random.default_rng(0)
    won, lost = (torch.from_numpy(rng.standard_normal(6)) for _ in range(2))
    whole = PAIRED[name](won, lost)
    assert whole.shape == (6,)
    alone = torch.cat([PAIRED[name](won[k : k + 1], lost[k : k + 1]) for k in range(6)])
    torch.testing.assert_close(whole, alone, rtol=1e-14, atol=1e-14)
    order = torch.tensor([3, 1, 5, 0, 4, 2])
    torch.testing.assert_close(PAIRED[name](won[order], lost[order]), whole[order])
    for far in (60.0, -60.0):  # a runaway ratio costs much, never nan
        value = torch.tensor([far], dtype=torch.float64, requires_grad=True)
        loss = PAIRED[name](value, -value)
        assert bool(torch.isfinite(loss).all())
        (slope,) = torch.autograd.grad(loss.sum(), value)
        assert bool(torch.isfinite(slope).all())


def test_single_samples_do_not_know_their_batch_and_have_the_right_signs():
    ratio = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    label = torch.tensor([True, False, True, False])
    rate = tensor(0.9, 0.1, 0.8, 0.3)
    own = torch.zeros(4, 3, dtype=torch.float64)
    losses = {
        "sppo": sppo(ratio, rate, 3.0),
        "kto": kto(ratio, label, 0.0, 0.5),
        "policy gradient": clipped_policy_gradient(ratio, rate - 0.5),
    }
    for name, loss in losses.items():
        (slope,) = torch.autograd.grad(loss.sum(), ratio)
        assert ((slope < 0) == label).all(), name
    (slope,) = torch.autograd.grad(d2o(own, ratio, 0.1, 0.3).sum(), ratio)
    assert bool((slope > 0).all())
    far = tensor(0.3, -0.1, 2.0, 0.5)
    whole, alone = kto(far, label, 0.2, 0.5), [kto(far[k], label[k], 0.2, 0.5) for k in range(4)]
    torch.testing.assert_close(whole, torch.stack(alone))


def test_the_zero_point_of_kto_has_no_gradient():
    ratio, kl = (torch.full((2,), 0.4, dtype=torch.float64, requires_grad=True) for _ in range(2))
    loss = kto(ratio, torch.tensor([True, False]), kl, 0.5).sum()
    assert torch.autograd.grad(loss, kl, allow_unused=True)[0] is None
