"""The best designs of run folders as a structure set, from which the assembler learns poses.

    python scripts/build_design_set.py RUN... -o FOLDER --data DIR --reward REWARD --per-plan 2
    python scripts/train_default.py --stage assembler --recipe expert --data FOLDER ...

Of all designs of one plan the best that pass their checks go into FOLDER/designs.npz, all of them
for training (`proteinweaver.preference.chosen`); chains.npz of DIR is linked beside it. Designs of
several assemblers are taken where each is named (``--model HASH``).
"""

import argparse
import os
import sys
from collections import Counter
from pathlib import Path

import numpy as np

from proteinweaver.data.archive import require_writable
from proteinweaver.data.store import StructureStore
from proteinweaver.errors import UserError
from proteinweaver.preference.candidates import find_candidates
from proteinweaver.preference.chosen import best_of_plans, write_designs
from proteinweaver.preference.rewards import reward_of

REPO = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("PROTEINWEAVER_DATA", REPO.parent / "shared" / "data"))


def linked(folder: Path, data: Path) -> None:
    """Link the natives of the recipe into the folder; refuse to replace a file."""
    link, natives = folder / "chains.npz", (data / "chains.npz").resolve()
    if not natives.is_file():
        raise UserError(f"{data}: no chains.npz there; give --data DIR")
    if link.exists() and not link.is_symlink():
        raise UserError(f"{link} is a file of its own; choose another -o")
    folder.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(natives)


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--reward", action="append", required=True)
    parser.add_argument("--model", action="append", default=[], help="hash of weights; repeat")
    parser.add_argument("--per-plan", type=int, default=2, help="designs of a plan")
    parser.add_argument("--least", type=float, default=0.0, help="score of a design")
    args = parser.parse_args(words)
    if args.per_plan < 1:
        parser.error("--per-plan is at least 1")
    target = args.out / "designs.npz"
    require_writable(target)
    reward = reward_of(args.reward)
    linked(args.out, args.data)
    found = find_candidates(args.runs, reward, args.model)
    for kind, count in Counter(kind for kind, _ in found.problems).items():
        example = next(line for k, line in found.problems if k == kind)
        print(f"left out, {kind}: {count} (first: {example})", file=sys.stderr)
    chosen = best_of_plans(found.candidates, args.per_plan, args.least)
    told = {
        "rewards": args.reward, "designs": len(found.candidates), "per_plan": args.per_plan,
        "least": args.least,
    }  # fmt: skip
    sha256 = write_designs(target, chosen, told)
    best = np.mean([one.score.value for one in chosen])
    every = np.mean([one.score.value for one in found.candidates])
    print(
        f"{target}: {len(chosen)} of {len(found.candidates)} designs, plans"
        f" {len({one.plan for one in chosen})}, residues"
        f" {int(StructureStore(target).lengths.sum())}, mean score {best:.3f} (of all"
        f" {every:.3f}), sha256 {sha256[:12]}"
    )


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"build_design_set: {error}")
