"""Rounds of self-play: sample, judge, compare, align, again with the new weights.

    python scripts/align_rounds.py SETS.jsonl -o OUT --rounds 3 --samples 8 --steps 300
    python scripts/align_rounds.py SETS.jsonl -o OUT ... --budget 90     stop after 90 minutes

SETS.jsonl: scripts/build_domain_sets.py, or by hand one set of domains a line, with exact linkers
and a fixed order, such as {"name": "ab", "domain": ["a.pdb", "b.pdb:A10-90"], "linker": ["15"]}.

Round r writes OUT/r/samples (a run folder), OUT/r/pairs.jsonl and OUT/r/assembler.safetensors. Its
samples come from the weights of round r - 1, which are also its reference, and judge them: a line
of OUT/rounds.jsonl holds their mean training and held-out reward, failures, diversity, drift and
contacts. After the last round its weights are sampled and judged too. Where failures or
diversity fall beyond the limits the rounds end and the last good weights stand. OUT/assembler.*
are always the last weights that were judged good.

What is finished is skipped, so the same command goes on after an interruption, and after --budget
minutes of wall time. Everything about a leg can be set: --align optimizer.lr=1e-5 objective.eta=2.
"""

import argparse
import json
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path

from proteinweaver.cli.config import compose
from proteinweaver.errors import UserError
from proteinweaver.generation.set_runs import sample_sets, weights_folder_of
from proteinweaver.generation.settings import POSE_TRIES, assembler_sampler
from proteinweaver.io.installation import weights_folder
from proteinweaver.preference.comparisons import PairSettings
from proteinweaver.preference.domain_sets import DomainSet, read_sets
from proteinweaver.preference.prefs import DEFAULT_REWARDS, PrefsRequest, make_pairs
from proteinweaver.preference.rewards import reward_of
from proteinweaver.preference.trials import read_trials
from proteinweaver.preference.watch import Limits, collapse, round_figures
from proteinweaver.training.align_config import AlignConfig
from proteinweaver.training.align_run import align

#: Decides nothing and watches: a branch of the critic of its own.
HELD_OUT = ("soundness:branches=2,caution=0",)
OUT_OF_TIME = "the budget is used; the same command goes on"


def sampled(place: Path, number: int, sets: list[DomainSet], start: Path, args) -> Path:
    """Sample every set with the weights of the last round; the run folder."""
    folder = weights_folder_of(start, place / "start")
    sampler = replace(assembler_sampler(), num_steps=args.num_steps)
    finished = sample_sets(
        sets, place / "samples", folder, n=args.samples, seed=args.seed + number,
        sampler=sampler, poses=args.poses, pose_tries=args.pose_tries, device=args.device,
        deadline=args.deadline,
    )  # fmt: skip
    if not finished:
        raise UserError(OUT_OF_TIME)
    return place / "samples"


def judged(log: Path, number: int, run: Path, args) -> dict[int, dict[str, float]]:
    """Figures of all rounds so far; those of this one are written where they are new."""
    rows = {}
    for line in log.read_text().splitlines() if log.is_file() else []:
        row = json.loads(line)
        rows[int(row["round"])] = row
    if number not in rows:
        trials = list(read_trials(run, reward_of(args.reward), reward_of(args.held_out)))
        weights = trials[0].weights
        figures = round_figures(trials, args.samples)
        rows[number] = {"round": number, "weights": weights[:12], **figures}
        with log.open("a") as file:
            file.write(json.dumps(rows[number]) + "\n")
    words = [f"{key} {value:g}" for key, value in rows[number].items() if key != "weights"]
    print(", ".join(words), flush=True)
    return rows


