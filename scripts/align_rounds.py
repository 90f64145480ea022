"""Rounds of self-play: sample, compare, align, again with the new weights.

    python scripts/align_rounds.py SETS.jsonl -o OUT --rounds 3 --samples 8 --steps 300

Each line of SETS.jsonl is one set of domains, with exact linkers and a fixed order, such as

    {"name": "ab", "domain": ["a.pdb", "b.pdb:A10-90"], "linker": ["15"]}

Round r writes OUT/r/samples/NAME (run folders), OUT/r/pairs.jsonl and OUT/r/assembler.safetensors.
Its samples come from the weights of round r - 1, which are also its reference. What is finished is
skipped, so the same command goes on after an interruption. Figures: OUT/r/metrics.jsonl and the
first line of OUT/r/pairs.jsonl.
"""

import argparse
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from proteinweaver.errors import UserError
from proteinweaver.generation.commands import assemble
from proteinweaver.generation.config import AssembleConfig
from proteinweaver.generation.settings import SamplerConfig
from proteinweaver.io.installation import weights_folder
from proteinweaver.preference.prefs import DEFAULT_REWARDS, PrefsRequest, make_pairs
from proteinweaver.preference.surrogate import SurrogateConfig
from proteinweaver.training.align_config import AlignConfig, AlignDataConfig
from proteinweaver.training.align_run import align


def read_sets(path: Path) -> list[dict]:
    """Read sets of domains; every one must fix its plan."""
    try:
        sets = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
        names = [one["name"] for one in sets]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: not a list of sets, one JSON object a line ({error})") from None
    if len(set(names)) < len(names) or not names:
        raise UserError(f"{path}: needs sets with different names")
    for one in sets:
        if any("-" in str(linker) for linker in one["linker"]):
            raise UserError(f"{path}: {one['name']}: linkers must be exact, such as 15")
    return sets


def one_round(place: Path, number: int, sets: list[dict], start: Path, args) -> Path:
    """Sample, compare and align; the weights that come of it."""
    done = place / "assembler.safetensors"
    if done.is_file():
        return done
    folder = place / "start"  # sampling takes a folder of weights by stage
    folder.mkdir(parents=True, exist_ok=True)
    for ending in (".safetensors", ".json"):
        shutil.copyfile(start.with_suffix(ending), folder / f"assembler{ending}")
    runs = []
    for one in sets:
        config = AssembleConfig(
            domain=tuple(one["domain"]),
            linker=tuple(map(str, one["linker"])),
            name=one["name"],
            n=args.samples,
            seed=args.seed + number,
            out=str(place / "samples" / one["name"]),
            weights=str(folder),
            device=args.device,
            assembler_sampler=SamplerConfig(num_steps=args.num_steps, repulsion=0.3),
        )
        assemble(config)
        runs.append(config.out)
    pairs = place / "pairs.jsonl"
    if not pairs.exists():
        rewards = tuple(args.reward or DEFAULT_REWARDS)
        held = tuple(args.held_out or ())
        made = make_pairs(PrefsRequest(tuple(runs), str(pairs), rewards, held_out=held))
        print(f"round {number}: {made.pairs} pairs of {made.designs} designs", flush=True)
    base = AlignConfig()
    config = replace(
        base,
        out=str(place),
        init=str(folder / "assembler.safetensors"),
        seed=args.seed + number,
        kl_limit=args.kl_limit,
        objective=replace(base.objective, name=args.objective),
        surrogate=SurrogateConfig(draws=args.draws),
        data=AlignDataConfig(pairs=str(pairs), control=args.control),
        trainer=replace(base.trainer, device=args.device, max_minutes=0.0, max_steps=args.steps),
    )
    result = align(config)
    print(
        f"round {number}: step {result.step}", {k: round(v, 4) for k, v in result.metrics.items()}
    )
    if not result.finished:
        raise UserError("stopped early; the same command goes on")
    return done


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--num-steps", type=int, default=40)
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--objective", default="sppo")
    parser.add_argument("--reward", action="append")
    parser.add_argument("--held-out", action="append")
    parser.add_argument("--kl-limit", type=float, default=0.0)
    parser.add_argument("--control", action="store_true", help="random labels")
    parser.add_argument("--start", type=Path, default=weights_folder() / "assembler.safetensors")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    args = parser.parse_args(words)
    weights, sets = args.start, read_sets(args.sets)
    for number in range(1, args.rounds + 1):
        weights = one_round(args.out / str(number), number, sets, weights, args)
    print(weights)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"align_rounds: {error}")
