"""What designs are among others: diversity and clusters within a set, novelty to a reference.

TM-scores come from `proteinweaver.evaluation.quick`; "the TM-score of a pair" is the mean of its
two normalisations, novelty is normalised by the design. Chains of a file count as one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proteinweaver.errors import UserError
from proteinweaver.evaluation.clusters import leader_clusters
from proteinweaver.evaluation.fingerprints import fingerprints
from proteinweaver.evaluation.intervals import Interval, pair_mean_interval
from proteinweaver.evaluation.novelty import (
    TRAIN,
    Novelty,
    nearest_references,
    novelty_of,
    read_reference,
)
from proteinweaver.evaluation.pairs import LEAST, PairScores
from proteinweaver.evaluation.records import Record
from proteinweaver.evaluation.samples import Entry

__all__ = ["CompareConfig", "Comparison", "SetDiversity", "compare"]

THRESHOLDS = (0.5, 0.6)


@dataclass(frozen=True)
class CompareConfig:
    """How sets are compared.

    Parameters
    ----------
    enabled : bool
        Align at all; without it no diversity, clusters and novelty.
    reference : str
        What novelty is measured against: ``train`` for the structures the shipped weights were
        trained on, a folder or file of structures, an npz structure set, ``none`` for nothing.
    max_pairs : int
        Pairs that the mean pairwise TM-score of a set is sampled from.
    max_alignments : int
        Alignments a clustering may cost, shared by its chains: 12 to 120 candidates each.
    novelty_candidates : int
        References, the likest ones, that a design is aligned with.
    """

    enabled: bool = True
    reference: str = TRAIN
    max_pairs: int = 400
    max_alignments: int = 40_000
    novelty_candidates: int = 10

    def __post_init__(self) -> None:
        """Refuse counts below one."""
        for name in ("max_pairs", "max_alignments", "novelty_candidates"):
            if getattr(self, name) < 1:
                raise UserError(f"compare.{name} is {getattr(self, name)}; give 1 or more")

    def candidates(self, designs: int) -> int:
        """Tell how many representatives each of so many designs is aligned with at most."""
        return int(np.clip(self.max_alignments // designs, 12, 120))


@dataclass(frozen=True)
class SetDiversity:
    """How different the designs of one set are.

    Parameters
    ----------
    n : int
        Designs that were aligned.
    pairwise : Interval
        Mean TM-score over pairs.
    clusters : mapping of str to int
        Number of clusters by threshold.
    """

    n: int
    pairwise: Interval
    clusters: Mapping[str, int]


@dataclass(frozen=True)
class Comparison:
    """Results of all sets.

    Parameters
    ----------
    values : tuple of mapping
        Columns of every entry.
    diversity : mapping of str to SetDiversity
        By set: all designs, and under ``NAME (passing)`` those that pass the critic, or meet the
        geometry gate where no critic spoke.
    novelty : mapping of str to Novelty
        By set, under the same names.
    references : int
        Structures novelty was measured against.
    """

    values: tuple[dict[str, float | str], ...]
    diversity: Mapping[str, SetDiversity]
    novelty: Mapping[str, Novelty]
    references: int


def compare(
    entries: Sequence[Entry],
    records: Sequence[Record],
    config: CompareConfig,
    cache: Path,
    workers: int = 0,
) -> Comparison:
    """Compare designs with each other and with a reference.

    Parameters
    ----------
    entries, records : sequence of equal length
        The files and what was measured.
    config : CompareConfig
        How.
    cache : Path
        Where scores are kept for the next evaluation.
    workers : int, optional
        Processes; 0 takes the cores of the machine.

    Returns
    -------
    Comparison

    Raises
    ------
    UserError
        If the reference cannot be read.
    """
    values: list[dict[str, float | str]] = [{} for _ in entries]
    usable = [k for k, record in enumerate(records) if len(record.ca) >= LEAST]
    if not config.enabled or not usable:
        return Comparison(tuple(values), {}, {}, 0)
    reference = read_reference(config.reference)
    chains = [*(records[k].ca for k in usable), *reference.chains]
    digests = [*(records[k].digest for k in usable), *reference.digests()]
    prints = fingerprints(chains[: len(usable)])
    if reference.chains:
        prints = np.concatenate((prints, reference.prints))
    sets: dict[str, list[int]] = {}
    for row, k in enumerate(usable):
        sets.setdefault(entries[k].set, []).append(row)
    diversity, novelty = {}, {}
    with PairScores(chains, digests, workers) as scores:
        scores.load(cache)
        if reference.chains:
            own, others = range(len(usable)), range(len(usable), len(chains))
            tm, which = nearest_references(own, others, prints, scores, config.novelty_candidates)
            for k, value, j in zip(usable, tm.tolist(), which.tolist(), strict=True):
                values[k]["novelty_tm"] = round(value, 4)
                values[k]["novelty_name"] = reference.names[j - len(usable)]
            scores.save(cache)
        for name, rows in sets.items():
            passing = [row for row in rows if _passes(records[usable[row]])]
            for label, members in ((name, rows), (f"{name} (passing)", passing)):
                if not members or (members is passing and len(passing) == len(rows)):
                    continue
                if reference.chains:
                    sizes = [len(chains[row]) for row in members]
                    novelty[label] = novelty_of(tm[members], sizes, reference.held_out)
                found, places = _diversity(members, chains, prints, scores, config)
                diversity[label] = found
                if members is not rows:
                    continue
                for threshold, place in zip(THRESHOLDS, places, strict=True):
                    for row, leader in place.items():
                        key = f"cluster_{round(100 * threshold)}"
                        values[usable[row]][key] = entries[usable[leader]].name
        scores.save(cache)
    return Comparison(tuple(values), diversity, novelty, len(reference.chains))


def _passes(record: Record) -> bool:
    return record.values.get("pass", record.values.get("gate")) == 1


def _diversity(
    members: Sequence[int],
    chains: Sequence[NDArray[np.float32]],
    prints: NDArray[np.float32],
    scores: PairScores,
    config: CompareConfig,
) -> tuple[SetDiversity, list[dict[int, int]]]:
    first, second = np.triu_indices(len(members), k=1)
    if len(first) > config.max_pairs:
        rng = np.random.default_rng(0)
        chosen = np.sort(rng.choice(len(first), size=config.max_pairs, replace=False))
        first, second = first[chosen], second[chosen]
    pairs = [
        (members[i], members[j]) for i, j in zip(first.tolist(), second.tolist(), strict=True)
    ]
    interval = pair_mean_interval(first, second, scores.of(pairs).mean(axis=1), len(members))
    candidates = config.candidates(len(members))
    lengths = [len(chain) for chain in chains]
    places = [
        leader_clusters(members, lengths, prints, scores, threshold, candidates)
        for threshold in THRESHOLDS
    ]
    counts = {
        f"{threshold:g}": len(set(place.values()))
        for threshold, place in zip(THRESHOLDS, places, strict=True)
    }
    return SetDiversity(len(members), interval, counts), places
