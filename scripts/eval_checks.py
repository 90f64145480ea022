"""Which hard checks assemblies of 2, 3, 4 and 8 native domains meet, and why the others fail.

    python scripts/eval_checks.py -n 8 --out benchmarks/assembly-checks.json

Domains of the data release's `raw/` (ubiquitin, SH3, CheY, fibronectin III, FKBP and others), in
random choice and order, linkers of 10-20 residues, default settings.
"""

import argparse
import json
import os
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import torch

from proteinweaver.evaluation.intervals import share_interval
from proteinweaver.generation.commands import assemble
from proteinweaver.generation.config import AssembleConfig

REPO = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("PROTEINWEAVER_DATA", REPO.parent / "shared" / "data"))
SOURCES = (
    "1ubq.pdb", "1shg.pdb", "3chy.pdb", "1ten.pdb", "3o5r.cif:A", "1hrc.pdb", "1aki.cif",
    "1div.pdb:A58-149", "1a62.pdb", "1bus.pdb",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("-n", type=int, default=8)
    parser.add_argument("--domains", type=int, nargs="+", default=[2, 3, 4, 8])
    parser.add_argument("--mode", default="adapt", choices=("rigid", "adapt"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    table = {}
    for count in options.domains:
        rng = np.random.default_rng([options.seed, count])
        passed, lengths, failures = [], [], Counter[str]()
        for k in range(options.n):
            chosen = rng.choice(SOURCES, size=count, replace=False)
            config = AssembleConfig(
                domain=tuple(str(options.data / "raw" / name) for name in chosen),
                linker=("10-20",),
                mode=options.mode,
                name=f"k{count}-{k}",
                seed=options.seed,
                device="cpu",
            )
            (design,) = assemble(config).designs
            passed.append(design.passed)
            lengths.append(design.plan.length)
            failures.update(name for name, met in design.checks.items() if not met)
        share = share_interval(passed)
        table[str(count)] = {
            "n": options.n,
            "passed": [share.value, share.low, share.high],
            "lengths": [min(lengths), max(lengths)],
            "failed_checks": dict(failures),
        }
        print(
            f"{count} domains, {min(lengths)}-{max(lengths)} residues: {share.value:.2f}"
            f" ({share.low:.2f}-{share.high:.2f}) of {options.n} pass; failed: {dict(failures)}",
            flush=True,
        )
    if options.out:
        about = {"command": " ".join(sys.argv), "mode": options.mode, "domains": table}
        options.out.write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
