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
from pathlib import Path

import numpy as np

from proteinweaver.data.store import StructureStore
from proteinweaver.evaluation.fingerprints import fingerprints
from proteinweaver.evaluation.novelty import nearest_references
from proteinweaver.evaluation.pairs import PairScores
from proteinweaver.evaluation.training_set import (
    SEARCHED,
    pack_training_set,
    training_set,
)

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
    """Length, and highest TM-score to the packed training set by number of candidates."""
    known = training_set(path)
    both = [*chains, *known.chains]
    prints = np.concatenate((fingerprints(chains), known.prints))
    first = len(chains)
    columns = [np.array([len(x) for x in chains], np.float64)]
    with PairScores(both, [str(k) for k in range(len(both))]) as scores:
        for candidates in SEARCHED:
            tm, _ = nearest_references(
                range(first), range(first, len(both)), prints, scores, candidates
            )
            columns.append(tm)
    return np.column_stack(columns)


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
    pack_training_set(names, chains, prints, np.zeros((0, 1 + len(SEARCHED))), options.out)
    packed = training_set(options.out)
    error = [
        np.sqrt(((a - b - (a - b).mean(axis=0)) ** 2).sum(axis=1).mean())
        for a, b in zip(packed.chains, chains, strict=True)
    ]
    print(f"{len(chains)} structures; rounding {np.mean(error):.3f} A RMS", flush=True)
    held_out = held_out_scores(natives, options.out)
    pack_training_set(names, chains, prints, held_out, options.out)
    print(f"{len(held_out)} held-out natives; quantiles of the highest TM-score, share >= .75")
    for column, candidates in enumerate(SEARCHED, start=1):
        tm = held_out[:, column]
        quantiles = " ".join(f"{q:.3f}" for q in np.quantile(tm, (0.05, 0.25, 0.5, 0.75, 0.95)))
        print(
            f"{candidates} candidates: 5, 25, 50, 75, 95% {quantiles}; {(tm >= 0.75).mean():.2f}"
        )


if __name__ == "__main__":
    main()
