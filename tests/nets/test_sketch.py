"""The sketch of a chain: laid on the noise by the most likely motion, trusted as asked."""

import numpy as np
import pytest
import torch
from e3nn import o3
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from proteinweaver.nets.rotations import frame_rows, frames_of
from proteinweaver.nets.sketch import (
    SKETCH_CHANNELS,
    draw_towards_sketch,
    matrix_fisher_concentration,
    seen_frames,
)
from proteinweaver.nets.superpose import kabsch_rotation
from samplers import igso3

UNIT = 10.0


def _proposal(rot, trans, trust, trust_rot):
    """Channels that stand for given frames (angstrom) and log-odds."""
    values = torch.zeros(*trans.shape[:2], SKETCH_CHANNELS, dtype=trans.dtype)
    values[..., :3] = trans / UNIT
    values[..., 3:6], values[..., 6:9] = 3.0 * rot[..., 0], rot[..., 1] + 0.4 * rot[..., 0]
    values[..., 9], values[..., 10] = trust, trust_rot
    return values


def _case(length=30, seed=0):
    torch.manual_seed(seed)
    rot = o3.rand_matrix(1, length, dtype=torch.float64)
    trans = 9 * torch.randn(1, length, 3, dtype=torch.float64)
    return rot, trans - trans.mean(1, keepdim=True)


def _levels(alpha, sigma, sigma_rot):
    return tuple(torch.tensor([v], dtype=torch.float64) for v in (alpha, sigma, sigma_rot))


def test_kabsch_rotation_is_that_of_scipy():
    torch.manual_seed(1)
    a, b = torch.randn(4, 12, 3).double(), torch.randn(4, 12, 3).double()
    b[0] = a[0] * torch.tensor([1.0, 1.0, -1.0])  # a mirror image: the best is still a rotation
    found = kabsch_rotation(a.transpose(1, 2) @ b)
    for k in range(4):
        wanted, _ = Rotation.align_vectors(a[k].numpy(), b[k].numpy())
        np.testing.assert_allclose(found[k].numpy(), wanted.as_matrix(), atol=1e-8)


@pytest.mark.parametrize("sigma", [0.05, 2.5])
def test_the_concentration_meets_igso3_at_both_ends(sigma):
    """exp(c tr R) has the log-density slope of IGSO(3) along the angle."""
    s = torch.tensor(sigma, dtype=torch.float64)
    angle = torch.tensor([0.5, 1.5], dtype=torch.float64) * min(sigma, 1.0)
    density = igso3.log_density(angle, s.expand(2))
    fisher = matrix_fisher_concentration(s) * 2 * angle.cos()
    # The exact law differs by tau / 12 at one end and by 5 tau exp(-tau) at the other.
    assert (density[1] - density[0]).item() == pytest.approx(
        (fisher[1] - fisher[0]).item(), rel=0.06
    )


def _drawn(rot, trans, proposal, noisy, levels, mask, unit):
    seen = seen_frames(noisy, levels, mask, unit)
    return frames_of(draw_towards_sketch(frame_rows(rot, trans), proposal, seen))


def test_a_trusted_sketch_lands_on_the_noisy_frames():
    """The sketch is the truth in another pose; at little noise the estimate becomes the truth."""
    rot, trans = _case()
    turn = o3.rand_matrix(dtype=torch.float64)
    proposal = _proposal(turn @ rot, trans @ turn.T + 40.0, 30.0, 30.0)
    start = _case(seed=5)
    levels = _levels(0.999, 0.01, 0.05)
    mask = torch.ones(1, 30, dtype=torch.bool)
    got = _drawn(*start, proposal, (rot, 0.999 * trans), levels, mask, UNIT)
    assert torch.allclose(got[0], rot, atol=1e-8)
    assert torch.allclose(got[1], trans, atol=1e-7)


def test_an_untrusted_sketch_moves_nothing():
    rot, trans = _case()
    proposal = _proposal(*_case(seed=2), -60.0, -60.0)
    levels = _levels(0.6, 0.8, 1.0)
    mask = torch.ones(1, 30, dtype=torch.bool)
    got = _drawn(rot, trans, proposal, _case(seed=3), levels, mask, UNIT)
    assert torch.allclose(got[0], rot, atol=1e-12)
    assert torch.allclose(got[1], trans, atol=1e-12)


def test_the_motion_is_the_most_likely_one():
    """Against a numerical search over rotations, padding left out."""
    sketch, noisy = _case(seed=2), _case(seed=3)
    alpha, sigma, sigma_rot = 0.6, 0.8, 1.0
    mask = torch.ones(1, 30, dtype=torch.bool)
    mask[:, 22:] = False
    proposal = _proposal(*sketch, 60.0, 60.0)
    got, _ = _drawn(*_case(), proposal, noisy, _levels(alpha, sigma, sigma_rot), mask, UNIT)
    motion = (got[0, 0] @ sketch[0][0, 0].T).numpy()

    on = mask[0].numpy()
    p = sketch[1][0].numpy()[on]
    p = p - p.mean(0)
    x, own, seen = (v[0].numpy()[on] for v in (noisy[1], sketch[0], noisy[0]))
    c = matrix_fisher_concentration(torch.tensor(sigma_rot)).item()

    def negative_log_likelihood(v):
        g = Rotation.from_rotvec(v).as_matrix()
        gaussian = ((x - alpha * p @ g.T) ** 2).sum() / (2 * (UNIT * sigma) ** 2)
        return gaussian - c * np.einsum("nij,ik,nkj->", seen, g, own)

    starts = Rotation.random(12, random_state=0).as_rotvec()
    best = min((minimize(negative_log_likelihood, v) for v in starts), key=lambda r: r.fun)
    wanted = Rotation.from_rotvec(best.x)
    assert (wanted.inv() * Rotation.from_matrix(motion)).magnitude() < 1e-4


def test_trust_is_the_share_of_two_errors():
    """Half way between estimate and sketch where their errors are equal."""
    sketch = _case(seed=2)
    start = _case(seed=4)
    alpha, sigma = 0.6, 0.8
    error2 = (sigma / alpha) ** 2
    proposal = _proposal(*sketch, -float(np.log(error2)), -60.0)
    mask = torch.ones(1, 30, dtype=torch.bool)
    levels = _levels(alpha, sigma, 1.0)
    noisy = (sketch[0], alpha * sketch[1])
    _, trans = _drawn(*start, proposal, noisy, levels, mask, UNIT)
    assert torch.allclose(trans, 0.5 * (start[1] + sketch[1]), atol=1e-6)
