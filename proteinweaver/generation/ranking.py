"""The ranked list of a run: passed before failed, distinct poses before repeats.

Designs are taken by score, those that began at found poses by the likelihood of these before it:
the score says that a chain is sound, not that a pose is right. The first of each pose leads a
cluster, and leaders stand before all others, so the top k of a list are k different answers.
Nothing of a design stays in memory but its name and its place: a list may be of ten thousand.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from proteinweaver.generation.poses import Clusters, Pose
from proteinweaver.io.manifest import Manifest
from proteinweaver.io.read import read_backbone

__all__ = ["Ranking", "place_of"]

_COLUMNS = ("name", "job", "index", "seed", "length", "passed", "score", "total_s")


def place_of(
    passed: bool, metrics: Mapping[str, float], score: float
) -> tuple[bool, float, float]:
    """Key by which designs are sorted, best first: checks, likelihood of found poses, score."""
    return not passed, metrics.get("pose_rank", 0.0), -score


class Ranking:
    """Rows of ``metrics.csv``: all designs of a run folder, best first.

    A row has ``rank``, ``cluster`` (rank of the design that leads its pose), then the manifest's
    columns and metrics. Every iteration reads the manifest's lines anew.

    Parameters
    ----------
    path : Path
        The run folder.
    """

    def __init__(self, path: Path) -> None:
        self._manifest = Manifest(path)
        found = sorted(
            (*place_of(line["passed"], line["metrics"], line["score"]), line["name"])
            for line in self._manifest.lines()
            if line.get("status") == "ok"
        )
        clusters = Clusters()
        lines = self._manifest.lines(name for *_, name in found)
        owner = [clusters.add(_pose(path, line)) for line in lines]
        order = sorted(range(len(found)), key=lambda k: (found[k][0], owner[k] != k, k))
        rank = {place: number for number, place in enumerate(order, 1)}
        self._rows = [(found[k][-1], rank[k], rank[owner[k]]) for k in order]

    def __len__(self) -> int:
        """Return the number of designs."""
        return len(self._rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the rows."""
        lines = self._manifest.lines(name for name, _, _ in self._rows)
        for (_, rank, cluster), line in zip(self._rows, lines, strict=True):
            yield {
                "rank": rank,
                "cluster": cluster,
                **{key: line[key] for key in _COLUMNS},
                "reasons": "; ".join(line.get("reasons", {}).values()),
                **{key: value for key, value in line["metrics"].items() if key not in _COLUMNS},
            }


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
