"""Write docs/peers.md: known defects of other samplers, measured anew on what is installed.

    pip install 'proteinweaver[peers]'
    python scripts/peer_defects.py

Problem: the eight-mode mixture in two dimensions (`samplers.studies.benchmark`), exact score,
RMS error of 256 samples against the exact flow between the sampler's own ends. Each defect is a
question to the numbers; one that a newer version no longer has is reported as not seen. Beside
every peer stands ours with the same number of calls, on the grid uniform in log-SNR.
"""

import argparse
import math
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

REPO = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPO), str(REPO / "scripts")]

from bench_mixture import Report, stepper_of  # noqa: E402
from peers import PEERS, Model, installed  # noqa: E402

from samplers import grids  # noqa: E402
from samplers.studies import benchmark  # noqa: E402

STEPS = (10, 20, 50, 100, 200, 500, 1000)


@dataclass(frozen=True)
class Defect:
    """A question to the numbers of a peer.

    ``seen(errors)`` maps {steps: error} to whether the defect is there; an error is nan where the
    run gave no number and inf where it raised.
    """

    title: str
    peers: tuple[str, ...]
    ours: str
    seen: object
    law: str = "linear"
    steps: tuple[int, ...] = STEPS
    remark: str = ""


def order(errors, a=500, b=1000):
    """Order between two step counts."""
    return math.log(errors[a] / errors[b]) / math.log(b / a)


def broken(errors):
    return [n for n, e in errors.items() if not math.isfinite(e)]


#: Methods of the same peers that are as they should be, for fairness.
SOUND = ("azula xEAB 3", "k-diffusion dpmpp_2m", "k-diffusion lms 4", "diffusers UniPC 2")

DEFECTS = (
    Defect(
        "azula REAB declares order 2 and 3 and converges with order 1",
        ("azula REAB 2", "azula REAB 3"),
        "expab3_x0",
        lambda e: order(e) < 1.5,
        remark="A noise level of the end of the step stands where the formula has its start.",
    ),
    Defect(
        "diffusers DEIS 3: the error rises with the number of steps",
        ("diffusers DEIS 3",),
        "expab3_eps",
        lambda e: e[1000] > 2 * e[200],
        remark="Closed-form coefficients in float32 cancel; ours are quadratures in float64.",
    ),
    Defect(
        "diffusers DPM++ 3M gives no number at 1000 steps",
        ("diffusers DPM++ 3M",),
        "expab3_x0",
        lambda e: 1000 in broken(e),
    ),
    Defect(
        "diffusers DPM++ 3M with lu spacing gives no number from 20 steps on",
        ("diffusers DPM++ 3M lu",),
        "expab3_x0",
        lambda e: {20, 100} <= set(broken(e)),
        remark="The last step has length 0.",
    ),
    Defect(
        "diffusers DPM++: 20 steps are worse than 10",
        ("diffusers DPM++ 2M", "diffusers DPM++ 3M"),
        "expab2_x0",
        lambda e: e[20] > e[10],
        remark="The safe last step is taken below 15 steps only.",
    ),
    Defect(
        "diffusers UniPC 3, exponential spacing: a floor from rounded time steps",
        ("diffusers UniPC 3 exponential", "diffusers UniPC 3 exponential @sigma"),
        "unipc3_v",
        lambda e: e[1000] > 0.5 * e[100],
        remark="Called at the true noise level (@sigma) the floor falls a thousandfold.",
    ),
    Defect(
        "diffusers UniPC 3, exponential spacing, raises on the cosine law",
        ("diffusers UniPC 3 exponential",),
        "unipc3_v",
        lambda e: bool(broken(e)),
        law="cosine",
        steps=(10, 20, 50, 100, 200),
    ),
    Defect(
        "diffusers PNDM: some step counts are far off",
        ("diffusers PNDM",),
        "expab4_eps",
        lambda e: not e[499] < 10 * e[200],
        steps=(10, 20, 50, 100, 200, 499, 500, 1000),
    ),
    Defect(
        "diffusers Heun converges with order below 1.7 instead of 2",
        ("diffusers Heun",),
        "heun",
        lambda e: order(e) < 1.7,
        remark="It ends with an Euler step from a coarse noise level to zero.",
    ),
)


