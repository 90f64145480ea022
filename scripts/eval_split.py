"""How well `split` finds annotated domains, beside always-halve and equal-length baselines.

    python scripts/eval_split.py --tune                    choose constants on train, then valid
    python scripts/eval_split.py --out benchmarks/split.json       report on test

Chains with annotated (CATH) boundaries. "halves" cuts every chain in the middle; "equal" knows the
number of domains and cuts them equally long; "data" are the automatic labels of the data release.
Single domains (annotated ones of `domains.npz`) tell how often one domain is cut.
"""

import argparse
import itertools
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from proteinweaver.domains.split import SplitSettings, split_chain
from proteinweaver.evaluation.boundaries import boundary_error, domain_iou, domain_overlap
from proteinweaver.evaluation.intervals import mean_interval, share_interval

REPO = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("PROTEINWEAVER_DATA", REPO.parent / "shared" / "data"))
SPLITS = {"train": 0, "valid": 1, "test": 2}
Chain = tuple[np.ndarray, np.ndarray, np.ndarray]


def annotated(data: Path, split: str) -> list[Chain]:
    """CA, annotated and automatic labels of chains, one per 40% cluster."""
    d = np.load(data / "chains.npz")
    coords, domain, auto = d["coords"], d["domain"], d["domain_auto"]
    off, found, seen = d["offsets"], [], set()
    for i in np.flatnonzero((d["split"] == SPLITS[split]) & (d["boundaries"] == 1)):
        if int(d["cluster40"][i]) in seen:
            continue
        seen.add(int(d["cluster40"][i]))
        rows = slice(off[i], off[i + 1])
        found.append((coords[rows, 1] * 0.01, domain[rows].astype(int), auto[rows].astype(int)))
    return found


def single(data: Path, split: str, most: int = 150) -> list[np.ndarray]:
    """CA of annotated single domains."""
    d = np.load(data / "domains.npz")
    coords, off = d["coords"], d["offsets"]
    names = list(d["method_names"])
    rows = np.flatnonzero((d["split"] == SPLITS[split]) & (d["method"] == names.index("cath")))
    return [coords[off[i] : off[i + 1], 1] * 0.01 for i in rows[:most]]


def equal_parts(length: int, count: int) -> np.ndarray:
    """Labels of equally long domains."""
    return np.minimum(np.arange(length) * count // length, count - 1) + 1


def scores(chains: list[Chain], predict: Callable[[Chain], np.ndarray]) -> dict[str, list[float]]:
    """Measures of every chain."""
    table: dict[str, list[float]] = {
        "ndo": [],
        "iou": [],
        "error": [],
        "within20": [],
        "count": [],
    }
    for chain in chains:
        label, true = predict(chain), chain[1]
        error = boundary_error(label, true)
        table["ndo"].append(domain_overlap(np.where(true > 0, label, 0), true))
        table["iou"].append(domain_iou(np.where(true > 0, label, 0), true))
        table["error"].append(float(error.mean()) if len(error) else float("nan"))
        table["within20"].append(float((error <= 20).mean()) if len(error) else float("nan"))
        table["count"].append(float(label.max() == true.max()))
    return table


def value_of(settings: SplitSettings, chains: list[Chain], alone: list[np.ndarray]) -> float:
    """Return what is tuned: mean NDO, less half the share of single domains that are cut."""
    ndo = scores(chains, lambda c: split_chain(c[0], settings))["ndo"]
    cut = np.mean([split_chain(ca, settings).max() > 1 for ca in alone])
    return float(np.mean(ndo) - 0.5 * cut)


def tune(data: Path) -> None:
    """Coordinate search on train; the value on valid decides between rounds."""
    rng = np.random.default_rng(0)
    chains = annotated(data, "train")
    chains = [chains[k] for k in rng.permutation(len(chains))[:120] if len(chains[k][0]) <= 500]
    alone = single(data, "train", 80)
    valid, valid_alone = annotated(data, "valid"), single(data, "valid", 60)
    best = SplitSettings()
    grid: dict[str, tuple[float, ...]] = {
        "cut": (0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6),
        "double": (0.5, 0.65, 0.8, 1.0),
        "alpha": (0.35, 0.43, 0.5),
        "join": (1.0, 1.2, 1.5, 2.0),
        "reach": (7.0, 8.0, 10.0),
        "smallest": (30, 40),
    }
    known = value_of(best, chains, alone)
    for turn, (name, values) in itertools.product(range(2), grid.items()):
        for value in values:
            trial = replace(best, **{name: value})
            if name == "alpha":  # the value of s scales with the exponent: move the threshold too
                trial = replace(trial, cut=best.cut * 100 ** (2 * (best.alpha - value)))
            result = value_of(trial, chains, alone)
            if result > known + 1e-4:
                best, known = trial, result
        print(f"round {turn + 1} {name}: train {known:.3f}  {best}", flush=True)
    print(f"valid {value_of(best, valid, valid_alone):.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--split", default="test", choices=tuple(SPLITS))
    parser.add_argument("--tune", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.tune:
        tune(options.data)
        return
    chains = annotated(options.data, options.split)
    alone = single(options.data, options.split)
    methods: dict[str, Callable[[Chain], np.ndarray]] = {
        "split": lambda c: split_chain(c[0]),
        "halves": lambda c: equal_parts(len(c[0]), 2),
        "equal": lambda c: equal_parts(len(c[0]), int(c[1].max())),
        "data": lambda c: c[2],
    }
    print(f"{len(chains)} annotated chains of the {options.split} split\n")
    report: dict[str, object] = {}
    for name, predict in methods.items():
        table = scores(chains, predict)
        row = {key: mean_interval(values) for key, values in table.items()}
        report[name] = {key: [cell.value, cell.low, cell.high] for key, cell in row.items()}
        print(
            f"{name:7s}"
            + "  ".join(f"{k} {c.value:.2f} ({c.low:.2f}-{c.high:.2f})" for k, c in row.items())
        )
    cut = share_interval([split_chain(ca).max() > 1 for ca in alone])
    print(f"\nsingle domains cut: {cut.value:.2f} ({cut.low:.2f}-{cut.high:.2f}), n = {cut.n}")
    if options.out:
        about = {
            "command": " ".join(sys.argv), "split": options.split, "n": len(chains),
            "settings": asdict(SplitSettings()), "methods": report,
            "single_domains_cut": [cut.value, cut.low, cut.high, cut.n],
        }  # fmt: skip
        options.out.write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
