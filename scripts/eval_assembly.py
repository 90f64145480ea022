"""Native domain pairs assembled again: insides given, poses and linkers hidden.

    python scripts/eval_assembly.py --rows rows.jsonl --out benchmarks/assembly.json
    python scripts/eval_assembly.py --rows rows.jsonl --contenders "random poses" docking    a part
    python scripts/eval_assembly.py --rows rows.jsonl --table                    of what there is

Tasks: every two adjacent, contiguous, break-free domains of at least 30 residues of every valid
and test chain, whatever the chain's length (annotated boundaries where known, else automatic),
linkers widened to six residues. Pose score: TM-score of the smaller domain after superposing the
larger one; random poses have about .03, a whole-chain TM-score .65.

Every contender has k tries at a task, in its own order: natives; random rigid poses that the
linker can span; the most contact-rich of 400 such; rigid docking on a grid with residue statistics
and a linker law, with and without the sequence (`proteinweaver.evaluation.docking`); poses found
from stretches of the train split's chains (`proteinweaver.evaluation.pose_finder`); the assembler
from noise; the assembler from found poses, as `assemble --linker SEQUENCE` finds them, or from
docked ones; and the same network without the map, starting from random poses with noise. Ours are
ordered by the hard checks of poses and bonds, then by score or, found ones, as they were found.
Rows are written as they come, so a killed run goes on where it stopped; rows of other weights,
seeds or k are left alone. Intervals are bootstraps; differences are paired and draw clusters.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import get_args

import numpy as np
import torch

from proteinweaver.domains.trends import native_contacts
from proteinweaver.evaluation.contenders import CONTENDERS, bridged, docked_pair
from proteinweaver.evaluation.docking import DockingSettings
from proteinweaver.evaluation.pose_finder import FinderSettings, found_pair
from proteinweaver.evaluation.poses import random_poses
from proteinweaver.evaluation.reassembly_table import (
    BENCHMARK_COLUMNS,
    GROUPS,
    Attempts,
    difference,
    measure,
    summaries,
)
from proteinweaver.evaluation.stretches import Stretches
from proteinweaver.evaluation.table import render, to_json
from proteinweaver.evaluation.tasks import MIN_LINKER, NativeTask, native_pairs
from proteinweaver.generation.assembly_stage import AssemblyRequest, Inside, assemble_domains
from proteinweaver.generation.model import LoadedModel, load_model
from proteinweaver.generation.pose_assembly import LINKERS_T, SETTLING_T, assemble_poses
from proteinweaver.generation.quality import judge
from proteinweaver.generation.settings import AssemblerName, assembler_sampler
from proteinweaver.generation.start_poses import SEARCH
from proteinweaver.generation.weave import check_sampler
from samplers.noise import NoiseKey

REPO = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("PROTEINWEAVER_DATA", REPO.parent / "shared" / "data"))
#: Drift that a domain may have by mode, and room of a linker's bond (angstrom).
DRIFT, BOND = {"rigid": 0.5, "adapt": 1.0}, 0.1
OURS = ("assembler", "assembler, from docking", "assembler, from found poses", "no map")
FROM_POSES = ("assembler, from docking", "assembler, from found poses")
FINDER = "found poses"
#: Time of the noise from which the network goes on alone, without the insides.
NO_MAP_T = 0.5
#: What ours is compared with, by the median of the best pose.
OTHERS = (FINDER, "docking", "docking, no sequence", "best of 400", "random poses", "no map")
COMPARED = ("best_pose", "reached", "first_pose", "first_f1", "best_f1")


@cache
def stretches(data: Path) -> Stretches:
    """Chains of the train split, read once."""
    return Stretches.of_chains(data / "chains.npz")


class Network:
    """The contenders that need weights."""

    def __init__(self, model: LoadedModel, options: argparse.Namespace) -> None:
        self.model, self.options = model, options
        self.sampling = check_sampler(assembler_sampler())

    def requests(self, name: str, task: NativeTask, k: int) -> list[AssemblyRequest]:
        """List what one contender asks of the network."""
        mode, seed = self.options.mode, self.options.seed
        insides = tuple(Inside(a, task.coord[a:b], mode) for a, b in task.domains)
        keys = [NoiseKey(seed, task.name, try_, "assembly") for try_ in range(k)]
        if name == "assembler":
            return [AssemblyRequest(len(task), insides, key) for key in keys]
        rng = np.random.default_rng([seed, len(task)])
        if name == "no map":
            insides = ()
            starts = random_poses(task.coord, task.domain, k, rng)
        elif name == "assembler, from docking":
            starts = docked_pair(task, k, rng)
        else:
            starts = found_pair(task, k, rng, Stretches.shipped(), SEARCH)
        return [
            AssemblyRequest(len(task), insides, key, start=_start(chain, task), start_t=NO_MAP_T)
            for key, chain in zip(keys, starts, strict=False)
        ]

    def tries(self, name: str, task: NativeTask, k: int) -> list[np.ndarray]:
        """Chains of a task, those that pass checks of poses and bonds first.

        Among them the found ones in the order of finding, others by score.
        """
        requests = self.requests(name, task, k)
        is_found = name == "assembler, from found poses"
        way = assemble_poses if name in FROM_POSES else assemble_domains
        found = [chain.coord for chain in way(self.model, requests, self.sampling)]
        finite = [coord for coord in found if np.isfinite(coord).all()]
        trust = [self._trust(task, coord) for coord in finite]
        if is_found:
            trust = [(sound, -k) for k, (sound, _) in enumerate(trust)]
        order = sorted(range(len(finite)), key=trust.__getitem__, reverse=True)
        return [finite[k] for k in order]

    def _trust(self, task: NativeTask, coord: np.ndarray) -> tuple[bool, float]:
        expected = native_contacts([b - a for a, b in task.domains])
        given = [task.coord[a:b] for a, b in task.domains]
        verdict = judge(coord, task.domain, None, given, expected)
        found = verdict.metrics
        sound = (
            found["interdomain_clashes"] == 0
            and found["interface_contacts"] >= 0.5 * expected
            and found["domain_rmsd_max"] <= DRIFT[self.options.mode]
            and measure(task, coord)["bond_off"] <= BOND
        )
        return sound, verdict.score


def _start(chain: np.ndarray, task: NativeTask) -> np.ndarray:
    return np.asarray(bridged(chain, task.domain), dtype=np.float32)


def attempts(
    name: str,
    task: NativeTask,
    split: str,
    k: int,
    chains: Callable[[], list[np.ndarray]],
) -> Attempts:
    """Run one contender on one task."""
    start = time.process_time()
    found = list(chains())
    seconds = time.process_time() - start
    designs = [
        {key: round(value, 4) for key, value in measure(task, chain).items()}
        for chain in found[:k]
    ]
    return Attempts(
        name, task.name, split, task.annotated, task.cluster, task.chain_domains, len(task),
        designs, round(seconds, 3),
    )  # fmt: skip


def read_rows(path: Path, settings: dict[str, object]) -> list[Attempts]:
    """Rows of a file that were made with these settings; torn last lines are left out."""
    rows = []
    for line in path.read_text().splitlines() if path.is_file() else []:
        try:
            content = json.loads(line)
        except json.JSONDecodeError:
            continue
        if content.pop("settings") == settings[str(content["contender"])]:
            rows.append(Attempts(**content))
    return rows


def run(options: argparse.Namespace, tasks: dict[str, list[NativeTask]]) -> list[Attempts]:
    """Every contender on every task that has no row yet."""
    model: LoadedModel | None = None
    if set(options.contenders) & set(OURS):
        model = load_model(options.model, weights=options.weights, device=options.device)
    network = Network(model, options) if model else None
    sha = model.sha256[:12] if model else ""
    shared = {"k": options.k, "seed": options.seed, "min_linker": options.min_linker}
    ours = {**shared, "mode": options.mode, "weights": sha}
    docking, finder = asdict(DockingSettings()), asdict(FinderSettings())
    started = {**ours, "linkers_t": LINKERS_T, "settling_t": SETTLING_T}
    settings: dict[str, object] = {
        **{name: shared for name in CONTENDERS},
        **{name: {**shared, **docking} for name in CONTENDERS if name.startswith("docking")},
        FINDER: {**shared, **finder},
        "assembler": ours,
        "no map": ours,
        "assembler, from docking": {**started, **docking},
        "assembler, from found poses": {**started, **asdict(SEARCH)},
    }
    rows = read_rows(options.rows, settings) if options.rows else []
    if options.table:
        return rows
    done = {(row.contender, row.task) for row in rows}

    def todo() -> Iterator[tuple[str, str, NativeTask]]:
        for split, members in tasks.items():
            for task in members:
                for name in options.contenders:
                    if (name, task.name) not in done:
                        yield name, split, task

    for number, (name, split, task) in enumerate(todo()):
        rng = np.random.default_rng([options.seed, len(task), task.first])
        if name == FINDER:
            library = stretches(options.data)
            made = lambda: list(found_pair(task, options.k, rng, library))  # noqa: B023, E731
        elif name in CONTENDERS:
            made = lambda: list(CONTENDERS[name](task, options.k, rng))  # noqa: B023, E731
        else:
            assert network is not None
            made = lambda: network.tries(name, task, options.k)  # noqa: B023, E731
        row = attempts(name, task, split, options.k, made)
        rows.append(row)
        if options.rows:
            with options.rows.open("a") as file:
                line = {**asdict(row), "settings": settings[name]}
                file.write(json.dumps(line) + "\n")
        if number % 10 == 0:
            print(f"{task.name} {name}: {row.seconds:.1f} s", file=sys.stderr, flush=True)
    return rows


def report(rows: list[Attempts], options: argparse.Namespace) -> None:
    """Print the tables by group and the differences; write them where asked."""
    order = [*OURS, FINDER, *CONTENDERS]
    rows = sorted(rows, key=lambda row: order.index(row.contender))
    tables, differences = {}, {}
    for group in GROUPS:
        found = summaries(rows, group)
        if found:
            print(f"\n### {group}\n\n{render(found, BENCHMARK_COLUMNS)}")
            tables[group] = to_json(found, BENCHMARK_COLUMNS)["sets"]
    present = {row.contender for row in rows}
    for ours in (name for name in (*OURS[:3], FINDER) if name in present):
        for other in (name for name in OTHERS if name in present and name != ours):
            for key in COMPARED:
                cell = difference(rows, ours, other, key)
                differences[f"{ours} - {other}: {key}"] = [cell.value, cell.low, cell.high]
                span = f"{cell.low:+.3f} to {cell.high:+.3f}"
                print(f"{ours} - {other}: {key} {cell.value:+.3f} ({span})")
    if options.out:
        about = {
            "command": " ".join(sys.argv), "k": options.k, "seed": options.seed,
            "groups": tables, "differences": differences,
        }  # fmt: skip
        options.out.write_text(json.dumps(about, indent=1) + "\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data release")
    parser.add_argument("--splits", nargs="+", default=["valid", "test"])
    parser.add_argument("--max-length", type=int, default=1000, help="residues of a pair")
    parser.add_argument("--min-linker", type=int, default=MIN_LINKER)
    parser.add_argument("-k", type=int, default=16, help="tries at a task")
    parser.add_argument("-n", type=int, help="tasks of every split, evenly spaced; default all")
    parser.add_argument("--contenders", nargs="+", default=[*OURS, FINDER, *CONTENDERS])
    parser.add_argument("--mode", default="adapt", choices=tuple(DRIFT))
    parser.add_argument("--weights", type=Path, help="folder of weights; default shipped")
    parser.add_argument("--model", default="auto", choices=get_args(AssemblerName))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=Path, help="JSON lines, one contender and task each")
    parser.add_argument("--table", action="store_true", help="only print what --rows holds")
    parser.add_argument("--out", type=Path, help="JSON file of the tables")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    torch.set_num_threads(1)
    every = [*OURS, FINDER, *CONTENDERS]
    unknown = set(options.contenders) - {*every}
    if unknown:
        sys.exit(f"no contender {sorted(unknown)}; there are {every}")
    tasks = {}
    for split in options.splits:
        pairs = native_pairs(
            options.data / "chains.npz", split, options.max_length, min_linker=options.min_linker
        )
        if options.n is not None and options.n < len(pairs):
            pairs = [pairs[k] for k in np.linspace(0, len(pairs) - 1, options.n).astype(int)]
        tasks[split] = pairs
        annotated = sum(task.annotated for task in pairs)
        clusters = len({task.cluster for task in pairs})
        print(f"{split}: {len(pairs)} pairs ({annotated} annotated) of {clusters} clusters")
    report(run(options, tasks), options)


if __name__ == "__main__":
    main()
