"""A tiny structure set of ideal helices and strands: something to train on without data.

Good for trying out a machine and for tests. It holds no protein, so nothing learnt from it is of
use.
"""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from proteinweaver.data.archive import write_archive
from proteinweaver.structure.ideal import ELEMENT_TORSIONS, build_backbone

__all__ = ["write_synthetic_sets"]

_SSE = {"H": 0, "E": 1, "L": 2}
_LOOP_TORSIONS = ((-70.0, 145.0), (-65.0, -35.0), (60.0, 40.0), (-95.0, 5.0))
_LENGTHS = {"domains": (40, 64), "chains": (100, 130)}
_SPLIT = (0, 0, 0, 0, 0, 0, 1, 1, 2, 2)


def _chain(length: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Coordinates and secondary structure of one chain."""
    torsions: list[tuple[float, float]] = []
    letters = ""
    while len(torsions) < length:
        kind = "H" if rng.random() < 0.6 else "E"
        run = int(rng.integers(8, 15)) if kind == "H" else int(rng.integers(5, 8))
        loop = int(rng.integers(3, 6))
        torsions += [ELEMENT_TORSIONS[kind]] * run
        torsions += [_LOOP_TORSIONS[int(k)] for k in rng.integers(0, len(_LOOP_TORSIONS), loop)]
        letters += kind * run + "L" * loop
    angles = torch.tensor(torsions[:length], dtype=torch.float64) * (math.pi / 180)
    coord = build_backbone(angles[:, 0], angles[:, 1]).numpy()
    coord = coord - coord[:, 1].mean(0)
    return coord.astype(np.float32), np.array([_SSE[a] for a in letters[:length]], np.uint8)


def _arrays(kind: str, rng: np.random.Generator) -> Mapping[str, NDArray[np.generic]]:
    low, high = _LENGTHS[kind]
    lengths = rng.integers(low, high + 1, size=len(_SPLIT))
    chains = [_chain(int(n), rng) for n in lengths]
    residues, count = int(lengths.sum()), len(_SPLIT)
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    arrays: dict[str, NDArray[np.generic]] = {
        "coords": np.round(np.concatenate([xyz for xyz, _ in chains]) * 100).astype(np.int16),
        "aatype": np.full(residues, 5, np.uint8),
        "sse": np.concatenate([sse for _, sse in chains]),
        "break_after": np.zeros(residues, np.uint8),
        "resnum": np.concatenate([np.arange(1, n + 1) for n in lengths]).astype(np.int16),
        "offsets": offsets,
        "ids": np.array([f"ideal-{kind}-{k}" for k in range(count)]),
        "pdb": np.array([""] * count),
        "chain": np.array(["A"] * count),
        "source": np.zeros(count, np.uint8),
        "source_names": np.array(["synthetic"]),
        "kind": np.zeros(count, np.uint8),
        "kind_names": np.array(["synthetic"]),
        "resolution": np.full(count, np.nan, np.float32),
        "cluster40": np.arange(count, dtype=np.int32),
        "component": np.arange(count, dtype=np.int32),
        "split": np.array(_SPLIT, np.uint8),
    }
    if kind == "chains":
        half = np.concatenate([1 + (np.arange(n) >= n // 2) for n in lengths]).astype(np.uint8)
        two = np.full(count, 2, np.uint8)
        arrays |= {
            "domain": half,
            "domain_auto": half,
            "boundaries": np.ones(count, np.uint8),
            "n_domains": two,
            "n_domains_auto": two,
        }
    return arrays


def write_synthetic_sets(folder: Path, seed: int = 0) -> None:
    """Write ``domains.npz`` and ``chains.npz`` of ten ideal chains each (six for training).

    Parameters
    ----------
    folder : Path
        Where; created if need be.
    seed : int
        The same seed gives the same bytes.

    Raises
    ------
    UserError
        If the disk refuses.
    """
    rng = np.random.default_rng(seed)
    for kind in _LENGTHS:
        path = folder / f"{kind}.npz"
        write_archive(
            path, _arrays(kind, rng), {"made_by": "proteinweaver.data.synthetic", "seed": seed}
        )
