"""The table of re-assembled native chains: insides of the domains given, poses and linkers hidden.

    python scripts/eval_assembly.py                                 natives and baselines alone
    python scripts/eval_assembly.py --write-tasks tasks.npz         what an assembler is given
    python scripts/eval_assembly.py --assemble 2 --out assembly.json      assembles every task
    twice first python scripts/eval_assembly.py --set ours=FOLDER --out assembly.json

The designs in FOLDER are named TASK.pdb, or TASK_k.pdb where there are several of a task.

Tasks: held-out chains with two or more adjacent, contiguous, break-free domains of at least 30
residues (annotated boundaries where known, else automatic), one per 40%-identity cluster, linkers
widened to at least six residues. Baselines: natives; natives with 0.5 A noise; rigid domains in a
random pose without clashes that the linkers can span; the pose with most inter-domain contacts
among 400 such. Rigid baselines build no linkers.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from proteinweaver.errors import UserError
from proteinweaver.evaluation.baselines import add_noise
from proteinweaver.evaluation.columns import ASSEMBLY_COLUMNS, AssemblyRow, assembly_row
from proteinweaver.evaluation.poses import contact_rich_pose, random_poses
from proteinweaver.evaluation.sets import load_set
from proteinweaver.evaluation.table import Summary, render, summarise, to_json
from proteinweaver.evaluation.tasks import MIN_LINKER, NativeTask, native_tasks
from proteinweaver.generation.assembly_stage import AssemblyRequest, Inside, assemble_domains
from proteinweaver.generation.model import load_model
from proteinweaver.generation.settings import assembler_sampler
from proteinweaver.generation.weave import check_sampler
from proteinweaver.io.spec import Mode
from samplers.noise import NoiseKey

REPO = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("PROTEINWEAVER_DATA", REPO.parent / "shared" / "data"))
NOISE = 0.5
POSES = 400


def baseline_summaries(
    tasks: Sequence[NativeTask], seed: int, poses: int = POSES
) -> list[Summary]:
    """Natives, natives with noise, a random rigid pose, the most contact-rich of many."""
    rows: dict[str, list[AssemblyRow]] = {
        "natives": [],
        f"natives + {NOISE} A": [],
        "random pose": [],
        f"best of {poses}": [],
    }
    native, noisy, random, best = rows.values()
    for number, task in enumerate(tasks):
        rng = np.random.default_rng([seed, number])
        native.append(assembly_row(task, task.coord))
        noisy.append(assembly_row(task, add_noise(task.coord, NOISE, rng)))
        drawn = random_poses(task.coord, task.domain, poses, rng)
        if not len(drawn):
            print(f"no clash-free pose for {task.name}", file=sys.stderr)
            continue
        random.append(assembly_row(task, drawn[0]))
        best.append(assembly_row(task, drawn[contact_rich_pose(drawn, task.domain)]))
    return [summarise(name, found, ASSEMBLY_COLUMNS) for name, found in rows.items()]


def assembled_rows(path: Path, tasks: Sequence[NativeTask]) -> list[AssemblyRow]:
    """Rows of a folder of assembled tasks; a file name begins with its task's."""
    by_name = {task.name: task for task in tasks}
    rows = []
    for design in load_set(path):
        name = design.name if design.name in by_name else design.name.rpartition("_")[0]
        if name not in by_name:
            raise UserError(f"{path}: {design.name} belongs to no task; name files TASK.pdb")
        rows.append(assembly_row(by_name[name], design.coord))
    return rows


def assembled_here(
    tasks: Sequence[NativeTask], times: int, mode: Mode, seed: int, weights: Path | None
) -> list[AssemblyRow]:
    """Assemble every task with default settings; rows of the results."""
    model = load_model("assembler", weights=weights, device="cpu")
    requests = [
        AssemblyRequest(
            len(task),
            tuple(Inside(start, task.coord[start:stop], mode) for start, stop in task.domains),
            NoiseKey(seed, task.name, k, "assembly"),
        )
        for task in tasks
        for k in range(times)
    ]
    chains = assemble_domains(model, requests, check_sampler(assembler_sampler()))
    owners = [task for task in tasks for _ in range(times)]
    return [assembly_row(task, chain.coord) for task, chain in zip(owners, chains, strict=True)]


