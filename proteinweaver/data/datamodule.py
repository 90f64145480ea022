"""Batches for Lightning: step k of process r of w takes batch k w + r, whatever happened before.

The loader has no memory to save: batches are a pure function of (seed, number), so a resumed run asks for the step it
stands at and sees what an unbroken one would have seen. Worker processes prepare batches ahead, in order.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import torch
from pytorch_lightning import LightningDataModule
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from proteinweaver.data.batches import Batch, BatchSource
from proteinweaver.nets.condition import Condition

__all__ = ["BatchDataModule", "NumberedBatch"]


@dataclass(frozen=True)
class NumberedBatch:
    """A batch and its number, the key of its noise.

    Parameters
    ----------
    number : int
    batch : Batch
    """

    number: int
    batch: Batch

    def to(self, device: torch.device | str) -> "NumberedBatch":
        """Copy on ``device``; does not wait for copies from pinned memory."""
        condition = self.batch.condition
        moved = {f.name: getattr(condition, f.name).to(device, non_blocking=True) for f in fields(condition)}
        coord = self.batch.coord.to(device, non_blocking=True)
        return NumberedBatch(self.number, Batch(coord, Condition(**moved)))

    def pin_memory(self) -> "NumberedBatch":
        """Copy in page-locked memory (called by the loader)."""
        condition = self.batch.condition
        pinned = {f.name: getattr(condition, f.name).pin_memory() for f in fields(condition)}
        return NumberedBatch(self.number, Batch(self.batch.coord.pin_memory(), Condition(**pinned)))


class _Numbered(IterableDataset[NumberedBatch]):
    """Batches of one process: numbers ``start, start + stride, ...``, without end unless ``count`` is given."""

    def __init__(self, source: BatchSource, start: int, stride: int, count: int | None = None) -> None:
        self.source, self.start, self.stride, self.count = source, start, stride, count

    def __iter__(self) -> Iterator[NumberedBatch]:
        worker = get_worker_info()
        first, every = (worker.id, worker.num_workers) if worker else (0, 1)
        k = first
        while self.count is None or k < self.count:
            number = self.start + k * self.stride
            yield NumberedBatch(number, self.source.batch(number))
            k += every


class BatchDataModule(LightningDataModule):
    """Training and held-out batches.

    The attached task must have a property ``step``: steps done.

    Parameters
    ----------
    train : BatchSource
    valid : BatchSource, optional
        Held-out batches; none: no validation.
    valid_batches : int
        Of every measurement (on all processes together).
    workers : int
        Processes that prepare batches; 0 for none.
    """

    def __init__(
        self,
        train: BatchSource,
        valid: BatchSource | None = None,
        valid_batches: int = 0,
        workers: int = 0,
    ) -> None:
        super().__init__()
        self.train, self.valid = train, valid
        self.valid_batches, self.workers = valid_batches, workers

    def _loader(self, numbers: _Numbered, workers: int) -> DataLoader[NumberedBatch]:
        pin = torch.cuda.is_available() and self.trainer.strategy.root_device.type == "cuda"
        more = {"prefetch_factor": 4, "persistent_workers": True} if workers else {}
        return DataLoader(numbers, batch_size=None, num_workers=workers, pin_memory=pin, **more)

    def train_dataloader(self) -> DataLoader[NumberedBatch]:
        """Endless batches from the task's step on."""
        rank, world = self.trainer.global_rank, self.trainer.world_size
        start = self.trainer.lightning_module.step * world + rank
        return self._loader(_Numbered(self.train, start, world), self.workers)

    def val_dataloader(self) -> DataLoader[NumberedBatch] | list[None]:
        """Deliver the same few held-out batches every time."""
        if self.valid is None or self.valid_batches == 0:
            return []
        rank, world = self.trainer.global_rank, self.trainer.world_size
        count = len(range(rank, self.valid_batches, world))
        return self._loader(_Numbered(self.valid, rank, world, count), 0)

    def transfer_batch_to_device(
        self, batch: NumberedBatch, device: torch.device, dataloader_idx: int
    ) -> NumberedBatch:
        """Move a batch; Lightning cannot take frozen dataclasses apart."""
        return batch.to(device)
