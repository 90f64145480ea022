"""Figures behind docs/evaluation.md: metrics against other programs, on many structures.

    python scripts/check_metrics.py area|tm|clusters|novelty [--data DIR] [--pairs 600]
                                    [--truth FILE.npy]

area      interface area of backbones with side-chain beads against all atoms (biotite), natives
tm        the fast and the careful TM-score against TM-align (tmtools), native pairs of several
          lengths
clusters  cluster counts of the fast way against all-against-all with TM-align, natives of 45-65
          residues, one per sequence cluster: none a copy of another, a third bent copies of
          others, and most (TM-align takes minutes; --truth keeps its scores for the next time)
novelty   the highest TM-score to the training set against a search of all of it, held-out natives

Needs tmtools (GPL; a comparison tool only) for tm and clusters.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np

from proteinweaver.data.store import StructureStore
from proteinweaver.evaluation.baselines import add_smooth_noise
from proteinweaver.evaluation.clusters import leader_clusters
from proteinweaver.evaluation.compare import CompareConfig
from proteinweaver.evaluation.fingerprints import fingerprints
from proteinweaver.evaluation.novelty import nearest_references
from proteinweaver.evaluation.pairs import PairScores
from proteinweaver.evaluation.quick import CAREFUL, quick_tm_pairs
from proteinweaver.evaluation.surface import interface_area
from proteinweaver.evaluation.training_set import SEARCHED, training_set
from proteinweaver.io.read import read_structure

REPO = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("PROTEINWEAVER_DATA", REPO.parent / "shared" / "data"))
#: Residue ranges of the domains (CATH), or none for the chains of a dimer.
PARTS = {
    "3cdl": (),
    "1fnf": ((1142, 1235), (1236, 1326), (1327, 1415), (1416, 1509)),
    "1div": ((1, 52), (53, 149)),
    "1pin": ((1, 39), (45, 163)),
    "1vjs": ((1, 395), (396, 483)),
    "1a62": ((1, 47), (48, 130)),
}


def _labels(chain: np.ndarray, number: np.ndarray, ranges: tuple) -> np.ndarray:
    if not ranges:
        return (chain == "A") * 1 + (chain == "B") * 2
    label = np.zeros(len(number), dtype=int)
    for k, (first, last) in enumerate(ranges, 1):
        label[(number >= first) & (number <= last)] = k
    return label


def check_area(data: Path) -> None:
    from biotite import structure
    from biotite.structure.io.pdb import PDBFile

    ratios = []
    for name, ranges in PARTS.items():
        file = data / "raw" / f"{name}.pdb"
        atoms = PDBFile.read(str(file)).get_structure(model=1)
        atoms = atoms[structure.filter_amino_acids(atoms) & (atoms.element != "H")]
        label = _labels(atoms.chain_id, atoms.res_id, ranges)
        atoms, label = atoms[label > 0], label[label > 0]

        def area(part: "structure.AtomArray") -> float:
            return float(np.nansum(structure.sasa(part, vdw_radii="Single", point_number=200)))

        alone = sum(area(atoms[label == k]) for k in np.unique(label))
        full = (alone - area(atoms)) / 2
        backbone = read_structure(file).backbone
        ours = interface_area(backbone.coord, _labels(backbone.chain, backbone.resnum, ranges))
        ratios.append(ours / full)
        print(f"{name}: all atoms {full:6.0f} A2, beads {ours:6.0f}, ratio {ours / full:.2f}")
    print(f"ratio {np.mean(ratios):.2f} +- {np.std(ratios):.2f}")


def tm_align(x: np.ndarray, y: np.ndarray) -> float:
    import tmtools

    found = tmtools.tm_align(x, y, "A" * len(x), "A" * len(y))
    return (found.tm_norm_chain1 + found.tm_norm_chain2) / 2


def check_tm(data: Path, number: int) -> None:
    store = StructureStore(data / "domains.npz")
    rng = np.random.default_rng(1)
    for low, high in ((55, 85), (90, 130), (170, 230)):
        members = np.flatnonzero((store.lengths >= low) & (store.lengths <= high))
        pairs = [rng.choice(members, 2, replace=False) for _ in range(number // 3)]
        chains = [[store.item(int(k)).coord[:, 1].astype(float) for k in p] for p in pairs]
        begin = time.process_time()
        ours = quick_tm_pairs([tuple(c) for c in chains]).mean(axis=1)
        middle = time.process_time()
        careful = quick_tm_pairs([tuple(c) for c in chains], windows=CAREFUL).mean(axis=1)
        third = time.process_time()
        theirs = np.array([tm_align(*c) for c in chains])
        end = time.process_time()
        alike = theirs >= 0.5
        cost = [1e3 * s / len(pairs) for s in (middle - begin, third - middle, end - third)]
        for name, found in (("fast", ours), ("careful", careful)):
            print(
                f"{low}-{high} residues, {name}: mean TM-align {theirs.mean():.3f}, difference"
                f" {np.mean(found - theirs):+.4f} (5%: {np.quantile(found - theirs, 0.05):+.3f});"
                f" of {alike.sum()} pairs at 0.5, {np.sum(found[alike] >= 0.5)} found,"
                f" {np.sum(found[~alike] >= 0.5)} too many"
            )
        print(f"CPU ms a pair: {cost[0]:.1f} fast, {cost[1]:.1f} careful, {cost[2]:.1f} TM-align")


NATIVES, COPIES = 300, 112
#: Rows of the pool that make a set; copies follow the natives, four of each in turn.
SETS = {
    "no copies": list(range(300)),
    "a third copies": list(range(200)) + list(range(300, 400)),
    "most copies": list(range(28)) + list(range(60, 120)) + list(range(300, 412)),
}


def _pool(data: Path) -> list[np.ndarray]:
    """CA positions of natives, one per sequence cluster, and of bent copies."""
    store = StructureStore(data / "domains.npz")
    rng = np.random.default_rng(5)
    members = np.flatnonzero((store.lengths >= 45) & (store.lengths <= 65))
    _, first = np.unique(store.arrays["cluster40"][members], return_index=True)
    chosen = rng.choice(members[np.sort(first)], NATIVES, replace=False)
    natives = [store.item(int(k)).coord for k in chosen]
    bent = [add_smooth_noise(natives[k // 4], rng.uniform(1, 4), rng) for k in range(COPIES)]
    return [np.asarray(c)[:, 1].astype(np.float32) for c in natives + bent]


def _truth(chains: list[np.ndarray], path: Path | None) -> np.ndarray:
    """TM-align of all pairs, read from ``path`` where it was kept."""
    if path is not None and path.is_file():
        return np.load(path)
    wide = [chain.astype(float) for chain in chains]
    tm = np.ones((len(chains), len(chains)))
    for i in range(len(chains)):
        for j in range(i):
            tm[i, j] = tm[j, i] = tm_align(wide[i], wide[j])
    if path is not None:
        np.save(path, tm)
    return tm


def _leaders(rows: list[int], lengths: list[int], tm: np.ndarray, threshold: float) -> int:
    """Count clusters by the textbook's algorithm, all against all."""
    leaders: list[int] = []
    for k in sorted(rows, key=lambda k: (-lengths[k], k)):
        if not leaders or tm[leaders, k].max() < threshold:
            leaders.append(k)
    return len(leaders)


