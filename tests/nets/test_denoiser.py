"""Symmetries of the whole network, with rotations drawn by e3nn."""

from dataclasses import fields, replace
from itertools import pairwise

import pytest
import torch
from e3nn import o3

from proteinweaver.nets.condition import RIGID, stack_conditions
from proteinweaver.nets.denoiser import NoiseLevel
from proteinweaver.nets.graph import build_graph


def rows(condition, index):
    return type(condition)(
        **{f.name: getattr(condition, f.name)[index] for f in fields(condition)}
    )


@pytest.fixture(scope="module")
def turns():
    """Three proper rotations from e3nn, the independent truth."""
    torch.manual_seed(3)
    return o3.rand_matrix(3, dtype=torch.float64)


def test_e3nn_rotations_are_proper(turns):
    assert torch.allclose(torch.det(turns), torch.ones(3, dtype=torch.float64))


@pytest.mark.parametrize("with_previous", [False, True])
def test_rotating_the_noise_rotates_the_estimate(net, make_case, turns, with_previous):
    (rot, trans), level, condition = make_case()
    (other_rot, other_trans), _, _ = make_case(seed=1)
    previous = (other_rot, other_trans) if with_previous else None
    out = net(rot, trans, level, condition, previous)
    assert (out.trans - trans).norm(dim=-1).mean() > 1.0, "the network must do something"
    for turn in turns:
        moved_previous = (turn @ other_rot, other_trans @ turn.T) if with_previous else None
        moved = net(turn @ rot, trans @ turn.T, level, condition, moved_previous)
        assert torch.allclose(moved.trans, out.trans @ turn.T, atol=1e-8)
        assert torch.allclose(moved.rot, turn @ out.rot, atol=1e-8)
        assert torch.allclose(moved.psi, out.psi, atol=1e-8)


def test_a_reflection_is_noticed(net, make_case):
    """Distances alone would not see handedness; frames do."""
    (rot, trans), level, condition = make_case()
    mirror = torch.diag(torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64))
    out = net(rot, trans, level, condition)
    # The mirrored chain with right-handed frames: axes reflected, third axis turned back.
    flipped = net(mirror @ rot @ mirror, trans @ mirror, level, condition)
    assert (flipped.trans - out.trans @ mirror).norm(dim=-1).mean() > 0.5


def test_the_pose_of_a_piece_is_invisible(net, make_case, turns):
    """Every piece may be given in any coordinate system of its own."""
    (rot, trans), level, condition = make_case()
    out = net(rot, trans, level, condition)
    known_rot, known_trans = condition.known_rot.clone(), condition.known_trans.clone()
    for number, (turn, shift) in enumerate(zip(turns, (40.0, -70.0), strict=False)):
        on = condition.piece == number
        known_rot[on] = turn @ known_rot[on]
        known_trans[on] = known_trans[on] @ turn.T + shift
    moved = net(
        rot, trans, level, replace(condition, known_rot=known_rot, known_trans=known_trans)
    )
    assert torch.allclose(moved.trans, out.trans, atol=1e-7)
    assert torch.allclose(moved.rot, out.rot, atol=1e-7)


def test_estimates_have_zero_centre_of_mass_and_proper_rotations(net, make_case):
    (rot, trans), level, condition = make_case()
    assert net(rot, trans, level, condition).blocks == ()
    out = net(rot, trans, level, condition, supervised=True)
    assert len(out.blocks) == 2 * net.config.blocks
    assert out.trans.mean(1).abs().max() < 1e-10
    for _, estimate in out.blocks:
        assert estimate.mean(1).abs().max() < 1e-10
    eye = torch.eye(3, dtype=torch.float64)
    assert torch.allclose(out.rot @ out.rot.transpose(-1, -2), eye.expand_as(out.rot), atol=1e-9)
    assert torch.allclose(torch.det(out.rot), torch.ones_like(out.rot[..., 0, 0]), atol=1e-9)
    assert torch.allclose(out.psi.norm(dim=-1), torch.ones_like(out.psi[..., 0]), atol=1e-9)


