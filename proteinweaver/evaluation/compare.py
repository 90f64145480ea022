"""What designs are among others: diversity and clusters within a set, novelty to a reference.

TM-scores come from `proteinweaver.evaluation.quick`; "the TM-score of a pair" is the mean of its
two normalisations, novelty is normalised by the design. Chains of a file count as one.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proteinweaver.data.store import StructureStore
from proteinweaver.errors import UserError
from proteinweaver.evaluation.clusters import leader_clusters
from proteinweaver.evaluation.fingerprints import fingerprints, nearest
from proteinweaver.evaluation.intervals import Interval, pair_mean_interval
from proteinweaver.evaluation.pairs import LEAST, PairScores
from proteinweaver.evaluation.records import Record
from proteinweaver.evaluation.samples import Entry, find_entries, read_sample

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
        Folder or file of structures, or an npz structure set, to measure novelty against.
    max_pairs : int
        Pairs that the mean pairwise TM-score of a set is sampled from.
    max_alignments : int
        Alignments a clustering may cost, shared by its chains: 12 to 120 candidates each.
    novelty_candidates : int
        References, nearest by fingerprint, that a design is aligned with.
    """

    enabled: bool = True
    reference: str = ""
    max_pairs: int = 400
    max_alignments: int = 40_000
    novelty_candidates: int = 10

    def __post_init__(self) -> None:
        """Refuse counts below one."""
        for name in ("max_pairs", "max_alignments", "novelty_candidates"):
            if getattr(self, name) < 1:
                raise UserError(f"compare.{name} is {getattr(self, name)}; give 1 or more")


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
    references : int
        Structures novelty was measured against.
    """

    values: tuple[dict[str, float | str], ...]
    diversity: Mapping[str, SetDiversity]
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
        return Comparison(tuple(values), {}, 0)
    names, others, other_digests = _reference(config.reference)
    chains = [records[k].ca for k in usable] + others
    digests = [records[k].digest for k in usable] + other_digests
    prints = fingerprints(chains)
    sets: dict[str, list[int]] = {}
    for row, k in enumerate(usable):
        sets.setdefault(entries[k].set, []).append(row)
    diversity = {}
    with PairScores(chains, digests, workers) as scores:
        scores.load(cache)
        for name, rows in sets.items():
            passing = [row for row in rows if _passes(records[usable[row]])]
            for label, members in ((name, rows), (f"{name} (passing)", passing)):
                if not members or (members is passing and len(passing) == len(rows)):
                    continue
                found, places = _diversity(members, chains, prints, scores, config)
                diversity[label] = found
                if members is not rows:
                    continue
                for threshold, place in zip(THRESHOLDS, places, strict=True):
                    for row, leader in place.items():
                        key = f"cluster_{round(100 * threshold)}"
                        values[usable[row]][key] = entries[usable[leader]].name
        scores.save(cache)
        if others:
            _novelty(usable, values, names, prints, scores, config.novelty_candidates)
        scores.save(cache)
    return Comparison(tuple(values), diversity, len(others))


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
    candidates = int(np.clip(config.max_alignments // len(members), 12, 120))
    lengths = [len(chain) for chain in chains]
    places = [
        leader_clusters(members, lengths, prints, scores.of, threshold, candidates)
        for threshold in THRESHOLDS
    ]
    counts = {
        f"{threshold:g}": len(set(place.values()))
        for threshold, place in zip(THRESHOLDS, places, strict=True)
    }
    return SetDiversity(len(members), interval, counts), places


def _novelty(
    usable: Sequence[int],
    values: list[dict[str, float | str]],
    names: Sequence[str],
    prints: NDArray[np.float32],
    scores: PairScores,
    candidates: int,
) -> None:
    """Write the most similar reference of every design into ``values``."""
    n = len(usable)
    ranked = nearest(prints[:n], prints[n:], candidates)
    pairs = [(row, n + int(j)) for row in range(n) for j in ranked[row]]
    tm = scores.of(pairs)[:, 0].reshape(n, -1)
    for row, k in enumerate(usable):
        best = int(tm[row].argmax())
        values[k]["novelty_tm"] = round(float(tm[row, best]), 4)
        values[k]["novelty_name"] = names[int(ranked[row, best])]


def _reference(path: str) -> tuple[list[str], list[NDArray[np.float32]], list[str]]:
    """Names, CA positions and digests of the reference; empty without one."""
    names: list[str] = []
    chains: list[NDArray[np.float32]] = []
    if not path:
        return names, chains, []
    if path.endswith(".npz"):
        store = StructureStore(Path(path))
        for number in range(len(store)):
            item = store.item(number)
            names.append(item.name)
            chains.append(np.asarray(item.coord[:, 1], dtype=np.float32))
    else:
        for entry in find_entries([path])[0]:
            backbone = read_sample(entry).backbone
            if backbone is not None:
                names.append(entry.name)
                chains.append(np.asarray(backbone.ca, dtype=np.float32))
    kept = [k for k, chain in enumerate(chains) if len(chain) >= LEAST]
    if not kept:
        raise UserError(f"{path}: no structure in it could be read; give another --reference")
    digests = [hashlib.sha256(np.ascontiguousarray(chains[k]).tobytes()).hexdigest() for k in kept]
    return [names[k] for k in kept], [chains[k] for k in kept], digests