def check_clusters(data: Path, kept: Path | None) -> None:
    chains = _pool(data)
    tm = _truth(chains, kept)
    lengths, prints = [len(c) for c in chains], fingerprints(chains)
    for name, rows in SETS.items():
        for designs in (5000, 1000, 300):
            candidates = CompareConfig().candidates(designs)
            begin = time.process_time()
            with PairScores(chains, [str(k) for k in range(len(chains))], workers=1) as scores:
                for threshold in (0.5, 0.6):
                    want = _leaders(rows, lengths, tm, threshold)
                    found = leader_clusters(rows, lengths, prints, scores, threshold, candidates)
                    ours = len(set(found.values()))
                    print(
                        f"{name} ({len(rows)}), as for {designs} designs ({candidates}"
                        f" candidates), TM {threshold}: {ours} clusters, all-against-all {want}"
                        f" ({ours / want - 1:+.1%}); {len(scores._known)} pairs aligned,"
                        f" {len(scores._careful)} carefully",
                        flush=True,
                    )
            print(f"  {time.process_time() - begin:.0f} CPU s", flush=True)


def check_novelty(data: Path, number: int) -> None:
    known = training_set()
    store = StructureStore(data / "domains.npz")
    members = [k for k in store.members("test").tolist() if 60 <= store.lengths[k] <= 80]
    chosen = np.random.default_rng(3).permutation(members)[:number]
    natives = [np.asarray(store.item(int(k)).coord[:, 1], np.float32) for k in chosen]
    kept = [k for k, chain in enumerate(known.chains) if len(chain) <= 150]
    chains = [*natives, *(known.chains[k] for k in kept)]
    own, others = range(len(natives)), range(len(natives), len(chains))
    prints = np.concatenate((fingerprints(natives), known.prints[kept]))
    with PairScores(chains, [str(k) for k in range(len(chains))], workers=1) as scores:
        found, seconds = [], []
        for candidates in SEARCHED:
            begin = time.process_time()
            found.append(nearest_references(own, others, prints, scores, candidates)[0])
            seconds.append((time.process_time() - begin) / len(natives))
        best = np.array([scores.of([(k, j) for j in others])[:, 0].max() for k in own])
    print(
        f"{len(natives)} held-out domains against {len(kept)} structures: all-against-all in the"
        f" mean {best.mean():.3f}"
    )
    for candidates, tm, each in zip(SEARCHED, found, np.cumsum(seconds).tolist(), strict=True):
        short = np.maximum(best - tm, 0)
        print(
            f"{candidates} candidates: found {tm.mean():.3f}; {np.mean(short < 0.01):.0%} found to"
            f" 0.01, missed {short.mean():.3f} in the mean, {short.max():.3f} at most; {each:.2f}"
            " CPU s each"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("area", "tm", "clusters", "novelty"))
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--pairs", type=int, default=600)
    parser.add_argument("--natives", type=int, default=12)
    parser.add_argument("--truth", type=Path)
    options = parser.parse_args()
    if options.part == "area":
        check_area(options.data)
    elif options.part == "tm":
        check_tm(options.data, options.pairs)
    elif options.part == "clusters":
        check_clusters(options.data, options.truth)
    else:
        check_novelty(options.data, options.natives)


if __name__ == "__main__":
    main()
