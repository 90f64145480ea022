"""Density along a run, step doubling, injected error, bridging, and no copy to the host."""

import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from samplers import grids, schedules, so3, steppers
from samplers.component import Component
from samplers.diagnostics import (
    bridging,
    budget,
    doubling,
    injection,
    interpolation,
    kernel,
    maps,
    pushforward,
    strong,
    transport,
    variation,
)
from samplers.diagnostics.certificate import certify
from samplers.spaces import SO3, Euclidean
from samplers.targets import (
    Gaussian,
    GaussianMixture,
    IGSO3Mixture,
    noised,
    reference,
    score_field,
)

LAW = schedules.VPLinear()
COMPONENT = Component(Euclidean(), LAW, "score")


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


GAUSSIAN = Gaussian(torch.zeros(2).double(), torch.diag(tensor([0.3, 1.5])))
MIXTURE = GaussianMixture(
    tensor([0.3, 0.3, 0.4]),
    tensor([[-1.0, 0.0], [1.0, 0.5], [0.0, -1.0]]),
    tensor([0.2, 0.3, 0.25]),
)


def level(t):
    return LAW.alpha(t), LAW.sigma(t)


def grid(steps, rho_min=0.1, t_max=0.6):
    return grids.make("log_snr", steps, LAW, t_min=LAW.t_from_rho(rho_min), t_max=t_max)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("name", ["ei_eps", "heun", "expab2"])
def test_density_along_a_run_on_a_gaussian(name):
    """The sampler's law is Gaussian: KL and TV along the run have closed forms."""
    times = grid(8)
    levels = [level(t) for t in times]
    x = noised(GAUSSIAN, 3000, *levels[0], generator())
    field = score_field(GAUSSIAN, LAW)
    stepper = steppers.make(name)
    carried = pushforward.carry(
        field, COMPONENT, stepper, times, x, GAUSSIAN.log_density(x, *levels[0])
    )
    advance = maps.sampler_map(field, COMPONENT, stepper)
    gain = advance(torch.eye(2).double(), times).diagonal()
    torch.testing.assert_close(carried.points[-1], x * gain)
    torch.testing.assert_close(carried.log_volume[-1], gain.log().sum().expand(3000))
    diagonal = GAUSSIAN.covariance.diagonal()
    q = gain.square() * (levels[0][0] ** 2 * diagonal + levels[0][1] ** 2)
    p = levels[-1][0] ** 2 * diagonal + levels[-1][1] ** 2
    kl = 0.5 * (q / p - 1 - (q / p).log()).sum().item()
    found = pushforward.kl_curve(carried, GAUSSIAN, levels)
    assert found.value[0] == pytest.approx(0, abs=1e-12)
    assert found.value[-1].item() == pytest.approx(kl, abs=4 * found.error[-1].item())
    tv = pushforward.tv_curve(carried, GAUSSIAN, levels)
    truth = variation.diagonal_tv(q, p)
    assert tv.value[-1].item() == pytest.approx(truth, abs=4 * tv.error[-1].item())


def test_a_stochastic_sampler_has_no_map():
    with pytest.raises(ValueError, match="stochastic"):
        maps.sampler_map(score_field(GAUSSIAN, LAW), COMPONENT, steppers.make("sde"))


@pytest.mark.parametrize(("name", "order"), [("ei_eps", 1), ("heun", 2), ("expab3", 3)])
def test_doubling_estimates_the_error(name, order):
    """Calibration: the median ratio near 1, and twice the estimate covers nearly all."""
    times = grid(64)
    x = noised(MIXTURE, 200, *level(times[0]), generator())
    truth = reference.flow(MIXTURE, x, level(times[0]), level(times[-1]), 1e-11)
    advance = maps.sampler_map(score_field(MIXTURE, LAW), COMPONENT, steppers.make(name))
    found = doubling.double_steps(advance, x, times, LAW, order)
    for estimate, end in ((found.coarse_error, found.coarse), (found.fine_error, found.fine)):
        report = doubling.calibrate(estimate, strong.distances(end, truth))
        assert report.ratio[1].item() == pytest.approx(1, abs=0.15)
        assert report.coverage[report.factors == 2].item() > 0.9


