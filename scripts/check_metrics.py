"""Figures behind docs/evaluation.md: metrics against other programs, on many structures.

    python scripts/check_metrics.py area|tm|clusters [--data DIR] [--pairs 600] [--chains 300]

area      interface area of backbones with side-chain beads against all atoms (biotite), natives
tm        the fast TM-score against TM-align (tmtools), native pairs of several lengths
clusters  cluster counts of the fast way against all-against-all with TM-align, natives of 45-65
          residues, a third of them bent copies of others

Needs tmtools (GPL; a comparison tool only) for the last two.
"""

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from proteinweaver.data.store import StructureStore
from proteinweaver.evaluation.baselines import add_smooth_noise
from proteinweaver.evaluation.clusters import leader_clusters
from proteinweaver.evaluation.fingerprints import fingerprints
from proteinweaver.evaluation.pairs import PairScores
from proteinweaver.evaluation.quick import quick_tm_pairs
from proteinweaver.evaluation.surface import interface_area
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
        theirs = np.array([tm_align(*c) for c in chains])
        end = time.process_time()
        alike = theirs >= 0.5
        cost = [1e3 * seconds / len(pairs) for seconds in (middle - begin, end - middle)]
        print(
            f"{low}-{high} residues: mean TM-align {theirs.mean():.3f}, difference"
            f" {np.mean(ours - theirs):+.4f} (5%: {np.quantile(ours - theirs, 0.05):+.3f}); of"
            f" {alike.sum()} pairs at 0.5, {np.sum(ours[alike] >= 0.5)} found,"
            f" {np.sum(ours[~alike] >= 0.5)} too many;"
            f" {cost[0]:.1f} and {cost[1]:.1f} CPU ms a pair"
        )


def _row(work: tuple[int, list[np.ndarray]]) -> tuple[list[float], float]:
    i, chains = work
    begin = time.process_time()
    scores = [tm_align(chains[i].astype(float), chains[j].astype(float)) for j in range(i)]
    return scores, time.process_time() - begin


def check_clusters(data: Path, number: int) -> None:
    store = StructureStore(data / "domains.npz")
    rng = np.random.default_rng(5)
    members = np.flatnonzero((store.lengths >= 45) & (store.lengths <= 65))
    natives = [store.item(int(k)).coord for k in rng.choice(members, 2 * number // 3, False)]
    bent = [
        add_smooth_noise(natives[k // 5], rng.uniform(1, 4), rng)
        for k in range(number - len(natives))
    ]
    chains = [np.asarray(c)[:, 1].astype(np.float32) for c in natives + bent]
    tm = np.ones((number, number))
    full_s = 0.0
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        work = [(i, chains[: i + 1]) for i in range(number)]
        for i, (scores, seconds) in enumerate(pool.map(_row, work)):
            tm[i, :i] = tm[:i, i] = scores
            full_s += seconds
    lengths, prints = [len(c) for c in chains], fingerprints(chains)

    def exact(pairs: list[tuple[int, int]]) -> np.ndarray:
        return np.array([[tm[i, j], tm[i, j]] for i, j in pairs]).reshape(-1, 2)

    print(f"TM-align: {number * (number - 1) // 2} pairs in {full_s:.0f} CPU s", flush=True)
    begin = time.process_time()
    with PairScores(chains, [str(k) for k in range(number)], workers=1) as known:
        for candidates in (12, 40, 120):
            for threshold in (0.5, 0.6):
                asked: set[tuple[int, int]] = set()

                def scores(
                    pairs: list[tuple[int, int]], asked: set[tuple[int, int]] = asked
                ) -> np.ndarray:
                    asked.update(pairs)
                    return known.of(pairs)

                want = leader_clusters(range(number), lengths, prints, exact, threshold, number)
                found = leader_clusters(
                    range(number), lengths, prints, scores, threshold, candidates
                )
                ours, theirs = len(set(found.values())), len(set(want.values()))
                print(
                    f"TM {threshold}, {candidates} candidates: {ours} clusters, all-against-all"
                    f" {theirs} ({ours / theirs - 1:+.1%}); {len(asked)} pairs aligned",
                    flush=True,
                )
        seconds = time.process_time() - begin
        print(f"fast way: {len(known._known)} pairs in {seconds:.0f} CPU s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=("area", "tm", "clusters"))
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--pairs", type=int, default=600)
    parser.add_argument("--chains", type=int, default=300)
    options = parser.parse_args()
    if options.part == "area":
        check_area(options.data)
    elif options.part == "tm":
        check_tm(options.data, options.pairs)
    else:
        check_clusters(options.data, options.chains)


if __name__ == "__main__":
    main()
