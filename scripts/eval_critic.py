"""The critic on the test split: sequences, negatives, distortions, generated sets, reliability.

    python scripts/eval_critic.py --negatives NEG --out benchmarks/critic-test.json
    python scripts/eval_critic.py --negatives NEG --set ours=runs/designs

Natives: domains of the test split that pass the geometry gate; for wrong poses, the same pairs of
domains in their native pose; for inverted chains, which are made of helical domains, those.
Negatives: those of ``negatives-test.npz`` (they passed the gate);
distorted ones from 2 degrees on, against natives and against the same natives relaxed in the same
way without distortion (0 degrees). The baseline is a logistic regression on the columns of
`proteinweaver.evaluation.geometry.ChainMetrics`, fitted to what the critic was trained on:
natives, controls and negatives of the train split, without the kind that it never saw; the gain is
the difference of the areas under the ROC curve. Intervals: 95%, bootstrap over the natives that
backbones come from, so that five poses of one pair of domains count as one. Published sets stand
beside natives of similar length.
"""

import argparse
import json
import os
import sys
from dataclasses import asdict, fields
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from export_critic import natives

from proteinweaver.data.hard_negatives import is_helical
from proteinweaver.data.negative_sets import NegativeSet
from proteinweaver.data.soundness_batches import chain_target
from proteinweaver.data.store import StructureStore
from proteinweaver.evaluation.critic import Soundness, TrainedCritic, load_critic, soundness_of
from proteinweaver.evaluation.gate import passes_gate
from proteinweaver.evaluation.geometry import ChainMetrics, chain_metrics
from proteinweaver.evaluation.intervals import Interval, mean_interval, share_interval
from proteinweaver.evaluation.ranking import (
    LogisticRegression,
    auroc_gain,
    auroc_interval,
    fit_logistic,
)
from proteinweaver.evaluation.sequence import design_sequences, sequence_nats
from proteinweaver.evaluation.sets import load_set
from proteinweaver.structure.backbone import Backbone

REPO = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("PROTEINWEAVER_DATA", REPO.parent / "shared" / "data"))
PUBLISHED = {
    "RFdiffusion L150": "rfdiffusion_L150",
    "RFdiffusion binders": "rfdiffusion_binders_A",
    "FrameDiff": "framediff_published",
    "demo L200": "scafflab_demo_L200",
}
COLUMNS = [f.name for f in fields(ChainMetrics) if f.name != "length"]
BARS = {"distorted": 0.85, "glued": 0.90, "joined": 0.90, "posed": 0.75}
ROWS = ("glued", "joined", "mirrored", "inverted", "swapped", "posed")
WRONG_FROM, CONTROL = 2.0, 0.5  # degrees
POOL = 600  # natives that the baseline is fitted to


def short(cell: Interval) -> str:
    return f"{cell.value:.3f} ({cell.low:.3f}-{cell.high:.3f}, n {cell.n})"


def backbones(made: NegativeSet) -> list[Backbone]:
    items = [made.item(k) for k in range(len(made))]
    return [
        Backbone.from_coord(m.coord, break_after=m.break_after, name=f"{m.kind}_{k}")
        for k, m in enumerate(items)
    ]


def measured(chains: list[Backbone]) -> list[ChainMetrics]:
    return [chain_metrics(chain.coord, chain.break_after) for chain in chains]


def table(rows: list[ChainMetrics]) -> np.ndarray:
    return np.array([[getattr(row, name) for name in COLUMNS] for row in rows], dtype=float)


def sequence_report(critic: TrainedCritic, store: StructureStore, split: str) -> dict[str, object]:
    """Recovery and perplexity by chain, beside the composition of the train split."""
    chains = [c for c in natives(store, split, 400) if (c.aatype < 20).all()]
    told = [sequence_nats(chain, critic=critic) for chain in chains]
    nats = np.array([value.mean() for value, _ in told])
    drawn = [design_sequences(chain, 1, critic=critic)[0].sequence for chain in chains]
    same = [
        np.mean([a == b for a, b in zip(new, chain.sequence, strict=True)])
        for new, chain in zip(drawn, chains, strict=True)
    ]
    rows = np.isin(np.repeat(np.arange(len(store)), store.lengths), store.members("train"))
    share = np.bincount(store.arrays["aatype"][rows], minlength=21)[:20].astype(float)
    share /= share.sum()
    plain = np.array([-np.log(share[chain.aatype]).mean() for chain in chains])

    def perplexity(values: np.ndarray) -> Interval:
        cell = mean_interval(values)
        return Interval(*(float(np.exp(x)) for x in (cell.value, cell.low, cell.high)), cell.n)

    cells = {
        "recovery, designed at T 0.1": mean_interval(same),
        "recovery, native context": mean_interval([right.mean() for _, right in told]),
        "recovery, always the most frequent": mean_interval(
            [(chain.aatype == share.argmax()).mean() for chain in chains]
        ),
        "perplexity": perplexity(nats),
        "perplexity of the composition": perplexity(plain),
    }
    return {name: asdict(cell) for name, cell in cells.items()}


