"""From a trained soundness run to the shipped critic: averaged weights, calibration, threshold.

    python scripts/export_critic.py SOUND/last.ckpt --sequence SEQ/last.ckpt --negatives NEG

Calibration (Platt, by maximum likelihood) and threshold come from the valid split alone: its
domains and chains, the controls and the negatives that passed the gate. The threshold is the
soundness that 95% of the native domains and chains exceed.
"""

import argparse
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize

from proteinweaver.data.negative_sets import NegativeSet
from proteinweaver.data.soundness_batches import chain_target
from proteinweaver.data.store import StructureStore
from proteinweaver.evaluation.critic import Calibration, TrainedCritic, soundness_of
from proteinweaver.io.installation import versions
from proteinweaver.io.typed import build, plain
from proteinweaver.io.weights import save_weights
from proteinweaver.nets.critic import Critic, CriticConfig
from proteinweaver.structure.backbone import Backbone
from proteinweaver.training.critic_run import critic_state

REPO = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("PROTEINWEAVER_DATA", REPO.parent / "shared" / "data"))
SHARE = 0.95


def natives(store: StructureStore, split: str, most: int) -> list[Backbone]:
    """Backbones of a split, up to ``most`` residues, with their sequences."""
    chosen = [k for k in store.members(split) if store.lengths[k] <= most]
    out = []
    for k in chosen:
        item = store.item(int(k))
        first = int(store.arrays["offsets"][k])
        aatype = store.arrays["aatype"][first : first + len(item)]
        out.append(
            Backbone.from_coord(
                item.coord, aatype=aatype, break_after=item.break_after, name=item.name
            )
        )
    return out


def platt(logit: np.ndarray, target: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    """Slope and offset that make the targets most probable."""

    def loss(x: np.ndarray) -> float:
        z = x[0] * logit + x[1]
        return float((weight * (np.logaddexp(0.0, z) - target * z)).sum() / weight.sum())

    found = minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead").x
    return float(found[0]), float(found[1])


def calibrated(critic: TrainedCritic, data: Path, negatives: NegativeSet) -> Calibration:
    """Calibration and threshold on the valid split."""
    real = [
        chain
        for name in ("domains", "chains")
        for chain in natives(StructureStore(data / f"{name}.npz"), "valid", 800)
    ]
    made = [negatives.item(k) for k in range(len(negatives))]
    wrong = [Backbone.from_coord(m.coord, break_after=m.break_after, name=m.kind) for m in made]
    always = [True] * (len(real) + len(wrong))
    logit = np.array([s.logit for s in soundness_of(real + wrong, critic, always)])
    target = np.array([1.0] * len(real) + [chain_target(m) for m in made])
    # natives and negatives count alike
    weight = np.where(target > 0.5, 0.5 / (target > 0.5).mean(), 0.5 / (target <= 0.5).mean())
    slope, offset = platt(logit, target, weight)
    law = Calibration(slope, offset)
    threshold = float(np.quantile(law.probability(logit[: len(real)]), 1.0 - SHARE))
    return replace(law, threshold=round(threshold, 4))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument(
        "--sequence", type=Path, required=True, help="checkpoint of the sequence head"
    )
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--negatives", type=Path, required=True, help="folder of the sets")
    parser.add_argument("-o", "--out", type=Path, default=REPO / "proteinweaver" / "weights")
    options = parser.parse_args()
    torch.set_num_threads(1)
    state, card = critic_state(options.checkpoint)
    runs = {card["head"]: card}
    other, runs["sequence"] = critic_state(options.sequence)
    of_soundness = ("judging.", "branches.")
    state = {k: v for k, v in state.items() if k.startswith(of_soundness)}
    state |= {k: v for k, v in other.items() if not k.startswith(of_soundness)}
    state = {key: value.half() for key, value in state.items()}
    config = build(CriticConfig, card["critic"], "checkpoint: critic")
    net = Critic(config)
    net.load_state_dict(state)
    critic = TrainedCritic(net.eval().requires_grad_(False), Calibration(), "")
    law = calibrated(
        critic, options.data, NegativeSet.read(options.negatives / "negatives-valid.npz")
    )
    keys = ("seed", "step", "residues", "minutes", "command", "data")
    meta = {
        "stage": "critic",
        "runs": {head: {key: run.get(key) for key in keys} for head, run in runs.items()},
        "parameters": sum(value.numel() for value in state.values()),
        "dtype": "float16",
        "versions": versions(),
    }
    sha256 = save_weights(
        options.out, "critic", state, {"critic": plain(config), "calibration": plain(law)}, meta
    )
    print(f"{options.out / 'critic.safetensors'}: {sha256[:12]}, {law}")


if __name__ == "__main__":
    main()
