"""How true the gradient of a soft reward is, by the number K of calls of the network it passes.

    python -m proteinweaver prefs RUN -o PAIRS.jsonl --margin 0 --same 1 --reward chain
    python scripts/eval_reward_gradient.py PAIRS.jsonl --out benchmarks/reward-gradient.json

The gradient leaves out what a call makes of a changed state beside keeping it
(`proteinweaver.diffusion.last_steps`), so what it foretells is put to the test: all weights take
one step along the sign of the mean gradient of ``--designs`` designs, of several lengths, and
others of the file are sampled and rewarded before and after, from the same noise. ``foretold`` is
the slope times the step; a gradient that is true, on a reward that is straight, gains as much.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from proteinweaver.errors import UserError
from proteinweaver.evaluation.intervals import mean_interval
from proteinweaver.generation.model import LoadedModel, load_model
from proteinweaver.io.installation import weights_folder
from proteinweaver.preference.pair_file import read_pairs
from proteinweaver.preference.rankings import RankingSource, rankings_of
from proteinweaver.preference.reward_gradient import RewardGradientConfig, reward_of_samples
from proteinweaver.preference.step import RankingBatch

SHIPPED = weights_folder() / "assembler.safetensors"
TOLD = ("reward", "soundness", "held_out", "overlap")


def rewarded(
    model: LoadedModel, batch: RankingBatch, config: RewardGradientConfig
) -> tuple[torch.Tensor, dict[str, float]]:
    """Reward of a design, and its figures."""
    reward, figures = reward_of_samples(
        model.net, model.process, batch.condition, batch.keys, config, batch.best
    )
    return reward.mean(), {"reward": float(reward.detach().mean()), **figures}


def gradients(
    model: LoadedModel, batches: list[RankingBatch], config: RewardGradientConfig
) -> torch.Tensor:
    """Gradient of the reward of every design by all weights, shape (n, weights)."""
    weights = list(model.net.parameters())
    rows = []
    for batch in batches:
        reward, _ = rewarded(model, batch, config)
        found = torch.autograd.grad(reward, weights, allow_unused=True, materialize_grads=True)
        rows.append(torch.cat([one.flatten() for one in found]))
    return torch.stack(rows)


@torch.no_grad()
def judged(
    model: LoadedModel, batches: list[RankingBatch], config: RewardGradientConfig
) -> dict[str, list[float]]:
    """Figures of every design."""
    rows = [rewarded(model, batch, config)[1] for batch in batches]
    return {name: [row[name] for row in rows] for name in TOLD}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", type=Path)
    parser.add_argument("--weights", type=Path, default=SHIPPED)
    parser.add_argument("--start", type=float, default=0.3)
    parser.add_argument("--num-steps", type=int, default=6)
    parser.add_argument("--calls", type=int, nargs="+", default=[1, 2, 3, 4, 7], help="K")
    parser.add_argument("--lengths", type=float, nargs="+", default=[1.2, 2.4, 4.8])
    parser.add_argument("--designs", type=int, default=24, help="give the gradient")
    parser.add_argument("--judged", type=int, default=48)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(args.weights, device="cpu")
    pairs = read_pairs(args.pairs, (model.sha256,)).pairs
    plans = sorted({str(pair.win["plan"]) for pair in pairs})
    apart = set(plans[::2])  # no set of domains both teaches and judges
    ours, theirs = (
        [pair for pair in pairs if (str(pair.win["plan"]) in apart) == mine]
        for mine in (True, False)
    )
    learn = RankingSource(args.pairs, rankings_of(ours, 2, 0), 1, args.seed)
    judge = RankingSource(args.pairs, rankings_of(theirs, 2, 0), 1, args.seed)
    teachers = [learn.batch(k) for k in range(args.designs)]
    judges = [judge.batch(k) for k in range(args.judged)]
    start = parameters_to_vector(model.net.parameters()).detach().clone()

    def config(last: int) -> RewardGradientConfig:
        return RewardGradientConfig(
            last, args.num_steps, args.start, contacts=0.0, soundness=1.0, drift=0.1
        )

    before = judged(model, judges, config(1))
    rows = []
    for last in args.calls:
        found = gradients(model, teachers, config(last))
        mean, norm = found.mean(0), float(found.norm(dim=1).median())
        for length in args.lengths:
            step = mean.sign() * length / len(mean) ** 0.5
            vector_to_parameters(start + step, model.net.parameters())
            after = judged(model, judges, config(1))
            gain = {
                name: mean_interval(
                    [b - a for a, b in zip(before[name], after[name], strict=True)]
                )
                for name in TOLD
            }
            row = {"calls": last, "norm": norm, "length": length, "foretold": float(mean @ step)}
            told = ", ".join(f"{n} {g.value:+.3f}" for n, g in gain.items())
            print(f"K {last}, step {length}: foretold {row['foretold']:+.3f}; {told}", flush=True)
            rows.append(row | {n: [g.value, g.low, g.high] for n, g in gain.items()})
        vector_to_parameters(start, model.net.parameters())
    if args.out:
        about = {"command": " ".join(sys.argv), "weights": model.sha256[:12]}
        args.out.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"eval_reward_gradient: {error}")
