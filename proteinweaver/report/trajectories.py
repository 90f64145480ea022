"""Trajectories of designs: read what generation wrote, thin it out, lay it over the design.

``traj/NAME_xt.pdb`` holds the states of a design from noise to the end, one model each. Early
states are hundreds of times as wide as a protein; the page shows them shrunk, and says so.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from proteinweaver.evaluation.superposition import move, superpose

__all__ = ["States", "read_states", "trajectory_file"]

_MOST = 40
_WIDEST = 1.6  # radius of gyration that is shown, in units of the design's


@dataclass(frozen=True)
class States:
    """A trajectory ready to be shown.

    Parameters
    ----------
    ca : ndarray, dtype=float64, shape=(M, L, 3)
        CA positions in angstrom, superposed on the design.
    shrunk : ndarray, dtype=float64, shape=(M,)
        Factor by which each state was made smaller, 1 or more.
    """

    ca: NDArray[np.float64]
    shrunk: NDArray[np.float64]


def trajectory_file(design: Path) -> Path | None:
    """Find the states of a design in its run folder.

    Parameters
    ----------
    design : Path
        ``RUN/designs/NAME.pdb``.

    Returns
    -------
    Path or None
        ``RUN/traj/NAME_xt.pdb`` where it exists.
    """
    path = design.parent.parent / "traj" / f"{design.name.split('.')[0]}_xt.pdb"
    return path if path.is_file() else None


def read_states(path: Path, final: NDArray[np.float32]) -> States | None:
    """Read the CA positions of all models.

    Parameters
    ----------
    path : Path
        A PDB file of several models, as generation writes it.
    final : ndarray, dtype=float32, shape=(L, 3)
        CA of the design.

    Returns
    -------
    States or None
        At most 40, the last one included; None where the file does not fit the design.
    """
    models: list[list[list[float]]] = []
    try:
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("MODEL"):
                models.append([])
            elif line.startswith("ATOM") and line[12:16] == " CA " and models:
                models[-1].append([float(line[k : k + 8]) for k in (30, 38, 46)])
    except (OSError, ValueError):
        return None
    if len(models) < 2 or any(len(model) != len(final) for model in models):
        return None
    chosen = np.unique(
        np.linspace(0, len(models) - 1, min(_MOST, len(models))).round().astype(int)
    )
    x = np.array([models[k] for k in chosen])
    target = np.asarray(final, dtype=np.float64)
    x = move(x, *superpose(x, np.broadcast_to(target, x.shape)))
    centre = target.mean(axis=0)
    size = np.sqrt(((x - x.mean(axis=1, keepdims=True)) ** 2).sum(-1).mean(-1))
    limit = _WIDEST * np.sqrt(((target - centre) ** 2).sum(-1).mean())
    shrunk = np.maximum(size / limit, 1.0)
    return States((x - centre) / shrunk[:, None, None] + centre, shrunk)
