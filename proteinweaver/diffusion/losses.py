"""Training losses of the frame denoiser: pure functions, one value per item of the batch.

Translations: denoising error in units of what noise leaves unknown (the weighting of Karras et al.
2022, arXiv 2206.00364, section 5, with a floor). Rotations: squared error of the score of IGSO(3),
over its expected square (FrameDiff, Yim et al. 2023, arXiv 2302.02277, equation 8), so its
minimiser is the marginal score. Two auxiliary losses make atoms: backbone atoms and distances
between atoms of neighbouring residues, both fading where noise hides them.
"""

import torch
from torch import Tensor

from proteinweaver.nets.denoiser import LENGTH_UNIT, Denoised, NoiseLevel
from proteinweaver.structure.frames import coord_from_frames
from samplers import igso3, so3

__all__ = [
    "backbone_loss",
    "clash_loss",
    "local_distance_loss",
    "rotation_score_loss",
    "translation_loss",
]


def _masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean over residues, (..., B, L) to (..., B)."""
    on = mask.to(values.dtype)
    return (values * on).sum(-1) / on.sum(-1).clamp_min(1.0)


def translation_loss(
    trans: Tensor, true: Tensor, mask: Tensor, level: NoiseLevel, floor: float = 0.05
) -> Tensor:
    """Squared error of clean CA positions over ``max(rho^2 / (1 + rho^2), floor^2)``.

    Parameters
    ----------
    trans, true : Tensor, shape=(..., B, L, 3) and (B, L, 3)
        Angstrom, zero centre of mass.
    mask : Tensor, shape=(B, L)
    level : NoiseLevel
    floor : float
        Noise-to-signal ratio below which errors are not weighted further up.

    Returns
    -------
    Tensor, shape=(..., B)
        Mean over residues and axes; about 1 for a network that knows nothing.
    """
    rho2 = (level.sigma / level.alpha) ** 2
    scale = (rho2 / (1.0 + rho2)).clamp_min(floor**2)
    error = ((trans - true) / LENGTH_UNIT).square().mean(-1)
    return _masked_mean(error, mask) / scale


def rotation_score_loss(
    rot: Tensor, true: Tensor, rot_t: Tensor, mask: Tensor, level: NoiseLevel, floor: float = 0.2
) -> Tensor:
    """Squared error of the IGSO(3) score that the clean rotation implies, over E|score|^2.

    Weighted by ``sigma^2 / (sigma^2 + floor^2)``: where noise is smaller than what a network
    resolves, the error would else drown everything (measured: it held half of the gradient below
    sigma = 0.1).

    Parameters
    ----------
    rot : Tensor, shape=(..., B, L, 3, 3)
        Estimated clean rotations.
    true, rot_t : Tensor, shape=(B, L, 3, 3)
        True clean rotations, noisy rotations.
    mask : Tensor, shape=(B, L)
    level : NoiseLevel
    floor : float
        Radians.

    Returns
    -------
    Tensor, shape=(..., B)
        0 for the truth, about 1 for a score of zero.

    References
    ----------
    Yim et al. 2023, arXiv 2302.02277, equation 8.
    """
    sigma = level.sigma_rot[:, None].expand(mask.shape)
    estimated = igso3.score(rot_t, rot, sigma)
    with torch.no_grad():
        target = igso3.score(rot_t, true, sigma)
        expected = igso3.score_second_moment(level.sigma_rot).to(estimated.dtype)
    error = (estimated - target).square().sum(-1)
    weight = level.sigma_rot**2 / (level.sigma_rot**2 + floor**2)
    return weight * _masked_mean(error, mask) / expected


def backbone_loss(atoms: Tensor, true: Tensor, mask: Tensor, cap: float = 10.0) -> Tensor:
    """Squared error of N, CA, C, O in square angstrom, bounded smoothly at ``cap``; (B,)."""
    error = (atoms - true).square().sum(-1).mean(-1)
    return _masked_mean(error / (1.0 + error / cap), mask)


def local_distance_loss(
    atoms: Tensor, true: Tensor, mask: Tensor, neighbours: int = 16, cap: float = 1.0
) -> Tensor:
    """Error of all 16 atom-atom distances between a residue and its true neighbours.

    Parameters
    ----------
    atoms, true : Tensor, shape=(B, L, 4, 3)
        Angstrom.
    mask : Tensor, shape=(B, L)
    neighbours : int
        Nearest residues (by true CA) taken for every residue.
    cap : float
        Errors grow like their square up to about ``cap`` angstrom and linearly beyond.

    Returns
    -------
    Tensor, shape=(B,)
        Mean pseudo-Huber error in square angstrom; pairs nearer than 5 angstrom count four times,
        N and O of a hydrogen bond (nearer than 3.5 angstrom, three or more residues apart) sixteen
        times: strand pairing hangs on those few.
    """
    batch, length = mask.shape
    with torch.no_grad():
        ca = true[..., 1, :]
        dist = torch.cdist(ca, ca)
        dist = dist.masked_fill(~mask[:, None, :], 1e6) + 1e6 * torch.eye(length, device=ca.device)
        _, source = dist.topk(min(neighbours, length - 1), dim=-1, largest=False)
        shift = (torch.arange(batch, device=ca.device) * length)[:, None, None]
        flat = (source + shift).reshape(-1)

    def distances(coord: Tensor) -> Tensor:
        other = (
            coord.reshape(batch * length, 12).index_select(0, flat).view(*source.shape, 1, 4, 3)
        )
        return ((coord[:, :, None, :, None] - other).square().sum(-1) + 1e-6).sqrt()

    with torch.no_grad():
        target = distances(true)
        near = torch.where(target < 5.0, 4.0, 1.0)
        position = torch.arange(length, device=ca.device)
        apart = ((source - position[None, :, None]).abs() >= 3)[..., None]
        for donor, acceptor in ((0, 3), (3, 0)):
            bonded = apart & (target[..., donor, acceptor, None] < 3.5)
            near[..., donor, acceptor] += 12.0 * bonded[..., 0]
        near = near * mask[:, :, None, None, None]
        near = near * mask.reshape(-1).index_select(0, flat).view(*source.shape, 1, 1)
    error = distances(atoms) - target
    huber = cap**2 * ((1.0 + (error / cap) ** 2).sqrt() - 1.0) * 2.0
    return (huber * near).sum((1, 2, 3, 4)) / near.sum((1, 2, 3, 4)).clamp_min(1.0)


def clash_loss(trans: Tensor, mask: Tensor, reach: float = 4.2) -> Tensor:
    """Overlap of CA atoms three or more apart along the chain, in square angstrom per residue.

    Parameters
    ----------
    trans : Tensor, shape=(B, L, 3)
        Angstrom.
    mask : Tensor, shape=(B, L)
    reach : float
        Distance below which two CA atoms overlap; natives have nearly no pair under 3.8.

    Returns
    -------
    Tensor, shape=(B,)
    """
    length = mask.shape[1]
    position = torch.arange(length, device=mask.device)
    far = (position[:, None] - position).abs() >= 3
    pairs = far & mask[:, :, None] & mask[:, None, :]
    distance = ((trans[:, :, None] - trans[:, None]).square().sum(-1) + 1e-4).sqrt()
    overlap = torch.where(pairs, (reach - distance).clamp_min(0.0), torch.zeros_like(distance))
    return _masked_mean(overlap.square().sum(-1), mask)


def frame_atoms(denoised: Denoised) -> Tensor:
    """Backbone atoms of an estimate, (B, L, 4, 3) in angstrom."""
    return coord_from_frames(denoised.rot, denoised.trans, denoised.psi)


def angle_error(rot: Tensor, true: Tensor) -> Tensor:
    """Angle between rotations in radians, (...,)."""
    return so3.distance(rot, true)
