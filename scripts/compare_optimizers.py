"""Held-out loss of the optimizers at equal time of training, over seeds, with an interval.

    python scripts/compare_optimizers.py --data DIR --minutes 20 --seeds 3 --compile \
        --out benchmarks/optimizers-cpu2.json

    python scripts/compare_optimizers.py --data DIR --minutes 5 --seeds 1 --rates 0.3,1,3
        first: every optimizer at multiples of the rate it is started from
    python scripts/compare_optimizers.py --data DIR --optimizers adamw,mars_adamw@0.3 ...
        then: each at the multiple that did best

Each run starts from nothing, has the same network, batches and noise (by seed), and the same time:
CPU seconds of its own process on a CPU, so that other work on the machine does not decide, wall
time on a GPU. Time counts from the first step, each run cools down within it. Reported: mean over
seeds of the held-out loss of the averaged weights at the end, and the half width of its 95%
interval (Student's t); and the difference to AdamW of the same seed, with its own interval. Runs
that are in ``--folder`` already are not repeated.
"""

import argparse
import json
import os
import platform
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.stats import t as student

from proteinweaver.nets.denoiser import DenoiserConfig
from proteinweaver.training.checkpoints import Checkpoint, read_checkpoint
from proteinweaver.training.config import (
    DataConfig,
    LoggerConfig,
    OptimizerConfig,
    TrainConfig,
    TrainerConfig,
)
from proteinweaver.training.optimizers import SETTINGS, with_optimizer
from proteinweaver.training.run import train
from proteinweaver.training.sources import open_sources
from proteinweaver.training.tasks import held_out_rows


def one_run(a: argparse.Namespace, name: str, seed: int, rate: float) -> dict[str, float]:
    """Train and return the last held-out losses, or those of an earlier call."""
    out = Path(a.folder) / f"{name}-x{rate:g}-{a.minutes:g}min-{a.residues}-seed{seed}"
    kept = out / "result.json"
    if kept.is_file():
        return json.loads(kept.read_text())
    optimizer = with_optimizer(OptimizerConfig(warmup_steps=a.warmup), name)
    model = DenoiserConfig()
    if a.small:
        model = DenoiserConfig(width=32, edge_width=16, heads=2, blocks=2)
    config = TrainConfig(
        stage=a.stage,
        out=str(out),
        overwrite=True,
        seed=seed,
        model=model,
        data=DataConfig(
            source="synthetic" if a.synthetic else "release",
            folder="" if a.synthetic else a.data,
            recipe="base" if a.synthetic else "",
            residues=a.residues,
        ),
        optimizer=replace(optimizer, lr=optimizer.lr * rate),
        trainer=TrainerConfig(
            device=a.device,
            threads=a.threads,
            compile=a.compile,
            max_minutes=a.minutes,
            clock="cpu" if a.device == "cpu" else "wall",
            save_minutes=1e9,
            valid_every=0,
        ),
        logger=LoggerConfig(every=20),
    )
    train(config)
    found = held_out(config, read_checkpoint(out / "last.ckpt"), out, a.batches)
    kept.write_text(json.dumps(found, indent=1) + "\n")
    return found


def held_out(
    config: TrainConfig, checkpoint: Checkpoint, out: Path, batches: int
) -> dict[str, float]:
    """Held-out losses of the averaged weights, means over batches, and what they cost."""
    source = open_sources(config, out).valid
    if source is None:
        raise SystemExit("nothing is held out in this data")
    rows = held_out_rows(config, checkpoint.state, source, batches)
    losses = {name: float(values.mean()) for name, values in rows.items()}
    cost = {name: float(getattr(checkpoint, name)) for name in ("step", "residues", "minutes")}
    return losses | cost


def interval(values: np.ndarray) -> tuple[float, float]:
    """Mean and half width of its 95% interval; not a number for one value."""
    if len(values) < 2:
        return float(values.mean()), float("nan")
    width = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean()), float(width)


def main() -> int:
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--data", default="../shared/data")
    p.add_argument("--synthetic", action="store_true", help="made-up chains, to try the script")
    p.add_argument("--small", action="store_true", help="a network of two narrow blocks")
    p.add_argument("--stage", default="domain", choices=("domain", "assembler"))
    p.add_argument("--optimizers", default=",".join(SETTINGS), help="NAME or NAME@MULTIPLE, ...")
    p.add_argument("--rates", default="1", help="multiples of the rate an optimizer starts from")
    p.add_argument("--minutes", type=float, default=20.0)
    p.add_argument("--seeds", type=int, default=3)
    p.add_argument("--residues", type=int, default=DataConfig.residues)
    p.add_argument("--warmup", type=int, default=OptimizerConfig.warmup_steps)
    p.add_argument("--batches", type=int, default=24, help="of the held-out loss")
    p.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--compile", action="store_true")
    p.add_argument("--folder", default="runs/optimizers", help="one folder a run in it")
    p.add_argument("--out", type=Path, help="JSON file")
    a = p.parse_args()
    rates = [float(text) for text in a.rates.split(",")]
    names = a.optimizers.split(",")
    rows, baseline = [], np.zeros(0)
    print("| optimizer | rate x | steps | held-out loss | difference to the first row |")
    print("|---|---|---|---|---|")
    for text in names:
        name, _, own = text.partition("@")
        for rate in [float(own)] if own else rates:
            runs = [one_run(a, name, seed, rate) for seed in range(a.seeds)]
            losses = np.array([run["total"] for run in runs])
            baseline = baseline if len(baseline) else losses
            mean, width = interval(losses)
            other, other_width = interval(losses - baseline)
            steps = int(np.mean([run["step"] for run in runs]))
            print(
                f"| {name} | {rate:g} | {steps} | {mean:.4f} +- {width:.4f} "
                f"| {other:+.4f} +- {other_width:.4f} |",
                flush=True,
            )
            rows.append(
                {"optimizer": name, "rate": rate, "settings": SETTINGS[name], "runs": runs}
            )
    if a.out:
        about = {
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "torch": torch.__version__,
        }
        asked = {k: str(v) for k, v in vars(a).items()}
        a.out.write_text(json.dumps({**about, "asked": asked, "rows": rows}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
