"""Model calls to a given accuracy on the eight-mode mixture, ours and the peers'.

    python scripts/bench_mixture.py                                   ours, with fitted grids
    python scripts/bench_mixture.py --against diffusers azula k-diffusion
    python scripts/bench_mixture.py --refit                           fit the grids anew (minutes)

Problem: `samplers.studies.benchmark`; the score is exact, so the only error is the sampler's.
Error: median over 256 samples of the RMS per coordinate against the exact flow between the
sampler's own ends (DOP853, with its self-check). A count is the number of calls after which the
error stays below the threshold, interpolated in log-log and rounded up.

Grids are fitted by `samplers.grids.refine`, begun at the equidistributed grid and at the grid of
the neighbouring budget, on four other mixtures and 192 other noises, at the budgets of
``BUDGETS``; a run with N calls takes the clock of the nearest budget. The clocks are kept in
benchmarks/mixture-clocks.json and reused unless --refit is given. The table goes to
benchmarks/mixture.json.
"""

import argparse
import json
import math
import sys
import time
from functools import cache
from pathlib import Path

import torch

REPO = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPO), str(REPO / "scripts")]

from peers import PEERS, Model, installed  # noqa: E402

from samplers import grids, steppers  # noqa: E402
from samplers.grids import DensityClock  # noqa: E402
from samplers.grids.equidistribute import equidistribute  # noqa: E402
from samplers.grids.pilot import Pilot  # noqa: E402
from samplers.grids.refine import refine  # noqa: E402
from samplers.grids.shortest_path import shortest_path  # noqa: E402
from samplers.studies import benchmark  # noqa: E402
from samplers.targets.benchmark import mixture, starts  # noqa: E402
from samplers.targets.reference import score_flow  # noqa: E402

OURS = ("unipc3_v~", "unipc2_v")  # ~ is the start without additional call
FIXED = ("ddim", "expab2_x0", "expab3_x0", "expab3_v", "expab4_v~", "unipc2_v", "unipc3_v~")
BUDGETS = (6, 8, 10, 13, 17, 22, 28, 36)
THRESHOLDS = (1e-2, 1e-3, 1e-4)
CASES = (("linear", 2), ("linear", 16), ("linear", 64), ("cosine", 2), ("cosine", 64))
#: Bars: calls after which the median error must have fallen below the three thresholds.
BARS = {
    ("linear", 2): (8, 16, 28),
    ("linear", 16): (10, 23, 40),
    ("linear", 64): (9, 21, 34),
    ("cosine", 2): (11, 26, 45),
}
OUR_COUNTS = (*range(5, 41), 44, 48, 56, 64)
PEER_COUNTS = (5, 8, 10, 12, 15, 20, 25, 30, 35, 40, 50, 70, 100, 150, 200)


def stepper_of(name):
    return steppers.make(name.removesuffix("~"), cheap_start=name.endswith("~"))


class Report:
    """The reported mixture of one case: exact end points, and the median error of any run."""

    def __init__(self, law, dim):
        self.law_name, self.dim = law, dim
        self.setting = benchmark.LAWS[law]
        self.target = mixture(dim)
        self.z = starts(dim)
        self.truth = cache(self._truth)
        setting = self.setting
        self.pilot = Pilot(
            benchmark.mixture_field([self.target], setting.law),
            (setting.component,),
            (setting.start(self.z),),
            t_min=setting.t_min,
            t_max=1.0,
            reference=steppers.make("expab4_x0"),
        )

    def _truth(self, rho_start, rho_end):
        start, end = (
            (1 / math.hypot(1, rho), rho / math.hypot(1, rho))
            for rho in (rho_start, max(rho_end, 1e-5))
        )
        target, z = self.target, self.z

        def score(x, alpha, sigma):
            clean = benchmark.clean_estimate(target, x, alpha, sigma)
            return (alpha * clean - x) / sigma**2

        return score_flow(score, z, start, end, tolerance=1e-10)

    def error(self, x, rho_start, rho_end):
        """Take the median error of end points."""
        difference = x - self.truth(rho_start, rho_end)
        return float(difference.square().mean(-1).sqrt().median())

    def ours(self, grid, stepper):
        """Run one of our samplers."""
        (x,) = self.pilot.run(grid, stepper)
        return self.error(x, self.setting.rho_start, self.setting.rho_end)

    def peer(self, peer, steps):
        """Run a peer: calls and error."""
        model = Model(lambda x, a, s: benchmark.clean_estimate(self.target, x, a, s))
        out = peer.run(model, self.z, steps, self.law_name)
        return out.calls, self.error(out.x, out.rho_start, out.rho_end)

    def self_check(self):
        """Largest difference between DOP853 and 2000 steps of expab4."""
        grid = self.pilot.grid(self.pilot.flat(2), 2000)
        (x,) = self.pilot.run(grid, self.pilot.reference)
        truth = self.truth(self.setting.rho_start, self.setting.rho_end)
        return float((x - truth).abs().max())


