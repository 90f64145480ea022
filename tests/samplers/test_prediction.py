"""Conversions between x0, eps, score and v are the identities they claim to be."""

import itertools

import pytest
import torch

from samplers.prediction import convert, require_kind, to_eps
from samplers.schedules import RectifiedFlow, TangentPower, VPLinear

KINDS = ("x0", "eps", "score", "v", "flow")


def forms(law, t):
    """A noisy point and its four true predictions."""
    generator = torch.Generator().manual_seed(0)
    x0, eps = torch.randn(2, 5, 3, generator=generator, dtype=torch.float64)
    alpha, sigma = law.alpha(t), law.sigma(t)
    truth = {"x0": x0, "eps": eps, "score": -eps / sigma, "v": alpha * eps - sigma * x0}
    truth["flow"] = eps - x0
    return alpha * x0 + sigma * eps, alpha, sigma, truth


@pytest.mark.parametrize("law", [TangentPower(), VPLinear(), RectifiedFlow()])
@pytest.mark.parametrize("t", [0.05, 0.5, 0.95])
def test_all_pairs(law, t):
    x, alpha, sigma, truth = forms(law, t)
    for source, target in itertools.product(KINDS, KINDS):
        out = convert(truth[source], source, target, x, alpha, sigma)
        torch.testing.assert_close(out, truth[target], rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(
            to_eps(truth[source], source, x, alpha, sigma), truth["eps"], rtol=1e-9, atol=1e-9
        )


def test_v_gives_x0_where_alpha_is_zero():
    x0, eps = torch.randn(2, 4, generator=torch.Generator().manual_seed(1))
    assert torch.equal(convert(-x0, "v", "x0", eps, 0.0, 1.0), x0)


def test_flow_is_the_velocity_of_straight_lines():
    """dx/dt by finite differences of x(t) = (1 - t) x0 + t eps."""
    x, alpha, sigma, truth = forms(RectifiedFlow(), 0.4)
    ahead = 0.4 + 1e-6
    moved = (1 - ahead) * truth["x0"] + ahead * truth["eps"]
    torch.testing.assert_close((moved - x) / 1e-6, truth["flow"], rtol=0, atol=1e-8)
    assert (alpha, sigma) == (0.6, 0.4)


def test_unknown_kinds_are_named():
    x = torch.zeros(2)
    with pytest.raises(ValueError, match="'noise'; one of x0, eps, score, v, flow"):
        to_eps(x, "noise", x, 1.0, 1.0)
    with pytest.raises(ValueError, match="unknown"):
        convert(x, "eps", "noise", x, 1.0, 1.0)
    with pytest.raises(ValueError, match="unknown"):
        require_kind("velocity")
