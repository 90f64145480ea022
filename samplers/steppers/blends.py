r"""Linear combinations of remembered predictions: what a multistep method does to one component.

A blend takes a base point x to a x + sum_j w_j P_j in the chart at x; the entries P_j of past
calls are carried into that chart (`samplers.spaces`). On a flat space a correction followed by
a prediction is one blend again, so there the corrected point is never made: that saves a third of
the arithmetic of a predictor-corrector.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from samplers.spaces import Space

__all__ = ["Blend", "Moves", "blended", "folded"]


@dataclass(frozen=True)
class Blend:
    """New point of one component: factor of the base, weights of the entries, newest first."""

    factor: float
    weights: tuple[float, ...]


@dataclass(frozen=True)
class Moves:
    """What one component does in one step.

    Attributes
    ----------
    correct : Blend or None
        From the remembered base to here.
    predict : Blend
        From here to the next grid point.
    refine : Blend or None
        The same after an additional call at the predicted point.
    shifts : tuple of float
        Entry = prediction + shift * coordinate, newest first from the next grid point on.
    """

    correct: Blend | None
    predict: Blend
    refine: Blend | None
    shifts: tuple[float, ...]


def blended(
    space: Space,
    x: Tensor,
    blend: Blend,
    records: tuple[tuple[Tensor, ...], ...],
    shifts: tuple[float, ...],
) -> tuple[Tensor, Tensor]:
    """Coordinate and point of a blend from the base ``x``."""
    entries = space.recall(x, records[: len(blend.weights)], shifts[1:])
    return space.reach(x, blend.factor, blend.weights, entries)


def folded(before: Blend, correct: Blend, predict: Blend) -> Blend:
    """Correction and prediction as one blend from the uncorrected point, on a flat space.

    The point came from the same base as the correction (by ``before``), so their difference is a
    blend of entries; the corrected point itself is never needed.
    """
    count = max(len(correct.weights), len(predict.weights), len(before.weights) + 1)

    def padded(weights: tuple[float, ...]) -> list[float]:
        return [*weights, *[0.0] * (count - len(weights))]

    differences = [
        d - b for d, b in zip(padded(correct.weights), padded((0.0, *before.weights)), strict=True)
    ]
    weights = [
        predict.factor * d + w for d, w in zip(differences, padded(predict.weights), strict=True)
    ]
    return Blend(predict.factor, tuple(weights))
