"""Which hard checks assemblies of 2, 3, 4 and 8 domains meet, and why the others fail.

    python scripts/eval_checks.py -n 32 --rows checks.jsonl --out benchmarks/assembly-checks.json
    python scripts/eval_checks.py -n 16 --source generated --rows checks.jsonl

Domains of the data release's `raw/` (ubiquitin, SH3, CheY, fibronectin III, FKBP and others), in
random choice and order, or generated ones of the same lengths; linkers of 10-20 residues, default
settings. "Best of 2" counts requests of which one of the first two designs passes, which is what
``pass_budget: 1/2`` does. With --rows every request is written as it comes, and a killed run goes
on where it stopped; rows of other weights or settings are left alone.
"""

import argparse
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from proteinweaver.evaluation.intervals import share_interval
from proteinweaver.generation.commands import assemble
from proteinweaver.generation.config import AssembleConfig
from proteinweaver.generation.model import load_model
from proteinweaver.generation.settings import AssemblerName
from proteinweaver.io.read import read_backbone

REPO = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("PROTEINWEAVER_DATA", REPO.parent / "shared" / "data"))
SOURCES = (
    "1ubq.pdb", "1shg.pdb", "3chy.pdb", "1ten.pdb", "3o5r.cif:A", "1hrc.pdb", "1aki.cif",
    "1div.pdb:A58-149", "1a62.pdb", "1bus.pdb",
)  # fmt: skip
Row = dict[str, Any]


def request(options: argparse.Namespace, count: int, k: int) -> AssembleConfig:
    """Request ``k`` of ``count`` domains, for two designs."""
    rng = np.random.default_rng([options.seed, count, k])
    chosen = [str(options.data / "raw" / name) for name in rng.choice(SOURCES, count, False)]
    if options.source == "generated":
        chosen = [str(len(read_backbone(name, single_chain=True, notes=[]))) for name in chosen]
    return AssembleConfig(
        domain=tuple(chosen), linker=("10-20",), mode=options.mode, name=f"k{count}-{k}",
        seed=options.seed, n=options.each, device="cpu", model=options.model,
    )  # fmt: skip


def rows_of(options: argparse.Namespace) -> list[Row]:
    """Rows of all requests: those of the file, then new ones."""
    settings = {
        "mode": options.mode, "source": options.source, "seed": options.seed, "each": options.each,
        "weights": load_model(options.model, device="cpu").sha256[:12],
        "chain_candidates": AssembleConfig.chain_candidates,
    }  # fmt: skip
    rows: list[Row] = []
    if options.rows and options.rows.is_file():
        for line in options.rows.read_text().splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:  # a torn last line
                continue
            if row["settings"] == settings:
                rows.append(row)
    done = {(row["domains"], row["k"]) for row in rows}
    for count in options.domains:
        for k in range(options.n):
            if (count, k) in done:
                continue
            designs = sorted(
                assemble(request(options, count, k)).designs, key=lambda design: design.plan.index
            )
            row = {
                "domains": count,
                "k": k,
                "lengths": [design.plan.length for design in designs],
                "passed": [design.passed for design in designs],
                "failed": [
                    [name for name, met in design.checks.items() if not met] for design in designs
                ],
                "contacts": [
                    round(float(design.metrics.get("contact_share", 0)), 3) for design in designs
                ],
                "seconds": round(sum(design.timing["total_s"] for design in designs), 1),
                "settings": settings,
            }
            rows.append(row)
            if options.rows:
                with options.rows.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("-n", type=int, default=32, help="requests of every number of domains")
    parser.add_argument("--each", type=int, default=2, help="designs of a request")
    parser.add_argument("--domains", type=int, nargs="+", default=[2, 3, 4, 8])
    parser.add_argument("--mode", default="adapt", choices=("rigid", "adapt"))
    parser.add_argument("--source", default="native", choices=("native", "generated"))
    parser.add_argument("--model", default="auto", choices=get_args(AssemblerName))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=Path, help="JSON lines, one request each")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows, table = rows_of(options), {}
    for count in options.domains:
        own = [row for row in rows if row["domains"] == count]
        if not own:
            continue
        passed = [flag for row in own for flag in row["passed"]]
        lengths = [length for row in own for length in row["lengths"]]
        contacts = [value for row in own for value in row["contacts"]]
        failures = Counter(name for row in own for failed in row["failed"] for name in failed)
        share = share_interval(passed)
        either = share_interval([any(row["passed"][:2]) for row in own])
        table[str(count)] = {
            "n": len(passed),
            "passed": [share.value, share.low, share.high],
            "best_of_2": [either.value, either.low, either.high],
            "lengths": [min(lengths), max(lengths)],
            "contact_share": float(np.median(contacts)),
            "failed_checks": dict(failures),
        }
        print(
            f"{count} domains, {min(lengths)}-{max(lengths)} residues: {share.value:.2f}"
            f" ({share.low:.2f}-{share.high:.2f}) of {len(passed)} pass, {either.value:.2f}"
            f" ({either.low:.2f}-{either.high:.2f}) of {len(own)} best of 2; contacts"
            f" {np.median(contacts):.2f} of natives; failed: {dict(failures)}",
            flush=True,
        )
    if options.out:
        about = {
            "command": " ".join(sys.argv), "mode": options.mode, "source": options.source,
            "domains": table,
        }  # fmt: skip
        options.out.write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
