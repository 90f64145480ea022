"""Fit the constants of the pose finder on native pairs of the train split.

    python scripts/fit_pose_finder.py

Writes `proteinweaver/evaluation/pose_finder.json`. One pair of every 40%-identity cluster, own
cluster left out of the stretches, in random order:

- *Linker law*: weights of residue types and torsions that make native poses likely under the
  mixture of Gaussians (15 degrees, 2.5 A) about the motions of 30,000 stretches, a twentieth of it
  uniform.
- *Pose score*: weights of `pose_score.TERMS` that raise the mean of exp(s) over poses near the
  native one (uniform in the ball of CA-RMSD d0) against that over poses drawn from the linker law
  and free of clashes. The logarithm of the ratio is bounded by 6, so pairs without an interface do
  not pull.

BLOSUM62 is Biotite's. Prints the gain on a fifth of the pairs that was left out of the fit.
"""

import argparse
import json
import math
import os
from pathlib import Path

import numpy as np
import torch
from biotite.sequence.align import SubstitutionMatrix
from torch import Tensor

from proteinweaver.evaluation.docking import SideChains, turned
from proteinweaver.evaluation.linker_law import (
    POSE_CONSTANTS,
    Motions,
    linker_motions,
    pose_constants,
)
from proteinweaver.evaluation.pose_finder import FinderSettings, draws, rigid_points
from proteinweaver.evaluation.pose_score import TERMS, Fields, pose_terms
from proteinweaver.evaluation.stretches import Stretches
from proteinweaver.evaluation.tasks import NativeTask, native_pairs
from proteinweaver.evaluation.tm import tm_d0

REPO = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("PROTEINWEAVER_DATA", REPO.parent / "shared" / "data"))
LETTERS = "ACDEFGHIKLMNPQRSTVWYX"
#: Where fitting begins; it decides which stretches are looked at.
START = {"types": [0.25, 0.25, 0.2], "torsions": [1.5, 1.5, 0.3, 0.3]}
KERNEL_DEGREES, KERNEL, UNIFORM, BALL = 15.0, 2.5, 0.05, 25.0
NEAR, FAR, BOUND, DECAY = 40, 800, 6.0, 0.02


def write(**constants: list[float]) -> None:
    """Write the constants and forget those read before."""
    matrix = SubstitutionMatrix.std_protein_matrix()
    place = [matrix.get_alphabet1().get_symbols().index(letter) for letter in LETTERS]
    blosum = matrix.score_matrix()[np.ix_(place, place)].tolist()
    content = {"about": "scripts/fit_pose_finder.py, train split", **constants, "blosum": blosum}
    POSE_CONSTANTS.write_text(json.dumps(content) + "\n", encoding="utf-8")
    pose_constants.cache_clear()


def hidden(task: NativeTask) -> np.ndarray:
    """Take the linker out of the native chain."""
    chain = np.array(task.coord, dtype=np.float64)
    chain[task.domain == 0] = np.nan
    return chain


def motions_of(stretches: Stretches, task: NativeTask) -> Motions:
    assert task.aatype is not None
    (linker,) = task.linkers
    return linker_motions(stretches, hidden(task), linker, task.aatype, without=task.cluster)


def misses(task: NativeTask, motions: Motions) -> Tensor:
    """Log-kernel between every motion and the native one, over a uniform law, shape (M,)."""
    pivot = task.coord[task.linkers[0][1], 1].astype(np.float64)
    trace = np.trace(motions.rot, axis1=1, axis2=2)
    angle = torch.as_tensor(np.arccos(((trace - 1) / 2).clip(-1, 1))).float()
    off = torch.as_tensor(np.linalg.norm(motions.rot @ pivot + motions.trans - pivot, axis=1))
    wide = math.radians(KERNEL_DEGREES)
    volume = math.log(8 * math.pi**2) + math.log(4 / 3 * math.pi * BALL**3)
    scale = -1.5 * math.log(2 * math.pi * wide**2) - 1.5 * math.log(2 * math.pi * KERNEL**2)
    return -0.5 * (angle / wide) ** 2 - 0.5 * (off.float() / KERNEL) ** 2 + scale + volume


def law_gain(weight: Tensor, terms: Tensor, kernel: Tensor) -> Tensor:
    """Log-likelihood of the native motions over a uniform law, shape (pairs,)."""
    found = torch.logsumexp(torch.log_softmax(terms @ weight, 1) + kernel, 1)
    uniform = torch.tensor(math.log(UNIFORM))
    return torch.logaddexp(found + math.log(1 - UNIFORM), uniform)


def fit_law(terms: Tensor, kernel: Tensor) -> Tensor:
    weight = torch.tensor([*START["types"], *START["torsions"]], requires_grad=True)
    adam = torch.optim.Adam([weight], lr=0.03)
    for _ in range(60):
        adam.zero_grad()
        (-law_gain(weight, terms, kernel).mean()).backward()
        adam.step()
    return weight.detach()


