"""Ask for secondary structure residue by residue and count what comes out.

    python scripts/eval_ss.py --data DIR [-n 128] [--out benchmarks/ss.json]

The strings are those of native domains of the valid split (64 to 256 residues, one per sequence
cluster; DSSP, `proteinweaver.structure.dssp`), as ``generate --ss`` takes them; one
design each, default settings. Printed: the share of residues that come out as asked by the same
assignment, over all and by letter, means over designs with 95% intervals, and the same for the
design made from the next string (what agreement by chance is worth).
"""

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from eval_start import natives

from proteinweaver.evaluation.intervals import Interval, mean_interval
from proteinweaver.generation.domain_stage import DomainRequest, LayoutDraw, sample_domains
from proteinweaver.generation.model import load_model
from proteinweaver.generation.settings import CANDIDATES, LAYOUT_T, domain_sampler, layout_sampler
from proteinweaver.generation.weave import check_sampler
from proteinweaver.structure.dssp import element_letters
from samplers.noise import NoiseKey

REPO = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("PROTEINWEAVER_DATA", REPO.parent / "shared" / "data"))
SHORTEST, LONGEST = 64, 256


def agreement(wanted: list[str], found: list[str]) -> dict[str, Interval]:
    """Share of residues as asked, by letter asked for."""
    out = {}
    for name, letters in (("all", "HEL"), ("helix", "H"), ("strand", "E"), ("loop", "L")):
        shares = []
        for want, got in zip(wanted, found, strict=True):
            hits = [a == b for a, b in zip(want, got, strict=False) if a in letters]
            if hits:
                shares.append(float(np.mean(hits)))
        out[name] = mean_interval(shares)
    return out


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--data", type=Path, default=DATA)
    p.add_argument("-n", type=int, default=128)
    p.add_argument("--weights", type=Path, help="folder; default: the shipped ones")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--out", type=Path, help="JSON file")
    a = p.parse_args()
    torch.set_num_threads(1)
    model = load_model("domain", a.weights, "cpu")
    layouts = load_model("layout", a.weights, "cpu")
    layout = LayoutDraw(layouts, check_sampler(layout_sampler()), LAYOUT_T)
    chosen = natives(a.data, "valid", a.n, SHORTEST, LONGEST)
    strings = [element_letters(item.coord) for item in chosen]
    requests = [
        DomainRequest(len(text), NoiseKey(a.seed, "ss", k), blueprint=text, candidates=CANDIDATES)
        for k, text in enumerate(strings)
    ]
    drawn = sample_domains(model, requests, check_sampler(domain_sampler()), layout=layout)
    found = [element_letters(sample.coord) for sample in drawn]
    rows = {
        "as asked": agreement(strings, found),
        "another": agreement(strings, found[1:] + found[:1]),
    }
    print(f"{len(strings)} strings; domain weights {model.sha256[:12]}")
    for name, cells in rows.items():
        text = "  ".join(f"{k} {c.value:.2f} ({c.low:.2f}-{c.high:.2f})" for k, c in cells.items())
        print(f"{name:10} {text}")
    if a.out:
        about = {"command": " ".join(sys.argv), "n": len(strings), "weights": model.sha256[:12]}
        cells = {name: {k: asdict(c) for k, c in row.items()} for name, row in rows.items()}
        a.out.write_text(json.dumps(about | cells, indent=1) + "\n")


if __name__ == "__main__":
    main()
