"""One copy of every sequence, and a split that never divides relatives."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from proteinweaver.data.clusters import Clustering, is_informative
from proteinweaver.structure.backbone import Backbone

__all__ = ["ChainItem", "split_items", "without_duplicates"]


@dataclass(frozen=True)
class ChainItem:
    """One chain that passed the quality filter."""

    name: str
    entry: str
    source: str
    kind: str
    resolution: float
    backbone: Backbone
    sse: NDArray[np.str_]

    @property
    def digest(self) -> str:
        """Hash of the sequence, or of the coordinates where it says nothing."""
        sequence = self.backbone.sequence
        told = sequence.encode() if is_informative(sequence) else self.backbone.coord.tobytes()
        return hashlib.sha256(told).hexdigest()


def without_duplicates(items: Sequence[ChainItem]) -> list[ChainItem]:
    """Keep the best chain of every sequence.

    Parameters
    ----------
    items : sequence of ChainItem
        Chains of all files.

    Returns
    -------
    kept : list of ChainItem
        In the order of `items`. Best is the deposited one before a model, then the one with fewer
        breaks, then the better resolution, then the first.
    """
    best: dict[str, int] = {}
    ranks = [
        (
            item.kind != "exp",
            int(item.backbone.break_after.sum()),
            item.resolution if math.isfinite(item.resolution) else math.inf,
            index,
        )
        for index, item in enumerate(items)
    ]
    for index, item in enumerate(items):
        kept = best.setdefault(item.digest, index)
        if ranks[index] < ranks[kept]:
            best[item.digest] = index
    return [items[index] for index in sorted(best.values())]


def split_items(
    items: Sequence[ChainItem], clustering: Clustering, valid: float, test: float, seed: int
) -> NDArray[np.uint8]:
    """Assign items to train, valid and test by whole homology components.

    Components are drawn in an order that depends on the seed and their sequences alone. One that
    holds more than three items and more than 1 % of all stays in train.

    Parameters
    ----------
    items : sequence of ChainItem
        n chains.
    clustering : Clustering
        Their homology groups.
    valid, test : float
        Fractions of the items, met from below.
    seed : int
        Chooses the order.

    Returns
    -------
    split : ndarray, dtype=uint8, shape=(n,)
        0 train, 1 valid, 2 test.
    """
    n = len(items)
    members: dict[int, list[int]] = {}
    for index, component in enumerate(clustering.component.tolist()):
        members.setdefault(component, []).append(index)

    def drawn(group: list[int]) -> str:
        smallest = min(items[index].digest for index in group)
        return hashlib.sha256(f"{seed}:{smallest}".encode()).hexdigest()

    room = [int(valid * n + 0.5), int(test * n + 0.5)]
    split = np.zeros(n, dtype=np.uint8)
    for group in sorted(members.values(), key=drawn):
        if len(group) > max(3, 0.01 * n):
            continue
        for number, free in enumerate(room):
            if len(group) <= free:
                split[group] = number + 1
                room[number] -= len(group)
                break
    return split
