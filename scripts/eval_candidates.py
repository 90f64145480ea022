"""What several draws of a domain buy, and who should choose among them.

    python scripts/eval_candidates.py -n 32 --lengths 64 100 128 --out benchmarks/candidates.json

Blueprints are drawn, of each several layouts, and from every layout a domain, in one batch, as
``--candidates`` does. (Here checks have no say.) Each way to choose is judged by the branch of
the critic that it does not ask: where two branches choose, by the third. So choosing cannot
flatter itself more than branches of one critic are alike; the choice by long-range hydrogen bonds
knows nothing of it at all.
Printed: share that passes by that branch alone (its own threshold: what the critic's is), hbLR,
hydrogen bonds, strand and coil (P-SEA), with 95% intervals.
"""

import argparse
import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch

from proteinweaver.cli.process import keep_freed_memory
from proteinweaver.evaluation.critic import Calibration, TrainedCritic, load_critic, packed
from proteinweaver.evaluation.geometry import ChainMetrics, chain_metrics
from proteinweaver.evaluation.intervals import Interval, mean_interval, share_interval
from proteinweaver.generation.choice import PAIRING
from proteinweaver.generation.condition import (
    condition_for,
    pieces_of_blueprint,
    stack_conditions,
)
from proteinweaver.generation.domain_stage import DomainRequest, close_domains
from proteinweaver.generation.layout_stage import draw_layouts
from proteinweaver.generation.model import load_model
from proteinweaver.generation.sampling import NoiseKey, sample_backbones
from proteinweaver.generation.settings import (
    LAYOUT_T,
    LOOP_TILT,
    STRAND_TILT,
    domain_sampler,
    layout_sampler,
)
from proteinweaver.generation.weave import check_sampler
from proteinweaver.structure.backbone import Backbone

#: Branches that choose; the last one judges.
CHOOSING = (0, 1)
Drawn = list[tuple[np.ndarray, ChainMetrics]]


def logits(chains: list[np.ndarray], critic: TrainedCritic) -> np.ndarray:
    """Logit of every branch for every chain, shape (chains, branches)."""
    backbones = [Backbone.from_coord(chain) for chain in chains]
    with torch.no_grad():
        found = critic.net.judge(packed(backbones, critic.net.config.judge_neighbours))
    return np.asarray(found.chain.double().numpy().T)


def drawn(length: int, number: int, draws: int, critic: TrainedCritic) -> list[Drawn]:
    """Several domains of each blueprint: logits and geometry."""
    domain, layout = load_model("domain", device="cpu"), load_model("layout", device="cpu")
    usual = check_sampler(domain_sampler())
    sampling = replace(usual, num_steps=round(LAYOUT_T * usual.num_steps))
    found = []
    for k in range(number):
        request = DomainRequest(
            length,
            NoiseKey(42, "candidates", k, "domain1"),
            loop_tilt=LOOP_TILT,
            strand_tilt=STRAND_TILT,
            candidates=draws,
        )
        text = request.drawn_blueprint()
        pieces = pieces_of_blueprint(text, np.random.default_rng([length, k]))
        condition = condition_for(length, pieces, text)
        conditions, keys = [condition] * draws, request.candidate_keys()
        start, _ = draw_layouts(
            layout, conditions, keys, check_sampler(layout_sampler()), LAYOUT_T
        )
        batch = sample_backbones(domain, stack_conditions(conditions), keys, sampling, start=start)
        chains = close_domains(list(batch.coord.numpy()))
        found.append(
            list(zip(logits(chains, critic), [chain_metrics(c) for c in chains], strict=True))
        )
    return found


def by_critic(logit: np.ndarray, _: ChainMetrics) -> float:
    return float(logit[list(CHOOSING)].mean())


def by_bonds(_: np.ndarray, shape: ChainMetrics) -> float:
    return shape.hb_long


def by_both(logit: np.ndarray, shape: ChainMetrics) -> float:
    return by_critic(logit, shape) + PAIRING * by_bonds(logit, shape)


def cells(kept: Drawn, law: Calibration) -> dict[str, Interval]:
    """One row of the table."""
    found = law.probability([logit[-1] for logit, _ in kept])
    return {"passes": share_interval(found >= law.threshold)} | {
        name: mean_interval([getattr(shape, name) for _, shape in kept])
        for name in ("hb_long", "hb", "strand", "coil")
    }


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("-n", type=int, default=32, help="blueprints of every length")
    p.add_argument("--lengths", type=int, nargs="+", default=(64, 100, 128))
    p.add_argument("--draws", type=int, default=4)
    p.add_argument("--out", type=Path, help="JSON file")
    a = p.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    critic = load_critic()
    out: dict[str, dict[str, dict[str, dict]]] = {}
    for length in a.lengths:
        found = drawn(length, a.n, a.draws, critic)
        rows = {"one draw": [own[0] for own in found]}
        for draws in (2, a.draws):
            for name, worth in (("critic", by_critic), ("bonds", by_bonds), ("both", by_both)):
                rows[f"{draws}, {name}"] = [
                    max(own[:draws], key=lambda one: worth(*one)) for own in found
                ]
        out[str(length)] = {}
        for name, kept in rows.items():
            row = cells(kept, critic.calibration)
            out[str(length)][name] = {key: asdict(cell) for key, cell in row.items()}
            text = "  ".join(
                f"{k} {c.value:.3f} ({c.low:.3f}-{c.high:.3f})" for k, c in row.items()
            )
            print(f"{length} {name:12} {text}", flush=True)
    if a.out:
        about = {"command": " ".join(sys.argv), "n": a.n}
        a.out.write_text(json.dumps(about | out, indent=1) + "\n")


if __name__ == "__main__":
    main()
