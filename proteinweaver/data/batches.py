"""Training batches: which structures, cut how, of similar length; a pure function of (seed, step).

A batch is drawn, not iterated: one item fixes the length, the others are drawn (weighted by
cluster) among items at most 15 % shorter, as many as the residue budget holds. Because step number
and seed fix everything, a resumed run sees exactly the batches that an unbroken one would have
seen.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from proteinweaver.data.pieces import (
    Insides,
    Task,
    domains_task,
    elements_task,
    frayed_task,
    gaps_task,
    no_map_task,
    segments_task,
)
from proteinweaver.data.store import StructureItem, StructureStore
from proteinweaver.nets.coarse import FEWEST_MARKS, coarsened, marks
from proteinweaver.nets.condition import ADAPT, Condition, stack_conditions
from proteinweaver.structure.frames import frames_from_coord

__all__ = ["TASKS", "Batch", "BatchSource", "Mixture", "collate", "condition_of_task"]

#: Task makers by name.
TASKS = {
    "none": no_map_task,
    "elements": elements_task,
    "frayed": frayed_task,
    "segments": segments_task,
    "gaps": gaps_task,
    "domains": domains_task,
}
_SPARSE = 4  # of chains of too few marks, every fourth residue is kept
_BREAK_JUMP = 64  # index jump at missing residues: beyond every embedded offset


@dataclass(frozen=True)
class Batch:
    """Clean structures and what is told of them.

    Parameters
    ----------
    coord : Tensor, dtype=float32, shape=(B, L, 4, 3)
        Angstrom, CA centred at zero.
    condition : Condition
    """

    coord: Tensor
    condition: Condition

    @property
    def residues(self) -> int:
        """Residues without padding."""
        return int(self.condition.mask.sum())

    def to(self, device: torch.device | str) -> "Batch":
        """Copy on ``device``; does not wait for copies from pinned memory."""
        moved = {
            f.name: getattr(self.condition, f.name).to(device, non_blocking=True)
            for f in fields(self.condition)
        }
        return Batch(self.coord.to(device, non_blocking=True), Condition(**moved))

    def pin_memory(self) -> "Batch":
        """Copy in page-locked memory."""
        pinned = {
            f.name: getattr(self.condition, f.name).pin_memory() for f in fields(self.condition)
        }
        return Batch(self.coord.pin_memory(), Condition(**pinned))


@dataclass(frozen=True)
class Mixture:
    """One source of training examples.

    Parameters
    ----------
    file : {"domains", "chains", "designs"}
        Which structure set.
    tasks : mapping of str to float
        Task name (`TASKS`) to relative frequency.
    share : float
        Share of batches.
    min_length, max_length : int
        Residues; longer items are cropped to a random window, shorter ones are left out.
    trim : float
        Half of the items lose up to this share of their residues, shared at random by both ends.
    coarse : bool
        Keep the marks of every chain alone (`proteinweaver.nets.coarse`).
    insides : Insides
        How native pieces are told.
    annotated : bool
        Only chains whose domains are annotated.
    interface : int
        Half of the longer chains are cropped to so many residues about the boundary of two
        domains; 0 for none.
    """

    file: str
    tasks: Mapping[str, float]
    share: float = 1.0
    min_length: int = 40
    max_length: int = 256
    trim: float = 0.0
    coarse: bool = False
    insides: Insides = field(default_factory=Insides)
    annotated: bool = False
    interface: int = 0

    def members(self, store: StructureStore, split: str) -> NDArray[np.int64]:
        """Items of a split that examples are made of."""
        members = store.members(split)
        members = members[store.lengths[members] >= self.min_length]
        return members[store.annotated[members]] if self.annotated else members


def condition_of_task(item: StructureItem, task: Task) -> Condition:
    """Condition of one structure, shape (1, L)."""
    known = torch.from_numpy(task.known)
    piece = torch.from_numpy(task.piece)[None]
    rot, trans = frames_from_coord(known)
    has = (piece[0] >= 0)[:, None]
    rot = torch.where(has[..., None], rot, torch.eye(3))
    trans = torch.where(has, trans, torch.zeros(3))
    jumps = np.concatenate(([0], np.cumsum(item.break_after[:-1]) * _BREAK_JUMP))
    return Condition(
        mask=torch.ones(1, len(item), dtype=torch.bool),
        index=torch.from_numpy(np.arange(len(item)) + jumps)[None],
        ss=torch.from_numpy(task.ss)[None],
        piece=piece,
        known_rot=rot[None],
        known_trans=trans[None],
        mode=torch.full((1, len(item)), ADAPT, dtype=torch.int64),
    )


def collate(items: list[StructureItem], tasks: list[Task], coarse: bool = False) -> Batch:
    """Pad structures and their tasks to one batch; of `coarse` ones the marks alone."""
    conditions, chains = [], []
    for item, task in zip(items, tasks, strict=True):
        condition, chain = condition_of_task(item, task), torch.from_numpy(item.coord)
        if coarse:
            rows = marks(condition)
            if len(rows) < FEWEST_MARKS:
                rows = torch.arange(0, len(chain), _SPARSE)
            condition, chain = coarsened(condition, rows), chain[rows]
        conditions.append(condition)
        chains.append(chain)
    condition = stack_conditions(conditions)
    coord = torch.zeros(*condition.mask.shape, 4, 3)
    coord[..., 0, :] = torch.tensor([-0.5, 1.4, 0.0])  # padding residues keep a valid frame
    coord[..., 2, :] = torch.tensor([1.5, 0.0, 0.0])
    for row, chain in enumerate(chains):
        coord[row, : len(chain)] = chain - chain[:, 1].mean(0)
    return Batch(coord, condition)


def _trimmed(item: StructureItem, share: float, rng: np.random.Generator) -> StructureItem:
    """Cut residues off the ends."""
    lost = int(rng.integers(0, int(share * len(item)) + 1))
    first = int(rng.integers(0, lost + 1))
    return item.crop(first, len(item) - (lost - first))


def _about_boundary(item: StructureItem, length: int, rng: np.random.Generator) -> StructureItem:
    """Crop to a window with the boundary of two domains, if there is one, in its middle half."""
    kind = item.domain.astype(np.int64)
    known = np.flatnonzero(kind > 0)
    changes = known[1:][np.diff(kind[known]) != 0]
    if not len(changes):
        return item
    middle = int(rng.choice(changes)) + int(rng.integers(-length // 4, length // 4 + 1))
    start = min(max(0, middle - length // 2), len(item) - length)
    return item.crop(start, start + length)


class BatchSource:
    """Batches of one split by step number.

    Parameters
    ----------
    stores : mapping of str to StructureStore
        Structure sets by the names the mixtures use.
    mixtures : sequence of Mixture
    split : str
    residues : int
        Residues of a batch, padding included.
    seed : int
    """

    def __init__(
        self,
        stores: Mapping[str, StructureStore],
        mixtures: tuple[Mixture, ...],
        split: str,
        residues: int,
        seed: int,
    ) -> None:
        self.stores, self.mixtures, self.residues, self.seed = stores, mixtures, residues, seed
        self._members: list[NDArray[np.int64]] = []
        self._lengths: list[NDArray[np.int64]] = []
        self._weights: list[NDArray[np.float64]] = []
        for mixture in mixtures:
            store = stores[mixture.file]
            members = mixture.members(store, split)
            if not len(members):
                raise ValueError(f"no {split} item of {mixture.file} for {mixture}")
            lengths = np.minimum(store.lengths[members], mixture.max_length)
            order = np.argsort(lengths, kind="stable")
            self._members.append(members[order])
            self._lengths.append(lengths[order])
            self._weights.append(store.weights(members)[order])

    def batch(self, step: int) -> Batch:
        """Batch number ``step``."""
        rng = np.random.default_rng([self.seed, step])
        share = np.array([m.share for m in self.mixtures])
        which = int(rng.choice(len(share), p=share / share.sum()))
        mixture, members = self.mixtures[which], self._members[which]
        lengths, weights = self._lengths[which], self._weights[which]
        anchor = int(rng.choice(len(members), p=weights))
        longest = int(lengths[anchor])
        low = int(np.searchsorted(lengths, 0.85 * longest))
        high = int(np.searchsorted(lengths, longest, side="right"))
        local = weights[low:high] / weights[low:high].sum()
        count = max(1, self.residues // longest)
        chosen = rng.choice(np.arange(low, high), size=count - 1, p=local)
        names = list(mixture.tasks)
        odds = np.array([mixture.tasks[name] for name in names])
        items, tasks = [], []
        for position in [anchor, *(int(c) for c in chosen)]:
            item = self.stores[mixture.file].item(int(members[position]))
            if 0 < mixture.interface < len(item) and rng.random() < 0.5:
                item = _about_boundary(item, mixture.interface, rng)
            if len(item) > mixture.max_length:
                start = int(rng.integers(0, len(item) - mixture.max_length + 1))
                item = item.crop(start, start + mixture.max_length)
            if mixture.trim and rng.random() < 0.5:
                item = _trimmed(item, mixture.trim, rng)
            name = names[int(rng.choice(len(names), p=odds / odds.sum()))]
            items.append(item)
            tasks.append(TASKS[name](item, rng, mixture.insides))
        return collate(items, tasks, mixture.coarse)

    def from_step(self, step: int) -> Iterator[Batch]:
        """Batches from number ``step`` on, without end."""
        while True:
            yield self.batch(step)
            step += 1
