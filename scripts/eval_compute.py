"""Quality against compute: earlier legs of the shipped domain generator, each with its own decay.

    python scripts/eval_compute.py --data DIR -n 64 --out benchmarks/compute.json

Weights of earlier legs are read from the project's history (``git show REV:...``), so this needs a
clone with its history; ``--also FOLDER=MILLIONS`` adds weights of one's own, such as a run from
nothing, that saw so many million residues. For every leg: residues seen, held-out loss of the
present recipe on the same batches, and, of ``-n`` domains of one length generated with the present
layouts and settings from the same seeds, one draw each, the share that passes the critic,
long-range hydrogen bonds and loops. Through the losses goes ``floor + scale * residues ** -power``
(least squares), which says what more training would buy, within the network and the data at hand.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import least_squares

from proteinweaver.data.batches import BatchSource
from proteinweaver.data.store import StructureStore
from proteinweaver.evaluation.critic import load_critic, soundness_of
from proteinweaver.evaluation.geometry import chain_metrics
from proteinweaver.evaluation.intervals import mean_interval, share_interval
from proteinweaver.generation.commands import generate
from proteinweaver.generation.config import GenerateConfig
from proteinweaver.training.checkpoints import initial_state
from proteinweaver.training.config import TrainConfig
from proteinweaver.training.recipes import held_out, mixtures
from proteinweaver.training.tasks import held_out_rows

REPO = Path(__file__).resolve().parents[1]
SHIPPED = REPO / "proteinweaver" / "weights"
#: Leg: revision that shipped it, million residues seen (docs/training.md).
LEGS = {
    7: ("06580ab", 16.02),
    8: ("589fc2b", 20.25),
    9: ("7834f94", 27.13),
    10: ("9786c92", 35.08),
}


def fetched(source: str | Path, folder: Path) -> Path:
    """Weights folder with the domain generator of a revision, or a folder's, and the layouts."""
    folder.mkdir(parents=True)
    for name in ("domain.safetensors", "domain.json"):
        if isinstance(source, Path):
            (folder / name).symlink_to((source / name).resolve())
            continue
        found = subprocess.run(
            ["git", "show", f"{source}:proteinweaver/weights/{name}"],
            cwd=REPO, check=True, capture_output=True,
        )  # fmt: skip
        (folder / name).write_bytes(found.stdout)
    for name in ("layout.safetensors", "layout.json"):
        (folder / name).symlink_to(SHIPPED / name)
    return folder


def losses(weights: Path, a: argparse.Namespace) -> np.ndarray:
    """Held-out loss of every batch, shape (batches,)."""
    state, model = initial_state(str(weights / "domain.safetensors"))
    config = TrainConfig(stage="domain", out="", model=model)
    stores = {"domains": StructureStore(a.data / "domains.npz")}
    source = BatchSource(stores, held_out(mixtures("domain")), "valid", 1900, 1)
    return held_out_rows(config, state, source, a.batches)["total"]


def quality(weights: Path, a: argparse.Namespace) -> dict[str, list[float]]:
    """Pass, long-range hydrogen bonds and loops of generated domains, one number each."""
    critic = load_critic(SHIPPED / "critic.safetensors")
    request = GenerateConfig(
        length=a.length,
        n=a.n,
        seed=a.seed,
        weights=str(weights),
        domain_candidates=1,  # else the critic, which judges here, would have chosen
    )
    made = [design.backbone for design in generate(request).designs]
    found = soundness_of(made, critic)
    shape = [chain_metrics(one.coord, one.break_after) for one in made]
    return {
        "soundness": [one.soundness for one in found],
        "pass": [float(one.passed) for one in found],
    } | {name: [float(getattr(one, name)) for one in shape] for name in ("hb_long", "coil")}


def trend(residues: np.ndarray, loss: np.ndarray) -> tuple[float, float, float]:
    """Floor, scale and power of ``floor + scale * residues ** -power`` (million residues)."""

    def off(x: np.ndarray) -> np.ndarray:
        return x[0] + np.exp(x[1]) * residues ** -np.exp(x[2]) - loss

    start = np.array([loss.min() - 0.1, np.log(loss[0] - loss[-1] + 0.1), np.log(0.5)])
    floor, scale, power = least_squares(off, start).x
    return float(floor), float(np.exp(scale)), float(np.exp(power))


def arguments() -> argparse.Namespace:
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--data", type=Path, default=REPO.parent / "shared" / "data")
    p.add_argument("-n", type=int, default=64, help="domains of every leg")
    p.add_argument("--length", type=int, default=100)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--batches", type=int, default=24)
    p.add_argument("--also", nargs="+", default=[], metavar="FOLDER=MILLIONS")
    p.add_argument("--out", type=Path, help="JSON file")
    return p.parse_args()


def main() -> None:
    a = arguments()
    torch.set_num_threads(1)
    legs: dict[str, tuple[str | Path, float]] = {}
    for text in a.also:
        place, _, seen = text.rpartition("=")
        legs[Path(place).name] = (Path(place), float(seen))
    legs |= {str(leg): known for leg, known in LEGS.items()}
    rows = []
    print("| leg | M residues | held-out loss | passes | soundness | hbLR | coil |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for leg, (source, seen) in legs.items():
            weights = fetched(source, Path(folder) / leg)
            loss, made = losses(weights, a), quality(weights, a)
            passed = share_interval(made["pass"])
            cells = [f"{passed.value:.2f} ({passed.low:.2f}-{passed.high:.2f})"]
            for name in ("soundness", "hb_long", "coil"):
                found = mean_interval(made[name])
                cells.append(f"{found.value:.3f} ({found.low:.3f}-{found.high:.3f})")
            print(
                f"| {leg} | {seen:g} | {loss.mean():.3f} | " + " | ".join(cells) + " |", flush=True
            )
            rows.append({"leg": leg, "residues": seen, "loss": loss.tolist(), **made})
    seen = np.array([row["residues"] for row in rows])
    mean = np.array([np.mean(row["loss"]) for row in rows])
    floor, scale, power = trend(seen, mean)
    print(f"loss = {floor:.3f} + {scale:.3f} (million residues)^-{power:.2f}")
    for more in (2, 4, 8):
        print(f"{more} x the residues: {floor + scale * (more * seen[-1]) ** -power:.3f}")
    if a.out:
        asked = {key: str(value) for key, value in vars(a).items()}
        found = {"asked": asked, "rows": rows, "floor": floor, "scale": scale, "power": power}
        a.out.write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