def near_native(
    fields: Fields, body: SideChains, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Poses uniform in the ball about the native one; those that clash least."""
    noise = torch.randn(2, 8 * NEAR, 3, generator=generator)
    wanted = torch.rand(8 * NEAR, generator=generator) ** (1 / 6) * float(tm_d0(len(body.ca)))
    centre = body.ca.mean(0)
    spin, slide = noise[0] * math.radians(10.0), noise[1] * 1.5
    native = rigid_points(body.ca, torch.eye(3)[None], torch.zeros(1, 3))
    for _ in range(4):  # RMSD is nearly, not quite, proportional to the motion
        rot = turned(spin)
        trans = centre - rot @ centre + slide
        ratio = wanted / (rigid_points(body.ca, rot, trans) - native).norm(dim=1)
        spin, slide = spin * ratio[:, None], slide * ratio[:, None]
    rot = turned(spin)
    trans = centre - rot @ centre + slide
    worst = (fields.overlap(body, rot, trans) - FinderSettings().overlap).clamp_min(0.0)
    best = worst.argsort(stable=True)[:NEAR]
    return rot[best], trans[best]


def contrast(
    stretches: Stretches, task: NativeTask, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Terms of poses near the native one and of poses that the linker law draws."""
    assert task.aatype is not None
    settings = FinderSettings(draws=10 * FAR)
    (one, two), ((_, stop),) = task.domains, task.linkers
    rot, trans = draws(
        motions_of(stretches, task), torch.as_tensor(task.coord[stop, 1]), settings, generator
    )
    if one[1] - one[0] < two[1] - two[0]:
        one, two, rot = two, one, rot.mT
        trans = -torch.einsum("pij,pj->pi", rot, trans)
    still, body = (SideChains.of(task.coord[a:b], task.aatype[a:b]) for a, b in (one, two))
    fields = Fields.of(still)
    native = rigid_points(body.ca, torch.eye(3)[None], torch.zeros(1, 3))
    away = (rigid_points(body.ca, rot, trans) - native).norm(dim=1)
    false = (away > 1.5 * float(tm_d0(len(body.ca)))) & (
        fields.overlap(body, rot, trans) < settings.overlap
    )
    far = pose_terms(fields, body, rot[false][:FAR], trans[false][:FAR])
    return pose_terms(fields, body, *near_native(fields, body, generator)), far


def score_gain(weight: Tensor, near: list[Tensor], far: list[Tensor]) -> Tensor:
    """Log of mean exp(s) near the native pose over that of the linker law, shape (pairs,)."""

    def mean(parts: list[Tensor]) -> Tensor:
        means = [torch.logsumexp(x @ weight, 0) - math.log(len(x)) for x in parts]
        return torch.stack(means)

    return mean(near) - mean(far)


def fit_score(near: list[Tensor], far: list[Tensor]) -> Tensor:
    scale = torch.cat(far).std(0) + 1e-3
    near, far = [x / scale for x in near], [x / scale for x in far]
    weight = torch.zeros(len(TERMS), requires_grad=True)
    adam = torch.optim.Adam([weight], lr=0.03)
    for _ in range(200):
        adam.zero_grad()
        gain = score_gain(weight, near, far)
        bounded = gain - torch.logaddexp(gain, torch.tensor(BOUND))
        (-bounded.mean() + DECAY * weight.square().sum() / len(near)).backward()
        adam.step()
    return weight.detach() / scale


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--law-pairs", type=int, default=120)
    parser.add_argument("--score-pairs", type=int, default=220)
    parser.add_argument("--most", type=int, default=520, help="residues of a pair")
    options = parser.parse_args()
    torch.set_num_threads(1)
    stretches = Stretches.of_chains(options.data / "chains.npz")
    pairs = native_pairs(options.data / "chains.npz", "train", options.most)
    by_cluster: dict[int, NativeTask] = {}
    for k in np.random.default_rng(1).permutation(len(pairs)):
        by_cluster.setdefault(pairs[k].cluster, pairs[k])
    tasks = list(by_cluster.values())

    write(**START, terms=[0.0] * len(TERMS))
    law = [(motions_of(stretches, task), task) for task in tasks[: options.law_pairs]]
    terms = torch.stack([torch.as_tensor(motions.terms) for motions, _ in law])
    kernel = torch.stack([misses(task, motions) for motions, task in law])
    cut = len(law) * 4 // 5
    held = law_gain(fit_law(terms[:cut], kernel[:cut]), terms[cut:], kernel[cut:])
    print(f"linker law: {held.mean():.2f} nats over a uniform law, {len(held)} pairs left out")
    weight = [round(value, 3) for value in fit_law(terms, kernel).tolist()]
    fitted = {"types": weight[:3], "torsions": weight[3:]}
    write(**fitted, terms=[0.0] * len(TERMS))

    near, far = [], []
    generator = torch.Generator().manual_seed(0)
    for number, task in enumerate(tasks[: options.score_pairs]):
        one, two = contrast(stretches, task, generator)
        if len(two) >= FAR // 5:
            near.append(one)
            far.append(two)
        if number % 20 == 0:
            print(f"{number} pairs", flush=True)
    cut = len(near) * 4 // 5
    held = score_gain(fit_score(near[:cut], far[:cut]), near[cut:], far[cut:])
    print(f"pose score: {held.mean():.2f} nats (median {held.median():.2f}), {len(held)} left out")
    write(**fitted, terms=[round(value, 4) for value in fit_score(near, far).tolist()])
    print(f"{len(law)} pairs for the law, {len(near)} for the score; written to {POSE_CONSTANTS}")


if __name__ == "__main__":
    main()
