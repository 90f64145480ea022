"""Seconds, memory and growth with length of an assembly, on the shipped weights.

    python scripts/bench_assemble.py --out benchmarks/assemble-cpu2.json
    python scripts/bench_assemble.py --lengths 200,300,500 --poses found --threads 1

Every length is a process of its own: generated domains of about 125 residues, repeated,
linkers of twelve, total length exact, default settings. Without residue types they begin at noise;
with ``--poses found`` they are named alanine, and up to four of them are placed first; ``--draws
1`` draws the chain once. Given are
the wall and processor seconds of the whole design after start-up, those of one network call and
its ratio to the floor (FLOP over the matrix rate measured there), and the peak memory of the
process; at the end the exponent of the call's processor time against length.
"""

import argparse
import json
import math
import os
import platform
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from bench_generate import network_call
from timing import matrix_rate, medians

from proteinweaver.cli.process import keep_freed_memory
from proteinweaver.generation.commands import assemble, generate
from proteinweaver.generation.config import AssembleConfig, GenerateConfig
from proteinweaver.generation.model import load_model
from proteinweaver.generation.settings import CHAIN_CANDIDATES

DOMAIN, LINKER = 125, 12


def one(length: int, threads: int, repeats: int, poses: str, draws: int) -> dict[str, float]:
    """Measure one length in this process."""
    keep_freed_memory()  # as the command does
    torch.set_num_threads(threads)
    rate = matrix_rate()
    with tempfile.TemporaryDirectory() as scratch:
        count = max(2, round(length / (DOMAIN + LINKER)))
        size = (length - (count - 1) * LINKER) // count
        generate(GenerateConfig(length=min(size, 200), n=1, out=f"{scratch}/d", device="cpu"))
        (domain,) = Path(scratch, "d", "designs").glob("*.pdb")
        if poses == "found":
            domain.write_text(domain.read_text().replace(" GLY ", " ALA "))
        residues = min(size, 200)
        linkers = (length - count * residues) // (count - 1)
        request = AssembleConfig(
            domain=(str(domain),) * count, linker=(f"{linkers}-{linkers + count}",),
            total_length=length, n=1, poses=poses, chain_candidates=draws, device="cpu",
        )  # fmt: skip
        wall, processor = medians(lambda: assemble(request), repeats)
    call, call_processor, flops = network_call(load_model("auto", device="cpu"), length, 7)
    return {
        "length": length,
        "domains": count,
        "seconds": wall,
        "processor_seconds": processor,
        "call_seconds": call,
        "call_processor_seconds": call_processor,
        "call_over_floor": call * rate / flops,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lengths", default="200,300,800,2000,5000")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--poses", choices=("found", "noise"), default="noise")
    parser.add_argument("--draws", type=int, default=CHAIN_CANDIDATES, help="of a chain")
    parser.add_argument("--out", type=Path, help="JSON file")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        told = (options.threads, options.repeats, options.poses, options.draws)
        print(json.dumps(one(options.one, *told)))
        return
    rows = []
    print("| length | domains | s | processor s | call ms | call / floor | peak MiB |")
    print("|---|---|---|---|---|---|---|")
    for length in map(int, options.lengths.split(",")):
        command = [
            sys.executable, __file__, "--one", str(length), "--threads", str(options.threads),
            "--repeats", str(options.repeats), "--poses", options.poses,
            "--draws", str(options.draws),
        ]  # fmt: skip
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        row = json.loads(done.stdout.splitlines()[-1])
        rows.append(row)
        print(
            f"| {length} | {row['domains']} | {row['seconds']:.1f} | "
            f"{row['processor_seconds']:.1f} | {1e3 * row['call_seconds']:.0f} | "
            f"{row['call_over_floor']:.1f} | {row['peak_mib']:.0f} |",
            flush=True,
        )
    ends = [row for row in rows if 200 <= row["length"] <= 2000]
    exponent = math.nan
    if len(ends) > 1:
        first, last = ends[0], ends[-1]
        exponent = math.log(
            last["call_processor_seconds"] / first["call_processor_seconds"]
        ) / math.log(last["length"] / first["length"])
        print(f"\ncall time ~ length^{exponent:.2f} from {first['length']} to {last['length']}")
    if options.out:
        about = {
            "machine": platform.machine(), "threads": options.threads, "poses": options.poses,
            "draws": options.draws, "exponent": exponent,
        }  # fmt: skip
        options.out.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