def bars(summary: Summary) -> dict[str, bool]:
    """Check the first bars that assemblies are held to."""
    value = {key: cell.value for key, cell in summary.cells.items()}
    return {
        "median CA-RMSD inside a domain <= 1.5 A": value["drift"] <= 1.5,
        "linkers continuous": value["linkers_closed"] >= 0.95,
        "no CA pair under 3 A between domains in 90%": value["clash_free"] >= 0.90,
        "contacts .7 to 1.5 of native (median)": 0.7 <= value["contact_ratio"] <= 1.5,
    }


def write_tasks(tasks: Sequence[NativeTask], path: Path) -> None:
    """Save tasks: coord [n, L, 4, 3] (NaN padding), domain [n, L] (-1 padding), length, name."""
    longest = max(map(len, tasks))
    coord = np.full((len(tasks), longest, 4, 3), np.nan, dtype=np.float32)
    domain = np.full((len(tasks), longest), -1, dtype=np.int64)
    for number, task in enumerate(tasks):
        coord[number, : len(task)] = task.coord
        domain[number, : len(task)] = task.domain
    names = np.array([task.name for task in tasks])
    length = np.array([len(task) for task in tasks])
    np.savez_compressed(path, coord=coord, domain=domain, length=length, name=names)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data release")
    parser.add_argument("--split", default="valid", choices=("valid", "test"))
    parser.add_argument("--max-length", type=int, default=400)
    parser.add_argument("--min-linker", type=int, default=MIN_LINKER)
    parser.add_argument("-n", type=int, help="tasks, annotated ones first; default all")
    parser.add_argument(
        "--assemble", type=int, default=0, metavar="K", help="assemble every task K times"
    )
    parser.add_argument(
        "--mode", default="adapt", choices=("rigid", "adapt"), help="of --assemble"
    )
    parser.add_argument(
        "--weights", type=Path, help="folder of weights for --assemble; default shipped"
    )
    parser.add_argument("--set", action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--write-tasks", type=Path, metavar="FILE.npz")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="JSON file")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    tasks = native_tasks(
        options.data / "chains.npz",
        options.split,
        options.max_length,
        options.n,
        min_linker=options.min_linker,
    )
    annotated = sum(task.annotated for task in tasks)
    print(f"{len(tasks)} tasks of the {options.split} split, {annotated} with annotated domains\n")
    if options.write_tasks:
        write_tasks(tasks, options.write_tasks)
        return
    ours = []
    if options.assemble:
        rows = assembled_here(tasks, options.assemble, options.mode, options.seed, options.weights)
        note = f"shipped weights, defaults, {options.mode}"
        ours.append(summarise(f"assembler, {options.mode}", rows, ASSEMBLY_COLUMNS, note=note))
    for text in options.set:
        name, _, path = text.partition("=")
        ours.append(
            summarise(name, assembled_rows(Path(path), tasks), ASSEMBLY_COLUMNS, note=path)
        )
    summaries = [*ours, *baseline_summaries(tasks, options.seed)]
    print(render(summaries, ASSEMBLY_COLUMNS))
    verdicts = {summary.name: bars(summary) for summary in ours}
    for name, verdict in verdicts.items():
        missed = [bar for bar, met in verdict.items() if not met]
        print(f"\n{name}: " + ("all bars met" if not missed else "MISSED " + "; ".join(missed)))
    if options.out:
        about = {
            "command": " ".join(sys.argv), "split": options.split, "seed": options.seed,
            "tasks": [task.name for task in tasks], "bars": verdicts,
        }  # fmt: skip
        options.out.write_text(
            json.dumps(to_json(summaries, ASSEMBLY_COLUMNS, **about), indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
