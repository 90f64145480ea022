"""Time of a sampler step apart from the model, against the arithmetic floor ``a * x + b * e``.

The field returns a tensor made beforehand, so everything timed is the sampler's own. State
(64, 256, 3), float32, one CPU thread, 20 steps; medians of interleaved repeats, ratios to the
floor of the same run.

    python scripts/bench_samplers.py --out benchmarks/samplers-cpu.json
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from samplers import grids, schedules, steppers
from samplers.integrate import Component, make_plan, run
from samplers.spaces import Euclidean

SHAPE = (64, 256, 3)
STEPS = 20


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def measure(predicts: str, repeats: int) -> dict[str, dict[str, float]]:
    """Milliseconds per field call of every deterministic sampler, and ratios to the floor."""
    generator = torch.Generator().manual_seed(0)
    x, e = torch.randn(2, *SHAPE, generator=generator)
    law = schedules.TangentPower()
    component = Component(Euclidean(), law, predicts)  # type: ignore[arg-type]
    grid = grids.make("log_snr", STEPS, law, t_min=0.01)

    def floor() -> None:
        for _ in range(STEPS):
            _ = 0.9 * x + 0.1 * e

    jobs: dict[str, Callable[[], object]] = {"floor": floor}
    calls = {"floor": STEPS}
    for name, stepper in steppers.STEPPERS.items():
        if stepper.deterministic:
            plan = make_plan(stepper, (component,), grid)
            jobs[name] = lambda p=plan, s=stepper: run(p, s, lambda state, t: (e,), (x,))
            calls[name] = stepper.calls(STEPS)
    times: dict[str, list[float]] = {name: [] for name in jobs}
    with torch.inference_mode():
        for work in jobs.values():
            work()
        for _ in range(repeats):
            for name, work in jobs.items():
                times[name].append(_timed(work) / STEPS)
    base = statistics.median(times["floor"])
    return {
        name: {
            "order": 0 if name == "floor" else steppers.STEPPERS[name].order,
            "ms_per_step": 1e3 * statistics.median(values),
            "ratio_per_step": statistics.median(values) / base,
            "ratio_per_call": statistics.median(values) / base * STEPS / calls[name],
        }
        for name, values in times.items()
    }


def main() -> None:
    """Print the table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=41)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    result: dict[str, object] = {
        "shape": SHAPE,
        "dtype": "float32",
        "threads": 1,
        "torch": torch.__version__,
        "machine": platform.machine(),
    }
    for predicts in ("eps", "x0"):
        table = result[f"field predicts {predicts}"] = measure(predicts, args.repeats)
        print(f"field predicts {predicts}: ms per step, ratio to a*x + b*e per step and per call")
        for name, row in table.items():
            print(
                f"  {name:14s} order {row['order']}  {row['ms_per_step']:.4f}"
                f"  {row['ratio_per_step']:5.2f}  {row['ratio_per_call']:5.2f}"
            )
    if args.out:
        args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
