"""Studies against closed forms, published counts and the bars of the benchmark mixture."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from samplers import steppers
from samplers.diagnostics.gaussian_law import power_variances
from samplers.grids import DensityClock
from samplers.grids.pilot import Pilot
from samplers.studies import STUDIES, benchmark
from samplers.studies.base import select
from samplers.targets.benchmark import mixture, starts

REPO = Path(__file__).resolve().parents[2]
TINY = {
    "order": {
        "samplers": ("ddim", "heun"),
        "problems": ("gaussian", "rotations"),
        "steps": (24, 36, 54, 80),
        "samples": 6,
    },
    "budget": {"samplers": ("ddim",), "steps": (6, 12), "dim": 3},
    "dimension": {
        "samplers": ("expab2",),
        "dims": (2, 8, 32),
        "epsilons": (0.1,),
        "fit_from": 2,
    },
    "score-error": {
        "mixtures": 1,
        "sizes": (0.05, 0.2),
        "divergences": (0.0, 1.0),
        "steps": 8,
        "points": 40,
    },
    "certificate": {
        "samplers": ("ddim",),
        "steps": (12,),
        "dims": (1,),
        "mixtures": 1,
        "draws": 200,
        "points": 50,
    },
    "se3": {
        "problems": ("rotations",),
        "samplers": ("ddim", "heun"),
        "grids": ("log_snr", "fitted"),
        "steps": (8,),
        "samples": 3,
        "pilot": 1,
        "iterations": 1,
    },
}


@pytest.fixture(scope="module")
def results():
    """Rows and report of every study, tiny."""
    found = {}
    for name, options in TINY.items():
        study = STUDIES[name](**options)
        cases = study.cases()
        assert len({case.name for case in cases}) == len(cases)
        rows = [row for case in cases for row in case.run()]
        found[name] = study, rows, study.report(rows)
    return found


def test_every_study_is_tried():
    assert set(TINY) == set(STUDIES)


@pytest.mark.parametrize("name", sorted(TINY))
def test_reports_are_whole(name, results):
    study, rows, report = results[name]
    assert rows and report.text and report.tables and report.figures
    for table in report.tables:
        assert table.rows
        assert {len(row) for row in table.rows} == {len(table.columns)}
    for figure in report.figures:
        for series in figure.series:
            assert len(series.x) == len(series.y) > 0
    for parts in (report.tables, report.figures):
        names = [part.name for part in parts]
        assert len(set(names)) == len(names)
        assert "rows" not in names
    study.report([])  # a study that has just begun


def test_order_is_seen(results):
    table = results["order"][2].tables[0]
    for _, _, _, declared, order, *_ in table.rows:
        assert float(order.split()[0]) == pytest.approx(float(declared), abs=0.15)


def test_budget_against_numpy(results):
    """DDIM on a Gaussian is a product of factors per axis; W2 and its parts follow."""
    study, rows, _ = results["budget"]
    horizon, rho_min = study.horizon, study.rho_min
    variance = power_variances(study.dim).numpy()
    learned = variance * (1 + study.score_error)
    for n in study.steps:
        u = np.linspace(horizon - 1, math.log(0.5 * math.log1p(rho_min**2)), n + 1)
        u = np.where(u > 0, u + 1, np.exp(u))
        rho = np.sqrt(np.expm1(2 * u))
        gain = np.ones_like(variance)
        for a, b in itertools.pairwise(rho):
            gain *= 1 + (b - a) * a / (learned + a * a)
        alpha0, alpha1 = (1 / math.hypot(1, r) for r in (rho[0], rho[-1]))
        out = alpha1 / alpha0 * gain  # standard deviation, from N(0, I)
        total = np.linalg.norm(out - np.sqrt(variance))
        at = select(rows, steps=n)
        assert sum(r["signed"] for r in at) == pytest.approx(total, rel=1e-8)
        assert at[0]["total"] == pytest.approx(total, rel=1e-8)
        stopped = np.sqrt(alpha1**2 * (variance + rho[-1] ** 2))
        early = np.linalg.norm(stopped - np.sqrt(variance))
        assert select(at, part="early stopping")[0]["size"] == pytest.approx(early, rel=1e-8)


def test_dimension_against_counts_found_elsewhere(results):
    """Exponential Adams-Bashforth of order 2, TV 0.1, d = 2, 8, 32: 4, 12 and 18 calls."""
    assert [math.ceil(r["calls"]) for r in results["dimension"][1]] == [4, 12, 18]


def test_certificate_lies_above_the_truth(results):
    _, rows, report = results["certificate"]
    assert all(r["upper"] >= r["sharp_upper"] >= r["true_tv"] > 0 for r in rows)
    assert "below it in 0" in report.text[0]


def test_score_errors_cost(results):
    rows = results["score-error"][1]
    exact = select(rows, size=0.0)[0]["tv"]
    small, large = (select(rows, size=e, ratio=0.0)[0]["tv"] for e in (0.05, 0.2))
    assert exact < small < large
    assert select(rows, size=0.2, ratio=1.0)[0]["tv"] > large  # same size, more divergence


def test_curved_spaces(results):
    rows = results["se3"][1]
    best = {s: min(r["median"] for r in select(rows, sampler=s)) for s in ("ddim", "heun")}
    assert best["heun"] < best["ddim"] / 3


def test_cases_repeat():
    """A case gives the same rows alone: resuming changes nothing."""
    study = STUDIES["certificate"](**TINY["certificate"])
    case = study.cases()[-1]
    assert list(case.run()) == list(case.run())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("order", {"problems": ("nope",)}, "unknown problem 'nope'"),
        ("order", {"samplers": ("nope",)}, "unknown sampler 'nope'"),
        ("order", {"steps": (8, 16)}, "at least 4"),
        ("order", {"steps": (0, 8, 16, 32)}, "counts from 1"),
        ("order", {"steps": ()}, "steps is empty"),
        ("order", {"seed": -1}, "seed is -1"),
        ("budget", {"samplers": ("sde",)}, "stochastic"),
        ("dimension", {"dims": (2, 4)}, "three or more"),
        ("dimension", {"epsilons": (1.5,)}, "between 0 and 1"),
        ("score-error", {"sizes": (0.0,)}, "positive"),
        ("certificate", {"dims": (3,)}, "1 and 2 dimensions"),
        ("se3", {"grids": ("nope",)}, "unknown grid 'nope'"),
    ],
)
def test_refusals(name, options, message):
    with pytest.raises(ValueError, match=message):
        STUDIES[name](**options)


def test_clean_estimate_is_tweedie():
    target = mixture(3)
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((7, 3)))
    for alpha, sigma in ((0.02, 1.0), (0.7, 0.5), (1.0, 0.05)):
        expected = (x + sigma**2 * target.score(x, alpha, sigma)) / alpha
        found = benchmark.clean_estimate(target, x, alpha, sigma)
        torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-9)


def test_fits_never_see_the_reported_mixture():
    with pytest.raises(ValueError, match="reported"):
        benchmark.fit_mixtures(benchmark.LAWS["linear"], 2, seed=0)


BARS = {
    ("linear", 2): (8, 16, 28),
    ("linear", 16): (10, 23, 40),
    ("linear", 64): (9, 21, 34),
    ("cosine", 2): (11, 26, 45),
}
CLOCKS = json.loads((REPO / "benchmarks" / "mixture-clocks.json").read_text())


@pytest.mark.parametrize("case", sorted(BARS), ids=str)
def test_bars_of_the_mixture(case):
    """One sampler with fitted grids: calls to a median error of 1e-2, 1e-3 and 1e-4."""
    law, dim = case
    setting = benchmark.LAWS[law]
    report = Pilot(
        benchmark.mixture_field([mixture(dim)], setting.law),
        (setting.component,),
        (setting.start(starts(dim)),),
        t_min=setting.t_min,
        t_max=1.0,
        reference=steppers.make("expab4_x0"),
        fine=500,
    )
    stepper = steppers.make("unipc3_v", cheap_start=True)
    keys = [k for k in CLOCKS if k.startswith(f"{law}|{dim}|unipc3_v~|")]
    budgets = [int(k.rsplit("|", 1)[1]) for k in keys]
    for calls, threshold in zip(BARS[case], (1e-2, 1e-3, 1e-4), strict=True):
        nearest = min(budgets, key=lambda b: abs(math.log(b / calls)))
        saved = CLOCKS[f"{law}|{dim}|unipc3_v~|{nearest}"]
        clock = DensityClock(tuple(saved["knots"]), tuple(saved["log_density"]))
        error = report.deviation(report.grid(clock, stepper_steps(stepper, calls)), stepper)
        assert float(error.median()) <= threshold


def stepper_steps(stepper, calls):
    steps = calls - stepper.start_calls
    assert stepper.calls(steps) == calls
    return steps