def baseline(data: Path, folder: Path, without: str) -> LogisticRegression:
    """Logistic regression on geometry columns, fitted to the train split."""
    rng = np.random.default_rng(0)
    store = StructureStore(data / "domains.npz")
    members = store.members("train")
    chosen = rng.choice(members, size=POOL, replace=False, p=store.weights(members))
    real = [chain_metrics(store.item(int(k)).coord) for k in chosen]
    made = NegativeSet.read(folder / "negatives-train.npz")
    kinds, sizes = made.arrays["kind"], made.arrays["size"]
    pairs = np.flatnonzero((kinds == "paired") | ((kinds == "distorted") & (sizes <= CONTROL)))
    wrong = np.flatnonzero(~np.isin(kinds, ["distorted", "paired", *without.split(",")]))
    wrong = np.append(wrong, np.flatnonzero((kinds == "distorted") & (sizes >= WRONG_FROM)))
    every = backbones(made)
    rows = [*real, *measured([every[k] for k in pairs])]
    target = np.array([True] * len(rows) + [False] * len(wrong))
    return fit_logistic(table([*rows, *measured([every[k] for k in wrong])]), target)


def against(
    name: str,
    good: list[int],
    bad: list[int],
    judged: list[Soundness],
    plain: np.ndarray,
    threshold: float,
    sources: np.ndarray,
) -> dict[str, object]:
    """One line of the table of negatives."""
    score = np.array([found.logit for found in judged])
    own = (sources[good], sources[bad])
    area = auroc_interval(score[good], score[bad], sources=own)
    gain = auroc_gain(score[good], score[bad], plain[good], plain[bad], sources=own)
    lone = auroc_interval(plain[good], plain[bad], sources=own)
    through = np.array([judged[k].soundness >= threshold for k in bad])
    passed = mean_interval([through[own[1] == name].mean() for name in np.unique(own[1])])
    bar = BARS.get(name.split(",")[0], 0.75)
    level = "met" if area.value >= bar else "NOT met"
    verdict = f"{level}, {'above' if gain.low > 0 else 'NOT above'} the columns"
    print(
        f"{name:24s} AUROC {short(area)}  columns {short(lone)}  gain {short(gain)}"
        f"  pass {short(passed)}  bar {bar} {verdict}"
    )
    cells = {"auroc": area, "columns": lone, "gain": gain, "passed": passed}
    return {key: asdict(cell) for key, cell in cells.items()} | {"bar": bar, "verdict": verdict}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--negatives", type=Path, required=True)
    parser.add_argument("--critic", type=Path, help="default: the shipped one")
    parser.add_argument("--split", default="test", choices=("valid", "test"))
    parser.add_argument("--without", default="swapped", help="kinds the critic never saw")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--no-sequences", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    critic = load_critic(options.critic)
    threshold = critic.calibration.threshold
    store = StructureStore(options.data / "domains.npz")
    report: dict[str, object] = {"command": " ".join(sys.argv), "critic_sha256": critic.sha256}
    if not options.no_sequences:
        report["sequences"] = sequence_report(critic, store, options.split)
        for name, cell in report["sequences"].items():
            print(f"{name:36s} {short(Interval(**cell))}", flush=True)

    real = natives(store, options.split, 320)
    real = [c for c, m in zip(real, measured(real), strict=True) if passes_gate(m)]
    made = NegativeSet.read(options.negatives / f"negatives-{options.split}.npz")
    every = [*real, *backbones(made)]
    judged = soundness_of(every, critic, [True] * len(every))
    plain = baseline(options.data, options.negatives, options.without).score(
        table(measured(every))
    )
    kinds = np.array(["native"] * len(real) + made.arrays["kind"].tolist())
    sizes = np.append(np.zeros(len(real)), made.arrays["size"])
    # chains made of many natives are a source each
    sources = [chain.name for chain in real]
    sources += [
        f"many {k}" if name == "many" else name
        for k, name in enumerate(made.arrays["source"].tolist())
    ]
    # torsion-space kinds are up to 180 residues long, so are their natives
    lengths = np.array([len(chain) for chain in every])
    domains = np.flatnonzero((kinds == "native") & (lengths >= 50) & (lengths <= 180)).tolist()
    bent = np.flatnonzero((kinds == "distorted") & (sizes >= WRONG_FROM)).tolist()
    good = {
        "inverted": [k for k in domains if is_helical(every[k].coord)],
        "posed": np.flatnonzero(kinds == "paired").tolist(),
        "distorted, relaxed alike": np.flatnonzero((kinds == "distorted") & (sizes == 0)).tolist(),
    }
    rows = {
        "distorted": bent,
        "distorted, relaxed alike": bent,
        **{kind: np.flatnonzero(kinds == kind).tolist() for kind in ROWS if (kinds == kind).any()},
    }
    print(f"\nthreshold {threshold}; kinds never seen: {options.without}")
    report["negatives"] = {
        kind: against(
            kind,
            good.get(kind, domains),
            bad,
            judged,
            plain,
            threshold,
            np.array(sources),
        )
        for kind, bad in rows.items()
    }
    sound = np.array([found.soundness for found in judged])
    print("\nsoundness by size of distortion (degrees)")
    report["distortion"] = {}
    for size in np.unique(sizes[kinds == "distorted"]).tolist():
        chosen = (kinds == "distorted") & (sizes == size)
        area = auroc_interval(
            [judged[k].logit for k in domains], [judged[k].logit for k in np.flatnonzero(chosen)]
        )
        cell = mean_interval(sound[chosen])
        logit = mean_interval([judged[k].logit for k in np.flatnonzero(chosen)])
        print(f"{size:5g}  soundness {short(cell)}  logit {short(logit)}  AUROC {short(area)}")
        report["distortion"][str(size)] = {
            "soundness": asdict(cell), "logit": asdict(logit), "auroc": asdict(area)
        }  # fmt: skip

    native = np.flatnonzero(kinds == "native")
    report["natives"] = {
        "passed": asdict(share_interval(sound[native] >= threshold)),
        "soundness": asdict(mean_interval(sound[native])),
    }
    print(f"\nnatives above the threshold: {short(share_interval(sound[native] >= threshold))}")

    target = np.array([1.0] * len(real) + [chain_target(made.item(k)) for k in range(len(made))])
    print("\nreliability: soundness, share of natives")
    weight = np.where(target > 0.5, 0.5 / (target > 0.5).mean(), 0.5 / (target <= 0.5).mean())
    report["reliability"] = []
    edges = np.linspace(0, 1, 11)
    error = 0.0
    for low, high in pairwise(edges.tolist()):
        inside = (sound >= low) & ((sound < high) | (high == 1))
        if inside.any():
            said = float(np.average(sound[inside], weights=weight[inside]))
            true = float(np.average(target[inside], weights=weight[inside]))
            error += float(weight[inside].sum() / weight.sum()) * abs(said - true)
            report["reliability"].append({"said": said, "true": true, "n": int(inside.sum())})
            print(f"{said:.3f}  {true:.3f}  n {inside.sum()}")
    report["calibration_error"] = error
    print(f"expected calibration error {error:.3f}")

    print("\ngenerated and published sets, against natives of similar length")
    report["sets"] = {}
    paths = {name: options.data / "published" / folder for name, folder in PUBLISHED.items()}
    paths |= dict(text.split("=", 1) for text in options.set)
    for name, path in paths.items():
        chains = [chain for chain in load_set(path) if chain.is_finite]
        found = soundness_of(chains, critic)
        low, high = 0.75 * min(map(len, chains)), 1.25 * max(map(len, chains))
        beside = [k for k in native if low <= lengths[k] <= high]
        area = auroc_interval([judged[k].logit for k in beside], [entry.logit for entry in found])
        passed = share_interval([entry.passed for entry in found])
        level = mean_interval([entry.soundness for entry in found])
        print(f"{name:22s} AUROC {short(area)}  soundness {short(level)}  pass {short(passed)}")
        report["sets"][name] = {
            "auroc": asdict(area), "soundness": asdict(level), "passed": asdict(passed)
        }  # fmt: skip
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
