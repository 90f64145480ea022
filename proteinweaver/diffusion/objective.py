"""One training step of the frame denoiser: corrupt, denoise, compare.

A pure function of (network, structures, condition, generator). Half of the time the network sees
its own first estimate at the same (state, t), without gradient (self-conditioning, Chen et al.
2022, arXiv 2208.04202).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from proteinweaver.diffusion.losses import (
    backbone_loss,
    clash_loss,
    frame_atoms,
    local_distance_loss,
    rotation_score_loss,
    translation_loss,
)
from proteinweaver.diffusion.process import FrameProcess
from proteinweaver.nets.condition import Condition
from proteinweaver.nets.denoiser import Denoiser
from proteinweaver.structure.frames import frames_from_coord

__all__ = ["LossWeights", "denoising_losses", "total_loss"]


@dataclass(frozen=True)
class LossWeights:
    """Weights of the loss terms.

    Parameters
    ----------
    trans, rot, backbone, local, clash : float
    intermediate : float
        Weight of the translation and rotation terms of every block but the last.
    fade : float
    """

    trans: float = 1.0
    rot: float = 0.5
    backbone: float = 0.1
    local: float = 0.7
    clash: float = 0.1
    intermediate: float = 0.25
    fade: float = 0.3


def denoising_losses(
    net: Denoiser,
    process: FrameProcess,
    coord: Tensor,
    condition: Condition,
    t: Tensor,
    generator: torch.Generator,
    weights: LossWeights,
    self_condition: bool,
) -> dict[str, Tensor]:
    """Loss terms per item.

    Parameters
    ----------
    net : Denoiser
    process : FrameProcess
    coord : Tensor, shape=(B, L, 4, 3)
        Clean backbones, angstrom, zero centre of mass.
    condition : Condition
    t : Tensor, shape=(B,)
    generator : torch.Generator
        On the device of ``coord``.
    weights : LossWeights
    self_condition : bool
        Show the network its own first estimate.

    Returns
    -------
    dict of str to Tensor, shape=(B,)
        ``trans``, ``rot``, ``backbone``, ``local``, ``clash``, ``intermediate`` (unweighted) and
        ``total``.
    """
    mask = condition.mask
    rot, trans = frames_from_coord(coord)
    level = process.level(t)
    rot_t, trans_t = process.corrupt(rot, trans, mask, t, generator)
    previous = None
    setting = net.settle(condition)
    if self_condition:
        with torch.no_grad():
            first = net(rot_t, trans_t, level, setting)
        previous = (first.rot, first.trans)
    out = net(rot_t, trans_t, level, setting, previous, supervised=True)

    def frame_terms(rotations: Tensor, translations: Tensor) -> tuple[Tensor, Tensor]:
        return (
            translation_loss(translations, trans, mask, level),
            rotation_score_loss(rotations, rot, rot_t, mask, level),
        )

    loss_trans, loss_rot = frame_terms(out.rot, out.trans)
    middle = [
        weights.trans * a + weights.rot * b for a, b in (frame_terms(*f) for f in out.blocks)
    ]
    intermediate = torch.stack(middle).mean(0)
    atoms = frame_atoms(out)
    fade = 1.0 / (1.0 + (level.sigma / level.alpha / weights.fade) ** 2)
    loss_backbone = fade * backbone_loss(atoms, coord, mask)
    loss_local = fade * local_distance_loss(atoms, coord, mask)
    clashes = torch.stack([clash_loss(frames[1], mask) for frames in out.blocks[::2]]).mean(0)
    loss_clash = clashes / (1.0 + (level.sigma / level.alpha) ** 2)
    total = (
        weights.trans * loss_trans
        + weights.rot * loss_rot
        + weights.backbone * loss_backbone
        + weights.local * loss_local
        + weights.clash * loss_clash
        + weights.intermediate * len(net.blocks) * intermediate
    )
    return {
        "total": total,
        "trans": loss_trans,
        "rot": loss_rot,
        "backbone": loss_backbone,
        "local": loss_local,
        "clash": loss_clash,
        "intermediate": intermediate,
    }


def total_loss(losses: dict[str, Tensor], mask: Tensor) -> Tensor:
    """Mean of the total over the residues of the batch (longer chains weigh more)."""
    residues = mask.sum(-1).to(losses["total"].dtype)
    return (losses["total"] * residues).sum() / residues.sum()