def test_doubling_on_rotations():
    law = schedules.LinearSigma(0.1, 2.0)
    target = IGSO3Mixture(
        tensor([0.4, 0.6]), so3.haar(torch.randn(2, 4, generator=generator()).double()),
        tensor([0.05, 0.1]),
    )  # fmt: skip
    start = target.sample(40, 2.0, generator())
    stepper = steppers.make("heun")
    component = Component(SO3(), law, "score")

    def field(state, t):
        return (target.score(state[0], law.sigma(t)),)

    advance = maps.sampler_map(field, component, stepper)
    times = grids.make("log_snr", 32, law, t_min=0.05, t_max=1.0)
    found = doubling.double_steps(advance, start, times, law, 2, so3.distance)
    truth = reference.rotation_flow(target, start, law.sigma(1.0), law.sigma(0.05), 1e-9)
    report = doubling.calibrate(found.coarse_error, so3.distance(found.coarse, truth))
    assert report.ratio[1].item() == pytest.approx(1, abs=0.15)


def test_refine_halves_steps_in_log_rho():
    coarse, fine = grid(5), grid(10)
    assert doubling.refine(coarse, LAW) == pytest.approx(fine, rel=1e-12)


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_injected_error_has_both_sizes(dim):
    z = torch.randn(2000, dim, generator=generator(), dtype=torch.float64)
    sizes = []
    for divergence in (0.0, 0.1, 0.4):
        error = injection.make_error(
            z, l2=0.3, divergence=divergence, wave=3.0, generator=generator(1)
        )
        l2 = error.value(z).square().sum(-1).mean().sqrt().item()
        trace = error.jacobian(z).diagonal(dim1=-2, dim2=-1).sum(-1)
        torch.testing.assert_close(error.divergence(z), trace)
        assert l2 == pytest.approx(0.3, abs=1e-9)
        assert trace.square().mean().sqrt().item() == pytest.approx(divergence, abs=1e-9)
        sizes.append(error.value(z))
    assert not torch.allclose(sizes[0], sizes[2])
    _, jacobian = maps.value_and_jacobian(error.value, z[:5])
    torch.testing.assert_close(error.jacobian(z[:5]), jacobian)
    with pytest.raises(ValueError, match="raise the wave number"):
        injection.make_error(z, l2=0.01, divergence=10.0, wave=0.5, generator=generator(1))


def test_divergence_matters_at_equal_l2():
    """Same L2 error at every time, larger divergence: the sampler's TV is larger."""
    times = grid(40)
    levels = [level(t) for t in times]
    x = noised(GAUSSIAN, 1500, *levels[0], generator())
    values = []
    for divergence in (0.0, 0.6):
        field = injection.perturbed_field(
            GAUSSIAN, LAW, times, l2=0.15, divergence=divergence, wave=6.0, generator=generator(2)
        )
        carried = pushforward.carry(
            field, COMPONENT, steppers.make("ei_eps"), times, x,
            GAUSSIAN.log_density(x, *levels[0]),
        )  # fmt: skip
        values.append(pushforward.tv_curve(carried, GAUSSIAN, levels).value[-1].item())
    assert values[1] > 1.3 * values[0]


def test_budget_of_coupled_points():
    """Gaussian with a wrong Gaussian score: every link of the chain is a closed form."""
    times = grid(12, t_max=0.5)
    first, last = level(times[0]), level(times[-1])
    wrong = Gaussian(GAUSSIAN.mean + 0.1, 1.2 * GAUSSIAN.covariance)
    clean = GAUSSIAN.sample(50, generator())
    z = torch.randn(50, 2, generator=generator(1), dtype=torch.float64)
    advance = maps.sampler_map(score_field(wrong, LAW), COMPONENT, steppers.make("heun"))
    start = first[0] * clean + first[1] * z, z
    chain = budget.flow_chain(GAUSSIAN, wrong.score, advance, LAW, times, start)
    torch.testing.assert_close(chain[1], GAUSSIAN.flow(start[0], first, last))
    torch.testing.assert_close(chain[3], wrong.flow(z, first, last), rtol=0, atol=1e-9)
    found = budget.path_budget(chain)
    assert found.signed.sum().item() == pytest.approx(found.total.item(), abs=1e-8)
    truth = (advance(z, times) - GAUSSIAN.flow(start[0], first, (1.0, 1e-3))).square().sum(-1)
    assert found.total.item() == pytest.approx(truth.mean().sqrt().item(), abs=1e-8)
    assert (found.sizes > 1e-4).all()


