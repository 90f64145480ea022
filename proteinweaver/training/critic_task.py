"""The two training tasks of the critic: the sequence head with the trunk, the soundness head."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from proteinweaver.data.critic_batches import SequenceBatch
from proteinweaver.data.datamodule import NumberedBatch
from proteinweaver.data.soundness_batches import SoundnessBatch
from proteinweaver.errors import UserError
from proteinweaver.io.typed import plain
from proteinweaver.nets.critic import AMINO_ACIDS, Critic
from proteinweaver.nets.critic_descriptors import residue_descriptors
from proteinweaver.training.checkpoints import CARD
from proteinweaver.training.critic_config import CriticTrainConfig
from proteinweaver.training.optimised import OptimisedTask

__all__ = ["CriticTask", "SequenceTask", "SoundnessTask"]

_MEASURED = 60  # batches from which the linear law of the descriptors is taken


class CriticTask(OptimisedTask, ABC):
    """Forward, loss, optimiser of the critic; heads are subclasses.

    Parameters
    ----------
    config : CriticTrainConfig
    provenance : dict, optional
        Goes into every checkpoint: data hashes, command.
    """

    head: ClassVar[str]

    net: Critic

    def __init__(
        self, config: CriticTrainConfig, provenance: dict[str, Any] | None = None
    ) -> None:
        super().__init__(config.optimizer)
        self.config = config
        self.provenance = dict(provenance or {})
        self.net = Critic(config.model)
        self.residues, self.minutes = 0, 0.0

    @property
    def step(self) -> int:
        """Steps done."""
        return self.trainer.global_step

    @abstractmethod
    def losses(self, batch: Any) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of a batch and what to log of it."""

    def training_step(self, numbered: NumberedBatch, _: int) -> Tensor:
        """Loss of one batch; its terms stay in ``latest``."""
        loss, terms = self.losses(numbered.batch)
        self.latest = {name: value.detach() for name, value in terms.items()}
        return loss

    def validation_step(self, numbered: NumberedBatch, _: int) -> None:
        """Held-out terms of one batch."""
        for name, value in self.losses(numbered.batch)[1].items():
            self.log(
                f"valid/{name}", value, on_epoch=True, batch_size=1, sync_dist=True, logger=False
            )

    @abstractmethod
    def trained_parameters(self) -> list[torch.nn.Parameter]:
        """Parameters that learn."""

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what Lightning does not know."""
        checkpoint[CARD] = {
            **self.provenance,
            "stage": "critic",
            "head": self.head,
            "seed": self.config.seed,
            "step": self.step,
            "residues": self.residues,
            "minutes": self.minutes,
            "critic": plain(self.config.model),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the counters; refuse another network or head."""
        card = checkpoint[CARD]
        if card.get("critic") != plain(self.config.model) or card.get("head") != self.head:
            raise UserError(
                "the checkpoint is of another network or head than the config; choose another -o,"
                " or use init"
            )
        self.residues, self.minutes = int(card["residues"]), float(card["minutes"])


class SequenceTask(CriticTask):
    """Trunk and sequence head: the native sequence in a random order of decoding."""

    head = "sequence"

    def trained_parameters(self) -> list[torch.nn.Parameter]:
        """All but those of the soundness head."""
        judging = (*self.net.judging.parameters(), *self.net.branches.parameters())
        others = {id(p) for p in judging}
        return [p for p in self.net.parameters() if id(p) not in others]

    def losses(self, batch: SequenceBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy (smoothed for the gradient, plain for the log) and recovery."""
        trunk = self.net.trunk(batch.chains)
        logits = self.net.sequence_logits(trunk, batch.chains, batch.amino, batch.rank)
        known = batch.amino < AMINO_ACIDS
        logits, amino = logits[known], batch.amino[known]
        smooth = self.config.label_smoothing if self.training else 0.0
        loss = functional.cross_entropy(logits, amino, label_smoothing=smooth)
        with torch.no_grad():
            nats = functional.cross_entropy(logits, amino) if smooth else loss
            recovery = (logits.argmax(-1) == amino).float().mean()
        return loss, {"nats": nats, "recovery": recovery}


class SoundnessTask(CriticTask):
    """Soundness branches with their own copy of the trunk."""

    head = "soundness"

    def on_fit_start(self) -> None:
        """Start fresh branches from the best linear law of the descriptors alone."""
        first: Any = self.net.branches[0]
        if bool((first.scale != 1.0).any()):
            return
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        means, targets = [], []
        for number in range(_MEASURED):
            batch: SoundnessBatch = data.train.batch(number)
            value = residue_descriptors(batch.chains)
            total = value.new_zeros(batch.chains.count, value.shape[-1])
            total.index_add_(0, batch.chains.item, value)
            whole = batch.weight.amax(0) > 0
            means.append((total / batch.chains.item.bincount()[:, None])[whole])
            targets.append(batch.chain_target[whole])
        self.net.start_branches(torch.cat(means), torch.cat(targets))

    def trained_parameters(self) -> list[torch.nn.Parameter]:
        """Those of the branches and of the trunk below them."""
        return [*self.net.judging.parameters(), *self.net.branches.parameters()]

    def losses(self, batch: SoundnessBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy of backbones and of residues, and how often the ensemble is right."""
        found = self.net.judge(batch.chains)
        chain = functional.binary_cross_entropy_with_logits(
            found.chain, batch.chain_target.expand_as(found.chain), reduction="none"
        )
        residue = functional.binary_cross_entropy_with_logits(
            found.residue, batch.residue_target.expand_as(found.residue), reduction="none"
        )
        by_residue = batch.weight[:, batch.chains.item]
        chain_loss = (chain * batch.weight).sum() / batch.weight.sum().clamp_min(1.0)
        residue_loss = (residue * by_residue).sum() / by_residue.sum().clamp_min(1.0)
        with torch.no_grad():
            right = ((found.chain.mean(0) > 0) == (batch.chain_target > 0.5)).float().mean()
            terms = {"chain": chain.mean(), "residue": residue.mean(), "right": right}
        return chain_loss + residue_loss, terms
