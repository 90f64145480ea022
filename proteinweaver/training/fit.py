"""The loop around a task: folder, Lightning trainer, callbacks, checkpoints, the end.

What is learned (a `LightningModule` with ``step``, ``minutes``, ``residues``, ``latest`` and
``config``) and from what (a data module) is the caller's; `fit` brings everything else: averaged
weights, rates by budget, logs, a checkpoint every few minutes, resumption, a clean end.
"""

import json
import logging
import shlex
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from pytorch_lightning import LightningDataModule, LightningModule, Trainer
from pytorch_lightning.loggers import CSVLogger, Logger, TensorBoardLogger

from proteinweaver.errors import UserError
from proteinweaver.io.run_folder import write_atomic
from proteinweaver.io.typed import plain
from proteinweaver.training.callbacks import CheckpointKeeper, MetricsLog, MovingAverage, Pace
from proteinweaver.training.config import LoggerConfig, OptimizerConfig, TrainerConfig

__all__ = ["FitOutcome", "RunSetup", "command_line", "fit", "folder_of", "prepare_folder"]

_log = logging.getLogger(__name__)


class RunSetup(Protocol):
    """What every training config holds."""

    @property
    def out(self) -> str:
        """Folder."""
        ...

    @property
    def overwrite(self) -> bool:
        """Start afresh."""
        ...

    @property
    def optimizer(self) -> OptimizerConfig:
        """Rates."""
        ...

    @property
    def trainer(self) -> TrainerConfig:
        """Where and for how long."""
        ...

    @property
    def logger(self) -> LoggerConfig:
        """What is written down."""
        ...


@dataclass(frozen=True)
class FitOutcome:
    """What came of a loop.

    Parameters
    ----------
    last : dict of str to float
        The last row of the log and the last held-out losses.
    is_first_process : bool
        Whether this process writes files.
    """

    last: dict[str, float]
    is_first_process: bool


def fit(
    config: RunSetup,
    task: LightningModule,
    data: LightningDataModule,
    start: Path | None,
    around: AbstractContextManager[None],
    on_row: Callable[[dict[str, float]], None] | None = None,
) -> FitOutcome:
    """Run the loop until the budget is used or somebody asks to stop.

    Parameters
    ----------
    config : RunSetup
    task : LightningModule
    data : LightningDataModule
        With an attribute ``valid``, None where nothing is held out.
    start : Path or None
        Lightning checkpoint to go on with; one in the folder other than ``last.ckpt`` is removed
        afterwards.
    around : context manager
        Entered around the loop (compilation).
    on_row : callable, optional
        Called with every row of the log.

    Returns
    -------
    FitOutcome
    """
    out, setup = Path(config.out), config.trainer
    checkpoint = out / "last.ckpt"
    log = MetricsLog(out / "metrics.jsonl", config.logger.every, on_row)
    pace = Pace(setup.session_minutes, setup.clock)
    callbacks = [
        MovingAverage(config.optimizer.ema_decay),
        pace,
        log,
        CheckpointKeeper(checkpoint, setup.save_minutes, out / "shards" if setup.shards else None),
    ]
    has_validation = getattr(data, "valid", None) is not None and setup.valid_every > 0
    try:
        with _quiet(), around:
            trainer = _trainer(config, callbacks, has_validation=has_validation)
            trainer.fit(task, datamodule=data, ckpt_path=start, weights_only=True)
    finally:
        if start is not None and start != checkpoint and start.parent == out:
            start.unlink(missing_ok=True)
    if pace.signal:
        _log.warning("%s: saved %s at step %d", pace.signal, checkpoint, task.step)
    return FitOutcome(dict(log.last), trainer.is_global_zero)


def command_line() -> str:
    """Return the command of this process, for the record."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def folder_of(config: RunSetup) -> Path:
    """Folder of a run.

    Raises
    ------
    UserError
        If none is named.
    """
    if not config.out:
        raise UserError("no folder to write into; give -o DIR")
    return Path(config.out)


def prepare_folder(config: RunSetup, out: Path) -> None:
    """Make the folder, clear it if asked, write the config.

    Raises
    ------
    UserError
        If it cannot be written into.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        if config.overwrite:
            for name in ("last.ckpt", "metrics.jsonl"):
                (out / name).unlink(missing_ok=True)
            shutil.rmtree(out / "shards", ignore_errors=True)
    except OSError as error:
        raise UserError(f"cannot write into {out}: {error.strerror}; choose another -o") from None
    write_atomic(out / "train.json", json.dumps(plain(config), indent=2) + "\n")


def _accelerator(device: str) -> str:
    if device == "auto":
        return "gpu" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        return "cpu"
    if device == "cuda" and torch.cuda.is_available():
        return "gpu"
    raise UserError(f"trainer.device '{device}' is not usable here; use auto, cpu or cuda")


def _trainer(config: RunSetup, callbacks: list[Any], has_validation: bool) -> Trainer:
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
