"""Pack the training set, so that novelty against it can be measured offline.

    python scripts/build_training_table.py [--data DIR] [--out FILE.npz] [--natives N]

Reads the structure release: every domain and chain of the train split goes into
``proteinweaver/evaluation/training_set.npz``, in steps of 0.5 A. Then the natives of the valid and
test splits, one per sequence cluster, are held against it as an evaluation holds designs; their
highest TM-scores are stored beside. Prints sizes, the error of the rounding and the quantiles of
the held-out natives.
"""

import argparse
import os
import time
from pathlib import Path

import numpy as np

from proteinweaver.data.store import StructureStore
from proteinweaver.evaluation.compare import CompareConfig
from proteinweaver.evaluation.fingerprints import fingerprints
from proteinweaver.evaluation.novelty import nearest_references
from proteinweaver.evaluation.pairs import PairScores
from proteinweaver.evaluation.training_set import pack_training_set, training_set

REPO = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("PROTEINWEAVER_DATA", REPO.parent / "shared" / "data"))


def traces(
    store: StructureStore, members: np.ndarray, one_per_cluster: bool
) -> tuple[list[str], list[np.ndarray]]:
    """Names and CA positions of items."""
    names, chains = [], []
    seen: set[int] = set()
    for number in members.tolist():
        cluster = int(store.arrays["cluster40"][number])
        if one_per_cluster and cluster in seen:
            continue
        seen.add(cluster)
        item = store.item(number)
        names.append(item.name)
        chains.append(np.asarray(item.coord[:, 1], dtype=np.float32))
    return names, chains


def held_out_scores(chains: list[np.ndarray], path: Path) -> np.ndarray:
    """Length and highest TM-score to the packed training set of every chain."""
    known = training_set(path)
    both = [*chains, *known.chains]
    prints = np.concatenate((fingerprints(chains), known.prints))
    first = len(chains)
    with PairScores(both, [str(k) for k in range(len(both))], 1) as scores:
        tm, which = nearest_references(
            range(first), range(first, len(both)), prints, scores,
            CompareConfig().novelty_candidates,
        )  # fmt: skip
    assert (which >= first).all()
    return np.column_stack(([len(x) for x in chains], tm))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument(
        "--out", type=Path, default=REPO / "proteinweaver" / "evaluation" / "training_set.npz"
    )
    parser.add_argument("--natives", type=int, help="held-out natives of either file at most")
    options = parser.parse_args()
    names, chains, natives = [], [], []
    for file in ("domains", "chains"):
        store = StructureStore(options.data / f"{file}.npz")
        found = traces(store, store.members("train"), one_per_cluster=False)
        names += found[0]
        chains += found[1]
        for split in ("valid", "test"):
            held_out = traces(store, store.members(split), one_per_cluster=True)[1]
            natives += held_out[: options.natives]
    prints = fingerprints(chains)
    begin = time.process_time()
    pack_training_set(names, chains, prints, np.zeros((0, 2)), options.out)
    packed = training_set(options.out)
    error = [
        np.sqrt(((a - b - (a - b).mean(axis=0)) ** 2).sum(axis=1).mean())
        for a, b in zip(packed.chains, chains, strict=True)
    ]
    print(f"{len(chains)} structures; rounding {np.mean(error):.3f} A RMS", flush=True)
    held_out = held_out_scores(natives, options.out)
    pack_training_set(names, chains, prints, held_out, options.out)
    tm = held_out[:, 1]
    print(f"{options.out.stat().st_size} bytes; {time.process_time() - begin:.0f} CPU s")
    print(f"{len(tm)} held-out natives: quantiles of the highest TM-score (5, 25, 50, 75, 95%):")
    print(" ".join(f"{q:.3f}" for q in np.quantile(tm, (0.05, 0.25, 0.5, 0.75, 0.95))))
    for low, high in ((40, 80), (80, 120), (120, 200), (200, 320), (320, 10**6)):
        some = tm[(held_out[:, 0] >= low) & (held_out[:, 0] < high)]
        if len(some):
            above = (some >= 0.75).mean()
            print(f"{low}-{high}: {len(some)}, median {np.median(some):.3f}, >= .75 {above:.2f}")


if __name__ == "__main__":
    main()
