"""Train or continue the shipped weights: the one recipe, on CPU or GPU, without Hydra.

    python scripts/train_default.py --stage domain --data DIR --out RUN --budget 85 --compile
    python scripts/train_default.py --stage assembler --data DIR --out RUN2 --init RUN/last.ckpt

``--budget`` counts minutes of training; with ``--resume CKPT`` it is a new leg, with a rate and a
cooldown of its own, that goes on from CKPT. The same command goes on where it stopped;
``--session 9`` saves and stops after nine minutes, for machines that are lent by the slice. To go
on elsewhere, take OUT/shards (at most three files of at most 16 MiB) along: CKPT may be that
folder, and an OUT that holds it goes on with its leg.
SIGTERM and Ctrl-C save first. Needs torch, numpy, scipy, safetensors and pytorch-lightning; on a
GPU give ``--residues 16000 --workers 8`` or so.
"""

import argparse
import json
import sys
from dataclasses import replace
from typing import Any

from proteinweaver.errors import UserError
from proteinweaver.nets.denoiser import DenoiserConfig
from proteinweaver.training.checkpoints import initial_state, read_checkpoint
from proteinweaver.training.config import (
    DataConfig,
    LoggerConfig,
    OptimizerConfig,
    TrainConfig,
    TrainerConfig,
)
from proteinweaver.training.optimizers import SETTINGS, with_optimizer
from proteinweaver.training.recipes import NETWORKS, RECIPES
from proteinweaver.training.run import train


def arguments() -> argparse.Namespace:
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--stage", default="domain", choices=("layout", "domain", "assembler"))
    p.add_argument("--recipe", default="", choices=("", *RECIPES), help="default: the stage's")
    p.add_argument("--data", default="../shared/data", help="folder of domains.npz and chains.npz")
    p.add_argument("--out", required=True)
    p.add_argument("--budget", type=float, default=30.0, help="minutes of training")
    p.add_argument("--steps", type=int, default=0, help="budget of steps, where it ends first")
    p.add_argument(
        "--session", type=float, default=0.0, help="save and stop after so many minutes"
    )
    p.add_argument(
        "--resume", default="", help="go on with a checkpoint: weights, optimizer, step"
    )
    p.add_argument(
        "--init", default="", help="start from the weights of a checkpoint or .safetensors"
    )
    p.add_argument("--optimizer", default="adamw", choices=tuple(SETTINGS))
    p.add_argument("--lr", type=float, help="default: by the optimizer")
    p.add_argument("--cooldown", type=float, default=OptimizerConfig.cooldown)
    p.add_argument(
        "--focus",
        type=float,
        default=OptimizerConfig.focus,
        help="share of times drawn evenly below .55",
    )
    p.add_argument(
        "--t-power",
        type=float,
        default=OptimizerConfig.t_power,
        help="times are a uniform number to this power: below 1, more of much noise",
    )
    p.add_argument("--warmup", type=int, default=OptimizerConfig.warmup_steps, help="steps")
    p.add_argument(
        "--residues", type=int, default=DataConfig.residues, help="of a batch and device"
    )
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"))
    p.add_argument("--devices", type=int, default=1)
    p.add_argument("--precision", default=TrainerConfig.precision)
    p.add_argument("--threads", type=int, default=0)
    p.add_argument("--workers", type=int, default=0, help="processes that prepare batches ahead")
    p.add_argument("--compile", action="store_true")
    p.add_argument("--blocks", type=int, help="of a fresh network")
    p.add_argument("--save-minutes", type=float, default=TrainerConfig.save_minutes)
    p.add_argument("--valid-every", type=int, default=TrainerConfig.valid_every, help="steps")
    p.add_argument("--log-every", type=int, default=LoggerConfig.every, help="steps")
    return p.parse_args()


def config_of(a: argparse.Namespace) -> TrainConfig:
    model, minutes, step = NETWORKS.get(a.stage, DenoiserConfig()), 0.0, 0
    if a.blocks:
        model = replace(model, blocks=a.blocks)
    if a.resume:
        found = read_checkpoint(a.resume)
        model, minutes, step = found.model, found.minutes, found.step
    elif a.init:
        _, found = initial_state(a.init)
        # which neighbours are looked at is a matter of the stage, not of the weights
        model = replace(found, offsets=model.offsets)
    optimizer = OptimizerConfig(
        cooldown=a.cooldown, warmup_steps=a.warmup, focus=a.focus, t_power=a.t_power
    )
    optimizer = with_optimizer(optimizer, a.optimizer)
    return TrainConfig(
        stage=a.stage,
        out=a.out,
        init=a.init,
        resume=a.resume,
        seed=a.seed,
        model=model,
        data=DataConfig(folder=a.data, recipe=a.recipe, residues=a.residues, workers=a.workers),
        optimizer=replace(optimizer, lr=a.lr or optimizer.lr),
        trainer=TrainerConfig(
            device=a.device,
            devices=a.devices,
            strategy="ddp" if a.devices > 1 else "auto",
            precision=a.precision,
            threads=a.threads,
            compile=a.compile,
            max_minutes=a.budget,
            max_steps=a.steps,
            start_minutes=minutes,
            start_step=step,
            session_minutes=a.session,
            save_minutes=a.save_minutes,
            shards=True,
            valid_every=a.valid_every,
        ),
        logger=LoggerConfig(every=a.log_every),
    )


def show(row: dict[str, Any]) -> None:
    print(json.dumps({k: round(v, 4) for k, v in row.items() if "/t0" not in k}), flush=True)


def main() -> int:
    try:
        result = train(config_of(arguments()), show)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    state = "finished" if result.finished else "stopped, the same command goes on"
    print(f"{result.checkpoint}: step {result.step}, {state}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
