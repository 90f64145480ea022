"""One step of alignment: rankings as tensors, their log-ratios, the loss, and what to watch."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from proteinweaver.diffusion.process import FrameProcess
from proteinweaver.nets.condition import (
    ADAPT,
    RIGID,
    Condition,
    stack_conditions,
    unconditional,
)
from proteinweaver.nets.denoiser import Denoiser
from proteinweaver.preference.draws import product_loss, variance_of_mean
from proteinweaver.preference.named import Objective
from proteinweaver.preference.pair_file import Members
from proteinweaver.preference.poses import held
from proteinweaver.preference.surrogate import SurrogateConfig, divergence_draw, log_ratio_draws
from proteinweaver.structure.frames import frames_from_coord

__all__ = [
    "RankingBatch",
    "alignment_loss",
    "batch_divergence",
    "members_condition",
    "ranking_batch",
]


@dataclass(frozen=True)
class RankingBatch:
    """Rankings of k designs (two: pairs), padded to the longest.

    Parameters
    ----------
    ranked : Tensor, shape=(n, k, L, 4, 3)
        Best first; angstrom, centred.
    condition : Condition
        Of all designs of a ranking.
    keys : tuple of str
        Of the noise.
    weight : Tensor, shape=(n,)
    rates : Tensor, shape=(n, k)
        Win rates of the designs against their set.
    residue_weight : Tensor, shape=(n, k, L), optional
        What every residue counts; see `proteinweaver.preference.surrogate.denoising_error`.
    """

    ranked: Tensor
    condition: Condition
    keys: tuple[str, ...]
    weight: Tensor
    rates: Tensor
    residue_weight: Tensor | None = None

    @property
    def best(self) -> Tensor:
        """The first of every ranking, shape (n, L, 4, 3)."""
        return self.ranked[:, 0]

    @property
    def residues(self) -> int:
        """Residues of all designs, without padding."""
        return self.ranked.shape[1] * int(self.condition.mask.sum())

    def pin_memory(self) -> "RankingBatch":
        """Copy of the coordinates in page-locked memory."""
        return replace(self, ranked=self.ranked.pin_memory())

    def to(self, device: torch.device | str) -> "RankingBatch":
        """Copy on ``device``."""
        counts = self.residue_weight
        return RankingBatch(
            self.ranked.to(device),
            self.condition.to(device),
            self.keys,
            self.weight.to(device),
            self.rates.to(device),
            None if counts is None else counts.to(device),
        )


def members_condition(members: Members) -> Condition:
    """Tell the network what it was told when the members were made: insides, but no pose.

    Parameters
    ----------
    members : Members

    Returns
    -------
    Condition
        Shapes (1, L, ...).
    """
    condition = unconditional(len(members.domain))
    rot, trans = condition.known_rot.clone(), condition.known_trans.clone()
    piece, mode = condition.piece.clone(), condition.mode.clone()
    number = 0
    for label, kept in sorted(members.modes.items()):
        rows = torch.from_numpy(members.domain == label)
        if kept == "free":
            continue
        inside = torch.from_numpy(members.inputs)[rows]
        rot[0, rows], trans[0, rows] = frames_from_coord(inside)
        piece[0, rows] = number
        mode[0, rows] = RIGID if kept == "rigid" else ADAPT
        number += 1
    return replace(condition, known_rot=rot, known_trans=trans, piece=piece, mode=mode)


def ranking_batch(
    members: Sequence[Members],
    keys: Sequence[str],
    weights: Sequence[float],
    rates: Sequence[Sequence[float]],
    residue_weights: Sequence[NDArray[np.float32]] | None = None,
) -> RankingBatch:
    """Pad and join rankings of equally many designs.

    Parameters
    ----------
    members : sequence of Members
    keys : sequence of str
        One per ranking; another one in another step gives fresh noise.
    weights : sequence of float
    rates : sequence of sequence of float
        Win rates of the designs.
    residue_weights : sequence of ndarray, shape=(k, L), optional

    Returns
    -------
    RankingBatch
    """
    longest = max(len(m.domain) for m in members)

    def padded(coord: Tensor) -> Tensor:
        # a padded residue repeats a real one: its frame is a frame, its mask is False
        missing = longest - coord.shape[1]
        return torch.cat((coord, coord[:, :1].expand(-1, missing, *coord.shape[2:])), 1)

    counts = None
    if residue_weights is not None:
        counts = torch.stack([padded(torch.from_numpy(w)) for w in residue_weights])
    return RankingBatch(
        ranked=torch.stack([padded(torch.from_numpy(m.ranked)) for m in members]),
        condition=stack_conditions([members_condition(m) for m in members]),
        keys=tuple(keys),
        weight=torch.tensor(list(weights), dtype=torch.float32),
        rates=torch.tensor([list(r) for r in rates], dtype=torch.float32),
        residue_weight=counts,
    )


def alignment_loss(
    policy: Denoiser,
    reference: Denoiser,
    process: FrameProcess,
    batch: RankingBatch,
    objective: Objective,
    config: SurrogateConfig,
    first: Denoiser | None = None,
) -> tuple[Tensor, dict[str, float]]:
    """Weighted loss of a batch and what to watch beside it.

    Parameters
    ----------
    policy, reference : Denoiser
        On the device of the batch; gradients pass through the policy alone.
    process : FrameProcess
    batch : RankingBatch
    objective : callable
        See `proteinweaver.preference.named.named_objective`.
    config : SurrogateConfig
    first : Denoiser, optional
        First reference of all rounds, for objectives that look at it. Default: the reference.

    Returns
    -------
    loss : Tensor, shape=()
        Sum of weight times loss over the number of rankings, so that the gradient of one does not
        depend on the weights of others.
    figures : dict of str to float
        ``won``, ``lost`` (mean log-ratios of the best and of the last), ``accuracy`` (share of
        rankings with won > lost), ``variance`` (of the mean of the draws, the hidden pull of a
        plug-in loss) and ``kl`` (mean of -log-ratio over all designs: the divergence of the
        samples' source from the policy).
    """
    shape = (*batch.rates.shape, config.draws)
    flat = _flat(batch, config)
    counts = None if batch.residue_weight is None else batch.residue_weight.flatten(0, 1)
    draws = log_ratio_draws(policy, reference, process, *flat, config, counts).view(shape)
    drift = torch.zeros_like(draws)
    if first is not None:
        with torch.no_grad():
            drift = log_ratio_draws(reference, first, process, *flat, config, counts).view(shape)
    rates = batch.rates.to(draws)
    losses = product_loss(lambda r, d: objective(r, d, rates), draws, drift)
    loss = (batch.weight.to(draws) * losses).mean()
    with torch.no_grad():
        ratios = draws.mean(-1)
        figures = {
            "won": float(ratios[:, 0].mean()),
            "lost": float(ratios[:, -1].mean()),
            "accuracy": float((ratios[:, 0] > ratios[:, -1]).float().mean()),
            "variance": float(variance_of_mean(draws).mean()),
            "kl": float(-draws.mean()),
        }
    return loss, figures


def batch_divergence(
    policy: Denoiser,
    reference: Denoiser,
    process: FrameProcess,
    batch: RankingBatch,
    config: SurrogateConfig,
) -> Tensor:
    """Divergence of the policy from a reference, a mean over all designs of every ranking.

    Parameters
    ----------
    policy, reference : Denoiser
        On the device of the batch; gradients pass through the policy alone.
    process : FrameProcess
    batch : RankingBatch
    config : SurrogateConfig

    Returns
    -------
    Tensor, shape=()
        One draw of `divergence_draw` that no log-ratio shares.
    """
    return divergence_draw(
        policy, reference, process, *_flat(batch, config), config.draws, config
    ).mean()


def _flat(batch: RankingBatch, config: SurrogateConfig) -> tuple[Tensor, Condition, list[str]]:
    """All designs in a row, those of a ranking together: coordinates, conditions, keys."""
    k = batch.ranked.shape[1]
    coord = batch.ranked.flatten(0, 1)
    repeated = Condition(
        **{
            f.name: getattr(batch.condition, f.name).repeat_interleave(k, 0)
            for f in fields(Condition)
        }
    )
    asked = repeated if config.start == 1 else held(repeated, coord)
    return coord, asked, [key for key in batch.keys for _ in range(k)]
