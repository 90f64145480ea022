"""Reference flows against closed forms, change of variables and themselves run back."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from samplers import so3
from samplers.schedules import LinearSigma, VPLinear
from samplers.targets import (
    FrameMixture,
    Funnel,
    Gaussian,
    GaussianMixture,
    IGSO3Mixture,
    noised,
    reference,
)

RNG = np.random.default_rng(5)
HALF = torch.tensor([0.5, 0.5], dtype=torch.float64)
TURNS = torch.from_numpy(Rotation.random(4, random_state=2).as_matrix())
START, END = (0.05, 0.999), (0.999, 0.04)


def test_gaussian_flow_to_1e_10():
    a = torch.from_numpy(RNG.standard_normal((3, 3)))
    target = Gaussian(torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64), a @ a.T)
    x = torch.from_numpy(RNG.standard_normal((8, 3)))
    out = reference.score_flow(target.score, x, START, END)
    torch.testing.assert_close(out, target.flow(x, START, END), rtol=0, atol=1e-10)
    assert reference.flow(target, x, START, END).equal(target.flow(x, START, END))


@pytest.mark.parametrize(
    "target",
    [
        GaussianMixture(HALF, torch.from_numpy(RNG.standard_normal((2, 2))), 0.3 * HALF),
        Funnel(1, 1.0),
    ],
    ids=["mixture", "funnel"],
)
def test_flow_self_check_and_return(target):
    x = noised(target, 6, *START, torch.Generator().manual_seed(0))
    out, difference = reference.check(lambda tol: reference.flow(target, x, START, END, tol))
    assert difference < 1e-9
    back = reference.flow(target, out, END, START)
    torch.testing.assert_close(back, x, rtol=0, atol=1e-8)


def test_rotation_flow_of_one_mode_is_radial():
    """The direction is kept and the angle's quantile too: the flow transports the radial law."""
    from samplers import igso3

    target = IGSO3Mixture(
        torch.ones(1).double(), TURNS[:1], torch.tensor([0.1], dtype=torch.float64)
    )
    rot = target.sample(5, 1.2, torch.Generator().manual_seed(0))
    out = reference.rotation_flow(target, rot, 1.2, 0.2)
    before, after = (so3.log(TURNS[0].T @ r) for r in (rot, out))
    w0, w1 = before.norm(dim=-1), after.norm(dim=-1)
    torch.testing.assert_close(before / w0[:, None], after / w1[:, None], rtol=0, atol=1e-9)
    widths = [(0.1 + s**2) ** 0.5 for s in (1.2, 0.2)]
    torch.testing.assert_close(
        igso3.cdf(w1, widths[1]), igso3.cdf(w0, widths[0]), rtol=0, atol=1e-9
    )


def test_frame_flow_reduces_to_its_factors():
    """One mode: translations follow the Gaussian flow, rotations the one on SO(3)."""
    law, law_rot = VPLinear(), LinearSigma()
    one = torch.ones(1).double()
    target = FrameMixture(
        one,
        torch.from_numpy(RNG.standard_normal((1, 1, 3))),
        0.4 * one,
        TURNS[:1, None],
        0.1 * one,
    )
    start, end = 0.5, 0.2
    level = law.alpha(start), law.sigma(start), law_rot.sigma(start)
    x, rot = target.sample(2, *level, torch.Generator().manual_seed(1))
    y, turn = reference.frame_flow(target, (x, rot), (law, law_rot), start, end)
    gaussian = Gaussian(target.means[0, 0], 0.16 * torch.eye(3).double())
    truth = gaussian.flow(x[:, 0], level[:2], (law.alpha(end), law.sigma(end)))
    torch.testing.assert_close(y[:, 0], truth, rtol=0, atol=1e-10)
    alone = IGSO3Mixture(one, TURNS[:1], 0.1 * one)
    truth = reference.rotation_flow(alone, rot[:, 0], level[2], law_rot.sigma(end))
    torch.testing.assert_close(turn[:, 0], truth, rtol=0, atol=1e-9)


def test_frame_flow_returns():
    law, law_rot = VPLinear(), LinearSigma()
    target = FrameMixture(
        HALF, torch.from_numpy(RNG.standard_normal((2, 2, 3))), 0.6 * HALF,
        TURNS.reshape(2, 2, 3, 3), 0.2 * HALF,
    )  # fmt: skip
    level = law.alpha(0.5), law.sigma(0.5), law_rot.sigma(0.5)
    state = target.sample(3, *level, torch.Generator().manual_seed(1))
    out = reference.frame_flow(target, state, (law, law_rot), 0.5, 0.15, 1e-11)
    x, rot = reference.frame_flow(target, out, (law, law_rot), 0.15, 0.5, 1e-11)
    torch.testing.assert_close(x, state[0], rtol=0, atol=1e-8)
    torch.testing.assert_close(rot, state[1], rtol=0, atol=1e-8)


def test_cache_is_keyed_by_content(tmp_path):
    calls = []

    def compute(value):
        calls.append(value)
        return torch.tensor([value], dtype=torch.float64)

    x = torch.arange(3.0)
    for key in ((x, 1e-9), (x.clone(), 1e-9)):
        assert reference.cached(tmp_path, key, lambda: compute(1.0)).item() == 1.0
    assert reference.cached(tmp_path, (x + 1, 1e-9), lambda: compute(2.0)).item() == 2.0
    assert reference.cached(None, (x,), lambda: compute(3.0)).item() == 3.0
    assert calls == [1.0, 2.0, 3.0]
