"""Tables of docs/preference.md: the pull of noisy log-ratios, and a circular preference.

    python scripts/eval_preference_toys.py [-o benchmarks/preference-toys.json]

Seconds on one core. Both worlds are those of tests/preference, where each number is checked.
"""

import argparse
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import brentq, minimize, root

from proteinweaver.preference.draws import plug_in_loss, product_loss
from proteinweaver.preference.games import game_pairs, mirror_target, optimistic_win_rate
from proteinweaver.preference.pairwise import dpo, ipo

LOW, HIGH, SLOPE = 0.05, 0.999, 1.2
MASS = HIGH - LOW
NOISE = (math.log(HIGH / LOW) - MASS) / MASS
CIRCLE = np.array(
    [[0.5, 0.9, 0.25, 0.6], [0.1, 0.5, 0.95, 0.6], [0.75, 0.05, 0.5, 0.6], [0.4, 0.4, 0.4, 0.5]]
)
REF, TAU = np.array([0.5, 0.2, 0.2, 0.1]), 0.15


def draws_at(m, x, draws, generator):
    """Draws of log N(x; m, 1) / N(x; 0, 1) by denoising errors with the likelihood's weight."""
    c = LOW + MASS * torch.rand((len(x), draws), generator=generator, dtype=torch.float64)
    noise = torch.randn(c.shape, generator=generator, dtype=torch.float64)
    return MASS * (m * x[:, None] - m**2 / 2 - m * noise * (1 / c - 1).sqrt())


def regressed(estimate: Callable, draws: int) -> float:
    """Mean m that regresses the log-ratio on 1.2 x."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(60000, generator=generator, dtype=torch.float64)
    state = generator.get_state()

    def slope(m: float) -> float:
        generator.set_state(state)
        policy = torch.tensor(m, dtype=torch.float64, requires_grad=True)
        loss = estimate(lambda r: (r - SLOPE * x).square(), draws_at(policy, x, draws, generator))
        return float(torch.autograd.grad(loss.mean(), policy)[0])

    return brentq(slope, 0.0, 2.0, xtol=1e-4)


def cubic(extra: float) -> float:
    """Predicted minimiser when the loss carries the variance ``extra`` m^2."""
    return brentq(lambda m: 2 * (MASS * m - SLOPE) + MASS * (m**3 + 2 * extra * m), 0.0, 3.0)


def softmax(x):
    p = np.exp(x - x.max())
    return p / p.sum()


def fitted(expected, ref):
    base = torch.from_numpy(np.log(ref))

    def value(logits):
        x = torch.from_numpy(logits).requires_grad_()
        loss = expected(torch.log_softmax(x, 0) - base)
        return float(loss.detach()), torch.autograd.grad(loss, x)[0].numpy()

    return softmax(minimize(value, np.log(ref), jac=True, method="BFGS").x)


ROW, COLUMN = torch.cartesian_prod(torch.arange(4), torch.arange(4)).T


def pairwise(loss):
    weight = torch.from_numpy(np.outer(REF, REF) * CIRCLE).reshape(-1)
    return fitted(lambda r: (weight * loss(r[ROW], r[COLUMN])).sum(), REF)


def played(method: str, rounds: int, eta: float = 2.0):
    now, before = REF, CIRCLE @ REF

    def step(rate):
        drift = torch.from_numpy(np.log(now / REF))
        target = mirror_target(torch.from_numpy(rate), drift, eta, TAU)
        weight = torch.from_numpy(np.outer(now, now)).reshape(-1)
        return fitted(
            lambda r: (weight * game_pairs(r[ROW], r[COLUMN], target[ROW], target[COLUMN])).sum(),
            now,
        )

    for _ in range(rounds):
        rate = CIRCLE @ now
        if method == "mirror prox":
            rate = CIRCLE @ step(rate)
        elif method == "optimistic":
            pair = torch.from_numpy(rate), torch.from_numpy(before)
            rate, before = optimistic_win_rate(*pair).numpy(), rate
        now = step(rate)
    return now


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--out", type=Path)
    out = parser.parse_args().out
    rows = [
        {
            "draws": k,
            "exact": round(cubic(0.0), 3),
            "plug_in_predicted": round(cubic(NOISE / k), 3),
            "plug_in": round(regressed(plug_in_loss, k), 3),
            "product": round(regressed(product_loss, k), 3),
        }
        for k in (2, 4, 8)
    ]
    off = lambda x: np.log(softmax(x)) - np.log(softmax(np.log(REF) + CIRCLE @ softmax(x) / TAU))  # noqa: E731
    nash = softmax(root(off, np.log(REF), tol=1e-13).x)
    distance = lambda p: round(0.5 * float(np.abs(p - nash).sum()), 4)  # noqa: E731
    games = {
        "dpo": distance(pairwise(lambda w, x: dpo(w, x, TAU))),
        "ipo": distance(pairwise(lambda w, x: ipo(w, x, TAU))),
    } | {
        f"{method}, {rounds} rounds": distance(played(method, rounds))
        for method in ("mirror descent", "mirror prox", "optimistic")
        for rounds in (6, 12)
    }
    for row in rows:
        print(row)
    print("total variation to the regularised Nash point", nash.round(3))
    for name, value in games.items():
        print(f"{name:28s} {value}")
    if out:
        out.write_text(json.dumps({"variance": rows, "nash": games}, indent=1) + "\n")


if __name__ == "__main__":
    main()
