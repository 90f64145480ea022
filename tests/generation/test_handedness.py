"""Layouts of the wrong hand are reflected."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from proteinweaver.evaluation.packing import crossovers
from proteinweaver.generation.condition import condition_for, pieces_of_blueprint
from proteinweaver.generation.handedness import excess_of_right_hands, mirrored, right_handed

TEXT = "L" + "E" * 6 + "LLL" + "H" * 12 + "LLL" + "E" * 6 + "L"
FIRST, HELIX, SECOND = range(1, 7), range(10, 22), range(25, 31)


@pytest.fixture(scope="module")
def crossover():
    """A condition, and frames of a right-handed crossover: strands side by side, helix above."""
    condition = condition_for(len(TEXT), pieces_of_blueprint(TEXT, np.random.default_rng(0)), TEXT)
    rot, trans = torch.eye(3).repeat(len(TEXT), 1, 1), torch.zeros(len(TEXT), 3)
    # strands run along z at x = 0 and x = 5; the helix runs back at y = 10: h x s points to -z
    for rows, place, sign in ((FIRST, (0, 0), 1), (HELIX, (2.5, -10), -1), (SECOND, (5, 0), 1)):
        known = condition.known_trans[0, list(rows)]
        known = known - known.mean(0)
        ends = (known[-1] - known[0]).numpy()
        turn = Rotation.align_vectors([[0, 0, sign]], [ends / np.linalg.norm(ends)])[0].as_matrix()
        turn = torch.from_numpy(turn).float()
        rot[list(rows)] = turn @ condition.known_rot[0, list(rows)]
        trans[list(rows)] = known @ turn.T + torch.tensor([*place, 0.0])
    for row in (0, 7, 8, 9, 22, 23, 24, 31):
        trans[row] = torch.tensor([2.5, -5.0, 8.0])
    return condition, rot, trans


def test_the_hand_of_a_layout(crossover):
    condition, rot, trans = crossover
    letters = np.array(list(TEXT.translate(str.maketrans("HEL", "abc"))))
    assert crossovers(trans.numpy(), letters) == [True]
    assert excess_of_right_hands(condition, trans) == 1
    left_rot, left = mirrored(condition, rot, trans)
    assert excess_of_right_hands(condition, left) == -1
    kept = right_handed(condition, rot, trans)
    assert kept[0] is rot and kept[1] is trans
    back = right_handed(condition, left_rot, left)
    assert excess_of_right_hands(condition, back[1]) == 1


def test_pieces_stay_what_they_are(crossover):
    condition, rot, trans = crossover
    image_rot, image = mirrored(condition, rot, trans)
    torch.testing.assert_close(torch.linalg.det(image_rot), torch.ones(len(TEXT)))
    for rows in (FIRST, HELIX, SECOND):
        own = list(rows)
        known = condition.known_trans[0, own]
        torch.testing.assert_close(
            torch.cdist(image[own], image[own]), torch.cdist(known, known), atol=1e-3, rtol=0
        )
        # a proper motion: axes of the frames see the neighbours as the known ones do
        seen = torch.einsum("iba,ib->ia", image_rot[own][:-1], image[own].diff(dim=0))
        told = torch.einsum("iba,ib->ia", condition.known_rot[0, own][:-1], known.diff(dim=0))
        torch.testing.assert_close(seen, told, atol=1e-3, rtol=0)
        expected = trans[own].mean(0) * torch.tensor([-1.0, 1.0, 1.0])
        torch.testing.assert_close(image[own].mean(0), expected, atol=1e-4, rtol=0)
    # strands are nearly flat, so they come to lie on their image
    fit, _ = Rotation.align_vectors(
        (image[list(FIRST)] - image[list(FIRST)].mean(0)).numpy(),
        ((trans * torch.tensor([-1.0, 1.0, 1.0]))[list(FIRST)]
         - (trans * torch.tensor([-1.0, 1.0, 1.0]))[list(FIRST)].mean(0)).numpy(),
    )  # fmt: skip
    assert fit.magnitude() < 0.05
    loop = [7, 8, 9]
    torch.testing.assert_close(image[loop], trans[loop] * torch.tensor([-1.0, 1.0, 1.0]))


def test_without_crossovers_nothing_is_touched(crossover):
    condition, rot, trans = crossover
    loops = replace(condition, ss=torch.zeros_like(condition.ss))
    assert excess_of_right_hands(loops, trans) == 0
    assert right_handed(loops, rot, trans)[1] is trans
