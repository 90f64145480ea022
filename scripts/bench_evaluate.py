"""How long an evaluation takes, by part, and how large its page is.

    python scripts/bench_evaluate.py [--designs 1000] [--length 200] [--data DIR] [--out FILE.json]
                                     [--keep DIR] [--no-align]

Cuts stretches out of the chains of the structure release, bends each with a smooth field of 0.5 A,
writes them as PDB files, and times `proteinweaver evaluate` in a process of its own: geometry
alone, then the whole from nothing (geometry, diversity, clusters at two thresholds, novelty,
page), then again with nothing changed. Wall seconds, and CPU seconds of all its processes (what a
busy machine inflates less).
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from proteinweaver.data.store import StructureStore
from proteinweaver.evaluation.baselines import add_smooth_noise
from proteinweaver.io.pdb import pdb_text
from proteinweaver.structure.backbone import Backbone

REPO = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("PROTEINWEAVER_DATA", REPO.parent / "shared" / "data"))


def write_designs(folder: Path, data: Path, number: int, length: int) -> None:
    """Write stretches of native chains, each bent a little."""
    store = StructureStore(data / "chains.npz")
    rng = np.random.default_rng(0)
    long = np.flatnonzero(store.lengths >= length)
    folder.mkdir(parents=True)
    for k in range(number):
        item = store.item(int(long[k % len(long)]))
        start = int(rng.integers(0, len(item) - length + 1))
        coord = add_smooth_noise(item.coord[start : start + length], 0.5, rng)
        (folder / f"d{k:05d}.pdb").write_text(pdb_text(Backbone.from_coord(coord)))


def timed(arguments: list[str]) -> dict[str, float]:
    begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "proteinweaver", "evaluate", *arguments, "-q"]
    subprocess.run(command, check=True, cwd=REPO, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_s": round(time.perf_counter() - begin, 1), "cpu_s": round(cpu, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--designs", type=int, default=1000)
    parser.add_argument("--length", type=int, default=200)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--keep", type=Path, help="folder for designs and results")
    parser.add_argument("--no-align", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        designs, out = folder / "designs", folder / "eval"
        if not designs.exists():
            write_designs(designs, options.data, options.designs, options.length)
        found: dict[str, object] = {
            "designs": options.designs,
            "length": options.length,
            "cores": len(os.sched_getaffinity(0)),
            "load_before": round(os.getloadavg()[0], 2),
        }
        found["geometry"] = timed(
            [str(designs), "-o", str(out), "--no-align", "--overwrite", "--critic", "none"]
        )
        if not options.no_align:
            found["whole"] = timed(
                [str(designs), "-o", str(out), "--overwrite", "--critic", "none"]
            )
            summary = json.loads((out / "summary.json").read_text())
            found["clusters"] = summary["sets"]["designs"]["diversity"]["all"]["clusters"]
        extra = ["--no-align"] if options.no_align else []
        found["unchanged"] = timed([str(designs), "-o", str(out), "--critic", "none", *extra])
        found["page_mb"] = round((out / "report.html").stat().st_size / 2**20, 2)
    print(json.dumps(found, indent=1))
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
