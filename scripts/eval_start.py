"""Tell from how much noise the domain generator finds back to a sound fold.

    python scripts/eval_start.py --data DIR [-n 32] [--times 0.2 0.3 0.4 0.5 0.6 0.8 1]

Domains of a split (90 to 130 residues, one per sequence cluster) are noised to a time and
denoised, their elements told, then closed; so are chains laid out from the marks of the same
natives (`proteinweaver.nets.coarse`), as if the layout model had found them. Printed for each:
TM-score to the native, soundness and share that passes the critic. At time 1 nothing of the native
is left but its secondary structure. The row of a time shows what is decided above it: where
soundness falls is where the generator goes wrong.
"""

import argparse
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from proteinweaver.data.batches import condition_of_task
from proteinweaver.data.pieces import elements_task
from proteinweaver.data.store import StructureItem, StructureStore
from proteinweaver.evaluation.critic import load_critic, soundness_of
from proteinweaver.evaluation.intervals import mean_interval, share_interval
from proteinweaver.evaluation.tm import tm_score
from proteinweaver.generation.domain_stage import close_domains
from proteinweaver.generation.model import LoadedModel, load_model
from proteinweaver.generation.sampling import NoiseKey, Start, sample_backbones
from proteinweaver.generation.settings import domain_sampler
from proteinweaver.generation.weave import check_sampler
from proteinweaver.nets.coarse import laid_out, marks
from proteinweaver.structure.backbone import Backbone
from proteinweaver.structure.frames import frames_from_coord

REPO = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("PROTEINWEAVER_DATA", REPO.parent / "shared" / "data"))
SHORTEST, LONGEST = 90, 130


def natives(
    data: Path, split: str, number: int, shortest: int = SHORTEST, longest: int = LONGEST
) -> Iterator[StructureItem]:
    store = StructureStore(data / "domains.npz")
    members = np.random.default_rng(0).permutation(store.members(split))
    seen: set[int] = set()
    for k in members.tolist():
        cluster = int(store.arrays["cluster40"][k])
        if shortest <= store.lengths[k] <= longest and cluster not in seen and len(seen) < number:
            seen.add(cluster)
            yield store.item(k)


def denoised(
    model: LoadedModel, item: StructureItem, t: float, number: int, from_marks: bool
) -> np.ndarray:
    condition = condition_of_task(item, elements_task(item, np.random.default_rng(number)))
    coord = torch.from_numpy(item.coord)
    rot, trans = frames_from_coord(coord)
    if from_marks:
        rows = marks(condition)
        rot, trans = laid_out(condition, rows, rot[rows], trans[rows])
    start = Start(rot[None], (trans - trans.mean(0))[None], t) if t < 1 else None
    usual = check_sampler(domain_sampler())
    sampling = replace(usual, num_steps=max(1, round(t * usual.num_steps)))
    key = NoiseKey(0, "start", number)
    return sample_backbones(model, condition, [key], sampling, start=start).coord[0].numpy()


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--data", type=Path, default=DATA)
    p.add_argument("--split", default="valid", choices=("train", "valid"))
    p.add_argument("-n", type=int, default=32)
    p.add_argument("--times", type=float, nargs="+", default=(0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0))
    p.add_argument("--weights", type=Path, help="folder; default: the shipped ones")
    a = p.parse_args()
    model, critic = load_model("domain", a.weights, "cpu"), load_critic()
    items = list(natives(a.data, a.split, a.n))
    print(f"{len(items)} domains of the {a.split} split; domain weights {model.sha256[:12]}")

    def show(name: str, chains: list[np.ndarray]) -> None:
        tm = [tm_score(x[:, 1], i.coord[:, 1]) for x, i in zip(chains, items, strict=True)]
        found = soundness_of([Backbone.from_coord(x) for x in chains], critic)
        sound = mean_interval([f.soundness for f in found])
        passing = share_interval([f.passed for f in found])
        print(
            f"{name:24} TM {np.mean(tm):.2f}  soundness {sound.value:.2f}"
            f"  pass {passing.value:.2f} ({passing.low:.2f}-{passing.high:.2f})",
            flush=True,
        )

    show("native", [item.coord for item in items])
    show("native, closed", close_domains([item.coord for item in items]))
    for from_marks in (False, True):
        for t in a.times:
            if from_marks and t >= 1:
                continue
            chains = [denoised(model, x, t, k, from_marks) for k, x in enumerate(items)]
            show(f"{'marks' if from_marks else 'native'}, t = {t:g}", close_domains(chains))


if __name__ == "__main__":
    main()
