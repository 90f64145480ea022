"""A diffusion whose scores, likelihoods and surrogate are all known in closed form.

Data N(m, 1) in one dimension, noise x + rho e; the denoiser of N(m, 1) at level rho is exact. The
likelihood's weight makes the surrogate of policy m against reference 0 an unbiased estimate of
log N(x; m, 1) / N(x; 0, 1) = m x - m^2 / 2 (I-MMSE: Guo, Shamai & Verdu 2005): with
c(rho) = rho^2 / (1 + rho^2) and levels drawn so that c(rho) is uniform, one draw is

    m x - m^2 / 2 - m e / rho,    of variance m^2 E[1 / rho^2].
"""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.optimize import brentq

from proteinweaver.preference.draws import (
    plug_in_loss,
    product_loss,
    product_square,
    variance_of_mean,
)
from proteinweaver.preference.pairwise import dpo, sppo_hard
from proteinweaver.preference.unpaired import plackett_luce

LOW, HIGH = 0.05, 0.999  # of c(rho): levels from 0.23 to 32
MASS = HIGH - LOW  # the levels left out take their share of the log-ratio with them
NOISE = (math.log(HIGH / LOW) - MASS) / MASS  # E[1 / rho^2] = E[1 / c] - 1


def surrogate(
    m: torch.Tensor, x: torch.Tensor, draws: int, generator: torch.Generator
) -> torch.Tensor:
    """Draws of the log-ratio at ``x``, shape (n, draws), by squared denoising errors alone."""
    shape = (len(x), draws)
    c = LOW + MASS * torch.rand(shape, generator=generator, dtype=torch.float64)
    e = torch.randn(shape, generator=generator, dtype=torch.float64)
    rho = (c / (1 - c)).sqrt()
    noisy = x[:, None] + rho * e

    def error(mean: torch.Tensor) -> torch.Tensor:
        return ((noisy + rho**2 * mean) / (1 + rho**2) - x[:, None]).square()

    # -1/2 dSNR / drho = rho^-3, over the density dc / drho / MASS of the levels
    weight = MASS * rho**-3 / (2 * rho / (1 + rho**2) ** 2)
    return weight * (error(torch.zeros_like(m)) - error(m))


def exact(m: float, x: torch.Tensor) -> torch.Tensor:
    return MASS * (m * x - m**2 / 2)


def test_the_surrogate_is_unbiased_with_the_predicted_variance():
    integral, _ = quad(lambda c: (1 / c - 1) / MASS, LOW, HIGH)
    assert integral == pytest.approx(NOISE)
    x = torch.full((20000,), 0.7, dtype=torch.float64)
    draws = surrogate(
        torch.tensor(1.3, dtype=torch.float64), x, 4, torch.Generator().manual_seed(0)
    )
    error = float(draws.mean() - exact(1.3, x[:1]))
    assert abs(error) < 4 * float(draws.std()) / math.sqrt(draws.numel())
    predicted = (MASS * 1.3) ** 2 * NOISE
    assert float(draws.var()) == pytest.approx(predicted, rel=0.1)
    assert float(variance_of_mean(draws).mean()) == pytest.approx(predicted / 4, rel=0.1)


def minimiser(loss, draws: int) -> float:
    """Root in m of the gradient of the mean loss, common random numbers, x from the reference."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(25000, generator=generator, dtype=torch.float64)
    state = generator.get_state()

    def slope(m: float) -> float:
        generator.set_state(state)
        policy = torch.tensor(m, dtype=torch.float64, requires_grad=True)
        value = loss(surrogate(policy, x, draws, generator), x).mean()
        return float(torch.autograd.grad(value, policy)[0])

    return brentq(slope, 0.0, 2.0, xtol=1e-4)


@pytest.mark.parametrize("draws", [3])
def test_variance_pulls_to_the_reference_and_the_product_does_not(draws):
    """Regress r(x) on 1.2 x: three minimisers, two of them by a cubic.

    E (r - k x)^2 = (M m - k)^2 + M^2 m^4 / 4, and the plug-in loss adds M^2 m^2 NOISE / K.
    """
    k = 1.2

    def cubic(extra: float) -> float:
        return brentq(lambda m: 2 * (MASS * m - k) + MASS * (m**3 + 2 * extra * m), 0.0, 3.0)

    truth, pulled = cubic(0.0), cubic(NOISE / draws)
    assert pulled < 0.9 * truth  # a hidden pull worth fearing
    plug_in = minimiser(lambda r, x: plug_in_loss(lambda q: (q - k * x).square(), r), draws)
    product = minimiser(lambda r, x: product_loss(lambda q: (q - k * x).square(), r), draws)
    squared = minimiser(lambda r, x: product_square(r, k * x), draws)
    assert plug_in == pytest.approx(pulled, abs=0.02)
    assert product == pytest.approx(truth, abs=0.03)
    assert squared == pytest.approx(product, abs=1e-3)  # the same estimator


def test_the_product_gradient_of_a_quadratic_is_that_of_all_pairs_of_draws():
    rng = np.random.default_rng(0)
    draws = torch.from_numpy(rng.standard_normal((3, 5))).requires_grad_()
    target = torch.from_numpy(rng.standard_normal(3))
    by_hand = torch.zeros(3, dtype=torch.float64)
    for j in range(5):
        for k in range(5):
            if j != k:
                by_hand = by_hand + (draws[:, j] - target) * (draws[:, k] - target) / 20
    torch.testing.assert_close(product_square(draws, target), by_hand)
    loss = product_loss(lambda r: (r - target).square(), draws)
    torch.testing.assert_close(loss, (draws.mean(-1) - target).square())  # its value: plug-in
    ours, theirs = (
        torch.autograd.grad(v.sum(), draws, retain_graph=True)[0] for v in (loss, by_hand)
    )
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(("name", "share"), [("dpo", 0.6), ("sppo", 0.05), ("lists", 0.6)])
def test_objectives_of_several_ratios(name, share):
    """Without noise the product gradient is the gradient; with noise it is the nearer one."""
    loss = {
        "dpo": lambda w, x: dpo(w, x, 1.0),
        "sppo": lambda w, x: sppo_hard(w, x, 2.0),
        "lists": lambda r: plackett_luce(r, 1.0),
    }[name]
    generator = torch.Generator().manual_seed(0)
    mean = torch.tensor([[0.9, -0.3]], dtype=torch.float64)

    def split(values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (values,) if name == "lists" else (values[:, 0], values[:, 1])

    def slope(estimate, noise: torch.Tensor) -> torch.Tensor:
        scale = torch.ones(1, dtype=torch.float64, requires_grad=True)
        # noise that grows with the distance, as the surrogate's does
        values = (scale[:, None] * mean)[..., None] * (1 + noise)
        return torch.autograd.grad(estimate(loss, *split(values)).mean(), scale)[0]

    none = torch.zeros(1, 2, 4, dtype=torch.float64)
    truth = slope(plug_in_loss, none)
    torch.testing.assert_close(slope(product_loss, none), truth)
    noise = 1.5 * torch.randn(40000, 2, 4, generator=generator, dtype=torch.float64)
    plain, product = slope(plug_in_loss, noise), slope(product_loss, noise)
    assert abs(float(product - truth)) < share * abs(float(plain - truth))


def test_one_draw_is_refused():
    with pytest.raises(ValueError, match="at least 2"):
        product_loss(lambda r: r, torch.zeros(3, 1))
    with pytest.raises(ValueError, match="at least 2"):
        variance_of_mean(torch.zeros(3, 1))
