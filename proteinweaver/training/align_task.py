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
from proteinweaver.preference.control import Standing, judged, next_strength
from proteinweaver.preference.mixing import average
from proteinweaver.preference.named import DRIFTING, named_objective
from proteinweaver.preference.reward_gradient import reward_of_samples
from proteinweaver.preference.step import RankingBatch, alignment_loss, batch_divergence
from proteinweaver.training.align_config import AlignConfig
from proteinweaver.training.checkpoints import CARD
from proteinweaver.training.optimised import OptimisedTask

__all__ = ["AlignTask"]

_MEMORY, _WAIT = 0.95, 20  # of the running divergence, and steps before it may stop a run
_REFERENCE, _BEST = "reference", "best"  # of a checkpoint: a reference that moves, the best state
#: What the runs before and after an interruption must have in common.
_MUST_AGREE = (
    *("pairs", "data", "start", "reference", "first", "objective", "adapter", "reference_ema"),
    "reward_gradient",
)


class AlignTask(OptimisedTask):
    """Fine-tune an assembler on pairs.

    Parameters
    ----------
    config : AlignConfig
    model : DenoiserConfig
    process : ProcessConfig
    state, reference, first : mapping of str to Tensor
        Weights that the policy begins with; of the reference, which stays or follows it; of the
        first reference, to which the policy is pulled.
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
        first: dict[str, Tensor],
        provenance: dict[str, Any],
    ) -> None:
        super().__init__(config.optimizer)
        self.config, self.model, self.laws = config, model, process
        self.provenance = provenance
        self.net = Denoiser(model)
        self.net.load_state_dict(state)
        if config.adapter.rank:
            self._adapt()
        # in a tuple, so that they are neither trained, averaged nor saved
        self._fixed = tuple(_still(model, weights) for weights in (reference, first))
        self.process = FrameProcess(process)
        self.objective = named_objective(config.objective)
        self.first_step, self.residues, self.minutes = 0, 0, 0.0
        self.divergence, self.strength = 0.0, config.pull.strength
        self.standing, self.best = Standing(), state
        self._candidate: dict[str, Tensor] = {}
        self._found: list[dict[str, float]] = []

    def _adapt(self) -> None:
        adapter = self.config.adapter
        generator = torch.Generator().manual_seed(self.config.seed)
        try:
            add_adapters(self.net, adapter.layers, adapter.rank, adapter.alpha, generator)
        except ValueError as error:
            raise UserError(f"adapter.layers: {error}") from None

    @property
    def _recipe(self) -> str:
        climbs = self.config.reward_gradient.last > 0
        return "reward-gradient" if climbs else self.config.objective.name

    @property
    def _has_drifted(self) -> bool:
        """Whether the objective asks how far the reference is from the first, and it is."""
        config = self.config
        is_apart = bool(config.first) or config.reference_ema < 1
        return is_apart and config.objective.name in DRIFTING

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
        """Whether it has collapsed or is beyond its limit: the run ends (see `Pace`)."""
        limit = self.config.kl_limit
        is_beyond = bool(limit) and self.step >= _WAIT and self.divergence > limit
        return self.standing.collapsed or is_beyond

    def losses(self, batch: RankingBatch) -> tuple[Tensor, dict[str, float]]:
        """Loss of a batch and its figures."""
        reference, first = (net.to(self.device) for net in self._fixed)
        surrogate, climbs = self.config.surrogate, self.config.reward_gradient.last > 0
        figures: dict[str, float] = {}
        if not climbs or not self.training:
            rounds = first if self._has_drifted else None
            loss, figures = alignment_loss(
                self.net, reference, self.process, batch, self.objective, surrogate, rounds
            )
        if climbs:
            reward, seen = reward_of_samples(
                self.net,
                self.process,
                batch.condition,
                batch.keys,
                self.config.reward_gradient,
                batch.best,
            )
            loss, figures = -reward.mean(), figures | seen
        if self.strength:
            far = batch_divergence(self.net, first, self.process, batch, surrogate)
            loss = loss + self.strength * far
            figures |= {"far": float(far.detach()), "strength": self.strength}
        return loss, figures

    def training_step(self, numbered: NumberedBatch, _: int) -> Tensor:
        """Loss of one batch; its figures stay in ``latest``."""
        loss, figures = self.losses(numbered.batch)
        self.latest = {name: torch.tensor(value) for name, value in figures.items()}
        self.latest["total"] = loss.detach()
        self.divergence = _MEMORY * self.divergence + (1.0 - _MEMORY) * figures.get("kl", 0.0)
        if self.strength:
            self.strength = next_strength(self.strength, figures["far"], self.config.pull)
        return loss

    def validation_step(self, numbered: NumberedBatch, _: int) -> None:
        """Figures of held-out pairs, noise always the same."""
        loss, figures = self.losses(numbered.batch)
        self._found.append(figures)
        for name, value in {**figures, "total": float(loss)}.items():
            self.log(
                f"valid/{name}", value, on_epoch=True, batch_size=1, sync_dist=True, logger=False
            )

    def on_validation_epoch_start(self) -> None:
        """Keep the weights that are measured, which are the averaged ones."""
        self._found = []
        if self.config.collapse.patience:
            state = merged_state(self.net.state_dict())
            self._candidate = {name: value.cpu().clone() for name, value in state.items()}

    def on_validation_epoch_end(self) -> None:
        """See whether this is the best state, or one too many of bad ones.

        A measurement behind the last step comes after the last checkpoint and decides nothing.
        """
        if not self.config.collapse.patience or self.trainer.should_stop or not self._found:
            return
        accuracy, kl = (
            sum(figures[name] for figures in self._found) / len(self._found)
            for name in ("accuracy", "kl")
        )
        self.standing = judged(self.standing, self.step, accuracy, kl, self.config.collapse)
        if self.standing.step == self.step:
            self.best = self._candidate

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what Lightning does not know."""
        if self.config.reference_ema < 1:
            checkpoint[_REFERENCE] = dict(self._fixed[0].state_dict())
        if self.config.collapse.patience:
            checkpoint[_BEST] = dict(self.best)
        checkpoint[CARD] = {
            **self.provenance,
            "stage": "assembler",
            "recipe": f"align-{self._recipe}",
            "seed": self.config.seed,
            "step": self.step,
            "residues": self.residues,
            "minutes": self.minutes,
            "divergence": self.divergence,
            "strength": self.strength,
            "standing": plain(self.standing),
            "model": plain(self.model),
            "process": plain(self.laws),
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the counters; refuse other pairs or another objective."""
        card = checkpoint[CARD]
        for key in _MUST_AGREE:
            if card.get(key) != self.provenance.get(key):
                raise UserError(
                    f"the run in this folder has another {key}; choose another -o, or --overwrite"
                )
        if _REFERENCE in checkpoint:
            self._fixed[0].load_state_dict(checkpoint[_REFERENCE])
        self.best = checkpoint.get(_BEST, self.best)
        self.residues, self.minutes = int(card["residues"]), float(card["minutes"])
        self.divergence = float(card["divergence"])
        self.strength = float(card.get("strength", self.strength))
        self.standing = Standing(**card.get("standing", {}))


def _still(model: DenoiserConfig, weights: dict[str, Tensor]) -> Denoiser:
    """Make a network that never learns."""
    net = Denoiser(model)
    net.load_state_dict(weights)
    return net.eval().requires_grad_(False)
