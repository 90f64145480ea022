"""Inversion and log densities against closed forms, on R^n, SO(3) and frames."""

import math

import pytest
import torch

from samplers import grids, schedules, so3, steppers
from samplers.integrate import Component
from samplers.invert import invert
from samplers.likelihood import log_prob, reference_log_prob
from samplers.spaces import SO3, Euclidean
from samplers.targets import Gaussian, IGSO3Mixture
from samplers.targets.frames import FrameMixture, frame_field

DETERMINISTIC = sorted(name for name, s in steppers.STEPPERS.items() if s.deterministic)
TRANS, ROT = schedules.TangentPower(rho_max=100.0), schedules.LinearSigma(0.1, 2.0)


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


GAUSSIAN = Gaussian(
    torch.tensor([1.0, -0.5]).double(), torch.tensor([[0.5, 0.3], [0.3, 0.4]]).double()
)
X = TRANS.alpha(0.02) * GAUSSIAN.sample(5, torch.Generator().manual_seed(0))
Y = TRANS.alpha(0.05) * GAUSSIAN.sample(5, torch.Generator().manual_seed(0))
LINE = (Component(Euclidean(), TRANS, "score"),)


def line(state, t):
    return (GAUSSIAN.score(state[0], TRANS.alpha(t), TRANS.sigma(t)),)


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_inversion_finds_the_noise(name):
    """The exact flow gives the noise; the round trip misses by no more than both errors."""
    stepper = steppers.make(name)
    levels = [(TRANS.alpha(t), TRANS.sigma(t)) for t in (0.05, 0.9)]
    truth = GAUSSIAN.flow(Y, *levels)
    errors, trips = [], []
    for count in (50, 100):
        grid = grids.make("log_snr", count, TRANS, t_min=0.05, t_max=0.9)
        found = invert(line, (Y,), grid, stepper, LINE)
        errors.append((found.noise[0] - truth).abs().max().item())
        trips.append(found.round_trip[0].max().item())
        torch.testing.assert_close(
            found.round_trip[0], (found.back[0] - Y).norm(dim=-1), rtol=0, atol=1e-12
        )
    assert math.log2(errors[0] / errors[1]) > stepper.order - 0.6
    assert math.log2(trips[0] / trips[1]) > stepper.order - 0.6
    assert trips[1] < {1: 0.3, 2: 1e-2, 3: 1e-3, 4: 1e-4}[stepper.order]


def test_a_stochastic_method_has_no_inverse():
    grid = grids.make("log_snr", 4, TRANS, t_min=0.02)
    with pytest.raises(ValueError, match="'sde' is stochastic and has no inverse"):
        invert(line, (X,), grid, steppers.make("sde"), LINE)


@pytest.mark.parametrize("name", ["unipc3_x0", "rk4"])
def test_log_density_of_a_gaussian(name):
    """Exact prior at the top, so only the method's error is left."""
    grid = grids.make("log_snr", 60, TRANS, t_min=0.02)
    ends = [(TRANS.alpha(t), TRANS.sigma(t)) for t in (1.0, 0.02)]
    found = log_prob(
        line, (X,), grid, steppers.make(name), LINE, lambda s: GAUSSIAN.log_density(s[0], *ends[0])
    )
    torch.testing.assert_close(found.value, GAUSSIAN.log_density(X, *ends[1]), rtol=0, atol=2e-4)
    assert (found.standard_error == 0).all()
    # the terminal law is nearly N(0, sigma^2)
    loose = log_prob(line, (X,), grid, steppers.make(name), LINE)
    torch.testing.assert_close(loose.value, found.value, rtol=0, atol=0.1)
    prior = reference_log_prob(LINE, 1.0)(loose.noise)
    expected = torch.distributions.Normal(0, TRANS.sigma(1.0)).log_prob(loose.noise[0]).sum(-1)
    torch.testing.assert_close(prior, expected)


def test_hutchinson_is_unbiased_and_knows_its_error():
    grid = grids.make("log_snr", 40, TRANS, t_min=0.02)
    x = X[:1].repeat(40, 1)
    args = ((x,), grid, steppers.make("unipc3_v"), LINE)
    exact = log_prob(line, *args)
    found = log_prob(line, *args, probes=16, generator=torch.Generator().manual_seed(3))
    z = (found.value - exact.value) / found.standard_error
    assert z.mean().abs() < 3 / math.sqrt(40)
    assert 0.7 < z.std() < 1.5
    with pytest.raises(ValueError, match="at least 2 probes, got 1"):
        log_prob(line, *args, probes=1)


MODES = IGSO3Mixture(
    torch.tensor([0.4, 0.6]).double(), so3.haar(normal(2, 4)), torch.tensor([0.2, 0.3]).double()
)


def test_log_density_on_rotations():
    rot = MODES.sample(4, 0.1, torch.Generator().manual_seed(1))
    grid = grids.make("log_snr", 60, ROT, t_min=0.0)

    def field(state, t):
        return (MODES.score(state[0], ROT.sigma(t)),)

    found = log_prob(
        field,
        (rot,),
        grid,
        steppers.make("unipc3_x0"),
        (Component(SO3(), ROT, "score"),),
        lambda s: MODES.log_density(s[0], 2.0),
    )
    torch.testing.assert_close(found.value, MODES.log_density(rot, 0.1), rtol=0, atol=2e-4)


@pytest.mark.parametrize("probes", [None, 8])
def test_log_density_of_frames(probes):
    """Two coupled frames, translations and rotations with clocks of their own."""
    target = FrameMixture(
        torch.tensor([0.3, 0.7]).double(),
        0.8 * normal(2, 2, 3),
        torch.tensor([0.5, 0.7]).double(),
        so3.haar(normal(2, 2, 4, seed=1)),
        torch.tensor([0.2, 0.3]).double(),
    )
    low = (TRANS.alpha(0.05), TRANS.sigma(0.05), ROT.sigma(0.05))
    high = (TRANS.alpha(1.0), TRANS.sigma(1.0), ROT.sigma(1.0))
    state = target.sample(3, *low, generator=torch.Generator().manual_seed(2))
    components = (Component(Euclidean(), TRANS, "score"), Component(SO3(), ROT, "score"))
    found = log_prob(
        frame_field(target, TRANS, ROT),
        state,
        grids.make("log_snr", 40 if probes is None else 24, TRANS, t_min=0.05),
        steppers.make("unipc3_x0"),
        components,
        lambda s: target.log_density(s, *high),
        probes=probes,
        generator=torch.Generator().manual_seed(0),
    )
    truth = target.log_density(state, *low)
    if probes is None:
        torch.testing.assert_close(found.value, truth, rtol=0, atol=3e-3)
    else:
        assert ((found.value - truth).abs() < 4 * found.standard_error + 0.03).all()
