"""Choose the docking baseline's price of overlap and of contacts as such, on train pairs.

    python scripts/tune_docking.py

Sixteen docked poses of every pair, one pair of a 40%-identity cluster, at most 450 residues: share
of pairs with a pose score of .5, medians and means of the pose score and the contact F1, contacts
over those of the native.
"""

import argparse
import os
from pathlib import Path

import numpy as np
import torch

from proteinweaver.evaluation.contenders import docked_pair
from proteinweaver.evaluation.docking import DockingSettings
from proteinweaver.evaluation.reassembly import reassembly_metrics
from proteinweaver.evaluation.tasks import NativeTask, native_pairs

REPO = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("PROTEINWEAVER_DATA", REPO.parent / "shared" / "data"))
#: Pairs of `core` and `contact`.
TRIED = ((3.0, 0.3), (8.0, 0.0), (20.0, 0.0), (20.0, 0.1), (20.0, -0.1))
FOUND = 0.5


def measured(task: NativeTask, settings: DockingSettings) -> list[float]:
    """Best and first pose score, best and first contact F1, median contact ratio."""
    rng = np.random.default_rng([0, len(task), task.first])
    chains = docked_pair(task, 16, rng, settings=settings)
    rows = [reassembly_metrics(chain, task.coord, task.domain) for chain in chains]
    pose = [row.pose for row in rows]
    f1 = np.nan_to_num([row.contact_f1 for row in rows])
    ratio = np.nan_to_num([row.contact_ratio for row in rows], nan=1.0)
    return [max(pose), pose[0], float(f1.max()), float(f1[0]), float(np.median(ratio))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("-n", type=int, default=30, help="pairs")
    options = parser.parse_args()
    torch.set_num_threads(1)
    pairs = native_pairs(options.data / "chains.npz", "train")
    by_cluster: dict[int, NativeTask] = {}
    for k in np.random.default_rng(5).permutation(len(pairs)):
        by_cluster.setdefault(pairs[k].cluster, pairs[k])
    tasks = [task for task in by_cluster.values() if len(task) < 450][: options.n]
    print("core contact   found  median best  mean best  first  best F1  first F1  contacts")
    for core, contact in TRIED:
        settings = DockingSettings(core=core, contact=contact)
        rows = np.array([measured(task, settings) for task in tasks])
        best, first, best_f1, first_f1, _ = rows.mean(0)
        print(
            f"{core:4.0f} {contact:7.1f} {(rows[:, 0] >= FOUND).mean():7.3f} "
            f"{np.median(rows[:, 0]):12.3f} {best:10.3f} {first:6.3f} {best_f1:8.3f} "
            f"{first_f1:9.3f} {np.median(rows[:, 4]):9.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
