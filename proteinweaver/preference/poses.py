"""How domains and linkers lie: what the reward gradient may look at, and what steers or holds it.

A reward that sees the insides of domains is climbed fastest by bending them: the critic found
such designs native-like in training, all its branches alike, and their finished designs worse
(docs/preference.md). So insides are laid onto the estimate as they were given, and of their
gradient only what moves whole pieces passes. Linkers are left as they are.
"""

from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor

from proteinweaver.diffusion.wishes import (
    ROUNDS_UNASKED,
    Interface,
    Wishes,
    tethers,
    touching,
)
from proteinweaver.domains.trends import CONTACT_SHARE, native_contacts
from proteinweaver.evaluation.assembly import linker_reach
from proteinweaver.nets.condition import Condition
from proteinweaver.nets.denoiser import Denoised
from proteinweaver.nets.rotations import frame_rows, frames_of
from proteinweaver.nets.superpose import describe_pieces, superpose_pieces
from proteinweaver.structure.closure import RIGID_FORCES, close_backbone, loose_ends
from proteinweaver.structure.frames import IDEAL_N, frames_from_coord

__all__ = ["closed", "held", "on_known_insides", "steering"]

_LOOSE, _STEPS = 2, 150  # residues at the ends of pieces that closing may move; its steps
_STRETCH = 2.0  # residues; width (standard deviation) of what moves together in a linker
_FARTHEST = 40  # residues from piece to piece; more hold a domain of unknown inside


def held(condition: Condition, designs: Tensor) -> Condition:
    """Tell all pieces as one body, in the poses that they have in a design.

    Parameters
    ----------
    condition : Condition
    designs : Tensor, shape=(B, L, 4, 3)
        N, CA, C, O in angstrom.

    Returns
    -------
    Condition
    """
    rot, trans = frames_from_coord(designs)
    has = condition.piece >= 0
    return replace(
        condition,
        piece=torch.where(has, 0, condition.piece),
        known_rot=torch.where(has[..., None, None], rot, condition.known_rot),
        known_trans=torch.where(has[..., None], trans, condition.known_trans),
    )


def on_known_insides(design: Denoised, condition: Condition) -> tuple[Denoised, Tensor]:
    """Lay the known insides onto an estimate.

    Parameters
    ----------
    design : Denoised
    condition : Condition

    Returns
    -------
    Denoised
        Pieces are exactly as known, carbonyls included (planar peptides). Its gradient by the
        estimate is that of the rigid motion t + w x r which fits a piece's displacements best
        (least squares over CA).
    drift : Tensor, shape=(B,)
        Mean square distance of CA from where the known insides lie, over the residues of pieces
        (A^2), with gradient.
    """
    with torch.no_grad():
        pieces = describe_pieces(condition.piece, condition.known_rot, condition.known_trans)
        rot, trans = frames_of(superpose_pieces(frame_rows(design.rot, design.trans), pieces))
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
            axes = rot[row, own]
            turned[row, own] = axes + torch.linalg.cross(
                turn[:, None].expand_as(axes), axes, dim=-2
            )
    psi = _known_psi(design.psi, condition)
    return replace(design, rot=turned, trans=moved, psi=psi), drift


