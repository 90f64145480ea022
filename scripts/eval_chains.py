"""What several draws of a chain buy, and how weights draw them.

    python scripts/build_domain_sets.py -o VALID --split valid --pairs 24 --triples 12
    python scripts/eval_chains.py VALID/SETS.jsonl --weights OLD/assembler.safetensors
        NEW/assembler.safetensors --out benchmarks/linkers.json

    ... --poses noise --out benchmarks/chains-noise.json

Every set is placed once by the search (its likeliest pose) and its chain assembled from there, or
from noise, all draws in one batch, as ``chain_candidates`` does (but once, whether or not one
meets all checks). One, the best of two and the best of four
are compared: those that meet all checks first, then by the mean of branches 0 and 1 of the critic.
Branch 2, which had no say, judges, and the expected share of native surroundings of linker
residues (all branches) is told beside. Intervals (95%) draw sets; differences from the first
weights are paired by set.
"""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from proteinweaver.cli.process import keep_freed_memory
from proteinweaver.errors import UserError
from proteinweaver.evaluation.critic import TrainedCritic, load_critic, packed, soundness_of
from proteinweaver.evaluation.intervals import Interval, mean_interval
from proteinweaver.generation.chain_stage import (
    ChainSettings,
    chain_backbone,
    chain_draws,
    chain_starts,
    chain_verdict,
)
from proteinweaver.generation.config import AssembleConfig
from proteinweaver.generation.domain_stage import DomainSample
from proteinweaver.generation.jobs import DesignPlan
from proteinweaver.generation.model import LoadedModel, load_model
from proteinweaver.generation.plans import plan_run
from proteinweaver.generation.settings import assembler_sampler
from proteinweaver.generation.start_poses import FoundStart, StartPoses
from proteinweaver.generation.weave import check_sampler
from proteinweaver.preference.domain_sets import DomainSet, read_sets, spec_of

DRAWS = (1, 2, 4)
Parts = list[list[DomainSample]]
#: Of every draw: branch 2's soundness, mean logit of the others, all checks, linker residues.
Rows = list[list[tuple[float, float, bool, float]]]


def placed(
    sets: list[DomainSet], folder: Path, poses: str
) -> tuple[list[DesignPlan], Parts, dict[int, FoundStart]]:
    """Plans of all sets, their domains, and where they begin."""
    folder.mkdir(parents=True, exist_ok=True)
    spec = folder / "linkers.spec.json"
    spec.write_text(json.dumps(spec_of(sets, 1)))
    plans = list(plan_run(AssembleConfig(spec=str(spec), device="cpu")))
    parts = [
        [
            DomainSample(plan.sources[segment.source].backbone.coord.copy(), "", 0.0, 0)
            for segment in plan.domains
        ]
        for plan in plans
    ]
    search = StartPoses() if poses == "found" else None
    starts, _ = chain_starts(plans, parts, range(len(plans)), search)
    return plans, parts, starts


def drawn(
    model: LoadedModel,
    plans: list[DesignPlan],
    parts: Parts,
    starts: dict[int, FoundStart],
    chosen: list[int],
    critic: TrainedCritic,
) -> tuple[Rows, dict[int, float]]:
    """Four draws of every plan, judged; processor seconds a plan by number of draws."""
    sampling = check_sampler(assembler_sampler())
    rows, seconds = [], {}
    for draws in DRAWS:
        begun = time.process_time()
        settings = ChainSettings(sampling, candidates=draws)
        found = chain_draws(plans, parts, chosen, starts, model, settings)
        seconds[draws] = (time.process_time() - begun) / len(chosen)
    law = critic.calibration
    for p, own in found.items():
        backbones = [chain_backbone(plans[p], one.coord) for one in own]
        with torch.no_grad():
            pack = packed(backbones, critic.net.config.judge_neighbours)
            logits = critic.net.judge(pack).chain.double().numpy()
        verdicts = [chain_verdict(plans[p], backbone, parts[p]) for backbone in backbones]
        linker = backbones[0].domain == 0
        near = [one.residue[linker].mean() for one in soundness_of(backbones, critic)]
        rows.append(
            [
                (float(law.probability(logits[2, k])), float(logits[:2, k].mean()),
                 verdicts[k].passes, float(near[k]))
                for k in range(len(own))
            ]
        )  # fmt: skip
    return rows, seconds


def kept(rows: Rows, draws: int) -> np.ndarray:
    """Soundness by branch 2, whether all checks are met, linker residues: of the best draw."""
    best = [max(own[:draws], key=lambda row: (row[2], row[1])) for own in rows]
    return np.array([(row[0], row[2], row[3]) for row in best], dtype=float)


def cell(interval: Interval) -> str:
    return f"{interval.value:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("sets", type=Path)
    p.add_argument("--weights", type=Path, nargs="+", required=True)
    p.add_argument("--poses", choices=("found", "noise"), default="found")
    p.add_argument("--work", type=Path, default=Path("runs/linkers"), help="for a spec file")
    p.add_argument("--out", type=Path, help="JSON file")
    a = p.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    critic = load_critic()
    plans, parts, starts = placed(read_sets(a.sets), a.work, a.poses)
    chosen = list(starts) if a.poses == "found" else list(range(len(plans)))
    print(f"{len(chosen)} of {len(plans)} sets")
    columns = ("soundness by branch 2", "meets all checks", "linker residues")
    told: dict[str, dict] = {}
    first: dict[int, np.ndarray] = {}
    for path in a.weights:
        model = load_model(path, device="cpu")
        rows, seconds = drawn(model, plans, parts, starts, chosen, critic)
        for draws in DRAWS:
            found = kept(rows, draws)
            cells = {name: mean_interval(found[:, k]) for k, name in enumerate(columns)}
            if draws in first:
                change = found - first[draws]
                cells |= {
                    f"{n}, change": mean_interval(change[:, k]) for k, n in enumerate(columns)
                }
            name = f"{path}, best of {draws}"
            told[name] = {key: asdict(one) for key, one in cells.items()}
            told[name]["seconds"] = seconds[draws]
            words = "; ".join(f"{key} {cell(one)}" for key, one in cells.items())
            print(f"{name}: {words}; {seconds[draws]:.2f} CPU s", flush=True)
        first = first or {draws: kept(rows, draws) for draws in DRAWS}
    if a.out:
        a.out.write_text(json.dumps({"command": " ".join(sys.argv), **told}, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"eval_chains: {error}")
