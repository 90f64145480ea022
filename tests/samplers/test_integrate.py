"""The loop: exact steps, products, names, callbacks and refusals."""

import importlib
import pkgutil
import subprocess
import sys

import pytest
import torch

import samplers
from samplers import grids, schedules, so3, steppers
from samplers.integrate import Component, integrate, make_plan
from samplers.noise import NoiseKey, NoiseSource
from samplers.spaces import SO3, Euclidean
from samplers.targets import Gaussian, IGSO3Mixture

TRANS, ROT = schedules.TangentPower(), schedules.LinearSigma()
GRID = grids.make("uniform", 5, TRANS, t_min=0.05)
GAUSSIAN = Gaussian(torch.zeros(3).double(), torch.diag(torch.tensor([0.1, 1.0, 3.0]).double()))


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


MODES = IGSO3Mixture(
    torch.tensor([0.4, 0.6]).double(), so3.haar(normal(2, 4)), torch.tensor([0.1, 0.2]).double()
)
X, R = normal(5, 3, seed=1), so3.haar(normal(5, 4, seed=2))
COMPONENTS = (Component(Euclidean(), TRANS, "score"), Component(SO3(), ROT, "score"))


def trans_score(x, t):
    return GAUSSIAN.score(x, TRANS.alpha(t), TRANS.sigma(t))


def rot_score(r, t):
    return MODES.score(r, ROT.sigma(t))


def field(state, t):
    return trans_score(state[0], t), rot_score(state[1], t)


class ShiftedNoise(NoiseSource):
    """The numbers of one part of a product, for that part run alone."""

    def __init__(self, key, part):
        super().__init__(key)
        self.part = part

    def normal(self, shape, part, step):
        return super().normal(shape, part + self.part, step)


@pytest.mark.parametrize("name", sorted(steppers.STEPPERS))
def test_a_product_is_its_components_run_alone(name):
    """Bit for bit; inner stages sit in a common clock, so there both laws must tick alike."""
    stepper, key = steppers.make(name), NoiseKey(4)
    inner = stepper.calls_per_step > 1 and name not in ("heun", "exprk2_x0")
    law = schedules.Unscaled(TRANS) if inner else ROT
    components = (COMPONENTS[0], Component(SO3(), law, "score"))

    def rot_score(r, t):
        return MODES.score(r, law.sigma(t))

    def field(state, t):
        return trans_score(state[0], t), rot_score(state[1], t)

    x, r = integrate(field, (X, R), GRID, stepper, components, NoiseSource(key))
    (x_alone,) = integrate(
        lambda s, t: (trans_score(s[0], t),),
        (X,),
        GRID,
        stepper,
        components[:1],
        ShiftedNoise(key, 0),
    )
    (r_alone,) = integrate(
        lambda s, t: (rot_score(s[0], t),),
        (R,),
        GRID,
        stepper,
        components[1:],
        ShiftedNoise(key, 1),
    )
    torch.testing.assert_close(x, x_alone, rtol=0, atol=1e-11 if inner else 0)
    torch.testing.assert_close(r, r_alone, rtol=0, atol=1e-11 if inner else 0)


def one_step(name, t, u):
    return integrate(field, (X, R), (t, u), steppers.make(name), COMPONENTS)


def test_single_steps_are_the_written_formulas():
    """x' and R' of DDIM and of the frozen-score integrator, spelled out."""
    t, u = 0.6, 0.5
    s_x, s_r = field((X, R), t)
    a, s, a1, s1 = TRANS.alpha(t), TRANS.sigma(t), TRANS.alpha(u), TRANS.sigma(u)
    sigma, sigma1 = ROT.sigma(t), ROT.sigma(u)

    x, r = one_step("ddim", t, u)
    x0 = (X + s**2 * s_x) / a
    torch.testing.assert_close(x, a1 * x0 - s1 * s * s_x)
    torch.testing.assert_close(r, R @ so3.exp((sigma - sigma1) * sigma * s_r))

    x, r = one_step("ei_score", t, u)
    torch.testing.assert_close(x, a1 / a * X + (a1 / a - 1) * s_x)
    torch.testing.assert_close(r, R @ so3.exp((sigma**2 - sigma1**2) / 2 * s_r))

    assert torch.equal(one_step("ei", t, u)[0], x)

    law = schedules.RectifiedFlow()
    line = Component(Euclidean(), law, "flow")
    (x,) = integrate(lambda s, t: (s[0].sin(),), (X,), (t, u), steppers.make("ei_flow"), (line,))
    torch.testing.assert_close(x, X + (u - t) * X.sin(), rtol=1e-12, atol=1e-12)
    assert torch.equal(one_step("ei_eps", t, u)[1], one_step("ddim", t, u)[1])


@pytest.mark.parametrize("kind", ["x0", "eps", "v", "flow"])
@pytest.mark.parametrize("name", ["heun", "ddim", "sde"])
def test_what_the_field_predicts_does_not_matter(kind, name):
    from samplers.prediction import convert

    def other(state, t):
        score = trans_score(state[0], t)
        alpha, sigma = TRANS.alpha(t), TRANS.sigma(t)
        return (convert(score, "score", kind, state[0], alpha, sigma),)

    def end(f, predicts):
        component = Component(Euclidean(), TRANS, predicts)
        noise = NoiseSource(NoiseKey(1))
        return integrate(f, (X,), GRID, steppers.make(name), (component,), noise, step_scale=1.7)[
            0
        ]

    truth = end(lambda s, t: (trans_score(s[0], t),), "score")
    torch.testing.assert_close(end(other, kind), truth, rtol=1e-9, atol=1e-9)


