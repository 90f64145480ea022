"""What designs are among others: diversity and clusters within a set, novelty to a reference.

TM-scores come from `proteinweaver.evaluation.quick`; "the TM-score of a pair" is the mean of its
two normalisations, novelty is normalised by the design. Chains of a file count as one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proteinweaver.errors import UserError
from proteinweaver.evaluation.clusters import leader_clusters
from proteinweaver.evaluation.comparison_cache import ComparisonCache, question
from proteinweaver.evaluation.diversity import sampled_pairs
from proteinweaver.evaluation.fingerprints import fingerprints
from proteinweaver.evaluation.intervals import Interval, pair_mean_interval
from proteinweaver.evaluation.novelty import (
    TRAIN,
    Novelty,
    Reference,
    nearest_references,
    novelty_of,
    read_reference,
)
from proteinweaver.evaluation.pairs import LEAST, PairScores
from proteinweaver.evaluation.records import Record
from proteinweaver.evaluation.samples import Entry
from proteinweaver.evaluation.training_set import SEARCHED

__all__ = ["CompareConfig", "Comparison", "SetDiversity", "compare"]

THRESHOLDS = (0.5, 0.6)
#: Raised where the same question gets another answer: results kept before are asked for again.
_CLUSTERING, _SEARCH = 2, 2


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
        Alignments that clustering and novelty may cost each, shared by the designs: 12 to 120
        representatives and 10 to 40 references each.
    novelty_candidates : int
        References, the likest ones, that a design is aligned with; 0 takes the most of 10, 20 and
        40 that `max_alignments` allows for all designs together.
    """

    enabled: bool = True
    reference: str = TRAIN
    max_pairs: int = 400
    max_alignments: int = 40_000
    novelty_candidates: int = 0

    def __post_init__(self) -> None:
        """Refuse counts below one."""
        for name, least in (("max_pairs", 1), ("max_alignments", 1), ("novelty_candidates", 0)):
            if getattr(self, name) < least:
                raise UserError(f"compare.{name} is {getattr(self, name)}; give {least} or more")

    def candidates(self, designs: int) -> int:
        """Tell how many representatives each of so many designs is aligned with at most."""
        return int(np.clip(self.max_alignments // designs, 12, 120))

    def references(self, designs: int) -> int:
        """Tell how many references each of so many designs is aligned with."""
        fits = [n for n in SEARCHED if n * designs <= self.max_alignments]
        return self.novelty_candidates or max(fits, default=min(SEARCHED))


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
        Number of clusters by threshold; of passing designs: clusters of the whole set that hold
        one.
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
    searched : int
        How many of them, the likest, every design was aligned with.
    """

    values: tuple[dict[str, float | str], ...]
    diversity: Mapping[str, SetDiversity]
    novelty: Mapping[str, Novelty]
    references: int
    searched: int = 0


def compare(
    entries: Sequence[Entry],
    records: Sequence[Record],
    config: CompareConfig,
    folder: Path,
    workers: int = 0,
) -> Comparison:
    """Compare designs with each other and with a reference.

    Parameters
    ----------
    entries, records : sequence of equal length
        The files and what was measured.
    config : CompareConfig
        How.
    folder : Path
        Where scores (``pairs.npz``) and results (``compared.json``) are kept for the next
        evaluation.
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
    own = [records[k].digest for k in usable]
    digests = [*own, *reference.digests()]
    prints = fingerprints(chains[: len(usable)])
    if reference.chains:
        prints = np.concatenate((prints, reference.prints))
    sets: dict[str, list[int]] = {}
    for row, k in enumerate(usable):
        sets.setdefault(entries[k].set, []).append(row)
    diversity, novelty = {}, {}
    searched = config.references(len(usable)) if reference.chains else 0
    found_before = ComparisonCache(folder / "compared.json")
    with PairScores(chains, digests, workers) as scores:
        scores.load(folder / "pairs.npz")
        if reference.chains:
            tm, names = _nearest(own, reference, prints, scores, searched, found_before)
            natives = reference.natives_searched(searched)
            for k, value, other in zip(usable, tm.tolist(), names, strict=True):
                values[k]["novelty_tm"] = round(value, 4)
                values[k]["novelty_name"] = other
            scores.save(folder / "pairs.npz")
        for name, rows in sets.items():
            passing = [row for row in rows if _passes(records[usable[row]])]
            most = config.candidates(len(rows))
            asked = question(
                "clusters", _CLUSTERING, (most, THRESHOLDS), members=[own[row] for row in rows]
            )
            found = found_before.answer(
                asked, partial(_leaders, rows, chains, prints, scores, most)
            )
            places = {
                threshold: dict(zip(rows, (rows[k] for k in leaders), strict=True))
                for threshold, leaders in found.items()
            }
            for threshold, place in places.items():
                key = f"cluster_{round(100 * float(threshold))}"
                for row, leader in place.items():
                    values[usable[row]][key] = entries[usable[leader]].name
            for label, members in ((name, rows), (f"{name} (passing)", passing)):
                if not members or (members is passing and len(passing) == len(rows)):
                    continue
                if reference.chains:
                    sizes = [len(chains[row]) for row in members]
                    novelty[label] = novelty_of(tm[members], sizes, natives)
                asked = question("pairwise", config.max_pairs, members=[own[k] for k in members])
                pairwise = Interval(
                    **found_before.answer(
                        asked, partial(_pairwise, members, scores, config.max_pairs)
                    )
                )
                counts = {t: len({place[k] for k in members}) for t, place in places.items()}
                diversity[label] = SetDiversity(len(members), pairwise, counts)
        scores.save(folder / "pairs.npz")
    found_before.save()
    return Comparison(tuple(values), diversity, novelty, len(reference.chains), searched)


def _passes(record: Record) -> bool:
    return record.values.get("pass", record.values.get("gate")) == 1


def _nearest(
    own: Sequence[str],
    reference: Reference,
    prints: NDArray[np.float32],
    scores: PairScores,
    candidates: int,
    cache: ComparisonCache,
) -> tuple[NDArray[np.float64], list[str]]:
    """Score and name of the nearest reference of every design."""
    among = question("reference", _SEARCH, candidates, members=reference.digests())
    keys = [question("nearest", among, members=[digest]) for digest in own]
    new = [row for row, key in enumerate(keys) if cache.get(key) is None]
    others = range(len(own), len(own) + len(reference.chains))
    if new:
        tm, which = nearest_references(new, others, prints, scores, candidates)
        for row, value, j in zip(new, tm.tolist(), which.tolist(), strict=True):
            cache.put(keys[row], {"tm": value, "name": reference.names[j - len(own)]})
    found = [cache.get(key) for key in keys]
    return np.array([f["tm"] for f in found]), [f["name"] for f in found]


def _pairwise(members: Sequence[int], scores: PairScores, most: int) -> dict[str, Any]:
    """Mean TM-score over pairs of a set, as an interval's fields."""
    first, second = sampled_pairs(len(members), most)
    pairs = [
        (members[i], members[j]) for i, j in zip(first.tolist(), second.tolist(), strict=True)
    ]
    found = scores.of(pairs).mean(axis=1)
    return asdict(pair_mean_interval(first, second, found, len(members)))


def _leaders(
    members: Sequence[int],
    chains: Sequence[NDArray[np.float32]],
    prints: NDArray[np.float32],
    scores: PairScores,
    candidates: int,
) -> dict[str, list[int]]:
    """Give the representative of every member by threshold, both by place in the set."""
    lengths = [len(chain) for chain in chains]
    place = {row: k for k, row in enumerate(members)}
    leaders = {}
    for threshold in THRESHOLDS:
        found = leader_clusters(members, lengths, prints, scores, threshold, candidates)
        leaders[f"{threshold:g}"] = [place[found[row]] for row in members]
    return leaders
