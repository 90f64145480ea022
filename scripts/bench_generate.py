"""Seconds per design by length, on the shipped weights, and the floor under them.

    python scripts/bench_generate.py
    python scripts/bench_generate.py --lengths 100,800 --repeats 5 --threads 1 --out mine.json

A length up to ``--single`` is one generated domain; a longer one is a design of domains of about
100 residues. Of every length: the median wall time of a whole design (both stages, closing,
checks; nothing written), of one network call, on one chain and on as many as a design draws in a
batch, and the floor of that call: its floating-point operations (counted by torch) over the matrix
rate measured in the same run.
"""

import argparse
import json
import os
import platform
from pathlib import Path

import torch
from timing import matrix_rate, medians
from torch.utils.flop_counter import FlopCounterMode

from proteinweaver.cli.process import keep_freed_memory
from proteinweaver.diffusion.field import FrameField
from proteinweaver.generation.commands import design, generate
from proteinweaver.generation.config import DesignConfig, GenerateConfig
from proteinweaver.generation.model import LoadedModel, load_model
from proteinweaver.generation.settings import CANDIDATES, CHAIN_CANDIDATES
from proteinweaver.nets.condition import stack_conditions, unconditional


def network_call(
    model: LoadedModel, length: int, repeats: int, batch: int = 1
) -> tuple[float, float, float]:
    """Wall and processor seconds and floating-point operations of one network call."""
    condition = stack_conditions([unconditional(length)] * batch)
    field = FrameField(model.net, model.process, condition)
    trans = torch.randn(batch, length, 3)
    rot = torch.eye(3).expand(batch, length, 3, 3)
    field.denoise(trans, rot, 0.5)
    with FlopCounterMode(display=False) as counter:
        field.denoise(trans, rot, 0.5)
    flops = float(counter.get_total_flops())
    return *medians(lambda: field.denoise(trans, rot, 0.5), repeats), flops


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
    keep_freed_memory()  # as the command does
    torch.set_num_threads(options.threads)
    rate = matrix_rate()
    models = {stage: load_model(stage, device="cpu") for stage in ("domain", "auto")}
    rows = []
    print(
        f"{platform.machine()}, {options.threads} threads, matrix rate {rate / 1e9:.0f} GFLOP/s\n"
    )
    print("| length | domains | s per design | call ms | call GFLOP | call / floor | of a batch |")
    print("|---|---|---|---|---|---|---|")
    for length in map(int, options.lengths.split(",")):
        domains = 1 if length <= options.single else max(2, round(length / 100))

        def one(length: int = length, domains: int = domains) -> object:
            if domains == 1:
                return generate(GenerateConfig(length=length, device="cpu"))
            return design(DesignConfig(length=length, domains=domains, device="cpu"))

        one()
        seconds, _ = medians(one, options.repeats)
        model = models["domain" if domains == 1 else "auto"]
        draws = CANDIDATES if domains == 1 else CHAIN_CANDIDATES
        call, _, flops = network_call(model, length, 10)
        together, _, work = network_call(model, length, 10, draws)
        row = {
            "length": length,
            "domains": domains,
            "seconds": seconds,
            "call_seconds": call,
            "call_flops": flops,
            "call_over_floor": call * rate / flops,
            "batch": draws,
            "batch_call_seconds": together,
            "batch_call_over_floor": together * rate / work,
        }
        rows.append(row)
        print(
            f"| {length} | {domains} | {seconds:.2f} | {1e3 * call:.1f} | {flops / 1e9:.2f} "
            f"| {row['call_over_floor']:.1f} | {row['batch_call_over_floor']:.1f} ({draws}) |",
            flush=True,
        )
    if options.out:
        about = {"machine": platform.machine(), "threads": options.threads, "matrix_rate": rate}
        options.out.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
