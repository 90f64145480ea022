"""Choose the native chains from which linkers are guessed, for the package.

    python scripts/build_stretches.py --data DIR

N, CA and C of every residue of the train split's chains and its type, packed, go into
`proteinweaver/evaluation/stretches.npz`; with ``--residues`` only whole 40%-identity clusters, at
random, until they hold so many.
"""

import argparse
import os
from pathlib import Path

import numpy as np

from proteinweaver.data.store import StructureStore
from proteinweaver.evaluation.stretches import STRETCHES, Stretches, packed

REPO = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("PROTEINWEAVER_DATA", REPO.parent / "shared" / "data"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--residues", type=int, default=10**9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=STRETCHES)
    options = parser.parse_args()
    chains = Stretches.of_chains(options.data / "chains.npz")
    clusters, sizes = np.unique(chains.cluster, return_counts=True)
    order = np.random.default_rng(options.seed).permutation(len(clusters))
    chosen = order[np.cumsum(sizes[order]) <= options.residues]
    rows = np.flatnonzero(np.isin(chains.cluster, clusters[chosen]))
    run = chains.run[rows]
    broken = np.append(run[1:] != run[:-1], True)
    np.savez_compressed(
        options.out,
        step=packed(chains.coord[rows], broken),
        kind=chains.kind[rows].astype(np.uint8),
        broken=np.packbits(broken),
        cluster=chains.cluster[rows].astype(np.int32),
        data_sha256=np.array(StructureStore(options.data / "chains.npz").sha256),
    )
    print(f"{options.out}: {len(rows)} residues, {len(chosen)} clusters")


if __name__ == "__main__":
    main()