def test_rotation_fields_may_predict_eps():
    """eps = -sigma score in the body frame."""
    ends = []
    for kind, factor in (("score", lambda t: 1.0), ("eps", lambda t: -ROT.sigma(t))):
        component = Component(SO3(), ROT, kind)
        stepper = steppers.make("unipc2_x0")
        (end,) = integrate(
            lambda s, t, factor=factor: (factor(t) * rot_score(s[0], t),),
            (R,),
            GRID,
            stepper,
            (component,),
        )
        ends.append(end)
    torch.testing.assert_close(ends[0], ends[1], rtol=0, atol=1e-12)


def test_batch_and_dtype_of_the_state():
    """Rows do not see each other, and a float32 state stays float32 and close."""
    stepper = steppers.make("heun")
    full = integrate(field, (X, R), GRID, stepper, COMPONENTS)
    part = integrate(field, (X[:2], R[:2]), GRID, stepper, COMPONENTS)
    for a, b in zip(full, part, strict=True):
        torch.testing.assert_close(a[:2], b, rtol=0, atol=1e-13)

    def low_field(state, t):
        return tuple(v.float() for v in field(tuple(s.double() for s in state), t))

    low = integrate(low_field, (X.float(), R.float()), GRID, stepper, COMPONENTS)
    for a, b in zip(full, low, strict=True):
        assert b.dtype == torch.float32
        torch.testing.assert_close(a, b.double(), rtol=0, atol=2e-5)


def test_the_callback_sees_every_grid_point():
    seen = []
    end = integrate(
        field,
        (X, R),
        GRID,
        steppers.make("ddim"),
        COMPONENTS,
        on_step=lambda k, t, state: seen.append((k, t, state)),
    )
    assert [k for k, _, _ in seen] == list(range(6))
    assert tuple(t for _, t, _ in seen) == GRID
    assert seen[0][2][0] is X
    assert seen[-1][2] is end


def test_the_start_is_not_written_to():
    before = X.clone(), R.clone()
    integrate(field, (X, R), GRID, steppers.make("heun"), COMPONENTS)
    assert torch.equal(X, before[0])
    assert torch.equal(R, before[1])


def test_names_and_aliases():
    assert steppers.make("ddim") == steppers.make("ei_eps")
    assert steppers.make("ei") == steppers.make("ei_score")
    assert steppers.make("sde", churn=0.5, noise_scale=0.9).noise_scale == 0.9
    for name, stepper in steppers.STEPPERS.items():
        assert steppers.make(name).name == stepper.name == name
    assert set(steppers.ALIASES.values()) <= set(steppers.STEPPERS)
    with pytest.raises(ValueError, match=r"unknown sampler 'rk5'; one of euler, heun, .*ddim"):
        steppers.make("rk5")


@pytest.mark.parametrize("name", ["euler", "heun", "ei_score", "ei_eps", "ddim"])
def test_deterministic_steppers_refuse_noise_options(name):
    assert steppers.make(name, churn=0.0).deterministic
    with pytest.raises(ValueError, match=f"'{name}' is deterministic: drop churn"):
        steppers.make(name, churn=0.1)
    for value in (0.0, 1.0):
        with pytest.raises(ValueError, match="drop noise_scale"):
            steppers.make(name, noise_scale=value)


def test_refusals_of_the_loop():
    ddim = steppers.make("ddim")
    with pytest.raises(ValueError, match="'sde' is stochastic and needs a noise source"):
        integrate(field, (X, R), GRID, steppers.make("sde"), COMPONENTS)
    with pytest.raises(ValueError, match="1 tensors for 2 components"):
        integrate(field, (X,), GRID, ddim, COMPONENTS)
    with pytest.raises(ValueError, match="gave 1 of 2"):
        integrate(lambda s, t: (s[0],), (X, R), GRID, ddim, COMPONENTS)
    with pytest.raises(ValueError, match="step_scale must be positive"):
        make_plan(ddim, COMPONENTS, GRID, step_scale=0.0)
    with pytest.raises(ValueError, match="3 step scales"):
        make_plan(ddim, COMPONENTS, GRID, step_scale=(1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="move the end"):
        make_plan(ddim, COMPONENTS, (1.0, 0.0))
    with pytest.raises(ValueError, match="body-frame score, not 'x0'"):
        Component(SO3(), ROT, "x0")
    with pytest.raises(ValueError, match="alpha = 1"):
        Component(SO3(), TRANS, "score")


def test_one_step_scale_per_component():
    """Cooling the translations leaves the rotations alone."""
    ddim = steppers.make("ddim")
    plain = integrate(field, (X, R), GRID, ddim, COMPONENTS)
    cold = integrate(field, (X, R), GRID, ddim, COMPONENTS, step_scale=(3.0, 1.0))
    assert torch.equal(plain[1], cold[1])
    assert not torch.allclose(plain[0], cold[0])


MODULES = sorted(m.name for m in pkgutil.walk_packages(samplers.__path__, "samplers."))


def test_the_package_stands_alone():
    """Every module imports where none of the protein code and its libraries can be."""
    code = f"""
import sys
barred = ["proteinweaver", "biotite", "hydra", "omegaconf", "pytorch_lightning", "e3nn"]
sys.modules.update(dict.fromkeys(barred))
import importlib
for name in {MODULES!r}:
    importlib.import_module(name)
assert all(sys.modules[b] is None for b in barred)
"""
    assert len(MODULES) >= 18
    folder = importlib.import_module("pathlib").Path(samplers.__file__).parents[1]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=folder)
