"""How domains lie, and nothing else: what the reward gradient may look at and what steers it.

A reward that sees the insides of domains is climbed fastest by bending them: the critic found
such designs native-like in training, all its branches alike, and their finished designs worse
(docs/preference.md). So insides are laid onto the estimate as they were given, and of a gradient
only what moves whole pieces passes.
"""

from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor

from proteinweaver.diffusion.wishes import Interface, Wishes, tethers
from proteinweaver.domains.trends import CONTACT_SHARE, native_contacts
from proteinweaver.evaluation.assembly import linker_reach
from proteinweaver.nets.condition import Condition
from proteinweaver.nets.denoiser import Denoised
from proteinweaver.nets.superpose import describe_pieces, superpose_pieces

__all__ = ["on_known_insides", "steering"]

_ROUNDS = 3


def on_known_insides(design: Denoised, condition: Condition) -> tuple[Denoised, Tensor]:
    """Lay the known insides onto an estimate.

    Parameters
    ----------
    design : Denoised
    condition : Condition

    Returns
    -------
    Denoised
        Pieces are exactly as known. Its gradient by the estimate is that of the rigid motion t +
        w x r which fits a piece's displacements best (least squares over CA).
    drift : Tensor, shape=(B,)
        Mean square distance of CA from where the known insides lie, over the residues of pieces
        (A^2), with gradient.
    """
    with torch.no_grad():
        pieces = describe_pieces(condition.piece, condition.known_rot, condition.known_trans)
        rot, trans = superpose_pieces(design.rot, design.trans, pieces)
    has = condition.piece >= 0
    away = (design.trans - trans).square().sum(-1) * has
    drift = away.sum(1) / has.sum(1).clamp_min(1)
    step = design.trans - design.trans.detach()
    moved, turned = design.trans.clone(), design.rot.clone()
    for row in range(len(has)):
        for number in range(int(condition.piece[row].max()) + 1):
            own = condition.piece[row] == number
            at = trans[row, own] - trans[row, own].mean(0)
            shift, turn = _rigid_part(at, step[row, own])
            moved[row, own] = trans[row, own] + shift + torch.linalg.cross(turn.expand_as(at), at)
            turned[row, own] = rot[row, own] + _cross_matrix(turn) @ rot[row, own]
    return replace(design, rot=turned, trans=moved), drift


def _rigid_part(at: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
    """Shift and turn (3,) that fit displacements of points about their centre, (n, 3) each."""
    inertia = at.square().sum() * torch.eye(3).to(at) - at.T @ at
    torque = torch.linalg.cross(at, step).sum(0)
    return step.mean(0), torch.linalg.pinv(inertia, hermitian=True) @ torque


def _cross_matrix(w: Tensor) -> Tensor:
    """[w]x, so that [w]x v = w x v."""
    zero = torch.zeros_like(w[0])
    rows = ((zero, -w[2], w[1]), (w[2], zero, -w[0]), (-w[1], w[0], zero))
    return torch.stack([torch.stack(row) for row in rows])


def steering(condition: Condition) -> tuple[Wishes, ...]:
    """Tell what `assemble` steers every chain by, where nothing is asked of its poses.

    Parameters
    ----------
    condition : Condition
        Pieces with known insides, numbered along the chain.

    Returns
    -------
    tuple of Wishes, length B
        Linkers hold the pieces, consecutive ones are drawn together.
    """
    found = []
    for row in condition.piece.cpu():
        members = [(row == k).nonzero()[:, 0] for k in range(int(row.max()) + 1)]
        interfaces = []
        for one, two in pairwise(members):
            wanted = round(CONTACT_SHARE * native_contacts([len(one), len(two)]))
            if wanted >= 1:
                interfaces.append(Interface(one, two, wanted))
        bounds = tethers(row, linker_reach)
        found.append(Wishes(bounds, interfaces=tuple(interfaces), rounds=_ROUNDS))
    return tuple(found)
