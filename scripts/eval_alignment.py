"""Aligned weights against those they came from, on sets of domains that taught neither.

    python scripts/build_domain_sets.py -o TEST --list benchmarks/alignment-test-sets.jsonl
    python scripts/eval_alignment.py TEST/SETS.jsonl --aligned OUT/assembler.safetensors
        -k 4 --poses noise --rows ROWS.jsonl --out benchmarks/alignment.json
    ... --also control=C/assembler.safetensors dpo=D/assembler.safetensors    more rows
    ... --mix 0.25 0.5 1.25     weights on the line from base (0) to aligned (1)
    ... --part 1/2     one of two processes that share the rows and divide the sets
    ... --table                 what the rows hold so far, nothing sampled

All weights answer the same plans from the same noise, k samples a set. Every sample gets a row:
training reward, a held-out reward that made no pair (another branch of the critic), hard checks,
drift, contacts, likeness to the samples of its set. Win rates count all k x k pairs of a set;
intervals draw sets. "best of m" keeps of m samples of the base the one of highest training reward:
what the training reward is worth without any training, and the baseline to beat.

Samples lie in folders beside the rows, a few sets at a time with all weights in turn, so that a
run that is killed, or out of --budget minutes, has whole sets of every kind, and goes on. Rows of
other weights, seeds, steps or rewards are left alone.
"""

import argparse
import hashlib
import json
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np

from proteinweaver.errors import UserError
from proteinweaver.evaluation.intervals import Interval, mean_interval
from proteinweaver.generation.set_runs import sample_sets, weights_folder_of
from proteinweaver.generation.settings import POSE_TRIES, assembler_sampler
from proteinweaver.io.installation import weights_folder
from proteinweaver.io.run_folder import Shard
from proteinweaver.io.weights import read_weights, save_weights
from proteinweaver.preference.contest import (
    Entrant,
    compare_entrants,
    describe,
    entrant,
    reranked,
)
from proteinweaver.preference.domain_sets import DomainSet, read_sets
from proteinweaver.preference.mixing import interpolated
from proteinweaver.preference.prefs import DEFAULT_REWARDS
from proteinweaver.preference.rewards import reward_of
from proteinweaver.preference.trials import Trial, read_trials, trial_rows, write_rows

#: Another branch of the critic than rewards of training may use.
HELD_OUT = ("soundness:branches=2,caution=0",)
#: Printed columns: key, head, decimals.
SUMMARY = (
    ("training", "training reward", 3), ("held_out", "held-out reward", 3),
    ("failed", "fail a check", 3), ("diversity", "diversity", 3), ("drift", "drift, A", 2),
    ("contacts", "contacts over native", 2), ("agreement", "rewards agree", 2),
)  # fmt: skip
AGAINST = (
    ("win_training", "wins, training", 3), ("win_held_out", "wins, held out", 3),
    ("failed", "fail a check", 3), ("failed_change", "in parts", 2), ("diversity", "diversity", 3),
    ("diversity_change", "in parts", 2), ("drift", "drift, A", 3), ("contacts", "contacts", 2),
)  # fmt: skip
Cells = dict[str, Interval]


def contenders(args, place: Path) -> dict[str, tuple[Path, str]]:
    """Folders of weights, and their hashes, by name."""
    files = {"base": args.base}
    if args.aligned:
        files["aligned"] = args.aligned
    for text in args.also:
        name, sign, file = text.partition("=")
        if not sign or name in files:
            raise UserError(f"--also {text}: give NAME=FILE, every name once")
        files[name] = Path(file)
    found = {}
    for name, file in files.items():
        sha = read_weights(file).sha256
        found[name] = (weights_folder_of(file, place / "weights" / sha[:12]), sha)
    for share in args.mix:
        if not args.aligned:
            raise UserError("--mix needs --aligned")
        one, two = read_weights(args.base), read_weights(args.aligned)
        state = interpolated(one.state, two.state, share)
        folder = place / "weights" / f"{found['aligned'][1][:12]}-mix-{share:g}"
        meta = {**one.meta, "mix": [one.sha256, two.sha256, share]}
        sha = save_weights(folder, "assembler", state, one.config, meta)
        found[f"mix {share:g}"] = (folder, sha)
    return found


