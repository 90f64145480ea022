"""Batches for Lightning: step k of process r of w takes batch k w + r, whatever happened before.

The loader has no memory to save: batches are a pure function of (seed, number), so a resumed run
asks for the step it
stands at and sees what an unbroken one would have seen. Worker processes prepare batches ahead,
in order.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

__all__ = ["BatchDataModule", "Loadable", "NumberedBatch", "Source"]


class Loadable(Protocol):
    """A batch that can travel to a device."""

    @property
    def residues(self) -> int:
        """Residues without padding."""
        ...

    def to(self, device: torch.device | str) -> Any:
        """Copy on ``device``."""
        ...

    def pin_memory(self) -> Any:
        """Copy in page-locked memory."""
        ...


class Source(Protocol):
    """Batches by number."""

    def batch(self, step: int) -> Any:
        """Batch number ``step``, a `Loadable`."""
        ...


@dataclass(frozen=True)
class NumberedBatch:
    """A batch and its number, the key of its noise.

    Parameters
    ----------
    number : int
    batch : Batch or CriticBatch
        Anything `Loadable`.
    residues : int
        Without padding.
    """

    number: int
    batch: Any
    residues: int

    def to(self, device: torch.device | str) -> "NumberedBatch":
        """Copy on ``device``; does not wait for copies from pinned memory."""
        return replace(self, batch=self.batch.to(device))

    def pin_memory(self) -> "NumberedBatch":
        """Copy in page-locked memory (called by the loader)."""
        return replace(self, batch=self.batch.pin_memory())


class _Numbered(IterableDataset[NumberedBatch]):
    """Numbers ``start, start + stride, ...`` of one process; ``count`` of them, or no end."""

    def __init__(self, source: Source, start: int, stride: int, count: int | None = None) -> None:
        self.source, self.start, self.stride, self.count = source, start, stride, count

    def __iter__(self) -> Iterator[NumberedBatch]:
        worker = get_worker_info()
        first, every = (worker.id, worker.num_workers) if worker else (0, 1)
        k = first
        while self.count is None or k < self.count:
            number = self.start + k * self.stride
            batch = self.source.batch(number)
            yield NumberedBatch(number, batch, batch.residues)
            k += every


class BatchDataModule(LightningDataModule):
    """Training and held-out batches.

    The attached task must have a property ``step``: steps done.

    Parameters
    ----------
    train : Source
        Such as `proteinweaver.data.batches.BatchSource`.
    valid : Source, optional
        Held-out batches; none: no validation.
    valid_batches : int
        Of every measurement (on all processes together).
    workers : int
        Processes that prepare batches; 0 for none.
    """

    def __init__(
        self,
        train: Source,
        valid: Source | None = None,
        valid_batches: int = 0,
        workers: int = 0,
    ) -> None:
        super().__init__()
        self.train, self.valid = train, valid
        self.valid_batches, self.workers = valid_batches, workers

    def _place(self) -> tuple[int, int, int]:
        """Tell steps done, rank of this process, number of processes."""
        trainer = self.trainer
        if trainer is None:
            raise RuntimeError("attach the data module to a trainer first")
        done: Any = trainer.lightning_module.step
        return int(done), trainer.global_rank, trainer.world_size

    def _loader(self, numbers: _Numbered, workers: int) -> DataLoader[NumberedBatch]:
        on_gpu = self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"
        return DataLoader(
            numbers,
            batch_size=None,
            num_workers=workers,
            pin_memory=on_gpu,
            prefetch_factor=4 if workers else None,
            persistent_workers=workers > 0,
        )

    def train_dataloader(self) -> DataLoader[NumberedBatch]:
        """Endless batches from the task's step on."""
        step, rank, world = self._place()
        return self._loader(_Numbered(self.train, step * world + rank, world), self.workers)

    def val_dataloader(self) -> DataLoader[NumberedBatch] | list[None]:
        """Deliver the same few held-out batches every time."""
        if self.valid is None or self.valid_batches == 0:
            return []
        _, rank, world = self._place()
        count = len(range(rank, self.valid_batches, world))
        return self._loader(_Numbered(self.valid, rank, world, count), 0)

    def transfer_batch_to_device(
        self, batch: NumberedBatch, device: torch.device, dataloader_idx: int
    ) -> NumberedBatch:
        """Move a batch; Lightning cannot take frozen dataclasses apart."""
        return batch.to(device)