@cache
def report(law):
    return Report(law, 2)


def rms(law, x, rho_start, rho_end):
    truth = report(law).truth(rho_start, rho_end)
    return float((x - truth).square().mean().sqrt())


@cache
def peer_errors(name, law, steps):
    """Return {calls asked for: RMS error}."""
    peer, found = PEERS[name], {}
    for n in steps:
        target = report(law).target
        model = Model(lambda x, a, s, t=target: benchmark.clean_estimate(t, x, a, s))
        try:
            out = peer.run(model, report(law).z, max(1, n // peer.calls_per_step), law)
            found[n] = rms(law, out.x, out.rho_start, out.rho_end)
        except Exception as error:  # raising is one of the defects
            print(f"{name}, {law}, {n} steps: {type(error).__name__}", file=sys.stderr)
            found[n] = math.inf
    return found


@cache
def our_errors(name, law, steps):
    stepper, setting, found = stepper_of(name), benchmark.LAWS[law], {}
    for n in steps:
        count = (n - stepper.start_calls) // stepper.calls_per_step
        grid = grids.make("log_snr", count, setting.law, t_min=setting.t_min)
        (x,) = report(law).pilot.run(grid, stepper)
        found[n] = rms(law, x, setting.rho_start, setting.rho_end)
    return found


def shown(error):
    if math.isinf(error):
        return "raises"
    return "no number" if math.isnan(error) else f"{error:.1e}"


def section(defect, missing):
    lines = [f"## {defect.title}", ""]
    peers = [p for p in defect.peers if PEERS[p].package not in missing]
    if not peers:
        return [*lines, "Not installed.", ""]
    lines += ["| calls | " + " | ".join(map(str, defect.steps)) + " | |"]
    lines += ["|---" * (len(defect.steps) + 2) + "|"]
    for name in peers:
        errors = peer_errors(name, defect.law, defect.steps)
        verdict = "**seen**" if defect.seen(errors) else "not seen"
        cells = " | ".join(shown(e) for e in errors.values())
        lines.append(f"| {name} | {cells} | {verdict} |")
    ours = our_errors(defect.ours, defect.law, defect.steps)
    cells = " | ".join(shown(e) for e in ours.values())
    lines.append(f"| ours, `{defect.ours}` | {cells} | |")
    lines += ["", *([defect.remark, ""] if defect.remark else [])]
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, default=REPO / "docs" / "peers.md")
    options = parser.parse_args()
    torch.set_num_threads(1)
    versions = {name: installed(name) for name in sorted({p.package for p in PEERS.values()})}
    missing = {name for name, version in versions.items() if version is None}
    if len(missing) == len(versions):
        raise SystemExit("no peer is installed; pip install 'proteinweaver[peers]'")
    told = ", ".join(
        f"{name} {version or '(not installed)'}" for name, version in versions.items()
    )
    lines = [
        "# Defects of other samplers, measured",
        "",
        "This page is written by `python scripts/peer_defects.py` against the installed versions:",
        f"{told}, torch {torch.__version__}.",
        "",
        "RMS end-point error on the eight-mode mixture in two dimensions with its exact score",
        "(`samplers/studies/benchmark.py`), linear law unless said, 256 samples, between the",
        "sampler's own ends. Settings of the peers: `scripts/peers.py`. Columns are the model",
        "calls asked for; a method with two calls a step takes half as many steps.",
        "",
    ]
    for defect in DEFECTS:
        lines += section(defect, missing)
    lines += ["## Methods of the same libraries without a defect seen here", ""]
    lines += ["| calls | " + " | ".join(map(str, STEPS)) + " |", "|---" * (len(STEPS) + 1) + "|"]
    for name in SOUND:
        if PEERS[name].package not in missing:
            cells = " | ".join(shown(e) for e in peer_errors(name, "linear", STEPS).values())
            lines.append(f"| {name} | {cells} |")
    options.out.write_text("\n".join(lines).rstrip() + "\n")
    print(f"wrote {options.out}", file=sys.stderr)


if __name__ == "__main__":
    main()
