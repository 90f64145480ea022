r"""Maximum mean discrepancy and energy distance between two samples.

    MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y),      k(x, y) = exp(-|x - y|^2 / 2 l^2)    ([1]_)
    energy = 2 E|x - y| - E|x - x'| - E|y - y'|                                              ([2]_)

Both are unbiased U-statistics: pairs of a point with itself are left out, so values of equal laws
scatter around 0 and may be negative.

References
----------
.. [1] A. Gretton et al., "A kernel two-sample test", JMLR 13 (2012) 723, lemma 6.
.. [2] G. Szekely, M. Rizzo, "Energy statistics", J. Stat. Planning and Inference 143 (2013) 1249.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["energy_distance", "median_distance", "mmd2"]


def _square(x: Tensor, y: Tensor) -> Tensor:
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").square()


def _pairs(values: Tensor) -> Tensor:
    """Mean over the pairs of different points."""
    count = values.shape[-1]
    return (values.sum() - values.diagonal().sum()) / (count * (count - 1))


def median_distance(x: Tensor, y: Tensor) -> Tensor:
    """Median distance between the points of two samples, the usual kernel width; shape ()."""
    return _square(x, y).median().sqrt()


def mmd2(x: Tensor, y: Tensor, widths: Sequence[float] | Tensor) -> Tensor:
    """Squared MMD with the mean of Gaussian kernels of the given widths.

    Parameters
    ----------
    x, y : Tensor, shape=(b, n) and (c, n)
    widths : sequence of float or Tensor, shape=(m,)

    Returns
    -------
    Tensor, shape=()
    """
    width = torch.as_tensor(widths, dtype=x.dtype, device=x.device).reshape(-1, 1, 1)

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return torch.exp(-0.5 * _square(a, b) / width.square()).mean(0)

    return _pairs(kernel(x, x)) + _pairs(kernel(y, y)) - 2 * kernel(x, y).mean()


def energy_distance(x: Tensor, y: Tensor) -> Tensor:
    """Energy distance, samples (b, n) and (c, n) -> ()."""
    across = _square(x, y).sqrt().mean()
    return 2 * across - _pairs(_square(x, x).sqrt()) - _pairs(_square(y, y).sqrt())
