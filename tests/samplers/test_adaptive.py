"""The adaptive pairs: tolerance kept, calls as one expects, samples alone or together."""

import math

import pytest
import torch

from samplers import schedules, so3
from samplers.adaptive import PAIRS, integrate_adaptive
from samplers.integrate import Component
from samplers.spaces import SO3, Euclidean

TRANS, ROT = schedules.TangentPower(), schedules.LinearSigma()
LINE, TURN = Component(Euclidean(), TRANS, "x0"), Component(SO3(), ROT, "score")
VARIANCE = torch.tensor([0.04, 0.5, 2.0]).double()


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def clean(state, t):
    """Posterior mean of N(0, diag VARIANCE)."""
    a, s = TRANS.alpha(t)[:, None], TRANS.sigma(t)[:, None]
    return (state[0] * (a * VARIANCE / (a * a * VARIANCE + s * s)),)


def exact(x, t_max, t_min):
    rho = [TRANS.rho(t) ** 2 for t in (t_max, t_min)]
    growth = ((VARIANCE + rho[1]) / (VARIANCE + rho[0])).sqrt()
    return x * growth * TRANS.alpha(t_min) / TRANS.alpha(t_max)


@pytest.mark.parametrize("pair", PAIRS)
def test_error_follows_the_tolerance(pair):
    x, calls = normal(12, 3), []
    for tolerance in (1e-3, 1e-5, 1e-7):
        found = integrate_adaptive(
            clean, (x,), 0.9, 0.02, (LINE,), rtol=tolerance, atol=tolerance, pair=pair
        )
        assert found.finished.all()
        assert (found.state[0] - exact(x, 0.9, 0.02)).abs().max() < 10 * tolerance
        calls.append(found.calls.double().mean().item())
        assert found.batch_calls >= found.calls.max()
    growth = math.log(calls[2] / calls[1]) / math.log(100)
    assert 0.6 / PAIRS[pair].order < growth < 1.4 / PAIRS[pair].order


def test_tableaux_are_consistent():
    """Row sums are nodes, the embedded weights satisfy the conditions of their lower order."""
    for method in PAIRS.values():
        for c, row in zip(method.nodes[1:], method.rows, strict=True):
            assert sum(row) == pytest.approx(c, abs=1e-14)
        b = (*method.rows[-1], 0.0)
        for power in range(method.order):
            moment = sum(w * c**power for w, c in zip(b, method.nodes, strict=True))
            assert moment == pytest.approx(1 / (power + 1), abs=1e-14)
        for power in range(method.order - 1):
            moment = sum(e * c**power for e, c in zip(method.error, method.nodes, strict=True))
            assert moment == pytest.approx(0, abs=1e-14)


def turn(state, t):
    x, rot = state
    pull = so3.vee(rot.mT) + 0.5 * x
    return clean((x,), t)[0] * rot[:, 0, 0, None], pull / (0.1 + ROT.sigma(t)[:, None] ** 2)


def test_frames_against_a_tight_run_and_alone():
    """A product with two clocks; a sample's path does not depend on its company."""
    state = normal(5, 3), so3.haar(normal(5, 4, seed=1))
    components = (LINE, TURN)

    def run(tolerance, rows=slice(None), **options):
        start = tuple(s[rows] for s in state)
        return integrate_adaptive(
            turn, start, 0.9, 0.1, components, rtol=tolerance, atol=tolerance, **options
        )

    truth, found = run(1e-8), run(1e-5)
    assert (found.state[0] - truth.state[0]).abs().max() < 1e-4
    assert so3.distance(found.state[1], truth.state[1]).max() < 1e-4
    alone = run(1e-5, slice(2, 3))
    torch.testing.assert_close(found.state[1][2:3], alone.state[1], rtol=0, atol=1e-12)
    assert found.accepted[2] == alone.accepted[0]
    other = run(1e-6, pair="bosh3")
    assert so3.distance(other.state[1], truth.state[1]).max() < 1e-5


def test_calls_are_bounded():
    x = normal(4, 3)
    found = integrate_adaptive(clean, (x,), 0.9, 0.02, (LINE,), rtol=1e-9, atol=1e-9, max_calls=50)
    assert not found.finished.any()
    assert found.batch_calls <= 50
    assert bool(found.state[0].isfinite().all())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pair": "rk99"}, "unknown pair 'rk99'; one of bosh3, dopri5"),
        ({"rtol": 0.0}, "tolerances must be positive"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        integrate_adaptive(clean, (normal(1, 3),), 0.9, 0.1, (LINE,), **options)
    with pytest.raises(ValueError, match="need 0 <= t_min < t_max <= 1"):
        integrate_adaptive(clean, (normal(1, 3),), 0.1, 0.9, (LINE,))
