"""What happens around a step: moving average, pace (rate, clock, end), checkpoints, log.

``task`` is always a `proteinweaver.training.tasks.DenoisingTask`.
"""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning import Callback, Trainer
from pytorch_lightning.callbacks import WeightAveraging
from torch import Tensor

from proteinweaver.io.run_folder import write_atomic
from proteinweaver.training.schedule import ema_decay, learning_rate, used_budget
from proteinweaver.training.shards import write_shards

__all__ = ["CheckpointKeeper", "MetricsLog", "MovingAverage", "Pace"]


class MovingAverage(WeightAveraging):
    """Exponential moving average with a memory that grows: ``min(decay, (1 + n) / (10 + n))``.

    Held-out losses are those of the average; checkpoints keep both.

    Parameters
    ----------
    decay : float
    """

    def __init__(self, decay: float) -> None:
        def update(
            average: Sequence[Tensor], current: Sequence[Tensor], count: Tensor | int
        ) -> None:
            share = 1.0 - ema_decay(int(count), decay)
            torch._foreach_lerp_(list(average), list(current), share)

        super().__init__(use_buffers=False, multi_avg_fn=torch.no_grad()(update))


def _is_over(task: Any) -> bool:
    """Whether the budget is used, or the task says that it went too far."""
    used = used_budget(task.step, task.minutes, task.config.trainer)
    return used >= 1 or bool(getattr(task, "is_too_far", False))


