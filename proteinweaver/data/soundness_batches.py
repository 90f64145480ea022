"""Training batches of the soundness head: natives and negatives in equal parts.

Natives are domains and whole chains; negatives are drawn kind by kind
(`proteinweaver.data.negatives`, `proteinweaver.data.hard_negatives`). Wrong poses come together
with the same two domains in their native pose, so that what tells them apart is the pose and
nothing else. All get the same Gaussian noise. What a branch of the ensemble
never sees, a third of all sources, depends on the branch, so that the branches differ where data
are thin.
"""

import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from proteinweaver.data.critic_batches import add_jitter, chain_index
from proteinweaver.data.negative_sets import NegativeSet
from proteinweaver.data.negatives import Negative
from proteinweaver.data.store import StructureStore
from proteinweaver.nets.critic_graph import PackedChains, pack

__all__ = ["CHAIN_RAMP", "SoundnessBatch", "SoundnessSource", "chain_target"]

#: Mean local agreement at which a distorted chain counts as unsound, and as sound again.
CHAIN_RAMP = (0.70, 0.92)
_PAIR_SHARE, _CHAIN_SHARE = 0.35, 0.15  # of what is drawn; of single natives
_ODDS = {
    "distorted": 0.4,
    "glued": 0.12,
    "mirrored": 0.06,
    "swapped": 0.05,
    "joined": 0.25,
    "inverted": 0.12,
}
_LENGTHS = (40, 360)
_LEFT_OUT = 3  # a branch does not see one source in this many


@dataclass(frozen=True)
class SoundnessBatch:
    """Structures and how sound they are.

    Parameters
    ----------
    chains : PackedChains
    chain_target : Tensor, shape=(B,)
        From 0, unsound, to 1, native.
    residue_target : Tensor, shape=(R,)
        Share of native surroundings.
    weight : Tensor, shape=(branches, B)
        0 where a branch does not see a backbone, else 1.
    """

    chains: PackedChains
    chain_target: Tensor
    residue_target: Tensor
    weight: Tensor

    @property
    def residues(self) -> int:
        """Residues."""
        return len(self.residue_target)

    def to(self, device: torch.device | str) -> "SoundnessBatch":
        """Copy on ``device``."""
        rest = (self.chain_target, self.residue_target, self.weight)
        return SoundnessBatch(self.chains.to(device), *(value.to(device) for value in rest))

    def pin_memory(self) -> "SoundnessBatch":
        """Return it as it is: it is small."""
        return self


def chain_target(item: Negative) -> float:
    """How sound a whole backbone is, from 0 to 1.

    Parameters
    ----------
    item : Negative

    Returns
    -------
    float
        1 for controls; for distorted chains a ramp in the mean local agreement; else 0.
    """
    if item.kind == "paired":
        return 1.0
    if item.kind != "distorted":
        return 0.0
    low, high = CHAIN_RAMP
    return float(np.clip((float(item.target.mean()) - low) / (high - low), 0.0, 1.0))


class SoundnessSource:
    """Batches for the soundness head, by number.

    Parameters
    ----------
    stores : mapping of str to StructureStore
        ``"domains"`` and ``"chains"``.
    negatives : NegativeSet
    split : str
    residues : int
        Of a batch.
    neighbours : int
    branches : int
    max_noise : float
        Angstrom.
    seed : int
    without : collection of str, optional
        Kinds left out.
    """

    def __init__(
        self,
        stores: Mapping[str, StructureStore],
        negatives: NegativeSet,
        split: str,
        residues: int,
        neighbours: int,
        branches: int,
        max_noise: float,
        seed: int,
        without: Collection[str] = (),
    ) -> None:
        self.negatives, self.residues, self.neighbours = negatives, residues, neighbours
        self.branches, self.max_noise, self.seed = branches, max_noise, seed
        self._natives: dict[str, tuple[StructureStore, NDArray[np.int64], NDArray[np.float64]]]
        self._natives = {}
        for name, store in stores.items():
            members = store.members(split)
            lengths = store.lengths[members]
            members = members[(lengths >= _LENGTHS[0]) & (lengths <= _LENGTHS[1])]
            self._natives[name] = (store, members, store.weights(members))
        kinds, sources = negatives.arrays["kind"], negatives.arrays["source"]
        self._kinds = {
            kind: np.flatnonzero(kinds == kind)
            for kind in _ODDS
            if kind not in without and (kinds == kind).any()
        }
        odds = np.array([_ODDS[kind] for kind in self._kinds])
        self._odds = odds / odds.sum()
        # a control is written behind its wrong pose; either may have missed the gate
        together = (
            (kinds[:-1] == "posed") & (kinds[1:] == "paired") & (sources[:-1] == sources[1:])
        )
        self._poses = np.flatnonzero(together & ("posed" not in without))

    def _native(self, rng: np.random.Generator) -> Negative:
        """Draw a native, as a negative of which everything is right."""
        name = "chains" if rng.random() < _CHAIN_SHARE else "domains"
        store, members, weights = self._natives[name]
        item = store.item(int(rng.choice(members, p=weights)))
        right = np.ones(len(item), dtype=np.float32)
        return Negative("paired", 0.0, item.name, item.coord, item.break_after, right)

    def _drawn(self, rng: np.random.Generator) -> list[Negative]:
        if len(self._poses) and rng.random() < _PAIR_SHARE:
            number = int(rng.choice(self._poses))
            both = [self.negatives.item(number), self.negatives.item(number + 1)]
            return both if rng.random() < 0.5 else both[::-1]
        if not self._kinds or rng.random() < 0.5:
            return [self._native(rng)]
        kind = list(self._kinds)[int(rng.choice(len(self._odds), p=self._odds))]
        return [self.negatives.item(int(rng.choice(self._kinds[kind])))]

    def batch(self, step: int) -> SoundnessBatch:
        """Batch number ``step``."""
        rng = np.random.default_rng([self.seed, step])
        items: list[Negative] = []
        room = self.residues
        while room > 0:
            for item in self._drawn(rng):
                if room > 0:
                    items.append(item)
                    room -= len(item.coord)
        # the last one is cut to fill the batch exactly, and then counts for nothing
        whole = len(items) - int(room < 0)
        keep = len(items[-1].coord) + room
        items[-1] = items[-1].first(keep)
        coords = [
            torch.from_numpy(add_jitter(item.coord, rng.uniform(0, self.max_noise), rng))
            for item in items
        ]
        seen = [
            [
                k < whole and zlib.crc32(f"{branch} {item.source}".encode()) % _LEFT_OUT != 0
                for k, item in enumerate(items)
            ]
            for branch in range(self.branches)
        ]
        return SoundnessBatch(
            pack(coords, [chain_index(item.break_after) for item in items], self.neighbours),
            torch.tensor([chain_target(item) for item in items]),
            torch.from_numpy(np.concatenate([item.target for item in items])),
            torch.tensor(seen, dtype=torch.float32),
        )
