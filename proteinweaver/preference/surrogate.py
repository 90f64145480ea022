"""Log-ratios of a diffusion policy, estimated by how much better it denoises than its reference.

The likelihood of a design under a diffusion model is not at hand; a bound on it is a mean of
denoising losses over time and noise. So

    log pi_theta(x) / pi_ref(x)  ~  strength * E_{t, noise} [ l_ref(x, t) - l_theta(x, t) ],

with l the translation and rotation terms of training (`proteinweaver.diffusion.losses`), each a
mean over residues in units of what noise leaves unknown. Times are uniform on [t_min, start], all
of them by default; together with those units this is the *training* weighting, not the
likelihood's, whose weight lies on noise far smaller than what decides how domains sit together.

Policy and reference see the same (t, noise), and so do both members of a pair: what they share
cancels. Self-conditioning is off, so that an estimate is a pure function of (state, t). Draws are
keyed by (pair, draw): a pair's draws do not depend on the batch it lies in.

References
----------
Wallace et al. 2023, arXiv 2311.12908, equations 13-14 (the surrogate); Ho et al. 2020, arXiv
2006.11239, equation 14 (weights other than the likelihood's).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from proteinweaver.diffusion.losses import rotation_score_loss, translation_loss
from proteinweaver.diffusion.process import FrameProcess
from proteinweaver.errors import UserError
from proteinweaver.nets.condition import Condition
from proteinweaver.nets.denoiser import Denoiser
from proteinweaver.structure.frames import frames_from_coord

__all__ = [
    "Noisy",
    "SurrogateConfig",
    "denoising_error",
    "divergence_draw",
    "log_ratio_draws",
    "noisy_draw",
]


@dataclass(frozen=True)
class SurrogateConfig:
    """How log-ratios are estimated.

    Parameters
    ----------
    draws : int
        (t, noise) per member and step, at least 2; 4 or more keep the variance in bounds.
    strength : float
        Units of log-probability per unit of loss; multiplies every beta of an objective.
    trans, rot : float
        Weights of the two terms, as in `proteinweaver.diffusion.objective.LossWeights`.
    start : float
        Times are uniform up to here. Below 1 they are those in which `assemble` draws linkers
        between poses that it has found (0.3): domains are held as one body in the poses that a
        member has, and only residues without a domain count.
    """

    draws: int = 4
    strength: float = 1000.0
    trans: float = 1.0
    rot: float = 0.5
    start: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a start that is no time."""
        if not 0 < self.start <= 1:
            raise UserError(f"surrogate.start is {self.start}; give more than 0, at most 1")


@dataclass(frozen=True)
class Noisy:
    """A corrupted batch.

    Parameters
    ----------
    t : Tensor, shape=(B,)
    rot, trans : Tensor, shape=(B, L, 3, 3) and (B, L, 3)
        Clean frames, angstrom.
    rot_t, trans_t : Tensor
        Noisy frames.
    """

    t: Tensor
    rot: Tensor
    trans: Tensor
    rot_t: Tensor
    trans_t: Tensor


