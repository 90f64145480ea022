"""Seconds to judge a backbone and to design its sequence, on one CPU thread.

    python scripts/bench_sequence.py --out benchmarks/sequence-cpu.json

Medians of repeated calls; CPU seconds are this process's own, wall seconds depend on what else
runs. The backbone is an ideal helix: the work depends on the length alone. ProteinMPNN is timed
with random parameters of the public checkpoints' shapes (48 neighbours, 1.66 million).
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from proteinweaver.evaluation.critic import load_critic, soundness_of
from proteinweaver.evaluation.protein_mpnn import TrainedProteinMPNN, design_with_protein_mpnn
from proteinweaver.evaluation.sequence import design_sequences
from proteinweaver.io.installation import versions
from proteinweaver.nets.protein_mpnn import ProteinMPNN
from proteinweaver.structure.backbone import Backbone
from proteinweaver.structure.ideal import ideal_element


def seconds(action: Callable[[], object], repeats: int) -> dict[str, float]:
    action()
    wall, cpu = [], []
    for _ in range(repeats):
        start, used = time.perf_counter(), time.process_time()
        action()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - used)
    return {"wall_s": round(statistics.median(wall), 3), "cpu_s": round(statistics.median(cpu), 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lengths", default="100,200,400")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    critic = load_critic()
    mpnn = TrainedProteinMPNN(ProteinMPNN(48).eval().requires_grad_(False), 0.2)
    rows = []
    for length in map(int, options.lengths.split(",")):
        chain = Backbone.from_coord(ideal_element("H", length).numpy(), name="helix")
        row: dict[str, object] = {"length": length}
        row["judge"] = seconds(lambda c=chain: soundness_of([c], critic), options.repeats)
        for n in (1, 8):
            row[f"design_{n}"] = seconds(
                lambda c=chain, n=n: design_sequences(c, n, critic=critic), options.repeats
            )
            row[f"protein_mpnn_{n}"] = seconds(
                lambda c=chain, n=n: design_with_protein_mpnn(c, mpnn, n), options.repeats
            )
        rows.append(row)
        print(json.dumps(row), flush=True)
    if options.out:
        report = {"threads": 1, "versions": versions(), "rows": rows}
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