class Pace(Callback):
    """The learning rate of every step, and when to stop.

    Training stops when the budget is used, when the session's time is up, or at SIGTERM or
    SIGINT; the step in progress is finished. One process decides for all.

    Parameters
    ----------
    session_minutes : float
        Of wall time; 0 for no limit.
    clock : {"wall", "cpu"}
        What the budget is counted by.
    """

    def __init__(self, session_minutes: float = 0.0, clock: str = "wall") -> None:
        self.session_minutes = session_minutes
        self._clock = time.process_time if clock == "cpu" else time.monotonic
        self._began = 0.0
        self.signal: str | None = None
        self._start = self._before = 0.0
        self._handlers: dict[int, Any] = {}

    def on_train_start(self, trainer: Trainer, task: Any) -> None:
        """Start the clock and listen; a run that is over does no step more."""
        self._start, self._before = time.monotonic(), task.minutes
        self._began = self._clock()
        trainer.should_stop = bool(trainer.strategy.broadcast(_is_over(task)))
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._handlers[number] = signal.signal(number, self._heard)

    def _heard(self, number: int, _: Any) -> None:
        if self.signal == "SIGINT" and number == signal.SIGINT:
            raise KeyboardInterrupt  # asked twice: at once
        self.signal = signal.Signals(number).name

    def _silence(self) -> None:
        while self._handlers:
            number, handler = self._handlers.popitem()
            signal.signal(number, handler)

    def on_train_end(self, trainer: Trainer, task: Any) -> None:
        """Stop listening."""
        self._silence()

    def on_exception(self, trainer: Trainer, task: Any, exception: BaseException) -> None:
        """Stop listening."""
        self._silence()

    @property
    def _session(self) -> float:
        return (time.monotonic() - self._start) / 60

    @property
    def _minutes(self) -> float:
        """Minutes of training, those before a resumption included."""
        return self._before + (self._clock() - self._began) / 60

    def on_train_batch_start(
        self, trainer: Trainer, task: Any, batch: Any, batch_idx: int
    ) -> None:
        """Set the rate."""
        task.minutes = self._minutes
        used = used_budget(task.step, task.minutes, task.config.trainer)
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = learning_rate(task.step, used, task.config.optimizer)

    def on_train_batch_end(
        self, trainer: Trainer, task: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count, and see whether it is time."""
        task.residues += batch.residues * trainer.world_size
        task.minutes = self._minutes
        over = _is_over(task)
        asked = self.signal is not None or 0 < self.session_minutes <= self._session
        trainer.should_stop = bool(trainer.strategy.broadcast(over or asked))


class MetricsLog(Callback):
    """Means over a few steps, and held-out losses, as lines of ``metrics.jsonl``.

    Rows of steps after the checkpoint that is resumed are dropped first, so every step appears
    once.

    Parameters
    ----------
    path : Path
    every : int
        Steps of one row.
    on_row : callable, optional
        Also called with every row.
    """

    def __init__(
        self, path: Path, every: int, on_row: Callable[[dict[str, float]], None] | None = None
    ) -> None:
        self.path, self.every, self.on_row = path, every, on_row
        self.last: dict[str, float] = {}
        self._sums: dict[str, float] = {}
        self._pending: list[dict[str, Tensor]] = []
        self._count = 0
        self._tick = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Keep the sums of the row in progress."""
        self._settle()
        return {"sums": dict(self._sums), "count": self._count, "last": dict(self.last)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on with the row in progress."""
        self._sums, self._count = dict(state_dict["sums"]), int(state_dict["count"])
        self.last = dict(state_dict["last"])

    def on_train_start(self, trainer: Trainer, task: Any) -> None:
        """Drop rows that will be written again."""
        self._tick = time.monotonic()
        if trainer.is_global_zero and self.path.is_file():
            rows = self.path.read_text(encoding="utf-8").splitlines()
            kept = [row for row in rows if row and json.loads(row)["step"] <= task.step]
            write_atomic(self.path, "".join(f"{row}\n" for row in kept))

    def _settle(self) -> None:
        """Add up what the device has finished since; the only place that waits for it."""
        for terms in self._pending:
            for name, value in terms.items():
                self._sums[name] = self._sums.get(name, 0.0) + float(value)
        self._count += len(self._pending)
        self._pending = []

    def _write(self, trainer: Trainer, row: dict[str, float]) -> None:
        self.last |= row
        if not trainer.is_global_zero:
            return
        with self.path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
        for logger in trainer.loggers:
            logger.log_metrics(row, step=int(row["step"]))
        if self.on_row is not None:
            self.on_row(row)

    def on_train_batch_end(
        self, trainer: Trainer, task: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Collect; write a row when it is full."""
        self._pending.append(task.latest)
        if task.step % self.every:
            return
        self._settle()
        now = time.monotonic()
        row = {
            "step": task.step,
            "minutes": round(task.minutes, 3),
            "residues": task.residues,
            "seconds_per_step": round((now - self._tick) / self._count, 4),
            "lr": trainer.optimizers[0].param_groups[0]["lr"],
            **{name: value / self._count for name, value in self._sums.items()},
        }
        self._sums, self._count, self._tick = {}, 0, now
        self._write(trainer, row)

    def on_validation_end(self, trainer: Trainer, task: Any) -> None:
        """Write the held-out losses."""
        found = {
            k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("valid/")
        }
        if found and not trainer.sanity_checking:
            self._write(trainer, {"step": task.step, "minutes": round(task.minutes, 3), **found})
        self._tick = time.monotonic()


class CheckpointKeeper(Callback):
    """Writes ``last.ckpt`` every few minutes and at the end, beside its place and then renamed.

    Must stand after the other callbacks, which it saves.

    Parameters
    ----------
    path : Path
    minutes : float
    shards : Path, optional
        Folder to write it into once more, as shards that travel.
    """

    def __init__(self, path: Path, minutes: float, shards: Path | None = None) -> None:
        self.path, self.minutes, self.shards = path, minutes, shards
        self._saved = 0.0

    def on_train_start(self, trainer: Trainer, task: Any) -> None:
        """Start the clock."""
        self._saved = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, task: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save if it is time, or the last step."""
        due = time.monotonic() - self._saved > 60 * self.minutes
        if trainer.strategy.broadcast(due) or trainer.should_stop:
            partial = self.path.with_name(f".{self.path.name}.partial")
            trainer.save_checkpoint(partial)
            if trainer.is_global_zero:
                os.replace(partial, self.path)
                if self.shards is not None:
                    state = torch.load(self.path, map_location="cpu", weights_only=True)
                    write_shards(self.shards, state, task.step)
            self._saved = time.monotonic()
