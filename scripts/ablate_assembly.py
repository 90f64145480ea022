"""What each ingredient of the assembler's training data is worth: held-out loss after equal steps.

    python scripts/ablate_assembly.py --data DIR --steps 240 --seeds 2 --compile \
        --out benchmarks/ablate-assembly.json
    python scripts/ablate_assembly.py --data DIR --judge OLD.safetensors RUN/last.ckpt

Every run starts from the same weights (the shipped domain generator, which has seen no domains
from inside) and takes as many steps, cooldown included, with the recipe of the assembler or with
one ingredient taken away or added (`training.recipes.ABLATIONS`). Three fixed sets of batches of
the valid split judge it, whole native chains: with known domains, insides exact or all deformed as
generated domains are, and with stretches as long as linkers hidden. Reported: the held-out loss of
the averaged weights, its translation term by time (poses are decided at .5 to .9, linkers at .3),
and the difference to the whole recipe on the same batches with its 95% interval (bootstrap over
batches; seeds are averaged first). How much one run of a recipe differs from the next is not in
that interval: give seeds, and compare. Runs that are in ``--folder`` already are not repeated; a
stopped one goes on. ``--judge`` trains nothing: it judges weights by the same batches, and
compares all of them with the first.
"""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from proteinweaver.data.batches import BatchSource, Mixture
from proteinweaver.data.pieces import Insides
from proteinweaver.data.store import StructureStore
from proteinweaver.errors import UserError
from proteinweaver.evaluation.intervals import mean_interval
from proteinweaver.training.checkpoints import initial_state, read_checkpoint
from proteinweaver.training.config import (
    DataConfig,
    LoggerConfig,
    OptimizerConfig,
    TrainConfig,
    TrainerConfig,
)
from proteinweaver.training.recipes import ABLATIONS, mixtures
from proteinweaver.training.run import train
from proteinweaver.training.tasks import held_out_rows

WHOLE = "assembler"
WEIGHTS = Path(__file__).resolve().parents[1] / "proteinweaver" / "weights"
#: Sets that judge: task, and share of chains whose insides are deformed.
HELD_OUT = {"exact": ("domains", 0.0), "deformed": ("domains", 1.0), "gaps": ("gaps", 0.5)}
COLUMNS = ("total", "trans/t0.3", "trans/t0.5", "trans/t0.7", "trans/t0.9")


def configured(a: argparse.Namespace, recipe: str, seed: int, out: Path) -> TrainConfig:
    """One run."""
    _, model = initial_state(str(a.init))
    return TrainConfig(
        stage="assembler",
        out=str(out),
        init=str(a.init),
        seed=seed,
        model=model,
        data=DataConfig(folder=str(a.data), recipe=recipe, residues=a.residues),
        optimizer=OptimizerConfig(cooldown=0.5),
        trainer=TrainerConfig(
            threads=1,
            compile=a.compile,
            max_minutes=0.0,
            max_steps=a.steps,
            save_minutes=1e9,
            valid_every=0,
        ),
        logger=LoggerConfig(every=20),
    )


def losses(config: TrainConfig, state: dict[str, torch.Tensor], a: argparse.Namespace) -> dict:
    """Held-out losses of weights by set and column, one number a batch."""
    stores = {"chains": StructureStore(a.data / "chains.npz")}
    found: dict[str, dict[str, list[float]]] = {}
    for name, (task, deformed) in HELD_OUT.items():
        told = Mixture(
            "chains",
            {task: 1.0},
            min_length=100,
            max_length=400,
            insides=Insides(deformed=deformed),
        )
        source = BatchSource(stores, (told,), "valid", a.residues, 1)
        rows = held_out_rows(config, state, source, a.batches)
        found[name] = {column: rows[column].round(5).tolist() for column in COLUMNS}
    return found