def closed(coord: Tensor, condition: Condition) -> Tensor:
    """Close linkers as finished designs are closed, pieces staying as they are.

    Parameters
    ----------
    coord : Tensor, shape=(B, L, 4, 3)
        N, CA, C, O in angstrom.
    condition : Condition
        Its pieces are rigid but for two residues at their ends.

    Returns
    -------
    Tensor, shape=(B, L, 4, 3)
        Its gradient is passed on as if closing did nothing, of linkers a running mean over
        neighbours in sequence (Gaussian, 2 residues) of the forces on whole residues; where a
        chain has one piece alone, that of the piece is left out.
    """
    free = (condition.piece < 0) & condition.mask
    loose = torch.zeros(free.shape, dtype=torch.bool)
    for row, length in enumerate(condition.lengths):
        ends = loose_ends(condition.piece[row, :length].cpu().numpy(), _LOOSE)
        loose[row, :length] = torch.from_numpy(ends)
    bonded = torch.ones_like(free)
    bonded[:, :-1] = condition.index.diff(dim=1) == 1
    at = close_backbone(
        coord.detach().cpu(),
        condition.mask.cpu(),
        condition.piece.cpu(),
        bonded=bonded.cpu(),
        loose=loose,
        forces=RIGID_FORCES,
        steps=_STEPS,
    ).coord.to(coord)
    if coord.requires_grad:
        several = (condition.piece.amax(1) > 0)[:, None, None, None]

        def collective(slope: Tensor) -> Tensor:
            bent = _stretches(slope.sum(2) * free[..., None]) / 4.0
            return torch.where(free[..., None, None], bent[:, :, None], slope * several)

        coord.register_hook(collective)  # type: ignore[no-untyped-call]
    return coord + (at - coord).detach()


def _stretches(force: Tensor) -> Tensor:
    """Mean over neighbours in sequence, (B, L, 3)."""
    reach = int(2 * _STRETCH)
    weight = torch.exp(-0.5 * (torch.arange(-reach, reach + 1).to(force) / _STRETCH) ** 2)
    rows = force.transpose(1, 2).reshape(-1, 1, force.shape[1])
    mean = torch.nn.functional.conv1d(rows, (weight / weight.sum())[None, None], padding=reach)
    return mean.reshape(len(force), 3, -1).transpose(1, 2)


def _known_psi(psi: Tensor, condition: Condition) -> Tensor:
    """Psi of known insides, from where the next residue's N lies; no gradient in pieces."""
    rot, trans, piece = condition.known_rot, condition.known_trans, condition.piece
    following = trans + (rot @ trans.new_tensor(IDEAL_N)[:, None])[..., 0]
    seen = torch.einsum("blji,blj->bli", rot[:, :-1], following[:, 1:] - trans[:, :-1])
    known = torch.nn.functional.normalize(seen[..., 1:], dim=-1)
    told = torch.where((piece >= 0)[..., None], psi.detach(), psi)
    inside = (piece[:, :-1] >= 0) & (piece[:, :-1] == piece[:, 1:])
    inner = torch.where(inside[..., None], known, told[:, :-1])
    return torch.cat((inner, told[:, -1:]), dim=1)


def _rigid_part(at: Tensor, step: Tensor) -> tuple[Tensor, Tensor]:
    """Shift and turn (3,) that fit displacements of points about their centre, (n, 3) each."""
    inertia = at.square().sum() * torch.eye(3).to(at) - at.T @ at
    torque = torch.linalg.cross(at, step).sum(0)
    return step.mean(0), torch.linalg.pinv(inertia, hermitian=True) @ torque


def steering(condition: Condition) -> tuple[Wishes, ...]:
    """Tell what `assemble` steers every chain by, where nothing is asked of its poses.

    Parameters
    ----------
    condition : Condition
        Pieces with known insides, domains all of them, numbered along the chain. Helices of
        linkers, and domains that keep a pose, are not told from others here.

    Returns
    -------
    tuple of Wishes, length B
        Linkers hold the pieces, neighbours are drawn together.
    """
    found = []
    for row in condition.piece.cpu():
        members = [(row == k).nonzero()[:, 0] for k in range(int(row.max()) + 1)]
        interfaces: list[Interface] = []
        for one, two in pairwise(members):
            wanted = CONTACT_SHARE * native_contacts([len(one), len(two)])
            if int(two[0] - one[-1]) <= _FARTHEST:
                interfaces.extend(touching(one, two, wanted))
        bounds = tethers(row, linker_reach)
        found.append(Wishes(bounds, interfaces=tuple(interfaces), rounds=ROUNDS_UNASKED))
    return tuple(found)
