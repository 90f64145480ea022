"""A sketch of the whole chain: the fold that a network has in mind before noise lets it be seen.

Message passing over a sparse graph of noisy frames is blind to the whole where noise is high: no
neighbourhood says how the chain as such is turned. So every residue also proposes, from its
features alone, a frame in a coordinate system of the chain. Together they are a fold; it is laid
on the *noisy* frames by its most likely rigid motion, and draws the estimate towards it.

The likelihood of a motion G is that of the forward process: Gaussian in the translations, and in
the rotations a matrix Fisher law with the concentration of IGSO(3) at both ends of its range, so
the best G is the Kabsch rotation of a weighted sum. No gradient passes through it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from proteinweaver.nets.precision import full_precision
from proteinweaver.nets.rotations import blend, frame_rows, orthonormal
from proteinweaver.nets.superpose import kabsch_rotation

__all__ = [
    "SKETCH_CHANNELS",
    "Seen",
    "draw_towards_sketch",
    "matrix_fisher_concentration",
    "seen_frames",
]

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


@dataclass(frozen=True)
class Seen:
    """What noise leaves to be seen of a chain: made once a call.

    Parameters
    ----------
    frames : Tensor, shape=(B, 4 L, 3)
        Rows of noisy frames, each times its weight in the likelihood; 0 in padding.
    log_error : Tensor, shape=(B, 1, 2)
        Twice the logarithm of the noise of positions and rotations.
    share : Tensor, shape=(B, 1, L)
        Of every residue in the centre of the chain.
    unit : float
        Angstrom per unit of the diffused variable.
    """

    frames: Tensor
    log_error: Tensor
    share: Tensor
    unit: float


@torch.no_grad()
def seen_frames(
    noisy: tuple[Tensor, Tensor], scales: tuple[Tensor, Tensor, Tensor], mask: Tensor, unit: float
) -> Seen:
    """Weigh noisy frames by the likelihood of the forward process.

    Parameters
    ----------
    noisy : tuple of Tensor, shape=(B, L, 3, 3) and (B, L, 3)
        Noisy frames (angstrom).
    scales : tuple of Tensor, shape=(B,)
        alpha, sigma (in `unit`), sigma_rot.
    mask : Tensor, dtype=bool, shape=(B, L)
    unit : float
        Angstrom per unit of the diffused variable.

    Returns
    -------
    Seen
    """
    alpha, sigma, sigma_rot = (value[:, None, None] for value in scales)
    on = mask[:, None].to(noisy[1].dtype)
    turned = matrix_fisher_concentration(sigma_rot)[..., None] * noisy[0]
    placed = alpha / (unit * sigma) ** 2 * noisy[1]
    rows = frame_rows(turned, placed) * on.transpose(1, 2)[..., None]
    return Seen(
        rows.flatten(1, 2),
        2.0 * torch.cat(((sigma / alpha).log(), sigma_rot.log()), dim=-1),
        on / on.sum(-1, keepdim=True),
        unit,
    )


@full_precision
def draw_towards_sketch(rows: Tensor, proposal: Tensor, seen: Seen) -> Tensor:
    """Lay the sketch on the noisy frames and move the estimate towards it.

    An estimate with error rho and a sketch with error e combine best with the share ``rho^2 /
    (rho^2 + e^2)``: the trust is ``sigmoid(u + 2 log rho)``, with u = -log e^2 from the network
    (and likewise with sigma_rot for rotations), so the sketch counts where noise hides the rest.

    Parameters
    ----------
    rows : Tensor, shape=(B, L, 4, 3)
        Estimate of the clean frames (angstrom; `proteinweaver.nets.rotations`).
    proposal : Tensor, shape=(B, L, SKETCH_CHANNELS)
    seen : Seen

    Returns
    -------
    Tensor, shape=(B, L, 4, 3)

    References
    ----------
    Kabsch 1976, Acta Cryst. A32, 922; Mardia and Jupp 2000, Directional Statistics, 13.2.3.
    """
    place, first, second, trust = proposal.split((3, 3, 3, 2), dim=-1)
    place = seen.unit * (place - seen.share @ place)
    own = torch.stack((*orthonormal(first, second), place), dim=-2).flatten(1, 2)
    with torch.no_grad():
        turn = kabsch_rotation(own.transpose(1, 2) @ seen.frames)
    target = (own @ turn).view_as(rows)
    placed, turned = torch.sigmoid(trust + seen.log_error).unbind(-1)
    share = torch.stack((turned, turned, turned, placed), dim=-1)
    return blend(rows, target, share[..., None])
