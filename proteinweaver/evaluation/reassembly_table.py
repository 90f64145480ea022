"""The benchmark of native pairs assembled again: attempts of every contender, summed up by task.

A contender has k attempts at a task, ordered by its own trust. "Best of k" is what a user finds
who looks at all of them and knows the native; "first" is what the contender itself would show. The
columns of poses rest on tasks, those of geometry on all designs of a task together.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from proteinweaver.evaluation.columns import assembly_row
from proteinweaver.evaluation.intervals import Interval, difference_interval
from proteinweaver.evaluation.table import Column, Summary, summarise
from proteinweaver.evaluation.tasks import NativeTask

__all__ = ["BENCHMARK_COLUMNS", "GROUPS", "Attempts", "difference", "measure", "summaries"]

_REACHED = 0.5


@dataclass(frozen=True)
class Attempts:
    """What one contender did with one task.

    Parameters
    ----------
    contender, task : str
        Names.
    split : str
    annotated : bool
        Whether the task's boundaries are annotated.
    cluster : int
        40%-identity cluster of the chain; tasks of one are not independent.
    chain_domains, length : int
        Domains of the whole chain, and residues of the task.
    designs : sequence of mapping
        Numbers of every attempt, by name (`measure`), in the contender's order.
    seconds : float
        CPU seconds of all of them.
    """

    contender: str
    task: str
    split: str
    annotated: bool
    cluster: int
    chain_domains: int
    length: int
    designs: Sequence[Mapping[str, float]]
    seconds: float

    def numbers(self, key: str) -> list[float]:
        """Return a number of every attempt, without those that are none."""
        return [design[key] for design in self.designs if math.isfinite(design[key])]


def measure(task: NativeTask, coord: ArrayLike) -> dict[str, float]:
    """Measure one attempt.

    Parameters
    ----------
    task : NativeTask
    coord : array_like, shape=(L, 4, 3)
        Angstrom; NaN in linkers that were not built.

    Returns
    -------
    dict
        ``pose``, ``f1``, ``irmsd``, ``contact_ratio`` (see
        `proteinweaver.evaluation.reassembly.ReassemblyMetrics`), ``drift`` (worst domain, A),
        ``clashes``, ``linker_clashes`` (CA pairs under 3 A), ``bond_off`` (worst linker bond, A),
        ``rama`` (share of residues in allowed regions).
    """
    row = assembly_row(task, coord)
    assert row.native is not None
    return {
        "pose": row.native.pose,
        "f1": row.native.contact_f1,
        "irmsd": row.native.irmsd,
        "contact_ratio": row.native.contact_ratio,
        "drift": row.parts.drift_max,
        "clashes": float(row.parts.clashes),
        "linker_clashes": float(row.parts.linker_clashes),
        "bond_off": row.parts.linker_bond_off,
        "rama": float("nan") if row.chain is None else row.chain.rama_ok,
    }


def _best(key: str, of: Callable[[list[float]], float] = max) -> Callable[[Attempts], float]:
    return lambda a: of(a.numbers(key)) if a.numbers(key) else float("nan")


def _first(key: str) -> Callable[[Attempts], float]:
    return lambda a: a.designs[0][key] if a.designs else float("nan")


def _all(key: str, of: Callable[[float], float] = float) -> Callable[[Attempts], list[float]]:
    return lambda a: [of(value) for value in a.numbers(key)]


def _reached(attempts: Attempts) -> float:
    return float(max(attempts.numbers("pose"), default=0.0) >= _REACHED)


BENCHMARK_COLUMNS: tuple[Column[Attempts], ...] = (
    Column("best_pose", "best pose, median", _best("pose"), "median"),
    Column("reached", "best pose >= .5", _reached, "share"),
    Column("first_pose", "first pose, mean", _first("pose")),
    Column("first_f1", "first contact F1", _first("f1")),
    Column("best_f1", "best contact F1", _best("f1")),
    Column("best_irmsd", "best iRMSD A", _best("irmsd", min), "median", 1),
    Column("contact_ratio", "contacts/native", _all("contact_ratio"), "median"),
    Column("clashing", "designs with a clash", _all("clashes", lambda n: n > 0), "share"),
    Column("linker_clashing", "linker clash", _all("linker_clashes", lambda n: n > 0), "share"),
    Column("bonds_right", "linker bonds right", _all("bond_off", lambda x: x <= 0.1), "share", 3),
    Column("drift", "drift A", _all("drift"), "median"),
    Column("rama", "ramaF", _all("rama"), "mean", 3),
    Column("seconds", "CPU s a task", lambda a: a.seconds, "median", 1),
)
"""The columns of the benchmark."""

GROUPS: Mapping[str, Callable[[Attempts], bool]] = {
    "all": lambda a: True,
    "valid": lambda a: a.split == "valid",
    "test": lambda a: a.split == "test",
    "annotated": lambda a: a.annotated,
    "automatic": lambda a: not a.annotated,
    "chains of 2 domains": lambda a: a.chain_domains == 2,
    "chains of 3 or more": lambda a: a.chain_domains > 2,
    "under 200 residues": lambda a: a.length < 200,
    "200-299": lambda a: 200 <= a.length < 300,
    "300 and more": lambda a: a.length >= 300,
}
"""The parts of the benchmark that are printed apart."""


def summaries(rows: Iterable[Attempts], group: str = "all") -> list[Summary]:
    """Sum up every contender over one group of tasks.

    Parameters
    ----------
    rows : iterable of Attempts
    group : str, optional
        A key of `GROUPS`.

    Returns
    -------
    list of Summary
        Contenders in the order of their first row.
    """
    by_name: dict[str, list[Attempts]] = {}
    for row in rows:
        if GROUPS[group](row):
            by_name.setdefault(row.contender, []).append(row)
    return [summarise(name, found, BENCHMARK_COLUMNS) for name, found in by_name.items()]


def difference(rows: Sequence[Attempts], ours: str, other: str, key: str) -> Interval:
    """Paired difference of two contenders in one column, bootstrapped over clusters.

    Parameters
    ----------
    rows : sequence of Attempts
    ours, other : str
        Contenders.
    key : str
        A column of `BENCHMARK_COLUMNS` with one number a task.

    Returns
    -------
    Interval
        Of ours minus the other's median (columns of medians) or mean, over the tasks both tried.

    Raises
    ------
    KeyError
        If there is no such column.
    """
    column = {column.key: column for column in BENCHMARK_COLUMNS}[key]
    mine, theirs = (
        {row.task: row for row in rows if row.contender == name} for name in (ours, other)
    )
    both = [task for task in mine if task in theirs]
    values = [[np.mean(column.value(of[task])) for task in both] for of in (mine, theirs)]
    return difference_interval(
        values[0],
        values[1],
        [mine[task].cluster for task in both],
        "median" if column.statistic == "median" else "mean",
    )