def test_padding_and_company_change_nothing(net, make_case):
    """An item alone, in a batch, and padded beside a longer one: the same estimate."""
    (rot, trans), level, condition = make_case(batch=2, length=30)
    (long_rot, long_trans), _, long_condition = make_case(batch=1, length=47, seed=5)
    alone = net(
        rot[:1],
        trans[:1],
        NoiseLevel(*(v[:1] for v in vars(level).values())),
        rows(condition, slice(0, 1)),
    )
    together = net(rot, trans, level, condition)
    assert torch.allclose(together.trans[:1], alone.trans, atol=1e-9)

    both = stack_conditions([rows(condition, slice(0, 1)), long_condition])
    padded_rot, padded_trans = long_rot.repeat(2, 1, 1, 1), long_trans.repeat(2, 1, 1)
    padded_rot[0, :30], padded_trans[0, :30] = (
        rot[0],
        trans[0],
    )  # behind it: the other item's frames
    two = NoiseLevel(*(v[:1].repeat(2) for v in vars(level).values()))
    padded = net(padded_rot, padded_trans, two, both)
    assert torch.allclose(padded.trans[0, :30], alone.trans[0], atol=1e-8)
    assert torch.allclose(padded.rot[0, :30], alone.rot[0], atol=1e-8)
    assert torch.allclose(padded.psi[0, :30], alone.psi[0], atol=1e-8)


def test_a_short_chain_survives_padding(net, make_case):
    """Fewer residues than the network takes neighbours."""
    (rot, trans), level, condition = make_case(batch=1, length=4)
    (long_rot, long_trans), _, long_condition = make_case(batch=1, length=20, seed=2)
    alone = net(rot, trans, level, condition)
    both = stack_conditions([condition, long_condition])
    long_rot, long_trans = long_rot.repeat(2, 1, 1, 1), long_trans.repeat(2, 1, 1)
    long_rot[0, :4], long_trans[0, :4] = rot[0], trans[0]
    padded = net(
        long_rot, long_trans, NoiseLevel(*(v.repeat(2) for v in vars(level).values())), both
    )
    assert torch.allclose(padded.trans[0, :4], alone.trans[0], atol=1e-8)


def test_rigid_pieces_keep_their_inside_exactly(net, make_case):
    (rot, trans), level, condition = make_case()
    out = net(rot, trans, level, condition)
    for row in range(2):
        on = (condition.piece[row] >= 0) & (condition.mode[row] == RIGID)
        known = condition.known_trans[row, on]
        assert torch.allclose(
            torch.cdist(out.trans[row, on], out.trans[row, on]),
            torch.cdist(known, known),
            atol=1e-6,
        )
        relative = out.rot[row, on][0].T @ out.rot[row, on]
        wanted = condition.known_rot[row, on][0].T @ condition.known_rot[row, on]
        assert torch.allclose(relative, wanted, atol=1e-6)


def test_the_estimate_is_continuous_where_neighbours_change(net, make_case):
    """Slide one residue along a line: no jump where the set of neighbours changes."""
    (rot, trans), level, condition = make_case(batch=1, length=60)
    condition = replace(condition, piece=torch.full_like(condition.piece, -1))
    direction = torch.tensor([1.0, -0.5, 0.25], dtype=torch.float64)
    start_scale = (level.alpha / (level.alpha**2 + level.sigma**2)).item()
    edges = net.settle(condition).edges

    def noisy(s):
        moved = trans.clone()
        moved[0, 12] += s * direction
        return moved

    def neighbours(s):
        graph = build_graph(noisy(s) * start_scale, edges, net.config.n_outside)
        return [set(row) for row in graph.source[0].tolist()]

    grid = torch.linspace(0, 16, 41, dtype=torch.float64).tolist()
    changes = [(a, b) for a, b in pairwise(grid) if neighbours(a) != neighbours(b)]
    assert len(changes) >= 5
    for low, high in changes[:5]:
        first = neighbours(low)
        while high - low > 1e-9:
            middle = 0.5 * (low + high)
            low, high = (middle, high) if neighbours(middle) == first else (low, middle)
        with torch.no_grad():
            jump = (
                net(rot, noisy(high), level, condition).trans
                - net(rot, noisy(low), level, condition).trans
            )
        assert jump.abs().max() < 1e-5, f"jump of {float(jump.abs().max())} A at s = {low}"


def test_every_parameter_is_trained(net, make_case):
    """No parameter is out of reach of the gradient (distributed training relies on it)."""
    (rot, trans), level, condition = make_case()
    out = net(rot, trans, level, condition, supervised=True)
    loss = out.trans.square().sum() + out.rot[..., 0, 1].sum() + out.psi[..., 0].sum()
    loss = loss + sum(r[..., 1, 2].sum() + x.square().sum() for r, x in out.blocks)
    net.zero_grad()
    loss.backward()
    missing = [name for name, p in net.named_parameters() if p.grad is None]
    assert not missing, missing
    net.zero_grad()


def test_a_settled_condition_gives_the_same_estimate(net, make_case):
    (rot, trans), level, condition = make_case()
    plain = net(rot, trans, level, condition)
    settled = net(rot, trans, level, net.settle(condition))
    assert torch.equal(plain.trans, settled.trans)
    assert torch.equal(plain.rot, settled.rot)