def one_run(a: argparse.Namespace, recipe: str, seed: int) -> dict:
    """Train and judge, or read what an earlier call found."""
    out = a.folder / f"{recipe.replace(', ', '-').replace(' ', '-')}-seed{seed}"
    kept = out / "result.json"
    asked = {
        "steps": a.steps, "residues": a.residues, "batches": a.batches, "init": str(a.init),
        "judged": repr((HELD_OUT, COLUMNS)), "mixtures": repr(mixtures(recipe)),
    }  # fmt: skip
    if kept.is_file():
        known = dict(json.loads(kept.read_text()))
        if known["asked"] != asked:
            sys.exit(f"{kept} is of {known['asked']}, not of {asked}; give another --folder")
        return known
    config = configured(a, recipe, seed, out)
    if not train(config).finished:
        sys.exit(f"{out}: stopped; the same command goes on")
    checkpoint = read_checkpoint(out / "last.ckpt")
    found = {
        "recipe": recipe,
        "seed": seed,
        "asked": asked,
        "step": checkpoint.step,
        "trained_residues": checkpoint.residues,
        "losses": losses(config, checkpoint.state, a),
    }
    kept.write_text(json.dumps(found) + "\n")
    return found


def mean_rows(runs: list[dict], told: str, column: str) -> np.ndarray:
    """Losses of every batch, the mean over seeds, shape (batches,)."""
    return np.mean([run["losses"][told][column] for run in runs], axis=0)


def trained(a: argparse.Namespace) -> dict[str, list[dict]]:
    """Train the whole recipe and those asked for, seed by seed."""
    recipes = list(dict.fromkeys((WHOLE, *a.recipes)))
    found: dict[str, list[dict]] = {recipe: [] for recipe in recipes}
    for seed in range(a.seeds):
        for recipe in recipes:
            run = one_run(a, recipe, seed)
            found[recipe].append(run)
            cost = f"{run['step']} steps, {run['trained_residues']} residues"
            print(f"{recipe}, seed {seed}: {cost}", file=sys.stderr, flush=True)
    return found


def judged(a: argparse.Namespace) -> dict[str, list[dict]]:
    """Losses of weights as they are."""
    found = {}
    for path in a.judge:
        state, model = initial_state(str(path))
        config = replace(configured(a, WHOLE, 0, a.folder), model=model)
        row = {"recipe": path, "trained_residues": 0, "losses": losses(config, state, a)}
        found[path] = [row]
    return found


def report(found: dict[str, list[dict]]) -> None:
    """Print the table; all rows but the first are compared with it."""
    first = next(iter(found))
    print("| recipe | thousand residues | set | " + " | ".join(COLUMNS) + " |")
    print("|---|---|---|" + "---|" * len(COLUMNS))
    for recipe, runs in found.items():
        seen = round(float(np.mean([run["trained_residues"] for run in runs])) / 1000)
        for told in HELD_OUT:
            cells = []
            for column in COLUMNS:
                row = mean_rows(runs, told, column)
                cell = f"{row.mean():.3f}"
                if recipe != first:
                    change = row - mean_rows(found[first], told, column)
                    known = mean_interval(change)
                    cell += f" ({known.value:+.3f}: {known.low:+.3f} to {known.high:+.3f})"
                cells.append(cell)
            print(f"| {recipe} | {seen} | {told} | " + " | ".join(cells) + " |")


def arguments() -> argparse.Namespace:
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--data", type=Path, default=Path("../shared/data"))
    p.add_argument("--init", type=Path, default=WEIGHTS / "domain.safetensors")
    p.add_argument("--steps", type=int, default=240, help="of a run")
    p.add_argument("--seeds", type=int, default=2)
    p.add_argument("--recipes", nargs="+", default=[WHOLE, *ABLATIONS])
    p.add_argument("--residues", type=int, default=1900)
    p.add_argument("--batches", type=int, default=12, help="of every held-out set")
    p.add_argument("--compile", action="store_true")
    p.add_argument("--judge", nargs="+", metavar="WEIGHTS", help="train nothing")
    p.add_argument("--folder", type=Path, default=Path("runs/ablate"))
    p.add_argument("--out", type=Path, help="JSON file")
    return p.parse_args()


def main() -> int:
    a = arguments()
    unknown = set(a.recipes) - {WHOLE, *ABLATIONS}
    if unknown:
        sys.exit(f"no recipe {sorted(unknown)}; there are {[WHOLE, *ABLATIONS]}")
    torch.set_num_threads(1)
    found = judged(a) if a.judge else trained(a)
    report(found)
    if a.out:
        asked = {key: str(value) for key, value in vars(a).items()}
        runs = [run for some in found.values() for run in some]
        a.out.write_text(json.dumps({"asked": asked, "runs": runs}) + "\n")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as error:
        sys.exit(f"ablate_assembly: {error}")
