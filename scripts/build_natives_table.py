"""Measure natives once, so that every evaluation can compare with them offline.

    python scripts/build_natives_table.py [--data DIR] [--out FILE.npz] [--max 1500]

Reads the structure release (train and valid splits, never the test split): gap-free crystal chains
and domains with deposited oxygens, no membrane proteins, one per sequence cluster. Writes
``proteinweaver/evaluation/natives.npz`` (under 100 kB) and prints how many natives each limit of
the geometry gate lets pass.
"""

import argparse
import os
from collections import Counter
from pathlib import Path

import numpy as np

from proteinweaver.data.store import StructureStore
from proteinweaver.evaluation.gate import gate_faults
from proteinweaver.evaluation.measure import measure_backbone
from proteinweaver.evaluation.natives import NATIVE_COLUMNS, pack_table
from proteinweaver.structure.backbone import Backbone

REPO = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("PROTEINWEAVER_DATA", REPO.parent / "shared" / "data"))


def chosen(store: StructureStore, limit: int, seed: int) -> list[int]:
    """Sound natives of the train and valid splits, one per cluster."""
    a = store.arrays
    membrane = np.char.find(a["source_names"], "membrane") >= 0
    deposited = a["kind"] == a["kind_names"].tolist().index("exp")
    fine = (a["split"] < 2) & deposited & ~membrane[a["source"]]
    order = np.random.default_rng(seed).permutation(np.flatnonzero(fine))
    clusters: set[int] = set()
    picked = []
    for number in order.tolist():
        item = store.item(number)
        if int(a["cluster40"][number]) in clusters or item.break_after[:-1].any():
            continue
        clusters.add(int(a["cluster40"][number]))
        picked.append(number)
        if len(picked) == limit:
            break
    return picked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument(
        "--out", type=Path, default=REPO / "proteinweaver" / "evaluation" / "natives.npz"
    )
    parser.add_argument("--max", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rows = []
    missed: Counter[str] = Counter()
    failed = 0
    for name, share in (("domains", 2 / 3), ("chains", 1 / 3)):
        store = StructureStore(options.data / f"{name}.npz")
        for number in chosen(store, int(options.max * share), options.seed):
            item = store.item(number)
            values = measure_backbone(Backbone.from_coord(item.coord, name=item.name)).values
            rows.append([float(values.get(key, np.nan)) for key in NATIVE_COLUMNS])
            faults = gate_faults(values)
            failed += bool(faults)
            missed.update(faults)
    pack_table(np.array(rows), options.out)
    print(f"{len(rows)} natives, {options.out.stat().st_size} bytes")
    for key, count in missed.most_common():
        print(f"{key:14} passed by {1 - count / len(rows):.4f}")
    print(f"gate           met by {1 - failed / len(rows):.4f}")


if __name__ == "__main__":
    main()
