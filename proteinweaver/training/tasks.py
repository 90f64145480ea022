"""The training tasks. A stage differs in data and conditioning only, not in code."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from proteinweaver.data.batches import BatchSource
from proteinweaver.data.datamodule import NumberedBatch
from proteinweaver.diffusion.objective import denoising_losses, total_loss
from proteinweaver.diffusion.process import FrameProcess
from proteinweaver.errors import UserError
from proteinweaver.io.typed import plain
from proteinweaver.nets.denoiser import Denoiser
from proteinweaver.training.checkpoints import CARD
from proteinweaver.training.config import TrainConfig
from proteinweaver.training.optimised import OptimisedTask
from proteinweaver.training.schedule import VALID_TIMES, draw_times, step_seed

__all__ = ["TASKS", "Assembler", "DenoisingTask", "DomainGenerator", "Layout", "held_out_rows"]


class DenoisingTask(OptimisedTask):
    """Denoising of frames: forward, loss, optimiser.

    Times, noise and self-conditioning of a batch are a pure function of (seed, batch number).

    Parameters
    ----------
    config : TrainConfig
    provenance : dict, optional
        Goes into every checkpoint: data hashes, command.
    """

    stage: ClassVar[str]
    net: Denoiser

    def __init__(self, config: TrainConfig, provenance: dict[str, Any] | None = None) -> None:
        super().__init__(config.optimizer)
        self.config = config
        self.provenance = dict(provenance or {})
        self.net = Denoiser(config.model)
        self.process = FrameProcess(config.process)
        self.first_step, self.residues, self.minutes = 0, 0, 0.0

    @property
    def step(self) -> int:
        """Steps done, those before a resumption included."""
        return self.first_step + self.trainer.global_step

    def training_step(self, numbered: NumberedBatch, _: int) -> Tensor:
        """Loss of one batch; its terms stay in ``latest``."""
        setup, batch = self.config.optimizer, numbered.batch
        seed = step_seed(self.config.seed, numbered.number)
        host = torch.Generator().manual_seed(seed)
        generator = torch.Generator(device=self.device).manual_seed(seed)
        t = draw_times(len(batch.coord), host, self.process.config.t_min, setup)
        self_condition = bool(torch.rand(1, generator=host) < setup.self_condition)
        losses = denoising_losses(
            self.net,
            self.process,
            batch.coord,
            batch.condition,
            t.to(self.device),
            generator,
            self.config.loss,
            self_condition,
        )
        self.latest = {name: value.detach().mean() for name, value in losses.items()}
        return total_loss(losses, batch.condition.mask)

    def held_out_losses(self, numbered: NumberedBatch) -> dict[str, Tensor]:
        """Losses of one batch at every time of `VALID_TIMES`, and their means over the times.

        The noise of a batch is always the same.
        """
        batch = numbered.batch
        found: dict[str, Tensor] = {}
        for k, time in enumerate(VALID_TIMES):
            seed = step_seed(1_000 + k, numbered.number)
            losses = denoising_losses(
                self.net,
                self.process,
                batch.coord,
                batch.condition,
                torch.full((len(batch.coord),), time, device=self.device),
                torch.Generator(device=self.device).manual_seed(seed),
                self.config.loss,
                True,
            )
            found |= {f"{name}/t{time:.1f}": value.mean() for name, value in losses.items()}
        names = dict.fromkeys(name.split("/")[0] for name in found)
        means = {n: torch.stack([found[f"{n}/t{t:.1f}"] for t in VALID_TIMES]) for n in names}
        return found | {name: values.mean() for name, values in means.items()}

    def validation_step(self, numbered: NumberedBatch, _: int) -> None:
        """Log the held-out losses of one batch."""
        for name, value in self.held_out_losses(numbered).items():
            self._log_valid(name, value)

    def _log_valid(self, name: str, value: Tensor) -> None:
        self.log(f"valid/{name}", value, on_epoch=True, batch_size=1, sync_dist=True, logger=False)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what Lightning does not know."""
        checkpoint[CARD] = {
            **self.provenance,
            "stage": self.stage,
            "recipe": self.config.recipe,
            "seed": self.config.seed,
            "optimizer": self.config.optimizer.name,
            "first_step": self.first_step,
            "step": self.step,
            "residues": self.residues,
            "minutes": self.minutes,
            "model": plain(self.config.model),
            "process": plain(self.config.process),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the counters; refuse another network or optimizer."""
        card = checkpoint[CARD]
        asked, used = self.config.optimizer.name, card.get("optimizer", "adamw")
        if asked != used:
            raise UserError(
                f"the checkpoint has optimizer.name = {used}, the config {asked}; change it, or"
                " use init, not resume"
            )
        for group in ("model", "process"):
            own, stored = getattr(self.config, group), card[group]
            for f in fields(own):
                if plain(getattr(own, f.name)) != plain(stored[f.name]):
                    raise UserError(
                        f"the checkpoint has {group}.{f.name} = {stored[f.name]}, the config "
                        f"{plain(getattr(own, f.name))}; change it, or use init, not resume"
                    )
        self.first_step, self.residues = int(card["first_step"]), int(card["residues"])
        self.minutes = float(card["minutes"])


class Layout(DenoisingTask):
    """Before stage 1: where elements lie to each other, seen from afar."""

    stage = "layout"


class DomainGenerator(DenoisingTask):
    """Stage 1: single domains from ideal elements, or from nothing."""

    stage = "domain"


class Assembler(DenoisingTask):
    """Stage 2: known insides, hidden poses."""

    stage = "assembler"


#: Task of a stage.
TASKS: dict[str, type[DenoisingTask]] = {
    task.stage: task for task in (Layout, DomainGenerator, Assembler)
}


def held_out_rows(
    config: TrainConfig, state: Mapping[str, Tensor], source: BatchSource, batches: int
) -> dict[str, NDArray[np.float64]]:
    """Held-out losses of weights, batch by batch.

    Parameters
    ----------
    config : TrainConfig
        Names the stage, the network and the losses.
    state : mapping of str to Tensor
        Weights of the network.
    source : BatchSource
    batches : int
        The first so many are measured.

    Returns
    -------
    dict of str to ndarray, dtype=float64, shape=(batches,)
        By the names of `DenoisingTask.held_out_losses`.
    """
    task = TASKS[config.stage](config)
    task.net.load_state_dict(state)
    task.net.eval()
    rows = []
    with torch.no_grad():
        for number in range(batches):
            batch = source.batch(number)
            rows.append(task.held_out_losses(NumberedBatch(number, batch, batch.residues)))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