def settings_of(args) -> dict[str, object]:
    """Tell what rows must share to be compared."""
    return {
        "seed": args.seed, "num_steps": args.num_steps, "rewards": args.reward,
        "held_out": args.held_out, **({} if args.poses == "found" else {"poses": args.poses}),
        **({} if args.pose_tries == POSE_TRIES else {"pose_tries": args.pose_tries}),
    }  # fmt: skip


def answer(sets: list[DomainSet], weights: tuple[Path, str], place: Path, args) -> bool:
    """Sample and judge what has no rows yet; False where time ran out."""
    folder, sha = weights
    rows = trial_rows(args.rows, settings_of(args))
    done = {(row.set, row.sample) for row in rows if row.weights == sha}
    wanted = {(one.name, j) for one in sets for j in range(args.k)}
    if wanted <= done:
        return True
    which = hashlib.sha256(" ".join(one.name for one in sets).encode()).hexdigest()[:8]
    run = (
        place
        / f"s{args.seed}-n{args.num_steps}-{args.poses}-{args.pose_tries}"
        / sha[:12]
        / f"{sets[0].name}-{which}"
    )
    sampler = replace(assembler_sampler(), num_steps=args.num_steps)
    if not sample_sets(
        sets, run, folder, n=args.k, seed=args.seed, sampler=sampler, poses=args.poses,
        pose_tries=args.pose_tries, device=args.device, deadline=args.deadline,
    ):  # fmt: skip
        return False
    rewards = reward_of(args.reward), reward_of(args.held_out)
    write_rows(args.rows, read_trials(run, *rewards, done), settings_of(args))
    return True


def answers(sets: list[DomainSet], found: dict[str, tuple[Path, str]], place: Path, args) -> None:
    """Let all answer all, a few sets at a time."""
    for first in range(0, len(sets), args.chunk):
        for weights in found.values():
            if not answer(sets[first : first + args.chunk], weights, place, args):
                print("the budget is used; the same command goes on", file=sys.stderr)
                return
        print(f"{min(first + args.chunk, len(sets))} of {len(sets)} sets", file=sys.stderr)


def best_of(base: Entrant, m: int) -> tuple[Cells, Cells]:
    """Summary of the best of m, and what it is against the base."""
    found = reranked(base, m)
    told = {key: mean_interval(found[key]) for key in ("training", "held_out", "failed")}
    against = {key: mean_interval(found[key]) for key in ("win_training", "win_held_out")}
    failed = base.values["failed"].mean(1)
    against["failed"] = mean_interval(found["failed"] - failed)
    return told, against


def cell(interval: Interval | None, decimals: int) -> str:
    if interval is None or not np.isfinite(interval.value):
        return ""
    value, low, high = (f"{x:.{decimals}f}" for x in (interval.value, interval.low, interval.high))
    return f"{value} ({low} to {high})" if np.isfinite(interval.low) else value


