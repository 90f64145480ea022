"""How much of the critic's verdict on wrong poses could be told from counts between the domains.

    python scripts/check_critic_poses.py --negatives NEG --out benchmarks/critic-poses.json

Poses are made by rigid docking to native contact counts, which leaves a mark of its own. The
baseline here is told which residues belong to which domain (the critic is not) and sees the least
distances and the numbers of CA pairs within 5 to 12 A between the two: a logistic regression
fitted to the train split. Intervals: 95%, bootstrap over pairs of domains.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from eval_critic import short
from scipy.spatial.distance import cdist

from proteinweaver.data.negative_sets import NegativeSet
from proteinweaver.evaluation.critic import load_critic, soundness_of
from proteinweaver.evaluation.ranking import auroc_gain, auroc_interval, fit_logistic
from proteinweaver.structure.backbone import Backbone

LIMITS = (5.0, 6.0, 7.0, 8.0, 10.0, 12.0)  # angstrom
MOVED = 0.1  # angstrom: distances inside a domain do not change


def pairs_of(made: NegativeSet) -> list[int]:
    """Numbers of wrong poses whose control stands behind them."""
    kinds, sources = made.arrays["kind"], made.arrays["source"]
    together = (kinds[:-1] == "posed") & (kinds[1:] == "paired") & (sources[:-1] == sources[1:])
    return np.flatnonzero(together).tolist()


def columns(made: NegativeSet, number: int) -> list[list[float]]:
    """Distances and counts between two domains, in the wrong pose and in the native one."""
    wrong, right = made.item(number), made.item(number + 1)
    first, second = (cdist(m.coord[:, 1], m.coord[:, 1]) for m in (wrong, right))
    own = np.abs(first - second)[0] < MOVED
    rows = []
    for m, ca in ((wrong, first), (right, second)):
        between = ca[np.ix_(own, ~own)]
        atoms = cdist(m.coord[own].reshape(-1, 3), m.coord[~own].reshape(-1, 3))
        counts = [float(np.log1p((between < limit).sum())) for limit in LIMITS]
        rows.append([between.min(), atoms.min(), *counts, float(np.log(between.size))])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--negatives", type=Path, required=True)
    parser.add_argument("--critic", type=Path, help="default: the shipped one")
    parser.add_argument("--split", default="test", choices=("valid", "test"))
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    train = NegativeSet.read(options.negatives / "negatives-train.npz")
    rows = np.concatenate([columns(train, k) for k in pairs_of(train)[::3]])
    law = fit_logistic(rows, np.tile([False, True], len(rows) // 2))
    made = NegativeSet.read(options.negatives / f"negatives-{options.split}.npz")
    chosen = pairs_of(made)
    plain = law.score(np.concatenate([columns(made, k) for k in chosen]))
    items = [made.item(k + j) for k in chosen for j in (0, 1)]
    chains = [Backbone.from_coord(m.coord, break_after=m.break_after) for m in items]
    critic = load_critic(options.critic)
    score = np.array([s.logit for s in soundness_of(chains, critic, [True] * len(chains))])
    names = [items[2 * k].source for k in range(len(chosen))]
    told = {"sources": (names, names)}
    cells = {
        "critic": auroc_interval(score[1::2], score[::2], **told),
        "counts between the domains": auroc_interval(plain[1::2], plain[::2], **told),
        "gain": auroc_gain(score[1::2], score[::2], plain[1::2], plain[::2], **told),
    }
    for name, cell in cells.items():
        print(f"{name:28s} {short(cell)}")
    if options.out:
        report = {
            "command": " ".join(sys.argv),
            "critic_sha256": critic.sha256,
            "poses": len(chosen),
            **{name: asdict(cell) for name, cell in cells.items()},
        }
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
