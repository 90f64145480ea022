"""Start-up: time from the shell to the first call of the network, and what the imports cost.

    python scripts/bench_startup.py --out benchmarks/startup-cpu2.json

Starts the program anew ``--repeats`` times with each command and stops it where the network is
called first. Of every command the median of wall and CPU seconds (user and system, of the whole
process); beside it those of ``import torch`` in the same run, which nothing here can go below,
and the modules outside the standard library that take longest to import.
"""

import argparse
import json
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

COMMANDS = {
    "generate": ["generate", "--length", "100"],
    "design": ["design", "--length", "300", "--domains", "3"],
}
#: Runs the command line and leaves at the first call of a network.
STOP = """
import importlib.abc, os, sys
from proteinweaver.cli import main
main.prepare_process()
class Stop(importlib.abc.MetaPathFinder):
    def find_spec(self, *_):
        network = getattr(sys.modules.get("proteinweaver.nets.denoiser"), "Denoiser", None)
        if network:
            sys.meta_path.remove(self)
            network.forward = lambda *_, **__: os._exit(0)
sys.meta_path.insert(0, Stop())
main.run(sys.argv[1:])
os._exit(1)
"""


def once(words: list[str]) -> tuple[float, float]:
    """Wall and CPU seconds of one process."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu


def imports(words: list[str]) -> dict[str, float]:
    """Seconds of import by top-level package, as ``-X importtime`` counts them."""
    told = subprocess.run(
        [sys.executable, "-X", "importtime", *words], check=True, capture_output=True, text=True
    ).stderr
    found: defaultdict[str, float] = defaultdict(float)
    for own, name in re.findall(r"import time: +(\d+) \| +\d+ \| +(\S+)", told):
        found[name.split(".")[0]] += int(own) / 1e6
    foreign = {k: v for k, v in found.items() if k not in sys.stdlib_module_names}
    return dict(sorted(foreign.items(), key=lambda pair: -pair[1])[:8])


def main() -> None:
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--repeats", type=int, default=5)
    p.add_argument("--out", type=Path, help="JSON file")
    options = p.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tried = {"import torch": ["-c", "import torch"]}
        for name, words in COMMANDS.items():
            tried[name] = ["-c", STOP, *words, "-o", folder, "--overwrite", "--device", "cpu"]
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in tried}
        for _ in range(options.repeats):
            for name, words in tried.items():
                times[name].append(once(words))
        packages = {name: imports(words) for name, words in tried.items() if name in COMMANDS}
    print("| to the first network call of | wall, s | CPU, s |")
    print("|---|---|---|")
    rows = {}
    for name, pairs in times.items():
        wall, cpu = (statistics.median(column) for column in zip(*pairs, strict=True))
        rows[name] = {"wall": round(wall, 3), "cpu": round(cpu, 3)}
        print(f"| {name} | {wall:.2f} | {cpu:.2f} |")
    for name, found in packages.items():
        print(f"\n{name}: " + ", ".join(f"{k} {v:.2f} s" for k, v in found.items()))
    if options.out:
        about = {"machine": platform.machine(), "cores": os.cpu_count(), "repeats": len(pairs)}
        text = json.dumps({**about, "rows": rows, "imports": packages}, indent=1) + "\n"
        options.out.write_text(text)


if __name__ == "__main__":
    main()
