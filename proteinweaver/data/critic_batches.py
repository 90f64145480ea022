"""Training batches of the critic: backbones packed to a fixed number of residues.

A batch is a pure function of (seed, number). Backbones are drawn from the structure sets, weighted
by cluster, until the batch is full; the last one is cut where it ends, so every batch has the same
size (compiled code needs one shape only). Every backbone gets Gaussian noise of its own size, up
to `max_noise`, so that the last hundredth of an angstrom, which refinement programs leave in
deposited coordinates, is not what the network learns from.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from proteinweaver.data.store import StructureStore
from proteinweaver.errors import UserError
from proteinweaver.nets.critic_graph import PackedChains, pack

__all__ = ["SequenceBatch", "SequenceSource", "add_jitter", "chain_index"]

_BREAK_JUMP = 64  # beyond every separation that is told apart
_MIN_LENGTH = 40


@dataclass(frozen=True)
class SequenceBatch:
    """Structures, their sequences, and the order in which they are decoded.

    Parameters
    ----------
    chains : PackedChains
    amino : Tensor, dtype=int64, shape=(R,)
        Amino acids; 20 where not known.
    rank : Tensor, dtype=int64, shape=(R,)
        A random permutation.
    """

    chains: PackedChains
    amino: Tensor
    rank: Tensor

    @property
    def residues(self) -> int:
        """Residues."""
        return len(self.amino)

    def to(self, device: torch.device | str) -> "SequenceBatch":
        """Copy on ``device``."""
        return SequenceBatch(self.chains.to(device), self.amino.to(device), self.rank.to(device))

    def pin_memory(self) -> "SequenceBatch":
        """Return it as it is: it is small."""
        return self


def chain_index(break_after: ArrayLike) -> Tensor:
    """Places along a chain, jumping by more than 32 at every break.

    Parameters
    ----------
    break_after : array_like, dtype=bool, shape=(L,)

    Returns
    -------
    Tensor, dtype=int64, shape=(L,)

    Examples
    --------
    >>> chain_index([False, True, False]).tolist()
    [0, 1, 66]
    """
    jumps = np.cumsum(np.asarray(break_after, dtype=np.int64)) * _BREAK_JUMP
    index = np.arange(len(jumps)) + np.concatenate(([0], jumps[:-1]))
    return torch.from_numpy(index)


def add_jitter(
    coord: NDArray[np.float32], size: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Move every atom by Gaussian noise of ``size`` angstrom per axis."""
    noise = rng.standard_normal(coord.shape, dtype=np.float32)
    return coord + np.float32(size) * noise


class SequenceSource:
    """Batches for the sequence head, by number.

    Parameters
    ----------
    stores : mapping of str to StructureStore
        ``"domains"`` and ``"chains"``.
    split : str
    residues : int
        Of a batch.
    neighbours : int
        Of the graph.
    max_noise : float
        Angstrom.
    max_length : int
        Longer chains are cropped to a random window.
    seed : int
    share : mapping of str to float, optional
        How often a backbone comes from each set.

    Raises
    ------
    UserError
        If there is nothing in the split.
    """

    def __init__(
        self,
        stores: Mapping[str, StructureStore],
        split: str,
        residues: int,
        neighbours: int,
        max_noise: float,
        max_length: int,
        seed: int,
        share: Mapping[str, float] | None = None,
    ) -> None:
        self.residues, self.neighbours = residues, neighbours
        self.max_noise, self.max_length, self.seed = max_noise, max_length, seed
        share = dict.fromkeys(stores, 1.0) if share is None else share
        self._pools: list[tuple[StructureStore, NDArray[np.int64], NDArray[np.float64]]] = []
        odds = []
        for name, store in stores.items():
            members = store.members(split)
            members = members[store.lengths[members] >= _MIN_LENGTH]
            if len(members):
                self._pools.append((store, members, store.weights(members)))
                odds.append(share[name])
        if not odds:
            raise UserError(f"no {split} items to train on; use another set")
        self._odds = np.array(odds) / sum(odds)

    def batch(self, step: int) -> SequenceBatch:
        """Batch number ``step``."""
        rng = np.random.default_rng([self.seed, step])
        coords, indices, aminos, room = [], [], [], self.residues
        while room:
            pool = int(rng.choice(len(self._pools), p=self._odds))
            store, members, weights = self._pools[pool]
            number = int(rng.choice(members, p=weights))
            start = int(store.arrays["offsets"][number])
            length = int(store.lengths[number])
            keep = min(length, self.max_length, room)
            start += int(rng.integers(0, length - keep + 1))
            rows = slice(start, start + keep)
            xyz = store.arrays["coords"][rows] * np.float32(store.arrays["coord_scale"])
            xyz = add_jitter(xyz.astype(np.float32), rng.uniform(0, self.max_noise), rng)
            coords.append(torch.from_numpy(xyz))
            indices.append(chain_index(store.arrays["break_after"][rows]))
            aminos.append(torch.from_numpy(store.arrays["aatype"][rows].astype(np.int64)))
            room -= keep
        rank = torch.from_numpy(rng.permutation(self.residues))
        return SequenceBatch(pack(coords, indices, self.neighbours), torch.cat(aminos), rank)
