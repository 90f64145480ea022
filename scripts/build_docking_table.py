"""Residue statistics of the docking baseline: contacts between domains, and ends of linkers.

    python scripts/build_docking_table.py

Writes `proteinweaver/evaluation/docking_contacts.json` from adjacent domain pairs of the train
split (`native_pairs`), one per 40%-identity cluster: log-odds of the types of side-chain centres
within 8 A of each other across two domains, against what the exposed residues of both domains give
by chance (the quasi-chemical reference of Miyazawa & Jernigan 1985, with 20 pseudo-contacts a type
pair of the chance law), and the log-normal law of the CA distance that a linker bridges, by its
residues.

References
----------
Miyazawa & Jernigan 1985, Macromolecules 18, 534; Moont, Gabb & Sternberg 1999, Proteins 35, 364
(residue pair potentials for docking).
"""

import argparse
import json
import os
from pathlib import Path

import numpy as np
import torch

from proteinweaver.evaluation.docking import CONTACT_TABLE, SideChains
from proteinweaver.evaluation.tasks import NativeTask, native_pairs

REPO = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("PROTEINWEAVER_DATA", REPO.parent / "shared" / "data"))
CONTACT, CROWD, PSEUDO = 8.0, 10.0, 20.0


def exposed(part: SideChains) -> np.ndarray:
    """Composition (20,) of the half of the residues with fewest neighbours."""
    neighbours = (torch.cdist(part.side, part.side) < CROWD).sum(1)
    outside = part.kind[neighbours <= neighbours.median()]
    count = np.bincount(outside.numpy(), minlength=21)[:20].astype(float)
    return np.asarray(count / max(count.sum(), 1.0))


def log_odds(tasks: list[NativeTask]) -> np.ndarray:
    """Symmetric log-odds of contacts, shape (20, 20)."""
    seen, chance = np.zeros((20, 20)), np.zeros((20, 20))
    for task in tasks:
        assert task.aatype is not None
        one, two = (SideChains.of(task.coord[a:b], task.aatype[a:b]) for a, b in task.domains)
        pairs = (torch.cdist(one.side, two.side) < CONTACT).nonzero()
        found = np.zeros((21, 21))
        np.add.at(found, (one.kind[pairs[:, 0]].numpy(), two.kind[pairs[:, 1]].numpy()), 0.5)
        found = (found + found.T)[:20, :20]
        law = np.outer(exposed(one), exposed(two))
        seen += found
        chance += found.sum() * 0.5 * (law + law.T)
    prior = PSEUDO * chance / chance.mean()
    odds = np.log((seen + prior) / (chance + prior))
    return np.asarray(odds)


def linker_law(tasks: list[NativeTask]) -> dict[str, float]:
    """Factor, exponent and spread of log distance = log(factor (residues + 1)^exponent)."""
    residues, distance = [], []
    for task in tasks:
        ((start, stop),) = task.linkers
        residues.append(stop - start)
        distance.append(np.linalg.norm(task.coord[stop, 1] - task.coord[start - 1, 1]))
    design = np.stack([np.ones(len(residues)), np.log(np.array(residues) + 1.0)], axis=1)
    target = np.log(distance)
    solved = np.linalg.lstsq(design, target, rcond=None)[0]
    spread = float((target - design @ solved).std())
    return {"factor": float(np.exp(solved[0])), "exponent": float(solved[1]), "spread": spread}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    options = parser.parse_args()
    torch.set_num_threads(1)
    by_cluster: dict[int, NativeTask] = {}
    for task in native_pairs(options.data / "chains.npz", "train"):
        by_cluster.setdefault(task.cluster, task)
    tasks = list(by_cluster.values())
    odds, law = log_odds(tasks), linker_law(tasks)
    content = {
        "about": "scripts/build_docking_table.py, train split",
        "pairs": len(tasks),
        "linker": {key: round(value, 4) for key, value in law.items()},
        "log_odds": odds.round(2).tolist(),
    }
    CONTACT_TABLE.write_text(json.dumps(content) + "\n", encoding="utf-8")
    print(f"{len(tasks)} pairs; linker {law}; log-odds {odds.min():.2f} to {odds.max():.2f}")


if __name__ == "__main__":
    main()
