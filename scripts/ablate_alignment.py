"""Objectives of alignment side by side: the same pairs and minutes, judged by the same samples.

    (for S in 31 and 32)
    python scripts/build_domain_sets.py -o TRAIN$S --split train --pairs 60 --triples 30 --seed $S
    python scripts/align_rounds.py TRAIN$S/SETS.jsonl -o RUN$S --rounds 0 --samples 6
        --pose-tries 1 --seed $S
    python -m proteinweaver prefs RUN31/1/samples RUN32/1/samples -o PAIRS.jsonl
        --reward soundness:branches=0/1,caution=0 --margin 0.05 --same 1 --per-set 4 --uses 3
    python scripts/build_domain_sets.py -o VALID --split valid --pairs 24 --triples 12
    python scripts/ablate_alignment.py PAIRS.jsonl VALID/SETS.jsonl -o OUT --minutes 5
        --out benchmarks/alignment-ablation.json

Every objective starts from the reference and learns for so many minutes of processor time
how to draw linkers between held domains (``surrogate.start=0.3``), so that one pose a set is all
that its pairs need. Then all sample the same sets from the same noise, ``-k`` draws of the linkers
of one found pose, and are compared with the reference by scripts/eval_alignment.py: training
reward (branches 0 and 1 of the critic) and branch 2, which nobody learned from. ``control`` puts
designs in an order by lot and must not improve; "best of m" is what the reward buys without
training. A killed run goes on where it was; ``--rows`` names some rows.

Poses are learned from designs between found poses and designs from noise of the same plans:

    python scripts/align_rounds.py TRAIN31/SETS.jsonl -o RUN31 --rounds 0 --samples 4 --seed 31
    python scripts/align_rounds.py TRAIN31/SETS.jsonl -o NOISE31 --rounds 0 --samples 2 --seed 31
        --poses noise
    python -m proteinweaver prefs RUN31/1/samples NOISE31/1/samples -o PAIRS.jsonl
        --reward soundness:branches=0/1,caution=0 --margin 0.05 --same 1 --per-set 6 --uses 4
    python scripts/ablate_alignment.py PAIRS.jsonl VALID/SETS.jsonl -o OUT --poses noise
        --align optimizer.lr=3e-4
"""

import argparse
import sys
from pathlib import Path

import eval_alignment

from proteinweaver.cli.config import compose
from proteinweaver.errors import UserError
from proteinweaver.io.installation import weights_folder
from proteinweaver.preference.named import OBJECTIVES
from proteinweaver.training.align_config import AlignConfig
from proteinweaver.training.align_run import align

REWARD, HELD_OUT = "soundness:branches=0/1,caution=0", "soundness:branches=2,caution=0"
#: Of every leg: all weights, no figures of held-out pairs.
COMMON = (
    *("surrogate.strength=100", "surrogate.draws=2", "data.batch=4"),
    *("optimizer.lr=5e-5", "optimizer.warmup_steps=10", "optimizer.clip=1"),
    *("optimizer.cooldown=0.4", "optimizer.ema_decay=0.9", "data.valid_share=0"),
    *("trainer.valid_every=0", "trainer.max_steps=0"),
    *("trainer.clock=cpu", "trainer.threads=1", "trainer.device=cpu"),
)
#: Where designs begin, for times of the surrogate, and for the samples that judge.
START = {"found": "surrogate.start=0.3", "noise": "surrogate.start=1"}
#: Lists are of four designs, where an objective takes them; half as many, for the same work.
_LISTS = ("data.list_size=4", "data.batch=2")
ROWS: dict[str, tuple[str, ...]] = {
    "control": ("objective.name=sppo", "data.control=true"),
    **{name: (f"objective.name={name}",) for name in OBJECTIVES},
    "plackett-luce": ("objective.name=plackett-luce", *_LISTS),
    "d2o": ("objective.name=d2o", *_LISTS),
    "sppo, adapters": ("objective.name=sppo", "adapter.rank=8", "optimizer.lr=1e-3"),
    "sppo, residues": ("objective.name=sppo", "data.residue_branches=[0,1]"),
    "sppo, moving reference": ("objective.name=sppo", "reference_ema=0.95"),
    "sppo, pulled": ("objective.name=sppo", "pull.strength=0.1"),
    "reward-gradient": ("experiment=align_reward-gradient", "optimizer.lr=1e-4", "data.batch=8"),
}


def trained(name: str, args: argparse.Namespace) -> Path:
    """Weights of one row, from an earlier call or trained now."""
    place = args.out_folder / name.replace(", ", "-").replace(" ", "-")
    weights = place / "assembler.safetensors"
    if not weights.is_file():
        words = [
            *(*COMMON, START[args.poses], *args.align, *ROWS[name]),
            *(f"out={place}", f"data.pairs={args.pairs}", f"seed={args.seed}"),
            f"trainer.max_minutes={args.minutes}",
            f"init={weights_folder() / 'assembler.safetensors'}",
        ]
        result = align(compose("align", AlignConfig, words))
        figures = {key: round(value, 4) for key, value in result.metrics.items()}
        print(f"{name}: {result.step} steps", figures, file=sys.stderr, flush=True)
    return weights


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", type=Path)
    parser.add_argument("sets", type=Path)
    parser.add_argument("-o", "--out-folder", type=Path, required=True)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--minutes", type=float, default=5.0, help="processor time of a leg")
    parser.add_argument("--poses", choices=START, default="found", help="where designs begin")
    parser.add_argument("-k", type=int, default=4, help="samples of a set")
    parser.add_argument("-n", type=int, help="sets that judge, evenly spaced; default all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--align", nargs="+", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, help="JSON file of the tables")
    args = parser.parse_args(words)
    files = {name: trained(name, args) for name in args.rows}
    eval_alignment.main([
        *(str(args.sets), "--also", *(f"{name}={file}" for name, file in files.items())),
        *("-k", str(args.k), "--poses", args.poses, "--pose-tries", "1", "--best", "2", "3"),
        *("--reward", REWARD, "--held-out", HELD_OUT),
        *("--rows", str(args.out_folder / "rows.jsonl"), "--chunk", "6"),
        *(("-n", str(args.n)) if args.n else ()),
        *(("--out", str(args.out)) if args.out else ()),
    ])  # fmt: skip


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"ablate_alignment: {error}")
