"""Assembly tasks from native multi-domain chains: insides given, poses and linkers hidden.

A task is a stretch of a chain with two or more adjacent domains, each contiguous, free of breaks
and at least 30 residues long, and nothing but linker residues between them. Domain annotations
mostly put the boundary at a single bond; two rigid domains bonded directly would leave an
assembler no freedom, so residues on both sides of a boundary are given to the linker until it has
``min_linker``.

`native_tasks` takes one whole stretch of every cluster of chains; `native_pairs` takes every two
adjacent domains of every chain, which is what poses are judged on.
"""

import re
from collections import Counter
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proteinweaver.data.store import StructureItem, StructureStore
from proteinweaver.evaluation.assembly import domain_labels, domain_ranges, linker_ranges

__all__ = ["NativeTask", "native_pairs", "native_tasks", "task_of"]

MIN_DOMAIN = 30
MIN_LINKER = 6
MAX_LINKER = 40


@dataclass(frozen=True)
class NativeTask:
    """One native chain to be assembled again.

    Parameters
    ----------
    name : str
        Name of the chain, safe as a file name.
    coord : ndarray, dtype=float32, shape=(L, 4, 3)
        Native N, CA, C, O in angstrom.
    domain : ndarray, dtype=int64, shape=(L,)
        0 in linkers, 1..k in domains, ascending along the chain.
    annotated : bool
        Whether the boundaries are annotated (CATH) or automatic.
    first : int
        Position of the first residue in the chain it was cut from, from 0.
    chain_domains : int
        Domains of the whole chain it was cut from; 0 where nobody counted.
    cluster : int
        Cluster of that chain at 40% identity; -1 where nobody asked.
    aatype : ndarray, dtype=uint8, shape=(L,), optional
        Residue types, which assemblers are not told and docking is.
    """

    name: str
    coord: NDArray[np.float32]
    domain: NDArray[np.int64]
    annotated: bool
    first: int = 0
    chain_domains: int = 0
    cluster: int = -1
    aatype: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        """Return the number of residues."""
        return len(self.coord)

    @property
    def domains(self) -> list[tuple[int, int]]:
        """Ranges (start, stop) of the domains, zero-based and half-open."""
        return [(start, stop) for start, stop, _ in domain_ranges(self.domain)]

    @property
    def linkers(self) -> list[tuple[int, int]]:
        """Ranges (start, stop) of the linkers, zero-based and half-open."""
        return linker_ranges(self.domain)


def _usable_runs(item: StructureItem) -> list[list[tuple[int, int]]]:
    """Stretches of adjacent whole domains of a chain."""
    runs = domain_ranges(item.domain)
    seen = Counter(label for _, _, label in runs)
    stretches: list[list[tuple[int, int]]] = []
    previous: int | None = None
    for start, stop, label in runs:
        whole = seen[label] == 1 and stop - start >= MIN_DOMAIN
        if not whole or item.break_after[start : stop - 1].any():
            previous = None
            continue
        bonded = (
            previous is not None
            and start - previous <= MAX_LINKER
            and not item.break_after[previous - 1 : start].any()
        )
        if bonded:
            stretches[-1].append((start, stop))
        else:
            stretches.append([(start, stop)])
        previous = stop
    return stretches


def _widened(ranges: list[tuple[int, int]], min_linker: int) -> list[tuple[int, int]]:
    """Give residues on both sides of every boundary to the linker until it is long enough."""
    out = [list(part) for part in ranges]
    for left, right in pairwise(out):
        lacking = max(0, min_linker - (right[0] - left[1]))
        left[1] -= lacking // 2
        right[0] += lacking - lacking // 2
    return [(start, stop) for start, stop in out]


