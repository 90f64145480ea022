r"""Strong error: how far each sample ends from where the exact flow would have taken it.

RMS alone misleads. Between the modes of a law the exact flow has watersheds; a sample near one may
be carried to the other mode by the smallest error, and then is wrong by the distance between
modes however fine the grid: one sample in 256 holds the RMS up while every other one converges.
Hence four numbers: the median, the RMS, the share of samples that end in another *basin*, and the
RMS of those that do not. Orders are fitted to the median or to the same-basin RMS.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from samplers.smooth import safe_norm

__all__ = ["StrongError", "distances", "nearest", "strong_error"]


@dataclass(frozen=True)
class StrongError:
    """Summary of the distances between end points; tensors of shape ().

    Attributes
    ----------
    median, rms : Tensor
        Over all samples.
    flips : Tensor
        Share of samples that end in another basin, in [0, 1].
    same_basin_rms : Tensor
        RMS over the other samples; nan if there is none.
    """

    median: Tensor
    rms: Tensor
    flips: Tensor
    same_basin_rms: Tensor


def distances(x: Tensor, y: Tensor) -> Tensor:
    """RMS difference per coordinate of points (..., n): |x - y| / sqrt(n), shape (...)."""
    return safe_norm(x - y) / math.sqrt(x.shape[-1])


def nearest(x: Tensor, centres: Tensor) -> Tensor:
    """Index of the nearest centre, a basin: points (..., n), centres (k, n) -> (...)."""
    square = (x.unsqueeze(-2) - centres).square().sum(-1)
    return square.argmin(-1)


def strong_error(
    distance: Tensor, basin: Tensor | None = None, true_basin: Tensor | None = None
) -> StrongError:
    """Summarise the distances between sampler and truth.

    Parameters
    ----------
    distance : Tensor, shape=(b,)
        Any distance: `distances` on R^n, `samplers.so3.distance` on SO(3).
    basin, true_basin : Tensor, shape=(b,), optional
        Basin of each end point, of the sampler and of the exact flow; None: all the same.

    Returns
    -------
    StrongError
    """
    square = distance.square()
    flipped = torch.zeros_like(distance, dtype=torch.bool)
    if basin is not None and true_basin is not None:
        flipped = basin != true_basin
    kept = (~flipped).to(distance.dtype)
    return StrongError(
        distance.median(),
        square.mean().sqrt(),
        1 - kept.mean(),
        ((square * kept).sum() / kept.sum()).sqrt(),
    )
