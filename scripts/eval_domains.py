"""The table of generated domains beside natives, controls and published sets.

    python scripts/eval_domains.py                                  natives and controls alone
    python scripts/eval_domains.py --set ours@64=runs/a --set ours@100=runs/b --out domains.json
    python scripts/eval_domains.py --generate ours --out domains.json   generates 64 of each first

A set is a run folder, a folder of structure files, or an npz with ``coord`` [n, L, 4, 3]. Natives:
domains of the train and valid splits whose length is within 10% of the wanted one, one per
40%-identity cluster, nearest in length first (``--split valid``: of these alone, 14 to 41 chains).
Noise: the same natives with Gaussian noise of 0.5 A per axis on every atom. Fragments: native
(train) nine-residue torsion fragments glued at random. Every cell is the mean over chains (or the
share of chains) with its 95% interval.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from proteinweaver.data.store import StructureStore
from proteinweaver.evaluation.baselines import add_noise, glued_fragments
from proteinweaver.evaluation.columns import SET_COLUMNS, domain_summary
from proteinweaver.evaluation.sets import load_set, natives_of_length
from proteinweaver.evaluation.table import Summary, render, to_json
from proteinweaver.structure.backbone import Backbone

REPO = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("PROTEINWEAVER_DATA", REPO.parent / "shared" / "data"))
PUBLISHED = {
    "RFdiffusion L150": "rfdiffusion_L150",
    "RFdiffusion binders": "rfdiffusion_binders_A",
    "FrameDiff": "framediff_published",
    "demo L200": "scafflab_demo_L200",
}
TOLERANCE = 0.1
NOISE = 0.5
POOL = 400  # native chains that fragments are taken from


def generated(length: int, n: int, seed: int, options: list[str], folder: Path) -> Path:
    """Run the generator for one length; returns the run folder."""
    command = [
        sys.executable, "-m", "proteinweaver", "generate", "--length", str(length),
        "-n", str(n), "--seed", str(seed), "-o", str(folder), "--overwrite", *options,
    ]  # fmt: skip
    subprocess.run(command, check=True)
    return folder


def controls(
    store: StructureStore, splits: list[str], length: int, n: int, seed: int, max_pairs: int
) -> list[Summary]:
    """Natives of one length, the same with noise, and glued fragments."""
    rng = np.random.default_rng([seed, length])
    natives = natives_of_length(store, splits, length, TOLERANCE, n)
    noisy = [chain.replace(coord=add_noise(chain.coord, NOISE, rng)) for chain in natives]
    train = store.members("train")
    train = train[store.lengths[train] >= 40]
    pool = [store.item(int(k)).coord for k in rng.choice(train, size=POOL, replace=False)]
    glued = [
        Backbone.from_coord(coord, name=f"fragments_{k}")
        for k, coord in enumerate(glued_fragments(pool, length, n, rng))
    ]
    sizes = [len(chain) for chain in natives]
    note = f"{' and '.join(splits)} split, {min(sizes)}-{max(sizes)} residues, one per cluster"
    return [
        domain_summary("natives", natives, max_pairs=max_pairs, note=note),
        domain_summary(f"natives + {NOISE} A", noisy, max_pairs=max_pairs, note=note),
        domain_summary("fragments", glued, max_pairs=max_pairs, note="train split"),
    ]


def bars(summary: Summary, natives: Summary, length: int) -> dict[str, bool]:
    """Check the bars that generated domains are held to, natives of their length beside them."""
    value = {key: cell.value for key, cell in summary.cells.items()}
    native = {key: cell.value for key, cell in natives.cells.items()}
    out = {
        "caOK >= .99": value["ca_ok"] >= 0.99,
        "cnOK >= .97": value["cn_ok"] >= 0.97,
        "no CA pair under 3 A in 95% of chains": value["clash_free"] >= 0.95,
        "CA pairs under 3.6 A as natives": value["clash_36"] <= native["clash_36"],
        "ramaF >= .93": value["rama_ok"] >= 0.93,
        "phi < 0 for 90%": value["phi_negative"] >= 0.90,
        "right-handed helices": value["helix_right"] >= 0.95,
        "hb >= .57": value["hb"] >= 0.57,
        "hbLR >= .8 of natives": value["hb_long"] >= 0.8 * native["hb_long"],
        "coil <= .50": value["coil"] <= 0.50,
        "rg .95 to 1.10 of natives": 0.95 <= value["rg_ratio"] / native["rg_ratio"] <= 1.10,
        "a tenth all alpha": value["alpha"] >= 0.10,
        "a tenth all beta": value["beta"] >= 0.10,
        "a tenth mixed": value["mixed"] >= 0.10,
    }
    if length >= 100:
        out["lrc >= .8 of natives"] = value["contacts_long"] >= 0.8 * native["contacts_long"]
    if "tm" in value:
        out["mean pairwise TM <= .40"] = value["tm"] <= 0.40
    return out


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the data release")
    parser.add_argument(
        "--split", nargs="+", default=["train", "valid"], choices=("train", "valid", "test")
    )
    parser.add_argument("--set", action="append", default=[], metavar="NAME@LENGTH=PATH")
    parser.add_argument("--generate", metavar="NAME", help="generate a set of this name first")
    parser.add_argument("--option", action="append", default=[], help="passed to `generate`")
    parser.add_argument("--lengths", default="64,100,128")
    parser.add_argument("-n", type=int, default=64, help="chains per set")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-pairs", type=int, default=400, help="pairs aligned per set, 0 none")
    parser.add_argument("--no-published", action="store_true")
    parser.add_argument("--out", type=Path, help="JSON file")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    store = StructureStore(options.data / "domains.npz")
    sets: dict[int, list[tuple[str, Path]]] = {}
    for text in options.set:
        head, _, path = text.partition("=")
        name, _, length = head.rpartition("@")
        sets.setdefault(int(length), []).append((name, Path(path)))
    report = {}
    with tempfile.TemporaryDirectory() as scratch:
        for length in map(int, options.lengths.split(",")):
            if options.generate:
                folder = Path(scratch) / str(length)
                run = generated(length, options.n, options.seed, options.option, folder)
                sets.setdefault(length, []).append((options.generate, run))
            beside = controls(
                store, options.split, length, options.n, options.seed, options.max_pairs
            )
            ours = []
            for name, path in sets.get(length, []):
                chains = load_set(path)[: options.n]
                summary = domain_summary(name, chains, max_pairs=options.max_pairs, note=str(path))
                exact = all(len(chain) == length for chain in chains)
                ours.append(summary)
                verdict = bars(summary, beside[0], length) | {"lengths exact": exact}
                report.setdefault("bars", {})[f"{name}@{length}"] = verdict
            print(f"\n## {length} residues\n\n{render([*ours, *beside], SET_COLUMNS)}", flush=True)
            report[str(length)] = to_json([*ours, *beside], SET_COLUMNS)["sets"]
    if not options.no_published:
        published = [
            domain_summary(name, load_set(options.data / "published" / folder), note=folder)
            for name, folder in PUBLISHED.items()
        ]
        print(f"\n## published sets\n\n{render(published, SET_COLUMNS)}")
        report["published"] = to_json(published, SET_COLUMNS)["sets"]
    for name, verdict in report.get("bars", {}).items():
        missed = [bar for bar, met in verdict.items() if not met]
        print(f"\n{name}: " + ("all bars met" if not missed else "MISSED " + "; ".join(missed)))
    if options.out:
        about = {
            "command": " ".join(sys.argv), "split": options.split, "seed": options.seed,
            "data_sha256": store.sha256, "natives": "length +-10%, one per cluster",
        }  # fmt: skip
        options.out.write_text(
            json.dumps(to_json([], SET_COLUMNS, **about) | report, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