def fit_clocks(law, dim, names, on_fit):
    """Clocks of every sampler and budget, from mixtures that are not reported on."""
    pilot = benchmark.fit_mixtures(benchmark.LAWS[law], dim)
    clocks = {}
    for name in names:
        stepper, clock = stepper_of(name), None
        even = equidistribute(pilot, stepper, windows=9)
        for calls in BUDGETS:
            started = time.perf_counter()
            n = calls - stepper.start_calls
            starts = [clock, even] if clock else [even]
            tries = [refine(pilot, stepper, n, start=s, tolerance=1e-4) for s in starts]
            fitted = min(tries, key=lambda t: t.after)
            clock = fitted.clock
            clocks[f"{law}|{dim}|{name}|{calls}"] = {
                "knots": [round(v, 6) for v in clock.knots],
                "log_density": [round(v, 4) for v in clock.log_density],
                "error_on_fit": fitted.after,
            }
            seconds = time.perf_counter() - started
            on_fit(f"fit {law} d={dim} {name} {calls}: {fitted.after:.1e}, {seconds:.0f} s")
    return clocks


def nearest(calls):
    return min(BUDGETS, key=lambda b: abs(math.log(b / calls)))


def counts_below(curve):
    """Find the calls after which the error stays below each threshold; None if it does not."""
    curve = sorted((n, e if math.isfinite(e) else 1e9) for n, e in curve)
    found = []
    for bar in THRESHOLDS:
        last = max((i for i, (_, e) in enumerate(curve) if e > bar), default=-1)
        if last + 1 == len(curve):
            found.append(None)
        elif last < 0:
            found.append(curve[0][0])
        else:
            (n0, e0), (n1, e1) = curve[last], curve[last + 1]
            share = math.log(e0 / bar) / math.log(e0 / e1)
            found.append(math.ceil(math.exp(math.log(n0) + share * math.log(n1 / n0)) - 1e-9))
    return found


def study(law, dim, clocks, packages, say):
    report = Report(law, dim)
    result = {"law": law, "dim": dim, "self_check": report.self_check()}
    say(f"{law} d={dim}: reference against expab4, 2000 steps: {result['self_check']:.1e}")
    ours = {}
    for name in OURS:
        stepper = stepper_of(name)
        curve = []
        for calls in OUR_COUNTS:
            saved = clocks[f"{law}|{dim}|{name}|{nearest(calls)}"]
            clock = DensityClock(tuple(saved["knots"]), tuple(saved["log_density"]))
            grid = report.pilot.grid(clock, calls - stepper.start_calls)
            curve.append((calls, report.ours(grid, stepper)))
        ours[name] = {"counts": counts_below(curve), "curve": curve}
    result["fitted"] = ours
    result["fixed"] = {str(calls): best_fixed(report, calls) for calls in (10, 20)}
    result["other_fits"] = {str(calls): other_fits(law, dim, report, calls) for calls in (10, 20)}
    result["peers"] = peers = {}
    for name, peer in PEERS.items():
        if peer.package in packages:
            peers[name] = peer_curve(report, peer, "adaptive" in name)
            say(f"  {name}: {shown(peers[name]['counts'])}")
    return result


def best_fixed(report, calls):
    """Error of every sampler on every fixed grid, best first."""
    rows = []
    for name in FIXED:
        stepper = stepper_of(name)
        for grid_name in grids.GRIDS:
            n = (calls - stepper.start_calls) // stepper.calls_per_step
            setting = report.setting
            try:
                grid = grids.make(grid_name, n, setting.law, t_min=setting.t_min)
                rows.append((report.ours(grid, stepper), name, grid_name))
            except ValueError:  # a pair that is refused, with a reason
                continue
    rows.sort(key=lambda row: row[0] if math.isfinite(row[0]) else math.inf)
    return [{"sampler": s, "grid": g, "error": e} for e, s, g in rows[:5]]


