"""A sketch of the whole chain: the fold that a network has in mind before noise lets it be seen.

Message passing over a sparse graph of noisy frames is blind to the whole where noise is high: no
neighbourhood says how the chain as such is turned. So every residue also proposes, from its
features alone, a frame in a coordinate system of the chain. Together they are a fold; it is laid
on the *noisy* frames by its most likely rigid motion, and draws the estimate towards it.

The likelihood of a motion G is that of the forward process: Gaussian in the translations, and in
the rotations a matrix Fisher law with the concentration of IGSO(3) at both ends of its range, so
the best G is the Kabsch rotation of a weighted sum. No gradient passes through it.
"""

import torch
from torch import Tensor

from proteinweaver.nets.rotations import blend, orthonormal
from proteinweaver.nets.superpose import kabsch_rotation

__all__ = ["SKETCH_CHANNELS", "draw_towards_sketch", "matrix_fisher_concentration"]

#: Position (3), two axes (6), log-odds of trust in position and in rotation (2).
SKETCH_CHANNELS = 11


def matrix_fisher_concentration(sigma: Tensor) -> Tensor:
    """Concentration c of ``exp(c tr R)`` that stands for IGSO(3) of variance ``sigma^2``.

    ``3 / (expm1(tau) + 5 tau)`` with tau = sigma^2: 1 / (2 tau) for small tau, where both are
    Gaussian in the angle, and 3 exp(-tau) for large tau, where both have the mean exp(-tau) I.

    Parameters
    ----------
    sigma : Tensor, shape=(...)
        Radians.

    Returns
    -------
    Tensor, shape=(...)
    """
    tau = (sigma * sigma).clamp_max(40.0)
    return 3.0 / (torch.expm1(tau) + 5.0 * tau)


def _frames(proposal: Tensor, on: Tensor, unit: float) -> tuple[Tensor, Tensor]:
    """Rotations and centred positions (angstrom) that nine channels stand for."""
    trans = unit * proposal[..., :3]
    trans = trans - (trans * on).sum(1, keepdim=True) / on.sum(1, keepdim=True)
    return orthonormal(proposal[..., 3:6], proposal[..., 6:9]), trans


def draw_towards_sketch(
    rot: Tensor,
    trans: Tensor,
    proposal: Tensor,
    noisy: tuple[Tensor, Tensor],
    scales: tuple[Tensor, Tensor, Tensor],
    mask: Tensor,
    unit: float,
) -> tuple[Tensor, Tensor]:
    """Lay the sketch on the noisy frames and move the estimate towards it.

    An estimate with error rho and a sketch with error e combine best with the share ``rho^2 /
    (rho^2 + e^2)``: the trust is ``sigmoid(u + 2 log rho)``, with u = -log e^2 from the network
    (and likewise with sigma_rot for rotations), so the sketch counts where noise hides the rest.

    Parameters
    ----------
    rot, trans : Tensor, shape=(B, L, 3, 3) and (B, L, 3)
        Estimate of the clean frames (angstrom).
    proposal : Tensor, shape=(B, L, SKETCH_CHANNELS)
    noisy : tuple of Tensor
        Noisy frames, the same shapes.
    scales : tuple of Tensor, shape=(B,)
        alpha, sigma (in `unit`), sigma_rot.
    mask : Tensor, dtype=bool, shape=(B, L)
    unit : float
        Angstrom per unit of the diffused variable.

    Returns
    -------
    rot, trans : Tensor

    References
    ----------
    Kabsch 1976, Acta Cryst. A32, 922; Mardia and Jupp 2000, Directional Statistics, 13.2.3.
    """
    alpha, sigma, sigma_rot = (value[:, None] for value in scales)
    on = mask[..., None].to(trans.dtype)
    own_rot, own_trans = _frames(proposal, on, unit)
    with torch.no_grad():
        weight = (alpha / (unit * sigma) ** 2)[..., None, None]
        cross = weight * noisy[1][..., :, None] * own_trans[..., None, :]
        turn = matrix_fisher_concentration(sigma_rot)[..., None, None]
        cross = cross + turn * (noisy[0] @ own_rot.transpose(-1, -2))
        motion = kabsch_rotation((cross * on[..., None]).sum(1))[:, None]
    trust = torch.sigmoid(proposal[..., 9] + 2.0 * (sigma / alpha).log())
    trust_rot = torch.sigmoid(proposal[..., 10] + 2.0 * sigma_rot.log())
    target = (motion @ own_trans[..., None]).squeeze(-1)
    return (
        blend(rot, motion @ own_rot, trust_rot),
        trans + trust[..., None] * (target - trans),
    )
