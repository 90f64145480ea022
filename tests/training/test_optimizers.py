"""Every update against a transcription of the papers' algorithms in numpy and float64."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from proteinweaver.errors import UserError
from proteinweaver.training.config import OptimizerConfig
from proteinweaver.training.optimizers import SETTINGS, make_optimizer, with_optimizer
from proteinweaver.training.optimizers.adampp import AdamPP
from proteinweaver.training.optimizers.mars_shampoo import orthogonal_factor
from proteinweaver.training.run import train

STEPS = 100
SHAPES = ((5, 3), (4,), (3, 6), (2, 3, 2))
CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "optimizer"
RNG = np.random.default_rng(0)
START = [RNG.standard_normal(shape) for shape in SHAPES]
CURVATURE = [RNG.uniform(0.1, 3.0, shape) for shape in SHAPES]
NOISE = [[RNG.standard_normal(shape) for shape in SHAPES] for _ in range(STEPS)]


def gradients(x, t):
    """Of a noisy quadratic: it depends on where one stands, so errors would grow."""
    return [h * v + 0.3 * n for h, v, n in zip(CURVATURE, x, NOISE[t], strict=True)]


def adamw(x, c):
    """Loshchilov & Hutter 2019, Algorithm 2; torch's own."""
    m = [np.zeros_like(v) for v in x]
    s = [np.zeros_like(v) for v in x]
    for t in range(1, STEPS + 1):
        g = gradients(x, t - 1)
        for k in range(len(x)):
            m[k] = c.beta1 * m[k] + (1 - c.beta1) * g[k]
            s[k] = c.beta2 * s[k] + (1 - c.beta2) * g[k] ** 2
            step = m[k] / (1 - c.beta1**t) / (np.sqrt(s[k] / (1 - c.beta2**t)) + 1e-8)
            x[k] = x[k] - c.lr * c.weight_decay * x[k] - c.lr * step
    return x


def mars(precondition):
    """arXiv:2411.10438, Algorithm 1 with the gradient of the step before (MARS-approx)."""

    def run(x, c):
        m = [np.zeros_like(v) for v in x]
        v = [np.zeros_like(w) for w in x]
        before = None
        for t in range(1, STEPS + 1):
            g = gradients(x, t - 1)
            before = g if before is None else before
            for k in range(len(x)):
                corrected = g[k] + c.gamma * c.beta1 / (1 - c.beta1) * (g[k] - before[k])
                size = np.sqrt((corrected**2).sum())
                clipped = corrected / size if size > 1 else corrected
                m[k] = c.beta1 * m[k] + (1 - c.beta1) * clipped
                v[k] = c.beta2 * v[k] + (1 - c.beta2) * clipped**2
                step = precondition(m[k], v[k], t, c)
                x[k] = x[k] - c.lr * (step + c.weight_decay * x[k])
            before = g
        return x

    return run


def of_adam(m, v, t, c):
    return (m / (1 - c.beta1**t)) / (np.sqrt(v / (1 - c.beta2**t)) + 1e-8)


def of_lion(m, v, t, c):
    return np.sign(m)


def of_shampoo(m, v, t, c):
    if m.ndim == 1:
        return of_adam(m, v, t, c)
    x = m.reshape(len(m), -1)
    x = x / (np.linalg.norm(x) + 1e-7)
    for _ in range(5):  # on the smaller side, as U V^T does not depend on the side
        if len(x) <= x.shape[1]:
            a = x @ x.T
            x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
        else:
            a = x.T @ x
            x = 3.4445 * x + x @ (-4.7750 * a + 2.0315 * a @ a)
    return x.reshape(m.shape)


def plusplus(moments):
    """arXiv:2412.19444, Algorithms 1 and 2."""

    def run(x, c):
        first = [v.copy() for v in x]
        size = sum(v.size for v in x)
        eta, kept = 1e-6, [{} for _ in x]
        for t in range(STEPS):
            moved = sum(((a - b) ** 2).sum() for a, b in zip(x, first, strict=True))
            eta = max(eta, np.sqrt(moved) / np.sqrt(size))
            g = gradients(x, t)
            for k in range(len(x)):
                m, s = moments(kept[k], g[k], t, c)
                x[k] = x[k] - c.lr * eta * m / (1e-8 + s)
        return x

    return run


def of_adagradpp(kept, g, t, c):
    kept["sum"] = kept.get("sum", 0) + g**2
    return g, np.sqrt(kept["sum"])


def of_adampp(kept, g, t, c):
    kept["m"] = c.beta1 * kept.get("m", 0) + (1 - c.beta1) * g
    kept["v"] = c.beta2 * kept.get("v", 0) + (1 - c.beta2) * g**2
    kept["max"] = np.maximum(kept.get("max", 0), kept["v"])
    return kept["m"], np.sqrt((t + 1) * kept["max"])