def table(rows: dict[str, Cells], columns) -> str:
    heads = ["", *(title for _, title, _ in columns)]
    lines = [heads, ["---"] * len(heads)]
    for name, cells in rows.items():
        lines.append([name, *(cell(cells.get(key), digits) for key, _, digits in columns)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def plain(cells: Cells) -> dict[str, list[float | int | None]]:
    """Value, low, high and number of sets of every cell; None for what cannot be told."""
    return {
        key: [
            *(round(x, 5) if np.isfinite(x) else None for x in (c.value, c.low, c.high)), c.n,
        ]
        for key, c in cells.items()
    }  # fmt: skip


def report(trials: list[Trial], found: dict[str, str], args) -> dict[str, object]:
    """Print the tables; everything for the JSON file."""
    by_name = {
        name: entrant([t for t in trials if t.weights == sha], args.k)
        for name, sha in found.items()
    }
    base = by_name["base"]
    if not base.sets:
        raise UserError(f"no set has {args.k} samples of the base yet")
    summary: dict[str, Cells] = {}
    against: dict[str, Cells] = {}
    for name, one in by_name.items():
        if not one.sets:
            print(f"{name}: no whole set yet", file=sys.stderr)
            continue
        summary[name] = describe(one)
        if name != "base":
            against[name] = compare_entrants(one, base)
    for m in (m for m in args.best if m < args.k):
        summary[f"base, best of {m}"], against[f"base, best of {m}"] = best_of(base, m)
    missed = {
        name: dict(Counter(c for t in trials if t.weights == sha for c in t.missed))
        for name, sha in found.items()
    }
    print(f"{len(base.sets)} sets of {args.k} samples\n\n{table(summary, SUMMARY)}\n")
    print(f"against the base:\n\n{table(against, AGAINST)}\n\nchecks missed: {missed}")
    counts = {name: len(one.sets) for name, one in by_name.items()}
    return {
        "command": " ".join(sys.argv), **settings_of(args), "k": args.k, "sets": counts,
        "weights": {name: sha[:12] for name, sha in found.items()},
        "summary": {name: plain(cells) for name, cells in summary.items()},
        "against_base": {name: plain(cells) for name, cells in against.items()},
        "checks_missed": missed,
    }  # fmt: skip


def arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", type=Path)
    parser.add_argument("--base", type=Path, default=weights_folder() / "assembler.safetensors")
    parser.add_argument("--aligned", type=Path)
    parser.add_argument("--also", nargs="+", default=[], metavar="NAME=FILE")
    parser.add_argument("--mix", nargs="+", type=float, default=[])
    parser.add_argument("--best", nargs="+", type=int, default=[2, 4, 8])
    parser.add_argument("-k", type=int, default=16, help="samples of a set")
    parser.add_argument("-n", type=int, help="sets, evenly spaced; default all")
    parser.add_argument("--reward", action="append", help=f"default {' '.join(DEFAULT_REWARDS)}")
    parser.add_argument("--held-out", action="append", help=f"default {' '.join(HELD_OUT)}")
    parser.add_argument("--num-steps", type=int, default=assembler_sampler().num_steps)
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--poses", choices=("found", "noise"), default="found")
    parser.add_argument("--pose-tries", type=int, default=POSE_TRIES, help="poses of a set")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--chunk", type=int, default=2, help="sets sampled together")
    parser.add_argument("--budget", type=float, default=float("inf"), help="minutes of wall time")
    parser.add_argument("--rows", type=Path, required=True, help="JSON lines, one sample each")
    parser.add_argument("--part", default="1/1", metavar="I/N", help="sets I, I + N, ...")
    parser.add_argument("--table", action="store_true", help="sample nothing")
    parser.add_argument("--out", type=Path, help="JSON file of the tables")
    args = parser.parse_args(words)
    if args.k < 2 or args.chunk < 1:
        parser.error("-k is at least 2, --chunk at least 1")
    args.deadline = time.monotonic() + 60 * args.budget
    args.reward = args.reward or list(DEFAULT_REWARDS)
    args.held_out = args.held_out or list(HELD_OUT)
    return args


def main(words: list[str] | None = None) -> None:
    args = arguments(words)
    sets = read_sets(args.sets)
    if args.n is not None and args.n < len(sets):
        sets = [sets[k] for k in np.linspace(0, len(sets) - 1, args.n).round().astype(int)]
    place = args.rows.with_suffix("")
    found = contenders(args, place)
    if not args.table:
        part = Shard.parse(args.part)
        answers([one for k, one in enumerate(sets) if part.owns(k)], found, place, args)
    names = {one.name for one in sets}
    trials = [t for t in trial_rows(args.rows, settings_of(args)) if t.set in names]
    told = report(trials, {name: sha for name, (_, sha) in found.items()}, args)
    if args.out:
        args.out.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"eval_alignment: {error}")
