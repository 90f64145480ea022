"""Loops never wait for the device, compile as one graph, and keep to the rounding of their dtype.

Every registered sampler enters by itself.
"""

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from samplers import grids, schedules, so3, steppers
from samplers.integrate import Component, integrate, make_plan, run
from samplers.noise import NoiseSource
from samplers.spaces import SO3, Euclidean
from samplers.steppers.multistep import Multistep

ALL = sorted(steppers.STEPPERS)
DETERMINISTIC = [name for name in ALL if steppers.STEPPERS[name].deterministic]
TRANS, ROT = schedules.TangentPower(), schedules.LinearSigma()
COMPONENTS = (Component(Euclidean(), TRANS, "x0"), Component(SO3(), ROT, "score"))


def normal(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def start(dtype=torch.float64):
    return normal(2, 3, dtype=dtype), so3.haar(normal(2, 4, seed=1)).to(dtype)


def field(state, t):
    x, rot = state
    return 0.3 * x.tanh(), so3.vee(rot.mT) / (0.2 + t * t)


class FixedNoise(NoiseSource):
    """Numbers that are already there: drawing is not part of the loop."""

    def __init__(self):
        self.numbers = normal(2, 3, seed=2)

    def draw(self, part, step, like):
        return self.numbers


# What makes the host wait for the device, or ask for a value: nothing of the kind may be called.
HOST = (
    "aten::_local_scalar_dense",
    "aten::item",
    "aten::nonzero",
    "aten::is_nonzero",
    "aten::equal",
    "aten::masked_select",
    "aten::unique",
    "aten::_unique2",
    "aten::allclose",
    "aten::_assert_async",
    "aten::repeat_interleave.Tensor",
)


class Watch(TorchDispatchMode):
    """Refuses host copies; notes what was called."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func._schema.name
        self.seen.add(name)
        if name in HOST:
            raise AssertionError(f"{name} makes the host wait")
        if name in ("aten::index", "aten::index_put", "aten::index_put_"):
            mask = any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in args[1])
            assert not mask, "indexing by a mask makes the host wait"
        if name in ("aten::_to_copy", "aten::copy_"):
            target = (kwargs or {}).get("device")
            assert target is None, "a copy to another device"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("bad", [lambda x: x.sum().item(), lambda x: x[x > 0], torch.nonzero])
def test_the_watch_sees_host_copies(bad):
    x = normal(3)
    with pytest.raises(AssertionError, match="host wait"), Watch():
        bad(x)


@pytest.mark.parametrize("name", ALL)
def test_no_loop_reads_a_tensor(name):
    stepper = steppers.make(name)
    grid = grids.make("log_snr", 5, TRANS, t_min=0.1)
    plan = make_plan(stepper, COMPONENTS, grid)
    noise, state = FixedNoise(), start()
    with Watch() as watch:
        run(plan, stepper, field, state, noise)
    assert watch.seen


@pytest.mark.parametrize("name", ["unipc3_x0", "expab4_eps", "cf4"])
def test_steps_hide_no_state(name):
    """Two runs of one plan, step by step in turns, are two runs one after the other."""
    stepper = steppers.make(name)
    plan = make_plan(stepper, COMPONENTS, grids.make("log_snr", 5, TRANS, t_min=0.1))
    starts = (start(), tuple(s.flip(0) for s in start()))
    states, memories = list(starts), [None, None]
    for k in range(5):
        for i in (0, 1):
            states[i], memories[i] = stepper.step(field, plan, k, states[i], memories[i], None)
    for state, first in zip(states, starts, strict=True):
        for a, b in zip(state, run(plan, stepper, field, first), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("unipc2_x0", 2),
        ("cf4", 1),
        *(pytest.param(name, 4, marks=pytest.mark.slow) for name in DETERMINISTIC),
    ],
)
def test_a_run_compiles_as_one_graph(name, count):
    """Fullgraph: any break raises. The compiled loop gives what the eager one gives."""
    torch.compiler.reset()  # each plan is another graph
    stepper = steppers.make(name)
    plan = make_plan(stepper, COMPONENTS, grids.make("log_snr", count, TRANS, t_min=0.1))

    @torch.compile(fullgraph=True, backend="eager")
    def compiled(x, rot):
        return run(plan, stepper, field, (x, rot))

    state = start()
    for a, b in zip(compiled(*state), run(plan, stepper, field, state), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-14)


def rounding(name, grid, law, count, span):
    """Largest float32 error over scale, in units of eps sqrt(N)."""
    t_min, t_max = (law.t_from_rho(rho) for rho in span)
    stepper = steppers.make(name)
    component = Component(Euclidean(), law, "x0")
    times = grids.make(grid, count, law, t_min=t_min, t_max=t_max)
    plan = make_plan(stepper, (component,), times)

    def clean(state, t):
        shrink = 1 / (1 + law.rho(t) ** 2)  # posterior mean of a unit Gaussian, and a bend
        return (state[0] * (shrink / law.alpha(t)) + 0.05 * state[0].sin(),)

    x = normal(8, 3) * math.hypot(law.alpha(t_max), law.sigma(t_max))
    (low,) = run(plan, stepper, clean, (x.float(),))
    (high,) = run(plan, stepper, clean, (x.float().double(),))
    assert bool(low.isfinite().all())
    scale = high.square().mean().sqrt()
    error = (low.double() - high).abs().max() / scale
    return error.item() / (torch.finfo(torch.float32).eps * math.sqrt(count))


@pytest.mark.parametrize("name", DETERMINISTIC)
def test_float32_stays_at_its_rounding_floor(name):
    assert rounding(name, "log_snr", schedules.TangentPower(), 100, (0.01, 100.0)) < 50


@pytest.mark.slow
@pytest.mark.parametrize("name", DETERMINISTIC)
@pytest.mark.parametrize("law", [schedules.VPLinear(), schedules.VE(), schedules.RectifiedFlow()])
@pytest.mark.parametrize("grid", sorted(grids.GRIDS))
def test_float32_stays_at_its_rounding_floor_everywhere(name, law, grid):
    """Up to 2000 steps, every sampler on every grid and law that does not refuse the pair.

    At ten steps extrapolation weights of fourth order magnify rounding (and every other error).
    """
    for count, bound in ((10, 150), (30, 50), (2000, 50)):
        try:
            error = rounding(name, grid, law, count, (0.01, 40.0))
        except ValueError as refusal:
            assert "cannot use this grid" in str(refusal)
        else:
            assert error < bound


def test_wild_grids_are_refused_with_the_reason():
    """A last step many times longer than the ones before it: extrapolation explodes."""
    times = (*grids.make("log_snr", 20, TRANS, t_min=0.5), 1e-5)
    for name in ("expab4_x0", "expab3_x0", "ab3", "unipc3_x0"):
        with pytest.raises(ValueError, match=r"cannot use this grid: step 21 is \d+ times longer"):
            make_plan(steppers.make(name), COMPONENTS, times)
    for name in ("ddim", "expab2_x0", "exprk4_x0", "rk4"):
        make_plan(steppers.make(name), COMPONENTS, times)


def test_a_cheap_start_saves_its_call_and_says_what_it_costs():
    full, cheap = (steppers.make("unipc3", cheap_start=c) for c in (False, True))
    assert (full.order, full.calls(10)) == (4, 11)
    assert (cheap.order, cheap.calls(10)) == (3, 10)
    grid = grids.make("log_snr", 40, TRANS, t_min=0.1)
    a, b = (integrate(field, start(), grid, s, COMPONENTS) for s in (full, cheap))
    assert 0 < (a[0] - b[0]).abs().max() < 1e-4
    for name in ("ddim", "expab3"):
        with pytest.raises(ValueError, match="no start that could be cheaper"):
            steppers.make(name, cheap_start=True)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"nodes": 5}, "order 1 to 4, not 5"),
        ({"nodes": 4, "corrector": True}, "order 1 to 4, not 5"),
        ({"nodes": 0}, "order 1 to 4, not 0"),
        ({"nodes": 2, "kind": "noise"}, "unknown prediction 'noise'"),
        ({"nodes": 2, "clock": "noon"}, "unknown clock 'noon'"),
    ],
)
def test_impossible_multistep_methods_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        Multistep(**{"name": "mine", "kind": "x0", **fields})