TRUTH = {
    "adamw": adamw,
    "mars_adamw": mars(of_adam),
    "mars_lion": mars(of_lion),
    "mars_shampoo": mars(of_shampoo),
    "adagradpp": plusplus(of_adagradpp),
    "adampp": plusplus(of_adampp),
}


def config(name):
    """The settings it is started from, with faster steps, so that 100 of them go somewhere."""
    own = with_optimizer(OptimizerConfig(), name)
    return own if name.endswith("pp") else replace(own, lr=0.03)


def torch_steps(optimizer, parameters, first, last):
    for t in range(first, last):
        found = gradients([p.detach().numpy() for p in parameters], t)
        for parameter, gradient in zip(parameters, found, strict=True):
            parameter.grad = torch.from_numpy(gradient)
        optimizer.step()


def fresh(name):
    parameters = [torch.nn.Parameter(torch.from_numpy(v.copy())) for v in START]
    return make_optimizer(parameters, config(name)), parameters


@pytest.mark.parametrize("name", TRUTH)
def test_a_hundred_steps_match_the_paper(name):
    optimizer, parameters = fresh(name)
    torch_steps(optimizer, parameters, 0, STEPS)
    truth = TRUTH[name]([v.copy() for v in START], config(name))
    for parameter, expected, start in zip(parameters, truth, START, strict=True):
        assert np.abs(expected - start).max() > 0.05, "it must have moved"
        np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", TRUTH)
def test_saved_and_loaded_it_goes_on_as_if_nothing_had_happened(name):
    whole, unbroken = fresh(name)
    torch_steps(whole, unbroken, 0, 20)
    first, parameters = fresh(name)
    torch_steps(first, parameters, 0, 9)
    second, again = fresh(name)
    for new, old in zip(again, parameters, strict=True):
        new.data.copy_(old.data)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    torch_steps(second, again, 9, 20)
    for a, b in zip(unbroken, again, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("name", TRUTH)
def test_parameters_without_a_gradient_stay(name):
    optimizer, parameters = fresh(name)
    for parameter in parameters[1:]:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    assert np.array_equal(parameters[0].detach().numpy(), START[0])
    assert not np.array_equal(parameters[1].detach().numpy(), START[1])


def test_the_factor_is_nearly_orthogonal():
    matrix = torch.from_numpy(np.random.default_rng(1).standard_normal((6, 10)))
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    for one, exact in ((matrix, u @ v), (matrix.T, (u @ v).T)):
        found = orthogonal_factor(one)
        values = torch.linalg.svdvals(found)
        assert values.min() > 0.6 and values.max() < 1.3
        cosine = (found * exact).sum() / found.norm() / exact.norm()
        assert cosine > 0.98


def test_beta1_of_adampp_may_decay():
    """With decay 0 the momentum is the gradient from the second step on."""
    parameter = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    optimizer = AdamPP([parameter], decay=0.0)
    for value in (1.0, 2.0):
        parameter.grad = torch.full_like(parameter, value)
        optimizer.step()
    assert torch.equal(optimizer.state[parameter]["moment"], torch.full_like(parameter, 2.0))


@pytest.mark.parametrize("name", SETTINGS)
def test_hydra_and_the_recipe_start_from_the_same_settings(name):
    recipe = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())
    assert recipe == ({} if name == "adamw" else {"name": name, **SETTINGS[name]})
    with_optimizer(OptimizerConfig(), name)


def test_weight_decay_where_there_is_none_is_refused():
    with pytest.raises(UserError, match=r"weight_decay is 0\.01, and adampp has none"):
        OptimizerConfig(name="adampp")


def test_a_run_is_not_resumed_with_another_optimizer(make_config):
    setup = make_config("run", steps=1)
    train(setup)
    other = replace(setup, optimizer=replace(setup.optimizer, name="mars_lion"))
    with pytest.raises(UserError, match=r"optimizer\.name = adamw"):
        train(replace(other, trainer=replace(setup.trainer, max_steps=2)))


@pytest.mark.parametrize("name", [name for name in SETTINGS if name != "adamw"])
def test_a_network_learns_with_each(make_config, name):
    """Two steps of a tiny network, stopped and resumed in between: finite, and changed."""
    setup = make_config(name, steps=2, trainer={"session_minutes": 1e-9})
    setup = replace(setup, optimizer=with_optimizer(setup.optimizer, name))
    first = train(setup)
    assert (first.step, first.finished) == (1, False)
    second = train(setup)
    assert (second.step, second.finished) == (2, True)
    assert np.isfinite(second.metrics["total"])
