"""Memory of a run of many designs against one of ten: planned, woven, resumed and ranked.

    python scripts/bench_many.py --out benchmarks/many-cpu2.json

Peak resident memory of whole processes (MiB), each beside the same command with ``-n 10``:

- *plan*: ``--dry-run``, all designs planned and checked;
- *weave*: the run is killed when ``--first`` designs are written;
- *rank*: the folder of a finished run of ``--many`` designs (those woven before, linked under
  other names and with other scores) is resumed: nothing is left to weave, the tables are made.

Designs are small and steps few: what is measured grows with the number of designs, not with them.
"""

import argparse
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

#: Short chains, few steps: the memory of a network call must not hide what grows.
REQUEST = [
    "design", "--length", "90", "--domains", "2", "--name", "x", "--device", "cpu",
    "domain_sampler.num_steps=3", "assembler_sampler.num_steps=3", "close=false", "--quiet",
]  # fmt: skip


def peak(words: list[str], stop: Path | None = None, lines: int = 0) -> tuple[float, float]:
    """Peak memory (MiB) and wall seconds of the program, killed at ``lines`` lines of a file."""
    command = [sys.executable, "-m", "proteinweaver", *REQUEST, *words]
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    while stop is not None and child.poll() is None:
        if stop.is_file() and stop.read_text().count("\n") >= lines:
            child.send_signal(signal.SIGKILL)
            break
        time.sleep(0.5)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in (0, -signal.SIGKILL):
        raise SystemExit(f"{' '.join(command)} ended with {child.returncode}")
    return used.ru_maxrss / 1024, time.perf_counter() - start


def fill(folder: Path, many: int) -> None:
    """Make a finished run of ``many`` designs out of those that are there."""
    manifest = folder / "manifest.jsonl"
    lines = [json.loads(text) for text in manifest.read_text().splitlines()]
    random.seed(0)
    with manifest.open("a") as stream:
        for index in range(len(lines), many):
            line = dict(lines[index % len(lines)])
            name = f"x_s0_{index:04d}"
            files = []
            for file in line["files"]:
                if file.startswith("designs/"):
                    files.append(f"designs/{name}{Path(file).suffix}")
                    os.link(folder / file, folder / files[-1])
            line |= {"name": name, "index": index, "score": random.random(), "files": files}
            stream.write(json.dumps(line) + "\n")


def main() -> None:
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--many", type=int, default=10_000)
    p.add_argument("--first", type=int, default=50)
    p.add_argument("--out", type=Path, help="JSON file")
    options = p.parse_args()
    many, rows = str(options.many), {}
    with tempfile.TemporaryDirectory() as root:
        ten, large = Path(root, "ten"), Path(root, "large")
        tried = {
            "plan": (["--dry-run", "-n", "10"], ["--dry-run", "-n", many]),
            "weave": (["-n", "10", "-o", str(ten)], ["-n", many, "-o", str(large)]),
            "rank": (["-n", "10", "-o", str(ten)], ["-n", many, "-o", str(large)]),
        }
        print(f"| | peak of 10, MiB | of {many} | ratio | s of 10 | of {many} |")
        print("|---|---|---|---|---|---|")
        for name, (small, big) in tried.items():
            if name == "rank":
                fill(large, options.many)
                (ten / "metrics.csv").unlink()
            few, few_s = peak(small)
            watched = large / "manifest.jsonl" if name == "weave" else None
            all_, all_s = peak(big, watched, options.first)
            rows[name] = {
                "peak_10": few, "peak_many": all_, "seconds_10": few_s, "seconds_many": all_s
            }  # fmt: skip
            ratio = all_ / few
            print(
                f"| {name} | {few:.0f} | {all_:.0f} | {ratio:.3f} | {few_s:.1f} | {all_s:.1f} |",
                flush=True,
            )
    if options.out:
        about = {"machine": platform.machine(), "many": options.many, "first": options.first}
        options.out.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
