"""Seconds per design by length, on the shipped weights, and the floor under them.

    python scripts/bench_generate.py
    python scripts/bench_generate.py --lengths 100,800 --repeats 5 --threads 1 --out mine.json

A length up to ``--single`` is one generated domain; a longer one is a design of domains of about
100 residues. Of every length: the median wall time of a whole design (both stages, closing,
checks; nothing written), of one network call, and the floor of that call: its floating-point
operations (counted by torch) over the matrix rate measured in the same run.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from proteinweaver.diffusion.field import FrameField
from proteinweaver.generation.commands import design, generate
from proteinweaver.generation.config import DesignConfig, GenerateConfig
from proteinweaver.generation.model import LoadedModel, load_model
from proteinweaver.nets.condition import unconditional


def median_seconds(work: Callable[[], object], repeats: int) -> float:
    """Median wall time of ``work`` after one unmeasured run."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def matrix_rate(repeats: int = 20) -> float:
    """Measured float32 matrix product rate in FLOP/s, at a size typical of the network."""
    a, b = torch.randn(4096, 128), torch.randn(128, 512)
    return 2 * 4096 * 128 * 512 / median_seconds(lambda: a @ b, repeats)


def network_call(model: LoadedModel, length: int, repeats: int) -> tuple[float, float]:
    """Seconds and floating-point operations of one network call on a chain of ``length``."""
    field = FrameField(model.net, model.process, unconditional(length))
    trans = torch.randn(1, length, 3)
    rot = torch.eye(3).expand(1, length, 3, 3)
    field.denoise(trans, rot, 0.5)
    with FlopCounterMode(display=False) as counter:
        field.denoise(trans, rot, 0.5)
    flops = float(counter.get_total_flops())
    return median_seconds(lambda: field.denoise(trans, rot, 0.5), repeats), flops


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lengths", default="100,256,300,800")
    parser.add_argument(
        "--single", type=int, default=256, help="longest length made as one domain"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--out", type=Path, help="JSON file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rate = matrix_rate()
    models = {stage: load_model(stage, device="cpu") for stage in ("domain", "assembler")}
    rows = []
    print(
        f"{platform.machine()}, {options.threads} threads, matrix rate {rate / 1e9:.0f} GFLOP/s\n"
    )
    print("| length | domains | s per design | call ms | call GFLOP | call / floor |")
    print("|---|---|---|---|---|---|")
    for length in map(int, options.lengths.split(",")):
        domains = 1 if length <= options.single else max(2, round(length / 100))

        def one(length: int = length, domains: int = domains) -> object:
            if domains == 1:
                return generate(GenerateConfig(length=length, device="cpu"))
            return design(DesignConfig(length=length, domains=domains, device="cpu"))

        seconds = median_seconds(one, options.repeats)
        call, flops = network_call(models["domain" if domains == 1 else "assembler"], length, 10)
        row = {
            "length": length,
            "domains": domains,
            "seconds": seconds,
            "call_seconds": call,
            "call_flops": flops,
            "call_over_floor": call * rate / flops,
        }
        rows.append(row)
        print(
            f"| {length} | {domains} | {seconds:.2f} | {1e3 * call:.1f} | {flops / 1e9:.2f} "
            f"| {row['call_over_floor']:.1f} |",
            flush=True,
        )
    if options.out:
        about = {"machine": platform.machine(), "threads": options.threads, "matrix_rate": rate}
        options.out.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
