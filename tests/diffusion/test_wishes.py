"""Wishes move whole pieces until they are met, and nothing else."""

import pytest
import torch

from proteinweaver.diffusion.wishes import Bound, Interface, Wishes, meet_wishes
from samplers.so3 import exp

GENERATOR = torch.Generator().manual_seed(0)
BALL = 6.0 * torch.randn(30, 3, generator=GENERATOR)
OTHER = 6.0 * torch.randn(40, 3, generator=GENERATOR)
PIECE = torch.tensor([0] * 30 + [-1] * 5 + [1] * 40)
LEFT, RIGHT = torch.arange(30), torch.arange(35, 75)


def chain(distance: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Two balls of residues some way apart, a straight linker between their centres."""
    shift = torch.tensor([distance, 0.0, 0.0])
    linker = torch.linspace(0, 1, 7)[1:-1, None] * shift
    trans = torch.cat((BALL, linker, OTHER + shift))
    return torch.eye(3).repeat(75, 1, 1), trans


def closest(trans: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> float:
    return float(torch.cdist(trans[a], trans[b]).min())


@pytest.mark.parametrize(
    ("distance", "bound"),
    [
        (60.0, Bound(LEFT[:5], RIGHT[-5:], upper=7.0)),
        (10.0, Bound(LEFT, RIGHT, lower=15.0)),
        (0.0, Bound(LEFT, RIGHT, lower=12.0)),
    ],
)
def test_bounds_are_met_and_insides_kept(distance, bound):
    rot, trans = chain(distance)
    new_rot, moved = rot, trans
    for _ in range(10):
        new_rot, moved = meet_wishes(new_rot, moved, PIECE, (rot, trans), Wishes((bound,)), 1.0)
    found = closest(moved, bound.a, bound.b)
    assert bound.lower - 0.05 <= found <= bound.upper + 0.05
    for rows in (LEFT, RIGHT):
        torch.testing.assert_close(
            torch.pdist(moved[rows]),
            torch.pdist(trans[rows]),
            atol=2e-3,
            rtol=0,
        )
        # frames turn with the atoms of their piece
        turned = (trans[rows] - trans[rows].mean(0)) @ new_rot[rows[0]].T + moved[rows].mean(0)
        torch.testing.assert_close(turned, moved[rows], atol=2e-3, rtol=0)


def test_what_is_met_stays_and_no_share_does_nothing():
    rot, trans = chain(40.0)
    wishes = Wishes((Bound(LEFT, RIGHT, lower=5.0, upper=60.0),))
    for share, asked in ((1.0, wishes), (0.0, Wishes((Bound(LEFT, RIGHT, upper=4.0),)))):
        new_rot, moved = meet_wishes(rot, trans, PIECE, (rot, trans), asked, share)
        torch.testing.assert_close(moved, trans)
        torch.testing.assert_close(new_rot, rot)


def test_momentum_is_conserved():
    """Two free bodies move against one another: their common centre of mass stays."""
    rot, trans = chain(50.0)
    wishes = Wishes((Bound(LEFT[:3], RIGHT[:3], upper=6.0),))
    _, moved = meet_wishes(rot, trans, PIECE, (rot, trans), wishes, 0.7)
    known = PIECE >= 0
    torch.testing.assert_close(moved[known].mean(0), trans[known].mean(0), atol=1e-3, rtol=0)


def test_granting_turns_with_the_chain():
    rot, trans = chain(25.0)
    wishes = Wishes((Bound(LEFT[:5], RIGHT[-5:], upper=7.0),))
    turn = exp(torch.tensor([0.7, -0.4, 1.1]))
    a_rot, a = meet_wishes(rot, trans, PIECE, (rot, trans), wishes, 0.8)
    b_rot, b = meet_wishes(turn @ rot, trans @ turn.T, PIECE, (rot, trans), wishes, 0.8)
    torch.testing.assert_close(b, a @ turn.T, atol=2e-3, rtol=0)
    torch.testing.assert_close(b_rot, turn @ a_rot, atol=2e-3, rtol=0)


def test_an_obstacle_travels_with_its_piece_and_is_cleared():
    rot, trans = chain(22.0)
    obstacle = OTHER[:10] * 0.4 + torch.tensor([14.0, 3.0, 0.0])  # beside the first piece
    known = (rot, torch.where((PIECE == 0)[:, None], trans, torch.zeros_like(trans)))
    wishes = Wishes((), obstacle, anchor=0, clearance=6.0)
    moved, new_rot = trans, rot
    for _ in range(12):
        new_rot, moved = meet_wishes(new_rot, moved, PIECE, known, wishes, 1.0)
    assert float(torch.cdist(trans[RIGHT], obstacle).min()) < 5.0
    rows = torch.cat((torch.arange(30, 35), RIGHT))
    assert float(torch.cdist(moved[rows], obstacle).min()) > 5.5
    torch.testing.assert_close(moved[LEFT], trans[LEFT], atol=1e-4, rtol=0)


def test_an_interface_draws_two_domains_together_without_clashes():
    left, right = (
        r * torch.nn.functional.normalize(x, dim=-1) for r, x in ((8, BALL), (9, OTHER))
    )
    linker = torch.linspace(0, 45, 7)[1:-1, None] * torch.tensor([1.0, 0.0, 0.0])
    trans = torch.cat((left, linker, right + torch.tensor([45.0, 0.0, 0.0])))
    rot = torch.eye(3).repeat(75, 1, 1)
    wishes = Wishes(interfaces=(Interface(LEFT, RIGHT, 20),))
    moved, new_rot = trans, rot
    for _ in range(20):
        new_rot, moved = meet_wishes(new_rot, moved, PIECE, (rot, trans), wishes, 1.0, 0.5)
    assert int((torch.cdist(trans[LEFT], trans[RIGHT]) < 8.0).sum()) == 0
    assert int((torch.cdist(moved[LEFT], moved[RIGHT]) < 8.0).sum()) >= 15
    assert 4.5 < closest(moved, LEFT, RIGHT) < 6.8


def test_crowded_pieces_part_but_bonded_neighbours_stay():
    """Eight balls in a heap come to lie 4.5 A apart; two pieces bonded directly do not move."""
    generator = torch.Generator().manual_seed(2)
    ball = 5.0 * torch.nn.functional.normalize(torch.randn(25, 3, generator=generator), dim=-1)
    centres = 9.0 * torch.randn(8, 1, 3, generator=generator)
    trans = (ball + centres).reshape(-1, 3)
    piece = torch.arange(8).repeat_interleave(25)
    wishes = Wishes((Bound(torch.tensor([24]), torch.tensor([25]), upper=200.0),))
    rot = torch.eye(3).repeat(200, 1, 1)
    for _ in range(30):
        rot, trans = meet_wishes(rot, trans, piece, (rot, trans), wishes, 1.0, 0.5)
    foreign = piece[:, None] != piece[None]
    bonded = (torch.arange(200)[:, None] - torch.arange(200)).abs() < 3
    gaps = torch.cdist(trans, trans)[foreign & ~bonded]
    assert float(gaps.min()) > 4.5
    line = torch.arange(20.0)[:, None] * torch.tensor([3.8, 0.0, 0.0])
    two = torch.tensor([0] * 10 + [1] * 10)
    bond = Wishes((Bound(torch.tensor([9]), torch.tensor([10]), upper=4.0),))
    eye = torch.eye(3).repeat(20, 1, 1)
    torch.testing.assert_close(meet_wishes(eye, line, two, (eye, line), bond, 1.0, 0.5)[1], line)