def other_fits(law, dim, report, calls):
    """Equidistribution and dynamic programming, fitted on the same other mixtures."""
    pilot = benchmark.fit_mixtures(benchmark.LAWS[law], dim, starts=16)
    stepper = stepper_of(OURS[0])
    n = calls - stepper.start_calls
    found = {
        "equidistribute": pilot.grid(equidistribute(pilot, stepper), n),
        "shortest_path": shortest_path(pilot, steppers.make("ddim"), n),
    }
    return {name: report.ours(grid, stepper) for name, grid in found.items()}


def peer_curve(report, peer, adaptive):
    curve, failure = [], ""
    for n in range(4) if adaptive else PEER_COUNTS:
        try:
            steps = n if adaptive else n // peer.calls_per_step
            curve.append(report.peer(peer, steps))
        except Exception as error:  # a peer that breaks is part of the table
            failure = f"{type(error).__name__} {str(error)[:60].strip()}".strip()
    unique = dict(sorted(curve))
    curve = list(unique.items())
    return {
        "counts": counts_below(curve) if curve else [None] * 3,
        "curve": curve,
        "failure": failure,
    }


def shown(counts):
    return " / ".join("-" if c is None else str(c) for c in counts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    packages = sorted({peer.package for peer in PEERS.values()})
    parser.add_argument("--against", nargs="*", default=[], choices=packages)
    parser.add_argument("--refit", action="store_true")
    parser.add_argument("--case", nargs="*", help="law:dim, such as linear:2; default all")
    parser.add_argument("-o", "--out", type=Path, default=REPO / "benchmarks" / "mixture.json")
    options = parser.parse_args()
    torch.set_num_threads(1)
    missing = [name for name in options.against if installed(name) is None]
    if missing:
        names = ", ".join(missing)
        raise SystemExit(f"not installed: {names}; pip install 'proteinweaver[peers]'")
    cases = CASES
    if options.case:
        cases = tuple((c.split(":")[0], int(c.split(":")[1])) for c in options.case)

    def say(text):
        print(text, file=sys.stderr, flush=True)

    store = REPO / "benchmarks" / "mixture-clocks.json"
    clocks = json.loads(store.read_text()) if store.is_file() else {}
    clocks = {k: v for k, v in clocks.items() if k.split("|")[2] in OURS}
    results = []
    for law, dim in cases:
        keys = [f"{law}|{dim}|{name}|{calls}" for name in OURS for calls in BUDGETS]
        todo = [n for n in OURS if options.refit or not all(k in clocks for k in keys if n in k)]
        if todo:
            clocks |= fit_clocks(law, dim, todo, say)
            lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in clocks.items())
            store.write_text("{\n" + lines + "\n}\n")
        results.append(study(law, dim, clocks, options.against, say))
        print_case(results[-1])
    versions = {name: installed(name) for name in options.against} | {"torch": torch.__version__}
    record = {"command": sys.argv[1:], "versions": versions, "cases": rounded(results)}
    options.out.write_text(json.dumps(record, separators=(",", ":")) + "\n")


def rounded(value):
    """Keep four digits of every number."""
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(v) for v in value]
    return float(f"{value:.4g}") if isinstance(value, float) and math.isfinite(value) else value


def print_case(result):
    law, dim = result["law"], result["dim"]
    print(f"\n{law} d={dim}: calls to a median error of 1e-2 / 1e-3 / 1e-4")
    for name, row in result["fitted"].items():
        print(f"  {name:44} {shown(row['counts'])}   (fitted grid)")
    if (law, dim) in BARS:
        bar = BARS[law, dim]
        print(f"  {'asked for':44} {shown(bar)}")
        first = result["fitted"][OURS[0]]["counts"]
        met = all(c is not None and c <= b for c, b in zip(first, bar, strict=True))
        print(f"  {'':44} {'met' if met else 'NOT MET'} by {OURS[0]}")
    for name, row in result["peers"].items():
        note = f"   ({row['failure']})" if row["failure"] else ""
        print(f"  {name:44} {shown(row['counts'])}{note}")
    for calls in ("10", "20"):
        best = result["fixed"][calls][0]
        mine = dict(result["fitted"][OURS[0]]["curve"])[int(calls)]
        others = ", ".join(f"{k} {v:.1e}" for k, v in result["other_fits"][calls].items())
        print(
            f"  {calls} calls: {OURS[0]} fitted {mine:.1e}; {others}; best fixed "
            f"{best['error']:.1e} ({best['sampler']}, {best['grid']})"
        )


if __name__ == "__main__":
    main()
