"""On a finite set of outcomes every objective reaches its own population minimiser.

The objectives are minimised over softmax policies with exact expectations; the truth is a closed
form, or scipy's minimum of a formula written a second time, in numpy, in terms of probabilities.
"""

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.optimize import brentq, minimize, root
from scipy.special import lambertw

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
from proteinweaver.preference.unpaired import d2o, kto, plackett_luce, raft, sppo

REF = np.array([0.35, 0.25, 0.2, 0.15, 0.05])
REWARD = np.array([0.3, 1.2, -0.4, 0.9, 1.6])
BRADLEY_TERRY = 1 / (1 + np.exp(REWARD[None] - REWARD[:, None]))  # P(row beats column)
FIRST, SECOND = (torch.from_numpy(k) for k in np.nonzero(~np.eye(5, dtype=bool)))

#: A preference that runs in a circle, and not evenly; outcome 3 is a bystander.
CIRCLE = np.array(
    [[0.5, 0.9, 0.25, 0.6], [0.1, 0.5, 0.95, 0.6], [0.75, 0.05, 0.5, 0.6], [0.4, 0.4, 0.4, 0.5]]
)
CIRCLE_REF = np.array([0.5, 0.2, 0.2, 0.1])
TAU = 0.15


def fitted(expected_loss: Callable[[torch.Tensor], torch.Tensor], ref: np.ndarray) -> np.ndarray:
    """Minimise an expected loss over softmax policies; it is shown log pi / ref."""
    base = torch.from_numpy(np.log(ref))

    def value(logits: np.ndarray) -> tuple[float, np.ndarray]:
        x = torch.from_numpy(logits).requires_grad_()
        loss = expected_loss(torch.log_softmax(x, 0) - base)
        (slope,) = torch.autograd.grad(loss, x)
        return float(loss.detach()), slope.numpy()

    found = minimize(value, np.log(ref), jac=True, method="BFGS", options={"gtol": 1e-11})
    return softmax(found.x)


def softmax(x: np.ndarray) -> np.ndarray:
    p = np.exp(x - x.max())
    return p / p.sum()


def tv(p: np.ndarray, q: np.ndarray) -> float:
    return 0.5 * float(np.abs(p - q).sum())


