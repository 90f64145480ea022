"""Wishes at sampling time: how often they come true, beside the same run without the wish.

    python scripts/eval_wishes.py -n 32 --rows wishes.jsonl --out benchmarks/wishes.json

Six wishes on files of the data release: a contact of two patches (SH3 and ubiquitin), two domains
apart (fibronectin III and SH3), a kept pose (the two domains of L9, SH3 added), a context to keep
clear of (FKBP with its ligand FK506, SH3 added), a whole partner chain to keep clear of (one chain
of the 3cdl dimer beside the other, SH3 added) and a helical linker (SH3 and ubiquitin), all with
rigid domains and default settings. "Met" counts all designs; "met of sound" those that meet
every hard check that is no wish. Without the wish the same noise and the same measure are used.
With --rows every design is written as it comes, and a killed run goes on where it stopped; rows of
other weights or seeds are left alone.
"""

import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import torch

from proteinweaver.evaluation.intervals import share_interval
from proteinweaver.generation.commands import assemble
from proteinweaver.generation.config import AssembleConfig
from proteinweaver.generation.model import load_model
from proteinweaver.generation.plans import plan_run
from proteinweaver.generation.results import Design
from proteinweaver.generation.settings import AssemblerName
from proteinweaver.generation.wishes import measure_wishes, resolve_wishes

REPO = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("PROTEINWEAVER_DATA", REPO.parent / "shared" / "data"))
WISHES = ("contact_1", "apart_1", "pose_kept", "context_clear", "linker_ss")
#: Shares that the wishes are held to.
BARS = {
    "contact": 0.80, "apart": 0.95, "pose": 0.95, "context": 1.0, "partner": 1.0, "linker": 0.80,
}  # fmt: skip


def cases(raw: Path) -> dict[str, tuple[AssembleConfig, dict[str, object]]]:
    """List requests with a wish, and what takes the wish away."""
    sh3, ubi = f"sh3={raw / '1shg.pdb'}", f"ubi={raw / '1ubq.pdb'}"
    return {
        "contact": (
            AssembleConfig(domain=(sh3, ubi), linker=(15,), mode="rigid", name="contact",
                           contacts=("sh3:38-44 ubi:44-50 8",)),
            {"contacts": ()},
        ),
        "apart": (
            AssembleConfig(domain=(f"fn={raw / '1ten.pdb'}", sh3), linker=(20,), mode="rigid",
                           name="apart", apart=("fn:803-885 sh3:12-62 18",)),
            {"apart": ()},
        ),
        "pose": (
            AssembleConfig(domain=(f"n={raw / '1div.pdb'}:A1-52", f"c={raw / '1div.pdb'}:A56-149",
                                   sh3),
                           linker=(3, 12), mode="rigid", name="pose", keep_pose=("n", "c")),
            {"keep_pose": ()},
        ),
        "context": (
            AssembleConfig(domain=(f"fkbp={raw / '3o5r.cif'}:A", sh3), linker=(12,), mode="rigid",
                           name="context", context=str(raw / "3o5r.cif")),
            {"context": ""},
        ),
        "partner": (
            AssembleConfig(domain=(f"a={raw / '3cdl.pdb'}:A", sh3), linker=(10,), mode="rigid",
                           name="partner", context=f"{raw / '3cdl.pdb'}:B"),
            {"context": ""},
        ),
        "linker": (
            AssembleConfig(domain=(sh3, ubi), linker=("14:H",), mode="rigid", name="linker"),
            {"linker": (14,)},
        ),
    }  # fmt: skip


Row = dict[str, Any]