def _seed(key: str, draw: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{key}/{draw}".encode()).digest()[:8], "big") >> 1


def noisy_draw(
    process: FrameProcess,
    coord: Tensor,
    mask: Tensor,
    keys: Sequence[str],
    draw: int,
    start: float = 1.0,
) -> Noisy:
    """Corrupt every structure by its own key.

    Parameters
    ----------
    process : FrameProcess
    coord : Tensor, shape=(B, L, 4, 3)
        Clean backbones on the CPU or elsewhere, angstrom, zero centre of mass.
    mask : Tensor, dtype=bool, shape=(B, L)
        Real residues, first in every row.
    keys : sequence of str, length B
        Equal keys (and lengths) get equal times and noise.
    draw : int
        Number of the draw.
    start : float, optional
        Times are uniform from the process's least to this.

    Returns
    -------
    Noisy

    Raises
    ------
    UserError
        If noise ends before ``start``.
    """
    rot, trans = frames_from_coord(coord)
    generators = [torch.Generator().manual_seed(_seed(key, draw)) for key in keys]
    low = process.config.t_min
    if start <= low:
        raise UserError(f"surrogate.start is {start}; give more than {low}, where noise ends")
    t = low + (start - low) * torch.cat([torch.rand(1, generator=g) for g in generators])
    rot_t, trans_t = process.corrupt_rows(rot, trans, mask, t, generators)
    return Noisy(t.to(trans), rot, trans, rot_t, trans_t)


def denoising_error(
    net: Denoiser,
    process: FrameProcess,
    noisy: Noisy,
    condition: Condition,
    config: SurrogateConfig,
    residue_weight: Tensor | None = None,
) -> Tensor:
    """Loss of one draw per structure.

    Parameters
    ----------
    net : Denoiser
    process : FrameProcess
    noisy : Noisy
    condition : Condition
    config : SurrogateConfig
    residue_weight : Tensor, shape=(B, L), optional
        Not negative; what every residue counts, such as one minus the critic's share of native
        surroundings. Only proportions within a structure matter.

    Returns
    -------
    Tensor, shape=(B,)
    """
    level = process.level(noisy.t)
    out = net(noisy.rot_t, noisy.trans_t, level, condition)
    # the losses are means weighted by their mask, which need not be 0 or 1
    counts = condition.mask if config.start == 1 else condition.mask & (condition.piece < 0)
    weight = counts.to(noisy.trans.dtype)
    if residue_weight is not None:
        counted = residue_weight * weight
        scale = weight.sum(-1, keepdim=True) / counted.sum(-1, keepdim=True).clamp_min(1e-9)
        weight = counted * scale
    trans = translation_loss(out.trans, noisy.trans, weight, level)
    rot = rotation_score_loss(out.rot, noisy.rot, noisy.rot_t, weight, level)
    return config.trans * trans + config.rot * rot


def divergence_draw(
    policy: Denoiser,
    reference: Denoiser,
    process: FrameProcess,
    coord: Tensor,
    condition: Condition,
    keys: Sequence[str],
    draw: int,
    config: SurrogateConfig,
) -> Tensor:
    """One draw of the divergence of the policy from a reference, in units of the log-ratios.

    The squared distance of their estimates. For designs of the policy its own estimate is the
    mean of what may lie behind the noise, so E[l_ref - l_theta] is the mean squared distance of
    both estimates: the surrogate of KL(policy, reference). Never negative, zero for equals, and of
    far less variance than log-ratios. The noise lies on ``coord``, wherever that comes from.

    Parameters
    ----------
    policy, reference : Denoiser
        Gradients pass through the policy alone.
    process : FrameProcess
    coord : Tensor, shape=(B, L, 4, 3)
    condition : Condition
    keys : sequence of str, length B
    draw : int
        Number of the draw.
    config : SurrogateConfig

    Returns
    -------
    Tensor, shape=(B,)

    References
    ----------
    Fan et al. 2023, arXiv 2305.16381, section 4.2 (the divergence of two samplers by steps).
    """
    noisy = noisy_draw(process, coord, condition.mask, keys, draw, config.start)
    with torch.no_grad():
        out = reference(noisy.rot_t, noisy.trans_t, process.level(noisy.t), condition)
    towards = replace(noisy, rot=out.rot, trans=out.trans)
    return config.strength * denoising_error(policy, process, towards, condition, config)


def log_ratio_draws(
    policy: Denoiser,
    reference: Denoiser,
    process: FrameProcess,
    coord: Tensor,
    condition: Condition,
    keys: Sequence[str],
    config: SurrogateConfig,
    residue_weight: Tensor | None = None,
) -> Tensor:
    """Independent draws of the log-ratio of every structure.

    Parameters
    ----------
    policy, reference : Denoiser
        Gradients pass through the policy alone.
    process : FrameProcess
        Of both.
    coord : Tensor, shape=(B, L, 4, 3)
        Clean backbones, angstrom, zero centre of mass. Superpose the members of a pair, so that
        the noise they share means the same to both.
    condition : Condition
    keys : sequence of str, length B
        One per structure; both members of a pair have the pair's key. Fresh noise in another
        step needs another key.
    config : SurrogateConfig
    residue_weight : Tensor, shape=(B, L), optional
        See `denoising_error`.

    Returns
    -------
    Tensor, shape=(B, K)

    Raises
    ------
    ValueError
        If the numbers of structures and keys differ.
    """
    if len(keys) != len(coord):
        raise ValueError(f"{len(coord)} structures but {len(keys)} keys")
    columns = []
    for draw in range(config.draws):
        noisy = noisy_draw(process, coord, condition.mask, keys, draw, config.start)
        with torch.no_grad():
            base = denoising_error(reference, process, noisy, condition, config, residue_weight)
        own = denoising_error(policy, process, noisy, condition, config, residue_weight)
        columns.append(config.strength * (base - own))
    return torch.stack(columns, dim=-1)
