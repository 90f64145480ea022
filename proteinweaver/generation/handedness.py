"""Layouts of the right hand.

Two parallel strands joined by a helix make a right-handed turn in nearly all natives (Richardson
1976, PNAS 73, 2619). Where elements lie is decided at noise so large that the layout model does
not know the hand: half of its crossovers are left-handed (docs/training.md, question 31). A mirror
image of where the elements lie, with the elements themselves as they are, is the same fold of the
other hand, and costs nothing.
"""

import numpy as np
import torch
from torch import Tensor

from proteinweaver.evaluation.packing import crossovers
from proteinweaver.nets.condition import SS_TOKENS, Condition
from proteinweaver.nets.superpose import kabsch_rotation

__all__ = ["excess_of_right_hands", "mirrored", "right_handed"]

_LETTERS = np.array([{"H": "a", "E": "b"}.get(token, "c") for token in SS_TOKENS])


def excess_of_right_hands(condition: Condition, trans: Tensor) -> int:
    """Count right-handed crossovers less left-handed ones.

    Parameters
    ----------
    condition : Condition
        Of one chain, shapes (1, L, ...); its elements are those it tells.
    trans : Tensor, shape=(L, 3)
        CA, angstrom.

    Returns
    -------
    int
    """
    found = crossovers(trans.numpy(), _LETTERS[condition.ss[0].numpy()])
    return 2 * sum(found) - len(found)


def mirrored(condition: Condition, rot: Tensor, trans: Tensor) -> tuple[Tensor, Tensor]:
    """Reflect where pieces lie, not what they are.

    Every piece is superposed on the mirror image of its CA (Kabsch 1976). Residues between pieces
    take the mirror image of their frame: S R S for a reflection S, a rotation again.

    Parameters
    ----------
    condition : Condition
        Of one chain, shapes (1, L, ...).
    rot, trans : Tensor, shape=(L, 3, 3) and (L, 3)
        Frames of all residues (angstrom).

    Returns
    -------
    rot, trans : Tensor, shape=(L, 3, 3) and (L, 3)
    """
    mirror = torch.tensor([-1.0, 1.0, 1.0])
    out_rot, out_trans = mirror[:, None] * rot * mirror, trans * mirror
    piece = condition.piece[0]
    for number in piece[piece >= 0].unique().tolist():
        own = piece == number
        known_rot, known_trans = condition.known_rot[0, own], condition.known_trans[0, own]
        source = known_trans - known_trans.mean(0)
        centre = out_trans[own].mean(0)
        motion = kabsch_rotation((out_trans[own] - centre).T @ source)
        out_rot[own] = motion @ known_rot
        out_trans[own] = source @ motion.T + centre
    return out_rot, out_trans


def right_handed(condition: Condition, rot: Tensor, trans: Tensor) -> tuple[Tensor, Tensor]:
    """Reflect a layout most of whose crossovers are left-handed.

    Parameters
    ----------
    condition : Condition
        Of one chain, shapes (1, L, ...).
    rot, trans : Tensor, shape=(L, 3, 3) and (L, 3)
        Frames of all residues (angstrom).

    Returns
    -------
    rot, trans : Tensor, shape=(L, 3, 3) and (L, 3)
        The layout itself, where it has as many right-handed ones or its image has not more.
    """
    before = excess_of_right_hands(condition, trans)
    if before >= 0:
        return rot, trans
    image = mirrored(condition, rot, trans)
    return image if excess_of_right_hands(condition, image[1]) > before else (rot, trans)
