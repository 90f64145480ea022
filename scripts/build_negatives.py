"""Make the backbones that the critic learns to refuse: ``negatives-SPLIT.npz``.

    python scripts/build_negatives.py --data DIR -o NEG --split valid --scale 0.25

Kinds and treatment: `proteinweaver.data.negatives`, `proteinweaver.data.hard_negatives`. Only what
passes the geometry gate (`proteinweaver.evaluation.gate`) is kept, and of the hard kinds only what
lies, in every column, inside the middle 98% of native domains of the train split; the share that
does is printed. At ``--scale 1`` a split gets 900 distorted, 450 glued, 300 mirrored, 300 swapped
chains, up to 1800 poses with their controls, and, before that choice, 450 joined and 300 inverted
ones. The result is a pure function of data, split, scale and seed; ``--add`` puts it
behind what the file holds already.
"""

import argparse
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np

from proteinweaver.data import hard_negatives
from proteinweaver.data import negatives as forge
from proteinweaver.data.negative_sets import NegativeSet, write_negatives
from proteinweaver.data.negatives import Negative
from proteinweaver.data.store import StructureStore
from proteinweaver.evaluation.gate import passes_gate
from proteinweaver.evaluation.geometry import ChainMetrics, chain_metrics

REPO = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("PROTEINWEAVER_DATA", REPO.parent / "shared" / "data"))
SIZES = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
COUNTS = {
    "distorted": 900,
    "glued": 450,
    "mirrored": 300,
    "swapped": 300,
    "posed": 1800,
    "joined": 450,
    "inverted": 300,
}
HARD = ("joined", "inverted")
MIDDLE = (0.01, 0.99)  # of natives, column by column
SHORTEST, LONGEST = 50, 180  # residues of chains treated in torsion space


def native_ranges(data: Path) -> dict[str, tuple[float, float]]:
    """Where the middle 98% of the train split's natives lie, column by column."""
    items = drawn(StructureStore(data / "domains.npz"), "train", np.random.default_rng(0))
    rows = [asdict(chain_metrics(next(items).coord)) for _ in range(400)]
    return {
        name: tuple(np.nanquantile([row[name] for row in rows], MIDDLE).tolist())
        for name in rows[0]
        if name != "length"
    }


def is_usual(metrics: ChainMetrics, ranges: dict[str, tuple[float, float]]) -> bool:
    """Whether every column lies where natives' do; what cannot be counted does."""
    row = asdict(metrics)
    return not any(row[name] < low or row[name] > high for name, (low, high) in ranges.items())


def drawn(store: StructureStore, split: str, rng: np.random.Generator) -> Iterator:
    """Items of a split, cluster by cluster, without end."""
    members = store.members(split)
    lengths = store.lengths[members]
    members = members[(lengths >= SHORTEST) & (lengths <= LONGEST)]
    weights = store.weights(members)
    while True:
        for number in rng.choice(members, size=len(members), replace=False, p=weights):
            yield store.item(int(number))


def made(kind: str, data: Path, split: str, scale: float, seed: int) -> Iterator[Negative]:
    """All of a kind, the gate not yet asked."""
    rng = np.random.default_rng([seed, forge.KINDS.index(kind)])
    count = round(COUNTS[kind] * scale)
    if kind == "posed":
        store = StructureStore(data / "chains.npz")
        for number in rng.permutation(store.members(split))[:count]:
            found = forge.posed(store.item(int(number)), rng)
            yield from found or ()
        return
    items = drawn(StructureStore(data / "domains.npz"), split, rng)
    if kind == "distorted":
        for _ in range(count // len(SIZES)):
            item, key = next(items), int(rng.integers(1 << 31))
            for size in SIZES:  # the same direction, farther and farther
                yield forge.distorted(item, size, np.random.default_rng(key))
    elif kind == "glued":
        pool = [next(items) for _ in range(400)]
        for _ in range(count):
            yield forge.glued(pool, int(rng.integers(60, 161)), rng)
    elif kind == "joined":
        found_in = [hard_negatives.pieces_of(next(items)) for _ in range(300)]
        pieces = [own for own in found_in if own]
        for _ in range(count):
            found = hard_negatives.joined(pieces, int(rng.integers(60, 161)), rng)
            if found is not None:
                yield found
    elif kind == "inverted":
        helical = (item for item in items if hard_negatives.is_helical(item.coord))
        for _ in range(count):
            yield hard_negatives.inverted(next(helical), rng)
    else:
        for _ in range(count):
            item = next(items)
            found = forge.mirrored(item, rng) if kind == "mirrored" else forge.swapped(item, rng)
            if found is not None:
                yield found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--split", default="train", choices=("train", "valid", "test"))
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", default=",".join(COUNTS), help="which, separated by commas")
    parser.add_argument("--add", action="store_true", help="keep what is in the file")
    options = parser.parse_args()
    file = options.out / f"negatives-{options.split}.npz"
    kept: list[Negative] = []
    if options.add:
        there = NegativeSet.read(file)
        kept = [there.item(k) for k in range(len(there))]
    start = time.monotonic()
    ranges = native_ranges(options.data)
    for kind in options.kinds.split(","):
        tried, passed = Counter(), Counter()
        for found in made(kind, options.data, options.split, options.scale, options.seed):
            key = f"{found.kind} {found.size:g}" if found.kind == "distorted" else found.kind
            tried[key] += 1
            metrics = chain_metrics(found.coord, found.break_after)
            usual = found.kind not in HARD or is_usual(metrics, ranges)
            if usual and passes_gate(metrics):
                passed[key] += 1
                kept.append(found)
        shares = ", ".join(f"{key}: {passed[key]} of {tried[key]}" for key in tried)
        print(f"{time.monotonic() - start:6.0f} s  {shares}", flush=True)
        write_negatives(file, kept)
    print(f"{file}: {len(kept)}")


if __name__ == "__main__":
    main()