def look(design: Design, wished: AssembleConfig) -> Row:
    """Whether a design meets the wish, asked for or not, and the other checks."""
    plan = plan_run(replace(wished, shard=f"{design.plan.index + 1}/{wished.n}"))[0]
    found = measure_wishes(plan, resolve_wishes(plan), design.backbone.coord)
    return {
        "met": all(found.checks.values()),
        "sound": all(value for name, value in design.checks.items() if name not in WISHES),
        "values": [round(float(value), 3) for value in found.metrics.values()],
        "bond_off": round(float(design.metrics["linker_bond_off"]), 4),
        "drift": round(float(design.metrics["domain_rmsd_max"]), 4),
        "passed": design.passed,
        "seconds": round(design.timing["total_s"], 2),
    }


def tally(rows: list[Row]) -> Row:
    """Share of designs that meet the wish, whether or not it was asked for."""
    share = share_interval([row["met"] for row in rows])
    sound = [row for row in rows if row["sound"]]
    values = sorted(value for row in rows for value in row["values"])
    return {
        "n": len(rows),
        "met": share.value,
        "met_interval": (share.low, share.high),
        "sound": len(sound),
        "met_of_sound": sum(row["met"] for row in sound) / len(sound) if sound else None,
        "median_measure": values[len(values) // 2],
        "bonds_right": sum(row["bond_off"] <= 0.1 for row in rows) / len(rows),
        "largest_drift": max(row["drift"] for row in rows),
        "passed": sum(row["passed"] for row in rows),
    }


def rows_of(options: argparse.Namespace) -> list[Row]:
    """Rows of all designs: those of the file, then new ones."""
    weights = load_model(options.model, device="cpu").sha256[:12]
    settings = {"seed": options.seed, "weights": weights}
    rows: list[Row] = []
    if options.rows and options.rows.is_file():
        for line in options.rows.read_text().splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:  # a torn last line
                continue
            if row["settings"] == settings:
                rows.append(row)
    done = {(row["wish"], row["kind"], row["k"]) for row in rows}
    for name, (config, without) in cases(options.data / "raw").items():
        if options.only and name not in options.only:
            continue
        wished = replace(config, n=options.n, seed=options.seed, device="cpu", model=options.model)
        count = options.n if options.without is None else options.without
        for kind, number, change in (("with", options.n, {}), ("without", count, without)):
            for k in range(number):
                if (name, kind, k) in done:
                    continue
                one = replace(wished, shard=f"{k + 1}/{options.n}", **change)
                for design in assemble(one).designs:  # none where coordinates are no numbers
                    row = {"wish": name, "kind": kind, "k": k, **look(design, wished)}
                    rows.append({**row, "settings": settings})
                    if options.rows:
                        with options.rows.open("a") as file:
                            file.write(json.dumps(rows[-1]) + "\n")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("-n", type=int, default=32)
    parser.add_argument("--without", type=int, help="designs without the wish; default as -n")
    parser.add_argument("--model", default="auto", choices=get_args(AssemblerName))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", default=[], help="one of the wishes; repeat")
    parser.add_argument("--rows", type=Path, help="JSON lines, one design each")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = rows_of(options)
    table: dict[str, dict[str, Row]] = {}
    for name in dict.fromkeys(row["wish"] for row in rows):
        for kind in ("with", "without"):
            own = [row for row in rows if (row["wish"], row["kind"]) == (name, kind)]
            if not own:
                continue
            found = tally(own)
            table.setdefault(name, {})[kind] = found
            of_sound = found["met_of_sound"]
            shown = "-" if of_sound is None else f"{of_sound:.2f}"
            low, high = found["met_interval"]
            print(
                f"{name:8s} {kind:7s} n {found['n']:3d}  met {found['met']:.2f}"
                f" ({low:.2f}-{high:.2f})  met of {found['sound']} sound {shown}  median"
                f" {found['median_measure']:.2f}  bonds {found['bonds_right']:.2f}  largest drift"
                f" {found['largest_drift']:.2f}  passed {found['passed']}  bar {BARS[name]}"
            )
    if options.out:
        about = {"command": " ".join(sys.argv), "seed": options.seed, "wishes": table}
        options.out.write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
