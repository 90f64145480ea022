"""The one function from a training config to a checkpoint.

::

    OUT/last.ckpt        weights (current and average), optimizer, counters: the resume point
    OUT/metrics.jsonl    means over a few steps; held-out losses at every noise level
    OUT/train.json       the config
    OUT/STAGE.safetensors and .json, when the budget is used: the weights, for ``--weights OUT``

The same call with the same folder goes on where it stopped: batches, noise and rate are functions
of the step, so the loss
curve continues as if nothing had happened (to rounding; with a budget of minutes, up to the
clock).
"""

import json
import logging
import os
import shlex
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Trainer
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger

from proteinweaver.data.datamodule import BatchDataModule
from proteinweaver.errors import UserError
from proteinweaver.io.run_folder import write_atomic
from proteinweaver.io.typed import plain
from proteinweaver.training.callbacks import CheckpointKeeper, MetricsLog, MovingAverage, Pace
from proteinweaver.training.checkpoints import (
    initial_state,
    lightning_checkpoint,
    read_checkpoint,
)
from proteinweaver.training.compiled import compiled
from proteinweaver.training.config import TrainConfig
from proteinweaver.training.export import export_weights
from proteinweaver.training.schedule import used_budget
from proteinweaver.training.sources import open_sources
from proteinweaver.training.tasks import TASKS, DenoisingTask

__all__ = ["TrainResult", "train"]

_log = logging.getLogger(__name__)


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
    if not config.out:
        raise UserError("no folder to write into; give -o DIR")
    out = Path(config.out)
    checkpoint = out / "last.ckpt"
    _prepare(config, out)
    start = _resume_point(config, out)
    if config.trainer.threads:
        torch.set_num_threads(config.trainer.threads)
    sources = open_sources(config, out)
    torch.manual_seed(config.seed)
    task = TASKS[config.stage](
        config,
        {"data": sources.hashes, "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])},
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
    log = MetricsLog(out / "metrics.jsonl", config.logger.every, on_row)
    pace = Pace(setup.session_minutes)
    callbacks = [
        MovingAverage(config.optimizer.ema_decay),
        pace,
        log,
        CheckpointKeeper(checkpoint, setup.save_minutes),
    ]
    try:
        with _quiet(), compiled(task.net, setup.compile):
            trainer = _trainer(config, callbacks, has_validation=data.valid is not None)
            trainer.fit(task, datamodule=data, ckpt_path=start, weights_only=True)
    finally:
        if start is not None and start != checkpoint and start.parent == out:
            start.unlink(missing_ok=True)
    if pace.signal:
        _log.warning("%s: saved %s at step %d", pace.signal, checkpoint, task.step)
    finished = used_budget(task.step, task.minutes, setup) >= 1
    if finished and trainer.is_global_zero:
        export_weights(checkpoint, config.stage, out)
    return TrainResult(checkpoint, dict(log.last), task.step, finished)


def _prepare(config: TrainConfig, out: Path) -> None:
    """Make the folder, clear it if asked, write the config."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        if config.overwrite:
            for name in ("last.ckpt", "metrics.jsonl"):
                (out / name).unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"cannot write into {out}: {error.strerror}; choose another -o") from None
    write_atomic(out / "train.json", json.dumps(plain(config), indent=2) + "\n")


def _resume_point(config: TrainConfig, out: Path) -> Path | None:
    """Checkpoint for Lightning to start from, or None."""
    own = out / "last.ckpt"
    path = own if own.is_file() else Path(config.resume) if config.resume else None
    if path is None:
        return None
    found = read_checkpoint(path)
    if not found.is_plain:
        return path
    converted = out / f".converted-{os.getpid()}.ckpt"
    torch.save(lightning_checkpoint(found), converted)
    return converted


def _start_from(task: DenoisingTask, path: str) -> None:
    """Load weights into a fresh task."""
    state, model = initial_state(path)
    try:
        task.net.load_state_dict(state)
    except RuntimeError:
        raise UserError(
            f"{path}: its network ({plain(model)}) is not that of the config; set model.* to match"
        ) from None


def _accelerator(device: str) -> str:
    if device == "auto":
        return "gpu" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        return "cpu"
    if device == "cuda" and torch.cuda.is_available():
        return "gpu"
    raise UserError(f"trainer.device '{device}' is not usable here; use auto, cpu or cuda")


def _trainer(config: TrainConfig, callbacks: list[Any], has_validation: bool) -> Trainer:
    setup = config.trainer
    loggers: list[Logger] = []
    if config.logger.also == "csv":
        loggers.append(CSVLogger(config.out, name="", version="csv"))
    if config.logger.also == "tensorboard":
        try:
            loggers.append(TensorBoardLogger(config.out, name="", version="tensorboard"))
        except ModuleNotFoundError:
            raise UserError("logger.also=tensorboard needs `pip install tensorboard`") from None
    return Trainer(
        accelerator=_accelerator(setup.device),
        devices=setup.devices,
        num_nodes=setup.nodes,
        strategy=setup.strategy,
        precision=setup.precision,
        callbacks=callbacks,
        logger=loggers or False,
        max_epochs=-1,
        val_check_interval=setup.valid_every if has_validation else None,
        check_val_every_n_epoch=None,
        limit_val_batches=setup.valid_batches if has_validation else 0,
        num_sanity_val_steps=0,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        inference_mode=False,
        default_root_dir=config.out,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's tips off the terminal; its errors pass."""
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning.*")
        warnings.filterwarnings("ignore", module="lightning_fabric.*")
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