def over_pairs(
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], prefer: np.ndarray, law: np.ndarray
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Expectation of a pairwise loss over members drawn from ``law``; the oracle is random."""
    first, second = (torch.from_numpy(k) for k in np.nonzero(~np.eye(len(law), dtype=bool)))
    weight = torch.from_numpy(np.outer(law, law) * prefer)[first, second]
    return lambda r: (weight * loss(r[first], r[second])).sum()


def numpy_minimum(loss: Callable[[np.ndarray], float], start: np.ndarray) -> np.ndarray:
    """Minimum over the simplex without derivatives."""
    options = {"xatol": 1e-9, "fatol": 1e-14, "maxfev": 20000, "adaptive": True}
    best = minimize(
        lambda x: loss(softmax(x)), np.log(start), method="Nelder-Mead", options=options
    )
    return softmax(best.x)


def tilted(ref: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    return softmax(np.log(ref) + exponent)


@pytest.mark.parametrize("beta", [0.5, 2.0])
def test_dpo_tilts_the_reference_by_the_reward(beta):
    found = fitted(over_pairs(lambda w, x: dpo(w, x, beta), BRADLEY_TERRY, REF), REF)
    assert tv(found, tilted(REF, REWARD / beta)) < 1e-6

    def ranked(r: torch.Tensor) -> torch.Tensor:  # by Plackett and Luce, the same reward
        orders = list(permutations(range(5)))
        strength = np.exp(REWARD)
        chance = [
            np.prod([strength[o[j]] / strength[list(o[j:])].sum() for j in range(5)])
            for o in orders
        ]
        losses = plackett_luce(r[torch.tensor(orders)], beta)
        return (torch.tensor(chance) * losses).sum()

    assert tv(fitted(ranked, REF), tilted(REF, REWARD / beta)) < 1e-6


@pytest.mark.parametrize(
    ("divergence", "inverse"),
    [
        (REVERSE_KL, lambda y: np.exp(y - 1)),
        (FORWARD_KL, lambda y: -1 / y),
        (JENSEN_SHANNON, lambda y: 1 / (2 * np.exp(-y) - 1)),
        (alpha_divergence(0.5), lambda y: (1 - 0.5 * y) ** (-2)),
        (CHI_SQUARED, lambda y: np.real(lambertw(np.exp(y)))),
    ],
    ids=lambda x: getattr(x, "name", ""),
)
def test_f_dpo_maximises_the_reward_less_its_divergence(divergence, inverse):
    """pi = ref (f')^-1((R - c) / beta), with c from the normalisation (Wang et al., theorem 1)."""
    beta = 1.5
    found = fitted(over_pairs(lambda w, x: f_dpo(w, x, beta, divergence), BRADLEY_TERRY, REF), REF)
    slope = REWARD - beta * divergence.slope(torch.from_numpy(np.log(found / REF))).numpy()
    assert np.ptp(slope) < 1e-5  # stationary for E R - beta D_f

    def mass(c: float) -> float:
        return float((REF * inverse((REWARD - c) / beta)).sum() - 1)

    low = {  # where the inverse is defined, from the domain of f'
        "forward-kl": REWARD.max() + 1e-9,
        "jensen-shannon": REWARD.max() - beta * np.log(2) + 1e-9,
        "alpha-0.5": REWARD.max() - 2 * beta + 1e-6,
    }.get(divergence.name, -30.0)
    truth = REF * inverse((REWARD - brentq(mass, low, 40.0, xtol=1e-14)) / beta)
    assert truth.sum() == pytest.approx(1.0)
    assert tv(found, truth) < 1e-6


def test_ipo_tilts_by_the_win_rate_even_where_preferences_are_certain():
    tau = 0.8
    sure = (REWARD[:, None] > REWARD[None]) + 0.5 * np.eye(5)
    found = fitted(over_pairs(lambda w, x: ipo(w, x, tau), sure, REF), REF)
    # pairs of equal outcomes carry no gradient but take part in the closed form
    first, second = np.nonzero(~np.eye(5, dtype=bool))
    a, b = [], []
    for i, j in zip(first, second, strict=True):  # weighted least squares, by hand
        weight = np.sqrt(REF[i] * REF[j])
        a.append(weight * (np.eye(5)[i] - np.eye(5)[j]))
        b.append(weight * (2 * sure[i, j] - 1) / (2 * tau))
    exponent = np.linalg.lstsq(np.array(a), np.array(b), rcond=None)[0]
    assert tv(found, tilted(REF, exponent)) < 1e-6
    assert tv(found, tilted(REF, sure @ REF / tau)) < 1e-6
    assert found.min() > 1e-3


@pytest.mark.parametrize("hard", [True, False])
def test_sppo_is_the_multiplicative_step_up_to_its_normaliser(hard):
    """min E (r - a)^2 with E e^r = 1: r = a - W(l e^a), l from the normalisation."""
    eta = 1.2
    rate = BRADLEY_TERRY @ REF
    if hard:
        loss = over_pairs(lambda w, x: sppo_hard(w, x, eta), BRADLEY_TERRY, REF)

        def expected(r: torch.Tensor) -> torch.Tensor:  # a tie with itself wins half
            same = (torch.from_numpy(REF**2) * 0.5 * sppo_hard(r, r, eta)).sum()
            return loss(r) + same

    else:

        def expected(r: torch.Tensor) -> torch.Tensor:
            return (torch.from_numpy(REF) * sppo(r, torch.from_numpy(rate), eta)).sum()

    goal = eta * (rate - 0.5)
    ratio = lambda c: goal - np.real(lambertw(c * np.exp(goal)))  # noqa: E731
    c = brentq(lambda c: float((REF * np.exp(ratio(c))).sum() - 1), -0.2, 5.0, xtol=1e-14)
    found = fitted(expected, REF)
    assert tv(found, REF * np.exp(ratio(c))) < 1e-6
    assert tv(found, tilted(REF, goal)) < 0.01  # what the step stands for


def test_rpo_holds_winners_up():
    beta, alpha = 1.0, 0.4
    found = fitted(over_pairs(lambda w, x: rpo(w, x, beta, alpha), BRADLEY_TERRY, REF), REF)

    def by_hand(p: np.ndarray) -> float:
        r = np.log(p / REF)
        total = 0.0
        for i in range(5):
            for j in range(5):
                if i != j:
                    each = np.log1p(np.exp(-beta * (r[i] - r[j]))) - alpha * r[i]
                    total += REF[i] * REF[j] * BRADLEY_TERRY[i, j] * each
        return total

    assert tv(found, numpy_minimum(by_hand, REF)) < 1e-4
    assert tv(found, tilted(REF, REWARD / beta)) > 0.01  # it is not DPO


def test_d2o_leaves_what_is_disliked():
    """The bad sample is outcome 2 or 0; own samples come from the reference, two at a time."""
    beta, alpha, bad = 1.0, 0.5, np.array([0.3, 0.0, 0.7, 0.0, 0.0])
    pairs = torch.cartesian_prod(torch.arange(5), torch.arange(5))
    weight = torch.from_numpy(REF)[pairs].prod(1)

    def expected(r: torch.Tensor) -> torch.Tensor:
        each = [
            bad[k] * (weight * d2o(r[pairs], r[k].expand(25), beta, alpha)).sum() for k in (0, 2)
        ]
        return each[0] + each[1]

    def by_hand(p: np.ndarray) -> float:
        r = np.log(p / REF)
        total = 0.0
        for k in (0, 2):
            for i in range(5):
                for j in range(5):
                    logit = beta * (r[i] + r[j]) / 2 - alpha * r[k]
                    total += bad[k] * REF[i] * REF[j] * np.log1p(np.exp(-logit))
        return total

    found = fitted(expected, REF)
    assert tv(found, numpy_minimum(by_hand, REF)) < 1e-4
    assert found[2] < 0.7 * REF[2]
    assert (found[[1, 3, 4]] > REF[[1, 3, 4]]).all()


def test_kto_finds_the_maximum_of_its_value():
    """Desirable with chance d, zero point fixed: compare with the same value, by hand."""
    beta, kl = 0.8, 0.1
    wish = torch.from_numpy(1 / (1 + np.exp(-REWARD)))
    yes, no = torch.ones(5, dtype=torch.bool), torch.zeros(5, dtype=torch.bool)

    def expected(r: torch.Tensor) -> torch.Tensor:
        both = wish * kto(r, yes, kl, beta) + (1 - wish) * kto(r, no, kl, beta, 1.0, 1.5)
        return (torch.from_numpy(REF) * both).sum()

    def by_hand(p: np.ndarray) -> float:
        s = 1 / (1 + np.exp(-beta * (np.log(p / REF) - kl)))
        d = wish.numpy()
        return float((REF * (d * (1 - s) + 1.5 * (1 - d) * s)).sum())

    found, truth = fitted(expected, REF), numpy_minimum(by_hand, REF)
    assert by_hand(found) == pytest.approx(by_hand(truth), abs=1e-5)
    assert tv(found, truth) < 0.01  # what is disliked goes to zero, slowly


def test_raft_becomes_the_best_of_k():
    """The law of the best of 3 draws, by counting; and, told the class, the law of each class."""
    order = np.argsort(REWARD)
    below = np.cumsum(REF[order])
    best = np.empty(5)
    best[order] = np.diff(np.concatenate(([0.0], below**3)))
    found = fitted(lambda r: (torch.from_numpy(best) * raft(r)).sum(), REF)
    assert tv(found, best) < 1e-6
    good = REWARD > 0.5
    for told in (good, ~good):
        law = np.where(told, REF, 0.0)
        found = fitted(lambda r, law=law: (torch.from_numpy(law) * raft(r)).sum(), REF)
        assert tv(found, law / law.sum()) < 1e-4


def test_anchored_dpo_is_held_by_both_references():
    beta, anchor = 0.6, 0.3
    now = tilted(REF, 0.4 * REWARD)
    shift = torch.from_numpy(np.log(now / REF))
    i, j = FIRST, SECOND
    weight = torch.from_numpy(np.outer(now, now) * BRADLEY_TERRY)[i, j]

    def expected(r: torch.Tensor) -> torch.Tensor:
        first = r + shift
        return (weight * anchored_dpo(r[i], r[j], first[i], first[j], beta, anchor)).sum()

    exponent = (beta * np.log(now) + anchor * np.log(REF) + REWARD) / (beta + anchor)
    assert tv(fitted(expected, now), softmax(exponent)) < 1e-6
    # rounds of iterative DPO against the first reference never leave its optimum
    again = fitted(over_pairs(lambda w, x: dpo(w, x, 0.9), BRADLEY_TERRY, now), REF)
    assert tv(again, tilted(REF, REWARD / 0.9)) < 1e-6


@pytest.fixture(scope="module")
def nash() -> np.ndarray:
    """The regularised Nash point, by Newton's method on its fixed-point equation."""

    def off(x: np.ndarray) -> np.ndarray:
        p = softmax(x)
        return np.log(p) - np.log(tilted(CIRCLE_REF, CIRCLE @ p / TAU))

    found = root(off, np.log(CIRCLE_REF), tol=1e-13)
    assert found.success
    p = softmax(found.x)
    grid = np.random.default_rng(0).dirichlet(np.ones(4), 2000)  # nobody gains by deviating

    def payoff(mu: np.ndarray) -> np.ndarray:
        kl = (mu * np.log(np.maximum(mu, 1e-300) / CIRCLE_REF)).sum(-1)
        return mu @ CIRCLE @ p - TAU * kl

    assert payoff(grid).max() <= payoff(p) + 1e-9
    return p


def step(now: np.ndarray, rate: np.ndarray, eta: float) -> np.ndarray:
    """Minimise `game_pairs` over all pairs of the current policy."""
    drift = torch.from_numpy(np.log(now / CIRCLE_REF))
    target = mirror_target(torch.from_numpy(rate), drift, eta, TAU)
    every = torch.cartesian_prod(torch.arange(4), torch.arange(4))
    weight = torch.from_numpy(np.outer(now, now)).reshape(-1)
    i, j = every.T
    return fitted(lambda r: (weight * game_pairs(r[i], r[j], target[i], target[j])).sum(), now)


def test_dpo_misses_the_nash_point_of_a_circular_preference(nash):
    """Both optima solved numerically: at least 0.1 apart; DPO finds its own."""

    def by_hand(p: np.ndarray) -> float:
        r = np.log(p / CIRCLE_REF)
        gap = TAU * (r[:, None] - r[None])
        return float((np.outer(CIRCLE_REF, CIRCLE_REF) * CIRCLE * np.log1p(np.exp(-gap))).sum())

    truth = numpy_minimum(by_hand, CIRCLE_REF)
    assert tv(truth, nash) > 0.1
    found = fitted(over_pairs(lambda w, x: dpo(w, x, TAU), CIRCLE, CIRCLE_REF), CIRCLE_REF)
    assert tv(found, truth) < 1e-3
    assert tv(found, nash) > 0.1


@pytest.mark.parametrize("method", ["mirror", "prox", "optimistic", "hard labels"])
def test_games_reach_the_nash_point(nash, method):
    eta, now = 2.0, CIRCLE_REF
    before = CIRCLE @ now
    for _ in range(24):
        rate = CIRCLE @ now
        if method == "prox":
            ahead = step(now, rate, eta)
            rate = CIRCLE @ ahead
        if method == "optimistic":
            pair = torch.from_numpy(rate), torch.from_numpy(before)
            rate, before = optimistic_win_rate(*pair).numpy(), rate
        if method == "hard labels":
            drift = torch.from_numpy(np.log(now / CIRCLE_REF))
            i, j = torch.cartesian_prod(torch.arange(4), torch.arange(4)).T
            weight = torch.from_numpy(np.outer(now, now) * CIRCLE).reshape(-1)

            def expected(r, i=i, j=j, weight=weight, drift=drift):
                return (weight * inpo(r[i], r[j], drift[i], drift[j], eta, TAU)).sum()

            now = fitted(expected, now)
        else:
            now = step(now, rate, eta)
    assert tv(now, nash) < 2e-3


def test_a_regularised_step_is_the_mirror_step(nash):
    """game_pairs has the closed form of mirror descent as its exact minimiser."""
    now = np.array([0.1, 0.4, 0.3, 0.2])
    rate = CIRCLE @ now
    closed = softmax(np.log(now) + 2.0 * (rate - TAU * np.log(now / CIRCLE_REF)))
    assert tv(step(now, rate, 2.0), closed) < 1e-6
    assert tv(step(nash, CIRCLE @ nash, 2.0), nash) < 1e-6  # a Nash point does not move
