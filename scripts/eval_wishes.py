"""Wishes at sampling time: how often they come true, beside the same run without the wish.

    python scripts/eval_wishes.py -n 32 --out benchmarks/wishes.json

Six wishes on files of the data release: a contact of two patches (SH3 and ubiquitin), two domains
apart (fibronectin III and SH3), a kept pose (the two domains of L9, SH3 added), a context to keep
clear of (FKBP with its ligand FK506, SH3 added), a whole partner chain to keep clear of (one chain
of the 3cdl dimer beside the other, SH3 added) and a helical linker (SH3 and ubiquitin), all with
rigid domains and default settings. "Met" counts all designs; "met of sound" those that meet
every hard check that is no wish. Without the wish the same noise and the same measure are used.
"""

import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import torch

from proteinweaver.evaluation.intervals import share_interval
from proteinweaver.generation.commands import assemble
from proteinweaver.generation.config import AssembleConfig
from proteinweaver.generation.plans import plan_run
from proteinweaver.generation.results import Design
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


def tally(designs: tuple[Design, ...], wished: AssembleConfig) -> dict[str, object]:
    """Share of designs that meet the wish, whether or not it was asked for."""
    plans = {plan.name: plan for plan in plan_run(wished)}
    flags: list[bool] = []
    sound_met, sound = 0, 0
    values = []
    for design in designs:
        plan = plans[design.name]
        found = measure_wishes(plan, resolve_wishes(plan), design.backbone.coord)
        granted = all(found.checks.values())
        others = all(value for name, value in design.checks.items() if name not in WISHES)
        flags.append(granted)
        sound += others
        sound_met += granted and others
        values += list(found.metrics.values())
    share = share_interval(flags)
    count = len(designs)
    bonds = [design.metrics["linker_bond_off"] <= 0.1 for design in designs]
    drift = max(design.metrics["domain_rmsd_max"] for design in designs)
    return {
        "n": count,
        "met": share.value,
        "met_interval": (share.low, share.high),
        "sound": sound,
        "met_of_sound": sound_met / sound if sound else None,
        "median_measure": sorted(values)[len(values) // 2],
        "bonds_right": sum(bonds) / count,
        "largest_drift": drift,
        "passed": sum(design.passed for design in designs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("-n", type=int, default=32)
    parser.add_argument("--without", type=int, help="designs without the wish; default as -n")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", default=[], help="one of the wishes; repeat")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    table: dict[str, object] = {}
    if options.out and options.out.is_file():  # wishes measured before stay
        table = json.loads(options.out.read_text())["wishes"]
    for name, (config, without) in cases(options.data / "raw").items():
        if options.only and name not in options.only:
            continue
        wished = replace(config, n=options.n, seed=options.seed, device="cpu")
        plain = replace(wished, n=options.without or options.n, **without)
        rows = {}
        for kind, request in (("with", wished), ("without", plain)):
            rows[kind] = tally(assemble(request).designs, wished)
            row = rows[kind]
            shown = "-" if row["met_of_sound"] is None else f"{row['met_of_sound']:.2f}"
            low, high = row["met_interval"]
            print(
                f"{name:8s} {kind:7s} n {row['n']:3d}  met {row['met']:.2f}"
                f" ({low:.2f}-{high:.2f})  met of {row['sound']} sound {shown}  median"
                f" {row['median_measure']:.2f}  bonds {row['bonds_right']:.2f}  largest drift"
                f" {row['largest_drift']:.2f}  passed {row['passed']}  bar {BARS[name]}",
                flush=True,
            )
        table[name] = rows
        if options.out:
            about = {"command": " ".join(sys.argv), "seed": options.seed, "wishes": table}
            options.out.write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
