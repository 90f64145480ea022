"""The one function from a training config to a checkpoint.

::

    OUT/last.ckpt        weights (current and average), optimizer, counters: the resume point
    OUT/shards/          the same in at most three files of at most 16 MiB (``trainer.shards``)
    OUT/metrics.jsonl    means over a few steps; held-out losses at every noise level
    OUT/train.json       the config
    OUT/STAGE.safetensors and .json, when the budget is used: the weights, for ``--weights OUT``

The same call with the same folder goes on where it stopped: batches, noise and rate are functions
of the step, so the loss curve continues as if nothing had happened (to rounding; with a budget of
minutes, up to the clock). On another machine it does so from ``OUT/shards`` alone.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from proteinweaver.data.datamodule import BatchDataModule
from proteinweaver.errors import UserError
from proteinweaver.io.typed import plain
from proteinweaver.training.checkpoints import initial_state, read_checkpoint
from proteinweaver.training.compiled import compiled_denoiser
from proteinweaver.training.config import TrainConfig
from proteinweaver.training.export import export_weights
from proteinweaver.training.fit import command_line, fit, folder_of, prepare_folder
from proteinweaver.training.schedule import used_budget
from proteinweaver.training.shards import are_shards
from proteinweaver.training.sources import open_sources
from proteinweaver.training.tasks import TASKS, DenoisingTask

__all__ = ["TrainResult", "train"]


@dataclass(frozen=True)
class TrainResult:
    """Outcome of a training run.

    Parameters
    ----------
    checkpoint : Path
        ``last.ckpt``.
    metrics : dict of str to float
        The last row of the log and the last held-out losses.
    step : int
        Steps done, resumed runs included.
    finished : bool
        False if it was stopped before its budget was used: call again to go on.
    """

    checkpoint: Path
    metrics: dict[str, float]
    step: int
    finished: bool


def train(
    config: TrainConfig, on_row: Callable[[dict[str, float]], None] | None = None
) -> TrainResult:
    """Train, or go on training.

    Parameters
    ----------
    config : TrainConfig
    on_row : callable, optional
        Called with every row of the log.

    Returns
    -------
    TrainResult

    Raises
    ------
    UserError
        If the folder, the data, a checkpoint or the device cannot be used.
    """
    out = folder_of(config)
    checkpoint = out / "last.ckpt"
    prepare_folder(config, out)
    start = _resume_point(config, out)
    if config.trainer.threads:
        torch.set_num_threads(config.trainer.threads)
    sources = open_sources(config, out)
    torch.manual_seed(config.seed)
    task = TASKS[config.stage](
        config,
        {"data": sources.hashes, "command": command_line()},
    )
    if config.init and start is None:
        _start_from(task, config.init)
    setup = config.trainer
    data = BatchDataModule(
        sources.train,
        sources.valid if setup.valid_every else None,
        setup.valid_batches,
        config.data.workers,
    )
    outcome = fit(config, task, data, start, compiled_denoiser(task.net, setup.compile), on_row)
    finished = used_budget(task.step, task.minutes, setup) >= 1
    if finished and outcome.is_first_process:
        export_weights(checkpoint, config.stage, out)
    return TrainResult(checkpoint, outcome.last, task.step, finished)


def _resume_point(config: TrainConfig, out: Path) -> Path | None:
    """Checkpoint for Lightning to start from, or None."""
    own = (out / "last.ckpt", out / "shards")
    path = next((place for place in own if place.exists()), None)
    path = path or (Path(config.resume) if config.resume else None)
    if path is None:
        return None
    found = read_checkpoint(path)
    if not are_shards(path):
        return path
    whole = out / f".resumed-{os.getpid()}.ckpt"
    torch.save(found.raw, whole)
    return whole


def _start_from(task: DenoisingTask, path: str) -> None:
    """Load weights into a fresh task."""
    state, model = initial_state(path)
    try:
        task.net.load_state_dict(state)
    except RuntimeError:
        raise UserError(
            f"{path}: its network ({plain(model)}) is not that of the config; set model.* to match"
        ) from None
