"""The same seed gives the same design: alone, in a batch, in a shard, after a kill and resume.

    python scripts/check_determinism.py                    8 designs of 150 residues, two domains
    python scripts/check_determinism.py --length 300 --domains 3

Runs the command line in a temporary folder and prints the largest difference of any coordinate
to the batch of eight, in angstrom; exits 1 above ``--tolerance``.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from proteinweaver.evaluation.sets import load_set

DESIGNS = 8


def largest_difference(reference: Path, other: Path) -> tuple[float, int]:
    """Largest coordinate difference of the designs both folders hold, and how many they share."""
    first = {design.name: design.coord for design in load_set(reference)}
    second = {design.name: design.coord for design in load_set(other)}
    shared = sorted(first.keys() & second.keys())
    return max(float(np.abs(first[n] - second[n]).max()) for n in shared), len(shared)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--length", type=int, default=150)
    parser.add_argument("--domains", type=int, default=2)
    parser.add_argument("--kill-after", type=float, default=20.0, help="seconds")
    parser.add_argument("--tolerance", type=float, default=1e-3, help="angstrom")
    options = parser.parse_args()
    ask = [
        "design", "--length", str(options.length), "--domains", str(options.domains),
        "-n", str(DESIGNS), "--quiet",
    ]  # fmt: skip

    def command(out: Path, *extra: str) -> list[str]:
        return [sys.executable, "-m", "proteinweaver", *ask, "-o", str(out), *extra]

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        subprocess.run(command(root / "batch", "--batch-size", "8"), check=True)
        subprocess.run(command(root / "alone", "--batch-size", "1"), check=True)
        subprocess.run(command(root / "shard", "--shard", "2/4"), check=True)
        killed = subprocess.Popen(command(root / "resumed", "--batch-size", "1"))
        time.sleep(options.kill_after)
        killed.kill()
        killed.wait()
        kept = len(list((root / "resumed" / "designs").glob("*.pdb")))
        subprocess.run(command(root / "resumed", "--batch-size", "1"), check=True)
        print(f"killed after {kept} of {DESIGNS} designs\n")
        print("| run | designs | largest difference, A |")
        print("|---|---|---|")
        worst = 0.0
        for name in ("alone", "shard", "resumed"):
            difference, count = largest_difference(root / "batch", root / name)
            worst = max(worst, difference)
            print(f"| {name} | {count} | {difference:.1e} |")
    return int(worst > options.tolerance)


if __name__ == "__main__":
    sys.exit(main())
