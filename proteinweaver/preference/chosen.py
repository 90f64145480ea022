"""The best designs of every plan as a structure set that the assembler can be trained on.

Reward-ranked fine-tuning (Dong et al. 2023, arXiv 2304.06767) is training on one's own best
samples. Where a search makes the samples it is expert iteration (Anthony et al. 2017, arXiv
1705.08439): what the search finds, the network learns to do by itself. Here the search finds how
given domains sit (`proteinweaver.evaluation.pose_finder`), the assembler draws the linkers, a
reward chooses, and the model that begins at noise learns the poses (docs/preference.md).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proteinweaver.data.archive import write_archive
from proteinweaver.data.build import chain_arrays
from proteinweaver.data.clusters import Clustering
from proteinweaver.data.split import ChainItem
from proteinweaver.data.store import SPLITS
from proteinweaver.errors import UserError
from proteinweaver.evaluation.samples import find_entries, read_sample
from proteinweaver.preference.candidates import Candidate
from proteinweaver.structure.backbone import Backbone
from proteinweaver.structure.biotite_adapter import annotate_sse

__all__ = ["best_of_plans", "write_designs"]


def best_of_plans(
    candidates: Iterable[Candidate], per_plan: int, least: float = 0.0
) -> list[Candidate]:
    """Choose the designs of highest score of every plan, of those that passed their checks.

    Parameters
    ----------
    candidates : iterable of Candidate
    per_plan : int
        At most so many of a plan.
    least : float, optional
        Designs of a lower score are not taken.

    Returns
    -------
    list of Candidate
        Plan by plan as they come, best first.
    """
    plans: dict[str, list[Candidate]] = defaultdict(list)
    for one in candidates:
        if one.passed and one.score.value >= least:
            plans[one.plan].append(one)
    ranked = (sorted(group, key=lambda one: -one.score.value) for group in plans.values())
    return [one for group in ranked for one in group[:per_plan]]


def write_designs(path: Path, chosen: Sequence[Candidate], provenance: Mapping[str, Any]) -> str:
    """Write designs as a structure set of chains with told domains, all for training.

    Parameters
    ----------
    path : Path
        The npz file, in the format of `proteinweaver.data.archive`; a plan is a cluster.
    chosen : sequence of Candidate
    provenance : mapping
        JSON types; how they were chosen.

    Returns
    -------
    str
        Hash of the file.

    Raises
    ------
    UserError
        If there is none, a design cannot be read, or the file cannot be written.
    """
    if not chosen:
        raise UserError(f"{path}: no design is good enough; nothing is written")
    names, plan = np.unique([one.plan for one in chosen], return_inverse=True)
    plans = Clustering(plan.astype(np.int32), plan.astype(np.int32), "plans")
    items = [_item(one) for one in chosen]
    split = np.full(len(items), SPLITS["train"], dtype=np.uint8)
    arrays = chain_arrays(items, plans, split) | _told_domains([one.backbone for one in items])
    told = {**provenance, "models": sorted({one.model for one in chosen}), "plans": len(names)}
    return write_archive(path, arrays, told)


def _item(one: Candidate) -> ChainItem:
    sample = read_sample(find_entries([Path(one.run) / one.file])[0][0])
    chain = sample.backbone
    if chain is None:
        raise UserError(f"{one.run}/{one.file}: {sample.error}")
    return ChainItem(
        name=f"{one.plan}/{one.name}",
        entry="",
        source="designs",
        kind="unknown",
        resolution=float("nan"),
        backbone=chain,
        sse=annotate_sse(chain.ca, chain.break_after),
    )


def _told_domains(chains: Sequence[Backbone]) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of chains whose domains are annotated."""
    domain = np.concatenate([chain.domain for chain in chains]).astype(np.uint8)
    number = np.array([len(set(c.domain[c.domain > 0].tolist())) for c in chains], np.uint8)
    return {
        "domain": domain,
        "domain_auto": domain,
        "boundaries": np.ones(len(chains), np.uint8),
        "boundaries_names": np.array(["auto", "told"]),
        "n_domains": number,
        "n_domains_auto": number,
    }
