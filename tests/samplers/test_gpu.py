"""On a GPU every fixed-grid loop is captured in one CUDA graph and replays to the eager result."""

import pytest
import torch

from samplers import grids, schedules, so3, steppers
from samplers.integrate import Component, make_plan, run
from samplers.noise import NoiseSource
from samplers.spaces import SO3, Euclidean

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
TRANS, ROT = schedules.TangentPower(), schedules.LinearSigma()
COMPONENTS = (Component(Euclidean(), TRANS, "x0"), Component(SO3(), ROT, "score"))


def normal(*shape, seed):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).cuda()


def field(state, t):
    x, rot = state
    return 0.3 * x.tanh(), so3.vee(rot.mT) / (0.2 + t * t)


class FixedNoise(NoiseSource):
    """Numbers that lie on the device already."""

    def __init__(self):
        self.numbers = normal(64, 3, seed=2)

    def draw(self, part, step, like):
        return self.numbers


@pytest.mark.parametrize("name", sorted(steppers.STEPPERS))
def test_a_run_is_one_cuda_graph(name):
    stepper = steppers.make(name)
    plan = make_plan(stepper, COMPONENTS, grids.make("log_snr", 6, TRANS, t_min=0.1))
    noise = FixedNoise()
    start = normal(64, 3, seed=0), so3.haar(normal(64, 4, seed=1))
    eager = run(plan, stepper, field, start, noise)
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        run(plan, stepper, field, start, noise)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = run(plan, stepper, field, start, noise)
    graph.replay()
    torch.cuda.synchronize()
    for a, b in zip(captured, eager, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-6)
