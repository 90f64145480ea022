"""Guidance of the estimate: pieces do not interpenetrate.

A denoiser that is unsure of a pose answers with an average of poses, and two averaged domains lie
inside each other. Sampling then starts its final, precise part from an overlap that no small move
resolves. `separate_pieces` moves whole pieces apart in the estimate of the clean chain while there
is still noise to absorb it: a smooth function of the estimate, part of the field.
"""

import itertools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from proteinweaver.diffusion.bodies import pair_distances, pair_squares

__all__ = ["separate_pieces"]


def separate_pieces(
    trans: Tensor, piece: Tensor, share: float, reach: float = 5.0, rounds: int = 6
) -> Tensor:
    """Translate overlapping pieces apart.

    In every round each piece moves along the net direction of its overlaps, by a quarter of
    ``reach`` where overlaps point one way and by nothing where they cancel or vanish.

    Parameters
    ----------
    trans : Tensor, shape=(B, L, 3)
        CA positions of the estimate, angstrom.
    piece : Tensor, dtype=int64, shape=(B, L)
        Piece numbers, -1 for none (such residues neither push nor move).
    share : float
        Between 0 (no effect) and 1; scales every move.
    reach : float
        CA distance below which residues of two pieces overlap, angstrom.
    rounds : int
        Repetitions.

    Returns
    -------
    Tensor, shape=(B, L, 3)
    """
    if share <= 0 or int(piece.max()) < 1:
        return trans
    moved = [
        _separated(x, owner, share, reach, rounds)
        for x, owner in zip(trans.cpu().double().numpy(), piece.cpu().numpy(), strict=True)
    ]
    return torch.from_numpy(np.stack(moved)).to(trans)


def _separated(
    x: NDArray[np.float64], owner: NDArray[np.int64], share: float, reach: float, rounds: int
) -> NDArray[np.float64]:
    """One chain of `separate_pieces`; only pieces whose spheres meet are compared."""
    members = [np.flatnonzero(owner == k) for k in range(int(owner.max()) + 1)]
    members = [rows for rows in members if len(rows)]
    if len(members) < 2:
        return x
    parts = [x[rows] for rows in members]
    centre = np.stack([part.mean(0) for part in parts])
    radius = [np.linalg.norm(p - c, axis=-1).max() for p, c in zip(parts, centre, strict=True)]
    width = reach * np.sqrt([len(rows) for rows in members])
    middle = centre.mean(0)
    for _ in range(rounds):
        force, total = np.zeros_like(centre), np.zeros(len(parts))
        apart = pair_distances(centre, centre)
        for a, b in itertools.combinations(range(len(parts)), 2):
            if apart[a, b] >= radius[a] + radius[b] + reach:
                continue
            close = np.flatnonzero(pair_squares(parts[a], parts[b]) < reach * reach)
            if not len(close):
                continue
            i, j = np.divmod(close, len(parts[b]))
            step = parts[a][i] - parts[b][j]
            distance = np.sqrt((step * step).sum(-1) + 1e-4)
            overlap = np.maximum(reach - distance, 0.0)
            push = (overlap / distance) @ step
            force[a], force[b] = force[a] + push, force[b] - push
            total[[a, b]] += overlap.sum()
        if not total.any():
            break  # nothing overlaps, nothing moves
        # Where overlaps cancel (one piece inside the other) the centres say which way is out.
        out = centre - middle
        out = out / (np.linalg.norm(out, axis=-1, keepdims=True) + 1.0)
        depth = total / (total + width)
        pushed = 0.25 * reach * force / (total + reach)[:, None]
        move = share * (pushed + 0.5 * depth[:, None] * out)
        parts = [part + step for part, step in zip(parts, move, strict=True)]
        centre = centre + move
    moved = x.copy()
    for rows, part in zip(members, parts, strict=True):
        moved[rows] = part
    return moved