def test_churn_empties_the_space_between_modes():
    """Two narrow modes: DDIM leaves samples on the segment, the reverse SDE hardly any."""
    narrow = GaussianMixture(
        tensor([0.5, 0.5]), tensor([[-1.0, 0.0], [1.0, 0.0]]), tensor([0.02, 0.02])
    )
    times = grid(10, 0.02, 0.9)
    found = bridging.bridging_against_churn(narrow, LAW, times, (0.0, 1.0), count=2000)
    assert found.exact < 0.004
    assert found.share[0] > 0.02
    assert found.low[0] > found.high[1]
    assert (found.low <= found.share).all()
    assert (found.share <= found.high).all()
    low, high = bridging.wilson(tensor([0.0, 0.5]), 100)
    assert low[0] < 1e-15
    assert high[0].item() == pytest.approx(0.0370, abs=1e-4)  # z^2 / (n + z^2)
    assert (high[1] - 0.5).item() == pytest.approx((0.5 - low[1]).item())


class NoHostCopy(TorchDispatchMode):
    """Fail where a tensor's value is read: on a device that is a copy to the host."""

    FORBIDDEN = ("_local_scalar_dense", "is_nonzero", "equal.default", "_assert_async")

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = str(func)
        assert not any(word in name for word in self.FORBIDDEN), f"{name} reads a value"
        return func(*args, **(kwargs or {}))


def test_diagnostics_do_not_read_values():
    """Everything usable on a device: a second run, plans known, asks the host for nothing."""
    times = grid(4)
    first, last = level(times[0]), level(times[-1])
    x = noised(MIXTURE, 64, *first, generator())
    y = noised(MIXTURE, 64, *last, generator(1))
    advance = maps.sampler_map(score_field(MIXTURE, LAW), COMPONENT, steppers.make("heun"))
    fine = doubling.refine(times, LAW)
    levels = [level(t) for t in times]
    advance(x, times), advance(x, fine)
    z = torch.randn(64, 2, generator=generator(), dtype=torch.float64)
    error = injection.make_error(z, l2=0.3, divergence=0.1, generator=generator())
    carried = pushforward.Carried(torch.stack([x] * 5), torch.zeros(5, 64), torch.zeros(5, 64))
    with NoHostCopy():
        end = advance(x, times)
        basins = [strong.nearest(v, MIXTURE.means) for v in (end, y)]
        strong.strong_error(strong.distances(end, y), *basins)
        transport.sliced_w2(end, y, 16, generator())
        transport.line_w2(end[:, 0], y[:30, 0])
        transport.gaussian_w2(x[0], GAUSSIAN.covariance, x[1], GAUSSIAN.covariance)
        kernel.mmd2(end, y, z[:2, 0].abs())
        kernel.energy_distance(end, y)
        variation.projected_tv(end, y, 16, generator())
        variation.classifier_tv(end, y, 16, generator())
        pushforward.tv_curve(carried, MIXTURE, levels)
        budget.path_budget([x, y, end], ("a", "b"))
        gap = strong.distances(end, advance(x, fine))
        doubling.calibrate(gap, gap + 1)
        error.value(z), error.divergence(z)
        maps.value_and_jacobian(lambda v: advance(v, times), x)
        bridging.wilson(gap.mean(), 64)


def test_certificate_has_no_host_copy_in_its_steps():
    """One step's charge, levels and plans known, reads no value."""
    from samplers.diagnostics import certificate

    times = grid(2)
    advance = maps.sampler_map(score_field(MIXTURE, LAW), COMPONENT, steppers.make("ei_eps"))
    clean = MIXTURE.sample(32, generator())
    thetas, weights = interpolation.gauss_legendre(2)
    path = interpolation.Path(advance, LAW, (times[0],), times[1], thetas, 4)
    arguments = path, MIXTURE, clean, clean.flip(0), weights.tolist(), 2
    before = certificate._charge(*arguments)
    with NoHostCopy():
        after = certificate._charge(*arguments)
    torch.testing.assert_close(before, after)
    found = certify(advance, MIXTURE, LAW, times, count=32, generator=generator(), one_step=True)
    assert math.isfinite(found.bound)
