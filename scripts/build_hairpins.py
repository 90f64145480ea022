"""Build the library of beta hairpins that blueprints weave with.

    python scripts/build_hairpins.py --data DIR

For every loop length the hairpins of the train split are ranked by hydrogen bonds per residue
between their strands; of the best, one per sequence cluster, as many as ``--keep`` are written to
``proteinweaver/domains/hairpins.npz``.
"""

import argparse
import os
from pathlib import Path

import numpy as np

from proteinweaver.data.pieces import element_runs, find_hairpins
from proteinweaver.data.store import StructureStore
from proteinweaver.structure.hbonds import hydrogen_bonds

REPO = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("PROTEINWEAVER_DATA", REPO.parent / "shared" / "data"))
ARM = 7  # residues of each strand that are kept, nearest to the loop


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--keep", type=int, default=12, help="hairpins for each loop length")
    parser.add_argument(
        "--out", type=Path, default=REPO / "proteinweaver" / "domains" / "hairpins.npz"
    )
    options = parser.parse_args()
    store = StructureStore(options.data / "domains.npz")
    clusters = store.arrays["cluster40"]
    found: dict[int, list[tuple[float, int, np.ndarray, int, int, str]]] = {}
    for number in store.members("train"):
        item = store.item(int(number))
        runs = element_runs(item)
        for start, stop in find_hairpins(item, runs):
            first, second = (r for r in runs if start <= r[1] and r[2] <= stop)
            arm1, arm2 = min(first[2] - start, ARM), min(stop - second[1], ARM)
            low, high = first[2] - arm1, second[1] + arm2
            if min(arm1, arm2) < 5:
                continue
            loop = second[1] - first[2]
            coord = item.coord[low:high]
            acceptor = hydrogen_bonds(coord)
            donor = np.flatnonzero(acceptor >= 0)
            far = int((np.abs(donor - acceptor[donor]) > 5).sum())
            entry = (far / len(coord), int(clusters[number]), coord, arm1, arm2, item.name)
            found.setdefault(loop, []).append(entry)
    coords, rows = [], []
    names = []
    for loop in sorted(found):
        seen: set[int] = set()
        for _, cluster, coord, arm1, arm2, name in sorted(found[loop], key=lambda e: -e[0]):
            if cluster in seen or len(seen) >= options.keep:
                continue
            seen.add(cluster)
            coords.append(coord - coord[:, 1].mean(0))
            rows.append((arm1, loop, arm2))
            names.append(name)
        print(f"loop {loop}: {len(found[loop])} found, {len(seen)} kept")
    np.savez_compressed(
        options.out,
        coord=np.round(np.concatenate(coords) * 100).astype(np.int16),
        arms=np.array(rows, dtype=np.int16),
        names=np.array(names),
        data_sha256=np.array(store.sha256),
    )
    print(f"{options.out}: {len(rows)} hairpins, {options.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
