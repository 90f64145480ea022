"""Alignment as a Lightning task: pairs in, the loss of an objective, what to watch."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from proteinweaver.data.datamodule import NumberedBatch
from proteinweaver.diffusion.process import FrameProcess, ProcessConfig
from proteinweaver.errors import UserError
from proteinweaver.io.typed import plain
from proteinweaver.nets.adapters import add_adapters, merged_state
from proteinweaver.nets.denoiser import Denoiser, DenoiserConfig
from proteinweaver.preference.mixing import average
from proteinweaver.preference.named import pair_objective
from proteinweaver.preference.step import PairBatch, alignment_loss
from proteinweaver.training.align_config import AlignConfig
from proteinweaver.training.checkpoints import CARD
from proteinweaver.training.optimised import OptimisedTask

__all__ = ["AlignTask"]

_MEMORY, _WAIT = 0.95, 20  # of the running divergence, and steps before it may stop a run
_REFERENCE = "reference"  # of a checkpoint: weights of a reference that moves


class AlignTask(OptimisedTask):
    """Fine-tune an assembler on pairs.

    Parameters
    ----------
    config : AlignConfig
    model : DenoiserConfig
    process : ProcessConfig
    state, reference : mapping of str to Tensor
        First weights of the policy, and of the reference, which stays or follows it.
    provenance : dict
        Goes into every checkpoint: command, pairs, hashes.
    """

    net: Denoiser

    def __init__(
        self,
        config: AlignConfig,
        model: DenoiserConfig,
        process: ProcessConfig,
        state: dict[str, Tensor],
        reference: dict[str, Tensor],
        provenance: dict[str, Any],
    ) -> None:
        super().__init__(config.optimizer)
        self.config, self.model, self.laws = config, model, process
        self.provenance = provenance
        self.net = Denoiser(model)
        self.net.load_state_dict(state)
        if config.adapter.rank:
            self._adapt()
        fixed = Denoiser(model)
        fixed.load_state_dict(reference)
        # in a tuple, so that it is neither trained, averaged nor saved
        self._fixed = (fixed.eval().requires_grad_(False),)
        self.process = FrameProcess(process)
        self.objective = pair_objective(config.objective)
        self.first_step, self.residues, self.minutes = 0, 0, 0.0
        self.divergence = 0.0

    def _adapt(self) -> None:
        adapter = self.config.adapter
        generator = torch.Generator().manual_seed(self.config.seed)
        try:
            add_adapters(self.net, adapter.layers, adapter.rank, adapter.alpha, generator)
        except ValueError as error:
            raise UserError(f"adapter.layers: {error}") from None

    def trained_parameters(self) -> Iterable[torch.nn.Parameter]:
        """All of the network, or its adapters alone."""
        return [p for p in self.net.parameters() if p.requires_grad]

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Step; the reference follows."""
        super().optimizer_step(*args, **kwargs)
        decay = self.config.reference_ema
        if decay < 1:
            average(self._fixed[0].state_dict(), merged_state(self.net.state_dict()), decay)

    @property
    def step(self) -> int:
        """Steps done."""
        return self.trainer.global_step

    @property
    def is_too_far(self) -> bool:
        """Whether the running divergence is beyond its limit: the run ends (see `Pace`)."""
        limit = self.config.kl_limit
        return bool(limit) and self.step >= _WAIT and self.divergence > limit

    def losses(self, batch: PairBatch) -> tuple[Tensor, dict[str, float]]:
        """Loss of a batch and its figures."""
        reference = self._fixed[0].to(self.device)
        return alignment_loss(
            self.net, reference, self.process, batch, self.objective, self.config.surrogate
        )

    def training_step(self, numbered: NumberedBatch, _: int) -> Tensor:
        """Loss of one batch; its figures stay in ``latest``."""
        loss, figures = self.losses(numbered.batch)
        self.latest = {name: torch.tensor(value) for name, value in figures.items()}
        self.latest["total"] = loss.detach()
        self.divergence = _MEMORY * self.divergence + (1.0 - _MEMORY) * figures["kl"]
        return loss

    def validation_step(self, numbered: NumberedBatch, _: int) -> None:
        """Figures of held-out pairs, noise always the same."""
        loss, figures = self.losses(numbered.batch)
        for name, value in {**figures, "total": float(loss)}.items():
            self.log(
                f"valid/{name}", value, on_epoch=True, batch_size=1, sync_dist=True, logger=False
            )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what Lightning does not know."""
        if self.config.reference_ema < 1:
            checkpoint[_REFERENCE] = dict(self._fixed[0].state_dict())
        checkpoint[CARD] = {
            **self.provenance,
            "stage": "assembler",
            "recipe": f"align-{self.config.objective.name}",
            "seed": self.config.seed,
            "step": self.step,
            "residues": self.residues,
            "minutes": self.minutes,
            "divergence": self.divergence,
            "model": plain(self.model),
            "process": plain(self.laws),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the counters; refuse other pairs or another objective."""
        card = checkpoint[CARD]
        for key in ("pairs", "start", "reference", "objective", "adapter", "reference_ema"):
            if card.get(key) != self.provenance.get(key):
                raise UserError(
                    f"the run in this folder has another {key}; choose another -o, or --overwrite"
                )
        if _REFERENCE in checkpoint:
            self._fixed[0].load_state_dict(checkpoint[_REFERENCE])
        self.residues, self.minutes = int(card["residues"]), float(card["minutes"])
        self.divergence = float(card["divergence"])
