"""One step of alignment: pairs as tensors, their log-ratios, the loss, and what to watch."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
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
from proteinweaver.preference.named import PairObjective
from proteinweaver.preference.pair_file import PairMembers
from proteinweaver.preference.poses import held
from proteinweaver.preference.surrogate import SurrogateConfig, divergence_draw, log_ratio_draws
from proteinweaver.structure.frames import frames_from_coord

__all__ = ["PairBatch", "alignment_loss", "pair_batch", "pair_condition", "pair_divergence"]


@dataclass(frozen=True)
class PairBatch:
    """Pairs, padded to the longest.

    Parameters
    ----------
    won, lost : Tensor, shape=(n, L, 4, 3)
        Angstrom, centred.
    condition : Condition
        Of both members.
    keys : tuple of str
        Of the noise.
    weight : Tensor, shape=(n,)
    rates : Tensor, shape=(n, 2)
        Win rates of winner and loser against their set.
    """

    won: Tensor
    lost: Tensor
    condition: Condition
    keys: tuple[str, ...]
    weight: Tensor
    rates: Tensor

    @property
    def residues(self) -> int:
        """Residues of both members, without padding."""
        return 2 * int(self.condition.mask.sum())

    def pin_memory(self) -> "PairBatch":
        """Copy of the coordinates in page-locked memory."""
        return replace(self, won=self.won.pin_memory(), lost=self.lost.pin_memory())

    def to(self, device: torch.device | str) -> "PairBatch":
        """Copy on ``device``."""
        return PairBatch(
            self.won.to(device),
            self.lost.to(device),
            self.condition.to(device),
            self.keys,
            self.weight.to(device),
            self.rates.to(device),
        )


def pair_condition(members: PairMembers) -> Condition:
    """Tell the network what it was told when the members were made: insides, but no pose.

    Parameters
    ----------
    members : PairMembers

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


def pair_batch(
    members: Sequence[PairMembers],
    keys: Sequence[str],
    weights: Sequence[float],
    rates: Sequence[tuple[float, float]],
) -> PairBatch:
    """Pad and join pairs.

    Parameters
    ----------
    members : sequence of PairMembers
    keys : sequence of str
        One per pair; another one in another step gives fresh noise.
    weights : sequence of float
    rates : sequence of (float, float)
        Win rates of winner and loser.

    Returns
    -------
    PairBatch
    """
    longest = max(len(m.domain) for m in members)

    def padded(coord: Tensor) -> Tensor:
        # a padded residue repeats a real one: its frame is a frame, its mask is False
        return torch.cat((coord, coord[:1].expand(longest - len(coord), -1, -1)))

    return PairBatch(
        won=torch.stack([padded(torch.from_numpy(m.won)) for m in members]),
        lost=torch.stack([padded(torch.from_numpy(m.lost)) for m in members]),
        condition=stack_conditions([pair_condition(m) for m in members]),
        keys=tuple(keys),
        weight=torch.tensor(list(weights), dtype=torch.float32),
        rates=torch.tensor(list(rates), dtype=torch.float32),
    )


def alignment_loss(
    policy: Denoiser,
    reference: Denoiser,
    process: FrameProcess,
    batch: PairBatch,
    objective: PairObjective,
    config: SurrogateConfig,
) -> tuple[Tensor, dict[str, float]]:
    """Weighted loss of a batch and what to watch beside it.

    Parameters
    ----------
    policy, reference : Denoiser
        On the device of the batch; gradients pass through the policy alone.
    process : FrameProcess
    batch : PairBatch
    objective : callable
        See `proteinweaver.preference.named.pair_objective`.
    config : SurrogateConfig

    Returns
    -------
    loss : Tensor, shape=()
        Sum of weight times loss over the number of pairs, so that a pair's gradient does not
        depend on the weights of others.
    figures : dict of str to float
        ``won``, ``lost`` (mean log-ratios), ``accuracy`` (share of pairs with won > lost),
        ``variance`` (of the mean of the draws, the hidden pull of a plug-in loss) and ``kl`` (mean
        of -log-ratio over both members: the divergence of the samples' source from the policy).
    """
    count = len(batch.keys)
    draws = log_ratio_draws(
        policy,
        reference,
        process,
        *_members(batch, config),
        config,
    )
    won, lost = draws[:count], draws[count:]
    rates = batch.rates.to(won)
    losses = product_loss(lambda w, x: objective(w, x, rates), won, lost)
    loss = (batch.weight.to(won) * losses).sum() / count
    with torch.no_grad():
        gap = won.mean(-1) - lost.mean(-1)
        figures = {
            "won": float(won.mean()),
            "lost": float(lost.mean()),
            "accuracy": float((gap > 0).float().mean()),
            "variance": float(variance_of_mean(draws).mean()),
            "kl": float(-draws.mean()),
        }
    return loss, figures


def pair_divergence(
    policy: Denoiser,
    reference: Denoiser,
    process: FrameProcess,
    batch: PairBatch,
    config: SurrogateConfig,
) -> Tensor:
    """Divergence of the policy from a reference, a mean over both members of every pair.

    Parameters
    ----------
    policy, reference : Denoiser
        On the device of the batch; gradients pass through the policy alone.
    process : FrameProcess
    batch : PairBatch
    config : SurrogateConfig

    Returns
    -------
    Tensor, shape=()
        One draw of `divergence_draw` that no log-ratio shares.
    """
    return divergence_draw(
        policy, reference, process, *_members(batch, config), config.draws, config
    ).mean()


def _members(batch: PairBatch, config: SurrogateConfig) -> tuple[Tensor, Condition, list[str]]:
    """Winners, then losers: coordinates, conditions, keys."""
    both = torch.cat((batch.won, batch.lost))
    doubled = Condition(
        **{f.name: torch.cat((getattr(batch.condition, f.name),) * 2) for f in fields(Condition)}
    )
    asked = doubled if config.start == 1 else held(doubled, both)
    return both, asked, [*batch.keys, *batch.keys]