def task_of(
    item: StructureItem, *, max_length: int = 400, min_linker: int = MIN_LINKER
) -> NativeTask | None:
    """Largest assembly task of one chain.

    Parameters
    ----------
    item : StructureItem
        A chain with domain labels.
    max_length : int, optional
        Most residues, from the first domain's start to the last one's end.
    min_linker : int, optional
        Least residues of a linker.

    Returns
    -------
    NativeTask or None
        The stretch with most domains that fits (the first and longest of them), or None if there
        is none.
    """
    best: list[tuple[int, int]] = []
    for stretch in _usable_runs(item):
        for i in range(len(stretch)):
            for j in range(i + 2, len(stretch) + 1):
                ranges = _widened(stretch[i:j], min_linker)
                if ranges[-1][1] - ranges[0][0] > max_length:
                    break
                if any(stop - start < MIN_DOMAIN for start, stop in ranges):
                    continue
                if len(ranges) > len(best):
                    best = ranges
    return _cut(item, best) if best else None


def _cut(item: StructureItem, ranges: list[tuple[int, int]]) -> NativeTask:
    """Task of some ranges of a chain, named as the chain."""
    first, last = ranges[0][0], ranges[-1][1]
    domain = domain_labels(last - first, [(start - first, stop - first) for start, stop in ranges])
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", item.name)
    return NativeTask(name, item.coord[first:last], domain, item.annotated, first)


def native_pairs(
    path: str | Path,
    split: str = "valid",
    max_length: int = 1000,
    *,
    min_linker: int = MIN_LINKER,
) -> list[NativeTask]:
    """Make a task of every two adjacent, contiguous, break-free domains of every chain.

    Parameters
    ----------
    path : path-like
        A ``proteinweaver-structures-1`` npz of chains.
    split : {"valid", "test", "train"}, optional
        Which part.
    max_length : int, optional
        Most residues of a pair with its linker.
    min_linker : int, optional
        Least residues of a linker.

    Returns
    -------
    list of NativeTask
        Named ``CHAIN_FIRST-LAST`` by positions from 1, in the order of the file, with the number
        of domains of the chain, its cluster and residue types.

    Raises
    ------
    UserError
        If the file is not such a set.
    """
    store = StructureStore(Path(path))
    tasks = []
    for number in store.members(split).tolist():
        item = store.item(number)
        start = int(store.arrays["offsets"][number])
        labels = item.domain[item.domain > 0]
        for stretch in _usable_runs(item):
            for pair in pairwise(stretch):
                ranges = _widened(list(pair), min_linker)
                first, last = ranges[0][0], ranges[-1][1]
                small = any(b - a < MIN_DOMAIN for a, b in ranges)
                if small or last - first > max_length:
                    continue
                task = _cut(item, ranges)
                tasks.append(
                    replace(
                        task,
                        name=f"{task.name}_{first + 1}-{last}",
                        chain_domains=len(np.unique(labels)),
                        cluster=int(store.arrays["cluster40"][number]),
                        aatype=store.arrays["aatype"][start + first : start + last],
                    )
                )
    return tasks


def native_tasks(
    path: str | Path,
    split: str = "valid",
    max_length: int = 400,
    n: int | None = None,
    *,
    min_linker: int = MIN_LINKER,
) -> list[NativeTask]:
    """Make assembly tasks from the chains of a structure set, at most one per cluster.

    Parameters
    ----------
    path : path-like
        A ``proteinweaver-structures-1`` npz of chains.
    split : {"valid", "test", "train"}, optional
        Which part.
    max_length : int, optional
        Most residues of a task.
    n : int, optional
        Most tasks; those with annotated boundaries come first. Default: all.
    min_linker : int, optional
        Least residues of a linker.

    Returns
    -------
    list of NativeTask

    Raises
    ------
    UserError
        If the file is not such a set.
    """
    store = StructureStore(Path(path))
    tasks: list[NativeTask] = []
    clusters: set[int] = set()
    members = store.members(split)
    annotated_first = sorted(members.tolist(), key=lambda i: not store.item(i).annotated)
    for number in annotated_first:
        cluster = int(store.arrays["cluster40"][number])
        if cluster in clusters:
            continue
        task = task_of(store.item(number), max_length=max_length, min_linker=min_linker)
        if task is not None:
            clusters.add(cluster)
            tasks.append(task)
    return tasks if n is None else tasks[:n]
