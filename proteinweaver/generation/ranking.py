"""The ranked list of a run: passed before failed, distinct poses before repeats.

Two designs of a job have the same pose if, for every two domains that follow one another in the
request, the smaller one lies in the same place after superposing the larger: TM-score of the
smaller domain of 0.8 or more. (The TM-score of the whole chain is carried by its largest domain.)
Designs are taken by score; the first of each pose leads a cluster, and leaders stand before all
others, so the top k of a list are k different answers.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proteinweaver.evaluation.tm import tm_after_superposing
from proteinweaver.io.read import read_backbone
from proteinweaver.io.run_folder import read_manifest

__all__ = ["SAME_POSE", "Pose", "clusters", "pose_similarity", "ranked_rows"]

#: TM-score of the smaller domain from which on two poses are the same.
SAME_POSE = 0.8
_COLUMNS = ("name", "job", "index", "seed", "length", "passed", "score", "total_s")


@dataclass(frozen=True)
class Pose:
    """Where the domains of a design lie.

    Parameters
    ----------
    job : str
        Only designs of one job are compared.
    domains : tuple of ndarray, shape=(n, 3)
        CA positions of every domain in angstrom, in the order of the request.
    """

    job: str
    domains: tuple[NDArray[np.float64], ...]

    @property
    def kind(self) -> tuple[Any, ...]:
        """Designs of one kind have corresponding residues."""
        return (self.job, *(len(part) for part in self.domains))


def pose_similarity(one: Pose, two: Pose) -> float:
    """TM-score of the smaller of two domains after superposing the larger, least over neighbours.

    Parameters
    ----------
    one, two : Pose

    Returns
    -------
    float
        1 for the same pose; 0 for designs that cannot be compared.
    """
    if one.kind != two.kind or len(one.domains) < 2:
        return 0.0
    found = []
    for k, n in pairwise(range(len(one.domains))):
        large, small = sorted((k, n), key=lambda d: -len(one.domains[d]))
        x = np.concatenate((one.domains[large], one.domains[small]))
        y = np.concatenate((two.domains[large], two.domains[small]))
        on = np.arange(len(x)) < len(one.domains[large])
        found.append(tm_after_superposing(x, y, on, ~on))
    return min(found)


def clusters(poses: Sequence[Pose], least: float = SAME_POSE) -> list[int]:
    """Leader clustering in the order given.

    Parameters
    ----------
    poses : sequence of Pose
        Best first.
    least : float
        Similarity to a leader from which on a design belongs to it.

    Returns
    -------
    list of int
        Position of the leader of every design.
    """
    leaders: list[int] = []
    owner = []
    for place, pose in enumerate(poses):
        same = (lead for lead in leaders if pose_similarity(poses[lead], pose) >= least)
        lead = next(same, place)
        if lead == place:
            leaders.append(place)
        owner.append(lead)
    return owner


def ranked_rows(path: Path) -> list[dict[str, Any]]:
    """Rows of ``metrics.csv``: all designs of a run folder, best first.

    Parameters
    ----------
    path : Path
        The run folder.

    Returns
    -------
    list of dict
        ``rank``, ``cluster`` (rank of the design that leads its pose), then the manifest's
        columns and metrics.
    """
    lines = [line for line in read_manifest(path).values() if line.get("status") == "ok"]
    lines.sort(key=lambda line: (not line["passed"], -line["score"], line["name"]))
    owner = clusters([_pose(path, line) for line in lines])
    order = sorted(range(len(lines)), key=lambda k: (not lines[k]["passed"], owner[k] != k, k))
    rank = {place: number for number, place in enumerate(order, 1)}
    return [
        {"rank": rank[k], "cluster": rank[owner[k]], **{key: lines[k][key] for key in _COLUMNS}}
        | {"reasons": "; ".join(lines[k].get("reasons", {}).values())}
        | {key: value for key, value in lines[k]["metrics"].items() if key not in _COLUMNS}
        for k in order
    ]


def _pose(path: Path, line: Mapping[str, Any]) -> Pose:
    """Read the pose of a design from its files; one without domains to compare has none."""
    files = {Path(file).suffix: path / file for file in line["files"] if "designs/" in file}
    try:
        side = json.loads(files[".json"].read_text(encoding="utf-8"))
        parts = [row for row in side["plan"]["segments"] if row["kind"] == "domain"]
        if len(parts) < 2:
            return Pose(str(line["job"]), ())
        structure = files.get(".pdb", files.get(".cif"))
        ca = read_backbone(str(structure), notes=[]).ca.astype(np.float64)
    except (KeyError, OSError, ValueError):
        return Pose(str(line["job"]), ())
    parts.sort(key=lambda row: int(row["request"]))
    return Pose(str(line["job"]), tuple(ca[row["first"] - 1 : row["last"]] for row in parts))