def aligned(place: Path, number: int, run: Path, args) -> Path:
    """Compare the samples and align; the weights that come of it."""
    done = place / "assembler.safetensors"
    if done.is_file():
        return done
    pairs = place / "pairs.jsonl"
    if not pairs.exists():
        choice = PairSettings(
            margin=args.margin, same=args.same, per_set=args.per_set, uses=args.uses
        )
        request = PrefsRequest(
            (str(run),), str(pairs), tuple(args.reward), settings=choice,
            held_out=tuple(args.held_out),
        )  # fmt: skip
        made = make_pairs(request)
        print(f"round {number}: {made.pairs} pairs of {made.designs} designs", flush=True)
    minutes = (args.deadline - time.monotonic()) / 60
    if minutes <= 0:
        raise UserError(OUT_OF_TIME)
    base = compose("align", AlignConfig, [f"objective.name={args.objective}", *args.align])
    session = 0.0 if minutes == float("inf") else minutes
    trainer = replace(
        base.trainer, device=args.device, max_minutes=0.0, max_steps=args.steps,
        session_minutes=session,
    )  # fmt: skip
    config = replace(
        base, out=str(place), init=str(place / "start" / "assembler.safetensors"),
        seed=args.seed + number, kl_limit=args.kl_limit, trainer=trainer,
        surrogate=replace(base.surrogate, draws=args.draws),
        data=replace(base.data, pairs=str(pairs), control=args.control),
    )  # fmt: skip
    result = align(config)
    figures = {k: round(v, 4) for k, v in result.metrics.items()}
    print(f"round {number}: step {result.step}", figures, flush=True)
    if not result.finished:
        raise UserError("stopped early; the same command goes on")
    return done


def rounds(sets: list[DomainSet], args) -> Path:
    """All rounds; the last weights that were judged good."""
    log, good = args.out / "rounds.jsonl", args.out / "assembler.safetensors"
    weights, limits = args.start, Limits(args.max_failures, args.max_diversity)
    for number in range(1, args.rounds + 2):
        place = args.out / str(number)
        run = sampled(place, number, sets, weights, args)
        rows = judged(log, number, run, args)
        if why := collapse(rows[1], rows[number], limits):
            print(f"round {number}: {why}; back to the weights of round {number - 2}", flush=True)
            break
        for ending in (".json", ".safetensors"):
            shutil.copyfile(weights.with_suffix(ending), good.with_suffix(ending))
        if number <= args.rounds:
            weights = aligned(place, number, run, args)
    return good


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=8, help="of every set and round")
    parser.add_argument("--steps", type=int, default=300, help="of a leg")
    parser.add_argument("--num-steps", type=int, default=assembler_sampler().num_steps)
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--objective", default="sppo")
    parser.add_argument("--reward", action="append", help=f"default {' '.join(DEFAULT_REWARDS)}")
    parser.add_argument("--held-out", action="append", help=f"default {' '.join(HELD_OUT)}")
    parser.add_argument("--margin", type=float, default=PairSettings.margin, help="of a pair")
    parser.add_argument("--same", type=float, default=PairSettings.same, help="TM-score")
    parser.add_argument("--per-set", type=int, default=PairSettings.per_set, help="most pairs")
    parser.add_argument("--uses", type=int, default=PairSettings.uses, help="of one sample")
    parser.add_argument("--kl-limit", type=float, default=0.0)
    parser.add_argument("--control", action="store_true", help="random labels")
    parser.add_argument("--max-failures", type=float, default=Limits.failures, help="rise")
    parser.add_argument("--max-diversity", type=float, default=Limits.diversity, help="fall")
    parser.add_argument("--budget", type=float, default=float("inf"), help="minutes of wall time")
    parser.add_argument("--start", type=Path, default=weights_folder() / "assembler.safetensors")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--poses", choices=("found", "noise"), default="found")
    parser.add_argument("--pose-tries", type=int, default=POSE_TRIES, help="poses of a set")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--align", nargs="+", default=[], metavar="KEY=VALUE")
    args = parser.parse_args(words)
    args.deadline = time.monotonic() + 60 * args.budget
    args.reward = args.reward or list(DEFAULT_REWARDS)
    args.held_out = args.held_out or list(HELD_OUT)
    print(rounds(read_sets(args.sets), args))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"align_rounds: {error}")
