"""What native assemblies look like: contacts at a junction, and size, as functions of lengths.

    python scripts/fit_assembly_trends.py

Prints the constants of `proteinweaver.domains.trends`: the median number of CA contacts (8 A)
between two consecutive domains against the residues of the smaller one, and the median radius of
gyration against the residues of a chain of two or more domains, both as power laws fitted to
medians of bins. Train split, annotated boundaries and automatic ones, one chain per cluster.
"""

import argparse
import os
from itertools import pairwise
from pathlib import Path

import numpy as np

from proteinweaver.evaluation.geometry import CONTACT, squared_distances
from proteinweaver.evaluation.tasks import native_tasks

REPO = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("PROTEINWEAVER_DATA", REPO.parent / "shared" / "data"))


def power_law(x: np.ndarray, y: np.ndarray, bins: int = 8) -> tuple[float, float]:
    """Factor and exponent of a power law through the medians of equally filled bins."""
    edges = np.quantile(x, np.linspace(0, 1, bins + 1))
    which = np.clip(np.searchsorted(edges, x, side="right") - 1, 0, bins - 1)
    middle = np.array([np.median(x[which == k]) for k in range(bins)])
    level = np.array([max(np.median(y[which == k]), 1.0) for k in range(bins)])
    exponent, factor = np.polyfit(np.log(middle), np.log(level), 1)
    return float(np.exp(factor)), float(exponent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    options = parser.parse_args()
    smaller, contacts, length, gyration = [], [], [], []
    for task in native_tasks(options.data / "chains.npz", "train", 1000):
        ca = task.coord[:, 1].astype(np.float64)
        length.append(len(ca))
        gyration.append(np.sqrt(((ca - ca.mean(0)) ** 2).sum(-1).mean()))
        for (a, b), (c, d) in pairwise(task.domains):
            smaller.append(min(b - a, d - c))
            contacts.append((squared_distances(ca[a:b], ca[c:d]) < CONTACT**2).sum())
    for what, x, y in (
        ("contacts of a junction", smaller, contacts),
        ("radius of gyration", length, gyration),
    ):
        factor, exponent = power_law(np.array(x, float), np.array(y, float))
        print(f"{what}: {factor:.3g} * n^{exponent:.3f} (n = {len(x)})")
        share = np.array(y) / (factor * np.array(x, float) ** exponent)
        levels = [0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95]
        print(f"  over the trend, quantiles {levels}: {np.quantile(share, levels).round(2)}")


if __name__ == "__main__":
    main()
