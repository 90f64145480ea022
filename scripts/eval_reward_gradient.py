"""How far back the gradient of a soft reward reaches, and what weights make of that reward.

    python scripts/eval_reward_gradient.py [--weights round1/assembler.safetensors ...]

Pairs of domains of the valid split, fresh noise. Prints the norm of the gradient of a design by
the number K of calls it passes, then the rewards of designs of the shipped and of other weights;
writes benchmarks/reward-gradient.json.
"""

import argparse
import json
import os
import sys
from pathlib import Path

import numpy as np
import torch

from proteinweaver.data.store import StructureStore
from proteinweaver.diffusion.process import FrameProcess
from proteinweaver.errors import UserError
from proteinweaver.generation.condition import Piece, condition_for
from proteinweaver.generation.model import load_model
from proteinweaver.io.installation import weights_folder
from proteinweaver.nets.condition import Condition, stack_conditions
from proteinweaver.nets.denoiser import Denoiser
from proteinweaver.preference.reward_gradient import RewardGradientConfig, reward_of_samples

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = weights_folder() / "assembler.safetensors"
LINKER, SHORTEST, LONGEST = 10, 50, 75


def pairs_of_domains(folder: Path, count: int, seed: int) -> list[Condition]:
    """Draw pairs of whole domains, as the network is told of them."""
    store = StructureStore(folder / "domains.npz")
    lengths = store.lengths
    fitting = [i for i in store.members("valid") if SHORTEST <= lengths[i] <= LONGEST]
    chosen = np.random.default_rng(seed).permutation(fitting)[: 2 * count]
    found = []
    for first, second in chosen.reshape(-1, 2):
        one, two = (store.item(int(i)).coord for i in (first, second))
        start = len(one) + LINKER
        pieces = [Piece(0, one, "adapt"), Piece(start, two, "adapt")]
        found.append(condition_for(start + len(two), pieces))
    return found


def norm(net: Denoiser, process: FrameProcess, condition: Condition, last: int) -> float:
    """Norm of the gradient of the mean reward by all weights."""
    net.zero_grad()
    keys = [f"gradient/{k}" for k in range(len(condition.mask))]
    reward, _ = reward_of_samples(net, process, condition, keys, RewardGradientConfig(last=last))
    reward.mean().backward()
    return float(sum(p.grad.square().sum() for p in net.parameters() if p.grad is not None)) ** 0.5


@torch.no_grad()
def rewards(
    net: Denoiser, process: FrameProcess, conditions: list[Condition]
) -> dict[str, list[float]]:
    """Reward, contacts and overlap of one design of every pair."""
    rows: dict[str, list[float]] = {}
    for k, condition in enumerate(conditions):
        reward, figures = reward_of_samples(
            net, process, condition, [f"fresh/{k}"], RewardGradientConfig(last=1)
        )
        for name, value in {"reward": float(reward), **figures}.items():
            rows.setdefault(name, []).append(value)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("PROTEINWEAVER_DATA", ROOT.parent / "shared/data"),
    )
    parser.add_argument("--weights", type=Path, nargs="*", default=[])
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "-o", "--out", type=Path, default=ROOT / "benchmarks" / "reward-gradient.json"
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    conditions = pairs_of_domains(Path(args.data), args.pairs, args.seed)
    shipped = load_model(SHIPPED, device="cpu")
    two = stack_conditions(conditions[:2])
    norms = {k: norm(shipped.net, shipped.process, two, k) for k in (1, 2, 4, 8, 13)}
    for k, value in norms.items():
        print(f"K = {k:2d} of 13 calls: norm {value:.3g}", flush=True)
    compared = {}
    for path in (SHIPPED, *args.weights):
        model = load_model(path, device="cpu")
        name = "shipped" if path == SHIPPED else str(path)
        compared[name] = rewards(model.net, model.process, conditions)
        words = [f"{key} {np.mean(value):.3f}" for key, value in compared[name].items()]
        print(f"{name}: {', '.join(words)} (n = {len(conditions)})", flush=True)
    row = {"seed": args.seed, "pairs": args.pairs, "norms": norms, "designs": compared}
    args.out.write_text(json.dumps(row, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"eval_reward_gradient: {error}")
