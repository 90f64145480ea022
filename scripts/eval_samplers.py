"""Quality of raw domains against sampler and number of steps, with the shipped self-conditioning.

    python scripts/eval_samplers.py -n 10 -o benchmarks/sampler-quality.json

The study of the model (`proteinweaver study model`) follows the exact flow of a pure field; this
table says what the same samplers give where the network sees its previous estimate. Domains of
one length from the same noise and blueprints for every row, before closing; means with 95 %
bootstrap intervals over designs.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from proteinweaver.generation.domain_stage import DomainRequest, sample_domains
from proteinweaver.generation.model import load_model
from proteinweaver.generation.quality import judge
from proteinweaver.generation.sampling import Sampling
from samplers.noise import NoiseKey

ROWS = (("ddim", 20), ("expab2_x0", 20), ("unipc2_x0", 20), ("ddim", 40), ("expab2_x0", 40))
MEASURES = ("ca_ok", "cn_ok", "clash_36", "rama_ok", "hb", "hb_long", "rg_ratio")


def interval(values):
    """Mean and bootstrap interval."""
    draws = np.random.default_rng(0).choice(values, (2000, len(values)))
    low, high = np.quantile(draws.mean(-1), (0.025, 0.975))
    return {"mean": round(float(np.mean(values)), 4), "low": round(low, 4), "high": round(high, 4)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", type=int, default=10, help="designs per row")
    parser.add_argument("--length", type=int, default=80)
    parser.add_argument("--step-scale", type=float, default=2.0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("-o", "--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model("domain", device=options.device)
    rows = []
    for sampler, steps in ROWS:
        keys = [NoiseKey(0, "q", k, "domain1") for k in range(options.n)]
        sampling = Sampling(num_steps=steps, sampler=sampler, step_scale=options.step_scale)
        drawn = sample_domains(
            model, [DomainRequest(options.length, key) for key in keys], sampling, close=False
        )
        found = [judge(sample.coord).metrics for sample in drawn]
        measured = {name: interval([m[name] for m in found]) for name in MEASURES}
        rows.append({"sampler": sampler, "steps": steps, **measured})
        shown = "  ".join(f"{k} {v['mean']:.3f}" for k, v in measured.items())
        print(f"{sampler:10} {steps:3}  {shown}", flush=True)
    record = {"weights": model.sha256[:12], "n": options.n, "length": options.length, "rows": rows}
    options.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
