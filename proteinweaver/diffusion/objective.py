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
from proteinweaver.nets.denoiser import Denoised, Denoiser, Frames, NoiseLevel
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
    # Mixed precision is for the network alone: three digits are too few for noise and losses.
    exact = torch.autocast(coord.device.type, enabled=False)
    with exact:
        rot_t, trans_t = process.corrupt(rot, trans, mask, t, generator)
    previous = None
    setting = net.settle(condition)
    if self_condition:
        with torch.no_grad():
            first = net(rot_t, trans_t, level, setting)
        previous = (first.rot, first.trans)
    out = net(rot_t, trans_t, level, setting, previous, supervised=True)
    with exact:
        terms = _terms(out, (rot, trans), rot_t, coord, mask, level, weights)
    total = (
        weights.trans * terms["trans"]
        + weights.rot * terms["rot"]
        + weights.backbone * terms["backbone"]
        + weights.local * terms["local"]
        + weights.clash * terms["clash"]
        + weights.intermediate * len(net.blocks) * terms["intermediate"]
    )
    return {"total": total, **terms}


def _terms(
    out: Denoised,
    clean: Frames,
    rot_t: Tensor,
    coord: Tensor,
    mask: Tensor,
    level: NoiseLevel,
    weights: LossWeights,
) -> dict[str, Tensor]:
    """Unweighted terms of the loss, those of single blocks put together."""
    rot, trans = clean

    # All estimates at once; the last one is the outcome.
    rotations, translations = (torch.stack(frames) for frames in zip(*out.blocks, strict=True))
    loss_trans = translation_loss(translations, trans, mask, level)
    loss_rot = rotation_score_loss(rotations, rot, rot_t, mask, level)
    atoms = frame_atoms(out)
    rho2 = (level.sigma / level.alpha) ** 2
    fade = 1.0 / (1.0 + rho2 / weights.fade**2)
    clashes = torch.stack([clash_loss(frames[1], mask) for frames in out.blocks[::2]]).mean(0)
    return {
        "trans": loss_trans[-1],
        "rot": loss_rot[-1],
        "backbone": fade * backbone_loss(atoms, coord, mask),
        "local": fade * local_distance_loss(atoms, coord, mask),
        "clash": clashes / (1.0 + rho2),
        "intermediate": (weights.trans * loss_trans + weights.rot * loss_rot).mean(0),
    }


def total_loss(losses: dict[str, Tensor], mask: Tensor) -> Tensor:
    """Mean of the total over the residues of the batch (longer chains weigh more)."""
    residues = mask.sum(-1).to(losses["total"].dtype)
    return (losses["total"] * residues).sum() / residues.sum()
