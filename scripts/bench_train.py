"""Seconds of a training step, its parts, and the floor under it.

    python scripts/bench_train.py --data DIR
    python scripts/bench_train.py --data DIR --against f12feec --out benchmarks/train-cpu2.json

A step is one batch of the recipe: losses with and without self-conditioning, backward, AdamW. The
floor is its floating-point operations (counted by torch) over the matrix rate of the same run.
``--against`` measures another revision too, out of a work tree of its own, in turns with this one.
Processor seconds are given beside wall seconds: on a shared machine only they mean something.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from timing import matrix_rate, medians
from torch.utils.flop_counter import FlopCounterMode

from proteinweaver.diffusion.objective import LossWeights, denoising_losses, total_loss
from proteinweaver.diffusion.process import FrameProcess, ProcessConfig
from proteinweaver.nets.denoiser import Denoiser, DenoiserConfig
from proteinweaver.training.compiled import compiled_denoiser
from proteinweaver.training.config import DataConfig, TrainConfig
from proteinweaver.training.sources import open_sources

REPO = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("PROTEINWEAVER_DATA", REPO.parent / "shared" / "data"))


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Measure the package that is imported."""
    torch.set_num_threads(options.threads)
    rate = matrix_rate()
    torch.manual_seed(0)
    net, process = Denoiser(DenoiserConfig()), FrameProcess(ProcessConfig())
    data = DataConfig(folder=str(options.data), recipe=options.recipe, residues=options.residues)
    with tempfile.TemporaryDirectory() as scratch:
        source = open_sources(TrainConfig(out=scratch, data=data), Path(scratch)).train
        batches = [source.batch(k) for k in range(4)]
    optimizer = torch.optim.AdamW(net.parameters(), 1e-4)

    def step(k: int, self_condition: bool) -> None:
        batch, generator = batches[k], torch.Generator().manual_seed(k)
        losses = denoising_losses(
            net, process, batch.coord, batch.condition,
            torch.rand(len(batch.coord), generator=generator) * 0.9 + 0.05,
            generator, LossWeights(), self_condition,
        )  # fmt: skip
        total_loss(losses, batch.condition.mask).backward()
        optimizer.step()
        optimizer.zero_grad()

    def both() -> None:
        for k in range(len(batches)):
            step(k, k % 2 == 0)

    with FlopCounterMode(display=False) as counter:
        both()
    flops = counter.get_total_flops() / len(batches)
    with compiled_denoiser(net, options.compile):
        both()
        both()
        wall, processor = (value / len(batches) for value in medians(both, options.repeats))
    residues = statistics.mean(int(batch.condition.mask.sum()) for batch in batches)
    return {
        "residues": residues,
        "seconds": wall,
        "processor_seconds": processor,
        "gflop": flops / 1e9,
        "matrix_gflops": rate / 1e9,
        "over_floor": processor / options.threads * rate / flops,
    }


def other(options: argparse.Namespace, revision: str, tree: Path) -> dict[str, float]:
    """Measure another revision with this script."""
    if not tree.exists():
        subprocess.run(
            ["git", "-C", str(REPO), "worktree", "add", "--detach", str(tree), revision],
            check=True, capture_output=True,
        )  # fmt: skip
    command = [sys.executable, __file__, *sys.argv[1:], "--json"]
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--recipe", default="base")
    parser.add_argument("--residues", type=int, default=1900)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-compile", dest="compile", action="store_false")
    parser.add_argument("--against", metavar="REVISION")
    parser.add_argument("--rounds", type=int, default=2, help="turns, with --against")
    parser.add_argument("--out", type=Path, help="JSON file")
    parser.add_argument("--json", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.json:
        print(json.dumps(measure(options)))
        return
    rows: dict[str, list[dict[str, float]]] = {"this": []}
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch) / "tree"
        for _ in range(options.rounds if options.against else 1):
            rows["this"].append(measure(options))
            if options.against:
                rows.setdefault(options.against, []).append(other(options, options.against, tree))
        if tree.exists():
            subprocess.run(
                ["git", "-C", str(REPO), "worktree", "remove", "--force", str(tree)], check=True
            )
    table = {
        name: {key: statistics.median(row[key] for row in runs) for key in runs[0]}
        for name, runs in rows.items()
    }
    print("| revision | residues | s | processor s | GFLOP | over floor |")
    print("|---|---|---|---|---|---|")
    for name, row in table.items():
        print(
            f"| {name} | {row['residues']:.0f} | {row['seconds']:.2f} | "
            f"{row['processor_seconds']:.2f} | {row['gflop']:.0f} | {row['over_floor']:.1f} |"
        )
    if options.against:
        ratio = table[options.against]["processor_seconds"] / table["this"]["processor_seconds"]
        print(f"\nthis is {ratio:.2f} times as fast as {options.against} (processor seconds)")
    if options.out:
        about = {"machine": platform.machine(), "threads": options.threads}
        options.out.write_text(json.dumps({**about, "rows": table}, indent=1) + "\n")


if __name__ == "__main__":
    main()
